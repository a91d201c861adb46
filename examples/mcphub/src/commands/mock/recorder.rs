//! The API answers, and its calls are written down without secrets.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use mcphub_codegen::mock::exchange::{Exchange, HEAD, TAIL};
use mcphub_codegen::mock::recording::Played;
use mcphub_codegen::mock::scrub::Scrubber;
use mcphub_core::{Error, ErrorKind, Result};
use reqwest::redirect;
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::{Asked, MAX_BODY};

/// How long the API may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How many calls may wait to be written.
const MAX_WAITING: usize = 64;

/// Headers that belong to one connection, or that the client makes itself.
const OWN: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Passes requests on to the API and writes them, with their answers, to a file.
#[derive(Debug)]
pub(super) struct Recorder {
    client: reqwest::Client,
    base: Url,
    /// The path of the document's server, in whose place that of `base` comes.
    base_path: String,
    scrubber: Scrubber,
    tape: mpsc::Sender<(Exchange, oneshot::Sender<Result<()>>)>,
}

impl Recorder {
    /// A recorder to a new file, which only its owner can read.
    ///
    /// # Errors
    /// `Conflict` when the file is there already.
    pub(super) fn new(base: Url, base_path: &str, scrubber: Scrubber, file: &Path) -> Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("there is no HTTP client").caused_by(error))?;
        let tape = Tape::new(file)?;
        let (sender, mut receiver) =
            mpsc::channel::<(Exchange, oneshot::Sender<Result<()>>)>(MAX_WAITING);
        // It ends with the recorder, when the last sender is gone.
        tokio::task::spawn_blocking(move || {
            let mut tape = tape;
            while let Some((exchange, done)) = receiver.blocking_recv() {
                // Who asked may be gone.
                let _ = done.send(tape.add(&exchange.to_entry()));
            }
        });
        Ok(Self {
            client,
            base,
            base_path: base_path.trim_end_matches('/').to_owned(),
            scrubber,
            tape: sender,
        })
    }

    /// The answer of the API, which is written down before it is given.
    ///
    /// # Errors
    /// `Unavailable` and `Timeout` where the API does not answer, `TooLarge` for more than 64 MiB, and
    /// what keeps the file from being written.
    pub(super) async fn call(&self, asked: &Asked<'_>) -> Result<Played> {
        let url = self.url(asked);
        let kept = |(name, _): &&(String, String)| !OWN.contains(&name.as_str());
        let mut request = self.client.request(asked.method.clone(), url.clone());
        for (name, value) in asked.headers.iter().filter(kept) {
            request = request.header(name, value);
        }
        let failed = |error: reqwest::Error| {
            let kind = if error.is_timeout() {
                ErrorKind::Timeout
            } else {
                ErrorKind::Unavailable
            };
            Error::new(kind, "the API does not answer").caused_by(error.without_url())
        };
        let response = request
            .body(asked.body.clone())
            .send()
            .await
            .map_err(failed)?;
        let status = response.status().as_u16();
        let headers: Vec<(String, String)> = response
            .headers()
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            })
            .collect();
        let mut body = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            body.extend_from_slice(&chunk.map_err(failed)?);
            if body.len() > MAX_BODY {
                return Err(Error::new(
                    ErrorKind::TooLarge,
                    "the answer is larger than 64 MiB",
                ));
            }
        }
        let mut exchange = Exchange::default();
        exchange.method = asked.method.to_string();
        exchange.query = url.query().unwrap_or_default().to_owned();
        let mut place = url;
        place.set_query(None);
        exchange.url = place.into();
        exchange.request_headers = asked.headers.iter().filter(kept).cloned().collect();
        exchange.request_body = asked.body.to_vec();
        exchange.status = status;
        exchange.response_headers = headers.clone();
        exchange.response_body = body.clone();
        self.scrubber.scrub(&mut exchange);
        self.write(exchange).await?;
        Ok(Played::new(status, headers, body))
    }

    async fn write(&self, exchange: Exchange) -> Result<()> {
        let broken = || Error::internal("the recording ended");
        let (done, written) = oneshot::channel();
        self.tape
            .send((exchange, done))
            .await
            .map_err(|_| broken())?;
        written.await.map_err(|_| broken())?
    }

    fn url(&self, asked: &Asked<'_>) -> Url {
        let path = asked.uri.path();
        let below = path
            .strip_prefix(&self.base_path)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            .unwrap_or(path);
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{below}",
            self.base.path().trim_end_matches('/')
        ));
        url.set_query(asked.uri.query());
        url
    }
}

/// An archive that is whole after each call.
#[derive(Debug)]
struct Tape {
    path: PathBuf,
    file: File,
    empty: bool,
}

impl Tape {
    fn new(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(path).and_then(|mut file| {
            file.write_all(HEAD.as_bytes())?;
            file.write_all(TAIL.as_bytes())?;
            Ok(file)
        });
        let file = opened.map_err(|error| unwritable(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            empty: true,
        })
    }

    fn add(&mut self, entry: &str) -> Result<()> {
        let comma = if self.empty { "" } else { ",\n" };
        let text = format!("{comma}{entry}{TAIL}");
        let end = i64::try_from(TAIL.len()).unwrap_or_default();
        self.file
            .seek(SeekFrom::End(-end))
            .and_then(|_| self.file.write_all(text.as_bytes()))
            .map_err(|error| unwritable(&self.path, error))?;
        self.empty = false;
        Ok(())
    }
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::AlreadyExists => (
            ErrorKind::Conflict,
            "the recording is there already; remove it, or choose another file",
        ),
        std::io::ErrorKind::NotFound => (ErrorKind::NotFound, "there is no such folder"),
        _ => (
            ErrorKind::PermissionDenied,
            "the recording cannot be written",
        ),
    };
    Error::new(kind, message)
        .with("file", path.display())
        .caused_by(error)
}
