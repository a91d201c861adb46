//! The service of a gateway, as `axum::serve` takes it.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use tower::Service;

use super::{ENDPOINT, limit, mode, post_to, router};
use crate::federation::Scope;
use crate::gateway::Inner;
use crate::listener::ClientAddress;

/// The HTTP service of a gateway for all connections of a listener: see
/// [`Gateway::service`](crate::Gateway::service).
#[derive(Clone)]
pub struct GatewayService {
    gateway: Arc<Inner>,
    router: Router,
    /// Where the connection comes from.
    client: Option<ClientAddress>,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

impl GatewayService {
    pub(crate) fn new(gateway: Arc<Inner>) -> Self {
        Self {
            router: router(Arc::clone(&gateway)),
            gateway,
            client: None,
        }
    }
}

/// The service of one connection.
impl<L> Service<IncomingStream<'_, L>> for GatewayService
where
    L: Listener,
    ClientAddress: for<'a> Connected<IncomingStream<'a, L>>,
{
    type Response = Self;
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, stream: IncomingStream<'_, L>) -> Self::Future {
        let client = Some(ClientAddress::connect_info(stream));
        ready(Ok(Self {
            client,
            ..self.clone()
        }))
    }
}

impl Service<Request> for GatewayService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Answering {
        if is_message(&request) {
            let (gateway, client) = (Arc::clone(&self.gateway), self.client);
            return Box::pin(async move { Ok(message(&gateway, client, request).await) });
        }
        if let Some(client) = self.client {
            request.extensions_mut().insert(ConnectInfo(client));
        }
        Box::pin(Service::<Request>::call(&mut self.router, request))
    }
}

/// Whether it is what nearly all requests are: a message for the endpoint of all servers, and of no
/// web page. The router would lead it to the same place, at a higher cost.
fn is_message(request: &Request) -> bool {
    request.method() == Method::POST
        && request.uri().path() == ENDPOINT
        && !request.headers().contains_key(header::ORIGIN)
}

async fn message(
    gateway: &Arc<Inner>,
    client: Option<ClientAddress>,
    request: Request,
) -> Response {
    if let Some(limited) = limit::exceeded(gateway, client, request.headers()).await {
        return limited;
    }
    match mode(request.uri().query(), gateway.settings.tools) {
        Ok(mode) => post_to(gateway, mode.scope(Scope::All), request).await,
        Err(refusal) => refusal.into_response(),
    }
}

impl fmt::Debug for GatewayService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayService")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
