//! The tests that `docs/openapi.md` names are there.

use std::path::Path;

#[test]
fn every_feature_has_the_test_that_it_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let guide = std::fs::read_to_string(folder.join("openapi.md")).unwrap();
    let links: Vec<_> = guide.split("[test](").skip(1).collect();
    assert!(links.len() > 40, "{} features", links.len());
    for link in links {
        let link = link.split_once(')').map_or(link, |(link, _)| link);
        let (path, name) = link.split_once(' ').unwrap();
        let source = std::fs::read_to_string(folder.join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let name = format!("fn {}(", name.trim_matches('"'));
        assert!(source.contains(&name), "{path} has no {name}");
    }
}
