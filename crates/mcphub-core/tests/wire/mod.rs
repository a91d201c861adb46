//! The wire table: what a value looks like in a request, as the standards say. `parameters.json` has
//! groups of rows `[value, expected]` for a parameter named `color`; `bodies.json` and `xml.json` have groups of rows
//! `[arguments, media type, body]`. `null` is nothing, `{"refused": argument}` is no request; `B`
//! stands for the boundary. Every executor of bindings is held against the same rows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::spec::{Location, Method, Serialization, Style};
use mcphub_core::tool::{BodyBinding, BodySource, HttpBinding, ParameterBinding};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the rows of one group have in common, with its rows.
pub struct Group {
    /// For a person.
    pub name: String,
    pub binding: HttpBinding,
    pub rows: Vec<Row>,
}

/// One call.
pub struct Row {
    /// A JSON object.
    pub arguments: Box<RawValue>,
    /// The request, or the argument that is refused.
    pub expected: Result<Wire, Option<String>>,
}

/// What of a request depends on the values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wire {
    /// Path and query, after the base URL.
    pub target: String,
    /// The header `color`.
    pub header: Option<String>,
    pub cookie: Option<String>,
    /// The media type without a boundary, and the bytes with `B` as boundary.
    pub body: Option<(String, Vec<u8>)>,
}

/// What is stated of a place.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stated {
    // Before the other, whose member may be null.
    Bytes { base64: String },
    Refused { refused: Option<String> },
    Text(String),
    Nothing,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ParameterGroup {
    r#in: Location,
    style: Option<Style>,
    #[serde(default)]
    explode: bool,
    #[serde(default)]
    allow_reserved: bool,
    content: Option<String>,
    standard: String,
    rows: Vec<(Box<RawValue>, Stated)>,
}

#[derive(Deserialize)]
struct BodyGroup {
    name: String,
    standard: String,
    body: BodyBinding,
    rows: Vec<Vec<Box<RawValue>>>,
}

/// All groups.
pub fn table() -> Vec<Group> {
    let parameters: Vec<ParameterGroup> =
        serde_json::from_str(include_str!("parameters.json")).unwrap();
    let bodies = [include_str!("bodies.json"), include_str!("xml.json")];
    let bodies = bodies
        .iter()
        .flat_map(|text| serde_json::from_str::<Vec<BodyGroup>>(text).unwrap());
    let parameters = parameters.into_iter().map(parameter_group);
    parameters.chain(bodies.map(body_group)).collect()
}

fn parameter_group(group: ParameterGroup) -> Group {
    let location = group.r#in;
    let usual = match location {
        Location::Path | Location::Header => Style::Simple,
        _ => Style::Form,
    };
    let parameter = ParameterBinding {
        argument: "color".to_owned(),
        name: "color".to_owned(),
        location,
        required: location == Location::Path,
        serialization: Serialization {
            style: group.style.unwrap_or(usual),
            explode: group.explode,
            allow_reserved: group.allow_reserved,
            content: group.content.clone(),
        },
    };
    let how = match &group.content {
        Some(media_type) => media_type.clone(),
        None => format!(
            "{:?} explode={} reserved={}",
            parameter.serialization.style, group.explode, group.allow_reserved
        ),
    };
    let path = match location {
        Location::Path => "/before/{color}/after",
        _ => "/fixed",
    };
    let rows = group.rows.into_iter().map(|(value, stated)| Row {
        arguments: raw(format!("{{\"color\":{value}}}")),
        expected: placed(location, stated),
    });
    Group {
        name: format!("{location:?} {how} ({})", group.standard),
        rows: rows.collect(),
        binding: binding(Method::Get, path, vec![parameter], None),
    }
}

fn placed(location: Location, stated: Stated) -> Result<Wire, Option<String>> {
    let text = match stated {
        Stated::Refused { refused } => return Err(refused),
        Stated::Text(text) => Some(text),
        Stated::Bytes { .. } => panic!("parameters are text"),
        Stated::Nothing => None,
    };
    let fixed = "/fixed".to_owned();
    let (target, header, cookie) = match location {
        Location::Path => (format!("/before/{}/after", text.unwrap()), None, None),
        Location::Header => (fixed, text, None),
        Location::Cookie => (fixed, None, text),
        _ => (
            text.map_or_else(|| fixed.clone(), |query| format!("{fixed}?{query}")),
            None,
            None,
        ),
    };
    Ok(Wire {
        target,
        header,
        cookie,
        body: None,
    })
}

fn body_group(group: BodyGroup) -> Group {
    let rows = group.rows.into_iter().map(|row| {
        let mut cells = row.into_iter();
        let arguments = cells.next().unwrap();
        let mut stated = || -> Stated {
            let cell = cells.next().unwrap();
            serde_json::from_str(cell.get()).unwrap()
        };
        let expected = match stated() {
            Stated::Refused { refused } => Err(refused),
            Stated::Nothing => Ok(None),
            Stated::Text(media_type) => Ok(Some((
                media_type,
                match stated() {
                    Stated::Text(text) => text.into_bytes(),
                    Stated::Bytes { base64 } => STANDARD.decode(base64).unwrap(),
                    _ => panic!("a body is text or bytes"),
                },
            ))),
            Stated::Bytes { .. } => panic!("a media type is text"),
        };
        Row {
            arguments,
            expected: expected.map(|body| Wire {
                target: "/fixed".to_owned(),
                body,
                ..Wire::default()
            }),
        }
    });
    Group {
        name: format!("{} ({})", group.name, group.standard),
        rows: rows.collect(),
        binding: binding(Method::Post, "/fixed", Vec::new(), Some(group.body)),
    }
}

fn binding(
    method: Method,
    path: &str,
    parameters: Vec<ParameterBinding>,
    body: Option<BodyBinding>,
) -> HttpBinding {
    // What else a binding has is as in a document that says nothing of it.
    let mut binding: HttpBinding = serde_json::from_value(serde_json::json!({
        "method": method, "path": path, "accept": "*/*",
    }))
    .unwrap();
    binding.parameters = parameters;
    binding.body = body;
    binding
}

fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap()
}

impl Wire {
    /// From what arrived: the target without its base, headers in lower case.
    pub fn new<'h>(
        target: &str,
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
        body: Option<&[u8]>,
    ) -> Self {
        let mut wire = Self {
            target: target.to_owned(),
            ..Self::default()
        };
        let mut media_type = None;
        for (name, value) in headers {
            let value = String::from_utf8(value.to_vec()).unwrap();
            match name {
                "color" => wire.header = Some(value),
                "cookie" => wire.cookie = Some(value),
                "content-type" => media_type = Some(value),
                _ => {}
            }
        }
        wire.body = media_type.map(|media_type| body_of(&media_type, body.unwrap_or_default()));
        wire
    }
}

/// With `B` for the boundary.
fn body_of(media_type: &str, body: &[u8]) -> (String, Vec<u8>) {
    let Some((essence, boundary)) = media_type.split_once("; boundary=") else {
        return (media_type.to_owned(), body.to_vec());
    };
    assert!((1..=70).contains(&boundary.len()), "{boundary}");
    let delimiter = format!("--{boundary}");
    let text = String::from_utf8(body.to_vec()).unwrap();
    for line in text.split("\r\n") {
        let is_delimiter = line == delimiter || line == format!("{delimiter}--");
        assert!(is_delimiter || !line.contains(boundary), "{line}");
    }
    (
        essence.to_owned(),
        text.replace(&delimiter, "--B").into_bytes(),
    )
}

/// The arguments that a binding takes.
#[allow(dead_code, reason = "for those who call tools")]
pub fn arguments(binding: &HttpBinding) -> Vec<String> {
    let mut names: Vec<_> = binding
        .parameters
        .iter()
        .map(|parameter| parameter.argument.clone())
        .collect();
    if let Some(body) = &binding.body {
        match &body.source {
            BodySource::Argument(argument) => names.push(argument.clone()),
            BodySource::Members(members) => {
                names.extend(members.iter().map(|member| member.argument.clone()));
            }
            other => panic!("{other:?}"),
        }
        names.extend(body.part_headers().map(|header| header.argument.clone()));
    }
    names
}

/// Shows arguments and expectation of a row that went wrong.
pub fn shown(group: &Group, row: &Row) -> String {
    format!("{}: {}", group.name, row.arguments)
}

/// How many rows the table has at least: none is lost in silence.
pub fn count(groups: &[Group]) -> usize {
    let rows = groups.iter().map(|group| group.rows.len()).sum();
    assert!(rows >= 336, "{rows}");
    rows
}
