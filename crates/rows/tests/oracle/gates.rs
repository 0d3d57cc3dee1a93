//! Each safety part, switched off: the oracle must find what it is for, and so must the sampler where the old row stays
//! cached. With the part neither finds anything.

use super::ONE;
use super::scene::{Scene, Stage};
use switchboard_rows::{DisabledParts, Options};

/// Rows a second that the sampler compares, where it is tried.
const SAMPLES: u32 = 100;

async fn judge(scene: Scene, options: &Options, naive: bool) -> Result<(), String> {
    Stage::new(scene, options, naive).await.judge().await
}

async fn is_missed(scene: Scene, switch_off: impl Fn(&mut DisabledParts)) {
    let _one = ONE.lock().await;
    let whole = scene.options();
    let mut without = whole.clone();
    switch_off(&mut without.disabled);
    judge(scene, &whole, false).await.unwrap_or_else(|why| panic!("with the part: {why}"));
    let found = judge(scene, &without, false).await;
    println!("without the part: {found:?}");
    assert!(found.is_err(), "the oracle did not miss the part");
    if scene.lasts() {
        for (options, is_missed) in [(whole, false), (without, true)] {
            let options = Options { samples: SAMPLES, ..options };
            let inconsistent = Stage::new(scene, &options, false).await.sample(is_missed).await;
            assert_eq!(inconsistent > 0, is_missed, "rows that the sampler found");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_are_missed() {
    is_missed(Scene::Overtaken, |parts| parts.cache.lease = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_are_missed() {
    is_missed(Scene::OvertakenByTruncate, |parts| parts.cache.epoch = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bound_from_markers_is_missed() {
    is_missed(Scene::TooLateEvent, |parts| parts.cache.marker = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invalidation_of_absent_rows_is_missed() {
    is_missed(Scene::Inserted, |parts| parts.cache.absent = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trigger_of_truncate_is_missed() {
    is_missed(Scene::Truncated, |parts| parts.truncate_trigger = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_invalidation_by_own_writes_is_missed() {
    is_missed(Scene::OwnWrite, |parts| parts.own_write = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fingerprint_is_missed() {
    is_missed(Scene::NoTrigger, |parts| parts.fingerprint = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marker_of_strong_reads_is_missed() {
    is_missed(Scene::LateEvent, |parts| parts.strong_marker = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_echo_of_markers_is_missed() {
    is_missed(Scene::LateEvent, |parts| parts.echo = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flush_at_a_reconnect_is_missed() {
    is_missed(Scene::Gap, |parts| parts.reconnect = true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_naive_cache_fails() {
    let _one = ONE.lock().await;
    let found = judge(Scene::Overtaken, &Scene::Overtaken.options(), true).await;
    println!("naive: {found:?}");
    assert!(found.is_err(), "the naive cache was not found out");
}
