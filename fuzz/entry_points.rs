//! What comes from outside, read as the program reads it: nothing may panic, and what is promised of
//! the result holds. The fuzz targets call these functions, and so does a test with a fixed start.

use std::sync::OnceLock;

use mcphub_codegen::mock::recording::Recording;
use mcphub_codegen::mock::{Mock, Request};
use mcphub_codegen::openapi::{OpenApiParser, ParserSettings};
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_codegen::{doctor, import, overlay as overlays};
use mcphub_core::call::Arguments;
use mcphub_core::project::{RenderOptions, Target};
use mcphub_core::spec::{Document, Parsed, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner, ToolSet};
use serde_json::{Value, json};

/// Documents to begin with: every version, every kind of parameter and body.
pub const SEEDS: [&[u8]; 4] = [
    include_bytes!("../examples/specs/bookshop.yaml"),
    include_bytes!("../examples/specs/bodies.yaml"),
    include_bytes!("../examples/specs/collections.yaml"),
    include_bytes!("../examples/specs/parameters.yaml"),
];

/// Projects of larger plans are not rendered: the fuzzer would do little else.
const MAX_RENDERED: usize = 60;
/// The most edits of one document.
const MAX_EDITS: usize = 8;

/// Any bytes as an API document, a collection or an archive.
pub fn document(data: &[u8]) {
    let imported = import::openapi(source(data), &ParserSettings::default());
    let Ok(document) = imported else { return };
    let Ok(parsed) = OpenApiParser::default().parse(&document) else {
        return;
    };
    planned(&parsed);
}

/// Any text as YAML. A reader of a subset, which is fast, gives what it does not know to a general one;
/// a directive is such a thing, and changes nothing.
pub fn yaml(data: &[u8]) {
    let read = |bytes: &[u8]| {
        let applied = overlays::apply(&source(bytes), &[], &ParserSettings::default());
        applied.ok().map(|applied| applied.document.bytes)
    };
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // JSON and HTML are told by how they begin, and a document begins once.
    let begins = text.trim_start().starts_with(['{', '[', '<', '\u{feff}']);
    if begins
        || ["---", "...", "%"]
            .iter()
            .any(|marker| text.contains(marker))
    {
        return;
    }
    if let Some(value) = read(data) {
        let directed = format!("%YAML 1.2\n---\n{text}");
        assert_eq!(read(directed.as_bytes()), Some(value), "{text}");
    }
}

/// A good document in which some places hold what does not belong there: the first byte chooses the
/// document, every four that follow a place and what goes there.
pub fn edited_document(data: &[u8]) {
    let Some((first, edits)) = data.split_first() else {
        return;
    };
    let seeds = seeds();
    let Some(mut document) = seeds.get(usize::from(*first) % seeds.len()).cloned() else {
        return;
    };
    for edit in edits.chunks_exact(4).take(MAX_EDITS) {
        let [high, low, kind, value] = *edit else {
            return;
        };
        let place = usize::from(u16::from_be_bytes([high, low]));
        let mut places = Vec::new();
        pointers(&document, String::new(), &mut places);
        // The version stays, so that there is something to read.
        places.retain(|place| !["", "/openapi", "/swagger"].contains(&place.as_str()));
        let pointer = places.get(place % places.len().max(1)).cloned();
        let other = places
            .get(usize::from(value) * 31 % places.len().max(1))
            .cloned();
        let new = wrong(
            kind,
            value,
            other.and_then(|place| document.pointer(&place).cloned()),
        );
        if let Some(slot) = pointer.and_then(|pointer| document.pointer_mut(&pointer)) {
            *slot = new;
        }
    }
    self::document(document.to_string().as_bytes());
}

/// Any bytes as an overlay of a good document.
pub fn overlay(data: &[u8]) {
    let Some(base) = SEEDS.first() else { return };
    let applied = overlays::apply(&source(base), &[source(data)], &ParserSettings::default());
    if let Ok(applied) = applied {
        document(&applied.document.bytes);
    }
}

/// Any bytes as a request to a mock: lines of method, path, query, headers; an empty one; the body.
pub fn mock_request(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (head, body) = text.split_once("\n\n").unwrap_or((&text, ""));
    let mut lines = head.lines();
    let mut line = || lines.next().unwrap_or_default();
    let (method, path, query) = (line(), line(), line());
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let request = Request {
        method,
        path,
        query,
        headers: &headers,
        body: body.as_bytes(),
    };
    for mock in mocks() {
        let answer = mock.answer(&request);
        assert!((200..600).contains(&answer.status), "{answer:?}");
        assert_eq!(
            answer,
            mock.answer(&request),
            "the same request, the same answer"
        );
    }
}

/// Any bytes as a recording.
pub fn recording(data: &[u8]) {
    let Some(parsed) = parsed().first() else {
        return;
    };
    let Ok(recording) = Recording::read(data, &parsed.spec, &["/v1"]) else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let request = Request {
        method: "GET",
        path: "/v1/books",
        query: text.get(..64).unwrap_or_default(),
        headers: &[],
        body: data,
    };
    let _ = recording.answer(&request);
}

/// Any bytes as the arguments of each tool.
pub fn arguments(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(arguments) = Arguments::parse(text) else {
        return;
    };
    let Ok(base) = "https://api.test/base".parse() else {
        return;
    };
    for tool in plans().iter().flat_map(|plan| &plan.tools) {
        let Ok(request) = tool.binding.request(&base, &arguments) else {
            continue;
        };
        assert_eq!(request.url.host_str(), Some("api.test"), "{}", request.url);
        assert!(request.url.path().starts_with("/base"), "{}", request.url);
        for (name, value) in &request.headers {
            assert!(!name.contains(['\r', '\n']) && !value.contains(['\r', '\n']));
        }
    }
}

fn source(bytes: &[u8]) -> Document {
    Document {
        source: "fuzz.yaml".to_owned(),
        bytes: bytes.to_vec().into(),
    }
}

/// What every plan and every project promises.
fn planned(parsed: &Parsed) {
    let Ok(plan) = ToolPlanner::new().plan(parsed, &PlanOptions::default()) else {
        return;
    };
    let mut names = std::collections::HashSet::new();
    for tool in &plan.tools.tools {
        let name = tool.name.as_str();
        assert!(
            (1..=64).contains(&name.len()) && names.insert(name),
            "{name}"
        );
        assert_eq!(
            tool.input.root().get("type"),
            Some(&json!("object")),
            "{name}"
        );
    }
    let _ = doctor::examine(parsed, &plan);
    if plan.tools.tools.len() > MAX_RENDERED {
        return;
    }
    let options = RenderOptions {
        name: "fuzz".to_owned(),
        base_url: None,
    };
    for target in [
        &PythonTarget::new() as &dyn Target,
        &TypeScriptTarget::new(),
        &RustTarget::new(),
    ] {
        let project = target.render(&plan.tools, &options);
        assert!(project.is_ok(), "{project:?}");
    }
}

/// Something that stands where it should not.
fn wrong(kind: u8, value: u8, other: Option<Value>) -> Value {
    match kind % 16 {
        0 => Value::Null,
        1 => json!(value.is_multiple_of(2)),
        2 => json!(value),
        3 => json!(-1.5e300),
        4 => json!(u64::MAX),
        5 => json!(""),
        6 => json!(char::from(value).to_string().repeat(usize::from(value))),
        7 => json!("\"'`${{}}\\\r\n</script>\u{202e}\u{0}"),
        8 => json!([]),
        9 => json!({}),
        10 => json!(["a", 1, null, {}]),
        11 => json!({"$ref": "#"}),
        12 => json!({"$ref": "#/components/schemas/Book"}),
        13 => json!({"type": ["null", "array"], "nullable": true, "enum": [], "required": true}),
        14 => json!({"allOf": [{"$ref": "#/paths"}], "oneOf": [{}], "not": {"anyOf": []}}),
        _ => other.unwrap_or(Value::Null),
    }
}

/// Every place of a value.
fn pointers(value: &Value, at: String, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), out);
            }
        }
        Value::Object(members) => {
            for (name, item) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(item, format!("{at}/{name}"), out);
            }
        }
        _ => {}
    }
    out.push(at);
}

fn seeds() -> &'static [Value] {
    static KNOWN: OnceLock<Vec<Value>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let settings = ParserSettings::default();
        // An overlay without actions gives the document as JSON.
        let nothing = source(
            br#"{"overlay": "1.0.0", "info": {"title": "x", "version": "1"}, "actions": []}"#,
        );
        let json = |seed: &&[u8]| {
            overlays::apply(&source(seed), std::slice::from_ref(&nothing), &settings).ok()
        };
        let read =
            |overlaid: overlays::Overlaid| serde_json::from_slice(&overlaid.document.bytes).ok();
        SEEDS.iter().filter_map(json).filter_map(read).collect()
    })
}

fn parsed() -> &'static [Parsed] {
    static KNOWN: OnceLock<Vec<Parsed>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let parser = OpenApiParser::default();
        SEEDS
            .iter()
            .filter_map(|seed| parser.parse(&source(seed)).ok())
            .collect()
    })
}

fn mocks() -> &'static [Mock] {
    static KNOWN: OnceLock<Vec<Mock>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let pairs = SEEDS.iter().zip(parsed());
        pairs
            .filter_map(|(seed, parsed)| Mock::new(&source(seed), parsed.clone()).ok())
            .collect()
    })
}

fn plans() -> &'static [ToolSet] {
    static KNOWN: OnceLock<Vec<ToolSet>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let planner = ToolPlanner::new();
        let plans = parsed()
            .iter()
            .map(|parsed| planner.plan(parsed, &PlanOptions::default()));
        plans
            .filter_map(Result::ok)
            .map(|plan| plan.tools)
            .collect()
    })
}
