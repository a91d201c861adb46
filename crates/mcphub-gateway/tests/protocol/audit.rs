//! Calls that are noted in the audit log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use mcphub_core::audit::{AuditHead, AuditNote, AuditPage, AuditQuery};
use mcphub_core::store::AuditStore;
use mcphub_core::{Error, ErrorKind, Result};
use mcphub_gateway::{AuditedCalls, CallAudit, KeyAuthenticator, WhenFull};
use serde_json::{Value, json};

use super::keys::{Keys, allowed, everything};
use super::support::*;

/// A log that a test reads, and that is away at times.
#[derive(Debug, Default)]
pub struct Log {
    notes: Mutex<Vec<AuditNote>>,
    away: AtomicBool,
}

#[async_trait]
impl AuditStore for Log {
    async fn audit(&self, _: &AuditQuery) -> Result<AuditPage> {
        Ok(AuditPage::default())
    }

    async fn audit_head(&self) -> Result<AuditHead> {
        Ok(AuditHead::default())
    }

    async fn note(&self, notes: &[AuditNote]) -> Result<()> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "the store is away"));
        }
        self.notes.lock().unwrap().extend_from_slice(notes);
        Ok(())
    }
}

impl Log {
    /// `ACTOR ACTION TARGET OUTCOME` of each note.
    fn lines(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap();
        let line = |note: &AuditNote| {
            let detail: Value = serde_json::from_str(note.detail.get()).unwrap();
            let outcome = detail["outcome"].as_str().unwrap_or_default();
            format!("{} {} {} {outcome}", note.actor, note.action, note.target)
        };
        notes.iter().map(line).collect()
    }
}

/// A shop with a tool that reads and one that does not say so.
pub async fn noting(audit: CallAudit) -> (Served, Arc<Log>, Arc<Keys>) {
    let hub = Arc::new(Hub::default());
    let shop = Server::with(&["get", "unreachable", "hang"]);
    let write = json!({"name": "buy", "inputSchema": {"type": "object"}});
    shop.tools.lock().unwrap().push(write);
    hub.register("shop", &shop);
    let (log, keys) = (Arc::<Log>::default(), Arc::<Keys>::default());
    let gateway = builder(&hub, quick())
        .audit(log.clone(), audit)
        .authenticator(Arc::new(KeyAuthenticator::new(keys.clone())));
    let served = serve_gateway(hub, gateway.build().unwrap()).await;
    (served, log, keys)
}

async fn call(served: &Served, token: &str, tool: &str) -> Value {
    let params = json!({"name": format!("shop_{tool}"), "arguments": {"card": "told-nobody"}});
    let request = served.modern_request("/mcp", &modern_body(1, "tools/call", params));
    answer(request.bearer_auth(token)).await.1
}

fn of(calls: AuditedCalls) -> CallAudit {
    let mut audit = CallAudit::default();
    audit.calls = calls;
    audit
}

#[tokio::test]
async fn a_note_says_who_called_what_and_how_it_ended_and_nothing_that_was_said() {
    let (served, log, keys) = noting(of(AuditedCalls::All)).await;
    let (ci, reader) = (
        keys.add("ci", everything()),
        keys.add("reader", allowed(&[], true)),
    );
    call(&served, &ci, "get").await;
    call(&served, &ci, "unreachable").await;
    call(&served, &ci, "buy").await;
    assert_eq!(call(&served, &reader, "buy").await["error"]["code"], -31403);
    let params = json!({"name": "shop_hang", "arguments": {}});
    let hanging = served.modern_request("/mcp", &modern_body(1, "tools/call", params));
    let hanging = tokio::spawn(hanging.bearer_auth(&ci).send());
    until("it runs", async || served.hub.calls("shop", "hang") == 1).await;
    hanging.abort();
    let wanted = [
        "key:ci tool.call tool:shop/get ok",
        "key:ci tool.call tool:shop/unreachable unanswered",
        "key:ci tool.call tool:shop/buy ok",
        "key:reader tool.call tool:shop/buy denied",
        "key:ci tool.call tool:shop/hang abandoned",
    ];
    until("all is noted", async || log.lines().len() == wanted.len()).await;
    assert_eq!(log.lines(), wanted);
    let notes = log.notes.lock().unwrap();
    let all = format!("{notes:?}");
    assert!(!all.contains("told-nobody") && !all.contains(&ci), "{all}");
    assert!(notes.iter().all(|note| note.at > 1_700_000_000_000));
}

#[tokio::test]
async fn calls_that_read_are_left_out_where_only_writes_are_noted() {
    let (served, log, keys) = noting(of(AuditedCalls::Writes)).await;
    let ci = keys.add("ci", everything());
    call(&served, &ci, "get").await;
    call(&served, &ci, "buy").await;
    served.gateway.leave().await;
    assert_eq!(log.lines(), ["key:ci tool.call tool:shop/buy ok"]);
}

#[tokio::test]
async fn what_is_not_noted_for_want_of_room_is_counted_in_the_log() {
    let mut audit = of(AuditedCalls::Writes);
    audit.max_waiting = 2;
    let (served, log, keys) = noting(audit).await;
    let ci = keys.add("ci", everything());
    log.away.store(true, Ordering::SeqCst);
    for _ in 0..9 {
        let answer = call(&served, &ci, "buy").await;
        assert!(answer["result"]["content"].is_array(), "{answer}");
    }
    log.away.store(false, Ordering::SeqCst);
    // However the notes were taken out of the queue, all calls are told of.
    until("all is told of", async || {
        let notes = log.notes.lock().unwrap();
        let told = notes.iter().map(|note| {
            let detail: Value = serde_json::from_str(note.detail.get()).unwrap();
            detail["calls"].as_u64().unwrap_or(1)
        });
        let dropped = notes
            .iter()
            .any(|note| note.action.as_str() == "calls.drop");
        dropped && told.sum::<u64>() == 9
    })
    .await;
}

#[tokio::test]
async fn calls_that_cannot_be_noted_are_not_made_where_they_are_to_wait() {
    let mut audit = of(AuditedCalls::Writes);
    (audit.max_waiting, audit.full) = (1, WhenFull::Wait);
    // Longer than notes wait for each other, so that what is refused is refused for want of room.
    audit.patience = Duration::from_millis(500);
    let (served, log, keys) = noting(audit).await;
    let ci = keys.add("ci", everything());
    log.away.store(true, Ordering::SeqCst);
    let refused = async || {
        let message = call(&served, &ci, "buy").await["error"]["message"].take();
        message
            .as_str()
            .is_some_and(|text| text.contains("audit log"))
    };
    until("there is no room", refused).await;
    let made = served.hub.calls("shop", "buy");
    assert!(refused().await);
    assert_eq!(served.hub.calls("shop", "buy"), made);
    assert!(call(&served, &ci, "get").await["result"].is_object());
    log.away.store(false, Ordering::SeqCst);
    until("there is room", async || !refused().await).await;
    served.gateway.leave().await;
    assert_eq!(
        log.lines()
            .iter()
            .filter(|line| line.ends_with(" ok"))
            .count(),
        served.hub.calls("shop", "buy")
    );
}
