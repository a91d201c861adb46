//! What a server of the modern era asks of a client of the old one: its result becomes requests, and
//! the answers become the request again (2026-07-28, Multi Round-Trip Requests).

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::conversation::{Conversation, Ended, INPUT_REQUIRED, State, ended, internal, request};
use super::error::RpcError;
use super::questions::Question;
use super::routing;
use crate::members::{Members, quoted};
use crate::metrics::Ended as How;
use crate::upstream::{Given, Response};

/// How often one request may ask for input of a client of the old era, which cannot refuse to send
/// it again.
const MAX_ROUNDS: usize = 16;

/// The most things that one result may ask for.
const MAX_INPUTS: usize = 64;

/// What a result of the modern era asks, of a client of the old one.
#[derive(Debug)]
pub(super) struct Gathering {
    /// The key, the method and the params of what is to be asked, last first.
    ahead: Vec<(String, String, String)>,
    asked: Option<(String, Question)>,
    /// Members of `inputResponses`.
    answers: Vec<String>,
    /// The member `requestState` of the retry.
    state: Option<Box<RawValue>>,
}

impl Conversation {
    /// A result for a client of the old era that says of what kind it is.
    pub(super) fn strange(&mut self, result: &RawValue) -> Ended<Option<String>> {
        let Ok(members) = Members::read(result.get()) else {
            return ended(Err(self.nonsense()));
        };
        if members.string("resultType") != Ok(Some(Cow::Borrowed(INPUT_REQUIRED))) {
            let newer = |name: &str| matches!(name, "resultType" | "ttlMs" | "cacheScope");
            let kept = format!("{{{}}}", routing::joined(&members, |_| None, newer));
            return match RawValue::from_string(kept) {
                Ok(kept) => ended(self.finished(kept, Given::default())),
                Err(_) => ended(Err(self.nonsense())),
            };
        }
        self.rounds += 1;
        // It goes on, and a client that goes away now has abandoned it.
        self.counted.ended(How::Abandoned);
        let mut ahead = Vec::new();
        let asked = members.get("inputRequests");
        if let Some(asked) = asked.and_then(|raw| Members::read(raw.get()).ok()) {
            for (key, raw) in asked.iter() {
                let Ok(input) = Members::read(raw.get()) else {
                    return ended(Err(self.nonsense()));
                };
                let Ok(Some(method)) = input.string("method") else {
                    return ended(Err(self.nonsense()));
                };
                let params = input.get("params").map_or("{}", RawValue::get);
                ahead.push((key.to_string(), method.into_owned(), params.to_owned()));
            }
        }
        if self.rounds > MAX_ROUNDS || ahead.len() > MAX_INPUTS {
            return ended(Err(RpcError::unanswered(format!(
                "The server {} asks too much",
                self.route.server
            ))));
        }
        if let Some((_, method, _)) = ahead
            .iter()
            .find(|(_, method, _)| !self.streams || !self.forward.abilities.allow(method))
        {
            return ended(Err(RpcError::unanswered(format!(
                "The server {} needs an answer to {}, which this client cannot give",
                self.route.server,
                clipped(method)
            ))));
        }
        ahead.reverse();
        self.state = State::Gathering(Gathering {
            ahead,
            asked: None,
            answers: Vec::new(),
            state: members.get("requestState").map(RawValue::to_owned),
        });
        Ok(None)
    }

    pub(super) async fn gather(&mut self, mut gathering: Gathering) -> Ended<Option<String>> {
        if let Some((key, mut question)) = gathering.asked.take() {
            match question
                .answer(self.gateway.settings.input_timeout, None)
                .await
            {
                Some(Response::Result(result)) => {
                    let (key, result) = (quoted(&key), result.get());
                    gathering.answers.push(format!("{key}:{result}"));
                }
                Some(Response::Error(_)) => {
                    return ended(Err(RpcError::unanswered(
                        "The client refused what the server asked",
                    )));
                }
                None => {
                    return ended(Err(RpcError::unanswered(
                        "The client did not answer in time what the server asked",
                    )));
                }
            }
        }
        if let Some((key, method, params)) = gathering.ahead.pop() {
            let question = match self.gateway.questions.ask(self.owner) {
                Ok(question) => question,
                Err(error) => return ended(Err(internal(&error))),
            };
            let message = request(&question, &method, &params);
            gathering.asked = Some((key, question));
            self.state = State::Gathering(gathering);
            return Ok(Some(message));
        }
        self.retry(&gathering);
        Ok(None)
    }

    /// The request again, with what was gathered.
    fn retry(&mut self, gathering: &Gathering) {
        let before = format!("{{{}}}", self.forward.params);
        let members = Members::read(&before).unwrap_or_default();
        let replaced = |name: &str| matches!(name, "inputResponses" | "requestState");
        let mut parts = vec![routing::joined(&members, |_| None, replaced)];
        parts.retain(|part| !part.is_empty());
        if !gathering.answers.is_empty() {
            let answers = gathering.answers.join(",");
            parts.push(format!(r#""inputResponses":{{{answers}}}"#));
        }
        if let Some(state) = &gathering.state {
            parts.push(format!(r#""requestState":{}"#, state.get()));
        }
        Arc::make_mut(&mut self.forward).params = parts.join(",");
        self.state = State::Opening;
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(128).collect()
}
