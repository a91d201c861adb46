//! The platform over backends that live in memory.

mod connected;
mod nobody;
mod world;

use std::sync::atomic::Ordering;

use futures::executor::block_on;

use super::*;
use crate::ErrorKind;
use crate::catalog::CatalogSource;
use crate::deployment::Phase;
use crate::secret::{Credentials, Grant, GrantKeeper};
use crate::server::Serve;

use world::*;

#[test]
fn a_source_keeps_its_name_and_equal_titles_get_numbers() {
    let World { platform, .. } = world();
    assert_eq!(
        publish(&platform, "a.yaml", "Shop", Serve::Native).as_str(),
        "shop"
    );
    assert_eq!(
        publish(&platform, "b.yaml", "Shop", Serve::Native).as_str(),
        "shop-2"
    );
    assert_eq!(
        publish(&platform, "a.yaml", "Renamed", Serve::Native).as_str(),
        "shop"
    );
    assert_eq!(block_on(platform.servers()).unwrap().len(), 2);
}

#[test]
fn a_document_without_a_single_tool_is_refused_with_the_first_reason() {
    let error = world()
        .platform
        .prepare(request("x", "broken", Serve::Native))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidDocument);
    assert!(
        error
            .message()
            .contains("the body cannot be sent (/paths/~1x/post)"),
        "{error}"
    );
}

#[test]
fn a_process_server_is_down_until_it_is_reconciled_and_again_when_it_is_removed() {
    let World {
        platform, runtime, ..
    } = world();
    let name = publish(&platform, "a.yaml", "Shop", Serve::Process);
    assert_eq!(upstream(&platform, &name), "down it is being started");
    let before = block_on(platform.version()).unwrap();
    assert_eq!(
        block_on(platform.reconcile()).unwrap().started,
        std::slice::from_ref(&name)
    );
    assert_ne!(block_on(platform.version()).unwrap(), before);
    assert_eq!(upstream(&platform, &name), "mcp http://127.0.0.1:1/mcp");
    assert!(block_on(platform.reconcile()).unwrap().started.is_empty());

    block_on(platform.store.remove(&name)).unwrap();
    assert_eq!(block_on(platform.reconcile()).unwrap().stopped, [name]);
    assert!(runtime.running.lock().unwrap().is_empty());
}

#[test]
fn a_changed_process_server_stays_as_it_was_until_the_new_process_runs() {
    let World { platform, .. } = world();
    let served = || {
        let catalog = block_on(platform.catalog()).unwrap();
        let server = &catalog.servers[0];
        (server.tools.api.title.clone(), server.revision)
    };
    publish(&platform, "a.yaml", "Shop", Serve::Process);
    block_on(platform.reconcile()).unwrap();
    let before = served();
    publish(&platform, "a.yaml", "Renamed", Serve::Process);
    assert_eq!(served(), before);
    block_on(platform.reconcile()).unwrap();
    let (title, revision) = served();
    assert_eq!(title, "Renamed");
    assert_ne!(revision, before.1);
}

#[test]
fn a_server_that_cannot_start_is_shown_with_its_reason_and_does_not_keep_others_out() {
    let World {
        platform, runtime, ..
    } = world();
    let native = publish(&platform, "n.yaml", "Native", Serve::Native);
    let process = publish(&platform, "p.yaml", "Process", Serve::Process);
    runtime.refuses.store(true, Ordering::SeqCst);
    assert!(
        block_on(platform.reconcile())
            .unwrap()
            .failed
            .contains_key(&process)
    );
    assert_eq!(upstream(&platform, &process), "down no Python here");
    assert_eq!(upstream(&platform, &native), "native http://api.test/");

    // The same revision is not tried over and over; a new one is.
    block_on(platform.reconcile()).unwrap();
    assert_eq!(runtime.applied.load(Ordering::SeqCst), 1);
    runtime.refuses.store(false, Ordering::SeqCst);
    publish(&platform, "p.yaml", "Process", Serve::Process);
    assert_eq!(block_on(platform.reconcile()).unwrap().started, [process]);
}

#[test]
fn what_failed_is_tried_again_when_asked() {
    let World {
        platform, runtime, ..
    } = world();
    let name = publish(&platform, "p.yaml", "Process", Serve::Process);
    runtime.refuses.store(true, Ordering::SeqCst);
    block_on(platform.reconcile()).unwrap();
    runtime.refuses.store(false, Ordering::SeqCst);
    let report = block_on(platform.retry_failed()).unwrap();
    assert_eq!(report.started, std::slice::from_ref(&name));
    assert_eq!(upstream(&platform, &name), "mcp http://127.0.0.1:1/mcp");

    // What the deployer has given up.
    runtime
        .running
        .lock()
        .unwrap()
        .get_mut(&name)
        .unwrap()
        .phase = Phase::Failed;
    let report = block_on(platform.retry_failed()).unwrap();
    assert_eq!(report.started, std::slice::from_ref(&name));
    assert_eq!(upstream(&platform, &name), "mcp http://127.0.0.1:1/mcp");

    // What runs is left alone.
    let applied = runtime.applied.load(Ordering::SeqCst);
    assert!(
        block_on(platform.retry_failed())
            .unwrap()
            .started
            .is_empty()
    );
    assert_eq!(runtime.applied.load(Ordering::SeqCst), applied);
}

#[test]
fn a_server_planned_by_another_version_is_planned_again_from_its_document() {
    let World {
        platform, store, ..
    } = world();
    let mut request = request("a.yaml", "Shop", Serve::Native);
    request.choices.selection.read_only = true;
    let prepared = platform.prepare(request).unwrap();
    let name = block_on(platform.publish(prepared)).unwrap().name;
    store
        .rows
        .lock()
        .unwrap()
        .get_mut(&name)
        .unwrap()
        .plan_version = PLAN_VERSION + 1;
    assert_eq!(upstream(&platform, &name), "native http://api.test/");
    let rows = store.rows.lock().unwrap();
    assert_eq!(rows[&name].plan_version, PLAN_VERSION);
    assert!(
        rows[&name].registration.choices.selection.read_only,
        "what was chosen is kept"
    );
}

fn grant(token: &str) -> Grant {
    Grant {
        client: "id".into(),
        token_url: "https://login.test/token".parse().unwrap(),
        access_token: token.into(),
        refresh_token: None,
        expires_at: None,
        scopes: None,
        resource: None,
    }
}

#[test]
fn a_login_stays_while_the_api_is_where_it_was() {
    let World { platform, .. } = world();
    let name = publish(&platform, "http://api.test/a.yaml", "a", Serve::Native);
    block_on(platform.log_in(&name, "login", grant("first"))).unwrap();
    let kept = |scheme: &str| {
        let grant = block_on(platform.current(&name, scheme)).unwrap();
        grant.map(|grant| secrecy::ExposeSecret::expose_secret(&grant.access_token).to_owned())
    };
    assert_eq!(kept("login").as_deref(), Some("first"));
    assert_eq!(kept("other"), None);
    assert!(block_on(platform.renew(&name, "login", &grant("first"), &grant("second"))).unwrap());
    assert!(!block_on(platform.renew(&name, "login", &grant("first"), &grant("third"))).unwrap());
    publish(&platform, "http://api.test/a.yaml", "a", Serve::Native);
    assert_eq!(kept("login").as_deref(), Some("second"));
    let mut moved = request("http://api.test/a.yaml", "a", Serve::Native);
    moved.base_url = Some("http://elsewhere.test".parse().unwrap());
    let prepared = platform.prepare(moved).unwrap();
    block_on(platform.publish(prepared)).unwrap();
    assert_eq!(kept("login"), None);
}

#[test]
fn the_logins_of_a_server_are_bounded() {
    let World { platform, .. } = world();
    let mut full = request("http://api.test/a.yaml", "a", Serve::Native);
    let logins = (0..Credentials::MAX_LOGINS).map(|n| (format!("user:u{n}"), grant("first")));
    full.credentials.grants = logins.collect();
    let prepared = platform.prepare(full).unwrap();
    let name = block_on(platform.publish(prepared)).unwrap().name;
    let error = block_on(platform.log_in(&name, "user:more", grant("x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    // Whoever is in logs in again.
    block_on(platform.log_in(&name, "user:u7", grant("second"))).unwrap();
    assert!(
        block_on(platform.current(&name, "user:more"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn one_login_is_forgotten_and_no_other() {
    let World { platform, .. } = world();
    let name = publish(&platform, "http://api.test/a.yaml", "a", Serve::Native);
    for login in ["user:ada", "user:bob"] {
        block_on(platform.log_in(&name, login, grant(login))).unwrap();
    }
    block_on(platform.log_out(&name, "user:ada")).unwrap();
    let kept = |login: &str| block_on(platform.current(&name, login)).unwrap();
    assert!(kept("user:ada").is_none() && kept("user:bob").is_some());
    let again = block_on(platform.log_out(&name, "user:ada")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    // What a gateway still renews of it does not come back.
    let known = grant("user:ada");
    assert!(!block_on(platform.renew(&name, "user:ada", &known, &grant("x"))).unwrap());
    assert!(kept("user:ada").is_none());
}

#[test]
fn a_login_is_for_a_native_server_that_is_there() {
    let World { platform, .. } = world();
    let nobody = ServerName::new("nobody").unwrap();
    let error = block_on(platform.log_in(&nobody, "login", grant("x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let name = publish(&platform, "http://api.test/a.yaml", "a", Serve::Process);
    let error = block_on(platform.log_in(&name, "login", grant("x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for known in [name.as_str(), "http://api.test/a.yaml"] {
        assert_eq!(block_on(platform.find(known)).unwrap().name, name);
    }
    let error = block_on(platform.find("no such thing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
