//! One server, and the connection to it.

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use mcphub_core::{Error, ErrorKind, Result};
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSub};
use redis::{Client, Cmd, ConnectionAddr, ConnectionInfo, RedisError, RedisResult, Value};
use tokio::time::timeout;

use super::failure;
use super::slots::{Address, Range, read_slots};
use crate::reach::Reach;

/// How long connecting to listen may take; then another server is tried.
const LISTEN: Duration = Duration::from_secs(2);

/// A server that is connected to when it is first asked, and again when a connection broke or said
/// nothing in time.
pub(super) struct Node {
    address: Address,
    client: Client,
    config: ConnectionManagerConfig,
    /// With how often it was replaced.
    connection: RwLock<(u64, ConnectionManager)>,
    reach: Reach,
}

impl Node {
    /// The server at this address, where one call may take so long.
    pub(super) fn new(info: ConnectionInfo, limit: Duration) -> RedisResult<Self> {
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Address::new(host, *port)
            }
            _ => Address::new("localhost", 0),
        };
        let client = Client::open(info)?;
        // Calls have their own bound, in which one attempt to connect has to fit.
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(500))
            .set_connection_timeout(Some(limit))
            .set_response_timeout(Some(limit));
        let connection = client.get_connection_manager_lazy(config.clone())?;
        Ok(Self {
            address,
            client,
            config,
            connection: RwLock::new((0, connection)),
            reach: Reach::new("Redis", limit),
        })
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Whether a call failed a moment ago.
    pub(super) fn is_away(&self) -> bool {
        self.reach.is_closed()
    }

    /// Sends a command, `asking` for a key of a slot that is on its way to this server.
    ///
    /// # Errors
    /// The outer ones say that the server did not do its work. The inner one is its answer: who has
    /// the key, or that the command cannot be carried out.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        limit: Duration,
        command: &Cmd,
        asking: bool,
    ) -> Result<RedisResult<Value>> {
        let (generation, mut connection) = self.connection();
        let work = async {
            let answer = if asking {
                // In one piece: it counts for the next command of the connection, which others use too.
                let mut both = redis::pipe();
                both.cmd("ASKING").add_command(command.clone());
                let answers = connection.send_packed_commands(&both, 1, 1).await;
                answers.and_then(|answers| {
                    answers
                        .into_iter()
                        .next_back()
                        .unwrap_or(Value::Nil)
                        .extract_error()
                })
            } else {
                let answer = connection.send_packed_command(command).await;
                answer.and_then(Value::extract_error)
            };
            match answer {
                Err(error) if is_no_answer(&error) => Err(failure(error)),
                answer => Ok(answer),
            }
        };
        let outcome = self.reach.call_within(operation, limit, work).await;
        if matches!(&outcome, Err(error) if error.kind() == ErrorKind::Timeout) {
            self.connect_again(generation);
        }
        outcome
    }

    /// Which server has which slots; `None` where it is no cluster, or says nothing of it.
    pub(super) async fn slots(&self, limit: Duration) -> Result<Option<Vec<Range>>> {
        let (generation, mut connection) = self.connection();
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let answer = timeout(limit, connection.send_packed_command(&command)).await;
        match answer.map(|answer| answer.and_then(Value::extract_error)) {
            Ok(Ok(answer)) => Ok(read_slots(&answer, &self.address)),
            Ok(Err(error)) if is_refusal(&error) => Ok(None),
            Ok(Err(error)) => Err(failure(error)),
            Err(_) => {
                self.connect_again(generation);
                let message = "Redis cannot be connected to in time";
                Err(Error::new(ErrorKind::Timeout, message))
            }
        }
    }

    /// A connection that listens to a channel. It can do nothing else.
    pub(super) async fn listen(&self, channel: &str) -> Result<PubSub> {
        let work = async {
            let mut connection = self.client.get_async_pubsub().await?;
            connection.subscribe(channel).await?;
            Ok(connection)
        };
        let listened = timeout(LISTEN, work).await;
        let silent = |_| Error::new(ErrorKind::Timeout, "Redis did not answer in time");
        listened.map_err(silent)?.map_err(failure)
    }

    fn connection(&self) -> (u64, ConnectionManager) {
        let connection = self
            .connection
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        connection.clone()
    }

    /// Gives up a connection that said nothing in time: it may lead to where nobody is any more, which
    /// nobody tells. Those that wait on it wait on.
    fn connect_again(&self, generation: u64) {
        let mut connection = self
            .connection
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if connection.0 == generation
            && let Ok(again) = self.client.get_connection_manager_lazy(self.config.clone())
        {
            *connection = (generation + 1, again);
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client holds the password.
        f.debug_struct("Node")
            .field("address", &self.address)
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

/// Whether the server said neither what was asked nor who knows it.
fn is_no_answer(error: &RedisError) -> bool {
    use redis::{ErrorKind as Kind, ServerErrorKind as Answer};
    !matches!(
        error.kind(),
        Kind::Server(Answer::Moved | Answer::Ask | Answer::NoScript)
    )
}

/// Whether the server does not know the command, does not do it for this user, or not yet.
fn is_refusal(error: &RedisError) -> bool {
    use redis::{ErrorKind as Kind, ServerErrorKind as Answer};
    matches!(
        error.kind(),
        Kind::Server(Answer::ResponseError | Answer::NoPerm | Answer::BusyLoading)
    )
}
