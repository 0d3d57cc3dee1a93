use crate::core::Lifecycle;
use switchboard_driver::Deadline;
use tokio::sync::watch;

/// Ready when there is nothing more to do: the endpoint is closed, and nothing is to be sent or the time for that is over.
/// `unsent` is called only then, because until then more may be accepted.
pub(super) async fn over(lifecycle: &watch::Receiver<Lifecycle>, unsent: impl FnOnce() -> usize) {
    if let Some(end) = closing(lifecycle).await
        && unsent() > 0
    {
        end.wait().await;
    }
}

/// Ready when the endpoint is closed, with the deadline for what is still to be sent. `None` if its socket is gone.
pub(super) async fn closing(lifecycle: &watch::Receiver<Lifecycle>) -> Option<Deadline> {
    let mut lifecycle = lifecycle.clone();
    match lifecycle.wait_for(|lifecycle| *lifecycle != Lifecycle::Open).await.map(|lifecycle| *lifecycle) {
        Ok(Lifecycle::Closing(end)) => Some(end),
        _ => None,
    }
}

/// The deadline for what is still to be sent, if the endpoint is closed.
pub(super) fn end(lifecycle: &watch::Receiver<Lifecycle>) -> Option<Deadline> {
    match *lifecycle.borrow() {
        Lifecycle::Open => None,
        Lifecycle::Closing(end) => Some(end),
    }
}
