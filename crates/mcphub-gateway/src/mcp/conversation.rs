//! A request that a server answers by itself, and what is said between it and the client until then.
//!
//! Servers and clients of before 2026-07-28 ask each other in the middle of a request; those of
//! 2026-07-28 give a result that asks, and get the request again. Each side sees what it knows:
//!
//! | client | server | what happens |
//! |---|---|---|
//! | old | old | requests are passed on as they come, each under an id of the gateway's |
//! | modern | modern | results and retries are passed on as they are |
//! | old | modern | a result that asks becomes requests to the client; its answers become a retry |
//! | modern | old | a request becomes a result that asks; the server's request waits for the retry |

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcphub_core::principal::Principal;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, ErrorKind};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::caller::Caller;
use super::cancel::Cancellation;
use super::error::RpcError;
use super::gathering::Gathering;
use super::level::Level;
use super::login::Asking;
use super::message::{Request, members};
use super::questions::{Call, Question, WAITING};
use super::reply::Outcome;
use super::result;
use super::roots;
use super::routing::{self, RESOURCES_READ, Routed, TOOLS_CALL, unknown_state};
use super::wording::STATE;
use crate::call_log::NoRoom;
use crate::federation::{Route, View};
use crate::gateway::Inner;
use crate::guard::{Guard, Permit, Refused};
use crate::members::{Members, place, quoted, splice};
use crate::metrics::{CallKind, Counted, Ended as How, Meter};
use crate::upstream::{
    ClientAbilities, Exchange, Failure, Forward, Given, Relay, Response, Said, Upstream,
};

/// What a client of the modern era calls the answer to a request in the middle of another one.
const INPUT: &str = "input";

/// The kind of a result that asks.
pub(super) const INPUT_REQUIRED: &str = "input_required";

/// A request on its way between a client and a server.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(super) gateway: Arc<Inner>,
    pub(super) view: Arc<View>,
    pub(super) route: Route,
    /// The name under which a tool was called.
    tool: Option<String>,
    pub(super) forward: Arc<Forward>,
    /// The progress token of the client.
    token: Option<Box<RawValue>>,
    level: Option<Level>,
    modern: bool,
    pub(super) streams: bool,
    /// Whose answers count, of questions in the middle of it.
    pub(super) owner: Option<SessionKey>,
    /// Who asks, where clients are asked who they are.
    pub(super) who: Option<SessionKey>,
    cancellation: Option<Cancellation>,
    pub(super) state: State,
    /// What the server wanted to ask that the client cannot be asked.
    lacking: Option<&'static str>,
    /// How often a result has asked.
    pub(super) rounds: usize,
    /// From when the server was to be asked.
    pub(super) counted: Counted<Arc<Meter>>,
    /// Who asks, until it is noted that they do.
    asker: Option<Option<Arc<Principal>>>,
    /// How its caller is asked to log in.
    pub(super) asking: Asking,
    /// While the server is at it.
    pub(super) permit: Option<Permit<Arc<Guard>>>,
    /// How much longer the server may take, besides the time in which clients are asked.
    left: Duration,
    /// The time within which each step of it ends by itself, where it does.
    step: Option<Duration>,
}

/// What comes next in a conversation.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A message to the client, on one line.
    Message(String),
    /// The answer. It is the last.
    End(Result<Outcome, RpcError>),
    /// The client has cancelled the request. It is the last, and nothing is to be sent.
    Cancelled,
}

#[derive(Debug)]
pub(super) enum State {
    Opening,
    /// The client has answered the request that the server waits for.
    Answering(Box<dyn Exchange>, Box<RawValue>, Response),
    Talking(Box<dyn Exchange>),
    /// The client is asked for the server.
    Asking(Box<dyn Exchange>, Box<RawValue>, Question),
    /// The client is asked for what a result asks.
    Gathering(Gathering),
    Over,
}

impl Conversation {
    /// A request for a server, not sent yet.
    pub(super) fn new(
        gateway: &Arc<Inner>,
        view: &Arc<View>,
        request: &Request<'_>,
        caller: &Caller<'_>,
        routed: Routed,
    ) -> Result<Self, RpcError> {
        // Once, because it is a digest.
        let principal = caller.owner(None);
        let mut forward = routed.forward(request, caller, principal, &gateway.marks)?;
        let modern = caller.revision.is_modern();
        let meta = request.meta()?;
        let tool = (request.method == TOOLS_CALL)
            .then(|| routing::tool_name(request).map(Cow::into_owned))
            .transpose()?;
        let level = if modern {
            meta.level()?
        } else {
            gateway.memories.level(caller.session)
        };
        if caller.streams {
            // A client of the old era that did not say gets what the server chooses, and a server
            // of the modern era has to be asked for that.
            let asked = level.or((!modern).then_some(Level::Info));
            forward.log_level = asked.map(|level| level.as_str().to_owned());
            forward.choice = !modern && level.is_none();
        }
        let asking = Asking::of(gateway, request, caller, &forward.abilities);
        let kind = match &tool {
            Some(_) => CallKind::of_tool(routed.route.reads),
            None => CallKind::Other,
        };
        let counted = Counted::begin(routed.route.upstream.meter().cloned(), kind);
        let relay = routed.route.upstream.relay();
        let left = relay.and_then(Relay::limit);
        let left = left.unwrap_or(gateway.settings.stream_timeout);
        let step = relay.and_then(Relay::step_limit);
        let mut this = Self {
            gateway: Arc::clone(gateway),
            view: Arc::clone(view),
            route: routed.route,
            tool,
            forward: Arc::new(forward),
            token: meta.progress.map(RawValue::to_owned),
            level,
            modern,
            streams: caller.streams,
            owner: caller.session.or(principal),
            who: principal,
            cancellation: caller
                .session
                .map(|session| gateway.running.begin(session, request.id.get())),
            state: State::Opening,
            lacking: None,
            rounds: 0,
            counted,
            asker: gateway.calls.as_ref().map(|_| caller.who.cloned()),
            asking,
            permit: None,
            left,
            step,
        };
        if modern && let Err(error) = this.resume(request) {
            this.counted.settled(false);
            return Err(error);
        }
        Ok(this)
    }

    /// What comes next. Not to be called after the last.
    pub(crate) async fn next(&mut self) -> Turn {
        let cancellation = self.cancellation.take();
        let Some(cancellation) = cancellation else {
            return self.turn().await;
        };
        let turn = tokio::select! {
            biased;
            () = cancellation.cancelled() => {
                self.state = State::Over;
                Turn::Cancelled
            }
            turn = self.turn() => turn,
        };
        self.cancellation = Some(cancellation);
        turn
    }

    /// The answer, whatever is said before it.
    pub(crate) async fn end(&mut self) -> Result<Outcome, RpcError> {
        loop {
            match self.next().await {
                Turn::Message(_) => {}
                Turn::End(end) => return end,
                Turn::Cancelled => return Err(RpcError::cancelled()),
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        loop {
            match self.step().await {
                Ok(Some(message)) => return Turn::Message(message),
                Ok(None) => {}
                Err(end) => {
                    self.state = State::Over;
                    self.counted.settled(end.is_ok());
                    return Turn::End(*end);
                }
            }
        }
    }

    /// One step. An `Err` is the end, in whichever way.
    async fn step(&mut self) -> Ended<Option<String>> {
        if let Some(asker) = self.asker.take()
            && let Some(calls) = &self.gateway.calls
        {
            let (kind, method) = (self.counted.kind(), &*self.forward.method);
            match calls.begin(kind, method, asker.as_ref(), &self.route).await {
                Ok(note) => self.counted.noted(note),
                Err(NoRoom) => {
                    self.counted.ended(How::Refused);
                    return ended(Err(result::not_noted()));
                }
            }
        }
        match std::mem::replace(&mut self.state, State::Over) {
            State::Opening => {
                let upstream = Arc::clone(&self.route.upstream);
                if self.permit.is_none()
                    && let Some(guard) = upstream.guard()
                {
                    match Guard::admit(Arc::clone(guard)) {
                        Ok(permit) => self.permit = Some(permit),
                        Err(refused) => {
                            self.counted.ended(How::Refused);
                            return ended(self.refused(&refused));
                        }
                    }
                }
                let Some(relay) = upstream.relay() else {
                    return ended(Err(RpcError::method_not_found(
                        &self.forward.method,
                        self.modern,
                    )));
                };
                let noted = self.touches(&upstream, relay);
                let opening = relay.open(Arc::clone(&self.forward));
                let opened = within(&mut self.left, self.step, opening).await;
                if !noted {
                    // It may be the first session for which the server keeps something.
                    self.touches(&upstream, relay);
                }
                match opened {
                    Ok(exchange) => self.state = State::Talking(exchange),
                    Err(error) => return self.broke(&error).await,
                }
                Ok(None)
            }
            State::Answering(mut exchange, id, response) => {
                match within(&mut self.left, None, exchange.answer(&id, response)).await {
                    Ok(()) => self.state = State::Talking(exchange),
                    Err(error) => return ended(self.failed(&error)),
                }
                Ok(None)
            }
            State::Talking(mut exchange) => {
                match within(&mut self.left, self.step, exchange.next()).await {
                    Ok(said) => self.heard(exchange, said),
                    Err(error) => self.broke(&error).await,
                }
            }
            State::Asking(exchange, id, mut question) => {
                let (limit, teller) = (self.gateway.settings.input_timeout, exchange.teller());
                let response = question.answer(limit, teller.as_deref()).await;
                let response = response.unwrap_or_else(|| {
                    Response::Error(error_text(-32_603, "The client did not answer in time"))
                });
                let response = self.answer_for_server(response);
                self.state = State::Answering(exchange, id, response);
                Ok(None)
            }
            State::Gathering(gathering) => self.gather(gathering).await,
            State::Over => ended(Err(RpcError::internal())),
        }
    }

    /// Notes that the server has to hear of the end of the session, where it keeps anything for any.
    fn touches(&self, server: &Arc<dyn Upstream>, relay: &dyn Relay) -> bool {
        match self.forward.session.filter(|_| relay.keeps_sessions()) {
            Some(session) => {
                self.gateway.touched.by(session, server);
                true
            }
            None => false,
        }
    }

    fn heard(&mut self, exchange: Box<dyn Exchange>, said: Said) -> Ended<Option<String>> {
        match said {
            Said::Notification { method, params } => {
                self.state = State::Talking(exchange);
                Ok(self.notification(&method, &params))
            }
            Said::Request { id, method, params } => {
                self.answered();
                self.asked(exchange, id, &method, &params)
            }
            Said::Result(result) => {
                self.answered();
                let given = Given::of(result.get());
                self.counted
                    .ended(if given.error { How::ToolError } else { How::Ok });
                if given.result_type && !self.modern {
                    return self.strange(&result);
                }
                ended(self.finished(result, given))
            }
            Said::Failure(failure) => {
                self.answered();
                // An error of the server's own, because it was not let ask: a client of the modern
                // era is told what it lacks.
                if let Some(lacking) = self.lacking.filter(|_| self.modern) {
                    return ended(Err(RpcError::missing_capability(lacking)));
                }
                ended(Err(self.relayed(failure)))
            }
        }
    }

    /// A notification as the client gets it, if it does.
    fn notification(&self, method: &str, params: &RawValue) -> Option<String> {
        if !self.streams {
            return None;
        }
        let mut text = Cow::Borrowed(params.get());
        match method {
            "notifications/progress" => {
                let token = self.token.as_ref()?;
                let members = Members::read(params.get()).ok()?;
                let at = place(params.get(), members.get("progressToken")?)?;
                text = Cow::Owned(splice(params.get(), vec![(at, token.get().to_owned())]));
            }
            "notifications/message" => {
                let members = Members::read(params.get()).ok()?;
                let level: Option<Level> = members
                    .string("level")
                    .ok()?
                    .and_then(|level| level.parse().ok());
                let wanted = match self.level {
                    Some(least) => level.is_some_and(|level| level >= least),
                    // Whoever is of the modern era has to ask.
                    None => !self.modern,
                };
                if !wanted {
                    return None;
                }
            }
            // Changes are announced where clients listen for them; what a server cancels is a
            // request of its own, under an id that the client does not know.
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated"
            | "notifications/cancelled" => return None,
            _ => {}
        }
        let text = self.told(method, &text);
        let method = quoted(method);
        Some(format!(
            r#"{{"jsonrpc":"2.0","method":{method},"params":{text}}}"#
        ))
    }

    /// The server asks the client in the middle of the request.
    fn asked(
        &mut self,
        exchange: Box<dyn Exchange>,
        id: Box<RawValue>,
        method: &str,
        params: &RawValue,
    ) -> Ended<Option<String>> {
        let answer = |code, text: &str| Response::Error(error_text(code, text));
        if method == "ping" {
            let pong = Response::Result(RawValue::from_string("{}".to_owned()).unwrap_or_default());
            self.state = State::Answering(exchange, id, pong);
            return Ok(None);
        }
        if !self.forward.abilities.allow(method) {
            self.lacking = ClientAbilities::needed(method);
            let refusal = answer(-32_601, "The client cannot be asked this");
            self.state = State::Answering(exchange, id, refusal);
            return Ok(None);
        }
        let params = self.told(method, params.get());
        if self.modern {
            let keep = self.gateway.settings.input_timeout;
            let waiting = self.gateway.questions.wait(self.call(), exchange, id, keep);
            let method = quoted(method);
            return ended(waiting.map_err(|error| internal(&error)).map(|state| {
                let text = format!(
                    r#"{{"resultType":"{INPUT_REQUIRED}","inputRequests":{{"{INPUT}":{{"method":{method},"params":{params}}}}},"requestState":"{state}"}}"#
                );
                Outcome(vec![text.into()])
            }));
        }
        if let (roots::LIST, Some(session), Some(teller)) = (method, self.owner, exchange.teller())
        {
            let server = &self.route.server;
            self.gateway.roots.asked(session, server, teller);
        }
        let mut question = match self.gateway.questions.ask(self.owner) {
            Ok(question) => question,
            Err(error) => return ended(Err(internal(&error))),
        };
        let ours = question.with_token(&params);
        let message = request(&question, method, ours.as_deref().unwrap_or(&params));
        self.state = State::Asking(exchange, id, question);
        Ok(Some(message))
    }

    /// Takes up a call that waits for the input in this retry.
    fn resume(&mut self, request: &Request<'_>) -> Result<(), RpcError> {
        let Ok(Some(state)) = request.params.string(STATE) else {
            return Ok(());
        };
        if !state.starts_with(WAITING) {
            return Ok(());
        }
        let responses = request.params.get("inputResponses");
        let responses = responses
            .map(|raw| members("inputResponses", raw))
            .transpose()?
            .unwrap_or_default();
        let Some(response) = responses.get(INPUT) else {
            return Err(RpcError::invalid_params(format!(
                "Invalid params: `inputResponses` has no `{INPUT}`"
            )));
        };
        let waiting = self.gateway.questions.resume(&state, &self.call());
        let waiting = waiting.ok_or_else(unknown_state)?;
        let response = self.answer_for_server(Response::Result(response.to_owned()));
        self.state = State::Answering(waiting.exchange, waiting.request, response);
        Ok(())
    }

    fn call(&self) -> Call {
        Call {
            server: self.route.server.clone(),
            method: self.forward.method.clone(),
            own: self.route.own.clone(),
            caller: self.who,
        }
    }

    /// The result as the client gets it.
    pub(super) fn finished(
        &self,
        result: Box<RawValue>,
        given: Given,
    ) -> Result<Outcome, RpcError> {
        if !result.get().starts_with('{') {
            return Err(self.nonsense());
        }
        let text = self.in_our_words(result.get());
        let text: Bytes = match text {
            Cow::Owned(text) => text.into(),
            Cow::Borrowed(_) => String::from(Box::<str>::from(result)).into(),
        };
        if !self.modern {
            return Ok(Outcome(vec![text]));
        }
        let cacheable = self.forward.method == RESOURCES_READ;
        Ok(result::complete(text, given, cacheable))
    }

    /// The server did its part of the conversation.
    fn answered(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.answered();
        }
    }

    /// The server is not called now.
    fn refused(&self, refused: &Refused) -> Result<Outcome, RpcError> {
        if let Some(tool) = &self.tool {
            let result = result::refusal(tool, &self.route, refused)?;
            return Ok(result::finished(result, self.modern));
        }
        let mut error = self.unanswered(&refused.error());
        let after = serde_json::json!({result::RETRY_AFTER: refused.seconds()});
        error.data = serde_json::value::to_raw_value(&after).ok();
        Err(error)
    }

    /// The server did not answer. A model can act on that where it called a tool.
    pub(super) fn failed(&mut self, error: &Error) -> Result<Outcome, RpcError> {
        self.counted.ended(result::ended_by(error));
        if let Some(permit) = &mut self.permit {
            permit.refused(error);
        }
        let login = self.to_log_in(error);
        login.unwrap_or_else(|| self.said(error))
    }

    /// An error as the client gets it.
    pub(super) fn said(&self, error: &Error) -> Result<Outcome, RpcError> {
        if let Some(tool) = &self.tool {
            let result = result::failure(tool, &self.route, error)?;
            return Ok(result::finished(result, self.modern));
        }
        tracing::debug!(server = %self.route.server, method = self.forward.method, error = %error.report(), "a request failed");
        if error.kind() == ErrorKind::Internal {
            tracing::error!(server = %self.route.server, error = %error.report(), "a request failed");
            return Err(RpcError::internal());
        }
        Err(self.unanswered(error))
    }

    fn unanswered(&self, error: &Error) -> RpcError {
        RpcError::unanswered(format!(
            "The server {} did not answer this request: {}",
            self.route.server,
            result::clipped(&error.to_string())
        ))
    }

    pub(super) fn nonsense(&self) -> RpcError {
        RpcError::unanswered(format!(
            "The server {} gave a result that makes no sense",
            self.route.server
        ))
    }

    /// An error of the server, as it is.
    fn relayed(&self, failure: Failure) -> RpcError {
        let mut error = RpcError::relayed(failure.code, failure.message, self.modern);
        error.data = failure.data;
        error
    }
}

/// The end of a conversation, in whichever way, is an `Err`.
pub(super) type Ended<T> = Result<T, Box<Result<Outcome, RpcError>>>;

pub(super) fn ended<T>(end: Result<Outcome, RpcError>) -> Ended<T> {
    Err(Box::new(end))
}

/// A piece of work that takes from the time that is left. It may end by itself within `step`.
async fn within<T>(
    left: &mut Duration,
    step: Option<Duration>,
    work: impl Future<Output = mcphub_core::Result<T>>,
) -> mcphub_core::Result<T> {
    let begun = Instant::now();
    let done = match step {
        Some(step) if step < *left => Ok(work.await),
        // Boxed, because a timer is large and most steps need none.
        _ => Box::pin(timeout(*left, work)).await,
    };
    *left = left.saturating_sub(begun.elapsed());
    done.unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Timeout,
            "it took longer than a request may take",
        ))
    })
}

pub(super) fn request(question: &Question, method: &str, params: &str) -> String {
    let (id, method) = (question.id(), quoted(method));
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#)
}

fn error_text(code: i64, message: &str) -> Box<RawValue> {
    let message = quoted(message);
    RawValue::from_string(format!(r#"{{"code":{code},"message":{message}}}"#)).unwrap_or_default()
}

pub(super) fn internal(error: &Error) -> RpcError {
    tracing::error!(error = %error.report(), "a request failed");
    RpcError::internal()
}
