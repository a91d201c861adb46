//! Composition: which backends this host is made of.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::connection::Zone;
use mcphub_core::launch::Launcher;
use mcphub_core::platform::{Platform, ProcessRuntime, TenantLogins};
use mcphub_core::secret::DataKey;
use mcphub_core::shared::{Rate, Shared};
use mcphub_core::tenant::{Scope, TenantName};
use mcphub_core::virtual_server::VirtualServer;
use mcphub_core::{Error, Result};
use mcphub_deploy::process::{
    ProcessDeployer, ProcessLauncher, ProcessSettings, PythonBuilder, PythonSettings,
};
use mcphub_gateway::upstream::native::Propagators;
use mcphub_gateway::upstream::{Connector, UpstreamSettings};
use mcphub_gateway::{
    AlertSettings, AllowedHost, BearerAuthenticator, CallAudit, Gateway, GatewaySettings,
    GuardSettings, SignInSettings, SignIns, TokenIssuer, ToolsMode, UserLogins, Webhook,
};
use mcphub_store::{MasterKeys, SharedSettings, SqlStore, StoreSettings};
use sha2::{Digest, Sha256};
use url::Url;

use crate::alerting::Alerting;
use crate::cli::Auth;
use crate::config::Config;
use crate::discovering::Discovering;

/// A store that is gone when the program ends.
pub const IN_MEMORY: &str = "sqlite::memory:";

/// State that is shared with nobody.
pub const NOTHING_SHARED: &str = "memory:";

/// The platform with its backends.
#[derive(Debug)]
pub struct Host {
    /// The stages.
    pub platform: Arc<Platform>,
    /// What they keep: for looking; changes go through the platform.
    pub store: Arc<SqlStore>,
    /// What this host shares with others over the same store.
    pub shared: Shared,
    tenant: TenantName,
    rate: Option<Rate>,
    /// Who is let in over HTTP.
    pub auth: Auth,
    trusted_proxies: Vec<IpNet>,
    allowed_origins: Vec<String>,
    allowed_hosts: Vec<AllowedHost>,
    public_url: Option<Url>,
    refuse_private_addresses: bool,
    /// How long a removed server can be restored; for good without it.
    pub purge_removed_after: Option<Duration>,
    /// How long an entry of the audit log is kept; for good without it.
    pub keep_audit: Option<Duration>,
    max_retry_wait: Duration,
    propagators: Propagators,
    guard: GuardSettings,
    zone: Option<Zone>,
    max_requests: Option<NonZeroUsize>,
    audit: Option<CallAudit>,
    alerts: Option<(AlertSettings, Option<Webhook>)>,
    tools: ToolsMode,
    virtual_servers: Vec<VirtualServer>,
    /// What comes and goes by itself, beside what is registered.
    pub discovering: Discovering,
    /// Tells gateways over different stores apart.
    pub instance: String,
    /// Builds of generated projects, of which the old ones are removed now and then.
    pub builds: Arc<PythonBuilder>,
}

impl Host {
    /// Opens the store and composes the platform over it.
    ///
    /// # Errors
    /// Those of the store and of reading the master key.
    pub async fn open(config: &Config) -> Result<Self> {
        Self::over(&settings(config)?, config).await
    }

    /// Opens the store unless that would make one: a command that only looks, or only removes, is
    /// in the wrong folder then.
    ///
    /// # Errors
    /// As [`Host::open`], and `NotFound` where there is no store.
    pub async fn open_existing(config: &Config) -> Result<Self> {
        Self::over(&settings(config)?.existing(), config).await
    }

    async fn over(settings: &StoreSettings, config: &Config) -> Result<Self> {
        let alerts = config.alerts.as_ref().map(Alerting::told).transpose()?;
        let store = Arc::new(mcphub_store::connect(settings).await?);
        let shared = SharedSettings::new(config.shared()).with_tenant(config.tenant.as_str());
        let shared = match config.cache {
            Some(size) => shared.with_cache(size.bytes()),
            None => shared,
        };
        let shared = mcphub_store::shared(&shared).await?;
        let builds = Arc::new(PythonBuilder::new(PythonSettings::new(config.cache_dir())));
        let runtime = ProcessRuntime {
            target: Arc::new(PythonTarget::default()),
            builder: builds.clone(),
            deployer: Arc::new(ProcessDeployer::new(ProcessSettings::default())),
        };
        let platform = Platform::new(
            Arc::new(OpenApiParser::default()),
            Arc::new(ToolPlanner::default()),
            store.clone(),
        )
        .with_events(shared.events.clone())
        .with_runtime(runtime);
        let platform = Arc::new(platform);
        let discovering = Discovering::new(platform.clone(), &config.discover)?;
        Ok(Self {
            platform,
            discovering,
            store,
            shared,
            tenant: config.tenant.clone(),
            rate: config.rate(),
            auth: config.auth,
            trusted_proxies: config.trusted_proxies.clone(),
            allowed_origins: config.allowed_origins.clone(),
            allowed_hosts: config.allowed_hosts.clone(),
            public_url: config.public_url.clone(),
            refuse_private_addresses: config.refuse_private_addresses,
            purge_removed_after: config.purge_removed_after(),
            keep_audit: config.audit.keep(),
            max_retry_wait: Duration::from_secs(config.max_retry_wait),
            propagators: config.propagators(),
            guard: config.guard.settings(),
            zone: config.zone.clone(),
            max_requests: config.max_requests,
            audit: config.audit.settings(),
            alerts,
            tools: config.tools.into(),
            virtual_servers: config.virtual_servers()?,
            instance: instance(settings),
            builds,
        })
    }

    /// What connects servers outside a gateway.
    ///
    /// # Errors
    /// As [`Host::gateway`].
    pub fn connector(&self) -> Result<Connector> {
        Ok(Connector::new(self.upstreams())?
            .launching(self.launcher())
            .keeping(self.platform.clone()))
    }

    fn launcher(&self) -> Arc<dyn Launcher> {
        Arc::new(ProcessLauncher::default())
    }

    fn upstreams(&self) -> UpstreamSettings {
        let mut upstreams = UpstreamSettings::default();
        upstreams.native.refuse_private_addresses = self.refuse_private_addresses;
        upstreams.native.max_retry_wait = self.max_retry_wait;
        upstreams.native.propagators = self.propagators;
        upstreams.zone.clone_from(&self.zone);
        upstreams
    }

    /// Keys for a purpose, the same at every gateway over the store for the tenant.
    fn keys(&self, purpose: &str) -> Vec<DataKey> {
        let keys = self.store.master_keys();
        let purpose = format!("{purpose} of {}", self.tenant);
        keys.map(|keys| keys.derived(&purpose)).unwrap_or_default()
    }

    /// What says who calls, where it is known how others reach the gateway.
    fn issuer(&self) -> Result<Option<TokenIssuer>> {
        let url = self.public_url.as_ref();
        let keys = || self.keys("signatures");
        url.map(|url| TokenIssuer::new(url, self.tenant.clone(), keys()))
            .transpose()
    }

    /// What lets users log in to servers, where it is known how their browsers reach the gateway.
    fn user_logins(&self) -> Result<Option<UserLogins>> {
        let Some(url) = &self.public_url else {
            return Ok(None);
        };
        let (platform, store) = (self.platform.clone(), self.store.clone());
        let keeper = TenantLogins::new(platform, store, self.tenant.clone());
        let (leases, keys) = (self.shared.leases.clone(), self.keys("logins of users"));
        UserLogins::new(url, Arc::new(keeper), leases, keys).map(Some)
    }

    fn sign_ins(&self) -> SignIns {
        let limits = self.shared.limits.clone();
        SignIns::new(self.store.clone(), limits, SignInSettings::default())
    }

    /// A gateway over the platform's catalogue, and what is discovered beside it.
    ///
    /// # Errors
    /// `Internal` without a crypto provider; as [`TokenIssuer::new`].
    pub fn gateway(&self) -> Result<Gateway> {
        let mut settings = GatewaySettings::default();
        settings
            .allowed_origins
            .extend(self.allowed_origins.iter().cloned());
        settings.allowed_hosts.clone_from(&self.allowed_hosts);
        settings.public_url.clone_from(&self.public_url);
        settings.instance = Some(self.instance.clone());
        settings.guard = self.guard.clone();
        if let Some(most) = self.max_requests {
            settings.max_requests = most.get();
        }
        settings.tools = self.tools;
        settings.trusted_proxies.clone_from(&self.trusted_proxies);
        let gateway = Gateway::builder(self.discovering.catalog())
            .settings(settings)
            .upstreams(self.upstreams())
            .launcher(self.launcher())
            .virtual_servers(self.virtual_servers.clone())
            .grants(self.platform.clone())
            .shared(self.shared.clone())
            .mark_keys(self.keys("marks of principals"));
        let gateway = match self.issuer()? {
            Some(issuer) => gateway.issuer(issuer),
            None => gateway,
        };
        let gateway = match self.alerts.clone() {
            Some((settings, webhook)) => gateway.alerts(settings, webhook),
            None => gateway,
        };
        let gateway = match self.auth {
            Auth::None => gateway,
            Auth::Keys => {
                let gateway = gateway
                    .authenticator(Arc::new(BearerAuthenticator::new(self.store.clone())))
                    .sign_ins(Arc::new(self.sign_ins()));
                match self.user_logins()? {
                    Some(logins) => gateway.user_logins(logins),
                    None => gateway,
                }
            }
        };
        let gateway = match self.audit {
            Some(audit) => gateway.audit(self.store.clone(), audit),
            None => gateway,
        };
        match self.rate {
            Some(rate) => gateway.rate_limit(rate).build(),
            None => gateway.build(),
        }
    }
}

/// Where the store is, what encrypts it, and for whom it is opened.
///
/// # Errors
/// `InvalidInput` for a master key that is none, and those of reading the key file.
pub fn settings(config: &Config) -> Result<StoreSettings> {
    let settings = StoreSettings::new(&config.store).with_scope(Scope {
        tenant: config.tenant.clone(),
        actor: config.actor.clone(),
    });
    let keys = match (std::env::var("MCPHUB_MASTER_KEY"), &config.key_file) {
        (Ok(text), _) => {
            let keys = MasterKeys::from_text(&text);
            keys.map_err(|error| error.with("variable", "MCPHUB_MASTER_KEY"))?
        }
        (Err(_), Some(file)) => MasterKeys::load_or_create(file)?,
        // The store makes its own: beside the file, or a random one in memory.
        (Err(_), None) => return Ok(settings),
    };
    Ok(settings.with_master_keys(keys))
}

/// The same for every process over the same tenant of the same store, and no path.
///
/// A store that was deleted and made again is another one: a gateway goes on with the old file.
fn instance(settings: &StoreSettings) -> String {
    let tenant = &settings.scope.tenant;
    let digest = Sha256::digest(format!("{} {tenant}", settings.identity()));
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Runs work that computes for long where it may block.
///
/// # Errors
/// Those of the work; `Internal` when it was interrupted.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let task = tokio::task::spawn_blocking(work);
    task.await
        .map_err(|error| Error::internal("the work was interrupted").caused_by(error))?
}
