//! One deployment: its state, and the task that starts it again.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcphub_core::artifact::Program;
use mcphub_core::deployment::{Deployment, DeploymentSpec, Endpoint, Phase, RestartPolicy};
use mcphub_core::project::Purpose;
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::broadcast;
use tokio::time::{Duration, Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::environment;
use super::group::Start;
use super::instance::Instance;
use super::output::Output;
use super::ports::{Port, Ports};

/// How often a start is tried on another port because somebody took the first.
const PORT_ATTEMPTS: u32 = 3;

/// A spec that was applied, with what it keeps through restarts.
pub(super) struct Unit {
    pub spec: DeploymentSpec,
    pub output: Arc<Output>,
    /// Asks the deployment to end.
    pub stop: CancellationToken,
    /// Cancelled when nothing of it is left.
    pub stopped: CancellationToken,
    token: SecretString,
    /// With another port.
    url: Url,
    ports: Ports,
    changes: broadcast::Sender<Deployment>,
    state: Mutex<State>,
}

struct State {
    deployment: Deployment,
    port: Port,
    /// Whether changes are for others to see. Not before a replacement is ready, and not after a
    /// unit was replaced.
    public: bool,
}

impl Unit {
    /// A unit that has a port and a token, and has started nothing.
    pub fn new(
        spec: DeploymentSpec,
        log_lines: usize,
        ports: &Ports,
        changes: broadcast::Sender<Deployment>,
        public: bool,
    ) -> Result<Arc<Self>> {
        let token = random_token()?;
        let port = ports.pick().map_err(no_port)?;
        let deployment = Deployment {
            name: spec.name.clone(),
            revision: spec.revision,
            digest: spec.artifact.digest.clone(),
            phase: Phase::Starting,
            endpoint: None,
            restarts: 0,
            message: None,
        };
        let output = Output::new(
            spec.name.as_str(),
            log_lines,
            environment::secrets_of(&spec, &token),
        );
        Ok(Arc::new(Self {
            output,
            stop: CancellationToken::new(),
            stopped: CancellationToken::new(),
            token,
            url: Url::parse("http://127.0.0.1/mcp")
                .map_err(|error| Error::internal("the loopback URL is wrong").caused_by(error))?,
            ports: ports.clone(),
            changes,
            state: Mutex::new(State {
                deployment,
                port,
                public,
            }),
            spec,
        }))
    }

    /// The deployment as it is now.
    pub fn deployment(&self) -> Deployment {
        self.state().deployment.clone()
    }

    /// Where the unit answers once it is ready.
    pub fn endpoint(&self) -> Endpoint {
        let mut url = self.url.clone();
        // A URL with a host takes any port.
        let _ = url.set_port(Some(self.state().port.number()));
        let variables = &self.spec.artifact.environment;
        let headers = match variables
            .iter()
            .any(|it| it.purpose == Purpose::ServerToken)
        {
            true => {
                let bearer = format!("Bearer {}", self.token.expose_secret());
                vec![("authorization".to_owned(), bearer.into())]
            }
            // It could not check one.
            false => Vec::new(),
        };
        Endpoint { url, headers }
    }

    /// The command with its environment.
    pub fn command(&self) -> Result<Start> {
        let Program::Command {
            executable,
            arguments,
            directory,
        } = &self.spec.artifact.program
        else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the process deployer runs commands only",
            ));
        };
        if !executable.is_absolute() || !executable.is_file() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the program is not there any more; build the project again",
            )
            .with("program", executable.display()));
        }
        Ok(Start {
            executable: executable.clone(),
            arguments: arguments.iter().map(OsString::from).collect(),
            directory: directory.clone(),
            environment: environment::of_server(
                &self.spec,
                self.state().port.number(),
                &self.token,
            )?,
        })
    }

    /// Starts the server on its port, or on another one when somebody has taken it.
    pub async fn start(&self) -> Result<Instance> {
        for _ in 1..PORT_ATTEMPTS {
            self.keep_port_or_change()?;
            match Instance::start(self).await {
                Err(error) if error.kind() == ErrorKind::Upstream && !self.port_is_free() => {
                    tracing::warn!(server = %self.spec.name, "the port was taken while the server started");
                }
                outcome => return outcome,
            }
        }
        self.keep_port_or_change()?;
        Instance::start(self).await
    }

    /// Changes the state, and tells others.
    pub fn enter(&self, phase: Phase, message: Option<String>) -> Deployment {
        let endpoint = self.endpoint();
        let mut state = self.state();
        state.deployment.phase = phase;
        state.deployment.message = message;
        match phase {
            Phase::Ready => state.deployment.endpoint = Some(endpoint),
            Phase::Failed | Phase::Stopped => state.deployment.endpoint = None,
            _ => {}
        }
        self.announce(&state);
        state.deployment.clone()
    }

    /// Whether others see the changes of this unit. See [`State::public`].
    pub fn set_public(&self, public: bool) {
        self.state().public = public;
    }

    /// Tells others the state as it is.
    pub fn announce_now(&self) {
        self.announce(&self.state());
    }

    fn announce(&self, state: &State) {
        tracing::info!(
            server = %self.spec.name,
            phase = ?state.deployment.phase,
            message = state.deployment.message.as_deref(),
            "deployment"
        );
        if state.public {
            // An error means that nobody listens.
            let _ = self.changes.send(state.deployment.clone());
        }
    }

    fn keep_port_or_change(&self) -> Result<()> {
        if !self.port_is_free() {
            self.state().port = self.ports.pick().map_err(no_port)?;
        }
        Ok(())
    }

    fn port_is_free(&self) -> bool {
        self.state().port.is_free()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Changes are single assignments, so that a panic elsewhere leaves a usable state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        self.output.close();
    }
}

/// Keeps a started unit running until it is stopped or ends too often.
pub(super) async fn supervise(unit: Arc<Unit>, mut instance: Instance) {
    // However this task ends, whoever waits for it must not wait for ever.
    let _ended = unit.stopped.clone().drop_guard();
    let mut restarts = Restarts::new(unit.spec.restart);
    let (phase, message) = loop {
        let problem = tokio::select! {
            biased;
            () = unit.stop.cancelled() => {
                instance.stop(unit.spec.stop_timeout).await;
                break (Phase::Stopped, None);
            }
            how = instance.ended() => format!("the server {how}"),
        };
        match start_again(&unit, &mut restarts, problem).await {
            Again::Ready(next) => instance = *next,
            Again::Stopped => break (Phase::Stopped, None),
            Again::Failed(message) => break (Phase::Failed, Some(message)),
        }
    };
    unit.output.close();
    unit.enter(phase, message);
}

enum Again {
    Ready(Box<Instance>),
    Stopped,
    Failed(String),
}

async fn start_again(unit: &Unit, restarts: &mut Restarts, mut problem: String) -> Again {
    loop {
        let Some(pause) = restarts.next(Instant::now()) else {
            let RestartPolicy {
                max_restarts,
                window,
                ..
            } = unit.spec.restart;
            return Again::Failed(format!(
                "{problem}; given up after {max_restarts} restarts within {window:?}"
            ));
        };
        unit.enter(
            Phase::Restarting,
            Some(format!("{problem}; starting again in {pause:?}")),
        );
        tokio::select! {
            biased;
            () = unit.stop.cancelled() => return Again::Stopped,
            () = sleep(pause) => {}
        }
        unit.state().deployment.restarts += 1;
        unit.enter(Phase::Starting, None);
        match unit.start().await {
            Ok(instance) => {
                unit.enter(Phase::Ready, None);
                return Again::Ready(Box::new(instance));
            }
            Err(_) if unit.stop.is_cancelled() => return Again::Stopped,
            Err(error) => problem = error.to_string(),
        }
    }
}

/// The restarts of a policy's window.
struct Restarts {
    policy: RestartPolicy,
    times: VecDeque<Instant>,
}

impl Restarts {
    fn new(policy: RestartPolicy) -> Self {
        Self {
            policy,
            times: VecDeque::new(),
        }
    }

    /// The pause before one more restart; nothing when there were too many. A window without a
    /// restart begins anew with the first pause.
    fn next(&mut self, now: Instant) -> Option<Duration> {
        while self
            .times
            .front()
            .is_some_and(|time| now.duration_since(*time) >= self.policy.window)
        {
            self.times.pop_front();
        }
        let earlier = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        if earlier >= self.policy.max_restarts {
            return None;
        }
        self.times.push_back(now);
        let factor = 2_u32.checked_pow(earlier).unwrap_or(u32::MAX);
        Some(
            self.policy
                .initial_backoff
                .saturating_mul(factor)
                .min(self.policy.max_backoff),
        )
    }
}

fn random_token() -> Result<SecretString> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal("the system gives no random numbers").with("cause", error)
    })?;
    Ok(bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into())
}

fn no_port(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "no loopback port is free").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit_and_start_anew_after_the_window() {
        let policy = RestartPolicy {
            max_restarts: 4,
            window: Duration::from_secs(60),
            initial_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(1),
        };
        let mut restarts = Restarts::new(policy);
        let now = Instant::now();
        let pauses: Vec<_> = (0..5)
            .map(|_| restarts.next(now).map(|pause| pause.as_millis()))
            .collect();
        assert_eq!(pauses, [Some(200), Some(400), Some(800), Some(1000), None]);
        assert_eq!(
            restarts.next(now + policy.window),
            Some(policy.initial_backoff)
        );
    }

    #[test]
    fn tokens_have_256_bits_and_differ() {
        let (a, b) = (random_token().unwrap(), random_token().unwrap());
        assert_eq!(a.expose_secret().len(), 64);
        assert_ne!(a.expose_secret(), b.expose_secret());
    }
}
