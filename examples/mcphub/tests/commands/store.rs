//! What is kept: earlier documents, removed servers, the audit log, tenants.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::sandbox::{Finished, Sandbox};

/// Registers a document, as `mcphub up` does, and ends.
fn register(sandbox: &Sandbox, document: &str, more: &[&str]) {
    let spec = sandbox.write("bookshop.yaml", document);
    let mut command = sandbox.mcphub();
    // Over standard input, which is at its end: nothing is served for long.
    command
        .args(["up", &spec, "--base-url", "http://127.0.0.1:9", "--stdio"])
        .args(["--store", "mcphub.db"])
        .args(more)
        .env("USER", "ada")
        .stdin(Stdio::null());
    assert_done(&mut command);
}

fn assert_done(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn done(finished: Finished) -> String {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    finished.stdout
}

fn json_of(finished: Finished) -> Value {
    serde_json::from_str(&done(finished)).unwrap()
}

fn renamed() -> String {
    Bookshop::document().replace("operationId: listBooks", "operationId: searchBooks")
}

#[test]
fn an_earlier_document_comes_back() {
    let sandbox = Sandbox::new();
    register(&sandbox, Bookshop::document(), &[]);
    register(&sandbox, &renamed(), &[]);
    let history = json_of(sandbox.run(&["history", "bookshop", "--format", "json"]));
    let [newest, first] = history.as_array().unwrap().as_slice() else {
        panic!("{history}");
    };
    assert_eq!(
        (&newest["current"], &first["current"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(first["size"], Bookshop::document().len());

    let revision = first["revision"].to_string();
    let said = done(sandbox.run(&["rollback", "bookshop", &revision]));
    assert!(said.contains(&format!("revision {revision}")), "{said}");
    let history = json_of(sandbox.run(&["history", "bookshop", "--format", "json"]));
    assert_eq!(history[0]["digest"], first["digest"]);
    assert_eq!(history.as_array().unwrap().len(), 3);
    let text = done(sandbox.run(&["history", "bookshop"]));
    assert!(text.lines().next().unwrap().ends_with("current"), "{text}");

    let same = sandbox.run(&["rollback", "bookshop", &history[0]["revision"].to_string()]);
    assert_eq!(same.code, Some(2), "{same:?}");
    for nothing in [
        &["rollback", "bookshop", "99"][..],
        &["rollback", "nobody", "1"],
        &["history", "nobody"],
    ] {
        assert_eq!(sandbox.run(nothing).code, Some(4), "{nothing:?}");
    }
}

#[test]
fn a_removed_server_comes_back_until_it_is_purged() {
    let sandbox = Sandbox::new();
    register(&sandbox, Bookshop::document(), &[]);
    let removed = done(sandbox.run(&["remove", "bookshop"]));
    assert!(removed.contains("mcphub restore bookshop"), "{removed}");
    let listed = |args: &[&str]| json_of(sandbox.run(&[args, &["--format", "json"]].concat()));
    assert_eq!(listed(&["list"]), json!([]));
    assert_eq!(
        listed(&["list", "--status", "removed"])[0]["name"],
        "bookshop"
    );

    done(sandbox.run(&["restore", "bookshop"]));
    assert_eq!(listed(&["list", "--search", "BOOK"])[0]["name"], "bookshop");
    assert_eq!(listed(&["list", "--serve", "process"]), json!([]));
    assert_eq!(sandbox.run(&["restore", "bookshop"]).code, Some(4));

    let purged = done(sandbox.run(&["remove", "bookshop", "--purge"]));
    assert!(purged.contains("deleted"), "{purged}");
    assert_eq!(sandbox.run(&["restore", "bookshop"]).code, Some(4));
    assert_eq!(
        sandbox.run(&["remove", "bookshop", "--purge"]).code,
        Some(4)
    );
}

#[test]
fn the_audit_log_tells_who_did_what_and_whether_it_was_tampered_with() {
    let sandbox = Sandbox::new();
    register(
        &sandbox,
        Bookshop::document(),
        &["--header", "X-Key: s3cret"],
    );
    register(&sandbox, &renamed(), &["--header", "X-Key: s3cret"]);
    done(sandbox.run(&["remove", "bookshop"]));
    let log = json_of(sandbox.run(&["audit", "list", "--format", "json"]));
    let actions: Vec<_> = log
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["action"])
        .collect();
    assert_eq!(actions, ["server.remove", "server.save", "server.save"]);
    assert_eq!(log[2]["actor"], "cli:ada");
    assert_eq!(log[2]["detail"]["credentials"], json!(["header:X-Key"]));
    assert!(!log.to_string().contains("s3cret"));
    let found = [
        "audit",
        "list",
        "--target",
        "server:bookshop",
        "--action",
        "server.remove",
    ];
    assert_eq!(done(sandbox.run(&found)).lines().count(), 1);
    let later = ["audit", "list", "--since", "2999-01-01T00:00:00Z"];
    assert_eq!(done(sandbox.run(&later)), "");

    let whole = done(sandbox.run(&["audit", "verify"]));
    let end = whole.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(
        whole.contains("is whole") && end.starts_with("3:"),
        "{whole}"
    );
    done(sandbox.run(&["audit", "verify", "--anchor", &end]));

    let exported = done(sandbox.run(&["audit", "export"]));
    let lines: Vec<&str> = exported.lines().collect();
    let verify = |log: &str| {
        let file = sandbox.write("log.jsonl", log);
        sandbox.run(&["audit", "verify", "--file", &file, "--anchor", &end])
    };
    assert_eq!(verify(&exported).code, Some(0));
    for (log, finding) in [
        (
            exported.replace("cli:ada", "cli:eve"),
            "entry 1 was altered",
        ),
        ([lines[0], lines[2]].join("\n"), "entry 2 was dropped"),
        ([lines[0], lines[1]].join("\n"), "entry 3 was dropped"),
        (
            [lines[1], lines[0], lines[2]].join("\n"),
            "entry 1 is out of order",
        ),
        (String::new(), "entries 1 to 3 were dropped"),
    ] {
        let broken = verify(&log);
        assert_eq!(broken.code, Some(8), "{broken:?}");
        assert!(broken.stdout.contains(finding), "{finding}: {broken:?}");
    }
    assert_eq!(verify("no entry").code, Some(2));
    let other = end.replace("3:", "2:");
    let anchored = sandbox.run(&["audit", "verify", "--anchor", &other]);
    assert_eq!(anchored.code, Some(8), "{anchored:?}");
}

#[test]
fn the_oldest_entries_are_pruned_and_the_rest_is_verified() {
    let sandbox = Sandbox::new();
    for name in ["one", "two", "three"] {
        let add = ["add", name, "http://127.0.0.1:9/mcp", "--no-probe"];
        done(sandbox.run(&add));
    }
    let end = |text: &str| text.trim().rsplit(' ').next().unwrap().to_owned();
    let noted = end(&done(sandbox.run(&["audit", "verify"])));
    let prune = |time| sandbox.run(&["audit", "prune", "--older-than", time]);
    assert_eq!(done(prune("1d")), "no entry is older\n");
    assert_eq!(prune("soon").code, Some(2));
    assert_eq!(done(prune("0s")), "3 entries were removed\n");
    done(sandbox.run(&["remove", "one"]));
    let whole = done(sandbox.run(&["audit", "verify", "--anchor", &noted]));
    assert!(whole.contains("is whole from entry 4 on"), "{whole}");
    let forged = format!("3:{}", "7".repeat(64));
    let forged = sandbox.run(&["audit", "verify", "--anchor", &forged]);
    assert_eq!(forged.code, Some(8), "{forged:?}");
    assert!(forged.stdout.contains("entry 3 was altered"), "{forged:?}");
    let early = format!("2:{}", "7".repeat(64));
    let early = sandbox.run(&["audit", "verify", "--anchor", &early]);
    assert_eq!(early.code, Some(0), "{early:?}");
    assert!(early.stderr.contains("cannot be compared"), "{early:?}");

    let exported = done(sandbox.run(&["audit", "export"]));
    let verify = |log: &str| {
        let file = sandbox.write("log.jsonl", log);
        sandbox.run(&["audit", "verify", "--file", &file])
    };
    assert_eq!(verify(&exported).code, Some(0));
    let lines: Vec<&str> = exported.lines().collect();
    let cut = verify(lines[1]);
    assert_eq!(cut.code, Some(8), "{cut:?}");
    assert!(
        cut.stdout.contains("entries 1 to 4 were dropped"),
        "{cut:?}"
    );
    let status = json_of(sandbox.run(&["db", "status", "--format", "json"]));
    assert_eq!(status["tenants"][0]["auditEntries"], 2);
    assert_eq!(done(sandbox.run(&["db", "check"])), "all is well\n");

    let file = sandbox.path().join("moved.jsonl");
    let (file, other) = (file.to_str().unwrap(), sandbox.path().join("other.db"));
    let other = other.to_str().unwrap();
    done(sandbox.run(&["db", "export", file]));
    done(sandbox.run(&["db", "import", file, "--store", other]));
    let whole = done(sandbox.run(&["audit", "verify", "--store", other]));
    assert!(whole.contains("is whole from entry 4 on"), "{whole}");
    let again = ["audit", "prune", "--older-than", "0s", "--store", other];
    assert_eq!(done(sandbox.run(&again)), "2 entries were removed\n");
}

#[test]
fn tenants_share_a_store_and_see_nothing_of_each_other() {
    let sandbox = Sandbox::new();
    let missing = sandbox.run(&["list", "--tenant", "acme"]);
    assert_eq!(missing.code, Some(4), "{missing:?}");
    done(sandbox.run(&["tenant", "create", "acme"]));
    assert_eq!(sandbox.run(&["tenant", "create", "acme"]).code, Some(5));
    register(&sandbox, Bookshop::document(), &["--tenant", "acme"]);
    assert_eq!(
        json_of(sandbox.run(&["list", "--format", "json"])),
        json!([])
    );
    let theirs = sandbox.run(&["list", "--tenant", "acme", "--format", "json"]);
    assert_eq!(json_of(theirs)[0]["name"], "bookshop");
    let tenants = json_of(sandbox.run(&["tenant", "list", "--format", "json"]));
    assert_eq!(tenants[0]["name"], "acme");
    assert_eq!(tenants[1]["name"], "default");
    let log = sandbox.run(&["audit", "verify", "--tenant", "acme"]);
    assert!(done(log).contains("tenant acme is whole and ends at 1:"));
}

#[test]
fn the_database_is_shown_and_checked_and_its_keys_change() {
    let sandbox = Sandbox::new();
    for command in ["status", "migrate", "check", "rotate-key"] {
        let missing = sandbox.run(&["db", command]);
        assert_eq!(missing.code, Some(4), "{missing:?}");
    }
    register(
        &sandbox,
        Bookshop::document(),
        &["--header", "X-Key: s3cret"],
    );
    let status = json_of(sandbox.run(&["db", "status", "--format", "json"]));
    assert_eq!(status["tenants"][0]["servers"], 1);
    assert_eq!(status["keys"][0]["credentials"], 1);
    assert!(done(sandbox.run(&["db", "status"])).contains("tenant default: 1 servers"));
    assert!(done(sandbox.run(&["db", "migrate"])).contains("already"));
    assert_eq!(done(sandbox.run(&["db", "check"])), "all is well\n");
    let indexes = sandbox.run(&["db", "optimize", "--dry-run", "--indexes-only"]);
    assert_eq!(done(indexes), "there is nothing to do\n");
    let advice = json_of(sandbox.run(&["db", "optimize", "--format", "json"]));
    assert!(advice[0]["statement"].is_string(), "{advice}");

    let key_file = sandbox.path().join("mcphub.key");
    let old = std::fs::read_to_string(&key_file).unwrap();
    let rotated = json_of(sandbox.run(&["db", "rotate-key", "--format", "json"]));
    assert_eq!(rotated["encrypted"], 1);
    assert_eq!(std::fs::read_to_string(&key_file).unwrap(), old);
    let renewed = sandbox.run(&["db", "rotate-key", "--new-master-key", "--format", "json"]);
    let renewed = json_of(renewed);
    assert_ne!(renewed["masterKeyId"], rotated["masterKeyId"]);
    let new = std::fs::read_to_string(&key_file).unwrap();
    assert!(new != old && new.lines().count() == 1);
    assert_eq!(done(sandbox.run(&["db", "check"])), "all is well\n");

    // The old key opens nothing any more.
    std::fs::write(&key_file, &old).unwrap();
    let refused = sandbox.run(&["db", "check"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("another master key"), "{refused:?}");
}

#[test]
fn an_archive_takes_everything_to_another_store() {
    let (sandbox, other) = (Sandbox::new(), Sandbox::new());
    register(
        &sandbox,
        Bookshop::document(),
        &["--header", "X-Key: s3cret"],
    );
    let archive = sandbox.path().join("hub.jsonl").display().to_string();
    let with_key = |sandbox: &Sandbox, command: &str| {
        let mut command_line = sandbox.mcphub();
        command_line.args(["db", command, &archive, "--secrets-key-env", "MOVE"]);
        command_line.env("MOVE", "ab".repeat(32));
        command_line
    };
    assert_done(&mut with_key(&sandbox, "export"));
    assert!(
        !std::fs::read_to_string(&archive)
            .unwrap()
            .contains("s3cret")
    );
    let again = with_key(&sandbox, "export").output().unwrap();
    assert_eq!(again.status.code(), Some(5), "{again:?}");

    let keyless = other.run(&["db", "import", &archive]);
    assert_eq!(keyless.code, Some(2), "{keyless:?}");
    assert_done(&mut with_key(&other, "import"));
    for command in [&["list"][..], &["audit", "list"], &["history", "bookshop"]] {
        assert_eq!(done(other.run(command)), done(sandbox.run(command)));
    }
    assert_eq!(done(other.run(&["db", "check"])), "all is well\n");
    let twice = with_key(&other, "import").output().unwrap();
    assert_eq!(twice.status.code(), Some(5), "{twice:?}");
    assert_eq!(other.run(&["db", "import", "nowhere"]).code, Some(4));
}

#[test]
fn servers_are_found_by_their_tools_and_tools_by_words() {
    let sandbox = Sandbox::new();
    register(&sandbox, Bookshop::document(), &[]);
    let names = |arguments: &[&str]| -> Vec<String> {
        let mut all = vec!["list", "--format", "json"];
        all.extend(arguments);
        let listed = json_of(sandbox.run(&all));
        let listed = listed.as_array().unwrap().iter();
        listed
            .map(|server| server["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&["--tool", "listBooks"]), ["bookshop"]);
    assert_eq!(names(&["--kind", "destructive"]), ["bookshop"]);
    assert_eq!(names(&["--search", "book"]), ["bookshop"]);
    for other in [
        &["--tool", "list"][..],
        &["--search", "ook"],
        &["--status", "removed"],
        &["--status", "outdated"],
        &["--tool", "listBooks", "--serve", "process"],
    ] {
        assert_eq!(names(other), [""; 0], "{other:?}");
    }

    let first = json_of(sandbox.run(&["search", "book", "--limit", "1", "--format", "json"]));
    let next = first["next"].as_str().expect("there are more");
    let second = json_of(sandbox.run(&[
        "search", "book", "--limit", "1", "--after", next, "--format", "json",
    ]));
    assert_eq!(second["tools"][0]["server"], "bookshop");
    assert_ne!(first["tools"][0]["name"], second["tools"][0]["name"]);
    let text = done(sandbox.run(&["search", "LIST", "books", "--kind", "read-only"]));
    assert!(
        text.starts_with("bookshop\tlistBooks\tread-only\t"),
        "{text}"
    );
    assert_eq!(done(sandbox.run(&["search", "unheard"])), "");
    assert_eq!(sandbox.run(&["search", "%"]).code, Some(2));
}
