//! Projects and bundles.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::*;

#[test]
fn what_was_edited_in_a_generated_project_is_kept() {
    let folder = Folder::new();
    let out = folder.path("shop").display().to_string();
    let original = fs::read_to_string(spec("bookshop.yaml")).unwrap();
    let document = folder.file("shop.yaml", &original);
    let generate = |more: &[&str]| {
        let mut args = vec!["generate", &document, "--target", "python", "--out", &out];
        args.extend(more);
        mcphub(&args)
    };
    let first = generate(&[]);
    assert!(first.status.success(), "{}", stderr(&first));
    assert!(stdout(&generate(&[])).contains("unchanged"));
    let readme = folder.path("shop/README.md");
    let generated = fs::read_to_string(&readme).unwrap();

    // An edit of one line, and a new title of the API in another.
    fs::write(&readme, generated.replace("## Develop", "## Hack")).unwrap();
    fs::write(
        &document,
        original.replace("title: Bookshop", "title: Library"),
    )
    .unwrap();
    let merged = generate(&["--name", "bookshop"]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert!(stdout(&merged).contains("1 files merged with your edits"));
    let text = fs::read_to_string(&readme).unwrap();
    assert!(
        text.contains("## Hack") && text.contains("\"Library\""),
        "{text}"
    );

    // An edit of the line with the title.
    fs::write(&readme, text.replace("\"Library\"", "\"Mine\"")).unwrap();
    fs::write(
        &document,
        original.replace("title: Bookshop", "title: Archive"),
    )
    .unwrap();
    let refused = generate(&["--name", "bookshop"]);
    assert_refused(&refused, 5, &["README.md (line 5)", "--force"]);
    let marked = generate(&["--name", "bookshop", "--mark-conflicts"]);
    assert_refused(&marked, 5, &["<<<<<<< yours", "README.md"]);
    assert!(fs::read_to_string(&readme).unwrap().contains("\n=======\n"));
    assert!(generate(&["--force"]).status.success());
    assert!(!fs::read_to_string(&readme).unwrap().contains("Mine"));
}

#[test]
fn a_bundle_is_made_of_a_project_and_of_a_document() {
    let folder = Folder::new();
    let (shop, out) = (
        folder.path("shop").display().to_string(),
        folder.path("x.mcpb"),
    );
    let document = spec("bookshop.yaml");
    let out = out.display().to_string();
    mcphub(&["generate", &document, "--target", "python", "--out", &shop]);

    let project = mcphub(&["bundle", &shop, "--out", &out]);
    assert!(project.status.success(), "{}", stderr(&project));
    assert!(stdout(&project).starts_with("bookshop-mcp: "));
    let bytes = fs::read(&out).unwrap();
    assert!(bytes.starts_with(b"PK"));
    mcphub(&["bundle", &shop, "--out", &out]);
    assert_eq!(fs::read(&out).unwrap(), bytes, "the same bytes each time");

    let selected = ["--exclude", "path=/reviews*", "--read-only"];
    let mut args = vec!["bundle", &document, "--out", &out, "--profile", "plain"];
    args.extend(selected.iter().chain(&["--secret-env", "shopKey=KEY"]));
    let native = mcphub(&args);
    assert!(native.status.success(), "{}", stderr(&native));
    assert!(stdout(&native).starts_with("bookshop: 3 files"));
    let mut archive = zip::ZipArchive::new(fs::File::open(&out).unwrap()).unwrap();
    let manifest = archive.by_name("manifest.json").unwrap();
    let manifest: Value = serde_json::from_reader(manifest).unwrap();
    let mut args = vec!["inspect", &document, "--format", "json"];
    args.extend(selected);
    let names = |tools: &Value| -> Vec<Value> {
        let tools = tools.as_array().unwrap().iter();
        tools.map(|tool| tool["name"].clone()).collect()
    };
    let wanted = names(&json_of(&mcphub(&args))["tools"]);
    assert!(!wanted.is_empty() && wanted.len() < 12, "{wanted:?}");
    assert_eq!(names(&manifest["tools"]), wanted);
    let arguments = manifest["server"]["mcp_config"]["args"].to_string();
    for option in selected.iter().chain(&["--profile", "plain"]) {
        assert!(arguments.contains(option), "{option}: {arguments}");
    }
    assert_refused(
        &mcphub(&["bundle", &document, "--secret-env", "nobody=KEY"]),
        2,
        &["no such security scheme", "nobody"],
    );
    assert_refused(
        &mcphub(&["bundle", &shop, "--read-only"]),
        2,
        &["packed as it was generated"],
    );
    let typescript = folder.path("ts").display().to_string();
    mcphub(&[
        "generate",
        &document,
        "--target",
        "typescript",
        "--out",
        &typescript,
    ]);
    assert_refused(&mcphub(&["bundle", &typescript]), 4, &["npm run build"]);
}

#[test]
fn templates_of_a_folder_take_the_place_of_a_target_s() {
    let folder = Folder::new();
    let templates = folder.path("templates");
    fs::create_dir_all(templates.join("project")).unwrap();
    let template = templates.join("project/README.md.j2");
    fs::write(&template, "Ours: {{ package }}, {{ tool_count }}\n").unwrap();
    let templates = templates.display().to_string();
    let out = folder.path("shop").display().to_string();
    let document = spec("bookshop.yaml");
    for target in ["python", "typescript", "rust"] {
        let out = format!("{out}-{target}");
        let made = mcphub(&[
            "generate",
            &document,
            "--target",
            target,
            "--out",
            &out,
            "--templates",
            &templates,
        ]);
        assert!(made.status.success(), "{}", stderr(&made));
        let readme = fs::read_to_string(Path::new(&out).join("README.md")).unwrap();
        assert!(readme.starts_with("Ours: bookshop"), "{target}: {readme}");
        assert!(readme.ends_with("12 tools\n"), "{target}: {readme}");
    }

    let refused = |words: &[&str]| {
        let made = mcphub(&[
            "generate",
            &document,
            "--target",
            "python",
            "--out",
            &out,
            "--templates",
            &templates,
        ]);
        assert_refused(&made, 2, words);
        assert!(!Path::new(&out).exists(), "nothing is written");
    };
    fs::write(&template, "one\n{{ nothing_like_this }}\n").unwrap();
    refused(&["project/README.md.j2:2", "nothing_like_this"]);
    fs::rename(&template, folder.path("templates/READ.md")).unwrap();
    let made = mcphub(&[
        "generate",
        &document,
        "--target",
        "python",
        "--out",
        &out,
        "--templates",
        &templates,
    ]);
    assert_refused(&made, 4, &["READ.md", "project/README.md.j2"]);
}
