//! `GET` and `POST /auth/login/{server}`, `GET /auth/callback`, and `GET /auth/client.json`.
//!
//! The form is taken from the browser alone that was shown it: it has a mark over a cookie that no page
//! of another site has a browser send, so that nobody can be made to go on as somebody else. The way
//! to the authorization server is a link on a page that says who one is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcphub_core::event::Event;
use mcphub_core::principal::{Permissions, Refusal};
use mcphub_core::secret::{ExposeSecret, SecretString};
use mcphub_core::server::ServerName;
use mcphub_core::user::UserName;
use mcphub_core::{Error, ErrorKind};
use serde_json::json;
use tokio::time::timeout;
use url::form_urlencoded;

use super::browser::may_use;
use super::flow::{Cookies, Flow};
use super::page::{self, Hidden};
use super::seal::{Purpose, random};
use super::ticket::Ticket;
use super::{CALLBACK, CLIENT, Logins, PLACE, user_of};
use crate::auth::NotSignedIn;
use crate::gateway::Inner;
use crate::mcp::http::limit;
use crate::upstream::oauth;

/// The parameter with the ticket.
pub(super) const TICKET: &str = "ticket";

/// The largest form, in bytes.
const MAX_FORM: usize = 8 * 1024;

/// The longest query with which a browser comes back, in bytes.
const MAX_QUERY: usize = 16 * 1024;

const AGAIN: &str = "ask your assistant again, for another address";

/// The endpoints. They are for pages of the gateway's own, which [`Logins`] checks.
pub(crate) fn routes() -> Router<Arc<Inner>> {
    Router::new()
        .route("/auth/login/{server}", routing::get(show).post(take))
        .route(CALLBACK, routing::get(callback))
        .route(CLIENT, routing::get(client))
}

/// What somebody is told who gets no further.
struct Wrong {
    status: StatusCode,
    text: String,
    retry_after: Option<Duration>,
    /// Whether the same form may be filled in again.
    again: bool,
}

impl Wrong {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
            retry_after: None,
            again: false,
        }
    }

    fn again(self) -> Self {
        Self {
            again: true,
            ..self
        }
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        let status = StatusCode::from_u16(error.kind().http_status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if error.kind() == ErrorKind::Internal {
            tracing::error!(error = %error.report(), "a user cannot log in");
            return Self::new(status, "The gateway has a fault; its log says which.");
        }
        tracing::info!(error = %error.report(), "a user did not log in");
        Self::new(status, error.to_string())
    }
}

impl From<NotSignedIn> for Wrong {
    fn from(why: NotSignedIn) -> Self {
        match why {
            NotSignedIn::Wrong => Self::new(
                StatusCode::FORBIDDEN,
                "The user, the password or the key is wrong.",
            )
            .again(),
            NotSignedIn::Limited(after) => Self {
                retry_after: Some(after),
                ..Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "It was tried too often; wait a minute.",
                )
                .again()
            },
            NotSignedIn::Refused(refusal) => Error::from(refusal).into(),
            NotSignedIn::Failed(error) => error.into(),
        }
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        let mut response = page::answer(self.status, page::problem(&self.text));
        put_retry(&mut response, self.retry_after);
        response
    }
}

fn put_retry(response: &mut Response, after: Option<Duration>) {
    if let Some(after) = after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

async fn show(
    State(gateway): State<Arc<Inner>>,
    Path(server): Path<String>,
    request: Request,
) -> Result<Response, Wrong> {
    let logins = logins(&gateway)?;
    let server = named(server)?;
    let query = request.uri().query().unwrap_or_default();
    let mut query = form_urlencoded::parse(query.as_bytes());
    let ticket = query.find_map(|(name, value)| (name == TICKET).then_some(value));
    let ticket = ticket_of(ticket.as_deref())?;
    let nonce = URL_SAFE_NO_PAD.encode(random::<16>()?);
    let token = logins.form_token(&nonce, &ticket)?;
    let mut response = logins.form(&server, &ticket, &token, StatusCode::OK, None);
    let cookies = logins.cookies();
    put_cookie(&mut response, cookies.set(&cookies.name(&ticket), &nonce));
    Ok(response)
}

async fn take(
    State(gateway): State<Arc<Inner>>,
    Path(server): Path<String>,
    request: Request,
) -> Result<Response, Wrong> {
    let logins = logins(&gateway)?;
    let server = named(server)?;
    let from = limit::address(&gateway, &request);
    let (parts, body) = request.into_parts();
    logins.check_site(&parts.headers)?;
    let is_form = parts.headers.get(header::CONTENT_TYPE);
    let is_form = is_form.and_then(|kind| kind.to_str().ok());
    if is_form.and_then(|kind| kind.split(';').next()) != Some("application/x-www-form-urlencoded")
    {
        return Err(Wrong::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "This is no form.",
        ));
    }
    let read = timeout(gateway.settings.body_timeout, to_bytes(body, MAX_FORM)).await;
    let late = |_| {
        Wrong::new(
            StatusCode::REQUEST_TIMEOUT,
            "The form did not come in time.",
        )
    };
    let large = |_| Wrong::new(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.");
    let form = Form::read(&read.map_err(late)?.map_err(large)?);
    let ticket = ticket_of(Some(&form.ticket))?;
    let cookies = logins.cookies();
    let cookie = cookies.name(&ticket);
    let nonce = cookies.value(&parts.headers, &cookie).unwrap_or_default();
    if !logins.is_form_token(nonce, &ticket, &form.token) {
        return Err(Wrong::new(
            StatusCode::FORBIDDEN,
            "This form was not shown to this browser just now, or the browser takes no cookies; open the address that your assistant gave you again.",
        ));
    }
    let asked = (&server, &ticket);
    match logins.go_on(asked, form.who, from).await {
        Ok((page, value)) => {
            let mut response = page::answer(StatusCode::OK, page);
            put_cookie(&mut response, cookies.set(&cookie, &value));
            Ok(response)
        }
        Err(wrong) if wrong.again => {
            let token = &form.token;
            let text = Some(&*wrong.text);
            let mut response = logins.form(&server, &ticket, token, wrong.status, text);
            put_retry(&mut response, wrong.retry_after);
            Ok(response)
        }
        Err(wrong) => Err(wrong),
    }
}

async fn callback(State(gateway): State<Arc<Inner>>, request: Request) -> Result<Response, Wrong> {
    let logins = logins(&gateway)?;
    let query = request.uri().query().unwrap_or_default();
    let strange = || {
        let text = format!("This browser began no such login, or it is over; {AGAIN}.");
        Wrong::new(StatusCode::BAD_REQUEST, text)
    };
    if query.len() > MAX_QUERY {
        return Err(strange());
    }
    let state = oauth::value(query, "state").ok_or_else(strange)?;
    let cookies = logins.cookies();
    let found = Flow::found(&logins.offered.seals, &cookies, request.headers(), &state);
    let (flow, secrets, cookie) = found.ok_or_else(strange)?;
    let mut response = if flow.has_ended() {
        let text = format!("It took longer than ten minutes; {AGAIN}.");
        Wrong::new(StatusCode::GONE, text).into_response()
    } else {
        match logins.finish(&flow, secrets, query).await {
            Ok(()) => {
                tracing::info!(server = %flow.server, user = %flow.user, "a user logged in to a server");
                tell(&gateway, logins, flow.elicitation).await;
                page::answer(StatusCode::OK, page::done(&flow.server, &flow.user))
            }
            Err(error) => Wrong::from(error).into_response(),
        }
    };
    put_cookie(&mut response, cookies.clear(&cookie));
    Ok(response)
}

/// What the gateway is as a client of authorization servers.
async fn client(State(gateway): State<Arc<Inner>>) -> Result<Response, Wrong> {
    let logins = logins(&gateway)?;
    let none = || {
        Wrong::new(
            StatusCode::NOT_FOUND,
            "This gateway is not reached over TLS.",
        )
    };
    let id = logins.offered.description.as_ref().ok_or_else(none)?;
    Ok(Json(json!({
        "client_id": id,
        "client_name": "mcphub",
        "redirect_uris": [logins.offered.redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }))
    .into_response())
}

/// Says to the client that was asked, wherever it is connected, that it can go on.
async fn tell(gateway: &Inner, logins: &Logins, elicitation: String) {
    if let Some(events) = &gateway.events {
        let event = Event::ElicitationCompleted {
            elicitation: elicitation.clone(),
        };
        // A hint: whoever misses it tries again by themselves.
        if events.publish(event).await.is_ok() {
            return;
        }
    }
    logins.completed.heard(&elicitation);
}

/// How somebody says who they are.
enum Who {
    Password(String, SecretString),
    Key(SecretString),
}

struct Form {
    ticket: String,
    token: String,
    who: Who,
}

impl Form {
    fn read(bytes: &[u8]) -> Self {
        let (mut ticket, mut token, mut user) = (String::new(), String::new(), String::new());
        let (mut password, mut key) = (SecretString::default(), None);
        for (name, value) in form_urlencoded::parse(bytes) {
            let value = value.into_owned();
            match &*name {
                TICKET => ticket = value,
                "token" => token = value,
                "user" => user = value,
                "password" => password = value.into(),
                "key" => key = Some(value.trim().into()),
                _ => {}
            }
        }
        Self {
            ticket,
            token,
            who: key.map_or(Who::Password(user, password), Who::Key),
        }
    }
}

impl Logins {
    fn cookies(&self) -> Cookies {
        Cookies {
            secure: self.offered.is_secure(),
        }
    }

    fn form(
        &self,
        server: &ServerName,
        ticket: &Ticket,
        token: &str,
        status: StatusCode,
        wrong: Option<&str>,
    ) -> Response {
        let action = format!("{}{PLACE}{server}", self.offered.base);
        let hidden = Hidden {
            action: &action,
            ticket: &ticket.text(),
            token,
        };
        page::answer(status, page::form(server, &hidden, wrong))
    }

    /// The mark of a form that is shown to the browser which brings this cookie.
    fn form_token(&self, nonce: &str, ticket: &Ticket) -> Result<String, Error> {
        let (seal, ticket) = (self.offered.seals.newest()?, ticket.text());
        let mark = seal.mark(Purpose::Form, &[nonce.as_bytes(), ticket.as_bytes()])?;
        Ok(URL_SAFE_NO_PAD.encode(mark))
    }

    fn is_form_token(&self, nonce: &str, ticket: &Ticket, token: &str) -> bool {
        let mark = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
        let (seals, ticket) = (&self.offered.seals, ticket.text());
        let parts = [nonce.as_bytes(), ticket.as_bytes()];
        mark.len() == 32 && seals.know(Purpose::Form, &parts, &mark)
    }

    /// That a form comes from a page of the gateway's own. Those say that they come from nowhere
    /// (`Referrer-Policy: no-referrer`), as others can; what they cannot do is bring the cookie.
    fn check_site(&self, headers: &HeaderMap) -> Result<(), Wrong> {
        let site = headers.get("sec-fetch-site");
        let ours = site.is_none_or(|site| site == "same-origin");
        let own = self.offered.redirect.origin().ascii_serialization();
        let mut origins = headers.get_all(header::ORIGIN).iter();
        if ours && origins.all(|origin| origin == "null" || *origin == *own) {
            return Ok(());
        }
        Err(Wrong::new(
            StatusCode::FORBIDDEN,
            "The form comes from another site.",
        ))
    }

    /// The page that leads on whoever says who they are, and the cookie for it.
    async fn go_on(
        &self,
        (server, ticket): (&ServerName, &Ticket),
        who: Who,
        from: Option<IpAddr>,
    ) -> Result<(String, String), Wrong> {
        let (user, permissions) = self.identify(who, from).await?;
        if !ticket.is_for(&self.offered.seals, server, &user) {
            tracing::warn!(%server, %user, "a user opened an address that was made for somebody else");
            let text = String::from(
                "This address was made for somebody else, or for another server. Whoever gave it to you wanted you to log in for them. Do not go on; ask an assistant of your own, for another address.",
            );
            return Err(Wrong::new(StatusCode::FORBIDDEN, text));
        }
        may_use(&permissions, server)?;
        let begun = self.begin(server, &user, ticket).await?;
        Ok((page::go_on(server, &user, &begun.url), begun.cookie))
    }

    async fn identify(
        &self,
        who: Who,
        from: Option<IpAddr>,
    ) -> Result<(UserName, Permissions), Wrong> {
        let key = match who {
            Who::Password(user, password) => {
                return Ok(self.sign_ins.identify(&user, password, from).await?);
            }
            Who::Key(key) => key,
        };
        self.sign_ins.count_attempt(from).await?;
        let admitted = self.gate.admit(key.expose_secret()).await;
        let principal = admitted.map_err(|refusal| match refusal {
            Refusal::Malformed | Refusal::Unknown => NotSignedIn::Wrong,
            refusal => NotSignedIn::Refused(refusal),
        })?;
        let nobody = || {
            let text = "This key is no user's; each user logs in for themselves.";
            Wrong::new(StatusCode::FORBIDDEN, text).again()
        };
        let user = user_of(&principal).ok_or_else(nobody)?;
        Ok((user, Permissions::clone(&principal.permissions)))
    }
}

fn logins(gateway: &Inner) -> Result<&Logins, Wrong> {
    let none = || Wrong::new(StatusCode::NOT_FOUND, "Nobody logs in here.");
    gateway.logins.as_deref().ok_or_else(none)
}

fn named(server: String) -> Result<ServerName, Wrong> {
    let none = |_| Wrong::new(StatusCode::NOT_FOUND, "There is no server of this name.");
    ServerName::new(server).map_err(none)
}

fn ticket_of(text: Option<&str>) -> Result<Ticket, Wrong> {
    let ticket = text.and_then(Ticket::parse).ok_or_else(|| {
        let text = format!("The address is not whole; {AGAIN}.");
        Wrong::new(StatusCode::BAD_REQUEST, text)
    })?;
    if ticket.has_ended() {
        let text = format!("The address is older than ten minutes; {AGAIN}.");
        return Err(Wrong::new(StatusCode::GONE, text));
    }
    Ok(ticket)
}

fn put_cookie(response: &mut Response, cookie: Option<HeaderValue>) {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
