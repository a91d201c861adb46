//! Mutual TLS and authorities of one's own, against a server that asks for a certificate.

use std::sync::Arc;

use mcphub_core::ErrorKind;
use mcphub_core::secret::Credentials;
use mcphub_gateway::upstream::native::{NativeApi, NativeSettings};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::authority::Authority;
use crate::bank::{self, call};

/// An authority, a server of it that tells whether it was shown a certificate, and such a one.
struct World {
    url: Url,
    authority: String,
    identity: String,
}

impl World {
    async fn start() -> Self {
        let of = Authority::new();
        Self {
            url: serve(of.server).await,
            authority: of.certificate,
            identity: format!("{}{}", of.client, of.client_key),
        }
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            identity: Some(self.identity.as_str().into()),
            authorities: Some(self.authority.clone()),
            ..Credentials::default()
        }
    }
}

/// Answers `{"shown": …}` to every request.
async fn serve(config: ServerConfig) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let shown = stream.get_ref().1.peer_certificates().is_some();
                let body = format!("{{\"shown\":{shown}}}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let mut buffer = [0; 4_096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Url::parse(&format!("https://localhost:{port}/")).unwrap()
}

fn api(
    url: &Url,
    schemes: &Value,
    credentials: Credentials,
) -> Result<NativeApi, mcphub_core::Error> {
    let tools = bank::tools(
        schemes,
        &[("public", json!([])), ("private", json!([["tls"]]))],
    );
    NativeApi::new(
        Arc::new(tools),
        url.clone(),
        credentials,
        NativeSettings::default(),
    )
}

async fn shown(api: &NativeApi, tool: &str) -> bool {
    let result = call(api, tool).await;
    let text = serde_json::to_string(&result).unwrap();
    assert!(!result.is_error, "{text}");
    text.contains("true}")
}

#[tokio::test]
async fn a_certificate_is_shown_where_the_operation_asks_for_it() {
    let world = World::start().await;
    let declared = json!({"tls": {"type": "mutualTls"}});
    let api_declared = api(&world.url, &declared, world.credentials()).unwrap();
    assert!(!shown(&api_declared, "public").await);
    assert!(shown(&api_declared, "private").await);
    assert!(!shown(&api_declared, "public").await);
    // A document that says nothing of certificates leaves it to whoever gave one.
    let silent = api(&world.url, &json!({}), world.credentials()).unwrap();
    assert!(shown(&silent, "public").await);
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let world = World::start().await;
    let nobody = api(&world.url, &json!({}), Credentials::default()).unwrap();
    let result = call(&nobody, "public").await;
    let text = serde_json::to_string(&result).unwrap();
    assert!(result.is_error && text.contains("certificate"), "{text}");
    let trusting = Credentials {
        authorities: Some(world.authority.clone()),
        ..Credentials::default()
    };
    let trusting = api(&world.url, &json!({}), trusting).unwrap();
    assert!(!shown(&trusting, "public").await);
}

#[tokio::test]
async fn what_is_no_certificate_is_refused_without_being_shown() {
    let world = World::start().await;
    let (certificate, key) = world
        .identity
        .split_at(world.identity.find("-----BEGIN PRIVATE").unwrap());
    let other = World::start().await;
    let other_key = &other.identity[other.identity.find("-----BEGIN PRIVATE").unwrap()..];
    let mixed = format!("{certificate}{other_key}");
    for identity in ["s3cret", certificate, key, &mixed] {
        let credentials = Credentials {
            identity: Some(identity.into()),
            ..Credentials::default()
        };
        let error = api(&world.url, &json!({}), credentials).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let report = error.report();
        assert!(
            !report.contains("s3cret") && !report.contains("BEGIN"),
            "{report}"
        );
    }
    let credentials = Credentials {
        authorities: Some("no PEM".to_owned()),
        ..Credentials::default()
    };
    let error = api(&world.url, &json!({}), credentials).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
