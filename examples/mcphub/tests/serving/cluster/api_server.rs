//! As much of a Kubernetes API server as lists and watches need, on loopback.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// How many objects an answer has at most, however many are asked for: lists have pages.
const PAGE: usize = 2;
const SELECTOR: &str = "labelSelector=io.mcphub.server";

/// A running API server, closed when this is dropped.
pub struct ApiServer {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    cluster: Mutex<Cluster>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Cluster {
    /// By kind, namespace and name.
    objects: BTreeMap<(&'static str, String, String), Value>,
    /// What changed, in its order: the kind, the namespace and the event.
    events: Vec<(&'static str, String, Value)>,
    /// What every request is answered with instead.
    fault: Option<(u16, &'static str)>,
    /// It is older than slices of endpoints.
    old: bool,
    /// What was asked, in its order.
    asked: Vec<String>,
}

impl ApiServer {
    /// An empty cluster.
    pub fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// An empty cluster whose API server is at this address.
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).expect("a free port");
        listener.set_nonblocking(true).expect("it can be");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State {
            cluster: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&state));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    ended = axum::serve(listener, app) => panic!("it ended: {ended:?}"),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A kubeconfig whose context `test` is of the namespace `team`, and whose token is `s3cret-token`.
    pub fn kubeconfig(address: SocketAddr) -> String {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "u", "user": { "token": "s3cret-token" } }],
            "contexts": [
                { "name": "test", "context": { "cluster": "c", "user": "u", "namespace": "team" } },
            ],
        });
        config.to_string()
    }

    /// Makes or changes an object.
    pub fn put(&self, kind: &'static str, namespace: &str, name: &str, mut object: Value) {
        self.change(|cluster, version| {
            let metadata = &mut object["metadata"];
            metadata["namespace"] = json!(namespace);
            metadata["name"] = json!(name);
            metadata["resourceVersion"] = json!(version.to_string());
            let key = (kind, namespace.to_owned(), name.to_owned());
            let known = cluster.objects.insert(key, object.clone()).is_some();
            let event = if known { "MODIFIED" } else { "ADDED" };
            let event = json!({ "type": event, "object": object });
            cluster.events.push((kind, namespace.to_owned(), event));
        });
    }

    /// Removes an object.
    pub fn remove(&self, kind: &'static str, namespace: &str, name: &str) {
        self.change(|cluster, version| {
            let key = (kind, namespace.to_owned(), name.to_owned());
            let mut object = cluster.objects.remove(&key).expect("it is there");
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            let event = json!({ "type": "DELETED", "object": object });
            cluster.events.push((kind, namespace.to_owned(), event));
        });
    }

    /// Answers everything so from now on, and ends what is watched; `None` for answers as they are.
    pub fn fail(&self, fault: Option<(u16, &'static str)>) {
        self.change(|cluster, _| cluster.fault = fault);
    }

    /// Knows no slices of endpoints.
    pub fn is_old(&self) {
        self.change(|cluster, _| cluster.old = true);
    }

    /// What was asked until now.
    pub fn asked(&self) -> Vec<String> {
        self.state.cluster().asked.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Cluster, u64)) {
        let version = *self.state.changed.borrow() + 1;
        change(&mut self.state.cluster(), version);
        self.state.changed.send_replace(version);
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path of the API: its kind, and the namespace it is of.
fn resource(path: &str) -> Option<(&'static str, Option<String>)> {
    let rest = path
        .strip_prefix("/api/v1/")
        .or_else(|| path.strip_prefix("/apis/discovery.k8s.io/v1/"))?;
    let (namespace, kind) = match rest.strip_prefix("namespaces/") {
        Some(rest) => {
            let (namespace, kind) = rest.split_once('/')?;
            (Some(namespace.to_owned()), kind)
        }
        None => (None, rest),
    };
    let kinds = ["services", "endpoints", "endpointslices"];
    let kind = kinds.into_iter().find(|it| *it == kind)?;
    Some((kind, namespace))
}

fn status(code: u16, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message,
    });
    let code = StatusCode::from_u16(code).expect("a status");
    (code, axum::Json(status)).into_response()
}

async fn answer(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query());
    let query = query.unwrap_or_default().to_owned();
    let token = headers.get("authorization").map(|it| it.as_bytes());
    let mut cluster = state.cluster();
    cluster.asked.push(format!("{path}?{query}"));
    if let Some((code, message)) = cluster.fault {
        return status(code, message);
    }
    if token != Some(b"Bearer s3cret-token") {
        return status(401, "Unauthorized");
    }
    let known = resource(path).filter(|(kind, _)| !(cluster.old && *kind == "endpointslices"));
    let Some((kind, namespace)) = known else {
        return (StatusCode::NOT_FOUND, "404 page not found").into_response();
    };
    // Whoever forgets to say which objects are wanted would read a whole cluster.
    if !query.contains(SELECTOR) {
        return status(400, "the label selector is missing");
    }
    let parameter = |name: &str| {
        let mut all = query.split('&').filter_map(|it| it.split_once('='));
        all.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let version = *state.changed.borrow();
    if parameter("watch").is_some() {
        let since: u64 = parameter("resourceVersion")
            .and_then(|it| it.parse().ok())
            .unwrap_or_default();
        drop(cluster);
        return told(state, kind, namespace, since);
    }
    let all = cluster.objects.iter().filter(|((of, home, _), object)| {
        *of == kind
            && namespace.as_ref().is_none_or(|it| it == home)
            && !object["metadata"]["labels"]["io.mcphub.server"].is_null()
    });
    let all: Vec<Value> = all.map(|(_, object)| object.clone()).collect();
    let from: usize = parameter("continue")
        .and_then(|it| it.parse().ok())
        .unwrap_or_default();
    let rest = all.get(from..).unwrap_or_default();
    let next = (rest.len() > PAGE).then(|| (from + PAGE).to_string());
    let page = json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": { "resourceVersion": version.to_string(), "continue": next },
        "items": rest.iter().take(PAGE).collect::<Vec<_>>(),
    });
    axum::Json(page).into_response()
}

/// The events of a kind since a version, and those to come, until something fails.
fn told(state: Arc<State>, kind: &'static str, namespace: Option<String>, since: u64) -> Response {
    let changed = state.changed.subscribe();
    let events = stream::unfold(
        (state, changed, since),
        move |(state, mut changed, seen)| {
            let namespace = namespace.clone();
            async move {
                loop {
                    let now = *changed.borrow_and_update();
                    let (mut lines, over) = (String::new(), state.cluster().fault.is_some());
                    if over {
                        return None;
                    }
                    for (of, home, event) in &state.cluster().events {
                        let version = event["object"]["metadata"]["resourceVersion"].as_str();
                        let version: u64 =
                            version.and_then(|it| it.parse().ok()).unwrap_or_default();
                        let wanted = namespace.as_ref().is_none_or(|it| it == home);
                        if *of == kind && wanted && version > seen {
                            lines.push_str(&event.to_string());
                            lines.push('\n');
                        }
                    }
                    if !lines.is_empty() {
                        let lines = Ok::<_, std::io::Error>(Bytes::from(lines));
                        return Some((lines, (state, changed, now)));
                    }
                    changed.changed().await.ok()?;
                }
            }
        },
    );
    Body::from_stream(events).into_response()
}
