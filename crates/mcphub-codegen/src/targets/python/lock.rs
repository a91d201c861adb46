//! The dependencies of a project, pinned: the same in every project, which `scripts/update-locks.py`
//! renews.

/// All but the project itself, in alphabetical order.
const UV: &str = include_str!("templates/project/uv.lock");
const PACKAGE: &str = "\n[[package]]\n";

/// `uv.lock` of a project: its own entry stands among the others, by name.
pub(super) fn uv(own: &str) -> String {
    let own = own.trim();
    let name = name(own.trim_start_matches(PACKAGE.trim()).trim_start());
    let mut out = String::with_capacity(UV.len() + own.len() + 2);
    let mut added = false;
    let mut parts = UV.split(PACKAGE);
    out.extend(parts.next());
    for part in parts {
        if !added && self::name(part) > name {
            added = true;
            out.push('\n');
            out.push_str(own);
            out.push('\n');
        }
        out.push_str(PACKAGE);
        out.push_str(part);
    }
    if !added {
        out.push('\n');
        out.push_str(own);
        out.push('\n');
    }
    out
}

/// The line with the name, which is the first one of an entry.
fn name(entry: &str) -> &str {
    entry.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lock: &str) -> Vec<&str> {
        lock.split(PACKAGE).skip(1).map(name).collect()
    }

    #[test]
    fn the_project_stands_among_its_dependencies_by_name() {
        for own in ["aaa-mcp", "my-mcp", "zzz-mcp"] {
            let entry = format!("[[package]]\nname = \"{own}\"\nversion = \"1.0.0\"\n");
            let lock = uv(&entry);
            let names = names(&lock);
            assert!(names.is_sorted(), "{names:?}");
            assert!(names.contains(&format!("name = \"{own}\"").as_str()));
            assert_eq!(names.len(), self::names(UV).len() + 1);
            assert_eq!(lock.len(), UV.len() + entry.len() + 1);
        }
    }
}
