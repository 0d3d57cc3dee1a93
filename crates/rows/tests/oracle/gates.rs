//! Each safety part, switched off: the oracle must find what it is for.

use super::world::{BOUND, Change, World, options};
use super::{ONE, TRUNCATE, terminate};
use crate::common::server;
use std::time::Duration;
use switchboard_rows::{DisabledParts, Options, Refresh};

/// Disturbances until the oracle must have noticed.
const ROUNDS: usize = 100;
const OPERATIONS: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Disturbance {
    /// Answers that overtake each other are enough.
    Delay,
    Truncate,
    Swallow,
    DisableTrigger,
    Terminate,
}

async fn disturb(world: &World, disturbance: Disturbance) -> Result<(), String> {
    if !matches!(disturbance, Disturbance::Truncate) {
        world.operations(OPERATIONS).await?;
    }
    match disturbance {
        Disturbance::Delay => {}
        Disturbance::Truncate => {
            // Every row is queried anew when the flush comes.
            world.write_all(Change::Copies).await;
            tokio::time::sleep(Duration::from_millis(fastrand::u64(..15))).await;
            world.write_all(TRUNCATE).await;
            return world.operations(OPERATIONS / 4).await;
        }
        Disturbance::Swallow => {
            world.proxies[0].swallow(true);
            tokio::time::sleep(BOUND * 2).await;
            let seen = world.operations(OPERATIONS).await;
            world.proxies[0].swallow(false);
            seen?;
        }
        Disturbance::DisableTrigger => {
            world.scratch.run("ALTER TABLE item DISABLE TRIGGER switchboard_rows").await;
            tokio::time::sleep(BOUND * 2).await;
            world.operations(OPERATIONS).await?;
        }
        Disturbance::Terminate => {
            terminate(world, "switchboard rows feed").await;
            // Writes of the gap.
            tokio::time::sleep(BOUND / 2).await;
        }
    }
    world.operations(OPERATIONS).await
}

/// Returns what the oracle found, if it found something.
async fn found(options: &Options, naive: bool, disturbance: Disturbance) -> Option<String> {
    let _one = ONE.lock().await;
    let mut world = World::new(server(), 2, options, naive).await;
    if matches!(disturbance, Disturbance::Delay | Disturbance::Truncate) {
        world.proxies[0].delay(Duration::from_millis(15));
    }
    let readers = if matches!(disturbance, Disturbance::Truncate) { 32 } else { 6 };
    world.start(3, readers).await;
    for _ in 0..ROUNDS {
        if let Err(why) = disturb(&world, disturbance).await {
            world.stop().await;
            return Some(why);
        }
    }
    world.rest().await.err()
}

async fn is_missed(part: &str, options: Options, disturbance: Disturbance) {
    let found = found(&options, false, disturbance).await;
    println!("without {part}: {found:?}");
    assert!(found.is_some(), "{part} was not missed");
}

fn without(switch_off: impl Fn(&mut DisabledParts)) -> Options {
    let mut options = options();
    switch_off(&mut options.disabled);
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_are_missed() {
    is_missed("leases", without(|parts| parts.cache.lease = true), Disturbance::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn epochs_are_missed() {
    let mut options = without(|parts| parts.cache.epoch = true);
    options.refresh = Refresh::Off;
    is_missed("epochs", options, Disturbance::Truncate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_bound_from_markers_is_missed() {
    is_missed("the bound", without(|parts| parts.cache.marker = true), Disturbance::Swallow).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_invalidation_of_absent_rows_is_missed() {
    is_missed("absences", without(|parts| parts.cache.absent = true), Disturbance::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_trigger_of_truncate_is_missed() {
    is_missed("TRUNCATE", without(|parts| parts.truncate_trigger = true), Disturbance::Truncate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_invalidation_by_own_writes_is_missed() {
    is_missed("own writes", without(|parts| parts.own_write = true), Disturbance::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_fingerprint_is_missed() {
    is_missed("fingerprints", without(|parts| parts.fingerprint = true), Disturbance::DisableTrigger).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_marker_of_strong_reads_is_missed() {
    is_missed("strong markers", without(|parts| parts.strong_marker = true), Disturbance::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_flush_at_a_reconnect_is_missed() {
    is_missed("the flush at a reconnect", without(|parts| parts.reconnect = true), Disturbance::Terminate).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_echo_of_markers_is_missed() {
    is_missed("echoes", without(|parts| parts.echo = true), Disturbance::Delay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_naive_cache_fails() {
    let found = found(&options(), true, Disturbance::Delay).await;
    println!("naive: {found:?}");
    assert!(found.is_some(), "the naive cache was not found out");
}
