//! One connection, which is polled by whoever has it.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::http::{Request, Response};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::poll_fn;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::unconstrained;

/// A body that is sent.
pub(super) type Payload = Full<Bytes>;

/// A connection, which does one request at a time.
pub(super) struct Line {
    sender: SendRequest<Payload>,
    /// `None` once it has ended.
    connection: Option<Connection<TokioIo<TcpStream>, Payload>>,
}

impl Line {
    pub(super) async fn new(stream: TokioIo<TcpStream>) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().handshake(stream).await?;
        Ok(Self {
            sender,
            connection: Some(connection),
        })
    }

    /// Sends a request, up to the head of its answer. The error has the request in it where nothing
    /// of it was sent.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Payload>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Payload>>> {
        let answer = {
            // Were it out of turns, it would wake nobody when it has some again.
            let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
            let connection = &mut self.connection;
            poll_fn(|cx| {
                let nobody = &mut Context::from_waker(Waker::noop());
                // Who polls the connection is woken when somebody takes what it has read, which is the
                // same one: so it is polled for somebody only once there is nothing to read.
                drive(connection, nobody);
                if let Poll::Ready(answer) = answer.as_mut().poll(nobody) {
                    return Poll::Ready(answer);
                }
                drive(connection, cx);
                // Only the connection, which was just polled, can bring it.
                answer.as_mut().poll(nobody)
            })
            .await
        };
        // From here on it wakes nobody, until somebody waits for the body: who asks for that tells
        // the connection, and would be told of it.
        self.rest();
        answer
    }

    /// Goes on with the answer's body as far as it is there, and wakes nobody.
    pub(super) fn read(&mut self) {
        drive(
            &mut self.connection,
            &mut Context::from_waker(Waker::noop()),
        );
    }

    /// Goes on with the answer's body.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.connection, cx);
    }

    /// Whether another request can be sent: the last one is done, and the server has not closed, as
    /// far as is known. From here on it wakes nobody.
    pub(super) fn is_open(&mut self) -> bool {
        self.rest();
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Does what there is to do, and wakes nobody later on.
    fn rest(&mut self) {
        let mut connection = self.connection.as_mut().map(unconstrained);
        let cx = &mut Context::from_waker(Waker::noop());
        if let Some(running) = &mut connection
            && running.poll_unpin(cx).is_ready()
        {
            self.connection = None;
        }
    }
}

/// Lets a connection work. One that ends is dropped, which tells whoever waits for its answer why, or
/// gives the request back.
fn drive<C: Future + Unpin>(connection: &mut Option<C>, cx: &mut Context<'_>) {
    if let Some(running) = connection
        && running.poll_unpin(cx).is_ready()
    {
        *connection = None;
    }
}
