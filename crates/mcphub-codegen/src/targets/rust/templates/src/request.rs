//! Arguments become a request, as the API's document says.

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use crate::fields::Fields;
use crate::multipart::{self, Multipart};
use crate::pages::Paging;
use crate::serialization::{self, Escape, Pair, ValueError, header_text, join, percent};
use crate::style::{How, Style};
use crate::xml::{self, Shape};

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

    fn missing(argument: &str) -> Self {
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

/// How a body is written.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// `application/json` and the like.
    Json,
    /// Plain text.
    Text,
    /// Bytes, which come in base64.
    Binary,
    /// A JSON value on each line; with record separators where the media type says so (RFC 7464).
    JsonLines,
    /// A form whose fields are the members of the value.
    Form,
    /// Parts that are the members of the value, or its items, which a form does not have.
    Multipart,
    /// XML, of the shape that this file of schemas has.
    Xml(&'static str),
}

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
    template: &'static str,
    path: String,
    path_arguments: Vec<(String, String)>,
    query: Vec<Pair>,
    query_string: String,
    cookies: Vec<Pair>,
    secrets: Vec<Pair>,
    whole: Option<Sent>,
    members: Option<Members>,
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
            template: path,
            path: path.to_owned(),
            path_arguments: Vec::new(),
            query: Vec::new(),
            query_string: String::new(),
            cookies: Vec::new(),
            secrets: Vec::new(),
            whole: None,
            members: None,
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
        let value = json(argument, value)?;
        let bytes = match format {
            Format::Json => Ok(value.to_string().into_bytes()),
            Format::Text => serialization::scalar(&value).map(String::into_bytes),
            Format::Binary => multipart::bytes(&value),
            Format::JsonLines => Ok(lines(&value, media_type)),
            Format::Form => serialization::form(&value).map(String::into_bytes),
            Format::Xml(schemas) => xml::document(&Shape::of(schemas), &value),
            Format::Multipart => {
                let mut parts = Multipart::default();
                let rest = at(argument, split(&mut parts, value, media_type))?;
                for item in rest {
                    at(argument, parts.next(&item, &Part::default()))?;
                }
                self.whole = Some(parts.finish(media_type));
                return Ok(());
            }
        };
        self.whole = Some((media_type.to_owned(), at(argument, bytes)?));
        Ok(())
    }

    /// The body as an object in JSON or XML, to be filled.
    pub fn object(&mut self, format: Format, media_type: &'static str) -> &mut Members {
        self.members.insert(Members {
            format,
            media_type,
            members: Map::new(),
            optional: false,
        })
    }

    /// The body as a form, to be filled.
    pub fn form(&mut self, media_type: &'static str) -> &mut Form {
        self.form.insert(Form {
            media_type,
            fields: Vec::new(),
            touched: false,
            optional: false,
        })
    }

    /// The body as parts, to be filled.
    pub fn multipart(&mut self, media_type: &'static str) -> &mut Parts {
        self.parts.insert(Parts {
            media_type,
            parts: Multipart::default(),
            items: VecDeque::new(),
            first: 0,
            touched: false,
            optional: false,
        })
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

/// A media type and the bytes.
type Sent = (String, Vec<u8>);

/// The members of a body.
#[derive(Debug)]
pub struct Members {
    format: Format,
    media_type: &'static str,
    members: Map<String, Value>,
    optional: bool,
}

impl Members {
    /// No body at all when no member is given.
    pub fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    /// A member.
    pub fn member<V: Serialize>(&mut self, name: &str, value: Option<&V>) -> Result<()> {
        if let Some(value) = value {
            self.members.insert(name.to_owned(), json(name, value)?);
        }
        Ok(())
    }

    fn finish(self) -> Result<Option<Sent>> {
        if self.optional && self.members.is_empty() {
            return Ok(None);
        }
        let value = Value::Object(self.members);
        let bytes = match self.format {
            Format::Xml(schemas) => at("body", xml::document(&Shape::of(schemas), &value))?,
            _ => value.to_string().into_bytes(),
        };
        Ok(Some((self.media_type.to_owned(), bytes)))
    }
}

/// The fields of a form.
#[derive(Debug)]
pub struct Form {
    media_type: &'static str,
    fields: Vec<Pair>,
    touched: bool,
    optional: bool,
}

impl Form {
    /// No body at all when no field is given.
    pub fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    /// A field.
    pub fn field<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let argument = how.named(name);
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            let fields = serialization::field(name, &value, &how);
            self.fields.extend(at(argument, fields)?);
        }
        Ok(())
    }

    fn finish(self) -> Option<Sent> {
        if self.optional && !self.touched {
            return None;
        }
        let body = join(&self.fields, "&").into_bytes();
        Some((self.media_type.to_owned(), body))
    }
}

/// The parts of a multipart body.
#[derive(Debug)]
pub struct Parts {
    media_type: &'static str,
    parts: Multipart,
    /// The items of a list that are no parts yet.
    items: VecDeque<Value>,
    /// Where the parts begin that were added last.
    first: usize,
    touched: bool,
    optional: bool,
}

/// How a part is written where its value does not say it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part {
    pub(crate) file: bool,
    pub(crate) media_type: Option<&'static str>,
    argument: Option<&'static str>,
}

impl Part {
    /// Text, an object as JSON, a list as one part for each item.
    pub const fn new() -> Self {
        Self {
            file: false,
            media_type: None,
            argument: None,
        }
    }

    /// A file: its bytes in base64, or an object with these as `data`.
    pub const fn file(mut self) -> Self {
        self.file = true;
        self
    }

    /// The media type that the part states.
    pub const fn media_type(mut self, media_type: &'static str) -> Self {
        self.media_type = Some(media_type);
        self
    }

    /// The tool's name for the argument, where it is not that of the part.
    pub const fn argument(mut self, argument: &'static str) -> Self {
        self.argument = Some(argument);
        self
    }
}

impl Parts {
    /// No body at all when no part is given.
    pub fn optional(&mut self) -> &mut Self {
        self.optional = true;
        self
    }

    /// A part, or one for each item of a list.
    pub fn part<V: Serialize>(&mut self, name: &str, value: Option<&V>, part: Part) -> Result<()> {
        let argument = part.argument.unwrap_or(name);
        self.first = self.parts.count();
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            at(argument, self.parts.value(name, &value, &part))?;
        }
        Ok(())
    }

    /// Parts that are written as the fields of a form are.
    pub fn styled<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        let argument = how.named(name);
        self.first = self.parts.count();
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            at(argument, self.parts.styled(name, &value, &how))?;
        }
        Ok(())
    }

    /// A list of parts, of which nothing is said but their order; [`Parts::next`] and
    /// [`Parts::rest`] say how they are written. The members of an object are parts with names.
    pub fn list<V: Serialize>(&mut self, value: Option<&V>, argument: &str) -> Result<()> {
        if let Some(value) = value {
            self.touched = true;
            let value = json(argument, value)?;
            let items = split(&mut self.parts, value, self.media_type);
            self.items = at(argument, items)?.into();
        }
        Ok(())
    }

    /// The next item of the list.
    pub fn next(&mut self, part: Part) -> Result<()> {
        self.first = self.parts.count();
        match self.items.pop_front() {
            Some(item) => at(
                part.argument.unwrap_or("body"),
                self.parts.next(&item, &part),
            ),
            None => Ok(()),
        }
    }

    /// The items of the list that are left.
    pub fn rest(&mut self, part: Part) -> Result<()> {
        self.first = self.parts.count();
        let argument = part.argument.unwrap_or("body");
        for item in std::mem::take(&mut self.items) {
            at(argument, self.parts.next(&item, &part))?;
        }
        Ok(())
    }

    /// A header of the parts that were added last (OpenAPI 3.0.4, Encoding Object, `headers`).
    pub fn header<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<()> {
        self.describe(name, value, how).map(|_| ())
    }

    /// A header that such a part has to have.
    pub fn required_header<V: Serialize>(
        &mut self,
        name: &str,
        value: Option<&V>,
        how: How,
    ) -> Result<()> {
        let missing = || ArgumentError::missing(how.named(name));
        self.describe(name, value, how)?
            .then_some(())
            .ok_or_else(missing)
    }

    /// Whether there is a value, or no part that needs one.
    fn describe<V: Serialize>(&mut self, name: &str, value: Option<&V>, how: How) -> Result<bool> {
        let argument = how.named(name);
        if self.parts.count() == self.first {
            return Ok(true);
        }
        let Some(value) = value else { return Ok(false) };
        let value = json(argument, value)?;
        let Some(text) = at(argument, single(name, &value, &how, Escape::None))? else {
            return Ok(false);
        };
        at(argument, header_text(&text))?;
        self.parts.describe(self.first, name, &text);
        Ok(true)
    }

    fn finish(self) -> Option<Sent> {
        if self.optional && !self.touched {
            return None;
        }
        Some(self.parts.finish(self.media_type))
    }
}

/// Takes a value apart: the members of an object become parts, the items of a list are given back.
/// A form has fields, and no order alone.
fn split(
    parts: &mut Multipart,
    value: Value,
    media_type: &str,
) -> serialization::Result<Vec<Value>> {
    match value {
        Value::Array(items) if media_type != "multipart/form-data" => Ok(items),
        other => {
            for (name, member) in serialization::members(&other)? {
                parts.value(name, member, &Part::default())?;
            }
            Ok(Vec::new())
        }
    }
}

/// A value that every call sends, by its JSON text.
pub fn preset(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

fn json<V: Serialize>(argument: &str, value: &V) -> Result<Value> {
    serde_json::to_value(value).map_err(|_| ArgumentError::new(argument, "must be a JSON value"))
}

/// A problem of an argument's value is a problem of the argument.
fn at<T>(argument: &str, result: serialization::Result<T>) -> Result<T> {
    result.map_err(|ValueError(expected)| ArgumentError::new(argument, expected))
}

fn single(
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

fn lines(value: &Value, media_type: &str) -> Vec<u8> {
    let separator = if media_type.ends_with("json-seq") {
        "\u{1e}"
    } else {
        ""
    };
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => std::slice::from_ref(one),
    };
    let lines = items.iter().map(|item| format!("{separator}{item}\n"));
    lines.collect::<String>().into_bytes()
}
