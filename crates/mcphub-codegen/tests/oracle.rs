//! A second reader, the crate `openapiv3`, sees the same operations and parameters.

mod common;

use std::collections::BTreeSet;

use common::{parse, samples};
use mcphub_core::spec::{Location, Method, Severity};
use openapiv3::{OpenAPI, Parameter, ReferenceOr};

type Found = BTreeSet<(String, BTreeSet<(&'static str, String)>)>;

#[test]
#[allow(clippy::print_stdout, reason = "what was read is worth seeing")]
fn openapiv3_finds_the_same_operations_and_parameters() {
    let mut compared = 0;
    for sample in samples()
        .into_iter()
        .filter(|sample| sample.version.starts_with("3.0"))
    {
        let bytes = std::fs::read(&sample.path).expect("the document can be read");
        // It is stricter than we are: what it refuses says nothing about us.
        let Some(theirs) = read(&bytes) else { continue };
        let ours = parse(bytes).expect("what a strict reader takes, we take");
        let skipped: BTreeSet<String> = ours
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .map(|d| d.pointer.clone())
            .collect();
        let repaired: BTreeSet<&str> = ours
            .diagnostics
            .iter()
            .filter(|d| {
                matches!(
                    d.code.as_str(),
                    "undeclared-path-parameter" | "unused-path-parameter" | "invalid-path"
                )
            })
            .map(|d| d.pointer.as_str())
            .collect();
        let found: Found = ours
            .spec
            .operations
            .iter()
            .filter(|operation| {
                !repaired
                    .iter()
                    .any(|pointer| operation.pointer.starts_with(pointer))
            })
            .map(|operation| {
                (
                    operation.pointer.clone(),
                    operation
                        .parameters
                        .iter()
                        .map(|p| (location(p.location), p.name.clone()))
                        .collect(),
                )
            })
            .collect();
        let expected: Found = operations(&theirs)
            .into_iter()
            .filter(|(pointer, _)| {
                !skipped.contains(pointer)
                    && !repaired.iter().any(|other| pointer.starts_with(other))
            })
            .collect();
        let different: Vec<_> = found.symmetric_difference(&expected).collect();
        assert!(different.is_empty(), "{}: {different:?}", sample.name);
        compared += found.len();
    }
    assert!(compared >= 10, "only {compared} operations were compared");
    println!("{compared} operations compared");
}

fn read(bytes: &[u8]) -> Option<OpenAPI> {
    let text = std::str::from_utf8(bytes).ok()?;
    serde_json::from_str(text)
        .ok()
        .or_else(|| serde_json::from_value(serde_saphyr::from_str(text).ok()?).ok())
}

const fn location(location: Location) -> &'static str {
    match location {
        Location::Path => "path",
        Location::Query => "query",
        Location::Header => "header",
        Location::Cookie => "cookie",
        _ => "other",
    }
}

fn operations(api: &OpenAPI) -> Vec<(String, BTreeSet<(&'static str, String)>)> {
    let mut found = Vec::new();
    for (path, item) in &api.paths.paths {
        let ReferenceOr::Item(item) = item else {
            continue;
        };
        let escaped = path.replace('~', "~0").replace('/', "~1");
        for (method, operation) in item.iter() {
            assert!(Method::ALL.iter().any(|known| known.key() == method));
            let parameters = item.parameters.iter().chain(&operation.parameters);
            let parameters = parameters
                .filter_map(|parameter| resolve(api, parameter))
                .map(describe);
            let parameters = parameters.filter(|(location, name)| {
                // Described elsewhere, or no field name (RFC 9110, 5.1): a header can be neither.
                let ignored = ["accept", "content-type", "authorization"]
                    .contains(&name.to_lowercase().as_str());
                *location != "header" || !(ignored || name.contains(' '))
            });
            found.push((format!("/paths/{escaped}/{method}"), parameters.collect()));
        }
    }
    found
}

fn resolve<'a>(api: &'a OpenAPI, parameter: &'a ReferenceOr<Parameter>) -> Option<&'a Parameter> {
    match parameter {
        ReferenceOr::Item(parameter) => Some(parameter),
        ReferenceOr::Reference { reference } => {
            let name = reference.strip_prefix("#/components/parameters/")?;
            api.components.as_ref()?.parameters.get(name)?.as_item()
        }
    }
}

fn describe(parameter: &Parameter) -> (&'static str, String) {
    let location = match parameter {
        Parameter::Path { .. } => "path",
        Parameter::Query { .. } => "query",
        Parameter::Header { .. } => "header",
        Parameter::Cookie { .. } => "cookie",
    };
    (location, parameter.parameter_data_ref().name.clone())
}
