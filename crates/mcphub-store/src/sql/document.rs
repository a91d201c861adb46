//! Documents: the bytes of each once in a tenant, and which server has or had which.

use async_trait::async_trait;
use mcphub_core::Result;
use mcphub_core::server::ServerName;
use mcphub_core::spec::Document;
use mcphub_core::store::{DocumentListing, DocumentStore, DocumentVersion};

use super::failure::Failure;
use super::server::number;
use super::statement::{Row, Statement};
use super::{Session, SqlStore, page_limit};

const CURRENT: &str = "
    SELECT version.source, document.bytes
    FROM server
    JOIN document_version AS version ON version.server_id = server.id AND version.current = 1
    JOIN document
      ON document.tenant_id = version.tenant_id AND document.digest = version.digest
    WHERE server.tenant_id = $1 AND server.name = $2 AND server.removed_at IS NULL";

const AT: &str = "
    SELECT version.source, document.bytes
    FROM server
    JOIN document_version AS version ON version.server_id = server.id AND version.revision = $3
    JOIN document
      ON document.tenant_id = version.tenant_id AND document.digest = version.digest
    WHERE server.tenant_id = $1 AND server.name = $2 AND server.removed_at IS NULL";

const VERSIONS: &str = "
    SELECT version.revision, version.uploaded_at, version.source, version.digest, version.current,
           CAST(length(document.bytes) AS BIGINT) AS size
    FROM server
    JOIN document_version AS version ON version.server_id = server.id
    JOIN document
      ON document.tenant_id = version.tenant_id AND document.digest = version.digest
    WHERE server.tenant_id = $1 AND server.name = $2 AND server.removed_at IS NULL
      AND version.revision < $3
    ORDER BY version.revision DESC
    LIMIT $4";

/// Of the versions that a server has, the newest that is too many.
const TOO_MANY: &str = "
    SELECT revision FROM document_version
    WHERE server_id = $1
    ORDER BY revision DESC
    LIMIT 1 OFFSET $2";

#[async_trait]
impl DocumentStore for SqlStore {
    async fn document(&self, server: &ServerName) -> Result<Option<Document>> {
        let query = Statement::new(CURRENT)
            .bind(self.tenant_id)
            .bind(server.as_str());
        let outcome = self.read_document(query).await;
        self.explain("store::document", outcome)
    }

    async fn document_versions(
        &self,
        server: &ServerName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<DocumentListing> {
        let outcome = self.read_versions(server, before, limit).await;
        self.explain("store::document_versions", outcome)
    }

    async fn document_at(&self, server: &ServerName, revision: u64) -> Result<Option<Document>> {
        let query = Statement::new(AT)
            .bind(self.tenant_id)
            .bind(server.as_str())
            .bind(i64::try_from(revision).unwrap_or(i64::MAX));
        let outcome = self.read_document(query).await;
        self.explain("store::document_at", outcome)
    }
}

impl SqlStore {
    async fn read_document(&self, query: Statement) -> Result<Option<Document>, Failure> {
        let row = self.engine().read().await?.fetch_optional(query).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Document {
            source: row.get("source")?,
            bytes: row.get::<Vec<u8>>("bytes")?.into(),
        }))
    }

    async fn read_versions(
        &self,
        server: &ServerName,
        before: Option<u64>,
        limit: u32,
    ) -> Result<DocumentListing, Failure> {
        page_limit(limit)?;
        let before = before.unwrap_or(u64::MAX);
        // One more than asked for tells whether there is a next page.
        let query = Statement::new(VERSIONS)
            .bind(self.tenant_id)
            .bind(server.as_str())
            .bind(i64::try_from(before).unwrap_or(i64::MAX))
            .bind(limit + 1);
        let rows = self.engine().read().await?.fetch_all(query).await?;
        let versions = rows.iter().take(limit as usize).map(version);
        let versions: Vec<_> = versions.collect::<Result<_, Failure>>()?;
        let last = versions.last().filter(|_| rows.len() > limit as usize);
        let next = last.map(|last| last.revision);
        Ok(DocumentListing { versions, next })
    }
}

/// Deletes the versions of a server that are too many. The current one is the newest.
pub(super) async fn prune(
    session: &mut Session,
    tenant_id: i64,
    server_id: i64,
) -> Result<(), Failure> {
    let query = Statement::new(TOO_MANY)
        .bind(server_id)
        .bind(DocumentVersion::KEPT);
    let Some(row) = session.fetch_optional(query).await? else {
        return Ok(());
    };
    let newest: i64 = row.get("revision")?;
    let digests = "SELECT DISTINCT digest FROM document_version
        WHERE server_id = $1 AND revision <= $2";
    let digests = Statement::new(digests).bind(server_id).bind(newest);
    let digests = session.fetch_all(digests).await?;
    let old = "DELETE FROM document_version WHERE server_id = $1 AND revision <= $2";
    let old = Statement::new(old).bind(server_id).bind(newest);
    session.execute(old).await?;
    forget(session, tenant_id, &digests).await
}

/// The digests of all documents that a server has or had.
pub(super) async fn digests(session: &mut Session, server_id: i64) -> Result<Vec<Row>, Failure> {
    let query = "SELECT DISTINCT digest FROM document_version WHERE server_id = $1";
    session
        .fetch_all(Statement::new(query).bind(server_id))
        .await
}

/// Deletes those of the documents that no server of the tenant has any more.
pub(super) async fn forget(
    session: &mut Session,
    tenant_id: i64,
    digests: &[Row],
) -> Result<(), Failure> {
    for row in digests {
        let orphan = "DELETE FROM document
            WHERE tenant_id = $1 AND digest = $2 AND NOT EXISTS
                (SELECT 1 FROM document_version WHERE tenant_id = $1 AND digest = $2)";
        let orphan = Statement::new(orphan)
            .bind(tenant_id)
            .bind(row.get::<String>("digest")?);
        session.execute(orphan).await?;
    }
    Ok(())
}

fn version(row: &Row) -> Result<DocumentVersion, Failure> {
    Ok(DocumentVersion {
        revision: number(row.get("revision")?)?,
        uploaded_at: row.get("uploaded_at")?,
        source: row.get("source")?,
        digest: row.get("digest")?,
        size: number(row.get("size")?)?,
        current: row.get::<i64>("current")? == 1,
    })
}
