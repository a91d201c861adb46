//! Limits of MCP servers over a channel.

use std::time::Duration;

use mcphub_core::connection::Era;

/// Limits of one MCP server that is a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelSettings {
    /// How long a program may take from its start to the end of the handshake. Default 60 s: some
    /// are downloaded first.
    pub start_timeout: Duration,
    /// How long a program may take to answer `server/discover`, before it is met in the era of
    /// `initialize`. Default 5 s. A late answer still counts until that is answered.
    pub discover_timeout: Duration,
    /// How long a `tools/call` may take, a start before it included. Default 60 s.
    pub call_timeout: Duration,
    /// How long a request may take with all that is said until its answer. Default as the gateway
    /// has it, [`GatewaySettings::stream_timeout`](crate::GatewaySettings::stream_timeout).
    pub total_timeout: Option<Duration>,
    /// How long all pages of `tools/list` together may take. Default 10 s.
    pub list_timeout: Duration,
    /// The most tools that one server may list. Default 10,000.
    pub max_tools: usize,
    /// The largest list of tools, in bytes. Default 64 MiB.
    pub max_list: usize,
    /// Which era is spoken. Default as the server answers `server/discover`.
    pub era: Era,
    /// The most channels to a server of the legacy era that each belong to a client's session, or to
    /// one call, besides the one in which lists are read. Of more sessions, those that were not used
    /// for longest lose theirs, as do those that were not used for 10 min. Default 0: one channel is
    /// shared by all.
    pub max_own: u32,
    /// The most requests to one program at once. Default 256. One more is refused, to be tried again.
    pub max_in_flight: usize,
    /// The first pause before a program that ended early is started again; it doubles with each
    /// such end. Default 500 ms.
    pub initial_backoff: Duration,
    /// The longest such pause. Default 30 s.
    pub max_backoff: Duration,
}

impl Default for ChannelSettings {
    fn default() -> Self {
        Self {
            start_timeout: Duration::from_secs(60),
            discover_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(60),
            total_timeout: None,
            list_timeout: Duration::from_secs(10),
            max_tools: 10_000,
            max_list: 64 * 1024 * 1024,
            era: Era::Auto,
            max_own: 0,
            max_in_flight: 256,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(30),
        }
    }
}

impl ChannelSettings {
    /// How long lists may take, a start before them included.
    pub(super) fn to_list(&self) -> Duration {
        self.start_timeout + self.list_timeout
    }
}
