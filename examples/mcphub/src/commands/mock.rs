//! `mcphub mock`: a document answers for its API.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use mcphub_codegen::mock::{Mock, Request};
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_core::spec::SpecParser;
use mcphub_core::{Error, ErrorKind, Result};

use crate::{cli, document, host, output, progress, serving};

/// The largest request body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024 * 1024;

#[derive(Clone)]
struct Serving {
    mock: Arc<Mock>,
    latency: Duration,
    fail_every: Option<u64>,
    requests: Arc<AtomicU64>,
}

pub async fn run(args: cli::Mock) -> Result<ExitCode> {
    let document = document::load(&args.spec, &args.document);
    let document = progress::during("fetching the document", document).await?;
    let work = host::blocking(move || {
        let parsed = OpenApiParser::default().parse(&document)?;
        let title = parsed.spec.title.clone();
        let operations = parsed.spec.operations.len();
        Ok((Mock::new(&document, parsed)?, title, operations))
    });
    let (mock, title, operations) = progress::during("reading the document", work).await?;
    let listener = serving::bind(args.listen)
        .await?
        .ok_or_else(|| serving::in_use(args.listen))?;
    let address = listener.local_addr().unwrap_or(args.listen);
    output::line(&format!(
        "Serving {title} ({operations} operations) at http://{address}{}; Ctrl-C ends it",
        mock.base_path()
    ))?;
    let serving = Serving {
        mock: Arc::new(mock),
        latency: Duration::from_millis(args.latency),
        fail_every: args.fail_every,
        requests: Arc::default(),
    };
    let router = Router::new()
        .fallback(answer)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(serving);
    axum::serve(listener, router)
        .with_graceful_shutdown(serving::stop_signal())
        .await
        .map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the listener broke").caused_by(error)
        })?;
    Ok(ExitCode::SUCCESS)
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
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.to_string(), value)
        })
        .collect();
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let answer = serving.mock.answer(&request);
    output::say(&format!("{} {method} {}", answer.status, uri.path()));
    let mut response = Response::new(answer.body.into());
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in [
        (header::CONTENT_TYPE, Some(answer.media_type)),
        (header::ALLOW, answer.allow),
    ] {
        let value = value.filter(|value| !value.is_empty());
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
