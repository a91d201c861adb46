//! One call of an API, and how an HTTP archive (HAR 1.2) has it.
//!
//! What is written is an archive like those of browsers. No clock is in it, so that the same calls
//! give the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The beginning of an archive, and its end; entries stand between them, separated by commas.
pub const HEAD: &str = "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"mcphub\",\"version\":\"1\"},\"entries\":[\n";
/// See [`HEAD`].
pub const TAIL: &str = "\n]}}\n";

/// Members of a call that a clock would fill.
const NEVER: &str = "1970-01-01T00:00:00.000Z";

/// A request and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// Such as `GET`.
    pub method: String,
    /// The URL without its query.
    pub url: String,
    /// The query, escaped, without `?`.
    pub query: String,
    /// Of the request, in order.
    pub request_headers: Vec<(String, String)>,
    /// Of the request.
    pub request_body: Vec<u8>,
    /// The status code of the answer.
    pub status: u16,
    /// Of the answer, in order.
    pub response_headers: Vec<(String, String)>,
    /// Of the answer, unpacked.
    pub response_body: Vec<u8>,
}

impl Exchange {
    /// Puts one text in the place of another, wherever it stands.
    pub(super) fn replace(&mut self, text: &str, instead: &str) {
        let headers = self
            .request_headers
            .iter_mut()
            .chain(&mut self.response_headers);
        let values = headers
            .map(|(_, value)| value)
            .chain([&mut self.url, &mut self.query]);
        for value in values {
            if value.contains(text) {
                *value = value.replace(text, instead);
            }
        }
        for body in [&mut self.request_body, &mut self.response_body] {
            if memchr::memmem::find(body, text.as_bytes()).is_none() {
                continue;
            }
            let mut out = Vec::with_capacity(body.len());
            let mut rest = body.as_slice();
            while let Some(at) = memchr::memmem::find(rest, text.as_bytes()) {
                let (before, after) = rest.split_at(at);
                out.extend_from_slice(before);
                out.extend_from_slice(instead.as_bytes());
                rest = after.get(text.len()..).unwrap_or_default();
            }
            out.extend_from_slice(rest);
            *body = out;
        }
    }

    /// The entry of an archive, on one line.
    pub fn to_entry(&self) -> String {
        let headers = |headers: &[(String, String)]| -> Vec<Value> {
            let pairs = headers.iter();
            pairs
                .map(|(name, value)| json!({"name": name, "value": value}))
                .collect()
        };
        let query: Vec<Value> = pairs(&self.query)
            .map(|(name, value)| json!({"name": decoded(name), "value": decoded(value)}))
            .collect();
        let url = match self.query.as_str() {
            "" => self.url.clone(),
            query => format!("{}?{query}", self.url),
        };
        let mut request = json!({
            "method": self.method,
            "url": url,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": headers(&self.request_headers),
            "queryString": query,
            "headersSize": -1,
            "bodySize": self.request_body.len(),
        });
        if !self.request_body.is_empty() {
            let media_type = header(&self.request_headers, "content-type");
            request["postData"] = content("_encoding", media_type, &self.request_body);
        }
        let media_type = header(&self.response_headers, "content-type");
        let mut body = content("encoding", media_type, &self.response_body);
        body["size"] = self.response_body.len().into();
        let entry = json!({
            "startedDateTime": NEVER,
            "time": 0,
            "request": request,
            "response": {
                "status": self.status,
                "statusText": "",
                "httpVersion": "HTTP/1.1",
                "cookies": [],
                "headers": headers(&self.response_headers),
                "content": body,
                "redirectURL": header(&self.response_headers, "location").unwrap_or_default(),
                "headersSize": -1,
                "bodySize": self.response_body.len(),
            },
            "cache": {},
            "timings": {"send": 0, "wait": 0, "receive": 0},
        });
        entry.to_string()
    }

    /// What an entry says; `None` where it is of no call that was answered.
    pub(super) fn of_entry(entry: &Value) -> Option<Self> {
        let (request, response) = (entry.get("request")?, entry.get("response")?);
        let url = request.get("url")?.as_str()?;
        let (url, query) = url.split_once('?').unwrap_or((url, ""));
        let headers = |holder: &Value| -> Vec<(String, String)> {
            let headers = holder
                .get("headers")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let text = |header: &Value, key| header.get(key)?.as_str().map(str::to_owned);
            headers
                .filter_map(|header| Some((text(header, "name")?, text(header, "value")?)))
                .collect()
        };
        let status = response.get("status").and_then(Value::as_u64)?;
        let mut response_headers = headers(response);
        let content = response.get("content");
        if header(&response_headers, "content-type").is_none()
            && let Some(media_type) = content.and_then(|c| c.get("mimeType")?.as_str())
        {
            response_headers.push(("content-type".to_owned(), media_type.to_owned()));
        }
        Some(Self {
            method: request.get("method")?.as_str()?.to_owned(),
            url: url.to_owned(),
            query: query.split('#').next().unwrap_or_default().to_owned(),
            request_headers: headers(request),
            request_body: body("_encoding", request.get("postData")),
            // A browser writes 0 for a call that was cut off.
            status: u16::try_from(status)
                .ok()
                .filter(|status| (100..600).contains(status))?,
            response_headers,
            response_body: body("encoding", content),
        })
    }
}

fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text)
        .decode_utf8_lossy()
        .into_owned()
}

/// A body as an archive has it: text, or base64 that says so. HAR has no such word for bodies of
/// requests, so that it begins with `_` there.
fn content(encoding: &str, media_type: Option<&str>, body: &[u8]) -> Value {
    let mut content = json!({"mimeType": media_type.unwrap_or_default()});
    match std::str::from_utf8(body) {
        Ok(text) => content["text"] = text.into(),
        Err(_) => {
            content["text"] = STANDARD.encode(body).into();
            content[encoding] = "base64".into();
        }
    }
    content
}

fn body(encoding: &str, content: Option<&Value>) -> Vec<u8> {
    let text = |key| content.and_then(|content| content.get(key)?.as_str());
    let bytes = text("text").unwrap_or_default();
    match text(encoding) {
        Some("base64") => STANDARD.decode(bytes).unwrap_or_default(),
        _ => bytes.as_bytes().to_vec(),
    }
}
