//! What a rendered Python project looks like, file by file.

use mcphub_codegen::targets::python::PythonTarget;
use mcphub_core::project::{Project, Purpose, RenderOptions, Runtime, Target};
use mcphub_core::tool::ToolSet;

fn render(name: &str) -> Project {
    let tools: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    PythonTarget::new()
        .render(
            &tools,
            &RenderOptions {
                name: name.to_owned(),
                base_url: None,
            },
        )
        .unwrap()
}

#[test]
fn files_that_depend_on_the_api() {
    let project = render("shop");
    let mut text = String::new();
    for (path, contents) in project.files() {
        text.push_str(&format!("===== {path}\n"));
        let shown = path.contains("/tools/")
            || path.contains("/schemas/")
            || ["settings.py", "server.py", "examples.json"]
                .iter()
                .any(|name| path.ends_with(name))
            || !path.contains('/') && !path.contains("lock");
        if shown {
            text.push_str(std::str::from_utf8(contents).unwrap());
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_tools_give_the_same_bytes() {
    assert_eq!(render("shop").digest(), render("shop").digest());
}

#[test]
fn every_variable_is_listed_once_and_read() {
    let project = render("shop");
    let settings = std::str::from_utf8(project.file("src/shop_mcp/settings.py").unwrap()).unwrap();
    let names: Vec<_> = project
        .environment
        .iter()
        .map(|variable| variable.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "MCP_TRANSPORT",
            "MCP_HOST",
            "MCP_PORT",
            "MCP_SERVER_TOKEN",
            "SHOP_BASE_URL",
            "SHOP_HEADERS",
            "SHOP_BEARER_TOKEN",
            "SHOP_CLIENT_CERT",
            "SHOP_CA_CERT",
            "SHOP_SHOP_KEY",
            "SHOP_QUERY_KEY",
            "SHOP_SESSION",
            "SHOP_STAFF",
            "SHOP_LOGIN",
        ]
    );
    for name in names {
        assert!(settings.contains(&format!("\"{name}\"")), "{name}");
    }
    assert_eq!(
        project
            .variable(&Purpose::Scheme("login".into()))
            .unwrap()
            .name,
        "SHOP_LOGIN"
    );
}

#[test]
fn any_name_makes_a_package() {
    for (name, module) in [
        ("shop", "shop_mcp"),
        ("json", "json_mcp"),
        ("2fa", "api_2fa_mcp"),
        ("my-mcp", "my_mcp"),
        ("…", "api_mcp"),
    ] {
        assert_eq!(
            render(name).runtime,
            Runtime::Python {
                module: module.to_owned()
            }
        );
    }
}

#[test]
fn a_host_may_replace_a_template() {
    let target = PythonTarget::new()
        .with_template("project/Dockerfile.j2", "FROM scratch # {{ package }}\n")
        .unwrap();
    let tools: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    let project = target
        .render(
            &tools,
            &RenderOptions {
                name: "shop".into(),
                base_url: None,
            },
        )
        .unwrap();

    assert_eq!(
        project.file("Dockerfile").unwrap(),
        "FROM scratch # shop_mcp\n"
    );
    assert!(PythonTarget::new().with_template("Dockerfile", "").is_err());
    assert!(
        PythonTarget::new()
            .with_template("project/Dockerfile.j2", "{% if %}")
            .is_err()
    );
}
