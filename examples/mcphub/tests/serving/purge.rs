//! What gateways over one store do once for all of them.

use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

use super::keys::done;

#[test]
fn a_removed_server_is_deleted_after_the_days_that_were_said() {
    let sandbox = Sandbox::new();
    for name in ["gone", "stays"] {
        let add = ["add", name, "http://127.0.0.1:9/mcp", "--no-probe"];
        done(sandbox.run(&add));
    }
    done(sandbox.run(&["remove", "gone"]));
    assert!(done(sandbox.run(&["list", "--status", "removed"])).contains("gone"));
    sandbox.write("mcphub.toml", "purge_removed_after_days = 0\n");
    let gateways = [(); 2].map(|()| Gateway::start(&sandbox, &["serve"]));
    let log = || done(sandbox.run(&["audit", "export"]));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !log().contains("server.purge") {
        assert!(Instant::now() < deadline, "it is there still");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!done(sandbox.run(&["list", "--status", "removed"])).contains("gone"));
    assert!(done(sandbox.run(&["list"])).contains("stays"));
    // Whoever did it has made the next one.
    let next = || -> Value {
        let jobs = done(sandbox.run(&["db", "jobs", "--format", "json"]));
        serde_json::from_str::<Value>(&jobs).unwrap()[0].clone()
    };
    while next()["begun"] != json!(0) {
        assert!(Instant::now() < deadline, "it is not done: {}", next());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(next()["name"], "purge");
    for gateway in gateways {
        assert!(gateway.stop().success());
    }
    assert_eq!(log().matches("server.purge").count(), 1);
}

#[test]
fn entries_of_the_log_are_removed_after_the_days_that_were_said() {
    let sandbox = Sandbox::new();
    let add = ["add", "stays", "http://127.0.0.1:9/mcp", "--no-probe"];
    done(sandbox.run(&add));
    sandbox.write("mcphub.toml", "[audit]\nkeep_days = 0\n");
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let log = || done(sandbox.run(&["audit", "export"]));
    let deadline = Instant::now() + Duration::from_secs(30);
    while !log().contains("audit.prune") {
        assert!(Instant::now() < deadline, "it is there still");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!log().contains("server.save"));
    let whole = done(sandbox.run(&["audit", "verify"]));
    assert!(whole.contains("from entry 2 on"), "{whole}");
    assert!(gateway.stop().success());
}

#[test]
fn builds_that_nobody_uses_are_removed_but_for_the_last() {
    let sandbox = Sandbox::new();
    let builds = sandbox.path().join("cache/builds");
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    for number in 0..25_u32 {
        let build = builds.join(format!("build-{number}"));
        std::fs::create_dir_all(&build).unwrap();
        let record = build.join("build.json");
        std::fs::write(&record, "{}").unwrap();
        let used = SystemTime::now() - month - Duration::from_secs(60) * number;
        let file = File::options().write(true).open(record).unwrap();
        file.set_modified(used).unwrap();
    }
    sandbox.write("mcphub.toml", "cache_dir = \"cache\"\n");
    let gateway = Gateway::start(&sandbox, &["serve"]);
    let left = || std::fs::read_dir(&builds).unwrap().count();
    let deadline = Instant::now() + Duration::from_secs(30);
    while left() > 20 {
        assert!(Instant::now() < deadline, "{} are left", left());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(gateway.stop().success());
    assert_eq!(left(), 20);
    assert!(builds.join("build-19").exists() && !builds.join("build-20").exists());
}
