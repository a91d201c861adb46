//! `Cargo.lock`: the versions that projects are tested with, and the project's own among them.

/// The file of a project, without the project.
const KNOWN: &str = include_str!("templates/project/Cargo.lock");
/// What begins each package.
const PACKAGE: &str = "[[package]]\n";
/// The name and the version that stand in `KNOWN` for the project's.
const OWN: (&str, &str) = ("name = \"package-of-this-project\"", "version = \"0.0.0\"");

/// The file for a package of this name and version.
pub(super) fn lockfile(package: &str, version: &str) -> String {
    let mut blocks = KNOWN.split(PACKAGE);
    let head = blocks.next().unwrap_or_default();
    let mut packages: Vec<(String, String)> = blocks
        .map(|block| {
            let block = block
                .trim_end()
                .replace(OWN.0, &format!("name = \"{package}\""))
                .replace(OWN.1, &format!("version = \"{version}\""));
            let name = block.lines().next().unwrap_or_default().to_owned();
            (name, block)
        })
        .collect();
    // Cargo sorts by name, and leaves the versions of one name in their order.
    packages.sort_by(|(one, _), (other, _)| one.cmp(other));
    let packages: Vec<_> = packages
        .iter()
        .map(|(_, block)| format!("{PACKAGE}{block}\n"))
        .collect();
    format!("{head}{}", packages.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_stands_in_order() {
        for (package, before, after) in [
            ("a-mcp", "version = 4", "adler2"),
            ("zz-mcp", "zmij", ""),
            ("shop-mcp", "shlex", "signal-hook-registry"),
        ] {
            let text = lockfile(package, "1.2.3");
            let at = text
                .find(&format!(
                    "[[package]]\nname = \"{package}\"\nversion = \"1.2.3\"\n"
                ))
                .unwrap();
            let (earlier, later) = text.split_at(at);
            let last = earlier.rsplit(PACKAGE).next().unwrap();
            assert!(last.contains(before), "{package}: {last}");
            let next = later.split(PACKAGE).nth(2).unwrap_or_default();
            assert!(next.contains(after), "{package}: {next}");
        }
    }
}
