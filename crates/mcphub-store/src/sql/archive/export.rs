//! Writing an archive.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::audit::Hash;
use mcphub_core::secret::{DataKey, KeyProvider};
use mcphub_core::server::ServerName;
use mcphub_core::tenant::TenantName;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::FORMAT;
use super::line::{self, Line};
use super::people;
use crate::MasterKeys;
use crate::sql::Failure;
use crate::sql::statement::{Row, Statement};
use crate::sql::{Session, SqlStore, audit, credential};
use crate::vault::{Place, Vault};

/// What is read at once, of that which is small.
const PAGE: u32 = 500;

const SERVERS: &str = "
    SELECT id, name, title, source, serve, base_url, artifact, tools, plan_version, revision,
           fingerprint, choices, created_at, updated_at, removed_at,
           (SELECT json FROM tool_set WHERE server_id = server.id) AS plan
    FROM server
    WHERE tenant_id = $1 AND id > $2
    ORDER BY id
    LIMIT 1";

/// What an archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Exported {
    /// How many users.
    pub users: u64,
    /// How many passwords of users; 0 when they were left out.
    pub passwords: u64,
    /// How many tenants.
    pub tenants: u64,
    /// How many servers, also removed ones.
    pub servers: u64,
    /// How many virtual servers.
    pub virtual_servers: u64,
    /// How many documents.
    pub documents: u64,
    /// How many credentials; 0 when they were left out.
    pub credentials: u64,
    /// How many roles.
    pub roles: u64,
    /// How many members of tenants.
    pub members: u64,
    /// How many API keys, also revoked ones.
    pub api_keys: u64,
    /// How many entries of audit logs.
    pub entries: u64,
}

impl SqlStore {
    /// Writes all that the store keeps, of all tenants, as it is at one moment, but for what users are
    /// signed in to. Others may write meanwhile. Credentials and passwords are encrypted with the key
    /// given, and left out without one.
    ///
    /// # Errors
    /// Those of reaching the database and of writing; `Internal` for a credential that does not
    /// open.
    pub async fn export(
        &self,
        out: &mut (dyn AsyncWrite + Unpin + Send),
        key: Option<&MasterKeys>,
    ) -> Result<Exported> {
        let outcome = self.write_archive(out, key).await;
        self.explain("store::export", outcome)
    }

    async fn write_archive(
        &self,
        out: &mut (dyn AsyncWrite + Unpin + Send),
        key: Option<&MasterKeys>,
    ) -> Result<Exported, Failure> {
        let mut session = self.engine().snapshot().await?;
        let mut writer = Writer::new(out);
        let (secrets, vault) = match key {
            None => (None, None),
            Some(key) => {
                let (secrets, vault) = new_key(key).await?;
                (Some(secrets), Some(vault))
            }
        };
        let header = line::Header {
            format: FORMAT,
            schema: crate::SCHEMA,
            secrets,
        };
        writer.line(&Line::Archive(header)).await?;
        let mut exported = Exported::default();
        people::users(&mut session, &mut writer, vault.as_ref(), &mut exported).await?;
        let tenants = "SELECT id, name, version, created_at FROM tenant ORDER BY name";
        for row in session.fetch_all(Statement::new(tenants)).await? {
            let tenant = line::Tenant {
                name: row.get("name")?,
                version: row.get("version")?,
                created_at: row.get("created_at")?,
            };
            let name = TenantName::new(&tenant.name)?;
            writer.line(&Line::Tenant(tenant)).await?;
            exported.tenants += 1;
            let mut archive = Part {
                store: self,
                session: &mut session,
                writer: &mut writer,
                vault: vault.as_ref(),
                tenant: (row.get("id")?, name),
                exported: &mut exported,
            };
            archive.documents().await?;
            archive.servers().await?;
            archive.virtual_servers().await?;
            archive.roles().await?;
            archive.members().await?;
            archive.api_keys().await?;
            archive.audit().await?;
        }
        writer.end().await?;
        Ok(exported)
    }
}

/// A tenant on its way into an archive.
pub(super) struct Part<'a, 'w> {
    store: &'a SqlStore,
    pub(super) session: &'a mut Session,
    pub(super) writer: &'a mut Writer<'w>,
    vault: Option<&'a Vault>,
    pub(super) tenant: (i64, TenantName),
    pub(super) exported: &'a mut Exported,
}

impl Part<'_, '_> {
    async fn documents(&mut self) -> Result<(), Failure> {
        let mut after = String::new();
        loop {
            // One at a time: each may have megabytes.
            let next = "SELECT digest, stored_at, bytes FROM document
                WHERE tenant_id = $1 AND digest > $2 ORDER BY digest LIMIT 1";
            let next = Statement::new(next).bind(self.tenant.0).bind(&after);
            let Some(row) = self.session.fetch_optional(next).await? else {
                return Ok(());
            };
            after = row.get("digest")?;
            let document = line::Document {
                tenant: self.tenant.1.to_string(),
                digest: after.clone(),
                stored_at: row.get("stored_at")?,
                bytes: STANDARD.encode(row.get::<Vec<u8>>("bytes")?),
            };
            self.writer.line(&Line::Document(document)).await?;
            self.exported.documents += 1;
        }
    }

    async fn servers(&mut self) -> Result<(), Failure> {
        let mut after = i64::MIN;
        loop {
            let next = Statement::new(SERVERS).bind(self.tenant.0).bind(after);
            let Some(row) = self.session.fetch_optional(next).await? else {
                return Ok(());
            };
            after = row.get("id")?;
            let server = self.server(&row, after).await?;
            self.exported.servers += 1;
            self.exported.credentials += server.credentials.len() as u64;
            self.writer.line(&Line::Server(Box::new(server))).await?;
        }
    }

    async fn server(&mut self, row: &Row, id: i64) -> Result<line::Server, Failure> {
        let versions = "SELECT revision, digest, source, uploaded_at, current
            FROM document_version WHERE server_id = $1 ORDER BY revision";
        let versions = Statement::new(versions).bind(id);
        let versions = self.session.fetch_all(versions).await?;
        let versions = versions.iter().map(|row| {
            Ok(line::Version {
                revision: row.get("revision")?,
                digest: row.get("digest")?,
                source: row.get("source")?,
                uploaded_at: row.get("uploaded_at")?,
                current: row.get::<i64>("current")? == 1,
            })
        });
        let name: String = row.get("name")?;
        Ok(line::Server {
            tenant: self.tenant.1.to_string(),
            title: row.get("title")?,
            source: row.get("source")?,
            serve: row.get("serve")?,
            base_url: row.get("base_url")?,
            artifact: row.get("artifact")?,
            tools: row.get("tools")?,
            plan_version: row.get("plan_version")?,
            revision: row.get("revision")?,
            fingerprint: row.get("fingerprint")?,
            choices: row.get("choices")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            removed_at: row.get("removed_at")?,
            plan: row.get::<Option<String>>("plan")?.unwrap_or_default(),
            documents: versions.collect::<Result<_, Failure>>()?,
            credentials: self.credentials(&ServerName::new(&name)?, id).await?,
            name,
        })
    }

    async fn credentials(
        &mut self,
        server: &ServerName,
        id: i64,
    ) -> Result<Vec<line::Credential>, Failure> {
        let Some(vault) = self.vault else {
            return Ok(Vec::new());
        };
        let sealed = "SELECT key, key_id, nonce, ciphertext FROM credential
            WHERE server_id = $1 ORDER BY position";
        let rows = self
            .session
            .fetch_all(Statement::new(sealed).bind(id))
            .await?;
        let mut credentials = Vec::with_capacity(rows.len());
        for row in rows {
            let key: String = row.get("key")?;
            let sealed = credential::sealed(&row)?;
            let place = Place {
                tenant: &self.tenant.1,
                server,
                key: &key,
            };
            let keyring = self.store.keyring();
            let opens = keyring.vault(self.session, &sealed.key_id).await?;
            let anew = vault.seal(&place, &opens.open(&place, &sealed)?)?;
            credentials.push(line::Credential {
                nonce: STANDARD.encode(anew.nonce),
                ciphertext: STANDARD.encode(anew.ciphertext),
                key,
            });
        }
        Ok(credentials)
    }

    async fn virtual_servers(&mut self) -> Result<(), Failure> {
        let rows = "SELECT name, definition, revision, created_at, updated_at
            FROM virtual_server WHERE tenant_id = $1";
        let line = |row: &Row, tenant| {
            Ok(Line::VirtualServer(line::VirtualServer {
                tenant,
                name: row.get("name")?,
                definition: row.get("definition")?,
                revision: row.get("revision")?,
                created_at: row.get("created_at")?,
                updated_at: row.get("updated_at")?,
            }))
        };
        self.exported.virtual_servers += self.lines(rows, Column::NAME, line).await?;
        Ok(())
    }

    async fn api_keys(&mut self) -> Result<(), Failure> {
        let rows = "SELECT id, name, account, permissions, created_at, expires_at, revoked_at,
                last_used_at
            FROM api_key WHERE tenant_id = $1";
        let rows = Statement::new(rows).bind(self.tenant.0);
        let mut pages = Pages::new(rows, Column::NAME);
        while let Some(page) = pages.next(self.session).await? {
            for row in &page {
                let key = line::ApiKey {
                    tenant: self.tenant.1.to_string(),
                    name: row.get("name")?,
                    user: row.get("account")?,
                    permissions: row.get("permissions")?,
                    created_at: row.get("created_at")?,
                    expires_at: row.get("expires_at")?,
                    revoked_at: row.get("revoked_at")?,
                    last_used_at: row.get("last_used_at")?,
                    tokens: self.tokens(row.get("id")?).await?,
                };
                self.writer.line(&Line::ApiKey(key)).await?;
                self.exported.api_keys += 1;
            }
        }
        Ok(())
    }

    async fn tokens(&mut self, key: i64) -> Result<Vec<line::Token>, Failure> {
        let tokens = "SELECT digest, created_at, ends_at FROM api_key_token
            WHERE api_key_id = $1 ORDER BY digest";
        let tokens = Statement::new(tokens).bind(key);
        let rows = self.session.fetch_all(tokens).await?;
        let token = |row: &Row| {
            Ok(line::Token {
                digest: STANDARD.encode(row.get::<Vec<u8>>("digest")?),
                created_at: row.get("created_at")?,
                ends_at: row.get("ends_at")?,
            })
        };
        rows.iter().map(token).collect()
    }

    /// Writes a line for each row of a table of the tenant, in the order of a column of text. `rows`
    /// ends in a condition; `line` takes a row and the name of the tenant. How many there were.
    pub(super) async fn lines(
        &mut self,
        rows: &'static str,
        column: Column,
        line: impl Fn(&Row, String) -> Result<Line, Failure>,
    ) -> Result<u64, Failure> {
        let rows = Statement::new(rows).bind(self.tenant.0);
        let tenant = self.tenant.1.as_str();
        let mut count = 0;
        let mut pages = Pages::new(rows, column);
        while let Some(page) = pages.next(self.session).await? {
            for row in &page {
                self.writer.line(&line(row, tenant.to_owned())?).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn audit(&mut self) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let page = "SELECT sequence, at, actor, action, target, detail, hash FROM audit
                WHERE tenant_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";
            let page = Statement::new(page)
                .bind(self.tenant.0)
                .bind(after)
                .bind(PAGE);
            let rows = self.session.fetch_all(page).await?;
            let Some(last) = rows.last() else {
                return Ok(());
            };
            after = last.get("sequence")?;
            for row in &rows {
                let entry = line::Audit {
                    tenant: self.tenant.1.to_string(),
                    entry: audit::entry(row)?,
                };
                self.writer.line(&Line::Audit(entry)).await?;
                self.exported.entries += 1;
            }
        }
    }
}

/// A column of text that orders rows, and how statements say so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    /// ` AND name > $?`
    pub(super) after: &'static str,
    /// ` ORDER BY name`
    pub(super) order: &'static str,
}

impl Column {
    pub(super) const NAME: Self = Self {
        name: "name",
        after: " AND name > $?",
        order: " ORDER BY name",
    };
    pub(super) const ACCOUNT: Self = Self {
        name: "account",
        after: " AND account > $?",
        order: " ORDER BY account",
    };
}

/// Rows in the order of a column, a page at a time.
pub(super) struct Pages {
    rows: Statement,
    column: Column,
    after: String,
}

impl Pages {
    pub(super) fn new(rows: Statement, column: Column) -> Self {
        Self {
            rows,
            column,
            after: String::new(),
        }
    }

    /// The next page; `None` after the last.
    pub(super) async fn next(
        &mut self,
        session: &mut Session,
    ) -> Result<Option<Vec<Row>>, Failure> {
        let page = self.rows.clone().then_with(self.column.after, &self.after);
        let page = page.then(self.column.order).then_with(" LIMIT $?", PAGE);
        let page = session.fetch_all(page).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        self.after = last.get(self.column.name)?;
        Ok(Some(page))
    }
}

/// A key for the credentials of one archive.
async fn new_key(by: &MasterKeys) -> Result<(line::Secrets, Vault)> {
    let mut key = Box::new([0; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|error| {
        Error::internal("the operating system gives no random bytes").caused_by(error)
    })?;
    let (id, key) = ("archive", DataKey::new(key));
    let wrapped = by.wrap(id, &key).await?;
    let secrets = line::Secrets {
        key_id: id.to_owned(),
        wrapped: STANDARD.encode(wrapped.bytes),
        wrapped_by: wrapped.by,
    };
    Ok((secrets, Vault::new(id, &key)))
}

pub(super) struct Writer<'w> {
    out: &'w mut (dyn AsyncWrite + Unpin + Send),
    lines: u64,
    hash: Sha256,
}

impl<'w> Writer<'w> {
    fn new(out: &'w mut (dyn AsyncWrite + Unpin + Send)) -> Self {
        Self {
            out,
            lines: 0,
            hash: Sha256::new(),
        }
    }

    pub(super) async fn line(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_vec(line)
            .map_err(|error| Error::internal("a line cannot be written").caused_by(error))?;
        text.push(b'\n');
        self.hash.update(&text);
        self.lines += 1;
        self.out.write_all(&text).await.map_err(unwritable)
    }

    async fn end(mut self) -> Result<()> {
        let end = line::End {
            lines: self.lines,
            sha256: Hash(std::mem::take(&mut self.hash).finalize().into()),
        };
        self.line(&Line::End(end)).await?;
        self.out.flush().await.map_err(unwritable)
    }
}

fn unwritable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the archive cannot be written").caused_by(error)
}
