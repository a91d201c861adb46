//! What gateways over one store do once for all of them.

use std::time::{Duration, Instant};

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
