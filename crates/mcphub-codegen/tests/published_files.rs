//! What others read of a generated project: `server.json` of the MCP registry (schema 2025-12-11) and
//! `manifest.json` of a desktop bundle (MCPB manifest 0.4), held against what these say, in our words.
//! The full run also holds the manifest against the official program.

use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::rust::RustTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{Project, RenderOptions, Target};
use mcphub_core::tool::ToolSet;
use serde_json::{Value, json};

/// The registry's rules for the members that projects have; any other member is a mistake here.
fn server_rules() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["$schema", "name", "description", "version", "packages"],
        "properties": {
            "$schema": {"const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"},
            "name": {"type": "string", "minLength": 3, "maxLength": 200, "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
            "title": {"type": "string", "minLength": 1, "maxLength": 100},
            "description": {"type": "string", "minLength": 1, "maxLength": 100},
            "version": {"type": "string", "maxLength": 255, "pattern": "^[0-9][^ ^~<>=*xX]*$"},
            "packages": {"type": "array", "minItems": 1, "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["registryType", "identifier", "version", "transport"],
                "properties": {
                    "registryType": {"enum": ["npm", "pypi", "cargo"]},
                    "identifier": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]*$"},
                    "version": {"type": "string", "minLength": 1, "not": {"const": "latest"}},
                    "transport": {"const": {"type": "stdio"}},
                    "environmentVariables": {"type": "array", "items": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
                            "description": {"type": "string"},
                            "isRequired": {"type": "boolean"},
                            "isSecret": {"type": "boolean"},
                        },
                    }},
                },
            }},
        },
    })
}

/// The rules of a manifest for the members that projects have.
fn manifest_rules() -> Value {
    let text = json!({"type": "string", "minLength": 1});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["manifest_version", "name", "version", "description", "author", "server"],
        "properties": {
            "manifest_version": {"const": "0.4"},
            "name": text,
            "display_name": text,
            "version": {"type": "string", "pattern": "^[0-9]+\\.[0-9]+\\.[0-9]+$"},
            "description": text,
            "long_description": text,
            "author": {"type": "object", "required": ["name"]},
            "server": {
                "type": "object",
                "additionalProperties": false,
                "required": ["type", "entry_point", "mcp_config"],
                "properties": {
                    "type": {"enum": ["node", "uv", "binary"]},
                    "entry_point": text,
                    "mcp_config": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["command"],
                        "properties": {
                            "command": text,
                            "args": {"type": "array", "items": text},
                            "env": {"type": "object", "additionalProperties": {"type": "string", "pattern": "^\\$\\{user_config\\.[a-z0-9_]+\\}$"}},
                        },
                    },
                },
            },
            "tools": {"type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["name"],
                "properties": {"name": text, "description": {"type": "string", "maxLength": 200}},
            }},
            "compatibility": {"type": "object"},
            "user_config": {"type": "object", "additionalProperties": {
                "type": "object",
                "additionalProperties": false,
                "required": ["type", "title", "description"],
                "properties": {
                    "type": {"const": "string"},
                    "title": text,
                    "description": text,
                    "required": {"type": "boolean"},
                    "sensitive": {"type": "boolean"},
                    "default": {"type": "string"},
                },
            }},
        },
    })
}

fn shop() -> ToolSet {
    serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap()
}

fn render(tools: &ToolSet, name: &str, base_url: Option<&str>) -> [Project; 3] {
    let options = RenderOptions {
        name: name.to_owned(),
        base_url: base_url.map(|url| url.parse().unwrap()),
    };
    let targets: [&dyn Target; 3] = [
        &PythonTarget::new(),
        &TypeScriptTarget::new(),
        &RustTarget::new(),
    ];
    targets.map(|target| target.render(tools, &options).unwrap())
}

fn read(project: &Project, path: &str) -> Value {
    serde_json::from_slice(project.file(path).unwrap()).unwrap()
}

#[track_caller]
fn assert_follows(rules: &Value, value: &Value) {
    let validator = jsonschema::draft202012::new(rules).unwrap();
    let problems: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{problems:#?}\n{value:#}");
}

#[test]
fn any_api_makes_files_that_others_accept() {
    let mut strange = shop();
    strange.api.title = format!("\u{7}\"{}\\ \n<b>", "Größe ".repeat(60));
    strange.api.version = "v2 beta (^1.x)".to_owned();
    let mut untitled = shop();
    untitled.api.title = String::new();
    untitled.api.version = String::new();
    for (tools, name) in [
        (shop(), "shop"),
        (shop(), "…"),
        (shop(), "Shop / Back & Front"),
        (strange, "2fa"),
        (untitled, "x"),
    ] {
        for project in render(&tools, name, None) {
            assert_follows(&server_rules(), &read(&project, "server.json"));
            assert_follows(&manifest_rules(), &read(&project, "manifest.json"));
        }
    }
}

#[test]
fn the_registry_can_see_whose_package_it_is() {
    let [python, typescript, _] = render(&shop(), "shop", None);
    let name = |project| {
        read(project, "server.json")["name"]
            .as_str()
            .unwrap()
            .to_owned()
    };

    let readme = std::str::from_utf8(python.file("README.md").unwrap()).unwrap();
    assert!(readme.contains(&format!("<!-- mcp-name: {} -->", name(&python))));
    assert_eq!(
        read(&typescript, "package.json")["mcpName"],
        name(&typescript)
    );
}

#[test]
fn a_client_asks_for_what_the_server_needs() {
    for (base_url, expected) in [
        (None, json!({"required": true, "default": null})),
        (
            Some("https://shop.test/v1"),
            json!({"required": false, "default": "https://shop.test/v1"}),
        ),
    ] {
        let mut tools = shop();
        tools.servers.clear();
        for project in render(&tools, "shop", base_url) {
            let manifest = read(&project, "manifest.json");
            let settings = &manifest["user_config"];
            let place = &settings["shop_base_url"];
            assert_eq!(
                json!({"required": place["required"], "default": place["default"]}),
                expected
            );
            assert_eq!(settings["shop_shop_key"]["sensitive"], true);
            assert_eq!(
                manifest["server"]["mcp_config"]["env"]["SHOP_SHOP_KEY"],
                "${user_config.shop_shop_key}"
            );
            // What is left empty must not reach the server as the text of a reference.
            assert_eq!(settings["shop_shop_key"]["default"], "");
            assert!(
                manifest["server"]["mcp_config"]["env"]
                    .get("MCP_SERVER_TOKEN")
                    .is_none()
            );
        }
    }
}
