//! `mcphub mock`: a document answers for its API, or what the API once answered does.

mod recorder;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use mcphub_codegen::mock::recording::{Played, Recording};
use mcphub_codegen::mock::scrub::Scrubber;
use mcphub_codegen::mock::{Answer, Mock, Request};
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_core::spec::{ApiSpec, SpecParser};
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::Hosts;
use url::Url;

use self::recorder::Recorder;
use crate::{cli, document, host, output, progress, serving};

/// The largest request body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// The largest recording that is read, in bytes.
const MAX_RECORDING: u64 = 1024 * 1024 * 1024;

#[derive(Clone)]
struct Serving {
    source: Arc<Source>,
    latency: Duration,
    fail_every: Option<u64>,
    requests: Arc<AtomicU64>,
}

/// Who answers.
#[derive(Debug)]
enum Source {
    /// The document.
    Document(Box<Mock>),
    /// The API, and it is written down.
    Api(Recorder),
    /// What was written down.
    Recording(Recording),
}

/// A request as it came.
struct Asked<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: Vec<(String, String)>,
    body: &'a Bytes,
}

pub async fn run(args: cli::Mock) -> Result<ExitCode> {
    let document = document::load(&args.spec, &args.document);
    let document = progress::during("fetching the document", document).await?;
    let work = host::blocking(move || {
        let parsed = OpenApiParser::default().parse(&document)?;
        let spec = parsed.spec.clone();
        let mock = Mock::new(&document, parsed)?;
        Ok((mock, spec, document.source))
    });
    let (mock, spec, place) = progress::during("reading the document", work).await?;
    let base_path = mock.base_path().to_owned();
    let (source, says) = match (&args.record, &args.replay) {
        (Some(file), _) => {
            let base = base_url(args.base_url.as_ref(), &spec, &place)?;
            let says = format!("Recording calls of {base} to {},", file.display());
            let recorder = Recorder::new(base, &base_path, Scrubber::of(&spec), file)?;
            (Source::Api(recorder), says)
        }
        (_, Some(file)) => {
            let recording = read(file.clone(), spec, args.base_url, base_path.clone()).await?;
            let says = format!("Playing {} recorded calls", recording.len());
            (Source::Recording(recording), says)
        }
        _ => {
            let says = format!(
                "Serving {} ({} operations)",
                spec.title,
                spec.operations.len()
            );
            (Source::Document(Box::new(mock)), says)
        }
    };
    let listener = serving::bind(args.listen)
        .await?
        .ok_or_else(|| serving::in_use(args.listen, "--listen"))?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let stop = serving::stop_signal();
    output::line(&format!(
        "{says} at http://{address}{base_path}; Ctrl-C ends it"
    ))?;
    let serving = Serving {
        source: Arc::new(source),
        latency: Duration::from_millis(args.latency),
        fail_every: args.fail_every,
        requests: Arc::default(),
    };
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(serving);
    let hosts = Hosts::at(address, &args.allow_hosts);
    axum::serve(listener, hosts.guard(router))
        .with_graceful_shutdown(stop)
        .await
        .map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the listener broke").caused_by(error)
        })?;
    Ok(ExitCode::SUCCESS)
}

/// Where the API is that is recorded.
fn base_url(given: Option<&Url>, spec: &ApiSpec, place: &str) -> Result<Url> {
    let origin = Url::parse(place).ok();
    let mut servers = spec.servers.iter().filter_map(|server| {
        let own = Url::parse(server).ok();
        own.or_else(|| origin.as_ref()?.join(server).ok())
    });
    given
        .cloned()
        .or_else(|| servers.find(|url| matches!(url.scheme(), "http" | "https") && url.has_host()))
        .ok_or_else(|| {
            Error::invalid("the document does not say where its API is; say it with --base-url")
        })
}

async fn read(
    file: PathBuf,
    spec: ApiSpec,
    base: Option<Url>,
    base_path: String,
) -> Result<Recording> {
    let work = host::blocking(move || {
        let archive = contents(&file)?;
        // An API can lie elsewhere than its document says: its own path is cut off, too.
        let there = spec
            .servers
            .iter()
            .filter_map(|server| Url::parse(server).ok());
        let paths: Vec<String> = base
            .into_iter()
            .chain(there)
            .map(|url| url.path().to_owned())
            .collect();
        let bases: Vec<&str> = paths
            .iter()
            .map(String::as_str)
            .chain([base_path.as_str()])
            .collect();
        Recording::read(&archive, &spec, &bases)
    });
    progress::during("reading the recording", work).await
}

fn contents(file: &Path) -> Result<Vec<u8>> {
    let failed = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::PermissionDenied,
        };
        Error::new(kind, "the recording cannot be read")
            .with("file", file.display())
            .caused_by(error)
    };
    let size = std::fs::metadata(file).map_err(failed)?.len();
    if size > MAX_RECORDING {
        return Err(
            Error::new(ErrorKind::TooLarge, "the recording is larger than 1 GiB")
                .with("file", file.display()),
        );
    }
    std::fs::read(file).map_err(failed)
}

async fn answer(
    State(serving): State<Serving>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    tokio::time::sleep(serving.latency).await;
    let number = serving.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if serving
        .fail_every
        .is_some_and(|every| number.is_multiple_of(every))
    {
        let told = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, told, "out of order\n").into_response();
    }
    let asked = Asked {
        method: &method,
        uri: &uri,
        headers: headers
            .iter()
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                (name.to_string(), value)
            })
            .collect(),
        body: &body,
    };
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &asked.headers,
        body: &body,
    };
    let response = match serving.source.as_ref() {
        Source::Document(mock) => described(mock.answer(&request)),
        Source::Recording(recording) => recording.answer(&request).map_or_else(described, played),
        Source::Api(recorder) => match recorder.call(&asked).await {
            Ok(answer) => played(answer),
            Err(error) => {
                output::say(&error.report());
                (StatusCode::BAD_GATEWAY, "the API cannot be reached\n").into_response()
            }
        },
    };
    let status = response.status().as_u16();
    output::say(&format!("{status} {method} {}", uri.path()));
    response
}

/// An answer that the document describes.
fn described(answer: Answer) -> Response {
    let mut headers = Vec::new();
    for (name, value) in [
        ("content-type", Some(answer.media_type)),
        ("allow", answer.allow),
    ] {
        headers.extend(
            value
                .filter(|value| !value.is_empty())
                .map(|value| (name.to_owned(), value)),
        );
    }
    response(answer.status, &headers, answer.body)
}

/// An answer of the API.
fn played(answer: Played) -> Response {
    response(answer.status, &answer.headers, answer.body)
}

fn response(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
