//! How the pages of a list follow one another, as an operation shows it.
//!
//! What is asked with GET is read so, by its URL, and what is asked by POST or QUERY with a JSON body
//! that takes a cursor. The names that are looked for are those of APIs of the field; `x-mcp` says
//! what they do not.

use indexmap::IndexMap;
use mcphub_core::spec::{
    Location, Method, NextPage, Operation, PageLocation, PagesHint, Parameter, Response,
};
use serde_json::Value;

use super::Planning;
use super::accept::is_json;
use crate::keyword::{get, has_type};

/// Where the list is in a page, and what leads to the next one.
pub(super) type Found = (Vec<String>, NextPage);

/// What a request may say: a query parameter, or a member of its body.
struct Asked<'o> {
    /// Its name as names are compared.
    plain: String,
    name: &'o str,
    schema: &'o Value,
}

/// How deep a page is looked through.
const MAX_DEPTH: usize = 4;

/// Parameters that take the cursor of a page, the surest first. Compared without case and
/// punctuation, as all of these names are.
const CURSOR_PARAMETERS: [&str; 15] = [
    "cursor",
    "startcursor",
    "pagecursor",
    "nextcursor",
    "pagetoken",
    "nextpagetoken",
    "nexttoken",
    "continuationtoken",
    "paginationtoken",
    "continue",
    "startingafter",
    "after",
    "marker",
    "pagekey",
    "scrollid",
];

/// Members that hold the cursor of the next page.
const CURSORS: [&str; 15] = [
    "nextcursor",
    "nextpagecursor",
    "nextpagetoken",
    "nexttoken",
    "continuationtoken",
    "nextcontinuationtoken",
    "paginationtoken",
    "continue",
    "endcursor",
    "nextmarker",
    "nextpagekey",
    "scrollid",
    "lastid",
    "nextpage",
    "next",
];

/// Members of an object that stands for the next page or for cursors.
const INNER_CURSORS: [&str; 5] = ["cursor", "token", "after", "next", "offset"];

/// Members that hold the URL of the next page.
const URLS: [&str; 9] = [
    "next",
    "nexturl",
    "nexturi",
    "nextlink",
    "nexthref",
    "nextpageurl",
    "nextpageuri",
    "nextpagelink",
    "odatanextlink",
];

/// Objects in a page that are about pages.
const AROUND: [&str; 14] = [
    "meta",
    "metadata",
    "pagination",
    "paging",
    "pageinfo",
    "page",
    "pages",
    "links",
    "responsemetadata",
    "cursors",
    "cursor",
    "next",
    "nextpage",
    "pager",
];

/// Members that hold the items, the surest first, where there are several lists.
const ITEMS: [&str; 10] = [
    "items",
    "data",
    "results",
    "value",
    "values",
    "entries",
    "records",
    "list",
    "rows",
    "resources",
];

/// Objects that may hold the list.
const HOLDERS: [&str; 5] = ["data", "result", "response", "embedded", "results"];

const PAGE_PARAMETERS: [&str; 5] = ["page", "pagenumber", "pageno", "pagenum", "pageindex"];
const OFFSET_PARAMETERS: [&str; 4] = ["offset", "skip", "startindex", "startat"];

impl Planning<'_> {
    /// How one call reads several pages; `None` where nothing shows it.
    pub(super) fn pages(&self, operation: &Operation) -> Option<Found> {
        let hint = operation.hints.pages.as_ref();
        let body = operation.body.as_ref();
        let body = body.map(|body| {
            let mut json = body.content.iter();
            json.find(|content| is_json(&content.media_type))
        });
        let lists = match (operation.method, body) {
            (Method::Get | Method::Query, None) => true,
            // Only what has a cursor is surely a list, and only JSON can be given another one.
            (Method::Post | Method::Query, Some(Some(_))) => false,
            _ => return None,
        };
        if hint == Some(&PagesHint::One) {
            return None;
        }
        let answer = answer(&operation.responses);
        if let Some(PagesHint::By { items, next }) = hint {
            // A body without a place for it would be sent as it is again and again.
            if lists && next.body_member().is_some() {
                return None;
            }
            let found = || answer.and_then(|(_, schema)| self.items(schema, 2));
            let items = items.clone().or_else(found)?;
            return Some((items, next.clone()));
        }
        let (response, schema) = answer?;
        if let Some(Some(body)) = body {
            let members = self.members(&body.schema);
            let members = members
                .into_iter()
                .map(|(name, schema)| Asked::new(name, schema));
            let (taken, next) =
                self.cursor(&members.collect::<Vec<_>>(), schema, PageLocation::Body)?;
            let items = self.items(schema, 2)?;
            return self.is(taken, "string").then_some((items, next));
        }
        let query = operation.parameters.iter().map(AsRef::as_ref);
        let query = query.filter(|parameter: &&Parameter| parameter.location == Location::Query);
        let query: Vec<Asked> = query
            .map(|parameter| Asked::new(&parameter.name, &parameter.schema))
            .collect();
        let may_page = response.has_link
            || !query.is_empty()
            || self
                .members(schema)
                .keys()
                .any(|name| plain(name).contains("next"));
        if !may_page {
            return None;
        }
        let items = self.items(schema, 2)?;
        let cursor = self.cursor(&query, schema, PageLocation::Query);
        // A number may be a point in time, which leads from the newest page nowhere.
        let number = |(taken, _): &(&Value, _)| self.is(taken, "integer");
        let (numbers, cursors) = match cursor {
            Some(cursor) if number(&cursor) => (Some(cursor.1), None),
            cursor => (None, cursor.map(|(_, next)| next)),
        };
        let next = cursors
            .or_else(|| self.url(schema))
            .or(numbers)
            .or_else(|| response.has_link.then_some(NextPage::Link))
            .or_else(|| self.number(&query))?;
        Some((items, next))
    }

    /// What takes a cursor of the page, and where the page has it.
    fn cursor<'q>(
        &self,
        asked: &[Asked<'q>],
        schema: &Value,
        location: PageLocation,
    ) -> Option<(&'q Value, NextPage)> {
        let named = |name: &str| asked.iter().find(|it| it.plain == name);
        let parameter = CURSOR_PARAMETERS.iter().find_map(|name| named(name));
        // An `offset` or a `page` that is no number is a cursor too.
        let text = || {
            let known = |plain: &str| matches!(plain, "offset" | "page");
            asked
                .iter()
                .find(|it| known(&it.plain) && self.is(it.schema, "string"))
        };
        let parameter = parameter.or_else(text)?;
        // Such as `usemarker`, without which there is no `marker`.
        let is_switch = |it: &Asked<'_>| {
            self.is(it.schema, "boolean")
                && it.plain.strip_prefix("use") == Some(parameter.plain.as_str())
        };
        if asked.iter().any(is_switch) {
            return None;
        }
        let at = self.member(schema, MAX_DEPTH, false, &|name, inner, schema| {
            let is_cursor = CURSORS.contains(&name) || (inner && INNER_CURSORS.contains(&name));
            let is_value = self.is(schema, "string") || self.is(schema, "integer");
            is_cursor && is_value && !is_url(name, self.definitions.resolve(schema))
        })?;
        let next = NextPage::Cursor {
            at,
            parameter: parameter.name.to_owned(),
            location,
        };
        Some((parameter.schema, next))
    }

    fn url(&self, schema: &Value) -> Option<NextPage> {
        let at = self.member(schema, MAX_DEPTH, false, &|name, inner, schema| {
            let named =
                URLS.contains(&name) || (inner && ["href", "url", "uri", "link"].contains(&name));
            named && self.is(schema, "string") && is_url(name, self.definitions.resolve(schema))
        })?;
        Some(NextPage::Url { at })
    }

    fn number(&self, query: &[Asked<'_>]) -> Option<NextPage> {
        let named = |names: &[&str]| {
            let mut query = query.iter();
            query.find(|it| names.contains(&it.plain.as_str()) && self.is(it.schema, "integer"))
        };
        let said = |parameter: &Asked<'_>, key| {
            let schema = self.definitions.resolve(parameter.schema);
            schema.get(key).and_then(Value::as_u64)
        };
        if let Some(parameter) = named(&PAGE_PARAMETERS) {
            return Some(NextPage::Page {
                parameter: parameter.name.to_owned(),
                location: PageLocation::Query,
                first: said(parameter, "default")
                    .or(said(parameter, "minimum"))
                    .unwrap_or(1),
            });
        }
        let parameter = named(&OFFSET_PARAMETERS)?;
        // RFC 7644, 3.4.2.4: SCIM counts from one.
        let counted = u64::from(parameter.plain == "startindex");
        Some(NextPage::Offset {
            parameter: parameter.name.to_owned(),
            location: PageLocation::Query,
            first: said(parameter, "default").unwrap_or(counted),
        })
    }

    /// Where the list of a page is.
    fn items(&self, schema: &Value, depth: usize) -> Option<Vec<String>> {
        if self.is(schema, "array") {
            return Some(Vec::new());
        }
        let depth = depth.checked_sub(1)?;
        let members = self.members(schema);
        let lists: Vec<&str> = members
            .iter()
            .filter(|(_, schema)| self.is(schema, "array"))
            .map(|(name, _)| *name)
            .collect();
        let named: Vec<String> = lists.iter().map(|name| plain(name)).collect();
        let known = ITEMS.iter().find_map(|known| {
            let mut lists = lists.iter().zip(&named);
            lists
                .find(|(_, plain)| plain == known)
                .map(|(name, _)| name)
        });
        if let Some(name) = known.or(lists.first().filter(|_| lists.len() == 1)) {
            return Some(vec![(*name).to_owned()]);
        }
        let held = |known: &&str| {
            let (name, schema) = members.iter().find(|(name, _)| plain(name) == **known)?;
            let mut path = self.items(schema, depth).filter(|path| !path.is_empty())?;
            path.insert(0, (*name).to_owned());
            Some(path)
        };
        HOLDERS.iter().find_map(held)
    }

    /// The way to the member that is wanted: at the top, or below what is about pages.
    fn member(
        &self,
        schema: &Value,
        depth: usize,
        inner: bool,
        wanted: &dyn Fn(&str, bool, &Value) -> bool,
    ) -> Option<Vec<String>> {
        let depth = depth.checked_sub(1)?;
        let members = self.members(schema);
        let own = members
            .iter()
            .find(|(name, schema)| wanted(&plain(name), inner, schema));
        if let Some((name, _)) = own {
            return Some(vec![(*name).to_owned()]);
        }
        let around = members.iter().filter_map(|(name, schema)| {
            let known = plain(name);
            let inner = matches!(known.as_str(), "next" | "nextpage" | "cursors" | "cursor");
            let known = AROUND.contains(&known.as_str());
            let mut way = known.then(|| self.member(schema, depth, inner, wanted))??;
            way.insert(0, (*name).to_owned());
            Some(way)
        });
        around.into_iter().next()
    }

    /// The members of an object, those of its parts too.
    fn members<'v>(&'v self, schema: &'v Value) -> IndexMap<&'v str, &'v Value> {
        let mut members = IndexMap::new();
        self.collect(schema, MAX_DEPTH, &mut members);
        members
    }

    fn collect<'v>(
        &'v self,
        schema: &'v Value,
        depth: usize,
        members: &mut IndexMap<&'v str, &'v Value>,
    ) {
        let Some(depth) = depth.checked_sub(1) else {
            return;
        };
        let schema = self.definitions.resolve(schema);
        let own = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in own.into_iter().flatten() {
            members.entry(name).or_insert(schema);
        }
        let parts = schema.get("allOf").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            self.collect(part, depth, members);
        }
    }

    fn is(&self, schema: &Value, kind: &str) -> bool {
        let schema = self.definitions.resolve(schema).as_object();
        schema.is_some_and(|schema| {
            let parts = || get(schema, "anyOf").or_else(|| get(schema, "oneOf"));
            let has = |keyword| get(schema, keyword).is_some();
            has_type(schema, kind)
                || (kind == "array" && !has("type") && has("items"))
                || parts().and_then(Value::as_array).is_some_and(|parts| {
                    let of_kind =
                        |part: &Value| part.as_object().is_some_and(|part| has_type(part, kind));
                    parts.len() <= 2 && parts.iter().any(of_kind)
                })
        })
    }
}

impl<'o> Asked<'o> {
    fn new(name: &'o str, schema: &'o Value) -> Self {
        Self {
            plain: plain(name),
            name,
            schema,
        }
    }
}

/// The likeliest successful JSON answer.
fn answer(responses: &[Response]) -> Option<(&Response, &Value)> {
    let success = responses.iter().filter(|response| response.is_success());
    let mut json = success.filter_map(|response| {
        let mut content = response.content.iter();
        let (_, schema) =
            content.find(|(media_type, _)| is_json(media_type) || media_type == "*/*")?;
        Some((response, schema))
    });
    json.next()
}

/// Whether a member is a URL: by its format, its name, or what is said of it.
fn is_url(name: &str, schema: &Value) -> bool {
    let text = |key| schema.get(key).and_then(Value::as_str).unwrap_or_default();
    let said = text("description").to_ascii_lowercase();
    matches!(text("format"), "uri" | "uri-reference" | "url" | "iri")
        || ["url", "uri", "link", "href"]
            .iter()
            .any(|word| name.contains(word))
        || ["url", "uri", "link"]
            .iter()
            .any(|word| said.contains(word))
}

/// A name without case and punctuation.
fn plain(name: &str) -> String {
    let characters = name.chars().filter(char::is_ascii_alphanumeric);
    characters.map(|c| c.to_ascii_lowercase()).collect()
}
