//! Which operation a path means.

use std::borrow::Cow;

use mcphub_core::spec::{ApiSpec, Method};
use percent_encoding::percent_decode_str;

/// The paths of an API.
#[derive(Debug)]
pub(super) struct Routes {
    base: String,
    /// Those with more fixed text first.
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    method: Method,
    segments: Vec<Segment>,
    index: usize,
}

/// One part of a path template: fixed text and names by turns, beginning and ending with text.
#[derive(Debug)]
struct Segment {
    texts: Vec<String>,
    names: Vec<String>,
}

/// An operation and the values in its path, escaped.
#[derive(Debug)]
pub(super) struct Found<'p> {
    pub(super) index: usize,
    pub(super) values: Vec<(String, &'p str)>,
}

impl Routes {
    pub(super) fn of(spec: &ApiSpec) -> Self {
        let mut routes: Vec<_> = spec
            .operations
            .iter()
            .enumerate()
            .map(|(index, operation)| Route {
                method: operation.method,
                segments: segments(operation.path.split('?').next().unwrap_or_default()),
                index,
            })
            .collect();
        // Fixed paths come before templates (OpenAPI 3.0.4, Paths Object), and of two templates
        // the one with more fixed text.
        let open = |segment: &Segment| {
            let text: usize = segment.texts.iter().map(String::len).sum();
            (!segment.names.is_empty(), std::cmp::Reverse(text))
        };
        let names = |route: &Route| -> Vec<_> { route.segments.iter().map(open).collect() };
        routes.sort_by_key(names);
        Self {
            base: base(spec),
            routes,
        }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// The operation; otherwise the methods that the path has.
    pub(super) fn find<'p>(&self, method: &str, path: &'p str) -> Result<Found<'p>, Vec<Method>> {
        let without = path.strip_prefix(self.base.as_str());
        let mut methods = Vec::new();
        for path in [Some(path), without].into_iter().flatten() {
            let parts: Vec<&str> = path.split('/').collect();
            for route in &self.routes {
                let Some(values) = route.values(&parts) else {
                    continue;
                };
                if route.method.as_str() == method {
                    return Ok(Found {
                        index: route.index,
                        values,
                    });
                }
                if !methods.contains(&route.method) {
                    methods.push(route.method);
                }
            }
        }
        Err(methods)
    }
}

impl Route {
    fn values<'p>(&self, parts: &[&'p str]) -> Option<Vec<(String, &'p str)>> {
        if parts.len() != self.segments.len() {
            return None;
        }
        let mut values = Vec::new();
        for (segment, part) in self.segments.iter().zip(parts) {
            segment.read(part, &mut values)?;
        }
        Some(values)
    }
}

impl Segment {
    fn read<'p>(&self, part: &'p str, values: &mut Vec<(String, &'p str)>) -> Option<()> {
        let (first, texts) = self.texts.split_first()?;
        if self.names.is_empty() {
            return (decoded(part) == *first).then_some(());
        }
        let mut rest = part.strip_prefix(first.as_str())?;
        for (index, (name, text)) in self.names.iter().zip(texts).enumerate() {
            let end = if index + 1 == self.names.len() {
                rest.len()
                    .checked_sub(text.len())
                    .filter(|end| rest.ends_with(text.as_str()) && *end > 0)?
            } else {
                // A value has at least one character, and ends where the next text begins.
                let from = rest.char_indices().nth(1).map_or(rest.len(), |(at, _)| at);
                from + rest[from..].find(text.as_str())?
            };
            values.push((name.clone(), rest.get(..end)?));
            rest = rest.get(end + text.len()..)?;
        }
        Some(())
    }
}

fn segments(path: &str) -> Vec<Segment> {
    path.split('/')
        .map(|part| {
            let (mut texts, mut names) = (Vec::new(), Vec::new());
            let mut rest = part;
            while let Some((text, name, tail)) = rest.split_once('{').and_then(|(text, after)| {
                let (name, tail) = after.split_once('}')?;
                Some((text, name, tail))
            }) {
                texts.push(text.to_owned());
                names.push(name.to_owned());
                rest = tail;
            }
            texts.push(rest.to_owned());
            Segment { texts, names }
        })
        .collect()
}

/// The path of the first server.
fn base(spec: &ApiSpec) -> String {
    let server = spec.servers.first().map_or("", String::as_str);
    let path = match server.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => server,
    };
    path.split(['?', '#'])
        .next()
        .unwrap_or_default()
        .trim_end_matches('/')
        .to_owned()
}

pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}
