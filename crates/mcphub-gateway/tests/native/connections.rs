//! Connections to an API are kept, and nobody sees when one was closed; answers come as they are meant,
//! however they travel.

use std::io::Write;
use std::time::Duration;

use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::NativeApi;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::bookshop::native;
use crate::recording_api::{Recorded, RecordingApi, Reply};

async fn text(api: &NativeApi, tool: &str, arguments: &str) -> String {
    let arguments = Arguments::parse(arguments).unwrap();
    let result = Upstream::call(api, tool, &arguments).await.unwrap();
    let result: Value = serde_json::from_slice(result.as_bytes()).unwrap();
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// `{"n":1}` as Brotli (RFC 7932), in one piece that is not compressed.
const BROTLI: &[u8] = b"\x0b\x03\x80{\"n\":1}\x03";

#[tokio::test]
async fn a_connection_is_used_again_however_answers_travel() {
    let server = RecordingApi::start(|asked| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
        let encoded = |encoding: &str, body: &[u8]| {
            let length = body.len();
            let head =
                format!("{head}content-encoding: {encoding}\r\ncontent-length: {length}\r\n\r\n");
            Reply::Kept([head.as_bytes(), body].concat())
        };
        match &*asked.target {
            "/books?tag=chunked" => Reply::Kept(
                format!(
                    "{head}transfer-encoding: chunked\r\n\r\n3\r\n{{\"n\r\n4\r\n\":1}}\r\n0\r\n\r\n"
                )
                .into(),
            ),
            "/books?tag=gzip" => encoded("gzip", &packed("{\"n\":1}")),
            "/books?tag=br" => encoded("br", BROTLI),
            _ => Reply::json("{\"n\":1}"),
        }
    })
    .await;
    let api = native(&server.url, Credentials::default());
    for tag in ["plain", "chunked", "gzip", "br", "plain"] {
        let arguments = format!(r#"{{"tag":["{tag}"]}}"#);
        assert_eq!(
            text(&api, "find_books", &arguments).await,
            "{\"n\":1}",
            "{tag}"
        );
    }
    assert_eq!(server.made(), 1);
    let asked = &server.requests()[0];
    assert_eq!(asked.header("host"), Some(&*server.host()));
    assert_eq!(asked.header("accept-encoding"), Some("gzip,br"));
    assert!(asked.header("user-agent").unwrap().starts_with("mcphub/"));
}

/// Waits until the server has closed its connections, and the runtime has had a turn to hear of it.
async fn all_closed(server: &RecordingApi) {
    let closed = async {
        while server.open() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(1)).await;
    };
    timeout(Duration::from_secs(10), closed).await.unwrap();
}

#[tokio::test]
async fn a_write_goes_by_another_connection_where_the_kept_one_was_closed() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let server = RecordingApi::start(move |_| Reply::Raw(answer.to_vec())).await;
    let api = native(&server.url, Credentials::default());
    for sent in 1..=5 {
        assert_eq!(text(&api, "order_book", r#"{"isbn":"1"}"#).await, "ok");
        // Each request once: none was sent on a connection that was closed already.
        assert_eq!(server.requests().len(), sent);
        all_closed(&server).await;
    }
    assert_eq!(server.made(), 5);
}

#[tokio::test]
async fn calls_at_the_same_time_have_a_connection_each_and_share_them_later() {
    let server = RecordingApi::start(|_| Reply::json("[]")).await;
    let api = native(&server.url, Credentials::default());
    for _ in 0..3 {
        let calls = (0..8).map(|_| text(&api, "find_books", "{}"));
        let answers = futures::future::join_all(calls).await;
        assert!(answers.iter().all(|answer| answer == "[]"));
    }
    assert_eq!(server.made(), 8);
}

#[tokio::test]
async fn a_redirect_keeps_method_and_body_where_its_status_says_so() {
    for (status, method, body) in [
        (301, "GET", ""),
        (302, "GET", ""),
        (303, "GET", ""),
        (307, "POST", r#"{"isbn":"123"}"#),
        (308, "POST", r#"{"isbn":"123"}"#),
    ] {
        let server = RecordingApi::start(move |asked: &Recorded| match &*asked.target {
            "/books" => Reply::redirect(status, "moved?to=here"),
            _ => Reply::json("[]"),
        })
        .await;
        let api = native(&server.url, Credentials::default());
        assert_eq!(text(&api, "add_book", r#"{"isbn":"123"}"#).await, "[]");
        let asked = server.requests();
        let [_, last] = asked.as_slice() else {
            panic!("{asked:#?}");
        };
        assert_eq!(
            (&*last.method, &*last.target),
            (method, "/moved?to=here"),
            "{status}"
        );
        assert_eq!(last.body, body, "{status}");
        let kind = (!body.is_empty()).then_some("application/json");
        assert_eq!(last.header("content-type"), kind, "{status}");
    }
}
