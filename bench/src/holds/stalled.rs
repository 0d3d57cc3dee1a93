//! A subscriber that never reads harms nobody else.

use super::{judge, mebi, median, tell};
use crate::peers::{Peer, Places, start};
use anyhow::Result;
use std::time::Duration;
use switchboard_load::{Native, Plan};

const READERS: usize = 7;
/// The broker's default for all buffered bytes.
const MEMORY: u64 = 512 << 20;

pub(crate) fn stalled(places: &Places, size: usize, time: Duration, runs: u32) -> Result<bool> {
    let broker = start(Peer::Switchboard, places)?;
    let plan = Plan { subscribers: READERS, ..Plan::one_to_one(size, time) };
    broker.load(&plan)?;
    broker.process.forget_peak();
    let (mut alone, mut beside, mut lost) = (Vec::new(), Vec::new(), 0);
    for _ in 0..runs {
        alone.push(broker.load(&plan)?.per_second());
        // A pattern: the run's own channel is not known yet.
        let never_reads = Native(broker.address).open(b"/bench/>")?;
        let outcome = broker.load(&plan)?;
        drop(never_reads);
        beside.push(outcome.per_second());
        lost += outcome.lost();
    }
    let (alone, beside) = (median(alone), median(beside));
    tell("1 to 7, deliveries a second", alone, "");
    tell("the same with an eighth that never reads", beside, "");
    tell("lost by the seven", lost as f64, "");
    let share = beside / alone;
    let rate_kept = judge("share of the rate", share, "", "0.90", share >= 0.9);
    let peak = broker.process.usage()?.peak;
    let memory_kept = judge("peak resident", mebi(peak), "MiB", "512 MiB", peak <= MEMORY);
    Ok(rate_kept && memory_kept)
}
