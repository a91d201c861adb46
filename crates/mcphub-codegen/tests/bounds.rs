//! Large documents take time and memory in proportion to their size.

use std::hint::black_box;
use std::sync::Mutex;
use std::time::Duration;

use mcphub_codegen::doctor;
use mcphub_codegen::openapi::OpenApiParser;
use mcphub_codegen::plan::ToolPlanner;
use mcphub_core::ErrorKind;
use mcphub_core::spec::{Document, SpecParser};
use mcphub_core::tool::{PlanOptions, Planner};
use nix::time::{ClockId, clock_gettime};
use peak_alloc::PeakAlloc;
use serde_json::{Map, Value, json};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What is measured is measured alone.
static ALONE: Mutex<()> = Mutex::new(());

/// So many operations over as many models; all want the same few names.
fn document(operations: usize) -> Document {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for number in 0..operations {
        let next = format!("#/components/schemas/M{}", (number + 1) % operations);
        let model = json!({"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": next}}});
        let model = if number % 10 == 0 {
            json!({"type": "string"})
        } else {
            model
        };
        schemas.insert(format!("M{number}"), model);
        let own = json!({"schema": {"$ref": format!("#/components/schemas/M{number}")}});
        let operation = json!({
            "operationId": format!("operation{}", number % 1_000),
            "parameters": [{"name": "id", "in": "query", "schema": {"type": "string"}}],
            "responses": {"200": {"description": "Done.", "content": {"application/json": own}}},
        });
        paths.insert(format!("/things/{number}"), json!({"get": operation}));
    }
    let document = json!({"openapi": "3.1.0", "info": {"title": "T", "version": "1"}, "paths": paths,
        "components": {"schemas": schemas}});
    Document {
        source: "large.json".to_owned(),
        bytes: document.to_string().into(),
    }
}

fn work(document: &Document) -> usize {
    let parsed = OpenApiParser::default().parse(document).unwrap();
    let plan = ToolPlanner::new()
        .plan(&parsed, &PlanOptions::default())
        .unwrap();
    let report = doctor::examine(&parsed, &plan);
    assert_eq!(report.tools, plan.tools.tools.len());
    report.tools
}

fn processor_time(run: impl FnOnce()) -> Duration {
    let now = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let start = now();
    run();
    now() - start
}

#[test]
fn fifty_thousand_operations_take_as_long_as_their_number() {
    let _alone = ALONE.lock().unwrap_or_else(|held| held.into_inner());
    let (few, many) = (document(2_500), document(50_000));
    let short = processor_time(|| assert_eq!(work(&few), 2_500));
    let long = processor_time(|| assert_eq!(work(&many), 50_000));
    // Twenty times as many; what grew with the square would take four hundred times as long.
    assert!(long < short * 60, "{short:?} and {long:?}");
    let refused = OpenApiParser::default()
        .parse(&document(50_001))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert!(refused.message().contains("50000"), "{refused}");
}

#[test]
fn a_plan_takes_little_more_memory_than_the_value_of_its_document() {
    let _alone = ALONE.lock().unwrap_or_else(|held| held.into_inner());
    let document = document(20_000);
    let peak = |run: &dyn Fn()| {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        run();
        MEMORY.peak_usage() - before
    };
    let value = peak(&|| {
        drop(black_box(
            serde_json::from_slice::<Value>(&document.bytes).unwrap(),
        ))
    });
    let plan = peak(&|| {
        let parsed = OpenApiParser::default().parse(&document).unwrap();
        let plan = ToolPlanner::new()
            .plan(&parsed, &PlanOptions::default())
            .unwrap();
        drop(black_box((parsed, plan)));
    });
    let allowed = value * 5 / 2 + (20 << 20);
    assert!(
        plan <= allowed,
        "{plan} bytes, {value} for the value, {allowed} allowed"
    );
}
