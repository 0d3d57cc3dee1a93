//! The broker's time. The model in `tests/model` has its own module of this name.

use std::time::{Duration, Instant};
use switchboard_broker::Time;

/// Counts from the start of the server.
#[derive(Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock(Instant::now())
    }

    pub(crate) fn now(&self) -> Time {
        Time(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    pub(crate) async fn sleep_until(&self, at: Time) {
        tokio::time::sleep_until((self.0 + Duration::from_micros(at.0)).into()).await;
    }
}
