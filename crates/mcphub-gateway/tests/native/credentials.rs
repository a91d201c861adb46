//! Credentials go where the operation asks for them, and nowhere else.

use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;

use crate::bank::text;
use crate::bookshop::native;
use crate::recording_api::{RecordingApi, Reply};

const KEY: &str = "k3y-of-the-shop";
const TOKEN: &str = "t0ken-of-the-shop";

fn credentials() -> Credentials {
    let mut credentials = Credentials {
        bearer: Some(TOKEN.into()),
        ..Credentials::default()
    };
    credentials.schemes.insert("key".to_owned(), KEY.into());
    credentials
}

#[tokio::test]
async fn each_operation_gets_what_it_asks_for() {
    let server = RecordingApi::start(|_| Reply::json("{}")).await;
    let api = native(&server.url, credentials());
    for tool in ["public", "private", "either"] {
        assert!(!api.call(tool, &Arguments::default()).await.is_error);
    }
    let [public, private, either] = server.requests().try_into().unwrap();
    assert_eq!(
        (public.target.as_str(), public.header("authorization")),
        ("/public", None)
    );
    assert_eq!(
        private.header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
    assert_eq!(private.target, "/private");
    assert_eq!(either.target, format!("/either?api_key={KEY}"));
    assert_eq!(either.header("authorization"), None);
}

#[tokio::test]
async fn explicit_headers_go_with_every_call() {
    let server = RecordingApi::start(|_| Reply::json("{}")).await;
    let mut credentials = Credentials::default();
    credentials.headers.push(("X-Shop".to_owned(), "s".into()));
    native(&server.url, credentials)
        .call("public", &Arguments::default())
        .await;
    assert_eq!(server.request().header("x-shop"), Some("s"));
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed() {
    let server = RecordingApi::start(|request| match request.target.as_str() {
        "/private" => Reply::redirect(302, "/moved"),
        _ => Reply::json(r#"{"moved":true}"#),
    })
    .await;
    let result = native(&server.url, credentials())
        .call("private", &Arguments::default())
        .await;
    assert_eq!(text(&result), r#"{"moved":true}"#);
    assert_eq!(
        server.requests()[1].header("authorization"),
        Some(format!("Bearer {TOKEN}").as_str())
    );
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_reported_and_nothing_arrives_there() {
    let other = RecordingApi::start(|_| Reply::json("{}")).await;
    let target = format!("{}steal?api_key=x", other.url);
    for status in [301, 302, 303, 307, 308] {
        let target = target.clone();
        let server = RecordingApi::start(move |_| Reply::redirect(status, &target)).await;
        let result = native(&server.url, credentials())
            .call("private", &Arguments::default())
            .await;
        assert!(result.is_error);
        assert_eq!(
            text(&result),
            format!(
                "The API at {} answered HTTP {status} with a redirect to another origin, http://{}, which is not followed",
                server.host(),
                other.host()
            )
        );
    }
    assert!(other.requests().is_empty());
}

#[tokio::test]
async fn redirects_that_do_not_end_are_given_up() {
    let server = RecordingApi::start(|_| Reply::redirect(302, "/again")).await;
    let result = native(&server.url, credentials())
        .call("public", &Arguments::default())
        .await;
    assert_eq!(
        text(&result),
        format!(
            "The API at {} redirected more than 5 times; the call was given up",
            server.host()
        )
    );
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn no_failure_shows_a_credential() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let garbage = RecordingApi::start(|_| Reply::Raw(b"garbage\r\n\r\n".to_vec())).await;
    let broken = RecordingApi::start(|_| {
        Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec())
    })
    .await;
    let image = RecordingApi::start(|_| Reply::Whole(200, "application/pdf", vec![1])).await;
    let refusing = format!("http://{free}/").parse().unwrap();
    for url in [&refusing, &garbage.url, &broken.url, &image.url] {
        let mut url = url.clone();
        url.set_username("shop").unwrap();
        url.set_password(Some("passw0rd")).unwrap();
        let api = native(&url, credentials());
        for tool in ["private", "either"] {
            let result =
                serde_json::to_string(&api.call(tool, &Arguments::default()).await).unwrap();
            for secret in [KEY, TOKEN, "passw0rd"] {
                assert!(!result.contains(secret), "{result}");
            }
        }
        let shown = format!("{api:?}");
        assert!(
            !shown.contains(KEY) && !shown.contains(TOKEN) && !shown.contains("passw0rd"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_credential_that_no_header_can_hold_is_not_repeated() {
    let bearer = Some("s3cret\nX-Admin: yes".into());
    let credentials = Credentials {
        bearer,
        ..Credentials::default()
    };
    let result = native(&"http://127.0.0.1:9/".parse().unwrap(), credentials)
        .call("private", &Arguments::default())
        .await;
    assert_eq!(
        text(&result),
        "The value for the HTTP header `authorization` has characters that a header cannot hold"
    );
}
