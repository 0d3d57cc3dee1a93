//! Whether a browser still opens pages.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Time after which a browser that has opened no page at all is given up. A loaded machine takes a second.
pub(super) const OPEN: Duration = Duration::from_secs(10);

/// The health of one browser. Clones share it.
#[derive(Clone)]
pub(super) struct Health(Arc<State>);

struct State {
    limit: Duration,
    /// Pages that were opened.
    opened: AtomicU64,
    is_stuck: watch::Sender<bool>,
}

/// The browser opens no pages any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stuck;

impl Health {
    pub(super) fn new(limit: Duration) -> Health {
        Health(Arc::new(State { limit, opened: AtomicU64::default(), is_stuck: watch::Sender::default() }))
    }

    pub(super) fn is_stuck(&self) -> bool {
        *self.0.is_stuck.borrow()
    }

    /// Waits for the opening of a page. The browser is stuck if no page, neither this one nor another, is opened within
    /// the limit; that ends all openings.
    pub(super) async fn watch<T, E: From<Stuck>>(&self, opening: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let limit = self.0.limit;
        let mut opening = pin!(opening);
        let mut stuck = self.0.is_stuck.subscribe();
        loop {
            let before = self.0.opened.load(Ordering::Relaxed);
            tokio::select! {
                biased;
                result = timeout(limit, &mut opening) => match result {
                    Ok(result) => {
                        if result.is_ok() {
                            self.0.opened.fetch_add(1, Ordering::Relaxed);
                        }
                        return result;
                    }
                    Err(_) if self.0.opened.load(Ordering::Relaxed) == before => {
                        if !self.0.is_stuck.send_replace(true) {
                            tracing::warn!("Chromium is replaced: it opened no page within {limit:?}");
                        }
                        return Err(Stuck.into());
                    }
                    Err(_) => {}
                },
                _ = stuck.wait_for(|is_stuck| *is_stuck) => return Err(Stuck.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::sleep;

    type Opened = Result<(), Stuck>;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_browser_that_opens_no_page_within_the_limit_is_stuck_and_all_openings_end() {
        let health = Health::new(LIMIT);
        assert_eq!(health.watch(ready(Opened::Ok(()))).await, Ok(()));
        assert!(!health.is_stuck());
        let (first, second) = tokio::join!(health.watch(pending::<Opened>()), health.watch(pending::<Opened>()));
        assert_eq!((first, second, health.is_stuck()), (Err(Stuck), Err(Stuck), true));
        assert_eq!(health.watch(pending::<Opened>()).await, Err(Stuck));
    }

    #[tokio::test]
    async fn a_page_that_is_slow_to_open_beside_others_that_are_not_is_waited_for() {
        let health = Health::new(LIMIT);
        let others = async {
            loop {
                sleep(Duration::from_millis(1)).await;
                let _ = health.watch(ready(Opened::Ok(()))).await;
            }
        };
        let slow = health.watch(async {
            sleep(LIMIT * 5).await;
            Opened::Ok(())
        });
        tokio::select! {
            // The others come first, however late this task is.
            biased;
            () = others => {}
            result = slow => assert_eq!(result, Ok(())),
        }
        assert!(!health.is_stuck());
    }
}
