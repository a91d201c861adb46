//! An upstream with what protects the others from it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use mcphub_core::Result;
use mcphub_core::call::Arguments;
use mcphub_core::secret::Credentials;

use super::{CallContext, CallResult, Inventory, Relay, ReplicaHealth, Upstream, UpstreamTool};
use crate::guard::Guard;
use crate::metrics::Meter;

type Calling<'a> = Pin<Box<dyn Future<Output = Result<CallResult>> + Send + 'a>>;

/// An upstream that is called through a [`Guard`]: whoever calls asks that first. What is asked
/// beside calls goes to the upstream itself.
#[derive(Debug)]
pub(crate) struct Guarded {
    upstream: Arc<dyn Upstream>,
    guard: Arc<Guard>,
}

impl Guarded {
    pub(crate) fn new(upstream: Arc<dyn Upstream>, guard: Arc<Guard>) -> Self {
        Self { upstream, guard }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Upstream for Guarded {
    async fn tools(&self) -> Result<Vec<UpstreamTool>> {
        self.upstream.tools().await
    }

    async fn inventory(&self) -> Result<Inventory> {
        self.upstream.inventory().await
    }

    fn relay(&self) -> Option<&dyn Relay> {
        self.upstream.relay()
    }

    fn guard(&self) -> Option<&Arc<Guard>> {
        Some(&self.guard)
    }

    fn meter(&self) -> Option<&Arc<Meter>> {
        self.guard.meter()
    }

    async fn check(&self) -> Result<()> {
        self.upstream.check().await
    }

    fn replicas(&self) -> Vec<ReplicaHealth> {
        self.upstream.replicas()
    }

    // Calls are passed on as they are, where `async` would put a future around a future: that would
    // cost each call an allocation.
    fn call<'s, 't, 'a, 'j, 'f>(
        &'s self,
        tool: &'t str,
        arguments: &'a Arguments<'j>,
    ) -> Calling<'f>
    where
        's: 'f,
        't: 'f,
        'a: 'f,
        'j: 'f,
    {
        self.upstream.call(tool, arguments)
    }

    fn call_in<'s, 't, 'a, 'j, 'c, 'f>(
        &'s self,
        tool: &'t str,
        arguments: &'a Arguments<'j>,
        context: CallContext<'c>,
    ) -> Calling<'f>
    where
        's: 'f,
        't: 'f,
        'a: 'f,
        'j: 'f,
        'c: 'f,
    {
        self.upstream.call_in(tool, arguments, context)
    }

    fn call_limit(&self) -> Option<Duration> {
        self.upstream.call_limit()
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        self.upstream.changes()
    }

    fn take_logins(&self, credentials: &Credentials) -> bool {
        self.upstream.take_logins(credentials)
    }

    async fn close(&self) {
        self.upstream.close().await;
    }
}
