//! Reading an archive.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::audit::{Chain, Hash};
use mcphub_core::key::KeyName;
use mcphub_core::password::PasswordHash;
use mcphub_core::principal::Permissions;
use mcphub_core::secret::{KeyProvider, Wrapped};
use mcphub_core::server::ServerName;
use mcphub_core::tenant::TenantName;
use mcphub_core::user::UserName;
use mcphub_core::{Error, ErrorKind, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::export::Exported;
use super::line::{self, Line};
use super::{FORMAT, MAX_LINE};
use crate::MasterKeys;
use crate::sql::Failure;
use crate::sql::statement::Statement;
use crate::sql::tool::{StoredServer, ToolRows};
use crate::sql::{Session, SqlStore, audit, blocking, credential, virtual_server};
use crate::vault::{NONCE, Place, Sealed, Vault};

const SERVER: &str = "
    INSERT INTO server (tenant_id, name, title, source, serve, base_url, artifact, tools,
                        plan_version, revision, fingerprint, choices, created_at, updated_at,
                        removed_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    RETURNING id";

/// What was taken over from an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// How much of what.
    #[serde(flatten)]
    pub counts: Exported,
    /// Whether the archive was written without credentials and passwords: then they have to be given
    /// again.
    pub secrets_left_out: bool,
}

impl SqlStore {
    /// Takes over all of an archive, or nothing. The store has to be empty. Credentials are
    /// encrypted anew, for this store.
    ///
    /// # Errors
    /// - `InvalidInput` when the archive is none, was cut short or changed, or its audit log was
    ///   tampered with; or when it has credentials and the key given is not theirs;
    /// - `Unsupported` when it is of a newer version;
    /// - `Conflict` when the store is not empty;
    /// - and those of reaching the database.
    pub async fn import(
        &self,
        archive: &mut (dyn AsyncBufRead + Unpin + Send),
        key: Option<&MasterKeys>,
    ) -> Result<Imported> {
        let outcome = self.read_archive(archive, key).await;
        self.explain("store::import", outcome)
    }

    async fn read_archive(
        &self,
        archive: &mut (dyn AsyncBufRead + Unpin + Send),
        key: Option<&MasterKeys>,
    ) -> Result<Imported, Failure> {
        let mut session = self.engine().write(self.tenant_id).await?;
        refuse_unless_empty(&mut session).await?;
        let mut reader = Reader::new(archive);
        let header = match reader.line().await? {
            Line::Archive(header) => header,
            _ => return Err(reader.wrong("is no archive of mcphub").into()),
        };
        if header.format != FORMAT || header.schema > crate::SCHEMA {
            let message = "the archive was written by a newer version of mcphub; upgrade mcphub";
            return Err(Error::new(ErrorKind::Unsupported, message).into());
        }
        let mut part = Part {
            store: self,
            session: &mut session,
            vault: vault(header.secrets.as_ref(), key).await?,
            tenants: HashMap::new(),
            counts: Exported::default(),
        };
        let end = loop {
            match reader.line().await? {
                Line::End(end) => break end,
                Line::Archive(_) => return Err(reader.wrong("begins twice").into()),
                line => part.take(line).await.map_err(|Failure(error)| {
                    Failure(error.with("line of the archive", reader.lines))
                })?,
            }
        };
        reader.refuse_unless(&end).await?;
        part.refuse_broken_logs()?;
        let counts = part.counts;
        session.commit().await?;
        Ok(Imported {
            counts,
            secrets_left_out: header.secrets.is_none(),
        })
    }
}

/// What an archive becomes in the database.
pub(super) struct Part<'a> {
    store: &'a SqlStore,
    pub(super) session: &'a mut Session,
    vault: Option<Vault>,
    /// By name: the row, and how much of its log was followed.
    tenants: HashMap<String, (i64, Chain)>,
    pub(super) counts: Exported,
}

impl Part<'_> {
    async fn take(&mut self, line: Line) -> Result<(), Failure> {
        match line {
            Line::User(user) => self.user(user).await,
            Line::Role(role) => self.role(role).await,
            Line::Member(member) => self.member(member).await,
            Line::Tenant(tenant) => self.tenant(tenant).await,
            Line::Document(document) => self.document(document).await,
            Line::Server(server) => self.server(*server).await,
            Line::VirtualServer(server) => self.virtual_server(server).await,
            Line::ApiKey(key) => self.api_key(key).await,
            Line::Audit(audit) => self.audit(audit).await,
            Line::Archive(_) | Line::End(_) => Ok(()),
        }
    }

    async fn tenant(&mut self, tenant: line::Tenant) -> Result<(), Failure> {
        let name = TenantName::new(&tenant.name)?;
        // The default tenant is there already.
        let make = "INSERT INTO tenant (name, version, audit_sequence, audit_hash, created_at)
            VALUES ($1, $2, 0, $3, $4)
            ON CONFLICT (name) DO UPDATE
                SET version = excluded.version, created_at = excluded.created_at
            RETURNING id";
        let make = Statement::new(make)
            .bind(name.as_str())
            .bind(tenant.version)
            .bind([0; 32].as_slice())
            .bind(tenant.created_at);
        let id = self.session.fetch_one(make).await?.get("id")?;
        self.tenants.insert(tenant.name, (id, Chain::new(name)));
        self.counts.tenants += 1;
        Ok(())
    }

    async fn document(&mut self, document: line::Document) -> Result<(), Failure> {
        let bytes = decode(&document.bytes)?;
        let digest = Hash(Sha256::digest(&bytes).into()).to_string();
        if digest != document.digest {
            return Err(Error::invalid("a document of the archive was changed").into());
        }
        let add = "INSERT INTO document (tenant_id, digest, stored_at, bytes)
            VALUES ($1, $2, $3, $4)";
        let add = Statement::new(add)
            .bind(self.tenant_id(&document.tenant)?)
            .bind(digest)
            .bind(document.stored_at)
            .bind(bytes.as_slice());
        self.session.execute(add).await?;
        self.counts.documents += 1;
        Ok(())
    }

    async fn server(&mut self, server: line::Server) -> Result<(), Failure> {
        let tenant_id = self.tenant_id(&server.tenant)?;
        let name = ServerName::new(&server.name)?;
        let add = Statement::new(SERVER)
            .bind(tenant_id)
            .bind(name.as_str())
            .bind(&server.title)
            .bind(&server.source)
            .bind(&server.serve)
            .bind(&server.base_url)
            .bind(&server.artifact)
            .bind(server.tools)
            .bind(server.plan_version)
            .bind(server.revision)
            .bind(&server.fingerprint)
            .bind(&server.choices)
            .bind(server.created_at)
            .bind(server.updated_at)
            .bind(server.removed_at);
        let id: i64 = self.session.fetch_one(add).await?.get("id")?;
        let plan = "INSERT INTO tool_set (server_id, json) VALUES ($1, $2)";
        let plan = Statement::new(plan).bind(id).bind(&server.plan);
        self.session.execute(plan).await?;
        let stored = StoredServer {
            name: server.name,
            title: server.title,
            plan: server.plan,
        };
        let index = blocking(move || Ok(ToolRows::of_plan(&stored, tenant_id))).await?;
        index.count(self.session, id).await?;
        let rest = index.add(self.session, id).await?;
        self.session.execute_all(rest).await?;
        for version in &server.documents {
            let add = "INSERT INTO document_version
                    (server_id, revision, tenant_id, digest, source, uploaded_at, current)
                VALUES ($1, $2, $3, $4, $5, $6, $7)";
            let add = Statement::new(add)
                .bind(id)
                .bind(version.revision)
                .bind(tenant_id)
                .bind(&version.digest)
                .bind(&version.source)
                .bind(version.uploaded_at)
                .bind(i64::from(version.current));
            self.session.execute(add).await?;
        }
        let tenant = TenantName::new(&server.tenant)?;
        self.credentials(&tenant, &name, id, &server.credentials)
            .await?;
        self.counts.servers += 1;
        Ok(())
    }

    async fn virtual_server(&mut self, server: line::VirtualServer) -> Result<(), Failure> {
        // What is no virtual server is not taken over.
        virtual_server::read(&server.name, &server.definition)?;
        let add = "INSERT INTO virtual_server
                (tenant_id, name, definition, revision, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6)";
        let add = Statement::new(add)
            .bind(self.tenant_id(&server.tenant)?)
            .bind(&server.name)
            .bind(&server.definition)
            .bind(server.revision)
            .bind(server.created_at)
            .bind(server.updated_at);
        self.session.execute(add).await?;
        self.counts.virtual_servers += 1;
        Ok(())
    }

    async fn credentials(
        &mut self,
        tenant: &TenantName,
        server: &ServerName,
        id: i64,
        credentials: &[line::Credential],
    ) -> Result<(), Failure> {
        let Some(vault) = self.vault.as_ref().filter(|_| !credentials.is_empty()) else {
            return Ok(());
        };
        let current = self.store.keyring().current(self.session).await?;
        let mut entries = Vec::with_capacity(credentials.len());
        for credential in credentials {
            let sealed = sealed(vault, &credential.nonce, &credential.ciphertext)?;
            let place = Place {
                tenant,
                server,
                key: &credential.key,
            };
            let value = vault.open(&place, &sealed).map_err(|_| {
                Error::invalid("a credential of the archive was changed, and does not open")
                    .with("server", server)
            })?;
            entries.push((credential.key.clone(), current.seal(&place, &value)?));
        }
        credential::add(self.session, id, &entries).await?;
        self.counts.credentials += entries.len() as u64;
        Ok(())
    }

    /// The password of a user of the archive, if that has one.
    pub(super) fn password(
        &self,
        user: &UserName,
        password: Option<&line::Password>,
    ) -> Result<Option<PasswordHash>> {
        let (Some(vault), Some(password)) = (&self.vault, password) else {
            return Ok(None);
        };
        let sealed = sealed(vault, &password.nonce, &password.ciphertext)?;
        vault.open_password(user, &sealed).map(Some)
    }

    async fn api_key(&mut self, key: line::ApiKey) -> Result<(), Failure> {
        // What is no key is not taken over.
        let name = KeyName::new(&key.name)?;
        serde_json::from_str::<Permissions>(&key.permissions).map_err(|error| {
            Error::invalid("the permissions of a key of the archive are none").caused_by(error)
        })?;
        let user = key.user.as_ref().map(UserName::new).transpose()?;
        let add = "INSERT INTO api_key (tenant_id, name, permissions, created_at, expires_at,
                                        revoked_at, last_used_at, account)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            RETURNING id";
        let add = Statement::new(add)
            .bind(self.tenant_id(&key.tenant)?)
            .bind(name.as_str())
            .bind(&key.permissions)
            .bind(key.created_at)
            .bind(key.expires_at)
            .bind(key.revoked_at)
            .bind(key.last_used_at)
            .bind(user.as_ref().map(UserName::as_str));
        let id: i64 = self.session.fetch_one(add).await?.get("id")?;
        for token in &key.tokens {
            let add = "INSERT INTO api_key_token (digest, api_key_id, created_at, ends_at)
                VALUES ($1, $2, $3, $4)";
            let add = Statement::new(add)
                .bind(decode(&token.digest)?.as_slice())
                .bind(id)
                .bind(token.created_at)
                .bind(token.ends_at);
            self.session.execute(add).await?;
        }
        self.counts.api_keys += 1;
        Ok(())
    }

    async fn audit(&mut self, audit: line::Audit) -> Result<(), Failure> {
        let Some((tenant_id, chain)) = self.tenants.get_mut(&audit.tenant) else {
            return Err(unknown_tenant().into());
        };
        chain.follow(&audit.entry);
        audit::append(self.session, *tenant_id, &audit.entry).await?;
        self.counts.entries += 1;
        Ok(())
    }

    fn refuse_broken_logs(&self) -> Result<()> {
        let mut findings = self.tenants.iter().flat_map(|(name, (_, chain))| {
            let findings = chain.findings().iter();
            findings.map(move |finding| format!("{name}: {finding}"))
        });
        match findings.next() {
            None => Ok(()),
            Some(finding) => Err(Error::invalid(format!(
                "the audit log of the archive was tampered with: {finding}"
            ))),
        }
    }

    pub(super) fn tenant_id(&self, name: &str) -> Result<i64> {
        let tenant = self.tenants.get(name);
        tenant.map(|(id, _)| *id).ok_or_else(unknown_tenant)
    }
}

/// What was encrypted with the archive's key.
fn sealed(vault: &Vault, nonce: &str, ciphertext: &str) -> Result<Sealed> {
    let nonce = <[u8; NONCE]>::try_from(decode(nonce)?);
    Ok(Sealed {
        key_id: vault.key_id().to_owned(),
        nonce: nonce.map_err(|_| Error::invalid("a nonce has a wrong length"))?,
        ciphertext: decode(ciphertext)?,
    })
}

fn unknown_tenant() -> Error {
    Error::invalid("a line of the archive belongs to a tenant that does not come before it")
}

/// What opens the credentials of an archive that has any.
async fn vault(secrets: Option<&line::Secrets>, key: Option<&MasterKeys>) -> Result<Option<Vault>> {
    let Some(secrets) = secrets else {
        return Ok(None);
    };
    let key = key.ok_or_else(|| {
        Error::invalid("the archive has credentials; give the key that it was written with")
    })?;
    let wrapped = Wrapped {
        by: secrets.wrapped_by.clone(),
        bytes: decode(&secrets.wrapped)?,
    };
    let data_key = key.unwrap(&secrets.key_id, &wrapped).await?;
    Ok(Some(Vault::new(&secrets.key_id, &data_key)))
}

async fn refuse_unless_empty(session: &mut Session) -> Result<(), Failure> {
    let full = "SELECT name FROM tenant
        WHERE version > 0 OR audit_sequence > 0 OR name <> 'default' LIMIT 1";
    match session.fetch_optional(Statement::new(full)).await? {
        None => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Conflict,
            "the store is not empty; import into a new one",
        )
        .into()),
    }
}

fn decode(text: &str) -> Result<Vec<u8>> {
    STANDARD
        .decode(text)
        .map_err(|error| Error::invalid("a value of the archive is not base64").caused_by(error))
}

struct Reader<'r> {
    archive: &'r mut (dyn AsyncBufRead + Unpin + Send),
    lines: u64,
    hash: Sha256,
    /// Of all lines but the last.
    before: Sha256,
}

impl<'r> Reader<'r> {
    fn new(archive: &'r mut (dyn AsyncBufRead + Unpin + Send)) -> Self {
        Self {
            archive,
            lines: 0,
            hash: Sha256::new(),
            before: Sha256::new(),
        }
    }

    async fn line(&mut self) -> Result<Line> {
        let mut text = Vec::new();
        let mut bounded = (&mut *self.archive).take(MAX_LINE);
        bounded
            .read_until(b'\n', &mut text)
            .await
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "the archive cannot be read").caused_by(error)
            })?;
        self.lines += 1;
        if text.last() != Some(&b'\n') {
            return Err(self.wrong("was cut short"));
        }
        self.before = self.hash.clone();
        self.hash.update(&text);
        serde_json::from_slice(&text)
            .map_err(|error| self.wrong("has a line that is none").caused_by(error))
    }

    /// That nothing is missing, changed, or there beside.
    async fn refuse_unless(&mut self, end: &line::End) -> Result<()> {
        let read = Hash(self.before.clone().finalize().into());
        let mut more = [0];
        let more = self.archive.read(&mut more).await;
        if end.lines + 1 != self.lines || end.sha256 != read || !matches!(more, Ok(0)) {
            return Err(self.wrong("was changed"));
        }
        Ok(())
    }

    fn wrong(&self, what: &str) -> Error {
        Error::invalid(format!("the archive {what}")).with("line", self.lines)
    }
}
