//! `mcphub login` and `mcphub logout`.

use clap::Args;
use mcphub_core::user::UserName;
use url::Url;

use super::{SharedArgs, StoreArgs};

/// `mcphub login`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub login shop --client-id mcphub
  mcphub login shop.yaml --client-env SHOP_CLIENT --scopes 'read write'
  mcphub login shop --device                (a code, to enter on another device)
  mcphub login tracker                      (an MCP server, from `mcphub add tracker URL --no-probe`)
  mcphub login tracker --user ada           (for that user's calls, of a server with --per-user)

The server is registered by `mcphub up` or `mcphub add`; a gateway that runs takes the login over.
Tokens are kept encrypted in the store, and renewed before they end; a second login needs no client.
An MCP server says which authorization server lets in; most of those register a client by
themselves, and others take the https URL of one that describes itself as --client-id.
Register http://127.0.0.1/callback with the authorization server as the redirect URL; where it wants
the port too, name one with --port.")]
pub struct Login {
    /// The server: its name, or the document that it was registered from
    #[arg(value_name = "SERVER")]
    pub server: String,

    /// The user whose calls it is for, of an MCP server that each user logs in to
    #[arg(long, value_name = "USER", conflicts_with = "scheme")]
    pub user: Option<UserName>,

    /// The security scheme of the document, where several have logins
    #[arg(long, value_name = "NAME")]
    pub scheme: Option<String>,

    /// The client that is registered with the authorization server, when it has no secret
    #[arg(long, value_name = "ID", conflicts_with = "client_env")]
    pub client_id: Option<String>,

    /// Environment variable that holds `id:secret` of the client
    #[arg(long, value_name = "VAR")]
    pub client_env: Option<String>,

    /// What to ask for, separated by spaces [default: what the server decides; `openid` of OpenID
    /// Connect]
    #[arg(long, value_name = "SCOPES")]
    pub scopes: Option<String>,

    /// The authorization server, in place of what the document says; it has to describe itself
    /// (OpenID Connect Discovery, RFC 8414)
    #[arg(long, value_name = "URL")]
    pub issuer: Option<Url>,

    /// Log in with another device
    #[arg(long)]
    pub device: bool,

    /// The port of this machine to which the browser comes back; 0 is any that is free
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    pub port: u16,

    /// Print the address, and start no browser
    #[arg(long)]
    pub no_browser: bool,

    #[command(flatten)]
    pub store: StoreArgs,
}

/// `mcphub logout`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mcphub logout tracker                     (the gateway's own login)
  mcphub logout tracker --user ada          (that user's, and no other)

A gateway that runs sends no more of its tokens within a second. Whoever gave them is not told: they may
be good there until they end.")]
pub struct Logout {
    /// The server: its name, or the document that it was registered from
    #[arg(value_name = "SERVER")]
    pub server: String,

    /// The user whose login it is, of an MCP server that each user logs in to
    #[arg(long, value_name = "USER", conflicts_with = "scheme")]
    pub user: Option<UserName>,

    /// The security scheme of the document, where there are several logins
    #[arg(long, value_name = "NAME")]
    pub scheme: Option<String>,

    #[command(flatten)]
    pub store: StoreArgs,

    #[command(flatten)]
    pub shared: SharedArgs,
}
