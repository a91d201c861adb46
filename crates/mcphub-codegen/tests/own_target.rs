//! A host brings a target and templates of its own, as `examples/own_target.rs` does.

#[path = "../examples/own_target.rs"]
mod own_target;

use mcphub_codegen::targets::python::PythonTarget;
use mcphub_codegen::targets::typescript::TypeScriptTarget;
use mcphub_core::ErrorKind;
use mcphub_core::project::{Project, RenderOptions, Target};
use mcphub_core::tool::ToolSet;

fn render(target: &dyn Target) -> Project {
    let tools: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    let options = RenderOptions {
        name: "shop".to_owned(),
        base_url: None,
    };
    target.render(&tools, &options).unwrap()
}

fn text<'p>(project: &'p Project, path: &str) -> &'p str {
    std::str::from_utf8(project.file(path).unwrap()).unwrap()
}

#[test]
fn a_target_of_a_host_adds_to_another() {
    let target = own_target::ours().unwrap();
    let project = render(&target);

    assert_eq!(text(&project, "CODEOWNERS"), "* @acme/api-team\n");
    assert!(text(&project, "Dockerfile").ends_with("\"shop_mcp\"]\n"));
    assert!(text(&project, "TOOLS.txt").lines().count() > 1);
    assert!(project.file("pyproject.toml").is_some());
}

#[test]
fn files_that_are_the_same_everywhere_can_be_replaced_too() {
    let python = PythonTarget::new()
        .with_template("runtime/main.py", "# {{ package }}\n")
        .unwrap();
    assert_eq!(
        text(&render(&python), "src/shop_mcp/__main__.py"),
        "# shop_mcp\n"
    );

    let typescript = TypeScriptTarget::new()
        .with_template("project/Dockerfile", "FROM node # {{ package }}\n")
        .unwrap();
    assert_eq!(
        text(&render(&typescript), "Dockerfile"),
        "FROM node # shop-mcp\n"
    );
}

#[test]
fn every_name_that_is_told_can_be_replaced() {
    for name in PythonTarget::new().templates() {
        assert!(
            PythonTarget::new().with_template(name, "").is_ok(),
            "{name}"
        );
    }
    for name in TypeScriptTarget::new().templates() {
        assert!(
            TypeScriptTarget::new().with_template(name, "").is_ok(),
            "{name}"
        );
    }
    let error = TypeScriptTarget::new()
        .with_template("src/apis.ts", "")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("src/api.ts"), "{error}");
}

#[test]
fn a_template_that_asks_for_what_is_not_there_names_its_line() {
    let target = PythonTarget::new()
        .with_template(
            "project/README.md.j2",
            "# {{ distribution }}\n{{ nobody }}\n",
        )
        .unwrap();
    let tools: ToolSet = serde_json::from_str(include_str!("fixtures/shop.tools.json")).unwrap();
    let options = RenderOptions {
        name: "shop".to_owned(),
        base_url: None,
    };
    let error = target.render(&tools, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.report().contains("project/README.md.j2:2"),
        "{}",
        error.report()
    );
}
