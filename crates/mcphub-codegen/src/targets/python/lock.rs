//! The dependencies of a project, pinned: `requirements.lock` is the same in every project, and
//! `scripts/update-locks.py` renews it.

/// What a lock in the format of pip asks for, one `name==version` with its marker each, without the
/// hashes: what uv takes as constraints, which know no hashes.
pub(super) fn pins(lock: &str) -> impl Iterator<Item = &str> {
    lock.lines()
        .filter(|line| !line.starts_with([' ', '#', '-']))
        .map(|line| line.trim_end_matches('\\').trim_end())
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_the_requirements_without_hashes() {
        let lock = "# made by hand\n--no-binary x\n\na==1 ; python_version < '3' \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\nb==2\n";
        assert!(pins(lock).eq(["a==1 ; python_version < '3'", "b==2"]));
    }

    #[test]
    fn each_package_of_a_project_is_pinned_with_a_hash_and_without_an_address() {
        let lock = include_str!("templates/project/requirements.lock");
        let mut count = 0;
        for pin in pins(lock) {
            let (name, rest) = pin.split_once("==").unwrap_or_else(|| panic!("{pin}"));
            assert!(!name.contains(' ') && rest.starts_with(|first: char| first.is_ascii_digit()));
            assert!(
                lock.contains(&format!("{pin} \\\n    --hash=sha256:")),
                "{pin}"
            );
            count += 1;
        }
        assert!(count > 20);
        assert!(!lock.contains("://"));
    }
}
