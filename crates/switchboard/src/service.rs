//! A service that is kept: what cannot start says why, and is tried again while the others run.

use crate::output;
use anyhow::Result;
use switchboard_web::{FIRST_RETRY, LAST_RETRY};
use tokio::sync::watch;
use tokio::time::sleep;

/// Tells services to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns the sender that asks for the stop, and its receiver.
    pub(crate) fn new() -> (watch::Sender<bool>, Stop) {
        let (sender, receiver) = watch::channel(false);
        (sender, Stop(receiver))
    }

    /// Returns when the services are to stop.
    pub(crate) async fn requested(mut self) {
        // An error means that nobody is left who could say so.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Starts a service that could not start, again and again. `None` if the services are to stop first. `changed` is called with each
/// reason that is another one than the last.
pub(crate) async fn retry<T>(
    name: &str,
    failure: &anyhow::Error,
    start: impl AsyncFn() -> Result<T>,
    changed: impl Fn(&anyhow::Error) -> Result<()>,
    stop: &Stop,
) -> Result<Option<T>> {
    let mut known = output::reasons(failure);
    let mut wait = FIRST_RETRY;
    loop {
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.clone().requested() => return Ok(None),
        }
        wait = (wait * 2).min(LAST_RETRY);
        // A start may take long: a lookup of a name, a large history.
        let started = tokio::select! {
            started = start() => started,
            () = stop.clone().requested() => return Ok(None),
        };
        match started {
            Ok(service) => {
                tracing::info!("{name} runs now");
                return Ok(Some(service));
            }
            Err(error) => {
                let reason = output::reasons(&error);
                // Once for each reason, however often it is tried.
                if reason != known {
                    tracing::error!("{name} does not run: {reason}");
                    changed(&error)?;
                    known = reason;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_start_that_takes_long() {
        let (sender, stop) = Stop::new();
        let start = async || {
            sender.send_replace(true);
            pending::<Result<()>>().await
        };
        let failure = anyhow::anyhow!("it is taken");
        let kept = retry("a", &failure, start, |_| Ok(()), &stop);
        assert!(timeout(Duration::from_secs(25), kept).await.expect("it stops").expect("it is told").is_none());
    }
}
