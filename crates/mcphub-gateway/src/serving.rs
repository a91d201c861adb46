//! The connections of a port, each with a task of its own.

mod at_once;
mod io;
mod watched;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use axum::serve::Listener as _;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio::time::sleep;

use self::at_once::AtOnce;
use self::io::Io;
use self::watched::{Activity, Watched};
use crate::listener::{ClientAddress, Listener};
use crate::mcp::http::GatewayService;

/// After how long without a request a connection gives up what it has for requests, at least; and at
/// most twice that.
const QUIET: Duration = Duration::from_millis(500);

/// Serves all connections until `stop` ends. Then it takes no more, and ends with the last of them.
pub(crate) async fn serve(
    mut listener: Listener,
    service: GatewayService,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let (stream, address) = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let service = service.of(ClientAddress::new(address));
        let work = connection(Io::new(stream), service, stopped.clone());
        tokio::spawn(AtOnce::new(Box::pin(work)));
    }
    drop((listener, stopped));
    stopping.send_replace(());
    stopping.closed().await;
}

/// Serves one client; once the gateway stops, up to the end of the requests that are open.
///
/// Most connections do nothing most of the time. What HTTP needs, buffers above all, is there while
/// there are requests: before the first, and some time after the last, there is nothing but the socket.
async fn connection<S>(mut io: Io, mut service: S, mut stopping: watch::Receiver<()>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Unpin + Send + 'static,
{
    loop {
        let first = tokio::select! {
            biased;
            first = io.first() => first,
            _ = stopping.changed() => return,
        };
        match first {
            Ok(io::First::Http1) => {}
            Ok(io::First::Http2) => return Box::pin(http2(io, service, stopping)).await,
            Ok(io::First::Nothing) | Err(_) => return,
        }
        match Box::pin(http1(io, service, &mut stopping)).await {
            Some(quiet) => (io, service) = quiet,
            None => return,
        }
    }
}

/// Serves requests over HTTP/1.1 until there were none for a while: then it gives back what it was given.
async fn http1<S>(io: Io, service: S, stopping: &mut watch::Receiver<()>) -> Option<(Io, S)>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    let activity = Arc::<Activity>::default();
    let service = Watched::new(service, &activity);
    let mut connection = http1::Builder::new().serve_connection(io.noting(&activity), service);
    let mut seen = None;
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut connection => break outcome,
            _ = stopping.changed() => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                break connection.await;
            }
            () = sleep(QUIET) => {
                let now = activity.quiet();
                if now.is_some() && now == seen {
                    let parts = connection.into_parts();
                    return Some((parts.io.before(parts.read_buf), parts.service.into_inner()));
                }
                seen = now;
            }
        }
    };
    if let Err(error) = outcome {
        tracing::trace!(%error, "a connection of a client broke");
    }
    None
}

async fn http2<S>(io: Io, service: S, mut stopping: watch::Receiver<()>)
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Send + 'static,
    S::Future: Unpin + Send + 'static,
{
    let service = Watched::new(service, &Arc::default());
    let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
    let mut connection = pin!(builder.serve_connection(io, service));
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::trace!(%error, "a connection of a client broke");
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use hyper::service::service_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::JoinHandle;
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);
    const LARGE: usize = 32 << 20;

    /// A client, and its connection at the server.
    async fn connected() -> (TcpStream, Io) {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(tcp.local_addr().unwrap()).await.unwrap();
        let (stream, _) = Listener::new(tcp).accept().await;
        (client, Io::new(stream))
    }

    /// Answers with the path, or with what the path names.
    fn service()
    -> impl Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Unpin + Send,
    > + Send {
        service_fn(|request: Request<Body>| {
            Box::pin(async move {
                let body = match request.uri().path() {
                    "/large" => Body::from(vec![b'x'; LARGE]),
                    "/endless" => {
                        Body::from_stream(stream::pending::<Result<String, Infallible>>())
                    }
                    path => Body::from(path.to_owned()),
                };
                Ok(Response::new(body))
            })
        })
    }

    /// Serves until the connection is quiet; whether it was.
    fn served(io: Io, stopping: &watch::Sender<()>) -> JoinHandle<Option<Io>> {
        let mut stopping = stopping.subscribe();
        tokio::spawn(async move {
            let quiet = http1(io, service(), &mut stopping).await;
            quiet.map(|(io, _)| io)
        })
    }

    /// Reads up to an answer that ends so.
    async fn answered(client: &mut TcpStream, end: &str) {
        let mut read = Vec::new();
        while !read.ends_with(end.as_bytes()) {
            let reading = timeout(PATIENCE, client.read_buf(&mut read));
            assert!(reading.await.unwrap().unwrap() > 0, "it is closed");
        }
    }

    #[tokio::test]
    async fn a_quiet_connection_gives_up_what_it_had_and_goes_on_with_what_was_read() {
        let (mut client, io) = connected().await;
        let stopping = watch::Sender::new(());
        let quiet = served(io, &stopping);
        let requests = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\nGET /b HTTP/1.1\r\nho";
        client.write_all(requests).await.unwrap();
        answered(&mut client, "/a").await;
        let io = timeout(PATIENCE, quiet).await.unwrap().unwrap().unwrap();
        assert_eq!(io.first().await.unwrap(), io::First::Http1);
        tokio::spawn(connection(io, service(), stopping.subscribe()));
        client.write_all(b"st: h\r\n\r\n").await.unwrap();
        answered(&mut client, "/b").await;
        // All that was read is answered, so that from here on there is nothing but the socket.
        sleep(QUIET * 3).await;
        client
            .write_all(b"GET /c HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        answered(&mut client, "/c").await;
        stopping.send_replace(());
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_is_not_quiet_until_its_client_has_taken_the_answer() {
        let (mut client, io) = connected().await;
        let stopping = watch::Sender::new(());
        let quiet = served(io, &stopping);
        client
            .write_all(b"GET /large HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        sleep(QUIET * 4).await;
        assert!(!quiet.is_finished());
        let mut read = vec![0; LARGE];
        timeout(PATIENCE, client.read_exact(&mut read))
            .await
            .unwrap()
            .unwrap();
        assert!(timeout(PATIENCE, quiet).await.unwrap().unwrap().is_some());
    }

    #[tokio::test]
    async fn a_connection_with_an_open_answer_is_not_quiet() {
        let (mut client, io) = connected().await;
        let stopping = watch::Sender::new(());
        let quiet = served(io, &stopping);
        client
            .write_all(b"GET /endless HTTP/1.1\r\nhost: h\r\n\r\n")
            .await
            .unwrap();
        answered(&mut client, "\r\n\r\n").await;
        sleep(QUIET * 4).await;
        assert!(!quiet.is_finished());
        drop(client);
        assert!(timeout(PATIENCE, quiet).await.unwrap().unwrap().is_none());
    }

    #[tokio::test]
    async fn the_rest_of_a_body_that_nobody_read_is_no_request() {
        let (mut client, io) = connected().await;
        let stopping = watch::Sender::new(());
        tokio::spawn(connection(io, service(), stopping.subscribe()));
        let early = b"POST /early HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nbegin";
        client.write_all(early).await.unwrap();
        answered(&mut client, "/early").await;
        sleep(QUIET * 4).await;
        // It may be closed by now.
        let _ = client
            .write_all(b"GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n")
            .await;
        stopping.send_replace(());
        let mut read = Vec::new();
        let _ = timeout(PATIENCE, client.read_to_end(&mut read))
            .await
            .unwrap();
        let read = String::from_utf8(read).unwrap();
        assert!(!read.contains("/smuggled"), "{read}");
    }

    /// Whether a connection is quiet once it has answered this request and ended.
    async fn is_quiet_after(request: &[u8]) -> bool {
        let (mut client, io) = connected().await;
        let activity = Arc::<Activity>::default();
        let watched = Watched::new(service(), &activity);
        let serving = http1::Builder::new().serve_connection(io.noting(&activity), watched);
        let serving = tokio::spawn(serving);
        client.write_all(request).await.unwrap();
        answered(&mut client, "/a").await;
        drop(client);
        let _ = timeout(PATIENCE, serving).await.unwrap().unwrap();
        activity.quiet().is_some()
    }

    #[tokio::test]
    async fn a_connection_is_not_quiet_that_has_a_body_which_nobody_read() {
        assert!(is_quiet_after(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await);
        let rest = b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nbegin";
        assert!(!is_quiet_after(rest).await);
    }

    #[tokio::test]
    async fn a_client_of_http_2_is_known_by_how_it_begins() {
        for (bytes, first) in [
            (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], io::First::Http2),
            (b"PRI", io::First::Http2),
            (b"PRIVATE / HTTP/1.1\r\n", io::First::Http1),
            (b"P", io::First::Http1),
            (b"POST /mcp HTTP/1.1\r\n", io::First::Http1),
            (b"", io::First::Nothing),
        ] {
            let (mut client, io) = connected().await;
            client.write_all(bytes).await.unwrap();
            client.shutdown().await.unwrap();
            assert_eq!(timeout(PATIENCE, io.first()).await.unwrap().unwrap(), first);
        }
    }
}
