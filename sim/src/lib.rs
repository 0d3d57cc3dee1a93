//! One seed, one run: the real broker, translator and outbox between simulated clients, over
//! pipes that split, delay, stall and cut, in virtual time, against a naive model.

mod acker;
mod digest;
mod ending;
mod native;
mod oracle;
mod pipe;
mod rng;
mod settings;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use switchboard_broker::Time;

/// Result of a run that broke no promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Over every event, in order.
    pub hash: u64,
    /// Number of events by kind.
    pub counts: BTreeMap<String, u64>,
}

/// The first promise that a run broke.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Which run.
    pub seed: u64,
    /// When, in virtual time.
    pub at: Time,
    /// The broken promise.
    pub sentence: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.at.0 / 1_000_000, self.at.0 % 1_000_000);
        write!(formatter, "seed {} at {seconds}.{micros:06} s: {}", self.seed, self.sentence)
    }
}

/// Runs a seed; with `trace`, every step is printed.
///
/// # Errors
/// The first promise that was broken. A panic of what is simulated is one, too.
pub fn run(seed: u64, trace: bool) -> Result<Report, Box<Failure>> {
    let mut world = world::World::new(seed, trace);
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let sentence = match result {
        Ok(Ok(())) => return Ok(world.report()),
        Ok(Err(sentence)) => sentence,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            format!("a panic: {}", text.unwrap_or_default())
        }
    };
    Err(Box::new(Failure { seed, at: world.now(), sentence }))
}
