//! What a rendered TypeScript project looks like, file by file.

use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::project::{Project, Purpose, RenderOptions, Runtime, Target};
use mcphub_core::tool::ToolSet;
use serde_json::Value;

fn render(name: &str) -> Project {
    let tools: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    let options = RenderOptions {
        name: name.to_owned(),
        base_url: None,
    };
    TypeScriptTarget::new().render(&tools, &options).unwrap()
}

fn text<'a>(project: &'a Project, path: &str) -> &'a str {
    std::str::from_utf8(project.file(path).unwrap()).unwrap()
}

#[test]
fn files_that_depend_on_the_api() {
    let project = render("shop");
    let mut shown = String::new();
    for (path, _) in project.files() {
        shown.push_str(&format!("===== {path}\n"));
        let depends = path.contains("/tools/")
            || path.starts_with("schemas/")
            || ["settings.ts", "about.ts", "examples.json"]
                .iter()
                .any(|name| path.ends_with(name))
            || !path.contains('/') && !path.contains("lock");
        if depends {
            shown.push_str(text(&project, path));
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn the_same_tools_give_the_same_bytes() {
    assert_eq!(render("shop").digest(), render("shop").digest());
}

#[test]
fn every_variable_is_listed_and_read_under_the_names_of_the_python_target() {
    let project = render("shop");
    let names: Vec<_> = project
        .environment
        .iter()
        .map(|v| v.name.as_str())
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
    let settings = text(&project, "src/settings.ts");
    for name in names {
        assert!(settings.contains(&format!("\"{name}\"")), "{name}");
    }
    let login = project.variable(&Purpose::Scheme("login".into()));
    assert_eq!(login.unwrap().name, "SHOP_LOGIN");
}

#[test]
fn any_name_makes_a_package() {
    for (name, package) in [
        ("shop", "shop-mcp"),
        ("2fa", "api-2fa-mcp"),
        ("My MCP", "my-mcp"),
        ("…", "api-mcp"),
    ] {
        let project = render(name);
        let manifest: Value = serde_json::from_str(text(&project, "package.json")).unwrap();
        assert_eq!(manifest["name"], package);
        assert_eq!(
            project.runtime,
            Runtime::Node {
                main: "dist/main.js".to_owned()
            }
        );
    }
}

#[test]
fn what_is_locked_is_what_is_asked_for() {
    let project = render("shop");
    let read = |path| serde_json::from_str::<Value>(text(&project, path)).unwrap();
    let (manifest, lock) = (read("package.json"), read("package-lock.json"));
    let installed = &lock["packages"][""];

    for name in ["name", "version", "bin", "engines"] {
        assert_eq!(manifest[name], installed[name], "{name}");
    }
    for kind in ["dependencies", "devDependencies"] {
        assert_eq!(manifest[kind], installed[kind], "{kind}");
    }
}

#[test]
fn a_host_may_replace_a_template() {
    let target = TypeScriptTarget::new()
        .with_template("project/README.md.j2", "# {{ package }}\n")
        .unwrap();
    let tools: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    let options = RenderOptions {
        name: "shop".into(),
        base_url: None,
    };
    let project = target.render(&tools, &options).unwrap();

    assert_eq!(text(&project, "README.md"), "# shop-mcp\n");
    assert!(
        TypeScriptTarget::new()
            .with_template("README.md", "")
            .is_err()
    );
}
