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
use super::{Session, SqlStore, blocking, document, now, virtual_server};

macro_rules! upsert {
    ($column:literal, $value:literal, $set:literal) => {
        concat!(
            "INSERT INTO server (tenant_id, name, title, source, serve, base_url, artifact, tools,
                                 plan_version, revision, indexed, fingerprint, choices, created_at,
                                 updated_at, read_only, additive, destructive",
            $column,
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11, $12, $13, $13, $14, $15, $16",
            $value,
            ") ON CONFLICT (tenant_id, name) DO UPDATE SET
                title = excluded.title, source = excluded.source, serve = excluded.serve,
                base_url = excluded.base_url, artifact = excluded.artifact, tools = excluded.tools,
                plan_version = excluded.plan_version, revision = excluded.revision,
                indexed = excluded.indexed, fingerprint = excluded.fingerprint,
                choices = excluded.choices, updated_at = excluded.updated_at,
                read_only = excluded.read_only, additive = excluded.additive,
                destructive = excluded.destructive",
            $set,
            " RETURNING id"
        )
    };
}

const UPSERT: (&str, &str) = (
    upsert!("", "", ""),
    upsert!(
        ", words",
        ", CAST($17 AS tsvector)",
        ", words = excluded.words"
    ),
);

/// All that has to be known before a server is written, in one answer. There is always a row.
const BEFORE: &str = "
    SELECT server.revision, server.fingerprint, server.removed_at,
           CASE WHEN server.indexed = server.revision THEN server.title END AS indexed_title,
           version.digest, version.source,
           (SELECT key_id FROM credential WHERE server_id = server.id LIMIT 1) AS sealed,
           (SELECT name FROM virtual_server WHERE tenant_id = $1 AND name = $2) AS virtual_name,
           (SELECT id FROM data_key WHERE current = 1) AS key_id,
           (SELECT digest FROM document WHERE tenant_id = $1 AND digest = $3) AS known
    FROM (SELECT 1) AS one
    LEFT JOIN server ON server.tenant_id = $1 AND server.name = $2
    LEFT JOIN document_version AS version ON version.server_id = server.id AND version.current = 1";

/// What is there when a server is written.
struct Before {
    /// What the server's row says, also of one that was removed.
    server: Option<Known>,
    /// Whether a virtual server has the name.
    is_virtual: bool,
    /// The key that credentials are encrypted with, if there is one yet.
    key_id: Option<String>,
    /// Whether the document is stored.
    document: bool,
}

/// A server that is there.
struct Known {
    revision: i64,
    fingerprint: String,
    removed: bool,
    /// The title, if the server is found by it.
    indexed_title: Option<String>,
    /// The digest and the source of its document.
    document: Option<(String, String)>,
    /// Whether it has credentials.
    sealed: bool,
}

impl Before {
    /// The server, unless it was removed.
    fn present(&self) -> Option<&Known> {
        self.server.as_ref().filter(|server| !server.removed)
    }
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
            index: ToolRows::of_tools(registration, tenant_id),
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
        if before.present().is_none() && before.is_virtual {
            return Err(virtual_server::has_name(&rows.name).into());
        }
        let sealed = self.seal(&mut session, &before, registration).await?;
        if before.server.as_ref().is_some_and(|server| server.removed) {
            // It gives way, and may take the document along that is to be written.
            self.forget_removed(&mut session, &rows.name, i64::MAX)
                .await?;
            (before.server, before.document) = (None, false);
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
        let server = match row.get("revision")? {
            Some(revision) => Some(Known {
                revision,
                fingerprint: row.get("fingerprint")?,
                removed: row.get::<Option<i64>>("removed_at")?.is_some(),
                indexed_title: row.get("indexed_title")?,
                document: Option::zip(row.get("digest")?, row.get("source")?),
                sealed: row.get::<Option<String>>("sealed")?.is_some(),
            }),
            None => None,
        };
        Ok(Before {
            server,
            is_virtual: row.get::<Option<String>>("virtual_name")?.is_some(),
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
        let Some(known) = before.present() else {
            return Ok(None);
        };
        if known.fingerprint != rows.fingerprint {
            return Ok(None);
        }
        // Credentials that do not open are not equal: saving heals them.
        match self.load_credentials(session, &rows.name).await {
            Ok(stored) if stored.same_as(&registration.credentials) => {
                Ok(Some(number(known.revision)?))
            }
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
        let id = self.upsert(session, revision, rows).await?;
        let known = before.server.as_ref();
        // What is left to be written when all else is known, on one way to the server.
        let mut rest = match known {
            Some(_) => rows.index.replace(session, id).await?,
            None => rows.index.add(session, id).await?,
        };
        if known.and_then(|known| known.indexed_title.as_ref()) != Some(&rows.title) {
            rest.extend(rows.index.text(session.dialect(), id));
        }
        let plan = "INSERT INTO tool_set (server_id, json) VALUES ($1, $2)
            ON CONFLICT (server_id) DO UPDATE SET json = excluded.json";
        rest.push(Statement::new(plan).bind(id).bind(&rows.tools));
        if !before.document {
            rest.push(self.store_document(rows));
        }
        let document = known.and_then(|known| known.document.as_ref());
        let same = document
            .is_some_and(|(digest, source)| (digest, source) == (&rows.digest, &rows.source));
        if !same {
            if document.is_some() {
                outdate(session, id).await?;
            }
            rest.push(self.make_current(id, revision, rows));
        }
        if !same && document.is_some() {
            session.execute_all(rest).await?;
            document::prune(session, self.tenant_id, id).await?;
        } else {
            session.run_last(rest);
        }
        if known.is_some_and(|known| known.sealed) {
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

    /// Writes the server's row. Its number.
    async fn upsert(
        &self,
        session: &mut Session,
        revision: i64,
        rows: &Rows,
    ) -> Result<i64, Failure> {
        let dialect = session.dialect();
        let (sqlite, postgres) = UPSERT;
        let upsert = Statement::new(dialect.choose(sqlite, postgres))
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
        let counts = rows.index.counts();
        let upsert = counts.into_iter().fold(upsert, Statement::bind);
        let upsert = match rows.index.words(dialect) {
            Some(words) => upsert.bind(words),
            None => upsert,
        };
        Ok(session.fetch_one(upsert).await?.get("id")?)
    }

    /// Keeps the bytes.
    fn store_document(&self, rows: &Rows) -> Statement {
        let bytes = "INSERT INTO document (tenant_id, digest, stored_at, bytes)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant_id, digest) DO NOTHING";
        Statement::new(bytes)
            .bind(self.tenant_id)
            .bind(&rows.digest)
            .bind(now())
            .bind(&rows.bytes)
    }

    /// Makes the document that of a server which has none.
    fn make_current(&self, id: i64, revision: i64, rows: &Rows) -> Statement {
        let add = "INSERT INTO document_version
                (server_id, revision, tenant_id, digest, source, uploaded_at, current)
            VALUES ($1, $2, $3, $4, $5, $6, 1)";
        Statement::new(add)
            .bind(id)
            .bind(revision)
            .bind(self.tenant_id)
            .bind(&rows.digest)
            .bind(&rows.source)
            .bind(now())
    }
}

/// Keeps the document that the server had, as one of before.
async fn outdate(session: &mut Session, id: i64) -> Result<(), Failure> {
    let outdate = "UPDATE document_version SET current = 0 WHERE server_id = $1 AND current = 1";
    session.execute(Statement::new(outdate).bind(id)).await?;
    Ok(())
}

fn refuse_another_revision(before: &Before, name: &ServerName, expected: u64) -> Result<()> {
    let revision = before.present().map(|known| number(known.revision));
    if revision.transpose()? == Some(expected) {
        return Ok(());
    }
    let message = "the server was changed by somebody else meanwhile; look at it again";
    Err(Error::new(ErrorKind::Conflict, message)
        .with("server", name)
        .with("expected revision", expected))
}
