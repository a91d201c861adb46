//! The service of a gateway, as hyper takes it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, header};
use axum::response::{IntoResponse, Response};
use hyper::service::Service;
use tower::Service as _;

use super::{ENDPOINT, bearer, limit, misdirected, mode, post_to, router};
use crate::federation::Scope;
use crate::gateway::Inner;
use crate::hosts::Hosts;
use crate::listener::ClientAddress;

/// The HTTP service of a gateway.
#[derive(Clone)]
pub(crate) struct GatewayService {
    gateway: Arc<Inner>,
    hosts: Hosts,
    router: Router,
}

/// The same, of one connection.
pub(crate) struct ConnectionService {
    gateway: GatewayService,
    client: ClientAddress,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl GatewayService {
    /// The service of a listener that is called by these names.
    pub(crate) fn new(gateway: Arc<Inner>, hosts: Hosts) -> Self {
        Self {
            hosts,
            router: router(Arc::clone(&gateway)),
            gateway,
        }
    }

    /// The service of a connection from there.
    pub(crate) fn of(&self, client: ClientAddress) -> ConnectionService {
        let gateway = self.clone();
        ConnectionService { gateway, client }
    }
}

impl Service<Request<Body>> for ConnectionService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Body>) -> Answering {
        let client = self.client;
        let GatewayService {
            gateway,
            hosts,
            router,
        } = &self.gateway;
        if let Err(why) = hosts.check(&request) {
            return Box::pin(std::future::ready(Ok(misdirected(gateway, why))));
        }
        if is_message(&request) {
            let gateway = Arc::clone(gateway);
            return Box::pin(async move { Ok(message(&gateway, client, request).await) });
        }
        request.extensions_mut().insert(ConnectInfo(client));
        Box::pin(router.clone().call(request))
    }
}

/// Whether it is what nearly all requests are: a message for the endpoint of all servers, and of no
/// web page. The router would lead it to the same place, at a higher cost.
fn is_message(request: &Request<Body>) -> bool {
    request.method() == Method::POST
        && request.uri().path() == ENDPOINT
        && !request.headers().contains_key(header::ORIGIN)
}

async fn message(gateway: &Arc<Inner>, client: ClientAddress, request: Request<Body>) -> Response {
    let headers = request.headers();
    // Once, because it is a digest.
    let seen = bearer::seen(gateway, headers);
    if let Some(limited) = limit::exceeded(gateway, Some(client), headers, seen.as_ref()).await {
        return limited;
    }
    match mode(request.uri().query(), gateway.settings.tools) {
        Ok(mode) => post_to(gateway, mode.scope(Scope::All), seen, request).await,
        Err(refusal) => refusal.into_response(),
    }
}
