//! What each tool sends for example arguments, as the tests of a project expect it.

use mcphub_core::call::{Arguments, Body, HttpRequest};
use mcphub_core::secret::{Credentials, SecretString};
use mcphub_core::spec::Method;
use mcphub_core::tool::{OutputShape, Tool, ToolSet};
use mcphub_core::{Error, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::about::pretty;
use super::environment::supported;
use super::example;

/// A call of one tool.
#[derive(Serialize)]
struct CallExample {
    tool: String,
    arguments: Map<String, Value>,
    /// A body that the tool's output schema accepts.
    answer: Value,
    /// Absent where no arguments could be made.
    request: Option<ExpectedRequest>,
}

#[derive(Serialize)]
struct ExpectedRequest {
    method: Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

/// `tests/examples.json`: a call of each tool to the API at `http://api.test/base`, in which the
/// secret of the nth scheme is `secret n`.
pub(super) fn examples(tools: &ToolSet) -> Result<String> {
    let supported = tools
        .security_schemes
        .iter()
        .filter(|(_, scheme)| supported(scheme));
    let credentials = Credentials {
        schemes: supported
            .enumerate()
            .map(|(n, (name, _))| (name.clone(), secret(n)))
            .collect(),
        ..Credentials::default()
    };
    let examples: Vec<_> = tools
        .tools
        .iter()
        .map(|tool| example(tools, tool, &credentials))
        .collect();
    pretty(&examples)
}

fn secret(number: usize) -> SecretString {
    format!("secret {number}").into()
}

fn example(tools: &ToolSet, tool: &Tool, credentials: &Credentials) -> CallExample {
    let arguments = example::arguments(tool);
    let request = arguments
        .as_ref()
        .and_then(|arguments| request(tools, tool, arguments, credentials).ok());
    let answer = match tool.binding.output {
        OutputShape::Wrapped => Value::Null,
        _ => json!({}),
    };
    CallExample {
        tool: tool.name.as_str().to_owned(),
        arguments: arguments.unwrap_or_default(),
        answer,
        request: request.map(|request| ExpectedRequest {
            method: request.method,
            url: request.url.to_string(),
            headers: request.headers,
            body: request
                .body
                .map(|Body { bytes, .. }| String::from_utf8_lossy(&bytes).into_owned()),
        }),
    }
}

fn request(
    tools: &ToolSet,
    tool: &Tool,
    arguments: &Map<String, Value>,
    credentials: &Credentials,
) -> Result<HttpRequest> {
    let invalid = |error| Error::invalid("an example cannot be sent").caused_by(error);
    let text = Value::Object(arguments.clone()).to_string();
    let base = Url::parse("http://api.test/base").map_err(invalid)?;
    let own = tool
        .binding
        .server
        .as_deref()
        .map(|server| base.join(server))
        .transpose()
        .map_err(invalid)?;
    let mut request = tool
        .binding
        .request(own.as_ref().unwrap_or(&base), &Arguments::parse(&text)?)?;
    request.authorize(&tool.binding.security, &tools.security_schemes, credentials);
    Ok(request)
}
