//! The header `Link` (RFC 8288, 3).

/// The target of the first link with the relation `next`.
pub fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (target, after) = rest.split_once('<')?.1.split_once('>')?;
        let (is_next, after) = is_next(after);
        if is_next {
            return Some(target.trim());
        }
        rest = after;
    }
}

/// Whether the parameters of a link say so, and what comes after them.
fn is_next(parameters: &str) -> (bool, &str) {
    let (mut found, mut rest) = (None, parameters.trim_start());
    while let Some(after) = rest.strip_prefix(';') {
        let end = after.find(['=', ';', ',']).unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let (value, after) = match after.strip_prefix('=') {
            Some(value) => value_of(value.trim_start()),
            None => (String::new(), after),
        };
        // RFC 8288, 3.3: what comes after the first `rel` is ignored.
        if name.trim().eq_ignore_ascii_case("rel") && found.is_none() {
            let mut relations = value.split_ascii_whitespace();
            found = Some(relations.any(|relation| relation.eq_ignore_ascii_case("next")));
        }
        rest = after.trim_start();
    }
    (found.unwrap_or_default(), rest)
}

/// A token or quoted string (RFC 9110, 5.6), with what comes after it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',']).unwrap_or(text.len());
        let (token, after) = text.split_at(end);
        return (token.trim().to_owned(), after);
    };
    let (mut value, mut characters) = (String::new(), quoted.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => return (value, characters.as_str()),
            '\\' => value.extend(characters.next()),
            other => value.push(other),
        }
    }
    (value, "")
}
