//! Native tools against the answers table, and what of their answers depends on the network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;
use mcphub_core::tool::{HttpBinding, PLAN_VERSION};
use mcphub_gateway::upstream::Upstream;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use serde_json::{Value, json};

use crate::answers;
use crate::answers::{PageAnswer, PagesRow};
use crate::bookshop;
use crate::recording_api::{RecordingApi, Reply};

/// What the API answers, by path and query, and the body after a space.
type Answers = Arc<Mutex<BTreeMap<String, PageAnswer>>>;

async fn api() -> (RecordingApi, Answers) {
    let answers = Answers::default();
    let known = Arc::clone(&answers);
    let server = RecordingApi::start(move |request| {
        let target = request.target.trim_start_matches("/base").to_owned();
        let mut target = target.replace("&key=s3cret", "").replace("?key=s3cret", "");
        if !request.body.is_empty() {
            target.push(' ');
            target.push_str(&request.body);
        }
        match known.lock().unwrap().remove(&target) {
            Some(page) => reply(&page),
            None => Reply::Whole(404, "text/plain", target.into_bytes()),
        }
    })
    .await;
    (server, answers)
}

fn reply(page: &PageAnswer) -> Reply {
    let body = page.body.to_string();
    let link = page
        .link
        .as_ref()
        .map_or_else(String::new, |link| format!("link: {link}\r\n"));
    let head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\n{link}content-length: {}\r\n\r\n",
        page.status,
        body.len()
    );
    Reply::Raw([head, body].concat().into_bytes())
}

/// A server with one tool.
fn native(
    server: &RecordingApi,
    binding: &HttpBinding,
    change: impl FnOnce(&mut NativeSettings),
) -> NativeApi {
    bookshop::install_crypto();
    let set = json!({
        "planVersion": PLAN_VERSION, "api": {"title": "T", "version": "1", "dialect": "openapi-3.0"},
        "servers": [], "definitions": [],
        "securitySchemes": {"key": {"type": "apiKey", "in": "query", "name": "key"}},
        "tools": [{
            "name": "t", "description": "", "input": {"root": {"type": "object"}},
            "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true},
            "binding": binding,
        }],
    });
    let mut credentials = Credentials::default();
    credentials
        .schemes
        .insert("key".to_owned(), "s3cret".into());
    let mut settings = NativeSettings::default();
    change(&mut settings);
    let url = server.url.join("/base").unwrap();
    NativeApi::new(
        Arc::new(serde_json::from_value(set).unwrap()),
        url,
        credentials,
        settings,
    )
    .unwrap()
}

async fn call(api: &NativeApi, arguments: &Value) -> Vec<String> {
    let arguments = arguments.to_string();
    let arguments = Arguments::parse(&arguments).unwrap();
    let result = Upstream::call(api, "t", &arguments).await.unwrap();
    let result: Value = serde_json::from_slice(result.as_bytes()).unwrap();
    let content = result["content"].as_array().unwrap().iter();
    content
        .map(|item| item["text"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn fields_leave_what_the_table_says() {
    let (server, answers) = api().await;
    let native = native(&server, &answers::fields_binding(), |_| {});
    for row in answers::fields().into_iter().flat_map(|group| group.rows) {
        let page = PageAnswer {
            status: 200,
            link: None,
            body: row.answer.clone(),
        };
        answers.lock().unwrap().insert("/fixed".to_owned(), page);
        let asked = server.requests().len();
        let texts = call(&native, &json!({"fields": row.fields})).await;
        match &row.left {
            Some(left) => {
                assert_eq!(
                    serde_json::from_str::<Value>(&texts[0]).unwrap(),
                    *left,
                    "{:?}",
                    row.fields
                );
                assert_eq!(texts.get(1), row.note().as_ref(), "{:?}", row.fields);
            }
            None => {
                assert!(
                    texts[0].starts_with("Invalid arguments for t:\n- fields: "),
                    "{texts:?}"
                );
                assert_eq!(server.requests().len(), asked, "nothing is sent");
            }
        }
    }
}

#[tokio::test]
async fn pages_become_one_as_the_table_says() {
    for group in answers::pages() {
        let (server, answers) = api().await;
        let native = native(&server, &group.binding(), |_| {});
        for PagesRow {
            name,
            pages,
            mut arguments,
            answers: pages_of,
            merged,
            note,
        } in group.rows
        {
            *answers.lock().unwrap() = pages_of;
            arguments.insert("pages".to_owned(), pages.into());
            let texts = call(&native, &arguments.into()).await;
            assert_eq!(
                serde_json::from_str::<Value>(&texts[0]).unwrap(),
                merged,
                "{name}"
            );
            assert_eq!(texts.get(1), note.as_ref(), "{name}");
            assert!(
                answers.lock().unwrap().is_empty(),
                "{name}: not everything is asked"
            );
        }
        for request in server.requests() {
            let secrets = request.target.matches("key=s3cret").count();
            assert_eq!(
                secrets, 1,
                "every page is asked with the credentials: {}",
                request.target
            );
        }
    }
}

#[tokio::test]
async fn pages_end_where_they_would_be_too_much_and_calls_take_turns() {
    let group = answers::pages().swap_remove(0);
    let server = RecordingApi::start(|request| {
        let count = server_page(&request.target);
        let body = json!({"data": ["x".repeat(80_000)], "meta": {"next": count + 1}});
        Reply::json(body.to_string())
    })
    .await;
    let native = native(&server, &group.binding(), |settings| {
        settings.max_response = 200_000;
        // Enough for one of these calls: two that waited for each other would never end.
        settings.max_held = 400_000;
    });
    let arguments = json!({"pages": 9});
    let calls = (0..4).map(|_| call(&native, &arguments));
    let told =
        "[2 pages read; more would be over 200000 bytes; there are more: call again with cursor=3]";
    for texts in futures::future::join_all(calls).await {
        assert_eq!(texts[1], told);
    }
}

/// The number of the page that a request asks for.
fn server_page(target: &str) -> u32 {
    let cursor = target.split("cursor=").nth(1).unwrap_or("1");
    cursor.split('&').next().unwrap().parse().unwrap()
}
