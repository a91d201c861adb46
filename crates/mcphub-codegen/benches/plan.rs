//! How long parsing and planning take, as a multiple of what `serde_json` needs to read the same
//! bytes to a value. The promise is at most 3.
//!
//! Runs over two generated documents of 1,000 operations, and over the largest documents of
//! `$MCPHUB_CORPUS` where it is set. One of the two has what published documents have for each operation:
//! text, errors and examples, about 2.5 KiB. The other has signatures and models alone, 0.6 KiB: reading
//! it is cheap and its tools are as large, so it is the hard case. The ratios are printed after the
//! measurements, and on Linux how much memory each takes at most, in a process of its own. The
//! promise is at most 2.5 times what the value takes, and 20 MB.
//!
//! The projects that are rendered from the plan are measured in the same unit: the promise is 5 times
//! what parsing and planning may take, which is 15.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use criterion::Criterion;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{RenderOptions, Target};
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner};
use mimalloc::MiMalloc;
use nix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// The one of the binary, for both that are compared.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, PEAK, job, file] = &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return take_memory(job, file);
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let mut documents = vec![
        (
            "documented".to_owned(),
            generated(1_000, Detail::Documented),
        ),
        ("terse".to_owned(), generated(1_000, Detail::Terse)),
    ];
    documents.extend(corpus());
    for (name, document) in &documents {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("read to a value", |bencher| bencher.iter(|| read(document)));
        group.bench_function("parse and plan", |bencher| bencher.iter(|| work(document)));
        group.finish();
    }
    for (name, document) in &documents {
        ratio(name, document);
    }
    for (name, document) in &documents {
        rendering(name, document);
    }
    for (name, document) in &documents {
        memory(name, document);
    }
    criterion.final_summary();
}

fn read(document: &Document) -> Value {
    serde_json::from_slice(black_box(&document.bytes)).expect("the document is JSON")
}

fn work(document: &Document) -> usize {
    let parsed = OpenApiParser::default()
        .parse(black_box(document))
        .expect("the document is OpenAPI");
    let plan = ToolPlanner::new()
        .plan(&parsed, &PlanOptions::default())
        .expect("the options are valid");
    black_box(&plan).tools.tools.len()
}

/// The fastest of several rounds of each, taken in turns, so that a busy machine slows both.
#[allow(
    clippy::print_stdout,
    reason = "the ratio is what this benchmark is for"
)]
fn ratio(name: &str, document: &Document) {
    let [mut reading, mut parsing, mut working] = [Duration::MAX; 3];
    let mut tools = 0;
    for _ in 0..30 {
        reading = reading.min(time(|| drop(read(document))));
        parsing = parsing.min(time(|| {
            drop(OpenApiParser::default().parse(black_box(document)))
        }));
        working = working.min(time(|| tools = work(document)));
    }
    println!(
        "{name}: {tools} tools of {} KiB; read {reading:.1?}, parse {parsing:.1?}, parse and plan {working:.1?}, ratio {:.2}",
        document.bytes.len() / 1_024,
        working.as_secs_f64() / reading.as_secs_f64(),
    );
}

/// What each target takes to write the project of a plan.
#[allow(clippy::print_stdout, reason = "as above")]
fn rendering(name: &str, document: &Document) {
    let parsed = OpenApiParser::default()
        .parse(document)
        .expect("the document is OpenAPI");
    let plan = ToolPlanner::new().plan(&parsed, &PlanOptions::default());
    let tools = plan.expect("the options are valid").tools;
    let options = RenderOptions {
        name: "bench".to_owned(),
        base_url: None,
    };
    let (python, typescript, rust) = (
        PythonTarget::new(),
        TypeScriptTarget::new(),
        RustTarget::new(),
    );
    for target in [&python as &dyn Target, &typescript, &rust] {
        let [mut reading, mut writing] = [Duration::MAX; 2];
        let mut size = 0;
        for _ in 0..10 {
            reading = reading.min(time(|| drop(read(document))));
            writing = writing.min(time(|| {
                let project = target.render(black_box(&tools), &options);
                let project = project.expect("every plan can be rendered");
                size = project.files().map(|(_, bytes)| bytes.len()).sum();
            }));
        }
        println!(
            "{name}: {} project of {} KiB in {writing:.1?}, {:.2} times reading",
            target.name(),
            size / 1_024,
            writing.as_secs_f64() / reading.as_secs_f64(),
        );
    }
}

/// The argument that makes this a process that does one job once and says what memory it took.
const PEAK: &str = "--peak-memory-of";

#[allow(clippy::print_stdout, reason = "as above")]
fn memory(name: &str, document: &Document) {
    let file = tempfile::NamedTempFile::new().expect("there is room for a file");
    std::fs::write(&file, &document.bytes).expect("there is room for the document");
    let peak = |job: &str| -> Option<f64> {
        let program = std::env::current_exe().ok()?;
        let told = Command::new(program)
            .args([PEAK, job])
            .arg(file.path())
            .output()
            .ok()?;
        String::from_utf8(told.stdout).ok()?.trim().parse().ok()
    };
    if let (Some(reading), Some(working)) = (peak("read"), peak("work")) {
        println!(
            "{name}: {:.1} MB of memory for the value, {:.1} MB to parse and plan, ratio {:.2}",
            reading / 1e3,
            working / 1e3,
            working / reading,
        );
    }
}

/// Prints by how many kB the job raises the process's peak.
#[allow(clippy::print_stdout, reason = "the caller reads it")]
fn take_memory(job: &str, file: &str) {
    let document = Document {
        source: "document.json".to_owned(),
        bytes: std::fs::read(file).expect("the caller wrote it").into(),
    };
    let Some(before) = peak_kilobytes() else {
        return;
    };
    if job == "read" {
        black_box(read(&document));
    } else {
        work(&document);
    }
    if let Some(after) = peak_kilobytes() {
        println!("{}", after - before);
    }
}

fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// The processor's time, because others use the machine too.
fn time(run: impl FnOnce()) -> Duration {
    let start = processor_time();
    run();
    processor_time() - start
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("the clock is there").into()
}

/// The largest documents of the corpus that are in one file.
const LARGEST: [&str; 9] = [
    "k8s_kube-openapi.json",
    "github_rest.json",
    "openai.yaml",
    "box.json",
    "slack_web.json",
    "twilio_conversations.json",
    "argo_workflows.json",
    "qdrant.json",
    "oxide_nexus.json",
];

/// The same document, compact, in JSON: reading YAML takes longer than everything else.
fn as_json(yaml: &[u8]) -> Vec<u8> {
    let options = serde_saphyr::options! {
        budget: None,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        strict_booleans: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
    };
    let value: Value =
        serde_saphyr::from_slice_with_options(yaml, options).expect("the document is YAML");
    value.to_string().into_bytes()
}

fn corpus() -> Vec<(String, Document)> {
    let Some(folder) = std::env::var_os("MCPHUB_CORPUS") else {
        return Vec::new();
    };
    let documents = LARGEST.into_iter().map(|name| {
        let bytes = std::fs::read(std::path::Path::new(&folder).join(name))
            .expect("the corpus has the document");
        let bytes = if name.ends_with(".yaml") {
            as_json(&bytes)
        } else {
            bytes
        };
        let document = Document {
            source: name.to_owned(),
            bytes: bytes.into(),
        };
        (name.to_owned(), document)
    });
    documents.collect()
}

/// An API like a large one of today: resources with list, create, read, change and delete, shared
/// parameters and errors, nested models, descriptions and examples.
fn generated(operations: usize, detail: Detail) -> Document {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for number in 0..operations / 5 {
        let model = format!("Resource{number}");
        // Models refer to each other in small circles.
        let related = format!(
            "#/components/schemas/Resource{}",
            number - number % 5 + (number + 1) % 5
        );
        let own = format!("#/components/schemas/{model}");
        schemas.insert(model.clone(), resource(number, &related));
        paths.insert(format!("/resources{number}"), collection(&model, &own));
        paths.insert(format!("/resources{number}/{{id}}"), item(&model, &own));
    }
    if detail == Detail::Documented {
        for operation in paths
            .values_mut()
            .flat_map(Value::as_object_mut)
            .flat_map(Map::values_mut)
        {
            describe(operation);
        }
    }
    let error = json!({
        "type": "object",
        "required": ["code", "message"],
        "properties": {
            "code": {"type": "string", "description": "A stable identifier.", "example": "not_found"},
            "message": {"type": "string", "description": "What went wrong, for a person."},
            "details": {"type": "array", "items": {"type": "object", "additionalProperties": true}},
        },
    });
    schemas.insert("Error".to_owned(), error);
    let document = json!({
        "openapi": "3.0.3",
        "info": {"title": "Generated", "version": "1.0.0", "description": "Many operations over many models."},
        "servers": [{"url": "https://{region}.example.com/v1", "variables": {"region": {"default": "eu"}}}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "parameters": {
                "limit": {"name": "limit", "in": "query", "description": "The most items of one page.",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
                "cursor": {"name": "cursor", "in": "query", "description": "Where the page begins.",
                    "schema": {"type": "string"}, "example": "eyJpZCI6MTIzfQ"},
                "id": {"name": "id", "in": "path", "required": true, "description": "The identifier.",
                    "schema": {"type": "string", "format": "uuid"}},
            },
            "responses": {
                "NotFound": {"description": "It is not there.", "content": {"application/json":
                    {"schema": {"$ref": "#/components/schemas/Error"}}}},
            },
        },
    });
    Document {
        source: "generated.json".to_owned(),
        bytes: document.to_string().into(),
    }
}

/// How much a generated document says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Signatures and models.
    Terse,
    /// Text, errors and examples too.
    Documented,
}

/// Adds what published documents have for each operation.
fn describe(operation: &mut Value) {
    const TEXT: &str = "Needs the scope `resources:write` where it changes something. Filters combine, and one that is \
        empty is left out. Answers are cached for a minute; send `If-None-Match` to save the transfer. More than \
        100 calls a minute are refused with 429 and a `Retry-After` header.";
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let item = json!({"id": "0b9c6f0e-0000-4000-8000-000000000000", "name": "The first of its kind", "state": "active",
        "note": null, "size": 3, "tags": ["new", "blue"], "owner": {"id": "0b9c6f0e-0000-4000-8000-000000000001",
        "email": "ada@example.com"}, "related": [], "created_at": "2026-01-31T12:00:00Z"});
    for media in responses
        .values_mut()
        .filter_map(|answer| answer.pointer_mut("/content/application~1json"))
    {
        media["examples"] = json!({"usual": {"summary": "As it usually is", "value": [item, item]},
            "smallest": {"summary": "With what is required", "value": item}});
    }
    for status in ["400", "401", "403", "422", "429", "500"] {
        responses.insert(
            status.to_owned(),
            json!({"$ref": "#/components/responses/NotFound"}),
        );
    }
    operation["description"] = TEXT.into();
    operation["externalDocs"] =
        json!({"description": "Guide", "url": "https://docs.example.com/guides/resources#usage"});
    operation["x-code-samples"] = json!([{"lang": "shell", "source": "curl -H 'Authorization: Bearer $TOKEN' \\\n  \
        https://eu.example.com/v1/resources0?limit=20&state=draft,active\n"}]);
}

fn resource(number: usize, related: &str) -> Value {
    json!({
        "type": "object",
        "description": format!("Resource number {number}, with what belongs to it."),
        "required": ["id", "name", "state"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "readOnly": true, "description": "The identifier."},
            "name": {"type": "string", "minLength": 1, "maxLength": 200, "description": "What people call it."},
            "state": {"type": "string", "enum": ["draft", "active", "archived"], "default": "draft"},
            "note": {"type": "string", "nullable": true, "description": "Anything worth knowing."},
            "size": {"type": "integer", "format": "int64", "minimum": 0, "exclusiveMinimum": true},
            "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 20, "example": ["new", "blue"]},
            "owner": {"type": "object", "properties": {
                "id": {"type": "string", "format": "uuid"},
                "email": {"type": "string", "format": "email", "example": "ada@example.com"},
            }},
            "related": {"type": "array", "items": {"$ref": related}},
            "created_at": {"type": "string", "format": "date-time", "readOnly": true},
        },
        "example": {"id": "0b9c6f0e-0000-4000-8000-000000000000", "name": "First", "state": "active", "size": 3},
    })
}

fn collection(model: &str, own: &str) -> Value {
    json!({
        "get": {
            "operationId": format!("list{model}"),
            "tags": [model],
            "summary": format!("List every {model}"),
            "description": "One page at a time, the newest first. Filters combine; an empty filter is left out.",
            "parameters": [
                {"$ref": "#/components/parameters/limit"},
                {"$ref": "#/components/parameters/cursor"},
                {"name": "state", "in": "query", "explode": false,
                    "schema": {"type": "array", "items": {"type": "string", "enum": ["draft", "active", "archived"]}}},
            ],
            "responses": {"200": {"description": "A page.", "content": {"application/json": {"schema": {
                "type": "object",
                "required": ["items"],
                "properties": {"items": {"type": "array", "items": {"$ref": own}}, "next": {"type": "string", "nullable": true}},
            }}}}},
        },
        "post": {
            "operationId": format!("create{model}"),
            "tags": [model],
            "summary": format!("Create a {model}"),
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": own}}}},
            "responses": {"201": {"description": "It is there.", "content": {"application/json": {"schema": {"$ref": own}}}}},
        },
    })
}

fn item(model: &str, own: &str) -> Value {
    let answer = json!({"description": "It is there.", "content": {"application/json": {"schema": {"$ref": own}}}});
    let missing = json!({"$ref": "#/components/responses/NotFound"});
    json!({
        "parameters": [{"$ref": "#/components/parameters/id"}],
        "get": {
            "operationId": format!("get{model}"),
            "tags": [model],
            "summary": format!("Get one {model}"),
            "responses": {"200": answer, "404": missing},
        },
        "patch": {
            "operationId": format!("update{model}"),
            "tags": [model],
            "summary": format!("Change a {model}"),
            "description": "Members that are left out keep their value.",
            "requestBody": {"content": {"application/json": {"schema": {"allOf": [{"$ref": own}]}}}},
            "responses": {"200": answer, "404": missing},
        },
        "delete": {
            "operationId": format!("delete{model}"),
            "tags": [model],
            "summary": format!("Delete a {model}"),
            "responses": {"204": {"description": "It is gone."}, "404": missing},
        },
    })
}
