//! What a person sees. No page runs a script, is shown within another, or is kept.

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcphub_core::server::ServerName;
use mcphub_core::user::UserName;
use sha2::{Digest, Sha256};
use url::Url;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem}\
    label{display:block;margin-top:.75rem}input{box-sizing:border-box;font:inherit;padding:.4rem;width:100%}\
    button{font:inherit;margin-top:1rem;padding:.4rem 1rem}fieldset{margin-top:1.5rem}\
    .wrong{border-left:.25rem solid #b00;padding-left:.75rem}";

/// The longest text of others that is shown, in characters.
const MAX_TEXT: usize = 500;

/// The hidden fields of a form.
pub(super) struct Hidden<'a> {
    pub(super) action: &'a str,
    pub(super) ticket: &'a str,
    pub(super) token: &'a str,
}

/// Asks who somebody is.
pub(super) fn form(server: &ServerName, hidden: &Hidden<'_>, wrong: Option<&str>) -> String {
    let mut body = format!(
        "<p>Your assistant wants to use <b>{server}</b> for you. Log in there with your own account, \
         so that what it does is done as you. First say who you are here.</p>\
         <p>Go on only if you asked for this just now, in an assistant of your own.</p>"
    );
    if let Some(wrong) = wrong {
        let _ = write!(
            body,
            "<p class=\"wrong\" role=\"alert\">{}</p>",
            escaped(wrong)
        );
    }
    let begin = format!(
        "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"ticket\" value=\"{}\">\
         <input type=\"hidden\" name=\"token\" value=\"{}\">",
        escaped(hidden.action),
        escaped(hidden.ticket),
        escaped(hidden.token)
    );
    let _ = write!(
        body,
        "{begin}<fieldset><legend>With your password</legend>\
         <label for=\"user\">User</label>\
         <input id=\"user\" name=\"user\" autocomplete=\"username\" maxlength=\"64\" required>\
         <label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required>\
         <button>Go on</button></fieldset></form>\
         {begin}<fieldset><legend>Or with your key, as your assistant has it</legend>\
         <label for=\"key\">Key</label>\
         <input id=\"key\" name=\"key\" type=\"password\" autocomplete=\"off\" placeholder=\"mcphub_…\" required>\
         <button>Go on</button></fieldset></form>"
    );
    page(&format!("Log in to {server}"), &body)
}

/// Says who somebody is, and where they go on: a link, because a form leads to no other site.
pub(super) fn go_on(server: &ServerName, user: &UserName, url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let body = format!(
        "<p>You are <b>{user}</b>. What you let now is for <b>{user}</b>'s calls of <b>{server}</b>, and \
         for nobody else's.</p><p><a href=\"{}\" rel=\"noreferrer\">Log in at {}</a></p>",
        escaped(url.as_str()),
        escaped(host)
    );
    page(&format!("Log in to {server}"), &body)
}

/// Says that it is done.
pub(super) fn done(server: &ServerName, user: &UserName) -> String {
    let body = format!(
        "<p><b>{user}</b> is logged in to <b>{server}</b>. Close this window and go back to your \
         assistant: what it wanted to do works now.</p>"
    );
    page("Done", &body)
}

/// Says what is wrong.
pub(super) fn problem(text: &str) -> String {
    let text: String = text.chars().take(MAX_TEXT).collect();
    let body = format!("<p class=\"wrong\" role=\"alert\">{}</p>", escaped(&text));
    page("This did not work", &body)
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} - mcphub</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>",
        title = escaped(title)
    )
}

/// A page as an answer.
pub(super) fn answer(status: StatusCode, page: String) -> Response {
    let mut response = (status, Html(page)).into_response();
    let headers = response.headers_mut();
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Text as HTML, in an attribute too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_text() {
        let shown = problem("<script>alert('1')</script>\u{0}&\"");
        assert!(shown.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp;&quot;"));
        assert!(!shown.contains("<script"));
        assert!(problem(&"x".repeat(100_000)).len() < 2_000);
        let server = ServerName::new("tracker").unwrap();
        let hidden = Hidden {
            action: "https://hub.test/\"><script>",
            ticket: "t",
            token: "\"><script>",
        };
        assert!(!form(&server, &hidden, Some("<script>")).contains("<script"));
    }

    #[test]
    fn a_page_is_in_no_frame_and_tells_nobody_where_it_was() {
        let answer = answer(StatusCode::OK, done_page());
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert!(policy.contains("frame-ancestors 'none'"));
    }

    fn done_page() -> String {
        let server = ServerName::new("tracker").unwrap();
        done(&server, &UserName::new("ada").unwrap())
    }
}
