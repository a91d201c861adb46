//! Documents: the bytes of each once, and which server has which.

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::server::ServerName;
use mcphub_core::spec::Document;
use mcphub_core::store::DocumentStore;

use super::SqlStore;
use super::failure::Failure;
use super::statement::Statement;

const CURRENT: &str = "
    SELECT version.source, document.bytes
    FROM server
    JOIN document_version AS version ON version.server_id = server.id AND version.current = 1
    JOIN document ON document.digest = version.digest
    WHERE server.name = $1";

#[async_trait]
impl DocumentStore for SqlStore {
    async fn document(&self, server: &ServerName) -> Result<Option<Document>> {
        let outcome = self.current_document(server).await;
        self.explain("store::document", outcome)
    }
}

impl SqlStore {
    async fn current_document(&self, server: &ServerName) -> Result<Option<Document>, Failure> {
        let query = Statement::new(CURRENT).bind(server.as_str());
        let row = self.engine.read().await?.fetch_optional(query).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Document {
            source: row.get("source")?,
            bytes: row.get::<Vec<u8>>("bytes")?.into(),
        }))
    }
}
