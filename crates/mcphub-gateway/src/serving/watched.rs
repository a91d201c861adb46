//! Whether a connection has something to do.
//!
//! A connection that is taken for quiet goes on with the next byte as the beginning of a request, so
//! that none may be left of the one before: neither of its answer, nor of its own body.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::service::Service;

/// What is known of one connection.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// How many requests there were.
    begun: AtomicU64,
    /// How many of them are not answered whole.
    open: AtomicUsize,
    /// The client does not take what it is sent.
    waiting: AtomicBool,
    /// A body was not read to its end, so that nobody knows where the next request begins.
    lost: AtomicBool,
}

impl Activity {
    /// How many requests there were, where nothing is left of any of them.
    pub(super) fn quiet(&self) -> Option<u64> {
        let open = self.open.load(Ordering::Acquire);
        let is = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let quiet = open == 0 && !is(&self.waiting) && !is(&self.lost);
        quiet.then(|| self.begun.load(Ordering::Relaxed))
    }

    pub(super) fn waits_for_client(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
}

/// A request's body that is not dropped yet, or its answer, whose last piece was taken once it is.
struct Open(Arc<Activity>);

impl Open {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

/// A service whose requests are noted.
pub(super) struct Watched<S> {
    service: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    pub(super) fn new(service: S, activity: &Arc<Activity>) -> Self {
        let activity = Arc::clone(activity);
        Self { service, activity }
    }

    pub(super) fn into_inner(self) -> S {
        self.service
    }
}

impl<S> Service<Request<Incoming>> for Watched<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Unpin>,
{
    type Response = Response<Answer>;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let activity = &self.activity;
        activity.begun.fetch_add(1, Ordering::Relaxed);
        let open = Some(Open::new(activity));
        let request = request.map(|body| match body.is_end_stream() {
            true => Body::empty(),
            false => Body::new(Asked {
                body,
                ended: false,
                open: Open::new(activity),
            }),
        });
        Answering {
            answering: self.service.call(request),
            open,
        }
    }
}

/// The body of a request.
struct Asked {
    body: Incoming,
    ended: bool,
    open: Open,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.ended && !self.body.is_end_stream() {
            self.open.0.lost.store(true, Ordering::Relaxed);
        }
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(frame, Poll::Ready(None));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The answer to a request, which is being made.
pub(super) struct Answering<F> {
    answering: F,
    open: Option<Open>,
}

impl<F, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<Body>, E>> + Unpin,
{
    type Output = Result<Response<Answer>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { answering, open } = self.get_mut();
        Pin::new(answering).poll(cx).map_ok(|response| {
            let _open = open.take();
            response.map(|body| Answer { body, _open })
        })
    }
}

/// The body of an answer.
pub(super) struct Answer {
    body: Body,
    _open: Option<Open>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
