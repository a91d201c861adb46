//! Pages of a list: what leads to the next one, and all of them as one.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;
use url::Url;
use url::form_urlencoded::parse as pairs;

use crate::link::next_link;
use crate::request::ArgumentError;
use crate::result::Answer;
use crate::serialization::percent;

/// The most pages that one call reads.
pub const MAX_PAGES: usize = 20;

/// Members beside a cursor that say whether a page comes after this one.
const HAS_MORE: [&str; 6] = [
    "has_more",
    "hasMore",
    "has_next",
    "hasNext",
    "has_next_page",
    "hasNextPage",
];

/// Names of members from the top.
pub type Place = &'static [&'static str];

/// What leads from one page to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Link,
    Url(Place),
    Cursor(Place, &'static str),
    Page(&'static str, u64),
    Offset(&'static str, u64),
}

/// How a call reads several pages of a list.
#[derive(Debug, Clone, Copy)]
pub struct Paging {
    wanted: usize,
    items: Place,
    by: By,
    /// The argument that is a member of the body; the empty one where there is none. Without this
    /// the query says which page is asked for.
    body: Option<&'static str>,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            wanted: 1,
            items: &[],
            by: By::Link,
            body: None,
        }
    }
}

/// What asks for a page, beside what asks for all of them alike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageRequest {
    /// Without credentials.
    pub(crate) url: Url,
    /// The member of a JSON body that says which page it is, where one does.
    pub(crate) member: Option<Value>,
}

impl Paging {
    /// How many pages the argument of that name asks for; one where it is not given.
    pub fn wanted<V: Serialize>(
        &mut self,
        argument: &str,
        value: Option<&V>,
    ) -> Result<(), ArgumentError> {
        let value = serde_json::to_value(value).unwrap_or_default();
        if !value.is_null() {
            // `2.0` is an integer too (JSON Schema 2020-12, 4.2.3).
            let number = value.as_f64().filter(|number| number.fract() == 0.0);
            let number = number.map(|number| number as usize);
            let number = number.filter(|number| (1..=MAX_PAGES).contains(number));
            let expected = || format!("must be 1 to {MAX_PAGES}");
            self.wanted = number.ok_or_else(|| ArgumentError::new(argument, expected()))?;
        }
        Ok(())
    }

    /// Where the list is in a page; without this the page is the list.
    pub fn items(&mut self, at: Place) {
        self.items = at;
    }

    /// A URL in the page leads to the next one; there is none on the last.
    pub fn by_url(&mut self, at: Place) {
        self.by = By::Url(at);
    }

    /// A value in the page does, which a parameter takes; there is none on the last page.
    pub fn by_cursor(&mut self, parameter: &'static str, at: Place) {
        self.by = By::Cursor(at, parameter);
    }

    /// A parameter with the number of the page does. The page after the last has no items.
    pub fn by_number(&mut self, parameter: &'static str, first: u64) {
        self.by = By::Page(parameter, first);
    }

    /// A parameter with the number of the first item of a page does. The page after the last has
    /// none.
    pub fn by_offset(&mut self, parameter: &'static str, first: u64) {
        self.by = By::Offset(parameter, first);
    }

    /// The parameter is a member of a JSON body and not in the query. `argument` is that of the tool
    /// for it; the empty text where there is none.
    pub fn in_body(&mut self, argument: &'static str) {
        self.body = Some(argument);
    }

    /// The member of a JSON body that says which page is asked for, where one does.
    pub(crate) fn member(&self) -> Option<&'static str> {
        self.body?;
        match self.by {
            By::Cursor(_, parameter) | By::Page(parameter, _) | By::Offset(parameter, _) => {
                Some(parameter)
            }
            By::Link | By::Url(_) => None,
        }
    }

    /// How many pages are asked for.
    pub(crate) fn count(&self) -> usize {
        self.wanted
    }
}

/// Pages read so far.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    paging: Paging,
    /// The query parameters that hold credentials, which the API may repeat in its links.
    secrets: Vec<&'a str>,
    /// What asked for the pages.
    seen: Vec<PageRequest>,
    items: Vec<Value>,
    last: Value,
    /// How many bytes the pages take.
    pub(crate) size: usize,
    /// What may ask for the next page, or why it is not read; nothing where there is none.
    next: Option<Result<PageRequest, &'static str>>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(paging: Paging, secrets: Vec<&'a str>) -> Self {
        Self {
            paging,
            secrets,
            seen: Vec::new(),
            items: Vec::new(),
            last: Value::Null,
            size: 0,
            next: None,
        }
    }

    /// What may ask for the next page, if more are wanted.
    pub(crate) fn wants(&self) -> Option<PageRequest> {
        let more = self.seen.len() < self.paging.wanted;
        let next = self.next.as_ref().filter(|_| more)?;
        next.clone().ok()
    }

    /// Adds a page. Whether it is one.
    pub(crate) fn add(&mut self, asked: PageRequest, answer: &Answer) -> bool {
        let success = (200..300).contains(&answer.status);
        let Some(mut page) = answer.json().filter(|_| success) else {
            return false;
        };
        let Some(Value::Array(items)) = at_mut(&mut page, self.paging.items) else {
            return false;
        };
        let items = std::mem::take(items);
        let next = self.after(&asked, answer, &page, items.len());
        self.items.extend(items);
        self.last = page;
        self.size += answer.body.len();
        self.seen.push(asked);
        self.next = match next {
            Some(Ok(page)) if self.seen.contains(&page) => Some(Err("it was read already")),
            next => next,
        };
        true
    }

    /// The pages as one: the last of them with the items of all.
    pub(crate) fn merged(&mut self) -> String {
        if let Some(place) = at_mut(&mut self.last, self.paging.items) {
            *place = std::mem::take(&mut self.items).into();
        }
        self.last.to_string()
    }

    /// How many pages these are, why there are no more of them, and how to go on: one line for the
    /// model. `arguments` are those of the tool by the name of their query parameter.
    pub(crate) fn note(&self, why: &str, arguments: &[(String, String)]) -> String {
        let count = self.seen.len();
        let read = format!("{count} page{} read", if count == 1 { "" } else { "s" });
        let page = match &self.next {
            None => return format!("[{read}; there are no more]"),
            Some(Err(why)) => return format!("[{read}; the next one is not read: {why}]"),
            Some(Ok(page)) => page,
        };
        let more = match self.paging.by {
            By::Page(..) | By::Offset(..) => "there may be more",
            _ => "there are more",
        };
        let how = match self.changed(page, arguments) {
            Some(changed) => format!("call again with {changed}"),
            None => format!("up to {MAX_PAGES} can be read at once"),
        };
        format!("[{read}; {why}{more}: {how}]")
    }

    /// The arguments that lead to a page: those in which it is asked for otherwise than the first one.
    fn changed(&self, page: &PageRequest, arguments: &[(String, String)]) -> Option<String> {
        if let Some(argument) = self.paging.body {
            let value = page.member.as_ref().and_then(text_of)?;
            let shown: String = value.chars().take(512).collect();
            return (!argument.is_empty()).then(|| format!("{argument}={shown}"));
        }
        let url = &page.url;
        let first = self.seen.first().map(|first| &first.url);
        let first = first.filter(|first| first.path() == url.path())?;
        let old: Vec<_> = first.query_pairs().collect();
        let mut changed = Vec::new();
        for (name, value) in url.query_pairs().filter(|pair| !old.contains(pair)) {
            let (_, argument) = arguments.iter().find(|(known, _)| *known == name)?;
            let shown: String = value.chars().take(512).collect();
            changed.push(format!("{argument}={shown}"));
        }
        (!changed.is_empty()).then(|| changed.join(" and "))
    }

    fn after(
        &self,
        asked: &PageRequest,
        answer: &Answer,
        page: &Value,
        count: usize,
    ) -> Option<Result<PageRequest, &'static str>> {
        let url = &asked.url;
        match self.paging.by {
            By::Link => Some(self.linked(url, next_link(answer.link.as_deref()?)?)),
            By::Url(place) => Some(self.linked(url, &text(page, place)?)),
            By::Cursor(place, parameter) => {
                let cursor = value_at(page, place).filter(|_| !is_last(page, place))?;
                let text = text_of(cursor)?;
                Some(Ok(self.with(asked, parameter, &text, cursor.clone())))
            }
            By::Page(parameter, first) | By::Offset(parameter, first) => {
                let more = match self.paging.by {
                    By::Page(..) => count.min(1),
                    _ => count,
                };
                let now = match &asked.member {
                    Some(member) => text_of(member).and_then(|text| text.parse().ok()),
                    None => number(url, parameter),
                };
                let next = now.unwrap_or(first).saturating_add(more as u64);
                let text = next.to_string();
                (more > 0).then(|| Ok(self.with(asked, parameter, &text, next.into())))
            }
        }
    }

    /// In the body a value stays what it is in the page.
    fn with(&self, asked: &PageRequest, parameter: &str, text: &str, value: Value) -> PageRequest {
        let url = &asked.url;
        match self.paging.member() {
            Some(_) => PageRequest {
                url: url.clone(),
                member: Some(value),
            },
            None => PageRequest {
                url: with_query(url, parameter, text),
                member: None,
            },
        }
    }

    /// The page that a link leads to. Another origin gets neither the request nor its credentials.
    fn linked(&self, url: &Url, target: &str) -> Result<PageRequest, &'static str> {
        let target = url.join(target).map_err(|_| "its address is no URL");
        let mut target = target?;
        if target.origin() != url.origin() {
            return Err("it is at another origin");
        }
        target.set_fragment(None);
        // What a URL with a host has, it can lose.
        let _ = target.set_username("");
        let _ = target.set_password(None);
        let query = target.query().map(|query| without(query, &self.secrets));
        let query = query.map(|pairs| pairs.join("&"));
        target.set_query(query.as_deref().filter(|query| !query.is_empty()));
        Ok(PageRequest {
            url: target,
            member: None,
        })
    }
}

/// A URL with another value of one parameter; the others stay as they are.
fn with_query(url: &Url, parameter: &str, value: &str) -> Url {
    let own = format!("{}={}", percent(parameter), percent(value));
    let mut query = without(url.query().unwrap_or_default(), &[parameter]);
    query.push(&own);
    let query = query.join("&");
    let mut url = url.clone();
    url.set_query(Some(&query));
    url
}

/// The pairs of a query but for those of these names.
fn without<'q>(query: &'q str, names: &[&str]) -> Vec<&'q str> {
    let others = query.split('&').filter(|pair| {
        !pair.is_empty() && pairs(pair.as_bytes()).all(|(name, _)| !names.contains(&name.as_ref()))
    });
    others.collect()
}

fn number(url: &Url, parameter: &str) -> Option<u64> {
    let mut query = url.query_pairs();
    query.find(|(name, _)| name == parameter)?.1.parse().ok()
}

fn at_mut(value: &mut Value, place: Place) -> Option<&mut Value> {
    place
        .iter()
        .try_fold(value, |value, name| value.get_mut(name))
}

/// Whether a page says, beside its cursor, that there is none after it.
fn is_last(page: &Value, cursor: Place) -> bool {
    let around = cursor
        .split_last()
        .and_then(|(_, around)| value_at(page, around));
    around.is_some_and(|around| {
        let mut said = HAS_MORE.iter().filter_map(|name| around.get(name));
        said.any(|more| *more == Value::Bool(false))
    })
}

fn value_at(value: &Value, place: Place) -> Option<&Value> {
    place.iter().try_fold(value, |value, name| value.get(name))
}

fn text(page: &Value, place: Place) -> Option<Cow<'_, str>> {
    text_of(value_at(page, place)?)
}

/// The text of a string or number that says something.
fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    let text = match value {
        Value::String(text) => Cow::Borrowed(text.as_str()),
        Value::Number(number) => Cow::Owned(number.to_string()),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty() && text != "0")
}
