//! The plain pass-through proxy, on the gateway's HTTP stack: axum as the server, reqwest as the
//! client.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

/// Method, path, headers and body go through as they are, bodies as streams.
pub async fn start(to: SocketAddr) -> SocketAddr {
    let client = reqwest::Client::builder()
        .no_gzip()
        .no_brotli()
        .build()
        .expect("a client");
    let base = Url::parse(&format!("http://{to}/")).expect("a URL");
    serve(Router::new().fallback(forward).with_state((client, base))).await
}

async fn forward(
    State((client, base)): State<(reqwest::Client, Url)>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let mut url = base;
    url.set_path(parts.uri.path());
    url.set_query(parts.uri.query());
    let mut headers = parts.headers;
    headers.remove(header::HOST);
    let mut outgoing = client.request(parts.method, url).headers(headers);
    if !body.is_end_stream() {
        outgoing = outgoing.body(reqwest::Body::wrap_stream(body.into_data_stream()));
    }
    match outgoing.send().await {
        Ok(answer) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = Body::from_stream(answer.bytes_stream());
            response
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        use axum::serve::ListenerExt;
        let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket option"));
        axum::serve(listener, router)
            .await
            .expect("the server runs");
    });
    address
}
