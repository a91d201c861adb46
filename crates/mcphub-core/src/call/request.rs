//! Arguments and a binding become an HTTP request.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;
use url::Url;

use super::style::{self, Escape, Pair};
use super::{Arguments, body};
use crate::spec::{Location, Method, Style};
use crate::tool::{HttpBinding, ParameterBinding};
use crate::{Error, Result};

/// An HTTP request that is ready to be sent.
#[derive(Clone)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// Absolute, escaped, without a fragment.
    pub url: Url,
    /// In order; names are unique but for those the document repeats. Values have no control
    /// characters.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Body>,
    /// Which parts of the request are secrets, for those who print it.
    pub(super) secrets: Vec<SecretPart>,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The value of the `Content-Type` header.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SecretPart {
    Header(String),
    Query(String),
    Cookie(String),
}

impl HttpBinding {
    /// The request for these arguments, without credentials.
    ///
    /// `base` is an absolute http(s) URL; its path is kept before the binding's own. Arguments
    /// that the binding does not know are left alone: checking them is the caller's part.
    ///
    /// # Errors
    /// `InvalidInput` that names the argument: a required one is absent, a path value would change
    /// the path's shape, a header value has a control character.
    pub fn request(&self, base: &Url, arguments: &Arguments<'_>) -> Result<HttpRequest> {
        let arguments = &*arguments.with_presets(&self.presets)?;
        let mut path = Vec::new();
        let mut query = Vec::new();
        let mut query_string = None;
        let mut cookies = Vec::new();
        let mut headers = vec![("accept".to_owned(), self.accept.clone())];
        for parameter in &self.parameters {
            let value = arguments.get(&parameter.argument);
            if parameter.required && value.is_none() {
                return Err(missing(&parameter.argument));
            }
            let at = |error: Error| error.with("argument", &parameter.argument);
            match (parameter.location, value) {
                (Location::Path, value) => {
                    let text = match value {
                        Some(raw) => text_value(parameter, raw, Escape::Percent).map_err(at)?,
                        None => None,
                    };
                    let text = text.ok_or_else(|| missing(&parameter.argument))?;
                    path.push((parameter.name.as_str(), text));
                }
                (_, None) => {}
                (Location::Query, Some(raw)) => {
                    query.extend(pair_values(parameter, raw).map_err(at)?)
                }
                (Location::QueryString, Some(raw)) => {
                    query_string = Some(whole_query(parameter, raw).map_err(at)?)
                }
                (Location::Cookie, Some(raw)) => {
                    let pairs = pair_values(parameter, raw).map_err(at)?;
                    if parameter.serialization.style == Style::Cookie {
                        pairs.iter().try_for_each(cookie_pair).map_err(at)?;
                    }
                    cookies.extend(pairs);
                }
                (Location::Header, Some(raw)) => {
                    if let Some(text) = text_value(parameter, raw, Escape::None).map_err(at)? {
                        header_text(&text).map_err(at)?;
                        headers.push((parameter.name.to_ascii_lowercase(), text.into_owned()));
                    }
                }
            }
        }
        if !cookies.is_empty() {
            headers.push(("cookie".to_owned(), join(&cookies, "; ")));
        }
        let mut query = join(&query, "&");
        if let Some(whole) = query_string.filter(|whole| !whole.is_empty()) {
            let separator = if query.is_empty() { "" } else { "&" };
            query.extend([separator, &whole]);
        }
        let filled = self.filled(&path);
        // A segment is what it was meant to be where a value in it is more than dots.
        let telling = |value: &str| value.bytes().any(|b| b != b'.') && !value.contains('/');
        if !path.iter().all(|(_, value)| telling(value)) {
            self.keeps_shape(&filled)?;
        }
        let url = self.url(base, &filled, query)?;
        let body = self
            .body
            .as_ref()
            .map(|body| body.body(arguments))
            .transpose()?
            .flatten();
        if let Some(body) = &body {
            headers.push(("content-type".to_owned(), body.media_type.clone()));
        }
        Ok(HttpRequest {
            method: self.method,
            url,
            headers,
            body,
            secrets: Vec::new(),
        })
    }

    /// The path with these values, escaped already, in the places of their names.
    fn filled(&self, values: &[(&str, Cow<'_, str>)]) -> String {
        let room: usize = values.iter().map(|(_, value)| value.len()).sum();
        let mut path = String::with_capacity(self.path.len() + room);
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            path.push_str(before);
            let value = after.split_once('}').and_then(|(name, after)| {
                let (_, value) = values.iter().find(|(known, _)| *known == name)?;
                Some((value, after))
            });
            rest = if let Some((value, after)) = value {
                path.push_str(value);
                after
            } else {
                path.push('{');
                after
            };
        }
        path.push_str(rest);
        path
    }

    fn url(&self, base: &Url, path: &str, mut query: String) -> Result<Url> {
        if base.cannot_be_a_base() {
            return Err(
                Error::invalid("the server's URL is not one that a path can follow")
                    .with("base", base),
            );
        }
        // A fragment, which some documents write to tell operations apart, is not sent.
        let path = path.split('#').next().unwrap_or_default();
        // Some documents write a fixed query into the path.
        let (path, fixed) = path.split_once('?').unwrap_or((path, ""));
        if !fixed.is_empty() {
            let separator = if query.is_empty() { "" } else { "&" };
            query.insert_str(0, &[fixed, separator].concat());
        }
        // Cheaper than reading the whole as a URL again, host and all.
        let mut url = base.clone();
        url.set_fragment(None);
        url.set_path(&[base.path().trim_end_matches('/'), path].concat());
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        Ok(url)
    }

    /// A path value never adds, removes or empties a segment: RFC 3986, 5.2.4 removes `.` and `..`,
    /// and an empty segment is taken for the collection above.
    fn keeps_shape(&self, path: &str) -> Result<()> {
        for (template, segment) in self.path.split('/').zip(path.split('/')) {
            if template == segment {
                continue;
            }
            if matches!(segment, "" | "." | "..") {
                let names = self
                    .parameters
                    .iter()
                    .filter(|p| p.location == Location::Path);
                let name = names
                    .into_iter()
                    .find(|p| template.contains(&format!("{{{}}}", p.name)));
                let shown = if segment.is_empty() {
                    "an empty value"
                } else {
                    segment
                };
                return Err(Error::invalid(format!(
                    "{shown} is not possible here: it would change the path"
                ))
                .with("argument", name.map_or(template, |p| p.argument.as_str()))
                .with("path", &self.path));
            }
        }
        Ok(())
    }
}

pub(super) fn missing(argument: &str) -> Error {
    Error::invalid("a required argument is missing").with("argument", argument)
}

pub(super) fn join(pairs: &[Pair<'_>], separator: &str) -> String {
    let size = |(name, value): &Pair<'_>| name.len() + value.len() + 1 + separator.len();
    let mut text = String::with_capacity(pairs.iter().map(size).sum());
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

fn text_value<'a>(
    parameter: &ParameterBinding,
    raw: &'a RawValue,
    escape: Escape,
) -> Result<Option<Cow<'a, str>>> {
    match &parameter.serialization.content {
        Some(media_type) => content_text(media_type, raw).map(|text| Some(escape.text(text))),
        None => style::single(&parameter.name, raw, &parameter.serialization, escape),
    }
}

fn pair_values<'a>(parameter: &'a ParameterBinding, raw: &'a RawValue) -> Result<Vec<Pair<'a>>> {
    let how = &parameter.serialization;
    let escape = Escape::of(how);
    match &how.content {
        Some(media_type) => Ok(vec![(
            escape.key(&parameter.name),
            escape.text(content_text(media_type, raw)?),
        )]),
        None => style::pairs(&parameter.name, raw, how, escape),
    }
}

/// The query string as one value (OpenAPI 3.2.0, Parameter Locations, `querystring`).
fn whole_query(parameter: &ParameterBinding, raw: &RawValue) -> Result<String> {
    match parameter.serialization.content.as_deref() {
        Some(form) if form.eq_ignore_ascii_case("application/x-www-form-urlencoded") => {
            if raw.get() == "null" {
                return Ok(String::new());
            }
            body::form(raw)
        }
        Some(media_type) => Ok(Escape::Percent
            .text(content_text(media_type, raw)?)
            .into_owned()),
        None => Ok(join(&pair_values(parameter, raw)?, "&")),
    }
}

/// A cookie that is sent as it is must not become two (RFC 6265, 4.1.1).
fn cookie_pair((name, value): &Pair<'_>) -> Result<()> {
    if name.is_empty() || name.contains(['=', ';']) || value.contains(';') {
        return Err(Error::invalid("a cookie cannot hold a semicolon"));
    }
    header_text(name)?;
    header_text(value)
}

/// The value of a parameter with `content`: JSON text, or the bare text for other media types.
pub(super) fn content_text<'a>(media_type: &str, raw: &'a RawValue) -> Result<Cow<'a, str>> {
    if is_json(media_type) {
        Ok(style::compact(raw).into())
    } else {
        style::scalar(raw)
    }
}

/// Whether a media type is JSON: `application/json` or a `+json` suffix (RFC 6839).
pub(super) fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
}

pub(super) fn header_text(text: &str) -> Result<()> {
    // RFC 9110, 5.5: a field value has no control characters; CR and LF would add a header.
    if text.bytes().any(|b| (b < b' ' && b != b'\t') || b == 0x7f) {
        return Err(Error::invalid(
            "a header value cannot hold control characters",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
