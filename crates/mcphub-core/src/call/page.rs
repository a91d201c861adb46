//! Pages of a list: what leads to the next one, and all of them as one.

use std::ops::Range;

use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use url::Url;
use url::form_urlencoded::parse as pairs;

use super::link::next_link;
use super::request::Body;
use super::style::{Escape, compact};
use super::{HttpAnswer, HttpRequest};
use crate::spec::{Location, NextPage};
use crate::tool::{BodySource, HttpBinding, MAX_PAGES, PagesBinding};

/// Members beside a cursor that say whether a page comes after this one.
const HAS_MORE: [&str; 6] = [
    "has_more",
    "hasMore",
    "has_next",
    "hasNext",
    "has_next_page",
    "hasNextPage",
];

/// Pages read so far.
#[derive(Debug)]
pub struct Pages<'b> {
    binding: &'b PagesBinding,
    /// The names of query parameters that hold credentials.
    secrets: Vec<&'b str>,
    /// What asked for the pages.
    seen: Vec<PageRequest>,
    /// The items of all pages but the last one, with commas between them.
    items: String,
    /// The body of the last page, and where its items are.
    last: (String, Range<usize>),
    /// How many items the last page has.
    count: usize,
    next: Next,
}

/// What comes after the pages that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There may be a page here.
    At(PageRequest),
    /// There are no more.
    End,
    /// It is not where credentials may go, or was read already.
    Astray(&'static str),
}

/// What asks for a page, beside what asks for all of them alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Without credentials.
    pub url: Url,
    /// The JSON text of the member of the body that says which page it is, where one does.
    pub member: Option<String>,
}

impl PageRequest {
    /// What the request of a call itself asks for, before it has credentials.
    pub fn of(binding: &PagesBinding, request: &HttpRequest) -> Self {
        let member = binding.next.body_member().and_then(|name| {
            let body = std::str::from_utf8(&request.body.as_ref()?.bytes).ok()?;
            let member = at(body, std::slice::from_ref(&name.to_owned()))?;
            Some(member.get().to_owned())
        });
        let url = request.url.clone();
        Self { url, member }
    }

    /// Makes the request of the call one for this page. Nothing where its body is no JSON object.
    pub fn put_into(&self, binding: &HttpBinding, request: &mut HttpRequest) -> Option<()> {
        request.url = self.url.clone();
        let Some(member) = &self.member else {
            return Some(());
        };
        let pages = binding.answer.pages.as_ref()?;
        let name = pages.next.body_member()?;
        let member: &RawValue = serde_json::from_str(member).ok()?;
        let body = request.body.take();
        if body.is_none() {
            let media_type = binding.body.as_ref()?.media_type.clone();
            request
                .headers
                .push(("content-type".to_owned(), media_type));
        }
        let old = body.as_ref().map_or(&b"{}"[..], |body| &body.bytes);
        let old: &RawValue = serde_json::from_slice(old).ok()?;
        let mut members = super::style::members(old).ok()?;
        members.insert(name.to_owned(), member);
        let bytes = serde_json::to_vec(&members).ok()?.into();
        let media_type = binding.body.as_ref()?.media_type.clone();
        request.body = Some(Body { media_type, bytes });
        Some(())
    }
}

/// Why no more pages were read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// As many as were asked for, or there are no more.
    Enough,
    /// The next one would be too much. The bound, such as `10 MiB`.
    TooLarge(String),
    /// The next one could not be read. Why.
    Failed(String),
}

impl<'b> Pages<'b> {
    /// Begins with the first page. `None` where the answer has no list at the place that is bound.
    ///
    /// `asked` is what was asked; `secrets` are the query parameters that hold credentials, which the
    /// API may repeat in its links.
    pub fn begin(
        binding: &'b PagesBinding,
        secrets: Vec<&'b str>,
        asked: PageRequest,
        answer: &HttpAnswer,
    ) -> Option<Self> {
        let mut pages = Self {
            binding,
            secrets,
            seen: Vec::new(),
            items: String::new(),
            last: (String::new(), 0..0),
            count: 0,
            next: Next::End,
        };
        pages.add(asked, answer).then_some(pages)
    }

    /// How many were read.
    pub fn count(&self) -> usize {
        self.seen.len()
    }

    /// What comes next.
    pub fn next(&self) -> &Next {
        &self.next
    }

    /// How many bytes the pages take.
    pub fn len(&self) -> usize {
        self.items.len() + self.last.0.len()
    }

    /// Whether no page has anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a page. Whether it is one; what is none changes nothing.
    pub fn add(&mut self, asked: PageRequest, answer: &HttpAnswer) -> bool {
        let is_success = (200..300).contains(&answer.status);
        let body = std::str::from_utf8(&answer.body).unwrap_or_default();
        let body = body.trim_start_matches('\u{feff}');
        let Some(list) = at(body, &self.binding.items).filter(|_| is_success) else {
            return false;
        };
        let Some(count) = length(list) else {
            return false;
        };
        let next = self.after(&asked, answer, body, count);
        let (last, range) = &self.last;
        let before = last.get(range.clone()).unwrap_or_default();
        join(&mut self.items, before);
        let items = range_in(body, list);
        self.last = (body.to_owned(), items.start + 1..items.end - 1);
        self.seen.push(asked);
        self.count = count;
        self.next = match next {
            Next::At(page) if self.seen.contains(&page) => Next::Astray("it was read already"),
            next => next,
        };
        true
    }

    /// The pages as one: the last of them with the items of all, as they were written.
    pub fn merged(&self) -> String {
        let (last, range) = &self.last;
        let mut items = self.items.clone();
        join(&mut items, last.get(range.clone()).unwrap_or_default());
        let before = last.get(..range.start).unwrap_or_default();
        let after = last.get(range.end..).unwrap_or_default();
        [before, &items, after].concat()
    }

    /// How many pages these are, and how to go on: one line for the model.
    pub fn note(&self, binding: &HttpBinding, stop: &Stop) -> String {
        let count = self.seen.len();
        let read = format!("{count} page{} read", if count == 1 { "" } else { "s" });
        let why = match stop {
            Stop::Enough => String::new(),
            Stop::TooLarge(bound) => format!("more would be over {bound}; "),
            Stop::Failed(why) => {
                let line = why.lines().next().unwrap_or_default();
                format!("the next one failed: {line}; ")
            }
        };
        let page = match &self.next {
            Next::End => return format!("[{read}; there are no more]"),
            Next::Astray(why) => return format!("[{read}; the next one is not read: {why}]"),
            Next::At(page) => page,
        };
        let more = match self.binding.next {
            NextPage::Page { .. } | NextPage::Offset { .. } => "there may be more",
            _ => "there are more",
        };
        let how = match self.arguments(binding, page) {
            Some(arguments) => format!("call again with {arguments}"),
            None => format!("up to {MAX_PAGES} can be read at once"),
        };
        format!("[{read}; {why}{more}: {how}]")
    }

    /// The arguments that lead to a page: those in which it is asked for otherwise than the first one.
    fn arguments(&self, binding: &HttpBinding, page: &PageRequest) -> Option<String> {
        let first = self.seen.first()?;
        if page.member != first.member {
            let name = self.binding.next.body_member()?;
            let Some(BodySource::Members(members)) = binding.body.as_ref().map(|it| &it.source)
            else {
                return None;
            };
            let known = members.iter().find(|member| {
                member.name == name && !binding.presets.contains_key(&member.argument)
            });
            let value: &RawValue = serde_json::from_str(page.member.as_deref()?).ok()?;
            let shown: String = text(value)?.chars().take(512).collect();
            return Some(format!("{}={shown}", known?.argument));
        }
        let (first, url) = (&first.url, &page.url);
        if first.path() != url.path() {
            return None;
        }
        let old: Vec<_> = pairs(first.query().unwrap_or_default().as_bytes()).collect();
        let new = pairs(url.query().unwrap_or_default().as_bytes());
        let mut arguments = Vec::new();
        for pair in new.filter(|pair| !old.contains(pair)) {
            let (name, value) = pair;
            let known = binding.parameters.iter().find(|parameter| {
                parameter.location == Location::Query
                    && parameter.name == name
                    && !binding.presets.contains_key(&parameter.argument)
            });
            let shown: String = value.chars().take(512).collect();
            arguments.push(format!("{}={shown}", known?.argument));
        }
        (!arguments.is_empty()).then(|| arguments.join(" and "))
    }

    fn after(&self, asked: &PageRequest, answer: &HttpAnswer, body: &str, count: usize) -> Next {
        let url = &asked.url;
        // In the body a value stays what it is in the page.
        let with = |parameter: &str, value: &str, json: &str| {
            let in_body = self.binding.next.body_member().is_some();
            Next::At(PageRequest {
                url: match in_body {
                    true => url.clone(),
                    false => with_query(url, parameter, value),
                },
                member: in_body.then(|| json.to_owned()),
            })
        };
        let number = |parameter: &str, first: u64, more: usize| {
            let now = match &asked.member {
                Some(member) => member.trim_matches('"').parse().ok(),
                None => number(url, parameter),
            };
            let next = now.unwrap_or(first).saturating_add(more as u64).to_string();
            with(parameter, &next, &next)
        };
        match &self.binding.next {
            NextPage::Link => {
                let target = answer.link.as_deref().and_then(next_link);
                target.map_or(Next::End, |target| self.linked(asked, target))
            }
            NextPage::Url { at: place } => {
                let target = at(body, place).and_then(text);
                target.map_or(Next::End, |target| self.linked(asked, &target))
            }
            NextPage::Cursor {
                at: place,
                parameter,
                ..
            } => {
                let raw = at(body, place).filter(|_| !is_last(body, place));
                let cursor = raw.and_then(|raw| Some((text(raw)?, raw.get())));
                cursor.map_or(Next::End, |(text, json)| with(parameter, &text, json))
            }
            NextPage::Page { .. } | NextPage::Offset { .. } if count == 0 => Next::End,
            NextPage::Page {
                parameter, first, ..
            } => number(parameter, *first, 1),
            NextPage::Offset {
                parameter, first, ..
            } => number(parameter, *first, count),
        }
    }

    /// The page that a link leads to. Another origin gets neither the request nor its credentials.
    fn linked(&self, asked: &PageRequest, target: &str) -> Next {
        let url = &asked.url;
        match url.join(target) {
            Ok(mut target) if target.origin() == url.origin() => {
                target.set_fragment(None);
                // The user of the base URL, whatever the link says.
                let _ = target.set_username(url.username());
                let _ = target.set_password(url.password());
                let query = target
                    .query()
                    .map(|query| without(query, &self.secrets).join("&"));
                target.set_query(query.as_deref());
                Next::At(PageRequest {
                    url: target,
                    member: asked.member.clone(),
                })
            }
            Ok(_) => Next::Astray("it is at another origin"),
            Err(_) => Next::Astray("its address is no URL"),
        }
    }
}

/// A URL with another value of one parameter; the others stay as they are.
fn with_query(url: &Url, parameter: &str, value: &str) -> Url {
    let own = format!(
        "{}={}",
        Escape::Percent.text(parameter),
        Escape::Percent.text(value)
    );
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
    let mut query = pairs(url.query().unwrap_or_default().as_bytes());
    query.find(|(name, _)| name == parameter)?.1.parse().ok()
}

/// The value at a place; of members that are there twice the last counts.
fn at<'j>(json: &'j str, path: &[String]) -> Option<&'j RawValue> {
    let mut value: &RawValue = serde_json::from_str(json).ok()?;
    for name in path {
        let members = super::style::members(value).ok()?;
        value = members.get(name.as_str())?;
    }
    Some(value)
}

/// Whether a page says, beside its cursor, that there is none after it.
fn is_last(body: &str, cursor: &[String]) -> bool {
    let around = cursor.split_last().map(|(_, around)| around);
    let around = around.and_then(|around| at(body, around));
    let members = around.and_then(|around| super::style::members(around).ok());
    members.is_some_and(|members| {
        let mut said = HAS_MORE.iter().filter_map(|name| members.get(*name));
        said.any(|more| more.get() == "false")
    })
}

/// The text of a string or number that says something.
fn text(raw: &RawValue) -> Option<String> {
    let json = raw.get();
    let text = match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok()?,
        b'-' | b'0'..=b'9' => compact(raw),
        _ => return None,
    };
    Some(text).filter(|text: &String| !text.is_empty() && text != "0")
}

/// How many items a list has; `None` for what is none.
pub(super) fn length(raw: &RawValue) -> Option<usize> {
    struct Count;
    impl<'de> Visitor<'de> for Count {
        type Value = usize;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<usize, A::Error> {
            let mut count = 0;
            while items.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(count)
        }
    }
    serde_json::Deserializer::from_str(raw.get())
        .deserialize_seq(Count)
        .ok()
}

/// Where a part that was read from a text is in it.
fn range_in(text: &str, part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + part.get().len()
}

/// Adds items to others.
fn join(items: &mut String, more: &str) {
    let more = more.trim();
    if !items.is_empty() && !more.is_empty() {
        items.push(',');
    }
    items.push_str(more);
}
