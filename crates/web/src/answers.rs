//! The limit of requests that are answered at a time.

use crate::connections::Via;
use crate::errors::plain;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Three quarters of the connections may be answered at a time. The others can be closed for new ones, so that a probe
/// always gets in.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    most: usize,
    room: Arc<Semaphore>,
}

impl Answers {
    pub(crate) fn new(connections: usize) -> Answers {
        let most = connections - connections / 4;
        Answers { most, room: Arc::new(Semaphore::new(most)) }
    }
}

/// The layer that takes a complete request, until its answer is read to the end.
pub(crate) async fn limit(State(answers): State<Answers>, request: Request, next: Next) -> Response {
    if let Some(via) = request.extensions().get::<Via>() {
        let probe = matches!(request.uri().path(), "/healthz" | "/readyz");
        match answers.room.clone().try_acquire_owned() {
            Ok(permit) => via.slot.complete(Some(permit)),
            Err(_) if probe => via.slot.complete(None),
            Err(_) => {
                let most = answers.most;
                let text = format!(
                    "{most} requests are being answered, and that is the limit (three quarters of http.connections)"
                );
                return plain(StatusCode::SERVICE_UNAVAILABLE, &text);
            }
        }
    }
    next.run(request).await
}
