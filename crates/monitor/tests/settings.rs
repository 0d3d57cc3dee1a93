//! Settings at their bounds: a monitor starts with them, takes what they allow, and stops.

mod common;

use common::{Running, sample};
use serde_json::json;
use std::time::Duration;
use switchboard_monitor::{HistorySettings, Rules};

#[tokio::test]
async fn spans_of_nothing_and_of_ever_are_taken() {
    for span in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let mut monitor = Running::with(|settings| {
            settings.history = HistorySettings {
                flush: span,
                checkpoint: span,
                seal: span,
                keep_minutes: span,
                ..HistorySettings::default()
            };
            settings.rules = Rules { silent: span, gone: span, clock_tolerance: span, ..Rules::default() };
        })
        .await;
        for _ in 0..3 {
            let (status, taken) = monitor.post(&sample(0, json!({}))).await;
            assert_eq!((status, &taken["accepted"]), (200, &json!(1)), "{span:?}: {taken}");
        }
        assert_eq!(monitor.get("/api/self").await["history_failed_writes"], 0, "{span:?}");
        monitor.stop().await;
    }
}

#[tokio::test]
async fn what_is_kept_for_no_time_is_refused_and_for_ever_is_taken() {
    for (keep, status) in [(Duration::ZERO, 400), (Duration::from_secs(3600), 200), (Duration::MAX, 200)] {
        let monitor = Running::with(|settings| settings.rules = Rules { keep, ..Rules::default() }).await;
        assert_eq!(monitor.post(&sample(60, json!({}))).await.0, status, "{keep:?}");
    }
}

#[tokio::test]
async fn numbers_are_taken_from_the_least_to_the_greatest() {
    for number in [1, 2, u32::MAX] {
        let monitor = Running::with(|settings| {
            settings.rules = Rules { series: number as usize, series_rate: number, ..Rules::default() };
            (settings.rate, settings.feed, settings.feed_clients) = (number, number as usize, number as usize);
            settings.history.disk = number.into();
            settings.history.annotations = number as usize;
        })
        .await;
        let mut page = monitor.feed("").await;
        let (status, taken) = monitor.post(&sample(0, json!({ "ended": 0 }))).await;
        assert_eq!((status, &taken["accepted"]), (200, &json!(1)), "{number}: {taken}");
        assert!(page.next().await.is_some());
    }
    // None at all: everything is refused, and nothing breaks.
    let rules = Rules { series: 0, series_rate: 0, message: 0, ..Rules::default() };
    let monitor = Running::with(|settings| settings.rules = rules).await;
    let (status, taken) = monitor.post(&sample(0, json!({}))).await;
    assert_eq!((status, &taken["refused"]), (400, &json!(1)), "{taken}");
}

#[tokio::test]
async fn series_are_taken_up_to_their_limit() {
    for (count, accepted) in [(4, 4), (5, 5), (6, 5)] {
        let monitor = Running::with(|settings| settings.rules = Rules { series: 5, ..Rules::default() }).await;
        let lines: Vec<String> = (0..count).map(|at| sample(0, json!({ "color": format!("c{at}") }))).collect();
        let (_, taken) = monitor.post(&lines.join("\n")).await;
        assert_eq!(taken["accepted"], accepted, "{count}: {taken}");
    }
}
