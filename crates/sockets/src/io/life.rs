use crate::core::Life;
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::sleep_until;

/// Ready when there is nothing more to do: it is to close, and nothing is to be sent or the time for that is over.
pub(super) async fn over(life: &watch::Receiver<Life>, unsent: usize) {
    if let Some(end) = closing(life).await
        && unsent > 0
    {
        sleep_until(end.into()).await;
    }
}

/// Ready when it is to close: until when things may still be sent. `None` if nobody is left who could say.
pub(super) async fn closing(life: &watch::Receiver<Life>) -> Option<Instant> {
    let mut life = life.clone();
    match life.wait_for(|life| *life != Life::Open).await.map(|life| *life) {
        Ok(Life::Closing(end)) => Some(end),
        _ => None,
    }
}

/// Until when things may still be sent, if it is to close.
pub(super) fn end(life: &watch::Receiver<Life>) -> Option<Instant> {
    match *life.borrow() {
        Life::Open => None,
        Life::Closing(end) => Some(end),
    }
}
