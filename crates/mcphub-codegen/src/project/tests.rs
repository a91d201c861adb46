use std::fs;
use std::path::Path;

use mcphub_core::project::Runtime;
use tempfile::TempDir;

use super::*;

fn project(files: &[(&str, &str)]) -> Project {
    let mut project = Project::new(
        "shop",
        Runtime::Python {
            module: "shop".into(),
        },
        Vec::new(),
    );
    for (path, contents) in files {
        project.add(*path, (*contents).to_owned()).unwrap();
    }
    project
}

fn force() -> WriteOptions {
    WriteOptions {
        on_edit: OnEdit::Overwrite,
    }
}

fn mark() -> WriteOptions {
    WriteOptions {
        on_edit: OnEdit::MergeAndMark,
    }
}

fn read(folder: &TempDir, path: &str) -> String {
    fs::read_to_string(folder.path().join(path)).unwrap()
}

/// A folder with two generated files.
fn generated() -> TempDir {
    let folder = TempDir::new().unwrap();
    let first = project(&[("README.md", "1"), ("src/a/x.py", "1")]);
    write(&first, folder.path(), &WriteOptions::default()).unwrap();
    folder
}

/// Every file below a folder with its contents.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn the_same_project_again_changes_nothing() {
    let folder = generated();
    let before = snapshot(folder.path());

    let done = write(
        &project(&[("README.md", "1"), ("src/a/x.py", "1")]),
        folder.path(),
        &WriteOptions::default(),
    )
    .unwrap();

    assert_eq!(done.unchanged, ["README.md", "src/a/x.py"]);
    assert!(done.written.is_empty() && done.removed.is_empty());
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn files_that_nobody_changed_are_replaced_and_removed_with_their_folders() {
    let folder = generated();

    let done = write(
        &project(&[("README.md", "2"), ("new.txt", "2")]),
        folder.path(),
        &WriteOptions::default(),
    )
    .unwrap();

    assert_eq!(
        (done.written, done.removed),
        (
            vec!["README.md".into(), "new.txt".into()],
            vec!["src/a/x.py".to_owned()]
        )
    );
    assert_eq!(read(&folder, "README.md"), "2");
    assert!(!folder.path().join("src").exists());
}

const LINES: &str = "1\n2\n3\n4\n5\n6\n";

/// A folder with a generated file of these lines, which its owner then changed.
fn edited(owners: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let first = project(&[("README.md", LINES)]);
    write(&first, folder.path(), &WriteOptions::default()).unwrap();
    fs::write(folder.path().join("README.md"), owners).unwrap();
    folder
}

#[test]
fn edits_are_kept_beside_what_is_new_through_any_number_of_generations() {
    let folder = edited("1\nmine\n3\n4\n5\n6\n");

    let second = project(&[("README.md", "1\n2\n3\n4\n5\nsix\n")]);
    let done = write(&second, folder.path(), &WriteOptions::default()).unwrap();
    assert_eq!(done.merged, ["README.md"]);
    assert_eq!(read(&folder, "README.md"), "1\nmine\n3\n4\n5\nsix\n");

    let third = project(&[("README.md", "1\n2\n3\n4\nfive\nsix\n")]);
    write(&third, folder.path(), &WriteOptions::default()).unwrap();
    assert_eq!(read(&folder, "README.md"), "1\nmine\n3\n4\nfive\nsix\n");

    let before = snapshot(folder.path());
    let done = write(&third, folder.path(), &WriteOptions::default()).unwrap();
    assert_eq!(done.edited, ["README.md"]);
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn an_edit_that_meets_a_new_line_stops_everything_and_is_named() {
    let folder = edited("1\n2\n3\n4\n5\nmine\n");
    let before = snapshot(folder.path());

    let error = write(
        &project(&[("README.md", "1\n2\n3\n4\n5\nsix\n"), ("new.txt", "2")]),
        folder.path(),
        &WriteOptions::default(),
    )
    .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict);
    for words in ["README.md (line 6)", "--force", "--mark-conflicts"] {
        assert!(error.message().contains(words), "{error}");
    }
    assert!(!error.message().contains("new.txt"), "{error}");
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn marked_conflicts_have_to_be_resolved_before_the_next_generation() {
    let folder = edited("1\n2\n3\n4\n5\nmine\n");
    let second = project(&[("README.md", "1\n2\n3\n4\n5\nsix\n"), ("new.txt", "2")]);

    let done = write(&second, folder.path(), &mark()).unwrap();

    assert_eq!(done.written, ["new.txt"]);
    let [conflict] = done.conflicts.as_slice() else {
        panic!("{done:?}");
    };
    assert_eq!(
        (conflict.path.as_str(), conflict.lines.as_slice()),
        ("README.md", &[6..=6][..])
    );
    let marked = read(&folder, "README.md");
    assert!(
        marked.contains("<<<<<<< yours\nmine\n") && marked.contains("\nsix\n>>>>>>> generated\n")
    );

    let again = write(&second, folder.path(), &mark()).unwrap_err();
    assert!(again.message().contains("nobody resolved"), "{again}");

    fs::write(folder.path().join("README.md"), "1\n2\n3\n4\n5\nboth\n").unwrap();
    let done = write(&second, folder.path(), &WriteOptions::default()).unwrap();
    assert_eq!(done.edited, ["README.md"]);
}

#[test]
fn a_file_that_its_owner_removed_stays_away() {
    let folder = generated();
    fs::remove_file(folder.path().join("README.md")).unwrap();
    let second = project(&[("README.md", "2"), ("src/a/x.py", "1")]);

    let done = write(&second, folder.path(), &WriteOptions::default()).unwrap();

    assert_eq!(done.missing, ["README.md"]);
    assert!(!folder.path().join("README.md").exists());
    write(&second, folder.path(), &force()).unwrap();
    assert_eq!(read(&folder, "README.md"), "2");
}

#[test]
fn edits_without_what_was_generated_before_are_a_conflict() {
    let folder = edited("1\nmine\n3\n4\n5\n6\n");
    fs::write(folder.path().join(GENERATED), "damaged").unwrap();

    let second = project(&[("README.md", "1\n2\n3\n4\n5\nsix\n")]);
    let error = write(&second, folder.path(), &WriteOptions::default()).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(read(&folder, "README.md"), "1\nmine\n3\n4\n5\n6\n");
}

#[test]
fn force_overwrites_a_changed_file_and_leaves_others_alone() {
    let folder = generated();
    fs::write(folder.path().join("README.md"), "mine").unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();

    write(&project(&[("README.md", "2")]), folder.path(), &force()).unwrap();

    assert_eq!(
        (
            read(&folder, "README.md").as_str(),
            read(&folder, "notes.txt").as_str()
        ),
        ("2", "mine")
    );
}

#[test]
fn a_change_that_the_new_generation_also_has_is_no_conflict() {
    let folder = generated();
    fs::write(folder.path().join("README.md"), "2").unwrap();

    let done = write(
        &project(&[("README.md", "2"), ("src/a/x.py", "1")]),
        folder.path(),
        &WriteOptions::default(),
    )
    .unwrap();

    assert_eq!(done.unchanged, ["README.md", "src/a/x.py"]);
}

#[test]
fn a_changed_file_that_is_no_longer_generated_is_kept() {
    let folder = generated();
    fs::write(folder.path().join("src/a/x.py"), "mine").unwrap();

    let done = write(
        &project(&[("README.md", "1")]),
        folder.path(),
        &WriteOptions::default(),
    )
    .unwrap();

    assert_eq!(done.kept, ["src/a/x.py"]);
    assert_eq!(read(&folder, "src/a/x.py"), "mine");
}

#[test]
fn a_folder_with_other_files_is_not_written_into() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("thesis.tex"), "mine").unwrap();

    let error = write(
        &project(&[("README.md", "1")]),
        folder.path(),
        &WriteOptions::default(),
    )
    .unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(!folder.path().join("README.md").exists());
    write(&project(&[("README.md", "1")]), folder.path(), &force()).unwrap();
    assert_eq!(read(&folder, "thesis.tex"), "mine");
}

#[test]
fn an_interrupted_generation_can_be_repeated_with_another() {
    let folder = generated();
    // As it is after the announcement and one of two files.
    let second = project(&[("README.md", "2"), ("src/a/x.py", "2")]);
    let mut manifest = Manifest::read(folder.path(), false).unwrap().unwrap();
    manifest.announce(
        &second
            .files()
            .map(|(path, bytes)| (path, digest(bytes)))
            .collect(),
        &[],
    );
    fs::write(folder.path().join(MANIFEST), manifest.to_bytes().unwrap()).unwrap();
    fs::write(folder.path().join("README.md"), "2").unwrap();

    let third = project(&[("README.md", "3"), ("src/a/x.py", "3")]);
    write(&third, folder.path(), &WriteOptions::default()).unwrap();

    assert_eq!(
        (read(&folder, "README.md"), read(&folder, "src/a/x.py")),
        ("3".to_owned(), "3".to_owned())
    );
}

#[test]
fn a_damaged_or_hostile_manifest_is_a_conflict() {
    for manifest in [
        "{",
        r#"{"files": {"../victim": "0"}}"#,
        r#"{"files": {"/etc/passwd": "0"}}"#,
    ] {
        let folder = generated();
        fs::write(folder.path().join(MANIFEST), manifest).unwrap();

        let error = write(
            &project(&[("README.md", "2")]),
            folder.path(),
            &WriteOptions::default(),
        )
        .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Conflict, "{manifest}");
        assert_eq!(read(&folder, "README.md"), "1");
    }
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let outside = TempDir::new().unwrap();
    fs::write(outside.path().join("x.py"), "theirs").unwrap();

    let folder = generated();
    fs::remove_dir_all(folder.path().join("src")).unwrap();
    symlink(outside.path(), folder.path().join("src")).unwrap();
    let error = write(&project(&[("src/x.py", "2")]), folder.path(), &force()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    let folder = generated();
    let link = folder.path().join("README.md");
    fs::remove_file(&link).unwrap();
    symlink(outside.path().join("x.py"), &link).unwrap();
    assert!(
        write(
            &project(&[("README.md", "2")]),
            folder.path(),
            &WriteOptions::default()
        )
        .is_err()
    );
    write(&project(&[("README.md", "2")]), folder.path(), &force()).unwrap();

    assert_eq!(read(&folder, "README.md"), "2");
    assert_eq!(
        fs::read_to_string(outside.path().join("x.py")).unwrap(),
        "theirs"
    );
}

#[cfg(unix)]
#[test]
fn files_have_the_usual_rights() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = generated();
    fs::write(folder.path().join("usual"), "").unwrap();
    let mode = |name: &str| {
        fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode()
    };

    assert_eq!(mode("README.md"), mode("usual"));
}
