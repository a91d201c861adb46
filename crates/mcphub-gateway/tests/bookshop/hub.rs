//! A gateway with the bookshop.

use std::sync::Arc;

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::catalog::{
    Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream as Target,
};
use mcphub_core::secret::Credentials;
use mcphub_core::server::ServerName;
use mcphub_gateway::Gateway;
use mcphub_gateway::upstream::UpstreamSettings;
use mcphub_gateway::upstream::native::NativeSettings;
use url::Url;

#[derive(Debug)]
struct Fixed(Arc<CatalogServer>);

#[async_trait]
impl CatalogSource for Fixed {
    async fn version(&self) -> Result<CatalogVersion> {
        Ok(CatalogVersion::default())
    }

    async fn catalog(&self) -> Result<Catalog> {
        Ok(Catalog {
            version: CatalogVersion::default(),
            servers: vec![Arc::clone(&self.0)],
            ..Catalog::default()
        })
    }
}

/// A gateway whose one server, `shop`, is the bookshop at `api`.
pub async fn gateway(api: &Url, change: impl FnOnce(&mut NativeSettings)) -> Gateway {
    super::install_crypto();
    let server = CatalogServer {
        name: ServerName::new("shop").unwrap(),
        revision: CatalogVersion::default(),
        tools: super::bookshop(),
        upstream: Target::Native {
            base_url: api.clone(),
            credentials: Credentials::default(),
        },
    };
    let mut upstreams = UpstreamSettings::default();
    change(&mut upstreams.native);
    let gateway = Gateway::builder(Arc::new(Fixed(Arc::new(server))))
        .upstreams(upstreams)
        .build()
        .unwrap();
    gateway.refresh().await.unwrap();
    gateway
}
