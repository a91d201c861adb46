//! What the API answers, and what is made of it.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};

use common::project::api::{Api, MAX_ANSWER};
use common::project::credentials::{Credentials, Kind, Scheme};
use common::project::request::HttpRequest;
use common::project::result::{Output, ToolResult};
use common::project::retry::MAX_RETRIES;
use common::{Sent, json, settings, stubbed};
use http::Response;
use rmcp::model::CallToolResult;
use serde_json::{Value, json};

/// The result of an answer, and what was sent for it.
async fn call(
    method: &'static str,
    output: Output,
    answer: impl Fn() -> Response<Vec<u8>> + Send + Sync + 'static,
) -> (ToolResult, Vec<Sent>) {
    let (api, stub) = stubbed(answer);
    let request = HttpRequest::new(method, "/things");
    let result = api.call(request, output).await.unwrap();
    (result, stub.sent())
}

/// The result as clients see it.
fn shown(result: ToolResult) -> Value {
    serde_json::to_value(CallToolResult::from(result)).unwrap()
}

fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Response<Vec<u8>> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(body.to_vec()).unwrap()
}

#[tokio::test]
async fn json_is_text_and_structure_and_its_numbers_are_exact() {
    let body = r#"{"b":10000000000000000000000001,"a":1.0}"#;
    let (result, _) = call("GET", Output::Object, || json(body)).await;

    let shown = shown(result);
    assert_eq!(shown["content"][0]["text"], body);
    assert_eq!(shown["structuredContent"].to_string(), body);
    assert!(shown.get("isError").is_none());
}

#[tokio::test]
async fn a_list_is_wrapped_and_an_empty_answer_is_no_error() {
    let (result, _) = call("GET", Output::Wrapped, || json("[1]")).await;
    assert_eq!(shown(result)["structuredContent"], json!({"result": [1]}));

    let (result, _) = call("GET", Output::Object, || answer(204, &[], b"")).await;
    let shown = shown(result);
    assert_eq!(shown["content"][0]["text"], "HTTP 204 No Content");
    assert_eq!(shown["structuredContent"], json!({}));
}

#[tokio::test]
async fn another_shape_is_returned_and_flagged() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    for (body, why) in [
        ("{broken", "not valid JSON"),
        ("[1]", "promises a JSON object"),
        ("1.0", "promises a JSON object"),
        (&deep, "nests deeper"),
    ] {
        let text = body.to_owned();
        let (result, _) = call("GET", Output::Object, move || json(&text)).await;

        let shown = shown(result);
        let reason = shown["content"][0]["text"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
        assert_eq!(shown["content"][1]["text"], body);
        assert_eq!(shown["isError"], true);
    }
}

#[tokio::test]
async fn a_large_answer_is_there_once() {
    let body = format!(r#"{{"a":"{}"}}"#, "ü".repeat(40_000));
    let text = body.clone();
    let (result, _) = call("GET", Output::Object, move || json(&text)).await;

    let shown = shown(result);
    let text = shown["content"][0]["text"].as_str().unwrap();
    assert!(text.len() < 2_000 && text.contains("has all of them]"));
    assert_eq!(shown["structuredContent"].to_string(), body);
}

#[tokio::test]
async fn errors_say_status_reason_and_body() {
    let slow = || answer(429, &[("retry-after", "60")], b"slow down");
    let (result, _) = call("GET", Output::Object, slow).await;

    let shown = shown(result);
    let text = "HTTP 429 Too Many Requests (Retry-After: 60)\nslow down";
    assert_eq!(shown["content"][0]["text"], text);
    assert_eq!(shown["isError"], true);
}

#[tokio::test]
async fn what_is_safe_to_repeat_goes_again_when_asked_to() {
    for (retry_after, repeats) in [
        ("0", true),
        ("Sun, 06 Nov 1994 08:49:37 GMT", true),
        ("Sun Nov  6 08:49:37 1994", true),
        ("soon", false),
        ("1.5", false),
        ("", false),
        ("11", false),
        ("99999999999999999999999", false),
    ] {
        let refusal = move || answer(503, &[("retry-after", retry_after)], b"");
        let (result, sent) = call("GET", Output::None, refusal).await;
        let expected = if repeats { 1 + MAX_RETRIES } else { 1 };
        assert_eq!(
            (result.is_error, sent.len()),
            (true, expected),
            "{retry_after}"
        );
        let (_, sent) = call("POST", Output::None, refusal).await;
        assert_eq!(sent.len(), 1);
    }
}

#[tokio::test]
async fn images_are_images_and_other_bytes_a_resource_without_secrets() {
    let image = || answer(200, &[("content-type", "image/png")], &[1]);
    let (result, _) = call("GET", Output::None, image).await;
    let expected = json!({"type": "image", "data": "AQ==", "mimeType": "image/png"});
    assert_eq!(shown(result)["content"][0], expected);

    let bytes = || answer(200, &[("content-type", "text/plain")], &[255]);
    let (result, _) = call("GET", Output::None, bytes).await;
    let resource = shown(result)["content"][0]["resource"].clone();
    assert_eq!(resource["uri"], "http://api.test/base/things");
    assert_eq!(resource["blob"], "/w==");
}

#[tokio::test]
async fn secrets_go_where_their_scheme_says() {
    let scheme = |name, kind| Scheme {
        name,
        variable: "",
        kind,
    };
    let schemes = [
        scheme("q", Kind::Query("k y")),
        scheme("c", Kind::Cookie("c")),
        scheme("b", Kind::Basic),
        scheme("t", Kind::Bearer),
    ];
    let secrets = [("q", "1&"), ("c", "2;"), ("b", "user:ü")];
    let secrets = secrets.map(|(name, secret)| (name.to_owned(), secret.into()));
    let credentials = Credentials {
        headers: vec![("X-All".to_owned(), "yes".into())],
        bearer: Some("token".into()),
        schemes: HashMap::from(secrets),
        ..Credentials::default()
    };
    for (security, url, header) in [
        (&["q", "c"][..], "/?k%20y=1%26", ("cookie", "c=2%3B")),
        (&["b"], "/", ("authorization", "Basic dXNlcjrDvA==")),
        (&["t"], "/", ("authorization", "Bearer token")),
        (&[], "/", ("x-all", "yes")),
    ] {
        let mut request = HttpRequest::new("GET", "/");
        request.security(&["none"]);
        request.security(security);
        credentials.authorize(&mut request, &schemes);
        let shown = format!("{request:?}");
        assert!(!shown.contains("token") && !shown.contains("yes"));
        let (api, stub) = stubbed(|| json("{}"));
        api.call(request, Output::None).await.unwrap();

        let sent = &stub.sent()[0];
        assert_eq!(sent.url, format!("http://api.test/base{url}"));
        let (name, value) = header;
        let header = (name.to_owned(), value.to_owned());
        assert!(sent.headers.contains(&header), "{sent:?}");
    }
    let shown = format!("{credentials:?}");
    assert!(
        !shown.contains("token") && !shown.contains("yes"),
        "{shown}"
    );
}

#[tokio::test]
async fn redirects_stay_at_the_origin_and_are_bounded() {
    let elsewhere = || answer(302, &[("location", "https://other.test/things")], b"");
    let (result, sent) = call("GET", Output::None, elsewhere).await;
    let text = shown(result)["content"][0]["text"].to_string();
    assert!(text.contains("another origin, https://other.test, which is not followed"));
    assert_eq!(sent.len(), 1);

    let moved = || answer(307, &[("location", "/things")], b"");
    let (result, sent) = call("POST", Output::None, moved).await;
    let text = shown(result)["content"][0]["text"].to_string();
    assert!(text.contains("redirected more than 5 times"), "{text}");
    let methods: Vec<_> = sent.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["POST"; 6]);
}

#[tokio::test]
async fn a_bad_secret_is_not_repeated() {
    let mut settings = settings();
    settings.credentials.headers = vec![("X-Key".to_owned(), "s3cret\n".into())];
    let api = Api::new(settings).unwrap();

    let request = HttpRequest::new("GET", "/things");
    let result = api.call(request, Output::None).await.unwrap();

    let text = shown(result)["content"][0]["text"].to_string();
    assert!(
        text.contains("`x-key` has characters that a header cannot hold"),
        "{text}"
    );
    assert!(!text.contains("s3cret"));
}

#[tokio::test]
async fn failures_of_the_network_are_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut settings = settings();
    settings.base_url = format!("http://a:b%20c@{address}/base").parse().unwrap();
    let api = Api::new(settings).unwrap();
    let serving = std::thread::spawn(move || {
        let mut heads = Vec::new();
        for answer in ["", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            heads.push(String::from_utf8_lossy(&head[..length]).into_owned());
            stream.write_all(answer.as_bytes()).unwrap();
        }
        heads
    });
    let told = async || {
        let request = HttpRequest::new("POST", "/it");
        shown(api.call(request, Output::None).await.unwrap())["content"][0]["text"].to_string()
    };

    let dropped = told().await;
    let doubt = "The request may have been carried out all the same";
    assert!(dropped.contains("did not answer as HTTP asks"), "{dropped}");
    assert!(dropped.contains(doubt), "{dropped}");
    assert_eq!(told().await, r#""{}""#);
    let heads = serving.join().unwrap();
    assert!(
        heads[1].starts_with("POST /base/it HTTP/1.1\r\n"),
        "{heads:?}"
    );
    assert!(
        heads[1].contains("authorization: Basic YTpiIGM=\r\n"),
        "{heads:?}"
    );
    let refused = told().await;
    let expected = format!("The API at {address} could not be reached: connection refused");
    assert_eq!(refused, format!("\"{expected}\""));
}

#[tokio::test]
async fn a_long_answer_comes_in_pieces() {
    let whole = "aü€🦀".repeat(MAX_ANSWER / 7);
    let size = whole.len();
    let body = whole.clone().into_bytes();
    let (api, _) = stubbed(move || answer(200, &[("content-type", "text/plain")], &body));
    let (mut place, mut pieces) = (None, String::new());
    for at in 0..2 {
        let mut request = HttpRequest::new("GET", "/things");
        request.rest("rest", place.as_ref()).unwrap();
        let shown = shown(api.call(request, Output::None).await.unwrap());
        pieces.push_str(shown["content"][0]["text"].as_str().unwrap());
        let note = shown["content"][1]["text"].as_str().unwrap();
        if at == 0 {
            assert!(note.starts_with("[cut: bytes 0 to 10485760 of "), "{note}");
            let (_, next) = note.rsplit_once("rest=").unwrap();
            place = Some(next.trim_end_matches(']').to_owned());
        } else {
            let end = format!(" to {size} of {size} are given: this is the end]");
            assert!(note.ends_with(&end), "{note}");
        }
    }
    assert!(pieces == whole);
}

#[tokio::test]
async fn an_answer_that_changed_has_no_rest_and_a_place_is_one_that_an_answer_named() {
    let (api, _) = stubbed(|| answer(200, &[], b"other"));
    let mut request = HttpRequest::new("GET", "/things");
    let place = "3.AAAAAAAAAAAAAAAAAAAAAA";
    request.rest("rest", Some(&place)).unwrap();
    let shown = shown(api.call(request, Output::None).await.unwrap());
    assert_eq!(shown["isError"], true);
    let text = shown["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("is not what it was before"), "{text}");

    for place in ["", "1", "1.", "-1.AAAAAAAAAAAAAAAAAAAAAA", "1.AAAA"] {
        let mut request = HttpRequest::new("GET", "/things");
        let error = request.rest("rest", Some(&place)).unwrap_err();
        assert!(error.to_string().contains("is none that an answer named"));
    }
}

/// The API at a server that answers one request with a head, a part, and a second one once it may.
fn streaming(head: &str, first: &str, then: &str) -> (Api, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = settings();
    settings.base_url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let begin = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{first}");
    let (go, gate) = mpsc::channel();
    let then = then.to_owned();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(begin.as_bytes()).unwrap();
        let _: Result<(), _> = gate.recv();
        stream.write_all(then.as_bytes()).unwrap();
    });
    (Api::new(settings).unwrap(), go)
}

#[tokio::test]
async fn a_stream_is_told_while_it_comes() {
    let long = "x".repeat(5000) + "\n";
    let shortened = "x".repeat(4096) + "…";
    for (kind, first, then, told) in [
        (
            "Text/Event-Stream; charset=utf-8",
            ": hello\n\nevent: step\ndata: a\ndata:b\nid: 1\n\nretry: 3\r\n\r\ndata: ü\r\n\r\n",
            "data: unfinished",
            ["a\nb", "ü"],
        ),
        (
            "application/jsonl",
            "{\"n\": 1}\n\n\u{1e}{\"n\": 2}\r\n{\"n\"",
            "",
            ["{\"n\": 1}", "{\"n\": 2}"],
        ),
        (
            "application/x-ndjson",
            &format!("{long}1\n"),
            "2",
            [&*shortened, "1"],
        ),
    ] {
        let (api, go) = streaming(&format!("content-type: {kind}"), first, then);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hears = heard.clone();
        let api = api.telling(Arc::new(move |message| {
            let mut heard = hears.lock().unwrap();
            heard.push(message);
            if heard.len() == 2 {
                go.send(()).unwrap();
            }
            Box::pin(async {})
        }));
        let result = api.call(HttpRequest::new("GET", "/things"), Output::None);
        let shown = shown(result.await.unwrap());

        assert_eq!(*heard.lock().unwrap(), told);
        let text = json!([{"type": "text", "text": format!("{first}{then}")}]);
        assert_eq!(shown["content"], text);
    }
}

#[tokio::test]
async fn of_a_stream_that_goes_on_whole_lines_stay() {
    let begin = "data: 1\n\ndata: unfinish";
    let kind = ("content-type", "text/event-stream");
    let much = [begin.as_bytes(), &vec![b'x'; MAX_ANSWER]].concat();
    let (over, _) = stubbed(move || answer(200, &[kind], &much));
    let head = "content-type: text/event-stream\r\ncontent-length: 100";
    let (broken, go) = streaming(head, begin, "");
    drop(go);
    for (api, why) in [(over, "is over 10 MiB"), (broken, "broke off: ")] {
        let result = api.call(HttpRequest::new("GET", "/things"), Output::None);
        let shown = shown(result.await.unwrap());

        assert!(shown.get("isError").is_none(), "{shown}");
        assert_eq!(shown["content"][0]["text"], "data: 1\n\n");
        let note = shown["content"][1]["text"].as_str().unwrap();
        assert!(
            note.starts_with(&format!("[cut: the stream {why}")),
            "{note}"
        );
        assert!(note.ends_with("; 9 bytes of it are given]"), "{note}");
    }
}
