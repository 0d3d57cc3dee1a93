//! The watchdog: the manager is told that the program is alive, as long as it is.

use super::Manager;
use std::future::pending;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Time between two probes, at least.
pub(super) const SHORTEST: Duration = Duration::from_millis(1);

/// Tells the manager, twice within its time, that `probe` returned true. An answer that comes late is told late, and one
/// that never comes never: then the manager restarts the program. Never returns.
pub(crate) async fn watch(manager: &Manager, probe: impl AsyncFn() -> bool) {
    let Some(period) = manager.period else { return pending().await };
    let mut ticks = interval(period);
    // Probes that were missed are no sign of life.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut asked = pin!(probe());
        let answers = match timeout(period, &mut asked).await {
            Ok(answers) => answers,
            Err(_) => {
                tracing::error!(
                    "no answer to the watchdog within {period:?}: the service manager is not told that the program is alive"
                );
                asked.await
            }
        };
        if answers {
            manager.alive();
        }
    }
}
