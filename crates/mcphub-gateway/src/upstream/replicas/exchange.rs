//! One request among replicas: it goes to another where it may, and to a second one where the first
//! is slow.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::{FutureExt, select_ok};
use mcphub_core::{Error, Result};
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout};

use super::choice::{Draw, Tried, bit};
use super::fleet::{Fleet, Placed, may_go_on};
use crate::upstream::{Exchange, Forward, Response, Said, Tell};

/// How a server says that it does not know a task (2026-07-28, Tasks).
const UNKNOWN: i64 = -32_602;

/// A request at one of the replicas.
#[derive(Debug)]
pub(super) struct ReplicaExchange {
    fleet: Arc<Fleet>,
    forward: Arc<Forward>,
    draw: Draw,
    tried: Tried,
    placed: Placed,
    /// What was said while it was not known which replica would answer first.
    first: Option<Said>,
    /// Something was passed on, so that it cannot begin anew.
    begun: bool,
    /// Its task is looked for.
    seeks: bool,
}

impl ReplicaExchange {
    /// Sends a request.
    pub(super) async fn open(fleet: Arc<Fleet>, forward: Arc<Forward>) -> Result<Self> {
        let (seeks, draw) = (fleet.seeks(&forward), fleet.draw(&forward));
        let mut tried = 0;
        let (placed, first) = match &fleet.pace {
            Some(pace) if forward.repeatable => {
                let begun = Instant::now();
                let heard = Self::race(&fleet, &forward, draw, &mut tried).await?;
                pace.note(begun.elapsed());
                (heard.0, Some(heard.1))
            }
            _ => (fleet.place(&forward, draw, &mut tried).await?, None),
        };
        Ok(Self {
            fleet,
            forward,
            draw,
            tried,
            placed,
            first,
            begun: false,
            seeks,
        })
    }

    /// The replica that says something first, of one and, after a while, two.
    async fn race(
        fleet: &Fleet,
        forward: &Arc<Forward>,
        draw: Draw,
        tried: &mut Tried,
    ) -> Result<(Placed, Said)> {
        let pace = fleet.pace.as_ref();
        let Some((delay, pace)) = pace.and_then(|pace| Some((pace.delay()?, pace))) else {
            return Self::hear(fleet, forward, draw, tried).await;
        };
        // The first may go on to others by itself; the second begins elsewhere.
        let mut other = *tried
            | fleet
                .next(forward, draw, *tried)
                .map_or(0, |(at, _)| bit(at));
        let mut first = Self::hear(fleet, forward, draw, tried).boxed();
        if let Ok(heard) = timeout(delay, &mut first).await {
            return heard;
        }
        let somewhere = fleet
            .next(forward, draw, other)
            .is_some_and(|(_, member)| member.is_well());
        if !somewhere || !pace.spend() {
            return first.await;
        }
        tracing::debug!(server = %fleet.server(), method = forward.method, "a slow request goes to a second replica");
        let second = Self::hear(fleet, forward, draw, &mut other).boxed();
        select_ok([first, second]).await.map(|(heard, _)| heard)
    }

    async fn hear(
        fleet: &Fleet,
        forward: &Arc<Forward>,
        draw: Draw,
        tried: &mut Tried,
    ) -> Result<(Placed, Said)> {
        loop {
            let mut placed = fleet.place(forward, draw, tried).await?;
            match placed.exchange.next().await {
                Ok(said) => return Ok((placed, said)),
                Err(error) => {
                    placed.failed(&error);
                    if !may_go_on(forward, &error) || fleet.next(forward, draw, *tried).is_none() {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The request again, at another replica; else the error that it came to.
    async fn again(&mut self, error: Error) -> Result<()> {
        match self
            .fleet
            .place(&self.forward, self.draw, &mut self.tried)
            .await
        {
            Ok(placed) => {
                self.placed = placed;
                Ok(())
            }
            Err(_) => Err(error),
        }
    }
}

#[async_trait]
impl Exchange for ReplicaExchange {
    async fn next(&mut self) -> Result<Said> {
        loop {
            let said = match self.first.take() {
                Some(said) => Ok(said),
                None => self.placed.exchange.next().await,
            };
            match said {
                Ok(said) if self.seeks && is_unknown(&said) => {
                    self.placed.answered(&said);
                    match self
                        .fleet
                        .place(&self.forward, self.draw, &mut self.tried)
                        .await
                    {
                        Ok(placed) => self.placed = placed,
                        Err(_) => return Ok(said),
                    }
                }
                Ok(said) => {
                    self.begun = true;
                    if !matches!(said, Said::Notification { .. }) {
                        self.placed.answered(&said);
                        self.fleet.heard(&self.forward, &self.placed, &said);
                    }
                    return Ok(said);
                }
                Err(error) => {
                    self.placed.failed(&error);
                    if self.begun || !may_go_on(&self.forward, &error) {
                        return Err(error);
                    }
                    self.again(error).await?;
                }
            }
        }
    }

    async fn answer(&mut self, id: &RawValue, answer: Response) -> Result<()> {
        self.placed.exchange.answer(id, answer).await
    }

    fn teller(&self) -> Option<Arc<dyn Tell>> {
        self.placed.exchange.teller()
    }
}

fn is_unknown(said: &Said) -> bool {
    matches!(said, Said::Failure(failure) if failure.code == UNKNOWN)
}
