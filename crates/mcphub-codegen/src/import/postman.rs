//! Postman collections (schema.getpostman.com, collection 2.0 and 2.1).

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::infer::schema;
use super::paths::{MAX_PARAMETERS, Paths};
use super::{items, text};

/// What a collection says it is.
pub(super) const SCHEMA: &str = "schema.getpostman.com/json/collection/v2";

/// How often a variable may lead to another, and how long a URL may become by it.
const MAX_ROUNDS: usize = 8;
const MAX_URL: usize = 8_192;

/// The collection as an OpenAPI 3.2 document; `None` when it is none.
pub(super) fn openapi(collection: &Value) -> Option<Value> {
    let info = collection.get("info")?;
    if !text(info, "schema")?.contains(SCHEMA) {
        return None;
    }
    let variables = items(collection, "variable")
        .filter_map(|variable| Some((text(variable, "key")?, text(variable, "value")?)));
    let mut import = Import {
        variables: variables.collect(),
        origins: Vec::new(),
        schemes: Map::new(),
        paths: Paths::default(),
    };
    let security = import.security(collection).unwrap_or_else(|| json!([]));
    import.folder(collection, None);
    let mut document = json!({
        "openapi": "3.2.0",
        "info": {"title": text(info, "name").unwrap_or("API"), "version": version(info)},
        "security": security,
    });
    if let Some(description) = description(info) {
        document["info"]["description"] = description.into();
    }
    // The most common origin first: calls go there.
    let mut count: HashMap<&str, usize> = HashMap::new();
    for origin in &import.origins {
        *count.entry(origin).or_default() += 1;
    }
    let first = |origin: &&String| count.get(origin.as_str()).copied();
    if let Some(origin) = import.origins.iter().rev().max_by_key(first) {
        document["servers"] = json!([{"url": origin}]);
    }
    document["paths"] = import.paths.finish();
    document["components"] = json!({"securitySchemes": import.schemes});
    Some(document)
}

struct Import<'c> {
    variables: HashMap<&'c str, &'c str>,
    /// Where requests go, each time.
    origins: Vec<String>,
    schemes: Map<String, Value>,
    paths: Paths,
}

impl<'c> Import<'c> {
    fn folder(&mut self, folder: &'c Value, tag: Option<&str>) {
        for item in items(folder, "item") {
            if item.get("item").is_some() {
                self.folder(item, text(item, "name").or(tag));
            } else if let Some(request) = item.get("request") {
                self.request(item, request, tag);
            }
        }
    }

    fn request(&mut self, item: &'c Value, request: &'c Value, tag: Option<&str>) {
        let url = request.get("url").unwrap_or(request);
        let Some(raw) = url.as_str().or_else(|| text(url, "raw")) else {
            return;
        };
        // In a path a variable is an argument; its value may be a secret.
        let (host, path) = split_host(raw.trim());
        let (origin, path, query) = parts(&(self.filled(host) + path));
        let method = text(request, "method").unwrap_or("GET");
        let mut operation = json!({"responses": responses(item)});
        if let Some(name) = text(item, "name") {
            operation["operationId"] = name.into();
            operation["summary"] = name.into();
        }
        if let Some(description) = description(request) {
            operation["description"] = description.into();
        }
        if let Some(tag) = tag {
            operation["tags"] = json!([tag]);
        }
        if let Some(security) = self.security(request) {
            operation["security"] = security;
        }
        if let Some(body) = request.get("body").and_then(body) {
            operation["requestBody"] = body;
        }
        operation["parameters"] = parameters(url, request, &path, query.as_deref()).into();
        if let Some(origin) = origin {
            operation["servers"] = json!([{"url": origin}]);
            self.origins.push(origin);
        }
        self.paths.add(path, method, operation);
    }

    /// A text with the collection's variables in place; those that have no value stay.
    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..MAX_ROUNDS {
            let mut out = String::with_capacity(text.len());
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once("{{") {
                let Some((name, tail)) = after.split_once("}}") else {
                    break;
                };
                out.push_str(before);
                match self.variables.get(name.trim()) {
                    Some(value) if out.len() + value.len() < MAX_URL => out.push_str(value),
                    _ => out.extend(["{{", name, "}}"]),
                }
                rest = tail;
            }
            out.push_str(rest);
            if out == text {
                break;
            }
            text = out;
        }
        text
    }

    /// The requirement of a request or of the collection; `None` where it says nothing.
    fn security(&mut self, holder: &'c Value) -> Option<Value> {
        let auth = holder.get("auth").filter(|auth| !auth.is_null())?;
        let kind = text(auth, "type")?;
        // 2.1 has a list of keys and values, 2.0 an object.
        let said = |key: &str| {
            let said = auth.get(kind)?;
            match said.get(key) {
                Some(value) => value.as_str(),
                None => said
                    .as_array()?
                    .iter()
                    .find(|pair| text(pair, "key") == Some(key))
                    .and_then(|pair| text(pair, "value")),
            }
        };
        let scheme = match kind {
            "noauth" => return Some(json!([])),
            "apikey" => json!({
                "type": "apiKey",
                "name": said("key").unwrap_or("X-API-Key"),
                "in": said("in").unwrap_or("header"),
            }),
            "basic" => json!({"type": "http", "scheme": "basic"}),
            "bearer" | "oauth2" | "jwt" => json!({"type": "http", "scheme": "bearer"}),
            other => json!({"type": "http", "scheme": other}),
        };
        let mut name = kind.to_owned();
        while self
            .schemes
            .get(&name)
            .is_some_and(|known| *known != scheme)
        {
            name.push('2');
        }
        self.schemes.insert(name.clone(), scheme);
        Some(json!([{name: []}]))
    }
}

/// What stands before the path of a URL, and the rest.
fn split_host(url: &str) -> (&str, &str) {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url[after_scheme..].find(['/', '?']);
    url.split_at(path.map_or(url.len(), |at| after_scheme + at))
}

/// Origin, path template and query of a URL. What comes from a variable without a value, where the
/// origin should be, is left to whoever runs it.
fn parts(url: &str) -> (Option<String>, String, Option<String>) {
    let url = url.split('#').next().unwrap_or_default();
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, Some(query.to_owned())),
        None => (url, None),
    };
    let (host, path) = split_host(address);
    let origin = match host {
        "" => None,
        host if host.contains("{{") => None,
        host if host.contains("://") => Some(host.to_owned()),
        host => Some(format!("https://{host}")),
    };
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments = segments.map(|segment| match segment.strip_prefix(':') {
        Some(name) if !name.is_empty() => format!("/{{{name}}}"),
        _ => format!("/{}", segment.replace("{{", "{").replace("}}", "}")),
    });
    let path: String = segments.collect();
    let path = if path.is_empty() {
        "/".to_owned()
    } else {
        path
    };
    (origin, path, query)
}

fn parameters(url: &Value, request: &Value, path: &str, query: Option<&str>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut add = |location: &str, name: &str, described: Option<&str>| {
        if out.len() == MAX_PARAMETERS {
            return;
        }
        if out
            .iter()
            .any(|known| known["in"] == location && known["name"] == name)
        {
            return;
        }
        let mut parameter = json!({"name": name, "in": location, "schema": {"type": "string"}});
        if location == "path" {
            parameter["required"] = true.into();
        }
        if let Some(description) = described {
            parameter["description"] = description.into();
        }
        out.push(parameter);
    };
    for part in path.split('{').skip(1) {
        let name = part.split('}').next().unwrap_or_default();
        let variable = items(url, "variable").find(|variable| text(variable, "key") == Some(name));
        add("path", name, variable.and_then(description));
    }
    for pair in items(url, "query") {
        if let Some(name) = text(pair, "key") {
            add("query", name, description(pair));
        }
    }
    for pair in query.unwrap_or_default().split('&') {
        let name = pair.split('=').next().unwrap_or_default();
        if !name.is_empty() && !name.contains("{{") {
            add("query", name, None);
        }
    }
    for header in items(request, "header") {
        let Some(name) = text(header, "key") else {
            continue;
        };
        let lower = name.to_ascii_lowercase();
        if !["accept", "content-type", "authorization", "cookie"].contains(&lower.as_str()) {
            add("header", name, description(header));
        }
    }
    out
}

fn body(body: &Value) -> Option<Value> {
    let content = |media_type: &str, schema: Value| {
        let mut content = Map::new();
        content.insert(media_type.to_owned(), json!({"schema": schema}));
        Some(json!({"content": content}))
    };
    match text(body, "mode")? {
        "raw" => {
            let raw = text(body, "raw")?;
            match serde_json::from_str::<Value>(raw) {
                Ok(example) => content("application/json", schema(&example)),
                Err(_) => {
                    let language = body
                        .pointer("/options/raw/language")
                        .and_then(Value::as_str);
                    // Often JSON with variables in it.
                    if language == Some("json") {
                        content("application/json", json!({}))
                    } else {
                        content("text/plain", json!({"type": "string"}))
                    }
                }
            }
        }
        "urlencoded" => content(
            "application/x-www-form-urlencoded",
            fields(items(body, "urlencoded")),
        ),
        "formdata" => content("multipart/form-data", fields(items(body, "formdata"))),
        "graphql" => content(
            "application/json",
            json!({"type": "object", "properties": {"query": {"type": "string"}, "variables": {"type": "object"}}}),
        ),
        "file" => content(
            "application/octet-stream",
            json!({"type": "string", "format": "binary"}),
        ),
        _ => None,
    }
}

fn fields<'v>(fields: impl Iterator<Item = &'v Value>) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let Some(name) = text(field, "key") else {
            continue;
        };
        let mut schema = json!({"type": "string"});
        if text(field, "type") == Some("file") {
            schema["format"] = "binary".into();
        }
        if let Some(description) = description(field) {
            schema["description"] = description.into();
        }
        properties.insert(name.to_owned(), schema);
    }
    json!({"type": "object", "properties": properties})
}

fn responses(item: &Value) -> Value {
    let mut out = Map::new();
    for response in items(item, "response") {
        let Some(code) = response.get("code").and_then(Value::as_u64) else {
            continue;
        };
        let mut answer = json!({"description": text(response, "name").unwrap_or_default()});
        let example = text(response, "body").and_then(|body| serde_json::from_str(body).ok());
        if let Some(example) = example {
            let schema = schema(&example);
            answer["content"] = json!({"application/json": {"schema": schema}});
        }
        out.entry(code.to_string()).or_insert(answer);
    }
    Value::Object(out)
}

/// A description is text, or an object that has it.
fn description(value: &Value) -> Option<&str> {
    text(value, "description").or_else(|| text(value.get("description")?, "content"))
}

fn version(info: &Value) -> &str {
    text(info, "version").unwrap_or("1.0.0")
}
