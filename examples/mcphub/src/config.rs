//! The configuration of `mcphub serve`: TOML, checked before anything is opened.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use ipnet::IpNet;
use mcphub_core::connection::Zone;
use mcphub_core::server::ServerName;
use mcphub_core::shared::Rate;
use mcphub_core::tenant::{Actor, TenantName};
use mcphub_core::virtual_server::{Definition, VirtualServer};
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::upstream::native::Propagators;
use mcphub_gateway::{AllowedHost, AuditedCalls, CallAudit, GuardSettings, ToolsMode, WhenFull};
use serde::Deserialize;
use url::Url;

use crate::alerting::Alerting;
use crate::cli::{Auth, SharedArgs, StoreArgs};
use crate::connected::Configured;
use crate::discovering::Place;
use crate::host::NOTHING_SHARED;
use crate::size::Size;

/// The file that is read when none is named.
const DEFAULT_FILE: &str = "mcphub.toml";

/// What can be configured. Everything has a default; an unknown key is an error. No `Debug`: the
/// store's URL can hold a password.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The address to listen on. Default `127.0.0.1:8000`.
    pub listen: SocketAddr,
    /// The URL at which others reach the gateway, such as that of a proxy with TLS before it. Authorization
    /// servers know it as the issuer of what it says of callers, and users log in below it to servers that
    /// want a login of each. Default none.
    pub public_url: Option<Url>,
    /// Where metrics and the state of all servers are read, by whoever reaches it. Default nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// The store: a SQLite file, or `postgres://…`. Default `./mcphub.db`.
    pub store: String,
    /// Whose servers. Default `default`.
    pub tenant: TenantName,
    /// Under whom changes are noted. Default the name of the user who runs the program.
    #[serde(skip)]
    pub actor: Actor,
    /// The file with the master key. Default: `mcphub.key` beside the store.
    pub key_file: Option<PathBuf>,
    /// Builds of generated projects. Default: `mcphub` in the user's cache folder.
    pub cache_dir: Option<PathBuf>,
    /// Who is let in over HTTP. Default `none`: everybody who reaches the address.
    pub auth: Auth,
    /// Browser origins that may call, besides loopback. Default none.
    pub allowed_origins: Vec<String>,
    /// Names under which requests may come, besides those of loopback, of `public_url` and of
    /// `allowed_origins`. Default none: then only those at an address of loopback, and any elsewhere.
    pub allowed_hosts: Vec<AllowedHost>,
    /// Whether native servers refuse calls to this machine and to private networks, wherever a
    /// document or `--base-url` leads. Default false.
    pub refuse_private_addresses: bool,
    /// After how many days a removed server is deleted for good. Default never.
    pub purge_removed_after_days: Option<u32>,
    /// The longest `Retry-After` that a native server waits for, in seconds. Default 10.
    pub max_retry_wait: u64,
    /// What goes to APIs of the trace that a call belongs to: `tracecontext`, `baggage`. Default
    /// `tracecontext` alone.
    pub propagators: Vec<Propagator>,
    /// What gateways over one store share: `redis://…` or `postgres://…`. Default the store, when it
    /// is on a server, else nothing (`memory:`).
    pub shared: Option<String>,
    /// How much of answers is kept, such as `64MiB`, to be given again as far as APIs and MCP servers
    /// allow that. Default none is.
    pub cache: Option<Size>,
    /// How often one client address may ask, such as `100/s`. Default without a limit.
    pub rate_limit: Option<Rate>,
    /// How many requests at once that may be. Default as many as the rate counts.
    pub rate_burst: Option<u32>,
    /// Networks of proxies whose `X-Forwarded-For` tells the client's address. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// The most requests that are answered at once over HTTP. Default 4,096.
    pub max_requests: Option<NonZeroUsize>,
    /// Where this gateway is: replicas of a server there are called before others. Default nowhere.
    pub zone: Option<Zone>,
    /// When a server that fails is not called for a while.
    pub guard: Guarding,
    /// Which calls are noted in the audit log, and how long it is kept.
    pub audit: Auditing,
    /// What somebody is told of servers. Default nothing.
    pub alerts: Option<Alerting>,
    /// Whether clients are listed `all` tools, or three with which they `search`. Default `all`.
    pub tools: ToolsSetting,
    /// Chosen tools, prompts and resources of several servers, by the name of the endpoint. Default
    /// none.
    #[serde(rename = "virtual")]
    pub virtual_servers: BTreeMap<ServerName, Definition>,
    /// MCP servers that exist already, by name: registered when `mcphub serve` starts. Default none.
    pub servers: BTreeMap<ServerName, Configured>,
    /// Where MCP servers are looked for that come and go by themselves, while `mcphub serve` runs.
    /// Default nowhere.
    pub discover: Vec<Place>,
}

/// `[guard]`: when a server is not called. Defaults are those of [`GuardSettings`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guarding {
    /// After how many failures in a row; never at 0.
    failures: Option<u32>,
    /// For how long the first time, in seconds.
    pause: Option<u64>,
    /// For how long at most, in seconds.
    max_pause: Option<u64>,
    /// The most calls of one server at once.
    max_calls: Option<usize>,
    /// Whether its tools are left out of lists meanwhile.
    hide: bool,
}

impl Guarding {
    /// The gateway's settings.
    pub fn settings(&self) -> GuardSettings {
        let mut settings = GuardSettings::default();
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        settings.failures = self.failures.unwrap_or(settings.failures);
        settings.pause = seconds(self.pause, settings.pause);
        settings.max_pause = seconds(self.max_pause, settings.max_pause);
        settings.max_calls = self.max_calls.unwrap_or(settings.max_calls);
        settings.hide = self.hide;
        settings
    }
}

/// `[audit]`: which calls are noted in the audit log, and how long it is kept.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auditing {
    /// `off`, those of tools that write (`writes`), or `all`. Default `off`.
    calls: AuditSetting,
    /// What happens to a call when 8,192 notes wait already: it is made and not noted (`drop`), or it
    /// waits up to 5 s and is then refused (`wait`). Default `drop`.
    when_full: FullSetting,
    /// After how many days an entry of the log is removed. Default never.
    keep_days: Option<u32>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AuditSetting {
    #[default]
    Off,
    Writes,
    All,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FullSetting {
    #[default]
    Drop,
    Wait,
}

impl Auditing {
    /// The gateway's setting; `None` where no calls are noted.
    pub fn settings(&self) -> Option<CallAudit> {
        let mut audit = CallAudit::default();
        audit.calls = match self.calls {
            AuditSetting::Off => return None,
            AuditSetting::Writes => AuditedCalls::Writes,
            AuditSetting::All => AuditedCalls::All,
        };
        audit.full = match self.when_full {
            FullSetting::Drop => WhenFull::Drop,
            FullSetting::Wait => WhenFull::Wait,
        };
        Some(audit)
    }

    /// How long an entry of the log is kept.
    pub fn keep(&self) -> Option<Duration> {
        self.keep_days.map(days)
    }
}

/// How clients get to know tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ToolsSetting {
    /// All are listed
    #[default]
    All,
    /// Three are listed, which find, describe and call the others
    Search,
}

impl From<ToolsSetting> for ToolsMode {
    fn from(setting: ToolsSetting) -> Self {
        match setting {
            ToolsSetting::All => Self::All,
            ToolsSetting::Search => Self::Search,
        }
    }
}

/// What goes on of a trace, by the names that OpenTelemetry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagator {
    /// `traceparent` and `tracestate`.
    TraceContext,
    /// `baggage`.
    Baggage,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            public_url: None,
            metrics_listen: None,
            store: "./mcphub.db".to_owned(),
            tenant: TenantName::default(),
            actor: person(),
            key_file: None,
            cache_dir: None,
            auth: Auth::default(),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            refuse_private_addresses: false,
            purge_removed_after_days: None,
            max_retry_wait: 10,
            propagators: vec![Propagator::TraceContext],
            shared: None,
            cache: None,
            rate_limit: None,
            rate_burst: None,
            trusted_proxies: Vec::new(),
            max_requests: None,
            zone: None,
            guard: Guarding::default(),
            audit: Auditing::default(),
            alerts: None,
            tools: ToolsSetting::default(),
            virtual_servers: BTreeMap::new(),
            servers: BTreeMap::new(),
            discover: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a configuration: the file named, else `mcphub.toml` if it is there, else defaults.
    ///
    /// # Errors
    /// `NotFound` for a named file that is not there, `InvalidInput` with line and key otherwise.
    pub fn load(file: Option<&Path>) -> Result<Self> {
        let path = file.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(
                    Error::new(ErrorKind::NotFound, "the configuration cannot be read")
                        .with("file", path.display())
                        .caused_by(error),
                );
            }
        };
        toml::from_str(&text).map_err(|error| {
            Error::invalid("the configuration is wrong")
                .with("file", path.display())
                .caused_by(error)
        })
    }

    /// The configuration with what the command line says of the store.
    #[must_use]
    pub fn with_store(mut self, args: &StoreArgs) -> Self {
        if let Some(store) = &args.store {
            self.store.clone_from(store);
        }
        if let Some(tenant) = &args.tenant {
            self.tenant = tenant.clone();
        }
        self
    }

    /// The configuration with what the command line says of what nodes share.
    #[must_use]
    pub fn with_shared(mut self, args: &SharedArgs) -> Self {
        if args.shared.is_some() {
            self.shared.clone_from(&args.shared);
        }
        self
    }

    /// The virtual servers.
    ///
    /// # Errors
    /// `InvalidInput` for one that cannot be.
    pub fn virtual_servers(&self) -> Result<Vec<VirtualServer>> {
        let servers = self.virtual_servers.iter().map(|(name, definition)| {
            let server = definition.server(name);
            server.map_err(|error| error.with("in", format!("[virtual.{name}]")))
        });
        servers.collect()
    }

    /// What goes to APIs of the trace that a call belongs to.
    pub fn propagators(&self) -> Propagators {
        let mut propagators = Propagators::NONE;
        propagators.trace_context = self.propagators.contains(&Propagator::TraceContext);
        propagators.baggage = self.propagators.contains(&Propagator::Baggage);
        propagators
    }

    /// Where the state is that nodes share.
    pub fn shared(&self) -> &str {
        let on_a_server = self.store.starts_with("postgres");
        let default = if on_a_server {
            &self.store
        } else {
            NOTHING_SHARED
        };
        self.shared.as_deref().unwrap_or(default)
    }

    /// How often one client address may ask.
    pub fn rate(&self) -> Option<Rate> {
        let rate = self.rate_limit?;
        Some(self.rate_burst.map_or(rate, |burst| rate.with_burst(burst)))
    }

    /// How long a removed server can be restored.
    pub fn purge_removed_after(&self) -> Option<Duration> {
        self.purge_removed_after_days.map(days)
    }

    /// The folder for builds of generated projects.
    pub fn cache_dir(&self) -> PathBuf {
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
        let user = || {
            std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(home)
        };
        let given = || std::env::var_os("MCPHUB_CACHE_DIR").map(PathBuf::from);
        let chosen = self.cache_dir.clone().or_else(given);
        chosen.unwrap_or_else(|| user().unwrap_or_else(std::env::temp_dir).join("mcphub"))
    }
}

fn days(days: u32) -> Duration {
    const DAY: u64 = 24 * 60 * 60;
    Duration::from_secs(u64::from(days) * DAY)
}

/// Who runs the program, as far as the environment tells.
fn person() -> Actor {
    let name = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|variable| std::env::var(variable).ok().filter(|name| !name.is_empty()));
    Actor::of("cli", name.as_deref().unwrap_or("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let outcome = toml::from_str::<Config>("lisen = \"127.0.0.1:1\"");
        let error = outcome.err().unwrap();
        assert!(error.to_string().contains("lisen"));
        let config: Config = toml::from_str("listen = \"0.0.0.0:80\"").unwrap();
        assert_eq!(
            (config.listen.port(), config.store.as_str()),
            (80, "./mcphub.db")
        );
    }

    #[test]
    fn what_is_not_said_of_guarding_is_the_default() {
        let config: Config = toml::from_str("[guard]\nfailures = 9\nhide = true").unwrap();
        let (settings, default) = (config.guard.settings(), GuardSettings::default());
        assert_eq!((settings.failures, settings.hide), (9, true));
        assert_eq!(
            (settings.pause, settings.max_calls),
            (default.pause, default.max_calls)
        );
    }

    #[test]
    fn no_calls_are_noted_unless_it_is_said() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|it| it.audit.settings());
        assert_eq!(read("").unwrap(), None);
        let wanted = CallAudit::default();
        assert_eq!(read("[audit]\ncalls = \"writes\"").unwrap(), Some(wanted));
        let audit = read("[audit]\ncalls = \"all\"\nwhen_full = \"wait\"")
            .unwrap()
            .unwrap();
        assert_eq!(
            (audit.calls, audit.full),
            (AuditedCalls::All, WhenFull::Wait)
        );
        assert!(read("[audit]\ncalls = \"some\"").is_err());
    }

    #[test]
    fn of_a_trace_only_its_name_goes_on_unless_more_is_said() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|it| it.propagators());
        assert_eq!(read("").unwrap(), Propagators::default());
        assert_eq!(read("propagators = []").unwrap(), Propagators::NONE);
        let both = read("propagators = [\"tracecontext\", \"baggage\"]").unwrap();
        assert!(both.trace_context && both.baggage);
        assert!(read("propagators = [\"b3\"]").is_err());
    }

    #[test]
    fn what_is_no_host_is_refused_when_it_is_read() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|it| it.allowed_hosts.len());
        assert_eq!(
            read("allowed_hosts = [\"hub.example.com\", \"*\"]").unwrap(),
            2
        );
        assert!(read("allowed_hosts = [\"https://hub.example.com\"]").is_err());
    }

    #[test]
    fn a_rate_and_its_burst_are_checked_when_they_are_read() {
        let config: Config = toml::from_str(
            "rate_limit = \"100/m\"\nrate_burst = 5\ntrusted_proxies = [\"10.0.0.0/8\"]",
        )
        .unwrap();
        assert_eq!(config.rate().unwrap().burst(), 5);
        let config: Config = toml::from_str("auth = \"keys\"").unwrap();
        assert_eq!(config.auth, Auth::Keys);
        for wrong in [
            "auth = \"all\"",
            "rate_limit = \"100\"",
            "trusted_proxies = [\"proxy\"]",
        ] {
            assert!(toml::from_str::<Config>(wrong).is_err(), "{wrong}");
        }
    }
}
