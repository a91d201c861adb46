//! Asking servers for what they list.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use mcphub_core::{Error, ErrorKind, Result};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::{Inner, drain};
use crate::roster::{Connected, Watcher};
use crate::upstream::{Inventory, Upstream};

/// The first pause after a server did not list its tools; it doubles up to
/// [`GatewaySettings::list_interval`](crate::GatewaySettings::list_interval).
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// The shortest time between two lists of one server, however often it says that they changed.
const MIN_LIST_PAUSE: Duration = Duration::from_millis(100);

/// The most servers that are asked at once. With thousands, all at once would take their connections
/// and their answers' memory together, and the time of calls.
pub(super) const AT_ONCE: usize = 64;

/// How long a server counts among those: one that hangs keeps nobody else waiting for longer.
const TURN: Duration = Duration::from_millis(250);

impl Inner {
    /// Asks a server for its tools: now, when it says that they changed, from time to time, and
    /// after a growing pause while it does not answer.
    pub(super) fn watch(self: &Arc<Self>, server: Connected) -> Watcher {
        let (inner, turns) = (Arc::downgrade(self), Arc::clone(&self.lists));
        let Connected {
            name,
            connection,
            upstream,
            changes,
        } = server;
        let (limit, interval) = (self.settings.list_timeout, self.settings.list_interval);
        let task = async move {
            // A stream that ends is a server that will not say so any more.
            let mut announced = upstream.changes().chain(stream::pending()).boxed();
            let mut retry = FIRST_RETRY.min(interval);
            let mut next = apart(connection, interval);
            loop {
                let answer = list(&turns, &*upstream, limit).await;
                let pause = match &answer {
                    Ok(_) if changes => Some(std::mem::replace(&mut next, interval)),
                    Ok(_) => None,
                    Err(_) => Some(retry),
                };
                retry = if answer.is_ok() {
                    FIRST_RETRY
                } else {
                    retry * 2
                }
                .min(interval);
                let Some(here) = inner.upgrade() else { return };
                let later = here.roster.listed(&name, connection, answer);
                drop(here);
                if let Some(later) = later {
                    if !later.is_zero() {
                        sleep(later).await;
                    }
                    let Some(here) = inner.upgrade() else { return };
                    here.catch_up().await;
                }
                let again = async {
                    let known = async {
                        sleep(MIN_LIST_PAUSE).await;
                        if let Some(here) = inner.upgrade() {
                            here.roster.read(&name);
                        }
                    };
                    let pause = async {
                        match pause {
                            Some(pause) => sleep(pause).await,
                            None => std::future::pending().await,
                        }
                    };
                    futures::join!(known, pause);
                };
                tokio::select! {
                    _ = announced.next() => {
                        sleep(MIN_LIST_PAUSE).await;
                        drain(&mut announced, |_| {});
                    }
                    () = again => {}
                }
            }
        };
        Watcher(tokio::spawn(task))
    }
}

/// When a server is asked for the second time: servers that were met together are asked one after
/// the other from then on, all within the interval.
fn apart(connection: u64, interval: Duration) -> Duration {
    // Multiples of the golden ratio spread evenly, however many there are.
    const RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    let part = connection.wrapping_mul(RATIO) >> 32;
    let nanos = (interval.as_nanos() * u128::from(part)) >> 32;
    u64::try_from(nanos).map_or(interval, Duration::from_nanos)
}

async fn list(turns: &Semaphore, upstream: &dyn Upstream, limit: Duration) -> Result<Inventory> {
    // It is never closed.
    let turn = turns.acquire().await;
    let mut listing = Box::pin(timeout(limit, upstream.inventory()));
    let answer = match timeout(TURN, &mut listing).await {
        Ok(answer) => answer,
        Err(_) => {
            drop(turn);
            listing.await
        }
    };
    answer.unwrap_or_else(|_| {
        let message = "the server did not list its tools in time";
        Err(Error::new(ErrorKind::Timeout, message).with("limit", format!("{limit:?}")))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::ThreadId;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use mcphub_core::call::Arguments;
    use mcphub_core::catalog::{
        Catalog, CatalogServer, CatalogSource, CatalogVersion, Upstream as Target,
    };
    use mcphub_core::deployment::Endpoint;
    use mcphub_core::server::ServerName;
    use mcphub_core::spec::Dialect;
    use mcphub_core::tool::{ApiInfo, ToolSet};
    use serde_json::json;
    use serde_json::value::to_raw_value;
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;
    use crate::Gateway;
    use crate::federation::Scope;
    use crate::upstream::{CallResult, Connect, UpstreamTool};

    /// A catalogue of servers, and each of them, with so many tools.
    #[derive(Debug, Clone)]
    struct Shop {
        servers: usize,
        tools: Arc<AtomicUsize>,
        changed: Arc<Notify>,
        /// Where servers were connected.
        threads: Arc<Mutex<HashSet<ThreadId>>>,
    }

    impl Shop {
        fn new(servers: usize, tools: usize) -> Self {
            Self {
                servers,
                tools: Arc::new(AtomicUsize::new(tools)),
                changed: Arc::default(),
                threads: Arc::default(),
            }
        }
    }

    #[async_trait]
    impl CatalogSource for Shop {
        async fn version(&self) -> Result<CatalogVersion> {
            Ok(CatalogVersion::default())
        }

        async fn catalog(&self) -> Result<Catalog> {
            let api = ApiInfo {
                title: "Shop".to_owned(),
                version: "1".to_owned(),
                dialect: Dialect::default(),
                description: None,
            };
            let tools = ToolSet {
                api,
                servers: Vec::new(),
                security_schemes: Default::default(),
                tools: Vec::new(),
            };
            let endpoint = Endpoint {
                url: "http://shop.test/mcp".parse().unwrap(),
                headers: Vec::new(),
            };
            let tools = Arc::new(tools);
            let server = |number: usize| CatalogServer {
                name: ServerName::new(format!("shop-{number}")).unwrap(),
                revision: CatalogVersion::default(),
                tools: Arc::clone(&tools),
                upstream: Target::Mcp(endpoint.clone()),
            };
            Ok(Catalog {
                servers: (0..self.servers).map(server).map(Arc::new).collect(),
                ..Catalog::default()
            })
        }
    }

    impl Connect for Shop {
        fn connect(&self, _server: &CatalogServer) -> Arc<dyn Upstream> {
            let here = std::thread::current().id();
            self.threads.lock().unwrap().insert(here);
            Arc::new(self.clone())
        }
    }

    #[async_trait]
    impl Upstream for Shop {
        async fn tools(&self) -> Result<Vec<UpstreamTool>> {
            let tool = |number| {
                let name = format!("tool_{number}");
                let definition = json!({"name": name, "inputSchema": {"type": "object"}});
                UpstreamTool {
                    definition: to_raw_value(&definition).unwrap(),
                    name,
                }
            };
            Ok((0..self.tools.load(Ordering::SeqCst)).map(tool).collect())
        }

        async fn call(&self, _tool: &str, _arguments: &Arguments<'_>) -> Result<CallResult> {
            Err(Error::internal("nobody calls it"))
        }

        fn changes(&self) -> BoxStream<'static, ()> {
            let changed = Arc::clone(&self.changed);
            Box::pin(
                stream::repeat_with(move || Arc::clone(&changed))
                    .then(async |changed| changed.notified().await),
            )
        }
    }

    fn gateway(shop: &Shop) -> Gateway {
        let gateway = Gateway::builder(Arc::new(shop.clone())).connector(Arc::new(shop.clone()));
        gateway.build().unwrap()
    }

    fn served(gateway: &Gateway) -> usize {
        gateway.inner.view(&Scope::All, None).unwrap().tool_count()
    }

    /// After which time a change is served, where the snapshot before was made in `took`.
    async fn served_after(took: Duration) -> Duration {
        let shop = Shop::new(1, 0);
        let gateway = gateway(&shop);
        gateway.refresh().await.unwrap();
        assert_eq!(served(&gateway), 0);
        gateway.inner.roster.made_in(took);
        let begun = Instant::now();
        shop.tools.store(3, Ordering::SeqCst);
        shop.changed.notify_one();
        while served(&gateway) == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it is never served"
            );
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(served(&gateway), 3);
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_waits_for_its_server_to_rest_and_after_a_snapshot_that_took_long() {
        let about = |time: Duration| time..=time + Duration::from_millis(5);
        for (took, wait) in [(0, 100), (1, 100), (100, 400), (125, 500), (60_000, 500)] {
            let after = served_after(Duration::from_millis(took)).await;
            let wait = about(Duration::from_millis(wait));
            assert!(wait.contains(&after), "{took} ms: {after:?}");
        }
    }

    #[tokio::test]
    async fn many_servers_are_changed_where_no_request_waits_and_nothing_that_they_list_is_lost() {
        let shop = Shop::new(300, 2);
        let gateway = gateway(&shop);
        gateway.refresh().await.unwrap();
        assert_eq!(served(&gateway), 600);
        let here = std::thread::current().id();
        assert!(!shop.threads.lock().unwrap().contains(&here));
    }

    #[tokio::test]
    async fn a_snapshot_of_many_servers_is_dropped_after_a_while() {
        let gateway = gateway(&Shop::new(300, 0));
        gateway.refresh().await.unwrap();
        let before = Arc::downgrade(&gateway.inner.roster.snapshot());
        gateway.refresh().await.unwrap();
        let begun = Instant::now();
        while before.strong_count() > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is kept");
            sleep(Duration::from_millis(10)).await;
        }
    }

    #[test]
    fn servers_that_were_met_together_are_asked_apart() {
        let interval = Duration::from_secs(30);
        let mut times: Vec<_> = (1..=3_000).map(|number| apart(number, interval)).collect();
        times.sort_unstable();
        assert!(times.last().is_some_and(|last| *last < interval));
        let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
        // A hundred a second, and never more than three at once.
        assert!(
            gaps.max()
                .is_some_and(|gap| gap < Duration::from_millis(30))
        );
        let at_once = times.windows(4).map(|four| four[3] - four[0]).min();
        assert!(at_once.is_some_and(|least| least > Duration::from_millis(5)));
        assert_eq!(apart(7, Duration::ZERO), Duration::ZERO);
    }
}
