//! Arguments become a request, as the API's document says.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::body::{self, Sent};
use crate::fields::Fields;
use crate::pages::Paging;
use crate::rest::Rest;
use crate::serialization::{self, Escape, Pair, ValueError, header_text, join, percent};
use crate::style::{How, Style};

pub use crate::body::{Form, Format, Members, Part, Parts};

/// An argument cannot be sent: its name, and what is expected of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentError {
    argument: String,
    expected: String,
}

impl ArgumentError {
    pub(crate) fn new(argument: &str, expected: impl Into<String>) -> Self {
        Self {
            argument: argument.to_owned(),
            expected: expected.into(),
        }
    }

    pub(crate) fn missing(argument: &str) -> Self {
        Self::new(argument, "a required argument is missing")
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.argument, self.expected)
    }
}

impl std::error::Error for ArgumentError {}

pub(crate) type Result<T> = std::result::Result<T, ArgumentError>;

/// The methods whose requests are as good twice as once (RFC 9110, 9.2.2).
const IDEMPOTENT: [&str; 7] = ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"];

/// One HTTP request in the making.
///
/// Arguments come as `Option`s: what is `None` is left out, which `null` is not, because an API may
/// tell null from nothing.
pub struct HttpRequest {
    pub(crate) method: &'static str,
    /// A base URL of this operation alone.
    pub(crate) server: Option<&'static str>,
    /// Alternatives, each a list of schemes that are needed together.
    pub(crate) security: Vec<&'static [&'static str]>,
    /// Whether the request twice is as good as once.
    pub(crate) repeatable: bool,
    /// Names are in lower case.
    pub(crate) headers: Vec<Pair>,
    /// The scheme whose secret answers what the API asks (HTTP digest).
    pub(crate) login: Option<&'static str>,
    /// Whether the connection shows the client certificate, where there is one.
    pub(crate) certified: bool,
    /// The arguments of the tool by the name of their query parameter.
    pub(crate) arguments: Vec<Pair>,
    /// How many pages of a list are read.
    pub(crate) pages: Option<Paging>,
    /// What stays of a JSON answer.
    pub(crate) fields: Option<Fields>,
    /// How to ask for the rest of a long answer, and where it begins.
    pub(crate) rest: Option<Rest>,
    template: &'static str,
    path: String,
    path_arguments: Vec<(String, String)>,
    query: Vec<Pair>,
    query_string: String,
    cookies: Vec<Pair>,
    secrets: Vec<Pair>,
    whole: Option<Sent>,
    members: Option<Members>,
    /// The media type of a body that is an object, also where there is none.
    json_type: &'static str,
    form: Option<Form>,
    parts: Option<Parts>,
}

/// Without what may be secret.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.template)
            .finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// A request; `path` is a template such as `/books/{isbn}`.
    pub fn new(method: &'static str, path: &'static str) -> Self {
        Self {
            method,
            server: None,
            security: Vec::new(),
            repeatable: IDEMPOTENT.contains(&method),
            headers: Vec::new(),
            login: None,
            certified: false,
            arguments: Vec::new(),
            pages: None,
            fields: None,
            rest: None,
            template: path,
            path: path.to_owned(),
            path_arguments: Vec::new(),
            query: Vec::new(),
            query_string: String::new(),
            cookies: Vec::new(),
            secrets: Vec::new(),
            whole: None,
            members: None,
            json_type: "application/json",
            form: None,
            parts: None,
        }
    }

    /// What the operation answers with.
    pub fn accept(&mut self, media_types: &str) {
        self.headers
            .push(("accept".to_owned(), media_types.to_owned()));
    }

    /// A base URL of this operation alone.
    pub fn server(&mut self, url: &'static str) {
        self.server = Some(url);
    }

    /// Schemes that are needed together: one alternative of those that the operation takes.
    pub fn security(&mut self, schemes: &'static [&'static str]) {
        self.security.push(schemes);
    }

    /// Whether the request twice is as good as once, where the method does not say so.
    pub fn repeatable(&mut self, repeatable: bool) {
        self.repeatable = repeatable;
    }

    /// A part of the path.
    pub fn path<V: Serialize>(&mut self, name: &str, value: &V, how: How) -> Result<()> {
        let argument = how.named(name);
        let value = json(argument, value)?;
        let text = at(argument, single(name, &value, &how, Escape::Percent))?;
        let text = text.ok_or_else(|| ArgumentError::missing(argument))?;
        let placeholder = format!("{{{name}}}");
        self.path = self.path.replace(&placeholder, &text);
        self.path_arguments.push((placeholder, argument.to_owned()));
        Ok(())
    }

    /// A query parameter.
    pub fn query<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let argument = how.named(name).to_owned();
        self.arguments.push((name.to_owned(), argument));
        self.query.extend(pairs(name, value, how)?);
        Ok(())
    }

    /// The whole query (OpenAPI 3.2.0, Parameter Locations, `querystring`).
    pub fn query_string<V: Serialize>(
        &mut self,
        name: &str,
        value: Option<&V>,
        how: How,
    ) -> Result<()> {
        let argument = how.named(name);
        let Some(value) = value else { return Ok(()) };
        let value = json(argument, value)?;
        let media_type = how.content.unwrap_or_default();
        let text = if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            serialization::content(media_type, &value).map(|text| percent(&text))
        } else if value.is_null() {
            Ok(String::new())
        } else {
            serialization::form(&value)
        };
        self.query_string = at(argument, text)?;
        Ok(())
    }

    /// A header.
    pub fn header<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let argument = how.named(name);
        let Some(value) = value else { return Ok(()) };
        let value = json(argument, value)?;
        if let Some(text) = at(argument, single(name, &value, &how, Escape::None))? {
            at(argument, header_text(&text))?;
            self.headers.push((name.to_ascii_lowercase(), text));
        }
        Ok(())
    }

    /// A cookie.
    pub fn cookie<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let pairs = pairs(name, value, how)?;
        if how.style == Some(Style::Cookie) {
            at(how.named(name), pairs.iter().try_for_each(cookie_pair))?;
        }
        self.cookies.extend(pairs);
        Ok(())
    }

    /// The body as one value. `argument` is what problems call it.
    pub fn body<V: Serialize>(
        &mut self,
        value: Option<&V>,
        format: Format,
        media_type: &str,
        argument: &str,
    ) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        self.whole = Some(body::whole(
            json(argument, value)?,
            format,
            media_type,
            argument,
        )?);
        Ok(())
    }

    /// The body as an object in JSON or XML, to be filled.
    pub fn object(&mut self, format: Format, media_type: &'static str) -> &mut Members {
        self.json_type = media_type;
        self.members.insert(Members::new(format, media_type))
    }

    /// The body as a form, to be filled.
    pub fn form(&mut self, media_type: &'static str) -> &mut Form {
        self.form.insert(Form::new(media_type))
    }

    /// The body as parts, to be filled.
    pub fn multipart(&mut self, media_type: &'static str) -> &mut Parts {
        self.parts.insert(Parts::new(media_type))
    }

    /// How several pages of a list are read, to be filled.
    pub fn pages(&mut self) -> &mut Paging {
        self.pages.get_or_insert_default()
    }

    /// Leaves of a JSON answer the fields that the argument of that name asks for.
    pub fn fields<V: Serialize>(&mut self, argument: &str, fields: Option<&V>) -> Result<()> {
        let fields = json(argument, &fields)?;
        if !fields.is_null() {
            let texts = serde_json::from_value::<Vec<String>>(fields);
            let texts = texts.map_err(|_| ArgumentError::new(argument, "must be a list of texts"));
            self.fields = Some(Fields::parse(argument, &texts?)?);
        }
        Ok(())
    }

    /// Lets a long answer come in pieces: the argument of that name has the place where one begins.
    pub fn rest<V: Serialize>(&mut self, argument: &str, place: Option<&V>) -> Result<()> {
        let rest = Rest::asked(argument, place)?;
        if self.fields.is_none() {
            self.rest = Some(rest);
        } else if rest.offset > 0 {
            let told = "an answer of which fields are chosen has no rest";
            return Err(ArgumentError::new(argument, told));
        }
        Ok(())
    }

    /// Leaves only these fields of a JSON answer.
    pub fn only(&mut self, fields: &[&str]) -> Result<()> {
        self.fields = Some(Fields::parse("fields", fields)?);
        Ok(())
    }

    /// Puts the parts together, and gives the body.
    ///
    /// Fails when a value would add, remove or empty a part of the path: RFC 3986, 5.2.4 removes
    /// `.` and `..`, and an empty part is taken for the collection above.
    pub(crate) fn finish(&mut self) -> Result<Option<Vec<u8>>> {
        for (template, segment) in self.template.split('/').zip(self.path.split('/')) {
            if template == segment || !matches!(segment, "" | "." | "..") {
                continue;
            }
            let mut named = self.path_arguments.iter();
            let named = named.find(|(placeholder, _)| template.contains(placeholder.as_str()));
            let shown = match segment {
                "" => "an empty value",
                other => other,
            };
            return Err(ArgumentError::new(
                named.map_or(template, |(_, argument)| argument),
                format!("{shown} is not possible here: it would change the path"),
            ));
        }
        if !self.cookies.is_empty() {
            let cookies = join(&self.cookies, "; ");
            self.headers.push(("cookie".to_owned(), cookies));
        }
        let members = self.members.take().map(Members::finish).transpose()?;
        let body = self.whole.take().or(members.flatten());
        let body = body.or_else(|| self.form.take()?.finish());
        let body = body.or_else(|| self.parts.take()?.finish());
        Ok(body.map(|(media_type, bytes)| {
            self.headers.push(("content-type".to_owned(), media_type));
            bytes
        }))
    }

    /// The base's path before the request's own, with all of the query.
    pub(crate) fn url(&self, base: &Url) -> Url {
        // Some documents write a fragment to tell operations apart; it is not sent. And some have
        // a fixed query in the path.
        let path = self.path.split('#').next().unwrap_or_default();
        let (path, fixed) = path.split_once('?').unwrap_or((path, ""));
        let parts = [
            fixed,
            &join(&self.query, "&"),
            &self.query_string,
            &join(&self.secrets, "&"),
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let query = parts.join("&");
        let mut url = base.clone();
        url.set_fragment(None);
        url.set_path(&[base.path().trim_end_matches('/'), path].concat());
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        url
    }

    /// The URL of another page, with what lets the request in.
    pub(crate) fn page(&self, url: &Url) -> Url {
        let secrets = join(&self.secrets, "&");
        let parts = [url.query().unwrap_or_default(), &secrets];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let query = parts.join("&");
        let mut url = url.clone();
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        url
    }

    /// The body of another page: that of the first one with another member.
    pub(crate) fn page_body(&mut self, body: Option<&[u8]>, name: &str, value: Value) -> Vec<u8> {
        if !self.headers.iter().any(|(name, _)| name == "content-type") {
            let media_type = self.json_type.to_owned();
            self.headers.push(("content-type".to_owned(), media_type));
        }
        let members = body.map(serde_json::from_slice::<Map<_, _>>);
        let mut members = members
            .and_then(std::result::Result::ok)
            .unwrap_or_default();
        members.insert(name.to_owned(), value);
        Value::Object(members).to_string().into_bytes()
    }

    /// Sets a header, in place of others with that name.
    pub(crate) fn set_header(&mut self, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
    }

    /// Adds one pair to the query.
    pub(crate) fn add_query(&mut self, name: &str, value: &str) {
        self.secrets.push((percent(name), percent(value)));
    }

    /// Adds one cookie to those of the request.
    pub(crate) fn add_cookie(&mut self, name: &str, value: &str) {
        let pair = format!("{name}={}", percent(value));
        let mut headers = self.headers.iter_mut();
        match headers.find(|(header, _)| header == "cookie") {
            Some((_, cookies)) => *cookies = format!("{cookies}; {pair}"),
            None => self.headers.push(("cookie".to_owned(), pair)),
        }
    }
}

/// A value that every call sends, by its JSON text.
pub fn preset(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

pub(crate) fn json<V: Serialize>(argument: &str, value: &V) -> Result<Value> {
    serde_json::to_value(value).map_err(|_| ArgumentError::new(argument, "must be a JSON value"))
}

/// A problem of an argument's value is a problem of the argument.
pub(crate) fn at<T>(argument: &str, result: serialization::Result<T>) -> Result<T> {
    result.map_err(|ValueError(expected)| ArgumentError::new(argument, expected))
}

pub(crate) fn single(
    name: &str,
    value: &Value,
    how: &How,
    escape: Escape,
) -> serialization::Result<Option<String>> {
    match how.content {
        Some(media_type) => {
            let text = serialization::content(media_type, value)?;
            Ok(Some(escape.text(&text)))
        }
        None => serialization::single(name, value, how, escape),
    }
}

fn pairs<V: Serialize>(name: &str, value: Option<&V>, how: How) -> Result<Vec<Pair>> {
    let argument = how.named(name);
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let value = json(argument, value)?;
    let pairs = serialization::pairs(name, &value, &how, Escape::of(&how));
    at(argument, pairs)
}

/// A cookie that is sent as it is must not become two (RFC 6265, 4.1.1).
fn cookie_pair((name, value): &Pair) -> serialization::Result<()> {
    if name.is_empty() || name.contains(['=', ';']) || value.contains(';') {
        return Err("a cookie cannot hold a semicolon".into());
    }
    header_text(name)?;
    header_text(value)
}
