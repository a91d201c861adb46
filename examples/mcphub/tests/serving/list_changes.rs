//! A document changes, `mcphub up` is run again, and clients that are connected hear of it.

use crate::common;
use crate::common::client::{Client, Report, Session, names};
use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

/// The bookshop's document after a developer renamed an operation.
fn changed_document() -> String {
    let changed =
        Bookshop::document().replace("operationId: listBooks", "operationId: searchBooks");
    assert_ne!(changed, Bookshop::document());
    changed
}

/// Of all tools, one has another name now.
fn assert_heard(report: &Report) {
    let before = names(&report.tools);
    let after = names(report.tools_after.as_deref().expect("the list was watched"));
    let renamed: Vec<_> = before
        .iter()
        .map(|name| {
            if *name == "bookshop_listBooks" {
                "bookshop_searchBooks"
            } else {
                name
            }
        })
        .collect();
    assert_eq!(sorted(after), sorted(renamed));
    assert!(before.contains(&"bookshop_listBooks"));
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

fn clients_hear_of_a_changed_document(serve: &str) {
    if !common::clients_wanted() {
        return;
    }
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let spec = sandbox.write("bookshop.yaml", Bookshop::document());
    let url = shop.url();
    let up = ["up", &spec, "--base-url", &url, "--serve", serve];
    let gateway = Gateway::start(&sandbox, &up);
    let again = [&up[..], &["--listen", gateway.address()]].concat();
    let watching: Vec<Session> = Client::ALL
        .iter()
        .map(|client| client.watch(&gateway.url()))
        .collect();

    // Were this announced, the clients would report a list without a change.
    let unchanged = sandbox.run(&again);
    assert_eq!(unchanged.code, Some(0), "{unchanged:?}");
    assert!(
        unchanged.stdout.contains("updated 0 of 1 servers"),
        "{unchanged:?}"
    );

    sandbox.write("bookshop.yaml", &changed_document());
    let updated = sandbox.run(&again);
    assert_eq!(updated.code, Some(0), "{updated:?}");
    let said = format!("updated 1 of 1 servers of the gateway at {}", gateway.url());
    assert!(updated.stdout.contains(&said), "{updated:?}");
    for session in watching {
        assert_heard(&session.after_change());
    }
}

#[test]
fn clients_of_both_eras_hear_of_a_changed_document() {
    clients_hear_of_a_changed_document("native");
}

#[test]
fn clients_of_both_eras_hear_of_a_changed_document_that_a_process_serves() {
    clients_hear_of_a_changed_document("process");
}

#[test]
fn a_desktop_client_hears_of_a_change_that_another_process_made() {
    if !common::clients_wanted() {
        return;
    }
    for mode in ["legacy", "2026-07-28"] {
        let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
        let spec = sandbox.write("bookshop.yaml", Bookshop::document());
        let url = shop.url();
        let up = ["up", &spec, "--stdio", "--base-url", &url];
        let mut command = sandbox.mcphub();
        command.args(up);
        let watching = Client::Python(mode).watch_stdio(&sandbox, &command);

        // A second desktop client over the same store, which leaves at once.
        sandbox.write("bookshop.yaml", &changed_document());
        let second = sandbox.run(&up);
        assert_eq!(second.code, Some(0), "{second:?}");
        assert_heard(&watching.after_change());
    }
}
