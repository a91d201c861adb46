//! Publish: parse, plan, render, build, register.

use std::sync::Arc;

use url::Url;

use super::Platform;
use crate::artifact::Artifact;
use crate::connection::{self, Connection};
use crate::event::Event;
use crate::project::RenderOptions;
use crate::secret::Credentials;
use crate::server::{self, Serve, ServerName};
use crate::spec::{Diagnostic, Document};
use crate::store::{Registration, ServerSummary};
use crate::tool::{Plan, ToolChoices, ToolSet};
use crate::{Error, ErrorKind, Result};

/// An API that is to be served, or an MCP server that exists already.
#[derive(Debug, Clone)]
pub struct PublishRequest {
    /// Its document; of a server that exists already, what
    /// [`Connection::document`](crate::connection::Connection::document) gives.
    pub document: Document,
    /// The name of its server; by default that of an earlier registration from the same source,
    /// else one made from the title.
    pub name: Option<ServerName>,
    /// How its calls are made.
    pub serve: Serve,
    /// Where the API is, in place of what the document says.
    pub base_url: Option<Url>,
    /// What is sent to the API.
    pub credentials: Credentials,
    /// Which tools it has and how they look.
    pub choices: ToolChoices,
}

/// An API that was parsed and planned.
#[derive(Debug)]
pub struct Prepared {
    request: PublishRequest,
    tools: Arc<ToolSet>,
    diagnostics: Vec<Diagnostic>,
}

impl Prepared {
    /// The planned tools.
    pub fn tools(&self) -> &Arc<ToolSet> {
        &self.tools
    }

    /// What the document gets wrong, and what planning left out.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }
}

/// A registered API.
#[derive(Debug)]
pub struct Published {
    /// The name of its server.
    pub name: ServerName,
    /// Its tools.
    pub tools: Arc<ToolSet>,
    /// What the document gets wrong, and what planning left out.
    pub diagnostics: Vec<Diagnostic>,
    /// Whether anything differs from what was registered before.
    pub changed: bool,
}

impl Platform {
    /// Parses and plans. Pure and, for a large document, some hundred milliseconds of work: an
    /// asynchronous host runs it where blocking is allowed.
    ///
    /// # Errors
    /// `InvalidDocument`, `TooLarge` or `Unsupported` when the document cannot be read or offers
    /// no operation;
    /// `InvalidInput` when nothing says where the API is, or the choices select no operation.
    pub fn prepare(&self, request: PublishRequest) -> Result<Prepared> {
        if matches!(request.serve, Serve::Remote | Serve::Stdio) {
            let name = request.name.as_ref();
            let tools = connection::plan(&request.document, name, request.serve)?;
            return Ok(Prepared {
                request,
                tools: Arc::new(tools),
                diagnostics: Vec::new(),
            });
        }
        let parsed = self.parser.parse(&request.document)?;
        let mut options = self.plan_options.clone();
        options.choices = request.choices.clone();
        let Plan {
            mut tools,
            diagnostics: planned,
        } = self.planner.plan(&parsed, &options)?;
        server::base_url(request.base_url.as_ref(), &tools, &request.document.source)?;
        if request.base_url.is_some() {
            tools.ignore_operation_servers();
        }
        let mut diagnostics = parsed.diagnostics;
        diagnostics.extend(planned);
        if tools.tools.is_empty() {
            let first = diagnostics
                .iter()
                .find(|d| d.severity == crate::spec::Severity::Error);
            let why = first.map_or("it has none".to_owned(), |d| {
                format!("{} ({})", d.message, d.pointer)
            });
            return Err(Error::new(
                ErrorKind::InvalidDocument,
                format!("the document offers no operation: {why}"),
            )
            .with("document", &request.document.source));
        }
        Ok(Prepared {
            request,
            tools: Arc::new(tools),
            diagnostics,
        })
    }

    /// Builds what has to be built, and registers. Logins of an earlier registration stay, while the
    /// origin of the API and the security scheme are the same. Nothing is registered when a step fails. A host
    /// that runs deployments calls [`Platform::reconcile`] afterwards.
    ///
    /// # Errors
    /// Those of the target, the builder and the store; `Unsupported` for a way of serving that
    /// this platform has no runtime for.
    pub async fn publish(&self, prepared: Prepared) -> Result<Published> {
        self.register(prepared, None).await
    }

    /// Like [`Platform::publish`], in place of the revision of the server that the request was made
    /// from.
    ///
    /// # Errors
    /// As [`Platform::publish`], and `Conflict` when the server has another revision by now.
    pub async fn publish_over(&self, prepared: Prepared, revision: u64) -> Result<Published> {
        self.register(prepared, Some(revision)).await
    }

    /// What has to be published, and over which revision, so that a server has the document again
    /// that came with an earlier revision. All else stays as it is.
    ///
    /// # Errors
    /// `NotFound` when there is no such server, or the document is not kept; `Conflict` when it was an
    /// MCP server elsewhere; those of the store.
    pub async fn earlier(&self, name: &ServerName, revision: u64) -> Result<(PublishRequest, u64)> {
        let record = self.store.get(name).await?.ok_or_else(|| {
            Error::not_found("no server of that name is registered").with("name", name)
        })?;
        let document = self.store.document_at(name, revision).await?;
        let document = document.ok_or_else(|| {
            let message = "no document came with that revision, or it is not kept any more; \
                           `mcphub history` lists them";
            Error::not_found(message)
                .with("server", name)
                .with("revision", revision)
        })?;
        let serve = match (Connection::from_document(&document), record.serve) {
            (Ok(connection), _) => {
                self.refuse_other_place(name, &connection).await?;
                connection.serve()
            }
            (Err(_), Serve::Remote | Serve::Stdio) => Serve::Native,
            (Err(_), serve) => serve,
        };
        let request = PublishRequest {
            document,
            name: Some(name.clone()),
            serve,
            base_url: record.base_url,
            credentials: self.store.credentials(name).await?,
            choices: record.choices.clone(),
        };
        Ok((request, record.revision))
    }

    /// The credentials that are kept are for where the server is now.
    async fn refuse_other_place(&self, name: &ServerName, then: &Connection) -> Result<()> {
        let now = self.store.document(name).await?;
        match now.map(|document| Connection::from_document(&document)) {
            Some(Ok(now)) if now == *then => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                "the server was reached in another way then; `mcphub add` it again with the credentials for that",
            )
            .with("server", name)
            .with("then", then)),
        }
    }

    async fn register(&self, prepared: Prepared, over: Option<u64>) -> Result<Published> {
        let Prepared {
            mut request,
            tools,
            diagnostics,
        } = prepared;
        let name = self.name(&request, &tools).await?;
        self.keep_logins(&name, &mut request, &tools).await?;
        let artifact = match request.serve {
            Serve::Native | Serve::Remote | Serve::Stdio => None,
            Serve::Process => {
                let source = &request.document.source;
                let base_url = server::base_url(request.base_url.as_ref(), &tools, source)?;
                Some(self.build(&name, &tools, base_url).await?)
            }
        };
        let registration = Registration {
            name: name.clone(),
            document: request.document,
            serve: request.serve,
            base_url: request.base_url,
            tools: tools.clone(),
            artifact,
            credentials: request.credentials,
            choices: request.choices,
        };
        let saved = match over {
            None => self.store.save(&registration).await?,
            Some(revision) => self.store.replace(&registration, revision).await?,
        };
        if saved.changed {
            self.announce(Event::CatalogChanged {
                server: name.clone(),
            })
            .await;
        }
        Ok(Published {
            name,
            tools,
            diagnostics,
            changed: saved.changed,
        })
    }

    /// Renders and builds. Quick when the same project was built before.
    pub(super) async fn build(
        &self,
        name: &ServerName,
        tools: &ToolSet,
        base_url: Url,
    ) -> Result<Artifact> {
        let runtime = self.runtime()?;
        let options = RenderOptions {
            name: name.to_string(),
            base_url: Some(base_url),
        };
        let project = runtime.target.render(tools, &options)?;
        runtime.builder.build(&project).await
    }

    fn runtime(&self) -> Result<&super::ProcessRuntime> {
        self.runtime.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "this host cannot run generated projects; serve the API `native`",
            )
        })
    }

    /// The same source keeps its name; two APIs of one title get numbers.
    async fn name(&self, request: &PublishRequest, tools: &ToolSet) -> Result<ServerName> {
        if let Some(name) = &request.name {
            return Ok(name.clone());
        }
        if let Some(name) = self.store.find_by_source(&request.document.source).await? {
            return Ok(name);
        }
        let stem = ServerName::from_title(&tools.api.title);
        let (taken, chosen) = (self.servers().await?, self.virtual_servers().await?);
        let free = |name: &ServerName| {
            taken.iter().all(|summary| summary.name != *name)
                && chosen.iter().all(|it| it.server.name != *name)
        };
        let numbered = (2..=u32::MAX).map(|number| stem.numbered(number));
        let mut candidates = std::iter::once(stem.clone()).chain(numbered);
        candidates
            .find(free)
            .ok_or_else(|| Error::internal("no server name is free"))
    }

    /// Plans a stored document again, after mcphub's plan format changed.
    pub(super) async fn replan(&self, summary: &ServerSummary) -> Result<()> {
        let document = self.store.document(&summary.name).await?;
        let document = document.ok_or_else(|| {
            Error::internal("the document of a registered server is gone")
                .with("server", &summary.name)
        })?;
        let request = PublishRequest {
            document,
            name: Some(summary.name.clone()),
            serve: summary.serve,
            base_url: summary.base_url.clone(),
            credentials: self.store.credentials(&summary.name).await?,
            choices: summary.choices.clone(),
        };
        let planned = self.prepare(request)?;
        match self.publish_over(planned, summary.revision).await {
            // Whoever registered it anew meanwhile has planned it too.
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}
