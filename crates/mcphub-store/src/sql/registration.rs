//! Saving: the one place that writes a server with its plan, document and credentials.

use bytes::Bytes;
use mcphub_core::audit::Action;
use mcphub_core::server::ServerName;
use mcphub_core::store::{Registration, Saved};
use mcphub_core::tool::PLAN_VERSION;
use mcphub_core::{Error, ErrorKind, Result};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::credential::{self, Entry};
use super::failure::Failure;
use super::server::{number, target};
use super::statement::Statement;
use super::tool::ToolRows;
use super::{Session, SqlStore, blocking, document, now};

const UPSERT: &str = "
    INSERT INTO server (tenant_id, name, title, source, serve, base_url, artifact, tools,
                        plan_version, revision, fingerprint, choices, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)
    ON CONFLICT (tenant_id, name) DO UPDATE SET
        title = excluded.title, source = excluded.source, serve = excluded.serve,
        base_url = excluded.base_url, artifact = excluded.artifact, tools = excluded.tools,
        plan_version = excluded.plan_version, revision = excluded.revision,
        fingerprint = excluded.fingerprint, choices = excluded.choices,
        updated_at = excluded.updated_at
    RETURNING id";

/// All that has to be known before a server is written, in one answer. There is always a row.
const BEFORE: &str = "
    SELECT server.id, server.revision, server.fingerprint, server.removed_at,
           (SELECT id FROM data_key WHERE current = 1) AS key_id,
           (SELECT digest FROM document WHERE tenant_id = $1 AND digest = $3) AS known
    FROM (SELECT 1) AS one
    LEFT JOIN server ON server.tenant_id = $1 AND server.name = $2";

/// What is there when a server is written.
struct Before {
    /// Its row, also of one that was removed.
    id: Option<i64>,
    /// Of the server, unless it was removed.
    revision: Option<i64>,
    fingerprint: Option<String>,
    removed: bool,
    /// The key that credentials are encrypted with, if there is one yet.
    key_id: Option<String>,
    /// Whether the document is stored.
    document: bool,
}

/// A registration as the tables hold it.
struct Rows {
    name: ServerName,
    title: String,
    source: String,
    serve: &'static str,
    base_url: Option<String>,
    artifact: Option<String>,
    tool_count: i64,
    tools: String,
    index: ToolRows,
    digest: String,
    bytes: Bytes,
    /// JSON.
    choices: String,
    fingerprint: String,
}

impl Rows {
    fn new(registration: &Registration, tenant_id: i64) -> Result<Self> {
        let unwritable = |error| Error::internal("a plan cannot be written").caused_by(error);
        let artifact = registration.artifact.as_ref().map(serde_json::to_string);
        let mut rows = Self {
            name: registration.name.clone(),
            // Postgres has no text with a NUL in it, and here it is for showing only.
            title: registration.tools.api.title.replace('\0', "\u{fffd}"),
            source: registration.document.source.clone(),
            serve: registration.serve.as_str(),
            base_url: registration.base_url.as_ref().map(ToString::to_string),
            artifact: artifact.transpose().map_err(unwritable)?,
            tool_count: i64::try_from(registration.tools.tools.len()).unwrap_or(i64::MAX),
            tools: serde_json::to_string(&registration.tools).map_err(unwritable)?,
            index: ToolRows::of_tools(registration, tenant_id)?,
            digest: registration.document.digest(),
            bytes: registration.document.bytes.clone(),
            choices: serde_json::to_string(&registration.choices).map_err(unwritable)?,
            fingerprint: String::new(),
        };
        rows.fingerprint = rows.fingerprint();
        Ok(rows)
    }

    /// The same for the same registration, and for no other. The tools carry their plan version.
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let optional = [&self.base_url, &self.artifact].map(Option::as_deref);
        let parts = [&self.source, self.serve, &self.digest, &self.tools].map(Some);
        // Servers from before there were choices keep the fingerprint that they have.
        let choices = Some(self.choices.as_str()).filter(|choices| *choices != "{}");
        let choices = choices.map(Some);
        for part in parts.into_iter().chain(optional).chain(choices) {
            // Each part with its length, and an absent one unlike an empty one.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hash.update(length.to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl SqlStore {
    /// Writes a registration; in place of `expected` only, if that is given.
    pub(super) async fn write(
        &self,
        registration: &Registration,
        expected: Option<u64>,
    ) -> Result<Saved, Failure> {
        let size = registration.document.bytes.len();
        if size > Self::MAX_DOCUMENT {
            return Err(
                Error::new(ErrorKind::TooLarge, "a document has at most 64 MiB")
                    .with("bytes", size)
                    .into(),
            );
        }
        // All that takes time is done before the lock is taken.
        let shared = registration.clone();
        let tenant_id = self.tenant_id;
        let rows = blocking(move || Rows::new(&shared, tenant_id)).await?;

        let mut session = self.engine().write(self.tenant_id).await?;
        let mut before = self.look(&mut session, &rows).await?;
        if let Some(expected) = expected {
            refuse_another_revision(&before, &rows.name, expected)?;
        }
        if let Some(revision) = self
            .same(&mut session, &before, &rows, registration)
            .await?
        {
            return Ok(Saved {
                revision,
                changed: false,
            });
        }
        if before.revision.is_none() {
            self.refuse_virtual_name(&mut session, &rows.name).await?;
        }
        let sealed = self.seal(&mut session, &before, registration).await?;
        if before.removed {
            // It gives way, and may take the document along that is to be written.
            self.forget_removed(&mut session, &rows.name, i64::MAX)
                .await?;
            (before.id, before.document) = (None, false);
        }
        let revision = self.insert(&mut session, &before, &rows, &sealed).await?;
        session.commit().await?;
        Ok(Saved {
            revision,
            changed: true,
        })
    }

    async fn look(&self, session: &mut Session, rows: &Rows) -> Result<Before, Failure> {
        let query = Statement::new(BEFORE)
            .bind(self.tenant_id)
            .bind(rows.name.as_str())
            .bind(&rows.digest);
        let row = session.fetch_one(query).await?;
        let removed = row.get::<Option<i64>>("removed_at")?.is_some();
        let revision: Option<i64> = row.get("revision")?;
        Ok(Before {
            id: row.get("id")?,
            revision: revision.filter(|_| !removed),
            fingerprint: row.get("fingerprint")?,
            removed,
            key_id: row.get("key_id")?,
            document: row.get::<Option<String>>("known")?.is_some(),
        })
    }

    /// The revision that is there, if it is equal.
    async fn same(
        &self,
        session: &mut Session,
        before: &Before,
        rows: &Rows,
        registration: &Registration,
    ) -> Result<Option<u64>, Failure> {
        let Some(revision) = before.revision else {
            return Ok(None);
        };
        if before.fingerprint.as_ref() != Some(&rows.fingerprint) {
            return Ok(None);
        }
        // Credentials that do not open are not equal: saving heals them.
        match self.load_credentials(session, &rows.name).await {
            Ok(stored) if stored.same_as(&registration.credentials) => Ok(Some(number(revision)?)),
            _ => Ok(None),
        }
    }

    /// Encrypts the credentials, with the key that is current in this transaction.
    async fn seal(
        &self,
        session: &mut Session,
        before: &Before,
        registration: &Registration,
    ) -> Result<Vec<Entry>, Failure> {
        if registration.credentials.is_empty() {
            return Ok(Vec::new());
        }
        let vault = match &before.key_id {
            Some(id) => self.keyring().vault(session, id).await?,
            None => self.keyring().add(session, true).await?,
        };
        let (name, credentials) = (&registration.name, &registration.credentials);
        Ok(credential::seal(
            &vault,
            &self.scope.tenant,
            name,
            credentials,
        )?)
    }

    async fn insert(
        &self,
        session: &mut Session,
        before: &Before,
        rows: &Rows,
        sealed: &[Entry],
    ) -> Result<u64, Failure> {
        let revision = session.tenant()?.next_revision();
        let upsert = Statement::new(UPSERT)
            .bind(self.tenant_id)
            .bind(rows.name.as_str())
            .bind(&rows.title)
            .bind(&rows.source)
            .bind(rows.serve)
            .bind(&rows.base_url)
            .bind(&rows.artifact)
            .bind(rows.tool_count)
            .bind(PLAN_VERSION)
            .bind(revision)
            .bind(&rows.fingerprint)
            .bind(&rows.choices)
            .bind(now());
        let id: i64 = session.fetch_one(upsert).await?.get("id")?;
        let plan = "INSERT INTO tool_set (server_id, json) VALUES ($1, $2)
            ON CONFLICT (server_id) DO UPDATE SET json = excluded.json";
        let plan = Statement::new(plan).bind(id).bind(&rows.tools);
        session.execute(plan).await?;
        rows.index.replace(session, id).await?;
        if !before.document {
            self.store_document(session, rows).await?;
        }
        if before.id.is_some() {
            outdate(session, id, rows).await?;
        }
        self.make_current(session, id, revision, rows).await?;
        if before.id.is_some() {
            document::prune(session, self.tenant_id, id).await?;
            credential::forget(session, id).await?;
        }
        credential::add(session, id, sealed).await?;
        let keys: Vec<&str> = sealed.iter().map(|(key, _)| key.as_str()).collect();
        let detail = json!({
            "revision": revision,
            "document": rows.digest,
            "serve": rows.serve,
            "tools": rows.tool_count,
            "credentials": keys,
        });
        self.record(session, Action::SERVER_SAVE, target(&rows.name), detail)
            .await?;
        Ok(number(revision)?)
    }

    /// Keeps the bytes.
    async fn store_document(&self, session: &mut Session, rows: &Rows) -> Result<(), Failure> {
        let bytes = "INSERT INTO document (tenant_id, digest, stored_at, bytes)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, digest) DO NOTHING";
        let bytes = Statement::new(bytes)
            .bind(self.tenant_id)
            .bind(&rows.digest)
            .bind(now())
            .bind(&rows.bytes);
        session.execute(bytes).await?;
        Ok(())
    }

    /// Marks the document as the server's, unless it is already.
    async fn make_current(
        &self,
        session: &mut Session,
        id: i64,
        revision: i64,
        rows: &Rows,
    ) -> Result<(), Failure> {
        let add = "INSERT INTO document_version
                (server_id, revision, tenant_id, digest, source, uploaded_at, current)
            SELECT $1, $2, $3, $4, $5, $6, 1
            WHERE NOT EXISTS
                (SELECT 1 FROM document_version WHERE server_id = $1 AND current = 1)";
        let add = Statement::new(add)
            .bind(id)
            .bind(revision)
            .bind(self.tenant_id)
            .bind(&rows.digest)
            .bind(&rows.source)
            .bind(now());
        session.execute(add).await?;
        Ok(())
    }
}

/// Keeps the document that the server had, as one of before, where it gets another.
async fn outdate(session: &mut Session, id: i64, rows: &Rows) -> Result<(), Failure> {
    let outdate = "UPDATE document_version SET current = 0
        WHERE server_id = $1 AND current = 1 AND (digest, source) <> ($2, $3)";
    let outdate = Statement::new(outdate)
        .bind(id)
        .bind(&rows.digest)
        .bind(&rows.source);
    session.execute(outdate).await?;
    Ok(())
}

fn refuse_another_revision(before: &Before, name: &ServerName, expected: u64) -> Result<()> {
    if before.revision.map(number).transpose()? == Some(expected) {
        return Ok(());
    }
    let message = "the server was changed by somebody else meanwhile; look at it again";
    Err(Error::new(ErrorKind::Conflict, message)
        .with("server", name)
        .with("expected revision", expected))
}
