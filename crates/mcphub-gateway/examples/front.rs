//! A gateway in front of MCP servers: `cargo run -p mcphub-gateway --example front -- ADDRESS NAME=URL…`
//! With a token in `FRONT_TOKEN`, who shows it as a bearer token is let in, and nobody else.
//!
//! All of them are at `/mcp`, and each untouched at `/mcp/NAME`. This is what a host of its own needs:
//! a catalogue of servers, a gateway over it, and a socket.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::catalog::{Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream};
use mcphub_core::deployment::Endpoint;
use mcphub_core::principal::{Authenticator, Principal, Refusal};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::spec::Dialect;
use mcphub_core::tenant::Actor;
use mcphub_core::tool::{ApiInfo, ToolSet};
use mcphub_gateway::{Gateway, Listener};

/// Servers that never change.
#[derive(Debug)]
struct Fixed(Vec<Arc<CatalogServer>>);

#[async_trait]
impl CatalogSource for Fixed {
    async fn version(&self) -> Result<CatalogVersion> {
        Ok(CatalogVersion::default())
    }

    async fn catalog(&self) -> Result<Catalog> {
        Ok(Catalog {
            version: CatalogVersion::default(),
            servers: self.0.clone(),
            ..Catalog::default()
        })
    }
}

/// Lets in who shows the one token.
#[derive(Debug)]
struct OneToken(SecretString);

#[async_trait]
impl Authenticator for OneToken {
    async fn authenticate(&self, token: &str) -> std::result::Result<Principal, Refusal> {
        if token != self.0.expose_secret() {
            return Err(Refusal::Unknown);
        }
        let holder = Actor::of("key", "front");
        Ok(Principal {
            id: holder.clone(),
            actor: holder,
            permissions: Arc::default(),
            expires_at: None,
        })
    }
}

fn server(argument: &str) -> std::result::Result<Arc<CatalogServer>, Box<dyn Error>> {
    let (name, url) = argument.split_once('=').ok_or("a server is NAME=URL")?;
    let api = ApiInfo {
        title: name.to_owned(),
        version: String::new(),
        dialect: Dialect::default(),
        description: None,
    };
    // Nothing is planned for a server that lists its tools by itself.
    let tools = ToolSet {
        api,
        servers: Vec::new(),
        security_schemes: Default::default(),
        tools: Vec::new(),
    };
    Ok(Arc::new(CatalogServer {
        name: ServerName::new(name)?,
        revision: CatalogVersion::default(),
        tools: Arc::new(tools),
        upstream: Upstream::Mcp(Endpoint {
            url: url.parse()?,
            headers: Vec::new(),
        }),
    }))
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().ok_or("usage: front ADDRESS NAME=URL…")?;
    let servers: Vec<_> = arguments
        .map(|argument| server(&argument))
        .collect::<std::result::Result<_, _>>()?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| "a crypto provider is installed already")?;
    let mut gateway = Gateway::builder(Arc::new(Fixed(servers)));
    if let Ok(token) = std::env::var("FRONT_TOKEN") {
        gateway = gateway.authenticator(Arc::new(OneToken(token.into())));
    }
    let gateway = gateway.build()?;
    gateway.refresh().await?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    tokio::select! {
        () = gateway.serve(Listener::new(listener), std::future::pending()) => {}
        () = gateway.run() => {}
    }
    Ok(())
}
