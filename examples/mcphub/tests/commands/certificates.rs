//! Client certificates and authorities of one's own, from the environment, against a server that asks
//! for a certificate.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use rustls::ServerConfig;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;
use crate::common::gateway::Gateway;
use crate::common::sandbox::Sandbox;

/// An API behind TLS that tells whether it was shown a certificate, its document, and the files that
/// let calls in.
struct Bank {
    sandbox: Sandbox,
    spec: String,
    variables: [(&'static str, String); 3],
}

impl Bank {
    fn open() -> Self {
        let sandbox = Sandbox::new();
        let authority = Authority::new();
        let document = json!({
            "openapi": "3.1.0", "info": {"title": "Bank", "version": "1"},
            "servers": [{"url": format!("https://localhost:{}", serve(authority.server))}],
            "paths": {"/vault": {"get": {"operationId": "vault", "security": [{"tls": []}], "responses": {}}}},
            "components": {"securitySchemes": {"tls": {"type": "mutualTLS"}}},
        });
        let variables = [
            (
                "MCPHUB_CA_CERT",
                sandbox.write("authority.pem", &authority.certificate),
            ),
            (
                "MCPHUB_CLIENT_CERT",
                sandbox.write("client.pem", &authority.client),
            ),
            (
                "MCPHUB_CLIENT_KEY",
                sandbox.write("client.key", &authority.client_key),
            ),
        ];
        Self {
            spec: sandbox.write("bank.json", &document.to_string()),
            sandbox,
            variables,
        }
    }

    /// The binary, with the first of the variables set.
    fn mcphub(&self, variables: usize, args: &[&str]) -> Command {
        let mut command = self.sandbox.mcphub();
        let set = self.variables.iter().take(variables);
        command
            .args(args)
            .envs(set.map(|(name, file)| (name, file)));
        command
    }

    /// Calls the tool: the exit code and what was said.
    fn call(&self, variables: usize) -> (Option<i32>, String) {
        let mut command = self.mcphub(variables, &["call", &self.spec, "vault"]);
        ended(&mut command)
    }
}

fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Answers `{"shown": …}` to every request, until the test ends. The port.
fn serve(config: ServerConfig) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    thread::spawn(move || {
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                // A client that does not trust us goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let shown = stream.get_ref().1.peer_certificates().is_some();
                let body = format!("{{\"shown\":{shown}}}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                if stream.read(&mut [0; 4_096]).await.is_ok() {
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
    });
    port
}

#[test]
fn a_call_shows_the_certificate_of_the_environment_and_trusts_its_authority() {
    let bank = Bank::open();
    let (code, said) = bank.call(0);
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("certificate"), "{said}");
    let (code, said) = bank.call(1);
    assert_eq!((code, said.as_str()), (Some(0), "{\"shown\":false}\n"));
    // A certificate without its key.
    let (code, said) = bank.call(2);
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = bank.call(3);
    assert_eq!((code, said.as_str()), (Some(0), "{\"shown\":true}\n"));
}

#[test]
fn a_registration_keeps_the_certificate_of_the_environment() {
    let bank = Bank::open();
    let mut up = bank.mcphub(3, &["up", &bank.spec, "--listen", "127.0.0.1:0"]);
    let gateway = Gateway::serving(&mut up);
    let shown = json!({"shown": true}).to_string();
    let call =
        |gateway: &Gateway| gateway.call("bank_vault", &json!({}))["content"][0]["text"].clone();
    assert_eq!(call(&gateway), shown.as_str());
    assert!(gateway.stop().success());
    for (_, file) in &bank.variables {
        std::fs::remove_file(file).unwrap();
    }
    let gateway = Gateway::start(&bank.sandbox, &["serve"]);
    assert_eq!(call(&gateway), shown.as_str());
    assert!(gateway.stop().success());
    // It is in the store, and not in the clear.
    let stored = std::fs::read(Path::new(bank.sandbox.path()).join("mcphub.db")).unwrap();
    assert!(!stored.windows(11).any(|it| it == b"PRIVATE KEY"));
}

#[test]
fn a_file_that_is_no_certificate_is_refused_and_not_shown() {
    let bank = Bank::open();
    for (at, (name, file)) in bank.variables.iter().enumerate() {
        let before = std::fs::read(file).unwrap();
        std::fs::write(file, "s3cret, and no PEM").unwrap();
        let (code, said) = bank.call(3);
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(!said.contains("s3cret"), "{name}: {said}");
        std::fs::write(file, before).unwrap();
        let mut command = bank.mcphub(3, &["call", &bank.spec, "vault"]);
        let (code, said) = ended(command.env(bank.variables[at].0, "/no/such/file.pem"));
        assert_eq!(code, Some(2), "{name}: {said}");
        assert!(said.contains("/no/such/file.pem"), "{name}: {said}");
    }
}
