//! Requests to clients of the old era, and calls that wait for input of modern ones.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcphub_core::server::ServerName;
use mcphub_core::shared::SessionKey;
use mcphub_core::{Error, Result};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::members::{Members, place, splice, string};
use crate::upstream::{Exchange, Response, Tell};

/// What begins the state that stands for a call which waits here.
pub(crate) const WAITING: &str = "mcphub-waiting-";

/// The most calls that wait for input of modern clients. Of more, the oldest are given up.
const MAX_WAITING: usize = 1_024;

/// How much progress of an answer waits for its server to take it. What is more is left out.
const MAX_PROGRESS: usize = 16;

/// The longest message of progress that is passed on, in bytes.
const MAX_MESSAGE: usize = 4_096;

/// What was asked and is not answered.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: Mutex<HashMap<String, Asked>>,
    waiting: Mutex<VecDeque<Waiting>>,
}

#[derive(Debug)]
struct Asked {
    owner: Option<SessionKey>,
    answer: oneshot::Sender<Response>,
    progress: mpsc::Sender<String>,
}

/// A question to a client. Nobody waits for its answer once this is dropped.
#[derive(Debug)]
pub(crate) struct Question {
    questions: Arc<Questions>,
    id: String,
    answer: oneshot::Receiver<Response>,
    /// What the client says of its progress: members of `params` but the token.
    progress: mpsc::Receiver<String>,
    /// The token of the server, where it wants to hear of that.
    token: Option<Box<RawValue>>,
}

/// A call whose server waits for input.
#[derive(Debug)]
pub(crate) struct Waiting {
    token: String,
    until: Instant,
    /// What the call was, which the retry has to repeat.
    pub(crate) call: Call,
    pub(crate) exchange: Box<dyn Exchange>,
    /// The server's request, by its id.
    pub(crate) request: Box<RawValue>,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) server: ServerName,
    pub(crate) method: String,
    pub(crate) own: Box<str>,
    /// Who made it, where clients are asked who they are.
    pub(crate) caller: Option<SessionKey>,
}

impl Questions {
    /// Asks a client; `owner` is its session.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn ask(self: &Arc<Self>, owner: Option<SessionKey>) -> Result<Question> {
        let id = format!("mcphub-{}", random()?);
        let (sender, answer) = oneshot::channel();
        let (told, progress) = mpsc::channel(MAX_PROGRESS);
        let asked = Asked {
            owner,
            answer: sender,
            progress: told,
        };
        lock(&self.asked).insert(id.clone(), asked);
        Ok(Question {
            questions: Arc::clone(self),
            id,
            answer,
            progress,
            token: None,
        })
    }

    /// Takes what a client says of its progress with an answer (2025-11-25, Progress). What nobody
    /// waits for, comes from another session or is none is ignored.
    pub(crate) fn progress(&self, owner: Option<SessionKey>, params: &Members<'_>) {
        let Ok(Some(id)) = params.string("progressToken") else {
            return;
        };
        let number = |name: &'static str| {
            let raw = params.get(name)?;
            let first = raw.get().as_bytes().first()?;
            let is_one = *first == b'-' || first.is_ascii_digit();
            is_one.then(|| format!(",\"{name}\":{}", raw.get()))
        };
        let Some(mut members) = number("progress") else {
            return;
        };
        members.extend(number("total"));
        if let Some(message) = params.get("message")
            && message.get().len() <= MAX_MESSAGE
            && string(message).is_some()
        {
            members.push_str(",\"message\":");
            members.push_str(message.get());
        }
        let asked = lock(&self.asked);
        if let Some(asked) = asked.get(&*id).filter(|asked| asked.owner == owner) {
            // Full: newer progress says more than older, and there will be some.
            let _ = asked.progress.try_send(members);
        }
    }

    /// Takes a client's answer. One that nobody waits for, or that comes from another session, is
    /// ignored.
    pub(crate) fn answered(&self, owner: Option<SessionKey>, id: &str, response: Response) {
        let mut asked = lock(&self.asked);
        if asked.get(id).is_none_or(|asked| asked.owner != owner) {
            return;
        }
        if let Some(asked) = asked.remove(id) {
            // Fails when whoever asked has gone.
            let _ = asked.answer.send(response);
        }
    }

    /// Keeps a call until its caller sends the input, and gives the state that stands for it.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub(crate) fn wait(
        &self,
        call: Call,
        exchange: Box<dyn Exchange>,
        request: Box<RawValue>,
        keep: Duration,
    ) -> Result<String> {
        let token = format!("{WAITING}{}", random()?);
        let mut waiting = lock(&self.waiting);
        let dropped = (waiting.len() >= MAX_WAITING).then(|| waiting.pop_front());
        waiting.push_back(Waiting {
            token: token.clone(),
            until: Instant::now() + keep,
            call,
            exchange,
            request,
        });
        drop(waiting);
        // Outside the lock: it tells its server.
        drop(dropped);
        Ok(token)
    }

    /// Takes up a call that waits. `None` when there is none of that state that is the same call.
    pub(crate) fn resume(&self, token: &str, call: &Call) -> Option<Waiting> {
        let mut waiting = lock(&self.waiting);
        let found = waiting.iter().position(|waiting| {
            waiting.token == token && waiting.call == *call && Instant::now() < waiting.until
        })?;
        waiting.remove(found)
    }

    /// Gives up the calls that have waited for too long.
    pub(crate) fn expire(&self) {
        let now = Instant::now();
        let mut waiting = lock(&self.waiting);
        let mut over = Vec::new();
        while waiting.front().is_some_and(|waiting| waiting.until <= now) {
            over.extend(waiting.pop_front());
        }
        drop(waiting);
        drop(over);
    }
}

impl Question {
    /// The id of the request, a JSON string.
    pub(crate) fn id(&self) -> String {
        format!("\"{}\"", self.id)
    }

    /// The `params` of the server's request with a progress token of this question, where they have
    /// one: two servers may use the same.
    pub(crate) fn with_token(&mut self, params: &str) -> Option<String> {
        let members = Members::read(params).ok()?;
        let meta = Members::read(members.get("_meta")?.get()).ok()?;
        let token = meta.get("progressToken")?;
        let at = place(params, token)?;
        self.token = Some(token.to_owned());
        Some(splice(params, vec![(at, self.id())]))
    }

    /// Waits for the answer, and tells `server` of the progress until then, where it wants to hear of
    /// that. `None` when the answer does not come in time.
    pub(crate) async fn answer(
        &mut self,
        limit: Duration,
        server: Option<&dyn Tell>,
    ) -> Option<Response> {
        let (token, progress) = (self.token.as_deref(), &mut self.progress);
        let reply = &mut self.answer;
        let told = async {
            let (Some(token), Some(server)) = (token, server) else {
                return std::future::pending().await;
            };
            loop {
                // Ends with the question itself: its sender is kept as long.
                let Some(members) = progress.recv().await else {
                    return std::future::pending().await;
                };
                let params = format!(r#"{{"progressToken":{}{members}}}"#, token.get());
                let Ok(params) = RawValue::from_string(params) else {
                    continue;
                };
                if let Err(error) = server.tell("notifications/progress", &params).await {
                    tracing::debug!(error = %error.report(), "a server did not hear of progress");
                }
            }
        };
        let answered = async {
            tokio::select! {
                biased;
                answer = reply => answer.ok(),
                never = told => never,
            }
        };
        timeout(limit, answered).await.ok()?
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        lock(&self.questions.asked).remove(&self.id);
    }
}

fn random() -> Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)
        .map_err(|error| Error::internal("the system gives no random numbers").caused_by(error))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each change is made whole before anything in it can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Said;
    use async_trait::async_trait;

    #[derive(Debug)]
    struct Silent;

    #[async_trait]
    impl Exchange for Silent {
        async fn next(&mut self) -> Result<Said> {
            std::future::pending().await
        }

        async fn answer(&mut self, _: &RawValue, _: Response) -> Result<()> {
            Ok(())
        }
    }

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn call(own: &str) -> Call {
        Call {
            server: ServerName::new("shop").unwrap(),
            method: "tools/call".to_owned(),
            own: own.into(),
            caller: Some(SessionKey::of("ada")),
        }
    }

    #[tokio::test]
    async fn an_answer_counts_from_the_session_that_was_asked_and_once() {
        let questions = Arc::new(Questions::default());
        let (owner, other) = (SessionKey::of("a"), SessionKey::of("b"));
        let mut question = questions.ask(Some(owner)).unwrap();
        let id = question.id();
        let id = id.trim_matches('"');
        let answer = |text: &str| Response::Result(raw(text));
        questions.answered(Some(other), id, answer("1"));
        questions.answered(None, id, answer("2"));
        questions.answered(Some(owner), "mcphub-0", answer("3"));
        questions.answered(Some(owner), id, answer("4"));
        questions.answered(Some(owner), id, answer("5"));
        let answer = question.answer(Duration::ZERO, None).await;
        assert!(matches!(answer, Some(Response::Result(result)) if result.get() == "4"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_asks_any_more_is_forgotten() {
        let questions = Arc::new(Questions::default());
        let mut question = questions.ask(None).unwrap();
        assert!(
            question
                .answer(Duration::from_secs(60), None)
                .await
                .is_none()
        );
        drop(question);
        assert!(lock(&questions.asked).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_itself_for_a_while() {
        let questions = Questions::default();
        let keep = Duration::from_secs(60);
        let wait = || {
            questions
                .wait(call("a"), Box::new(Silent), raw("1"), keep)
                .unwrap()
        };
        let (first, second) = (wait(), wait());
        assert!(first != second && first.starts_with(WAITING));
        let of_another = Call {
            caller: Some(SessionKey::of("bob")),
            ..call("a")
        };
        assert!(questions.resume(&first, &call("b")).is_none());
        assert!(questions.resume(&first, &of_another).is_none());
        assert!(questions.resume(&first, &call("a")).is_some());
        assert!(questions.resume(&first, &call("a")).is_none());
        tokio::time::advance(keep).await;
        assert!(questions.resume(&second, &call("a")).is_none());
        questions.expire();
        assert!(lock(&questions.waiting).is_empty());
    }

    #[test]
    fn the_calls_that_wait_are_bounded() {
        let questions = Questions::default();
        for _ in 0..MAX_WAITING + 3 {
            let wait = questions.wait(call("a"), Box::new(Silent), raw("1"), Duration::ZERO);
            wait.unwrap();
        }
        assert_eq!(lock(&questions.waiting).len(), MAX_WAITING);
    }
}
