//! Documents: the bytes of each once, and which server has which.

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::server::ServerName;
use mcphub_core::spec::Document;
use mcphub_core::store::DocumentStore;

use super::SqliteStore;
use super::failure::Failure;

const CURRENT: &str = "
    SELECT version.source, document.bytes
    FROM server
    JOIN document_version AS version ON version.server_id = server.id AND version.current = 1
    JOIN document ON document.digest = version.digest
    WHERE server.name = ?1";

#[async_trait]
impl DocumentStore for SqliteStore {
    async fn document(&self, server: &ServerName) -> Result<Option<Document>> {
        let outcome = self.current_document(server).await;
        self.explain("store::document", outcome)
    }
}

impl SqliteStore {
    async fn current_document(&self, server: &ServerName) -> Result<Option<Document>, Failure> {
        let row: Option<(String, Vec<u8>)> = sqlx::query_as(CURRENT)
            .bind(server.as_str())
            .fetch_optional(self.pools.readers())
            .await?;
        Ok(row.map(|(source, bytes)| Document {
            source,
            bytes: bytes.into(),
        }))
    }
}
