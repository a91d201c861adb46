use tempfile::TempDir;

use super::*;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (path, contents) in files {
        let at = folder.path().join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(at, contents).unwrap();
    }
    folder
}

fn names(bundle: &Bundle) -> Vec<String> {
    let archive = zip::ZipArchive::new(io::Cursor::new(bundle.bytes.as_slice())).unwrap();
    archive
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect()
}

const NODE: &str =
    r#"{"name": "shop-mcp", "server": {"type": "node", "entry_point": "dist/main.js"}}"#;

#[test]
fn a_python_project_is_its_sources() {
    let manifest =
        r#"{"name": "shop-mcp", "server": {"type": "uv", "entry_point": "src/shop/__main__.py"}}"#;
    let files = [
        ("manifest.json", manifest),
        ("pyproject.toml", ""),
        ("uv.lock", ""),
        ("Dockerfile", ""),
        (".env", "SECRET=1"),
        (".mcphub/manifest.json", ""),
        ("src/shop/__main__.py", ""),
        ("src/shop/__pycache__/x.pyc", ""),
        ("src/shop/.env", "SECRET=1"),
        ("tests/test_x.py", ""),
    ];
    let bundle = project(folder(&files).path()).unwrap();

    assert_eq!(
        names(&bundle),
        ["manifest.json", "pyproject.toml", "src/shop/__main__.py"]
    );
    assert_eq!((bundle.name.as_str(), bundle.files), ("shop-mcp", 3));
    let mut backwards = files;
    backwards.reverse();
    assert_eq!(
        project(folder(&backwards).path()).unwrap().bytes,
        bundle.bytes
    );
}

#[test]
fn a_typescript_project_is_what_it_needs_at_run_time() {
    let lock = r#"{"packages": {"": {}, "node_modules/a": {}, "node_modules/a/node_modules/c": {},
        "node_modules/b": {"dev": true}, "node_modules/d": {"optional": true}}}"#;
    let folder = folder(&[
        ("manifest.json", NODE),
        ("package.json", "{}"),
        ("package-lock.json", lock),
        ("dist/main.js", ""),
        ("src/main.ts", ""),
        ("schemas/x.json", ""),
        ("node_modules/a/index.js", ""),
        ("node_modules/a/index.d.ts", ""),
        ("node_modules/a/node_modules/c/index.js", ""),
        ("node_modules/b/index.js", ""),
        ("node_modules/.bin/tsc", ""),
    ]);

    assert_eq!(
        names(&project(folder.path()).unwrap()),
        [
            "dist/main.js",
            "manifest.json",
            "node_modules/a/index.js",
            "node_modules/a/node_modules/c/index.js",
            "package.json",
            "schemas/x.json",
        ]
    );
}

#[test]
fn a_rust_project_is_its_program_and_says_where_it_runs() {
    let manifest = r#"{"name": "x", "server": {"type": "binary", "entry_point": "target/release/x-mcp"}, "compatibility": {"platforms": []}}"#;
    let folder = folder(&[
        ("manifest.json", manifest),
        ("target/release/x-mcp", "ELF"),
        ("target/release/x-mcp.d", ""),
        ("src/main.rs", ""),
    ]);
    let bundle = project(folder.path()).unwrap();

    assert_eq!(names(&bundle), ["manifest.json", "target/release/x-mcp"]);
    let manifest = archive::file(&bundle.bytes, "manifest.json", 4096).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(
        manifest["compatibility"]["platforms"],
        json!([crate::bundle::platform()])
    );
}

#[test]
fn what_has_to_be_done_first_is_said() {
    for (files, words) in [
        (vec![], "there is no manifest.json"),
        (vec![("manifest.json", "{")], "manifest.json cannot be read"),
        (vec![("manifest.json", NODE)], "npm run build"),
        (
            vec![("manifest.json", NODE), ("dist/main.js", "")],
            "no package-lock.json",
        ),
        (
            vec![
                ("manifest.json", NODE),
                ("dist/main.js", ""),
                (
                    "package-lock.json",
                    r#"{"packages": {"node_modules/a": {}}}"#,
                ),
            ],
            "npm ci",
        ),
    ] {
        let error = project(folder(&files).path()).unwrap_err();
        assert!(error.message().contains(words), "{words}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn nothing_from_outside_the_folder_goes_in() {
    let outside = folder(&[("secret", "s3cret")]);
    let manifest = r#"{"name": "x", "icon": "../secret", "server": {"type": "uv", "entry_point": "src/x.py"}}"#;
    let folder = folder(&[("manifest.json", manifest), ("src/x.py", "")]);
    for link in ["src/link", "LICENSE"] {
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join(link))
            .unwrap();
    }

    assert_eq!(
        names(&project(folder.path()).unwrap()),
        ["manifest.json", "src/x.py"]
    );
}
