//! The registry of a gateway, written without it: a command for each of ten thousand servers would take
//! longer than what is measured.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::connection::Connection;
use mcphub_core::platform::{Platform, PublishRequest};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_core::tool::ToolChoices;
use mcphub_store::{MasterKeys, StoreSettings};

/// What a gateway serves.
pub struct Seed(Platform);

impl Seed {
    pub async fn open(file: &Path, master_key: &str) -> Self {
        let keys = MasterKeys::from_text(master_key).expect("a key");
        let settings = StoreSettings::new(file.to_string_lossy()).with_master_keys(keys);
        let store = mcphub_store::connect(&settings).await.expect("a store");
        let (parser, planner) = (OpenApiParser::default(), ToolPlanner::default());
        let platform = Platform::new(Arc::new(parser), Arc::new(planner), Arc::new(store));
        Self(platform)
    }

    /// Registers a server, whose tools the gateway asks for. Another `turn` is another place, where it
    /// lists something else.
    pub async fn save(&self, server: usize, upstreams: SocketAddr, turn: usize) {
        let url = format!("http://{upstreams}/modern/{server}/{turn}/mcp");
        let mut credentials = Credentials::default();
        let connection = Connection::http(url.parse().expect("a URL"), &mut credentials);
        let connection = connection.expect("a connection");
        let request = PublishRequest {
            document: connection.document(Vec::new()).expect("a document"),
            name: Some(ServerName::new(format!("s{server}")).expect("a name")),
            serve: connection.serve(),
            base_url: None,
            credentials,
            choices: ToolChoices::default(),
        };
        let prepared = self.0.prepare(request).expect("a server");
        let published = self.0.publish(prepared).await.expect("it is registered");
        assert!(published.changed);
    }
}
