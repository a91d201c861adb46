//! Users sign in with a password, and stay so until they are signed out.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::demo::Bookshop;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

use super::keys::{ISBN, done, guarded};

const ADA: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// bcrypt of `U*U`, by another implementation.
const BCRYPT: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// Runs `mcphub user password` with a line on standard input; the exit code.
fn password(sandbox: &Sandbox, args: &[&str], line: &str) -> Option<i32> {
    let mut command = sandbox.mcphub();
    command.args(["user", "password"]).args(args);
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = streams.stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may have ended without reading.
    let _ = writeln!(input, "{line}");
    drop(input);
    child.wait().unwrap().code()
}

/// Ada is a member who may read, and has a password.
fn with_ada(sandbox: &Sandbox) {
    without_password(sandbox);
    assert_eq!(password(sandbox, &[ADA], PASSWORD), Some(0));
}

fn without_password(sandbox: &Sandbox) {
    done(sandbox.run(&["role", "set", "staff", "--read-only"]));
    done(sandbox.run(&["user", "add", ADA]));
    done(sandbox.run(&["member", "set", ADA, "--role", "staff"]));
}

fn sign_in(gateway: &Gateway, user: &str, password: &str) -> (u16, Value) {
    let body = json!({ "user": user, "password": password });
    gateway.post("/auth/sign-in", JSON, &body)
}

fn refresh(gateway: &Gateway, tokens: &Value) -> (u16, Value) {
    let body = json!({ "refresh_token": tokens["refresh_token"] });
    gateway.post("/auth/refresh", JSON, &body)
}

/// The status of a call that reads.
fn read(gateway: &Gateway, tokens: &Value) -> u16 {
    let call = json!({"name": "bookshop_getBook", "arguments": {"isbn": ISBN}});
    gateway
        .message_as(tokens["access_token"].as_str(), "tools/call", call)
        .0
}

/// Waits until the tokens let nobody in.
fn until_refused(gateway: &Gateway, tokens: &Value) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while read(gateway, tokens) != 401 {
        assert!(Instant::now() < deadline, "it lets in still");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_member_signs_in_stays_so_and_signs_out() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let gateway = guarded(&sandbox, &shop);
    with_ada(&sandbox);
    let (status, first) = sign_in(&gateway, "Ada@Example.com", PASSWORD);
    assert_eq!(status, 200, "{first}");
    assert_eq!(
        (&first["token_type"], &first["expires_in"]),
        (&json!("Bearer"), &json!(900))
    );
    assert_eq!(read(&gateway, &first), 200);
    let update = json!({"name": "bookshop_updateBook", "arguments": {"isbn": ISBN, "stock": 7}});
    let access = first["access_token"].as_str();
    assert_eq!(gateway.message_as(access, "tools/call", update).0, 403);

    let (status, second) = refresh(&gateway, &first);
    assert_eq!((status, read(&gateway, &second)), (200, 200), "{second}");
    until_refused(&gateway, &first);
    // Somebody has a copy: nobody knows who of the two it is.
    let (status, reused) = refresh(&gateway, &first);
    assert_eq!((status, &reused["error"]), (401, &json!("invalid_grant")));
    until_refused(&gateway, &second);
    assert_eq!(refresh(&gateway, &second).0, 401);

    let (_, third) = sign_in(&gateway, ADA, PASSWORD);
    let body = json!({ "refresh_token": third["refresh_token"] });
    for _ in 0..2 {
        assert_eq!(gateway.post("/auth/sign-out", JSON, &body).0, 204);
    }
    until_refused(&gateway, &third);

    let (_, fourth) = sign_in(&gateway, ADA, PASSWORD);
    let (_, fifth) = sign_in(&gateway, ADA, PASSWORD);
    let listed = done(sandbox.run(&["user", "sign-ins", ADA, "--format", "json"]));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let id = listed[0]["id"].as_str().unwrap();
    done(sandbox.run(&["user", "sign-out", ADA, id]));
    assert_eq!(sandbox.run(&["user", "sign-out", ADA, id]).code, Some(4));
    until_refused(&gateway, &fifth);
    assert_eq!(read(&gateway, &fourth), 200);
    assert_eq!(password(&sandbox, &[ADA], "another long password"), Some(0));
    until_refused(&gateway, &fourth);
    assert_eq!(sign_in(&gateway, ADA, PASSWORD).0, 401);
    let (status, sixth) = sign_in(&gateway, ADA, "another long password");
    assert_eq!(status, 200);
    done(sandbox.run(&["member", "remove", ADA]));
    assert_eq!(sign_in(&gateway, ADA, "another long password").0, 403);
    assert_eq!(refresh(&gateway, &sixth).0, 403);
    until_refused(&gateway, &sixth);

    assert_eq!(gateway.health()["status"], "ok");
    assert!(gateway.stop().success());
    let log = done(sandbox.run(&["audit", "export"]));
    let count = |action: &str| log.lines().filter(|line| line.contains(action)).count();
    assert_eq!((count("sign_in.begin"), count("sign_in.reuse")), (5, 1));
    assert_eq!((count("sign_in.end"), count("user.password")), (2, 2));
    let store = std::fs::read(sandbox.path().join("mcphub.db")).unwrap();
    let store = String::from_utf8_lossy(&store);
    for secret in ["mcphub_access_", "mcphub_refresh_", PASSWORD] {
        assert!(!store.contains(secret) && !log.contains(secret), "{secret}");
    }
}

#[test]
fn a_hash_of_another_system_lets_in_once_and_is_made_anew() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    without_password(&sandbox);
    assert_eq!(password(&sandbox, &[ADA, "--hashed"], BCRYPT), Some(0));
    for (args, line, code) in [
        (&[ADA][..], "short", 2),
        (&[ADA, "--hashed"], "$2b$31$x", 2),
        (&["nobody"], PASSWORD, 4),
        (&[ADA], "two\nlines of a password", 2),
    ] {
        assert_eq!(password(&sandbox, args, line), Some(code), "{line}");
    }
    let gateway = guarded(&sandbox, &shop);
    let stored = || {
        let store = std::fs::read(sandbox.path().join("mcphub.db")).unwrap();
        let log = std::fs::read(sandbox.path().join("mcphub.db-wal")).unwrap_or_default();
        let text = String::from_utf8_lossy(&store).into_owned();
        text + &String::from_utf8_lossy(&log)
    };
    assert!(stored().contains(BCRYPT) && !stored().contains("$argon2id$"));
    assert_eq!(sign_in(&gateway, ADA, "U*V").0, 401);
    assert_eq!(sign_in(&gateway, ADA, "U*U").0, 200);
    assert_eq!(sign_in(&gateway, ADA, "U*U").0, 200);
    assert!(gateway.stop().success());
    assert!(stored().contains("$argon2id$v=19$m=19456,t=2,p=1$"));
}

#[test]
fn who_tries_is_told_nothing_and_not_for_long() {
    let (sandbox, shop) = (Sandbox::new(), Bookshop::open());
    let gateway = guarded(&sandbox, &shop);
    with_ada(&sandbox);
    let wrong = sign_in(&gateway, ADA, "wrong");
    assert_eq!(wrong.0, 401);
    for (user, password) in [
        ("nobody", PASSWORD),
        ("no name at all", PASSWORD),
        (ADA, &"x".repeat(300)),
    ] {
        assert_eq!(sign_in(&gateway, user, password), wrong, "{user}");
    }
    let post =
        |headers: &[(&str, &str)], body: &Value| gateway.post("/auth/sign-in", headers, body).0;
    let good = json!({ "user": ADA, "password": PASSWORD });
    let page = [JSON[0], ("origin", "https://evil.example.com")];
    assert_eq!(post(&page, &good), 403);
    assert_eq!(post(&[("content-type", "text/plain")], &good), 415);
    assert_eq!(post(&[], &good), 415);
    assert_eq!(post(JSON, &json!({ "user": ADA })), 400);
    let large = json!({ "user": ADA, "password": "x".repeat(5_000) });
    assert_eq!(post(JSON, &large), 413);
    for token in [
        "",
        "mcphub_refresh_x",
        "mcphub_refresh_0000000000000000000000000000000000000000000000000",
    ] {
        let tokens = json!({ "refresh_token": token });
        assert_eq!(refresh(&gateway, &tokens).0, 401, "{token}");
    }
    // Two of the ten that a user may be tried with at once are used.
    let statuses: Vec<u16> = (0..9).map(|_| sign_in(&gateway, ADA, "wrong").0).collect();
    assert_eq!(statuses, [&[401; 8][..], &[429]].concat());
    assert_eq!(sign_in(&gateway, ADA, PASSWORD).0, 429);
    let failed = || {
        let log = done(sandbox.run(&["audit", "export"]));
        log.lines()
            .filter(|line| line.contains("sign_in.fail"))
            .count()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while failed() < 10 {
        assert!(Instant::now() < deadline, "{} failures are noted", failed());
    }
    let log = done(sandbox.run(&["audit", "list", "--action", "sign_in.fail"]));
    assert!(log.contains("127.0.0.1") || log.contains(ADA), "{log}");
    assert!(!done(sandbox.run(&["audit", "export"])).contains("nobody"));
    assert!(gateway.stop().success());
}
