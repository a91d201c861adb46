//! `mcphub discover`.

use std::net::IpAddr;
use std::str::FromStr;

use clap::Args;
use mcphub_core::{Error, Result};
use url::Url;

use super::{Format, SharedArgs, StoreArgs};
use crate::discovering::ReachSetting;

/// `mcphub discover`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub discover localhost:8000-8010
  mcphub discover 10.0.0.4:8080 10.0.0.5:8080 --path /tools/mcp --add
  mcphub discover --docker                        (containers with the label io.mcphub.server)
  mcphub discover --docker=tcp://10.0.0.6:2375 --reach host
  mcphub discover --kubernetes --namespace team   (services with the label io.mcphub.server)
  mcphub discover --kubernetes=staging --all-namespaces --reach pods

Only what is named is asked, at most 256 addresses, 16 at once, each for at most 3 s: whether it
answers MCP over streamable HTTP, and which tools it lists. No credential is sent.")]
pub struct Discover {
    /// Hosts with a port, or with the first and the last of several
    #[arg(required_unless_present_any = ["docker", "kubernetes"], value_name = "HOST:PORT[-PORT]")]
    pub places: Vec<Places>,

    /// Look at the running containers of a Docker daemon instead, which say by labels that they are MCP
    /// servers: unix:///PATH or tcp://HOST:PORT [default: DOCKER_HOST, else the usual socket]
    #[arg(
        long,
        value_name = "DAEMON",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "default",
        conflicts_with_all = ["places", "paths", "https", "kubernetes"],
        group = "labels"
    )]
    pub docker: Option<String>,

    /// Look at the services of a Kubernetes cluster instead, which say by labels that they are MCP
    /// servers: by a context of the kubeconfig [default: the service account of the pod, else the
    /// current context]
    #[arg(
        long,
        value_name = "CONTEXT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "default",
        conflicts_with_all = ["places", "paths", "https"],
        group = "labels"
    )]
    pub kubernetes: Option<String>,

    /// The namespace whose services are looked at; repeatable [default: that of the service account,
    /// or of the context]
    #[arg(long = "namespace", value_name = "NAME", requires = "kubernetes")]
    pub namespaces: Vec<String>,

    /// Look at the services of all namespaces
    #[arg(long, requires = "kubernetes", conflicts_with = "namespaces")]
    pub all_namespaces: bool,

    /// Where they are reached [default: container, and service of a cluster]
    #[arg(long, value_enum, value_name = "WHERE", requires = "labels")]
    pub reach: Option<ReachSetting>,

    /// The network whose addresses of containers are taken [default: the first by name]
    #[arg(long, value_name = "NAME", requires = "docker")]
    pub network: Option<String>,

    /// Where published ports are, or those of nodes [default: where the daemon or the API server is]
    #[arg(long, value_name = "IP", requires = "labels")]
    pub host: Option<IpAddr>,

    /// The path at which they answer; repeatable
    #[arg(long = "path", value_name = "PATH", default_value = "/mcp")]
    pub paths: Vec<String>,

    /// Ask over https
    #[arg(long)]
    pub https: bool,

    /// Register what is found, as HOST-PORT or as its label says
    #[arg(long)]
    pub add: bool,

    /// How to print it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub format: Format,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}

/// Ports of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    host: String,
    first: u16,
    last: u16,
}

impl Discover {
    /// The most addresses that one command asks.
    pub const MAX: usize = 256;

    /// What is asked, in the order of the command line.
    ///
    /// # Errors
    /// `InvalidInput` for more than [`Discover::MAX`], and for what no URL can have.
    pub fn urls(&self) -> Result<Vec<Url>> {
        let ports = self.places.iter().map(Places::count).sum::<usize>();
        if ports.saturating_mul(self.paths.len()) > Self::MAX {
            return Err(Error::invalid("at most 256 addresses are asked at once"));
        }
        let scheme = if self.https { "https" } else { "http" };
        let mut urls = Vec::new();
        for places in &self.places {
            for port in places.first..=places.last {
                for path in &self.paths {
                    let host = &places.host;
                    let path = path.trim_start_matches('/');
                    let url = Url::parse(&format!("{scheme}://{host}:{port}/{path}"));
                    let url = url.ok().filter(|url| url.username().is_empty());
                    urls.push(url.ok_or_else(|| {
                        Error::invalid("a host or a path cannot be that of a URL")
                            .with("host", host)
                    })?);
                }
            }
        }
        Ok(urls)
    }
}

impl Places {
    fn count(&self) -> usize {
        usize::from(self.last - self.first) + 1
    }
}

impl FromStr for Places {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a place is HOST:PORT or HOST:FIRST-LAST, such as localhost:8000-8010";
        let (host, ports) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last && !host.is_empty() => Ok(Self {
                host: host.to_owned(),
                first,
                last,
            }),
            _ => Err(wrong().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn urls(arguments: &[&str]) -> Result<Vec<String>> {
        let all = ["mcphub", "discover"].iter().chain(arguments);
        let Command::Discover(discover) = Cli::try_parse_from(all).unwrap().command else {
            panic!("another command");
        };
        let urls = discover.urls()?;
        Ok(urls.iter().map(Url::to_string).collect())
    }

    #[test]
    fn what_is_named_is_asked_and_no_more() {
        let some = urls(&[
            "a.test:80-81",
            "[::1]:8000",
            "--path",
            "mcp",
            "--path",
            "/x",
        ]);
        let expected = [
            "http://a.test/mcp",
            "http://a.test/x",
            "http://a.test:81/mcp",
            "http://a.test:81/x",
            "http://[::1]:8000/mcp",
            "http://[::1]:8000/x",
        ];
        assert_eq!(some.unwrap(), expected);
        assert_eq!(urls(&["a.test:1-256"]).unwrap().len(), 256);
        assert!(urls(&["a.test:1-256", "b.test:1"]).is_err());
        assert!(urls(&["user@a.test:1"]).is_err());
        for wrong in ["a.test", "a.test:0", "a.test:9-8", ":80", "a.test:1-70000"] {
            assert!(wrong.parse::<Places>().is_err(), "{wrong}");
        }
    }
}
