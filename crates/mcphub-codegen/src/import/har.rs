//! HTTP archives (HAR 1.2): what a browser sent to an API.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use url::Url;

use super::infer::schema;
use super::paths::{MAX_PARAMETERS, Paths};
use super::{items, text};

/// The archive as an OpenAPI 3.2 document: what was asked of the origin that answered with data
/// most often. `None` when it is no archive.
pub(super) fn openapi(archive: &Value) -> Option<Value> {
    let log = archive.get("log")?;
    text(log, "version")?;
    log.get("entries")?.as_array()?;
    let calls: Vec<Call<'_>> = items(log, "entries").filter_map(Call::of).collect();
    let mut count: HashMap<String, usize> = HashMap::new();
    for call in &calls {
        *count.entry(call.origin()).or_default() += 1;
    }
    let most = count
        .into_iter()
        .max_by(|(a, m), (b, n)| (m, b).cmp(&(n, a)));
    let (origin, _) = most.unwrap_or_default();
    let mut paths = Paths::default();
    let mut schemes = Map::new();
    for call in calls.iter().filter(|call| call.origin() == origin) {
        let operation = call.operation(&mut schemes);
        paths.add(call.path(), call.method, operation);
    }
    Some(json!({
        "openapi": "3.2.0",
        "info": {"title": Url::parse(&origin).ok()?.host_str()?, "version": "1.0.0"},
        "servers": [{"url": origin}],
        "paths": paths.finish(),
        "components": {"securitySchemes": schemes},
    }))
}

/// A request for data, and its answer.
struct Call<'a> {
    method: &'a str,
    url: Url,
    request: &'a Value,
    response: &'a Value,
}

impl<'a> Call<'a> {
    /// `None` for pages, scripts, pictures and whatever else is no data.
    fn of(entry: &'a Value) -> Option<Self> {
        let (request, response) = (entry.get("request")?, entry.get("response")?);
        let url = Url::parse(text(request, "url")?).ok()?;
        let is_data = |holder: &Value, key: &str| {
            let body = holder.get(key).and_then(|body| text(body, "mimeType"));
            body.is_some_and(|name| name.contains("json"))
        };
        let data = is_data(response, "content") || is_data(request, "postData");
        (data && matches!(url.scheme(), "http" | "https")).then_some(Self {
            method: text(request, "method")?,
            url,
            request,
            response,
        })
    }

    fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// The path, with a placeholder for each part that looks like an identifier.
    fn path(&self) -> String {
        let mut count = 0;
        let segments = self.url.path_segments().into_iter().flatten();
        let segments = segments.map(|segment| {
            if !is_identifier(segment) {
                return format!("/{}", segment.replace(['{', '}'], ""));
            }
            count += 1;
            match count {
                1 => "/{id}".to_owned(),
                count => format!("/{{id{count}}}"),
            }
        });
        segments.collect()
    }

    fn operation(&self, schemes: &mut Map<String, Value>) -> Value {
        let parameter = |location: &str, name: &str| json!({"name": name, "in": location, "required": location == "path", "schema": {"type": "string"}});
        let path = self.path();
        let placeholders = path
            .split('{')
            .skip(1)
            .filter_map(|part| part.split('}').next());
        let mut parameters: Vec<_> = placeholders.map(|name| parameter("path", name)).collect();
        for (name, _) in self.url.query_pairs() {
            let known = parameters
                .iter()
                .any(|known| known["name"] == *name && known["in"] == "query");
            if !known && !name.is_empty() && parameters.len() < MAX_PARAMETERS {
                parameters.push(parameter("query", &name));
            }
        }
        let mut operation = json!({"parameters": parameters, "responses": self.responses()});
        let body = self.request.get("postData");
        if let Some((media_type, schema)) = body.and_then(body_schema) {
            let mut content = Map::new();
            content.insert(media_type.to_owned(), json!({"schema": schema}));
            operation["requestBody"] = json!({"content": content});
        }
        let header = items(self.request, "headers").find(|header| {
            text(header, "name").is_some_and(|name| name.eq_ignore_ascii_case("authorization"))
        });
        // The scheme alone: what follows it is a secret.
        let scheme = header.and_then(|header| text(header, "value")?.split(' ').next());
        for known in ["bearer", "basic"] {
            if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(known)) {
                schemes.insert(known.to_owned(), json!({"type": "http", "scheme": known}));
                operation["security"] = json!([{known: []}]);
            }
        }
        operation
    }

    fn responses(&self) -> Value {
        let status = self.response.get("status").and_then(Value::as_u64);
        let content = self.response.get("content");
        let plain = content.filter(|content| content.get("encoding").is_none());
        let example = plain.and_then(|content| serde_json::from_str(text(content, "text")?).ok());
        let mut out = Map::new();
        if let Some(status) = status.filter(|status| (100..600).contains(status)) {
            let content = example
                .map(|example: Value| json!({"application/json": {"schema": schema(&example)}}));
            out.insert(
                status.to_string(),
                json!({"description": "", "content": content.unwrap_or_else(|| json!({}))}),
            );
        }
        Value::Object(out)
    }
}

fn body_schema(body: &Value) -> Option<(&'static str, Value)> {
    let media_type = text(body, "mimeType")?;
    if media_type.contains("json") {
        let example = text(body, "text").and_then(|text| serde_json::from_str(text).ok());
        return Some((
            "application/json",
            example.map_or_else(|| json!({}), |example: Value| schema(&example)),
        ));
    }
    let form = "application/x-www-form-urlencoded";
    if !media_type.starts_with(form) {
        return None;
    }
    let names = items(body, "params").filter_map(|pair| text(pair, "name"));
    let properties: Map<_, _> = names
        .map(|name| (name.to_owned(), json!({"type": "string"})))
        .collect();
    Some((form, json!({"type": "object", "properties": properties})))
}

/// Whether a part of a path looks like a number, a UUID or another long code.
fn is_identifier(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let code = segment
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    code && digits > 0 && (digits == segment.len() || (segment.len() >= 16 && digits >= 4))
}
