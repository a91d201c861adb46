use mcphub_core::spec::SpecParser as _;

use super::*;
use crate::mock::exchange::{HEAD, TAIL};
use crate::openapi::OpenApiParser;
use mcphub_core::spec::Document;

fn spec() -> ApiSpec {
    let document = r#"{
        "openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": {},
        "components": {"securitySchemes": {
            "key": {"type": "apiKey", "in": "query", "name": "app_id"},
            "other": {"type": "apiKey", "in": "header", "name": "X-Shop"}
        }}
    }"#;
    let document = Document {
        source: "x".to_owned(),
        bytes: document.as_bytes().to_vec().into(),
    };
    OpenApiParser::default().parse(&document).unwrap().spec
}

fn exchange() -> Exchange {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Exchange {
        method: "POST".to_owned(),
        url: "https://api.test/v1/books".to_owned(),
        query: "limit=2&app_id=id-12345&sort=a".to_owned(),
        request_headers: vec![
            pair("authorization", "Bearer tok-98765"),
            pair("x-shop", "shop-secret"),
            pair("content-type", "application/json"),
        ],
        request_body: br#"{"title": "x", "user": {"apiKey": "member-secret", "pin": 7}}"#.to_vec(),
        status: 201,
        response_headers: vec![
            pair("content-type", "application/json"),
            pair("set-cookie", "session=cookie-secret; HttpOnly"),
            pair("content-encoding", "gzip"),
            pair("x-count", "2"),
        ],
        response_body: br#"{"you": "tok-98765", "access_token": "new-secret", "n": [1.0]}"#
            .to_vec(),
    }
}

fn archive(exchanges: &[Exchange]) -> Vec<u8> {
    let scrubber = Scrubber::of(&spec());
    let entries = exchanges.iter().cloned().map(|mut exchange| {
        scrubber.scrub(&mut exchange);
        exchange.to_entry()
    });
    format!("{HEAD}{}{TAIL}", entries.collect::<Vec<_>>().join(",\n")).into_bytes()
}

fn ask(
    recording: &Recording,
    path: &str,
    query: &str,
    body: &str,
) -> std::result::Result<Played, Answer> {
    recording.answer(&Request {
        method: "POST",
        path,
        query,
        headers: &[("Authorization".to_owned(), "Bearer another".to_owned())],
        body: body.as_bytes(),
    })
}

#[test]
fn a_recording_has_no_secret_anywhere() {
    let archive = String::from_utf8(archive(&[exchange()])).unwrap();
    for secret in [
        "tok-98765",
        "id-12345",
        "shop-secret",
        "member-secret",
        "cookie-secret",
        "new-secret",
    ] {
        assert!(!archive.contains(secret), "{secret} in {archive}");
    }
    let archive: Value = serde_json::from_str(&archive).unwrap();
    let entry = &archive["log"]["entries"][0];
    assert_eq!(
        entry["request"]["url"],
        "https://api.test/v1/books?limit=2&app_id=scrubbed&sort=a"
    );
    assert_eq!(
        entry["response"]["content"]["text"],
        r#"{"you":"scrubbed","access_token":"scrubbed","n":[1.0]}"#
    );
}

#[test]
fn a_request_is_known_by_what_it_asks_and_not_by_its_credentials() {
    let recording = Recording::read(&archive(&[exchange()]), &spec(), &["/v1", "/"]).unwrap();
    assert_eq!(recording.len(), 1);
    let body = r#"{"user": {"pin": 7, "apiKey": "other-secret"}, "title": "x"}"#;

    // Below the base path or without it, in any order, with any secret.
    for path in ["/v1/books", "/books"] {
        let answer = ask(&recording, path, "sort=a&app_id=mine-123&limit=2", body).unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(
            answer.headers,
            [
                ("content-type".to_owned(), "application/json".to_owned()),
                ("x-count".to_owned(), "2".to_owned())
            ]
        );
    }
    let missing = ask(&recording, "/books", "limit=3", body).unwrap_err();
    assert_eq!(missing.status, 404);
    assert!(String::from_utf8_lossy(&missing.body).contains("another query or body"));
    assert!(ask(&recording, "/v1books", "", "").is_err());
}

#[test]
fn a_repeated_request_is_answered_in_order() {
    let with = |status| Exchange {
        status,
        ..exchange()
    };
    let recording = Recording::read(&archive(&[with(202), with(200)]), &spec(), &["/v1"]).unwrap();
    let body = String::from_utf8(exchange().request_body).unwrap();

    let statuses: Vec<_> = (0..3)
        .map(|_| {
            ask(&recording, "/books", "limit=2&sort=a&app_id=x", &body)
                .unwrap()
                .status
        })
        .collect();
    assert_eq!(statuses, [202, 200, 200]);
}

#[test]
fn any_bytes_come_back() {
    let exchange = Exchange {
        method: "POST".to_owned(),
        url: "/raw".to_owned(),
        request_body: vec![0xff, 0x00, b'a'],
        status: 200,
        response_body: vec![0x89, b'P', b'N', b'G', 0x0d],
        ..Exchange::default()
    };
    let recording =
        Recording::read(&archive(std::slice::from_ref(&exchange)), &spec(), &[]).unwrap();
    let answer = recording.answer(&Request {
        method: "POST",
        path: "/raw",
        query: "",
        headers: &[],
        body: &exchange.request_body,
    });
    assert_eq!(answer.unwrap().body, exchange.response_body);
}

#[test]
fn what_is_no_archive_is_refused_and_strange_entries_are_left_out() {
    for archive in ["", "[]", "{\"log\": {}}", "{\"log\": {\"entries\": 1}}"] {
        assert!(
            Recording::read(archive.as_bytes(), &spec(), &[]).is_err(),
            "{archive}"
        );
    }
    let strange = r#"{"log": {"entries": [1, {"request": {}}, {"request": {"method": "GET", "url": "x"}, "response": {"status": 0}}]}}"#;
    assert!(
        Recording::read(strange.as_bytes(), &spec(), &[])
            .unwrap()
            .is_empty()
    );
}
