//! A platform whose backends live in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::executor::block_on;
use futures::stream::{self, BoxStream};

use super::super::*;
use crate::ErrorKind;
use crate::artifact::{Artifact, Program};
use crate::audit::{AuditHead, AuditNote, AuditPage, AuditQuery};
use crate::catalog::{CatalogSource, Upstream};
use crate::deployment::{Deployment, DeploymentSpec, Endpoint, LogLine, Phase};
use crate::project::{Project, RenderOptions, Runtime};
use crate::secret::{Credentials, Grant};
use crate::server::Serve;
use crate::spec::{ApiSpec, Diagnostic, Document, Parsed, Severity};
use crate::store::{
    AuditRetention, AuditStore, CredentialStore, DocumentListing, DocumentStore, Listing,
    Registration, Saved, ServerRevision, ServerStore, ToolPage, ToolSearch,
};
use crate::tool::{
    ApiInfo, HttpBinding, OutputShape, Plan, Tool, ToolAnnotations, ToolChoices, ToolName, ToolSet,
};

/// Reads a document whose text is the title; `broken` offers nothing.
#[derive(Debug)]
pub struct TitleParser;

impl SpecParser for TitleParser {
    fn parse(&self, document: &Document) -> Result<Parsed> {
        let title = String::from_utf8_lossy(&document.bytes).into_owned();
        let spec = ApiSpec {
            title,
            servers: vec!["http://api.test".into()],
            ..ApiSpec::default()
        };
        Ok(Parsed {
            spec,
            diagnostics: Vec::new(),
        })
    }
}

#[derive(Debug)]
pub struct OneTool;

impl Planner for OneTool {
    fn plan(&self, parsed: &Parsed, _options: &PlanOptions) -> Result<Plan> {
        let mut tools = Vec::new();
        let mut diagnostics = Vec::new();
        if parsed.spec.title == "broken" {
            diagnostics.push(Diagnostic {
                severity: Severity::Error,
                code: "unsupported-body".into(),
                pointer: "/paths/~1x/post".into(),
                message: "the body cannot be sent".into(),
            });
        } else {
            tools.push(tool());
        }
        let tools = ToolSet {
            api: ApiInfo::from(&parsed.spec),
            servers: parsed.spec.servers.clone(),
            security_schemes: Default::default(),
            tools,
        };
        Ok(Plan { tools, diagnostics })
    }
}

pub fn tool() -> Tool {
    let method = crate::spec::Method::Get;
    Tool {
        name: ToolName::new("get").unwrap(),
        title: None,
        description: "Gets".into(),
        input: Default::default(),
        output: None,
        annotations: ToolAnnotations::from(method),
        tags: Vec::new(),
        binding: HttpBinding {
            method,
            path: "/".into(),
            server: None,
            parameters: Vec::new(),
            body: None,
            security: Vec::new(),
            accept: "*/*".into(),
            presets: Default::default(),
            output: OutputShape::None,
            answer: Default::default(),
        },
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    pub registration: Registration,
    pub revision: u64,
    pub plan_version: u32,
}

#[derive(Debug, Default)]
pub struct Rows {
    pub rows: Mutex<BTreeMap<ServerName, Row>>,
    pub removed: Mutex<Vec<Row>>,
    pub version: AtomicU64,
}

#[async_trait]
impl ServerStore for Rows {
    async fn save(&self, registration: &Registration) -> Result<Saved> {
        let revision = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        let row = Row {
            registration: registration.clone(),
            revision,
            plan_version: PLAN_VERSION,
        };
        self.rows
            .lock()
            .unwrap()
            .insert(registration.name.clone(), row);
        Ok(Saved {
            revision,
            changed: true,
        })
    }

    async fn replace(&self, registration: &Registration, revision: u64) -> Result<Saved> {
        let stored = self.get(&registration.name).await?;
        if stored.map(|record| record.revision) != Some(revision) {
            return Err(Error::new(ErrorKind::Conflict, "it was changed meanwhile"));
        }
        self.save(registration).await
    }

    async fn get(&self, name: &ServerName) -> Result<Option<ServerRecord>> {
        let row = self.rows.lock().unwrap().get(name).cloned();
        Ok(row.map(
            |Row {
                 registration,
                 revision,
                 ..
             }| ServerRecord {
                name: registration.name,
                document_digest: registration.document.digest(),
                source: registration.document.source,
                serve: registration.serve,
                base_url: registration.base_url,
                choices: registration.choices,
                tools: registration.tools,
                artifact: registration.artifact,
                revision,
            },
        ))
    }

    async fn find_by_source(&self, source: &str) -> Result<Option<ServerName>> {
        let rows = self.rows.lock().unwrap();
        let row = rows
            .values()
            .find(|row| row.registration.document.source == source);
        Ok(row.map(|row| row.registration.name.clone()))
    }

    async fn list(&self, page: &Page) -> Result<Listing> {
        assert!(page.after.is_none(), "everything fits one page here");
        let rows = self.rows.lock().unwrap();
        let servers = rows.values().map(|row| ServerSummary {
            name: row.registration.name.clone(),
            title: row.registration.tools.api.title.clone(),
            source: row.registration.document.source.clone(),
            serve: row.registration.serve,
            base_url: row.registration.base_url.clone(),
            tools: row.registration.tools.tools.len() as u32,
            revision: row.revision,
            plan_version: row.plan_version,
            choices: row.registration.choices.clone(),
        });
        Ok(Listing {
            servers: servers.collect(),
            next: None,
        })
    }

    async fn revisions(&self) -> Result<Vec<ServerRevision>> {
        let listed = self.list(&Page::default()).await?.servers.into_iter();
        let revision = |summary: ServerSummary| ServerRevision {
            name: summary.name,
            revision: summary.revision,
            serve: summary.serve,
            plan_version: summary.plan_version,
        };
        Ok(listed.map(revision).collect())
    }

    async fn search(&self, _search: &ToolSearch) -> Result<ToolPage> {
        Ok(ToolPage::default())
    }

    async fn remove(&self, name: &ServerName) -> Result<bool> {
        self.version.fetch_add(1, Ordering::SeqCst);
        let row = self.rows.lock().unwrap().remove(name);
        let removed = row.is_some();
        self.removed.lock().unwrap().extend(row);
        Ok(removed)
    }

    async fn restore(&self, name: &ServerName) -> Result<Option<u64>> {
        let mut removed = self.removed.lock().unwrap();
        let place = removed
            .iter()
            .position(|row| row.registration.name == *name);
        let Some(mut row) = place.map(|place| removed.remove(place)) else {
            return Ok(None);
        };
        row.revision = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        let revision = row.revision;
        self.rows.lock().unwrap().insert(name.clone(), row);
        Ok(Some(revision))
    }

    async fn purge(&self, name: &ServerName) -> Result<bool> {
        let mut removed = self.removed.lock().unwrap();
        let before = removed.len();
        removed.retain(|row| row.registration.name != *name);
        Ok(removed.len() < before)
    }

    async fn purge_removed(&self, _: i64, _: u32) -> Result<u64> {
        Ok(0)
    }

    async fn registry_version(&self) -> Result<u64> {
        Ok(self.version.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl DocumentStore for Rows {
    async fn document(&self, server: &ServerName) -> Result<Option<Document>> {
        Ok(self
            .rows
            .lock()
            .unwrap()
            .get(server)
            .map(|row| row.registration.document.clone()))
    }

    async fn document_versions(
        &self,
        _server: &ServerName,
        _before: Option<u64>,
        _limit: u32,
    ) -> Result<DocumentListing> {
        Ok(DocumentListing::default())
    }

    async fn document_at(&self, server: &ServerName, revision: u64) -> Result<Option<Document>> {
        let rows = self.rows.lock().unwrap();
        let row = rows.get(server).filter(|row| row.revision == revision);
        Ok(row.map(|row| row.registration.document.clone()))
    }
}

#[async_trait]
impl AuditStore for Rows {
    async fn audit(&self, _query: &AuditQuery) -> Result<AuditPage> {
        Ok(AuditPage::default())
    }

    async fn audit_head(&self) -> Result<AuditHead> {
        Ok(AuditHead::default())
    }

    async fn note(&self, _notes: &[AuditNote]) -> Result<()> {
        Err(Error::internal("the platform makes no calls"))
    }
}

#[async_trait]
impl AuditRetention for Rows {
    async fn prune_audit(&self, _before: i64, _limit: u32) -> Result<u64> {
        Ok(0)
    }
}

#[async_trait]
impl CredentialStore for Rows {
    async fn credentials(&self, server: &ServerName) -> Result<Credentials> {
        let rows = self.rows.lock().unwrap();
        Ok(rows
            .get(server)
            .map(|row| row.registration.credentials.clone())
            .unwrap_or_default())
    }

    async fn renew_grant(
        &self,
        server: &ServerName,
        scheme: &str,
        known: &Grant,
        renewed: &Grant,
    ) -> Result<bool> {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(server);
        let grant = row.and_then(|row| row.registration.credentials.grants.get_mut(scheme));
        let grant = grant.filter(|grant| grant.same_as(known));
        Ok(grant.map(|grant| *grant = renewed.clone()).is_some())
    }
}

/// Renders, builds and runs nothing, and remembers what it was asked.
#[derive(Debug, Default)]
pub struct FakeRuntime {
    pub running: Mutex<BTreeMap<ServerName, Deployment>>,
    pub refuses: AtomicBool,
    pub applied: AtomicU64,
}

impl Target for FakeRuntime {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn render(&self, _tools: &ToolSet, options: &RenderOptions) -> Result<Project> {
        Ok(Project::new(
            options.name.clone(),
            Runtime::Python { module: "m".into() },
            Vec::new(),
        ))
    }
}

#[async_trait]
impl Builder for FakeRuntime {
    async fn build(&self, project: &Project) -> Result<Artifact> {
        let program = Program::Command {
            executable: "/bin/true".into(),
            arguments: Vec::new(),
            directory: "/".into(),
        };
        Ok(Artifact {
            digest: project.digest(),
            program,
            environment: Vec::new(),
        })
    }
}

#[async_trait]
impl Deployer for FakeRuntime {
    async fn apply(&self, spec: DeploymentSpec) -> Result<Deployment> {
        self.applied.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "no Python here"));
        }
        let url = url::Url::parse("http://127.0.0.1:1/mcp").unwrap();
        let deployment = Deployment {
            name: spec.name.clone(),
            revision: spec.revision,
            digest: spec.artifact.digest,
            phase: Phase::Ready,
            endpoint: Some(Endpoint {
                url,
                headers: Vec::new(),
            }),
            restarts: 0,
            message: None,
        };
        self.running
            .lock()
            .unwrap()
            .insert(spec.name, deployment.clone());
        Ok(deployment)
    }

    async fn status(&self, name: &ServerName) -> Result<Option<Deployment>> {
        Ok(self.running.lock().unwrap().get(name).cloned())
    }

    async fn list(&self) -> Result<Vec<Deployment>> {
        Ok(self.running.lock().unwrap().values().cloned().collect())
    }

    async fn remove(&self, name: &ServerName) -> Result<bool> {
        Ok(self.running.lock().unwrap().remove(name).is_some())
    }

    fn logs(&self, _name: &ServerName) -> BoxStream<'static, Result<LogLine>> {
        Box::pin(stream::empty())
    }

    fn watch(&self) -> BoxStream<'static, Result<Deployment>> {
        Box::pin(stream::empty())
    }
}

pub struct World {
    pub store: Arc<Rows>,
    pub runtime: Arc<FakeRuntime>,
    pub platform: Platform,
}

pub fn world() -> World {
    let (store, runtime) = (Arc::new(Rows::default()), Arc::new(FakeRuntime::default()));
    let platform = Platform::new(Arc::new(TitleParser), Arc::new(OneTool), store.clone())
        .with_runtime(ProcessRuntime {
            target: runtime.clone(),
            builder: runtime.clone(),
            deployer: runtime.clone(),
        });
    World {
        store,
        runtime,
        platform,
    }
}

pub fn request(source: &str, title: &str, serve: Serve) -> PublishRequest {
    PublishRequest {
        document: Document {
            source: source.into(),
            bytes: Bytes::copy_from_slice(title.as_bytes()),
        },
        name: None,
        serve,
        base_url: None,
        credentials: Credentials::default(),
        choices: ToolChoices::default(),
    }
}

pub fn publish(platform: &Platform, source: &str, title: &str, serve: Serve) -> ServerName {
    let prepared = platform.prepare(request(source, title, serve)).unwrap();
    block_on(platform.publish(prepared)).unwrap().name
}

pub fn upstream(platform: &Platform, name: &ServerName) -> String {
    let catalog = block_on(platform.catalog()).unwrap();
    let server = catalog
        .servers
        .iter()
        .find(|server| server.name == *name)
        .unwrap();
    match &server.upstream {
        Upstream::Native { base_url, .. } => format!("native {base_url}"),
        Upstream::Mcp(endpoint) => format!("mcp {}", endpoint.url),
        Upstream::Connected { connection, .. } => format!("connected {connection}"),
        Upstream::Down(reason) => format!("down {reason}"),
    }
}
