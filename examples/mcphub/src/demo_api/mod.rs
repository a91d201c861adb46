//! The bookshop of `mcphub demo`: a small HTTP API, as `examples/specs/bookshop.yaml` describes it.
//!
//! It is an ordinary API that knows nothing of MCP. It is strict on purpose: what a request says
//! beyond the document is refused with a reason, so a caller that writes requests wrongly is found out.
//!
//! - `request`, `json`, `rule`: reading what came in, with every complaint collected
//! - `problem`: saying no (RFC 9457)
//! - `shop`, `seed`: what the shop holds, in memory, the same after every start
//! - `books`, `categories`, `prices`, `reviews`, `orders`, `newsletter`: the operations

mod access;
mod books;
mod categories;
mod json;
mod newsletter;
mod orders;
mod prices;
mod problem;
mod request;
mod reviews;
mod rule;
mod seed;
mod shop;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::routing::{delete, get, patch, post};
use mcphub_gateway::Hosts;
use tokio::net::TcpListener;

use problem::Problem;
use shop::Shop;

/// The OpenAPI 3.0 document of this API, in YAML.
pub const DOCUMENT: &str = include_str!("../../../specs/bookshop.yaml");

/// The value of `X-Api-Key` that the write operations ask for. It guards make-believe books and is no secret.
pub const API_KEY: &str = "bookshop-demo-key";

/// The largest request body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// A bookshop with its shelves as on opening day. Clones share one shop.
#[derive(Debug, Clone)]
pub struct DemoApi {
    shop: Arc<Mutex<Shop>>,
}

impl Default for DemoApi {
    fn default() -> Self {
        Self::new()
    }
}

impl DemoApi {
    /// A shop with the seeded books, reviews and orders; two new shops are equal.
    pub fn new() -> Self {
        Self {
            shop: Arc::new(Mutex::new(seed::shop())),
        }
    }

    /// Answers requests on `listener` until the future is dropped.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let hosts = Hosts::at(listener.local_addr()?, &[]);
        axum::serve(listener, hosts.guard(self.router())).await
    }

    /// The API as a router, for a test or a host with a server of its own.
    pub fn router(self) -> Router {
        // `route_layer` guards only the methods that were added before it.
        let key = || from_fn(access::require_key);
        let orders = Router::new()
            .route("/orders", post(orders::create).route_layer(key()))
            .route(
                "/orders/{order_id}",
                delete(orders::cancel).route_layer(key()).get(orders::track),
            )
            .route_layer(from_fn(access::carry_request_id));

        Router::new()
            .route("/books", get(books::list))
            .route(
                "/books/{isbn}",
                patch(books::update).route_layer(key()).get(books::look_up),
            )
            .route(
                "/books/{isbn}/reviews",
                post(reviews::create).route_layer(key()).get(reviews::list),
            )
            .route(
                "/reviews/{review_id}",
                delete(reviews::remove).route_layer(key()),
            )
            .route("/categories", get(categories::tree))
            .route("/prices", get(prices::compare))
            .route(
                "/newsletter",
                post(newsletter::subscribe).route_layer(key()),
            )
            .merge(orders)
            .fallback(no_such_path)
            .method_not_allowed_fallback(no_such_method)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(self)
    }

    /// The shop, for the length of one operation. Operations change it last, after every check,
    /// so a panic in one leaves nothing half done for the next.
    fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is no path {}", problem::excerpt(uri.path())))
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let path = problem::excerpt(uri.path());
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{path} does not answer {method}"),
    )
}
