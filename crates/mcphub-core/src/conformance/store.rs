//! How a [`Store`] behaves.
//!
//! What cannot be seen through the traits is left to the backend's own tests: that a saved server
//! survives a crash, that no file holds a secret, that a moved ciphertext does not open, and what
//! becomes of a plan of another [`PLAN_VERSION`].

mod audit;
mod credentials;
mod documents;
mod jobs;
mod keys;
mod list;
mod people;
mod removal;
mod save;
mod search;
mod sharing;
mod sign_ins;
mod tenants;
mod virtual_servers;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use crate::artifact::{Artifact, Program};
use crate::project::{Purpose, Variable};
use crate::secret::Credentials;
use crate::server::{Serve, ServerName};
use crate::spec::Document;
use crate::store::{Page, Registration, Saved, ServerSummary, Store};
use crate::tool::{PLAN_VERSION, ToolChoices, ToolKind, ToolSet};

pub use audit::*;
pub use credentials::*;
pub use documents::*;
pub use jobs::*;
pub use keys::*;
pub use list::*;
pub use people::*;
pub use removal::*;
pub use save::*;
pub use search::*;
pub use sharing::*;
pub use sign_ins::*;
pub use tenants::*;
pub use virtual_servers::*;

/// Makes tests of all checks of [`store`](crate::conformance::store) that need one handle. The
/// factory is an async function without arguments that gives a smart pointer to an empty
/// [`Store`](crate::store::Store) of the tenant `default`, and a guard.
#[macro_export]
macro_rules! store_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            store: an_empty_store_knows_nobody,
            what_is_saved_comes_back_whole,
            saving_again_replaces_everything,
            saving_the_same_again_changes_nothing,
            every_part_of_a_registration_counts_as_a_change,
            a_save_that_is_dropped_is_whole_or_not_there,
            replacing_needs_the_revision_that_is_there,
            of_replacements_at_once_one_succeeds,
            removing_takes_everything_along,
            a_removed_server_comes_back_as_it_was,
            a_new_server_takes_the_place_of_a_removed_one,
            only_a_removed_server_is_purged,
            what_was_removed_before_a_time_is_purged,
            a_revision_is_used_once,
            the_version_counts_changes,
            the_version_grows_in_the_same_step,
            sixteen_saves_at_once_are_sixteen_changes,
            of_saves_at_once_under_one_name_one_is_there_whole,
            a_list_is_sorted_and_shows_the_tools_apart,
            revisions_are_those_of_all_servers,
            pages_join_without_gap_or_repetition,
            pages_join_while_servers_come_and_go,
            a_page_of_no_length_is_refused,
            a_filter_leaves_what_it_names,
            a_tool_is_found_by_the_words_of_its_text,
            tools_are_found_where_their_servers_are,
            pages_of_found_tools_join_while_servers_come_and_go,
            a_beginning_of_many_words_is_found,
            words_of_many_tools_are_found,
            words_are_told_apart_by_their_first_64_characters,
            a_search_without_words_or_length_is_refused,
            a_server_is_found_by_its_current_source,
            a_document_comes_back_byte_for_byte,
            two_servers_can_have_the_same_document,
            earlier_documents_are_kept_up_to_a_bound,
            credentials_come_back_whole_and_in_order,
            credentials_are_replaced_not_added_to,
            a_grant_is_renewed_where_it_is_still_the_known_one,
            no_debug_text_shows_a_secret,
            a_key_is_made_once_and_comes_back_whole,
            a_key_that_is_over_gives_way,
            a_rotated_key_keeps_its_newest_two_tokens,
            a_revoked_key_stays_revoked,
            of_keys_made_at_once_one_is_there,
            a_use_is_noted_once_a_minute,
            keys_are_listed_by_name_in_pages_that_join,
            keys_are_no_part_of_the_registry_and_in_the_log,
            a_job_is_enqueued_once,
            a_job_is_claimed_by_one_at_a_time,
            a_job_whose_claim_has_ended_is_due_again,
            a_job_that_failed_waits_and_is_tried_again,
            jobs_are_listed_by_name,
            a_virtual_server_comes_back_whole,
            a_virtual_server_is_changed_from_the_revision_that_is_there,
            of_virtual_servers_made_at_once_one_is_there,
            a_virtual_server_and_a_server_have_different_names,
            virtual_servers_are_bounded,
            virtual_servers_are_listed_by_name,
            a_change_of_a_virtual_server_is_one_of_the_registry_and_in_the_log,
            every_change_adds_one_entry,
            notes_are_entries_among_others,
            the_log_is_a_chain_whoever_writes_at_once,
            times_of_the_log_do_not_go_back,
            conditions_of_the_log_have_all_to_be_met,
            pages_of_the_log_join_in_both_orders,
            the_oldest_entries_are_pruned_and_the_rest_is_a_chain,
            a_log_is_pruned_while_others_write,
            no_entry_holds_a_secret,
        );
    };
}

/// Makes tests of the checks that need several tenants. The factory gives a smart pointer to the
/// [`Tenants`](crate::store::Tenants) of an empty store, and a guard.
#[macro_export]
macro_rules! tenants_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            store: the_default_tenant_is_always_there,
            a_tenant_is_made_once,
            tenants_are_listed_by_name,
            a_tenant_sees_nothing_of_another,
            a_search_finds_nothing_of_another_tenant,
            a_key_lets_nobody_into_another_tenant,
            a_job_is_done_in_its_tenant,
            a_virtual_server_is_that_of_one_tenant,
            changes_are_in_the_log_of_their_tenant_under_their_actor,
            tenants_that_write_at_once_do_not_disturb_each_other,
        );
    };
}

/// Makes tests of the checks that need users. The factory gives a smart pointer to the
/// [`People`](crate::store::People) of an empty store, and a guard.
#[macro_export]
macro_rules! people_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            store: a_user_is_added_once,
            users_roles_and_members_are_listed_by_name,
            a_role_is_changed_from_the_revision_that_is_there,
            a_membership_needs_its_user_and_its_role,
            a_users_key_does_what_their_role_allows,
            roles_and_members_are_those_of_one_tenant,
            changes_of_people_are_in_the_log,
            another_password_ends_what_a_user_is_signed_in_to,
            a_hash_is_renewed_where_it_is_still_the_known_one,
            a_member_signs_in_with_the_password_that_is_theirs,
            a_refresh_token_is_good_once,
            a_sign_in_lapses_unless_it_is_refreshed,
            a_user_has_a_bounded_number_of_sign_ins,
            pages_of_sign_ins_join,
            a_sign_in_that_was_ended_is_gone,
            sign_ins_are_in_the_log,
        );
    };
}

/// Makes tests of the checks that need two handles on one store, as two processes have them. The
/// factory gives `(Box::new([one, other]), guard)`, both `Arc<dyn Store>`.
#[macro_export]
macro_rules! shared_store_conformance {
    ($factory:expr) => {
        $crate::conformance_tests!(
            $factory,
            store: what_one_handle_saves_the_other_sees,
            two_handles_that_write_at_once_lose_nothing,
        );
    };
}

fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("a legal name")
}

/// A plan of one tool, with a shared definition. The title tells variants apart.
fn tools(title: &str) -> Arc<ToolSet> {
    of_tools(title, &[("get_pet", "Gets a pet.", ToolKind::ReadOnly)])
}

/// A plan of tools with these names and descriptions.
fn of_tools(title: &str, tools: &[(&str, &str, ToolKind)]) -> Arc<ToolSet> {
    let tool = |(name, description, kind): &(&str, &str, ToolKind)| {
        json!({
            "name": name,
            "description": description,
            "input": {
                "root": {"type": "object", "properties": {"pet": {"$ref": "#/$defs/Pet"}}},
                "uses": [0],
            },
            "annotations": {
                "readOnlyHint": *kind == ToolKind::ReadOnly,
                "destructiveHint": *kind == ToolKind::Destructive,
                "idempotentHint": true, "openWorldHint": true,
            },
            "binding": {
                "method": "GET", "path": "/pets", "security": [["key"]],
                "accept": "application/json",
            },
        })
    };
    let plan = json!({
        "planVersion": PLAN_VERSION,
        "api": {"title": title, "version": "1.0", "dialect": "openapi-3.0", "description": "Ünïcode"},
        "servers": ["https://api.example.com/v1"],
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
        "definitions": [["Pet", {"type": "object", "properties": {"name": {"type": "string"}}}]],
        "tools": tools.iter().map(tool).collect::<Vec<_>>(),
    });
    serde_json::from_value(plan).expect("a plan")
}

/// A small native server.
fn registration(server: &str) -> Registration {
    Registration {
        name: name(server),
        document: Document {
            source: format!("/apis/{server}.yaml"),
            bytes: Bytes::from(format!("openapi: 3.0.4 # {server}")),
        },
        serve: Serve::Native,
        base_url: None,
        tools: tools(server),
        artifact: None,
        credentials: Credentials::default(),
        choices: ToolChoices::default(),
    }
}

/// A registration with everything that one can have.
fn full(server: &str) -> Registration {
    Registration {
        serve: Serve::Process,
        base_url: Some("http://127.0.0.1:9/base/?a=b".parse().expect("a URL")),
        artifact: Some(Artifact {
            digest: "d1".into(),
            program: Program::Command {
                executable: PathBuf::from("/env/bin/python"),
                arguments: vec!["-m".into(), "server".into()],
                directory: PathBuf::from("/env"),
            },
            environment: vec![Variable {
                name: "API_KEY".into(),
                purpose: Purpose::Scheme("key".into()),
                description: "The key.".into(),
            }],
        }),
        credentials: Credentials {
            headers: vec![("X-Tenant".into(), "t1".into())],
            bearer: Some("b1".into()),
            schemes: [("key".to_owned(), "k1".into())].into(),
            ..Credentials::default()
        },
        choices: choices(),
        ..registration(server)
    }
}

fn choices() -> ToolChoices {
    let mut choices = ToolChoices::default();
    choices.selection.include = vec!["tag=pets".parse().expect("a criterion")];
    choices
}

async fn save(store: &dyn Store, registration: &Registration) -> Saved {
    store.save(registration).await.expect("it is saved")
}

async fn version(store: &dyn Store) -> u64 {
    let version = store.registry_version().await;
    version.expect("the version is read")
}

async fn all(store: &dyn Store) -> Vec<ServerSummary> {
    let page = Page {
        limit: 1_000,
        ..Page::default()
    };
    store
        .list(&page)
        .await
        .expect("the servers are listed")
        .servers
}

/// That what is stored of a server is this registration and nothing else.
async fn assert_stored(store: &dyn Store, wanted: &Registration) {
    let name = &wanted.name;
    let record = store.get(name).await.expect("the server is read");
    let record = record.expect("the server is there");
    assert_eq!(record.name, wanted.name);
    assert_eq!(record.source, wanted.document.source);
    assert_eq!(record.document_digest, wanted.document.digest());
    assert_eq!(record.serve, wanted.serve);
    assert_eq!(record.base_url, wanted.base_url);
    assert_eq!(record.choices, wanted.choices);
    assert_eq!(record.tools, wanted.tools);
    assert_eq!(record.artifact, wanted.artifact);
    let document = store.document(name).await.expect("the document is read");
    let document = document.expect("the document is there");
    assert_eq!(document.source, wanted.document.source);
    assert_eq!(document.bytes, wanted.document.bytes);
    let credentials = store
        .credentials(name)
        .await
        .expect("the credentials are read");
    assert!(credentials.same_as(&wanted.credentials), "{credentials:?}");
    let summaries = all(store).await;
    let listed = summaries.iter().find(|summary| summary.name == *name);
    let wanted = ServerSummary {
        name: wanted.name.clone(),
        title: wanted.tools.api.title.clone(),
        source: wanted.document.source.clone(),
        serve: wanted.serve,
        base_url: wanted.base_url.clone(),
        tools: 1,
        revision: record.revision,
        plan_version: PLAN_VERSION,
        choices: wanted.choices.clone(),
    };
    assert_eq!(listed, Some(&wanted));
}

/// That nothing of a server is stored.
async fn assert_absent(store: &dyn Store, name: &ServerName) {
    assert!(store.get(name).await.expect("the server is read").is_none());
    assert!(
        store
            .document(name)
            .await
            .expect("the document is read")
            .is_none()
    );
    let credentials = store
        .credentials(name)
        .await
        .expect("the credentials are read");
    assert!(credentials.is_empty());
    assert!(all(store).await.iter().all(|summary| summary.name != *name));
}
