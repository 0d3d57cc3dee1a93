//! The program run as a process, and those who talk to it. Nothing here outlives its test.

#![allow(dead_code, reason = "not every test uses everything")]
#![allow(unused_imports, reason = "not every test uses everything")]

mod broker;
mod bystanders;
mod client;
mod network;
mod program;
mod signals;
mod site;

pub(crate) use broker::{Broker, listening, switchboard};
pub(crate) use bystanders::Bystanders;
pub(crate) use client::{Client, frame};
pub(crate) use network::{Machine, Network, SERVER};
pub(crate) use program::{Lines, Program};
pub(crate) use signals::default_signals;
pub(crate) use site::Site;

use std::time::{Duration, Instant};

/// Options that leave `up` broker and monitor alone.
pub(crate) const BROKER_AND_MONITOR: [&str; 6] =
    ["--set", "rows.listen=", "--set", "news.listen=", "--set", "render.listen="];

/// Bound of every wait; only a failing test reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// Asks again and again, where nothing tells when the answer is there.
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
