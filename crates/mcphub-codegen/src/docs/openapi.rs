//! The API as its tools call it, in OpenAPI.

use std::collections::HashSet;
use std::sync::Arc;

use indexmap::IndexMap;
use mcphub_core::schema::Schema;
use mcphub_core::spec::{Location, Method, OAuthFlow, SecurityScheme, Serialization, Style};
use mcphub_core::tool::{
    BodyBinding, BodyFormat, BodySource, MemberBinding, OutputShape, ParameterBinding, PartBinding,
    PartListBinding, Tool, ToolSet,
};
use serde_json::{Map, Value, json};

use super::xml::XmlObjects;
use crate::keyword::DEFS;

const COMPONENTS: &str = "#/components/schemas/";

/// The document.
pub(super) fn openapi(tools: &ToolSet) -> Value {
    let mut writer = Writer::default();
    let mut paths: IndexMap<&str, Map<String, Value>> = IndexMap::new();
    let mut newest = false;
    for tool in &tools.tools {
        let operation = writer.operation(tool, &tools.security_schemes);
        // What is written by position is so from 3.2.0 on.
        let body = tool.binding.body.as_ref();
        newest |= body.is_some_and(|body| body.parts.is_some());
        let item = paths.entry(&tool.binding.path).or_default();
        match tool.binding.method {
            Method::Other(name) => {
                newest = true;
                let others = item
                    .entry("additionalOperations")
                    .or_insert_with(|| json!({}));
                others[name.as_str()] = operation;
            }
            method => {
                newest |= method == Method::Query;
                item.insert(method.key().to_owned(), operation);
            }
        }
    }
    let mut info = json!({"title": tools.api.title, "version": tools.api.version});
    if let Some(description) = &tools.api.description {
        info["description"] = description.as_str().into();
    }
    let mut document = json!({
        "openapi": if newest { "3.2.0" } else { "3.1.1" },
        "info": info,
        "servers": tools.servers.iter().map(|url| json!({"url": url})).collect::<Vec<_>>(),
        "paths": paths,
    });
    let mut components = Map::new();
    if !writer.schemas.is_empty() {
        components.insert("schemas".to_owned(), Value::Object(writer.schemas));
    }
    let schemes: Map<String, Value> = tools
        .security_schemes
        .iter()
        .map(|(name, scheme)| (name.clone(), security_scheme(scheme)))
        .collect();
    if !schemes.is_empty() {
        components.insert("securitySchemes".to_owned(), Value::Object(schemes));
    }
    if !components.is_empty() {
        document["components"] = Value::Object(components);
    }
    document
}

/// Puts the definitions of all tools into one place.
#[derive(Default)]
struct Writer {
    schemas: Map<String, Value>,
    /// What a definition is called there. Tools may have simplified forms of the same one.
    named: Vec<(Arc<Value>, String)>,
}

impl Writer {
    fn operation(&mut self, tool: &Tool, schemes: &IndexMap<String, SecurityScheme>) -> Value {
        let binding = &tool.binding;
        let names = self.definitions(&tool.input);
        let mut operation = json!({"operationId": tool.name, "description": tool.description});
        if let Some(title) = &tool.title {
            operation["summary"] = title.as_str().into();
        }
        if !tool.tags.is_empty() {
            operation["tags"] = json!(tool.tags);
        }
        if let Some(server) = &binding.server {
            operation["servers"] = json!([{"url": server}]);
        }
        if !binding.parameters.is_empty() {
            let parameters = binding.parameters.iter();
            let parameters = parameters.map(|parameter| self::parameter(tool, parameter, &names));
            operation["parameters"] = Value::Array(parameters.collect());
        }
        if let Some(body) = &binding.body {
            let mut request = request_body(tool, body, &names);
            let schema = request
                .get_mut("content")
                .and_then(|content| content.get_mut(&body.media_type))
                .and_then(|media| media.get_mut("schema"));
            if let (Some(schema), Some(shape)) = (schema, &body.xml) {
                let mut objects = XmlObjects {
                    shape,
                    components: &mut self.schemas,
                    prefix: COMPONENTS,
                    done: HashSet::new(),
                };
                objects.write(schema, &shape.root, 0);
            }
            operation["requestBody"] = request;
        }
        operation["responses"] = json!({"200": self.answer(tool)});
        let security: Vec<Map<String, Value>> = binding
            .security
            .iter()
            .map(|all| all.iter().map(|name| (name.clone(), json!([]))).collect())
            .collect();
        if !schemes.is_empty() {
            operation["security"] = json!(security);
        }
        operation
    }

    fn answer(&mut self, tool: &Tool) -> Value {
        let mut answer = json!({"description": "The answer."});
        let Some(output) = &tool.output else {
            return answer;
        };
        let names = self.definitions(output);
        let schema = match tool.binding.output {
            OutputShape::Wrapped => output
                .root()
                .get("properties")
                .and_then(|p| p.get("result")),
            _ => None,
        };
        let schema = match schema {
            Some(result) => renamed(result, &names),
            None => renamed(&Value::Object(output.root().clone()), &names),
        };
        answer["content"] = json!({"application/json": {"schema": schema}});
        answer
    }

    /// What the definitions of a schema are called in the document; new ones are added to it.
    fn definitions(&mut self, schema: &Schema) -> IndexMap<String, String> {
        let mut names = IndexMap::new();
        let mut added = Vec::new();
        for definition in schema.definitions() {
            let known = self
                .named
                .iter()
                .find(|(known, _)| Arc::ptr_eq(known, &definition.schema));
            let name = match known {
                Some((_, name)) => name.clone(),
                None => {
                    let name = self.free_name(&definition.name);
                    self.schemas.insert(name.clone(), Value::Null);
                    self.named.push((definition.schema.clone(), name.clone()));
                    added.push((name.clone(), definition.schema.clone()));
                    name
                }
            };
            names.insert(definition.name.to_string(), name);
        }
        for (name, schema) in added {
            self.schemas.insert(name, renamed(&schema, &names));
        }
        names
    }

    fn free_name(&self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut next = 2;
        while self.schemas.contains_key(&free) {
            free = format!("{name}_{next}");
            next += 1;
        }
        free
    }
}

/// A schema whose references lead into the components.
fn renamed(schema: &Value, names: &IndexMap<String, String>) -> Value {
    match schema {
        Value::Array(items) => items.iter().map(|item| renamed(item, names)).collect(),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let name = value.as_str().filter(|_| key == "$ref");
                let name = name.and_then(|path| names.get(path.strip_prefix(DEFS)?));
                let value = match name {
                    Some(name) => Value::String(format!("{COMPONENTS}{name}")),
                    None => renamed(value, names),
                };
                (key.clone(), value)
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

fn argument(tool: &Tool, name: &str, names: &IndexMap<String, String>) -> Value {
    let found = tool.input.properties().find(|(known, _)| *known == name);
    found.map_or_else(|| json!({}), |(_, schema)| renamed(schema, names))
}

fn parameter(tool: &Tool, parameter: &ParameterBinding, names: &IndexMap<String, String>) -> Value {
    let mut schema = argument(tool, &parameter.argument, names);
    let mut out = json!({
        "name": parameter.name,
        "in": parameter.location,
        "required": parameter.required,
    });
    if let Some(description) = schema
        .as_object_mut()
        .and_then(|s| s.shift_remove("description"))
    {
        out["description"] = description;
    }
    let how = &parameter.serialization;
    if let Some(media_type) = &how.content {
        out["content"] = json!({media_type: {"schema": schema}});
        return out;
    }
    out["schema"] = schema;
    out["style"] = style(how, parameter.location);
    out["explode"] = how.explode.into();
    if how.allow_reserved {
        out["allowReserved"] = true.into();
    }
    out
}

/// The style, where OpenAPI 3 has it. Swagger 2.0 has delimiters of its own.
fn style(how: &Serialization, location: Location) -> Value {
    let delimited = matches!(
        how.style,
        Style::SpaceDelimited | Style::PipeDelimited | Style::TabDelimited
    );
    match (location, how.style) {
        (Location::Path | Location::Header, _) if delimited => "simple".into(),
        (_, Style::TabDelimited) => "form".into(),
        (_, style) => json!(style),
    }
}

fn request_body(tool: &Tool, body: &BodyBinding, names: &IndexMap<String, String>) -> Value {
    let mut media = Map::new();
    let schema = match &body.source {
        BodySource::Argument(name) => match body.format {
            BodyFormat::Binary => json!({"type": "string", "format": "binary"}),
            _ => match &body.parts {
                Some(parts) => {
                    part_list(tool, parts, argument(tool, name, names), names, &mut media)
                }
                None => argument(tool, name, names),
            },
        },
        BodySource::Members(members) => {
            let encoding = encoding(tool, members, names);
            if !encoding.is_empty() {
                media.insert("encoding".to_owned(), Value::Object(encoding));
            }
            object(tool, members, names)
        }
        _ => json!({}),
    };
    media.insert("schema".to_owned(), schema);
    json!({"required": body.required, "content": {&body.media_type: media}})
}

fn object(tool: &Tool, members: &[MemberBinding], names: &IndexMap<String, String>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for member in members {
        let mut schema = argument(tool, &member.argument, names);
        if member.part.as_ref().is_some_and(|part| part.file) {
            let file = json!({"type": "string", "format": "binary"});
            if schema.get("items").is_some() {
                schema["items"] = file;
            } else {
                let description = schema.get("description").cloned();
                schema = file;
                if let Some(description) = description {
                    schema["description"] = description;
                }
            }
        }
        properties.insert(member.name.clone(), schema);
        if tool.input.requires(&member.argument) {
            required.push(member.name.as_str());
        }
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The schema of a list of parts; how they are written goes into the media type.
fn part_list(
    tool: &Tool,
    parts: &PartListBinding,
    mut schema: Value,
    names: &IndexMap<String, String>,
    media: &mut Map<String, Value>,
) -> Value {
    let file = || json!({"type": "string", "format": "binary"});
    for (at, _) in parts
        .prefix
        .iter()
        .enumerate()
        .filter(|(_, part)| part.file)
    {
        if let Some(position) = schema.pointer_mut(&format!("/prefixItems/{at}")) {
            *position = file();
        }
    }
    if let (true, Some(items)) = (parts.items.file, schema.get_mut("items")) {
        *items = file();
    }
    let encoding = |part: &PartBinding| Value::Object(part_encoding(tool, part, names));
    if !parts.prefix.is_empty() {
        let prefix = parts.prefix.iter().map(encoding).collect();
        media.insert("prefixEncoding".to_owned(), Value::Array(prefix));
    }
    media.insert("itemEncoding".to_owned(), encoding(&parts.items));
    schema
}

/// The Encoding Object of a part.
fn part_encoding(
    tool: &Tool,
    part: &PartBinding,
    names: &IndexMap<String, String>,
) -> Map<String, Value> {
    let mut out = Map::new();
    if let Some(media_type) = &part.media_type {
        out.insert("contentType".to_owned(), media_type.as_str().into());
    }
    let headers = part.headers.iter().map(|header| {
        let preset = tool.binding.presets.get(&header.argument);
        let schema = match preset {
            Some(value) => json!({"const": value}),
            None => argument(tool, &header.argument, names),
        };
        let described =
            json!({"required": header.required, "explode": header.explode, "schema": schema});
        (header.name.clone(), described)
    });
    let headers: Map<_, _> = headers.collect();
    if !headers.is_empty() {
        out.insert("headers".to_owned(), Value::Object(headers));
    }
    out
}

fn encoding(
    tool: &Tool,
    members: &[MemberBinding],
    names: &IndexMap<String, String>,
) -> Map<String, Value> {
    let mut out = Map::new();
    for member in members {
        let mut encoding = Map::new();
        if let Some(how) = &member.serialization {
            match &how.content {
                Some(media_type) => {
                    encoding.insert("contentType".to_owned(), media_type.as_str().into());
                }
                None => {
                    encoding.insert("style".to_owned(), style(how, Location::Query));
                    encoding.insert("explode".to_owned(), how.explode.into());
                    if how.allow_reserved {
                        encoding.insert("allowReserved".to_owned(), true.into());
                    }
                }
            }
        }
        if let Some(part) = &member.part {
            encoding.extend(part_encoding(tool, part, names));
        }
        if !encoding.is_empty() {
            out.insert(member.name.clone(), Value::Object(encoding));
        }
    }
    out
}

fn security_scheme(scheme: &SecurityScheme) -> Value {
    match scheme {
        SecurityScheme::ApiKey { location, name } => {
            json!({"type": "apiKey", "in": location, "name": name})
        }
        SecurityScheme::Basic => json!({"type": "http", "scheme": "basic"}),
        SecurityScheme::Digest => json!({"type": "http", "scheme": "digest"}),
        SecurityScheme::MutualTls => json!({"type": "mutualTLS"}),
        SecurityScheme::OpenIdConnect { url: Some(url) } => {
            json!({"type": "openIdConnect", "openIdConnectUrl": url})
        }
        SecurityScheme::OAuth2 {
            token_url,
            authorization_code,
            device,
            metadata_url,
        } => {
            let mut flows = Map::new();
            if let Some(url) = token_url {
                let flow = json!({"tokenUrl": url, "scopes": {}});
                flows.insert("clientCredentials".to_owned(), flow);
            }
            if let Some(flow) = authorization_code {
                let flow = oauth_flow("authorizationUrl", flow);
                flows.insert("authorizationCode".to_owned(), flow);
            }
            if let Some(flow) = device {
                let flow = oauth_flow("deviceAuthorizationUrl", flow);
                flows.insert("deviceAuthorization".to_owned(), flow);
            }
            if flows.is_empty() && metadata_url.is_none() {
                // How a token is obtained is not known; it is sent as a bearer token.
                return json!({"type": "http", "scheme": "bearer"});
            }
            let mut scheme = json!({"type": "oauth2", "flows": flows});
            if let Some(url) = metadata_url {
                scheme["oauth2MetadataUrl"] = url.as_str().into();
            }
            scheme
        }
        SecurityScheme::Unsupported { scheme } => json!({"type": "http", "scheme": scheme}),
        _ => json!({"type": "http", "scheme": "bearer"}),
    }
}

fn oauth_flow(url: &str, flow: &OAuthFlow) -> Value {
    let scopes = flow.scopes.iter().map(|scope| (scope.clone(), "".into()));
    let mut out = Map::from_iter([
        (url.to_owned(), flow.url.as_str().into()),
        ("tokenUrl".to_owned(), flow.token_url.as_str().into()),
        ("scopes".to_owned(), Value::Object(scopes.collect())),
    ]);
    if let Some(url) = &flow.refresh_url {
        out.insert("refreshUrl".to_owned(), url.as_str().into());
    }
    Value::Object(out)
}
