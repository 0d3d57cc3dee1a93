//! The answer of one request: at once, after a wait, or by the router.

use crate::connections::{Slot, Via};
use crate::errors;
use crate::hosts::is_upgrade;
use crate::server::Shared;
use crate::takeover::Takeover;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, Method, Uri};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// An answer that is waited for. With extensions instead, the router is asked, whose request has them.
pub type Later = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Extensions>> + Send>>;

/// The answer of a service that was asked before the router.
pub enum Immediate {
    /// This answer, at once.
    Now(Response<Bytes>),
    /// An answer after a wait.
    Later(Later),
    /// None: the router answers.
    Router,
}

impl From<Option<Response<Bytes>>> for Immediate {
    fn from(answer: Option<Response<Bytes>>) -> Immediate {
        answer.map_or(Immediate::Router, Immediate::Now)
    }
}

impl fmt::Debug for Immediate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Immediate::Now(_) => "Now",
            Immediate::Later(_) => "Later",
            Immediate::Router => "Router",
        })
    }
}

/// The service's function that is asked first.
#[derive(Clone)]
pub(crate) struct Answerer(Arc<Ask>);

type Ask = dyn Fn(&Uri, &HeaderMap) -> Immediate + Send + Sync;

impl Answerer {
    pub(crate) fn new<A: Into<Immediate>>(answer: impl Fn(&Uri, &HeaderMap) -> A + Send + Sync + 'static) -> Answerer {
        Answerer(Arc::new(move |uri, headers| answer(uri, headers).into()))
    }
}

impl fmt::Debug for Answerer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answerer")
    }
}

/// One request, which is answered before the next one of its connection is read.
pub(crate) fn answer(
    shared: &Arc<Shared>,
    via: &Via,
    takeover: &Takeover,
    request: hyper::Request<Incoming>,
) -> Answering {
    let slot = via.slot.clone();
    slot.begin();
    // Also if the future is dropped or panics, the connection has no request any more.
    let finish = Finish(slot);
    if let Some(immediate) = &shared.immediate
        && *request.method() == Method::GET
        && request.body().is_end_stream()
        && shared.access.admits(via, &request)
    {
        match (immediate.0)(request.uri(), request.headers()) {
            Immediate::Now(response) => return Answering::Done(Some(whole(response, finish))),
            Immediate::Later(later) => {
                let rest =
                    Rest { shared: shared.clone(), via: via.clone(), takeover: takeover.clone(), request, finish };
                return Answering::Later(later, Some(Box::new(rest)));
            }
            Immediate::Router => {}
        }
    }
    routed(shared, via, takeover, request, finish)
}

fn whole(response: Response<Bytes>, finish: Finish) -> hyper::Response<Answer> {
    response.map(|body| Answer { content: Content::Whole(body), _finish: finish })
}

fn routed(
    shared: &Shared,
    via: &Via,
    takeover: &Takeover,
    request: hyper::Request<Incoming>,
    finish: Finish,
) -> Answering {
    let mut request: Request = request.map(Body::new);
    request.extensions_mut().insert(via.clone());
    if is_upgrade(request.headers()) {
        request.extensions_mut().insert(takeover.clone());
    }
    let path = request.uri().path().to_owned();
    let future = shared.router.clone().call(request);
    Answering::Routed(Box::pin(async move {
        let made = |body| Answer { content: Content::Made(body), _finish: finish };
        Ok(errors::fill(&path, future.await?).map(made))
    }))
}

/// The parts of a request whose answer is waited for.
pub(crate) struct Rest {
    shared: Arc<Shared>,
    via: Via,
    takeover: Takeover,
    request: hyper::Request<Incoming>,
    finish: Finish,
}

/// An answer that is there, that is waited for, or that the router makes.
pub(crate) enum Answering {
    Done(Option<hyper::Response<Answer>>),
    Later(Later, Option<Box<Rest>>),
    Routed(Pin<Box<dyn Future<Output = Result<hyper::Response<Answer>, Infallible>> + Send>>),
}

impl Future for Answering {
    type Output = Result<hyper::Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Answering::Later(later, rest) = &mut *self {
            let Poll::Ready(answered) = later.as_mut().poll(cx) else { return Poll::Pending };
            let rest = *rest.take().expect("it is ready once");
            match answered {
                Ok(response) => return Poll::Ready(Ok(whole(response, rest.finish))),
                Err(extensions) => {
                    let Rest { shared, via, takeover, mut request, finish } = rest;
                    request.extensions_mut().extend(extensions);
                    *self = routed(&shared, &via, &takeover, request, finish);
                }
            }
        }
        match &mut *self {
            Answering::Done(response) => Poll::Ready(Ok(response.take().expect("it is polled once"))),
            Answering::Routed(future) => future.as_mut().poll(cx),
            Answering::Later(..) => unreachable!("it was ready"),
        }
    }
}

/// The body of an answer; the request is done when it is dropped.
pub(crate) struct Answer {
    content: Content,
    _finish: Finish,
}

enum Content {
    /// All of it; empty once it is taken.
    Whole(Bytes),
    Made(Body),
}

struct Finish(Arc<Slot>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Content::Made(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Made(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Made(body) => body.size_hint(),
        }
    }
}
