mod restore;
mod room;

use super::*;
use serde_json::{Value, json};

const BEGIN: i64 = 1_800_000_000_000;

fn at(seconds: i64) -> Millis {
    Millis(BEGIN + seconds * 1000)
}

fn collector() -> Collector {
    with(Rules::default())
}

fn with(rules: Rules) -> Collector {
    Collector::new(rules, at(0), Earlier::default())
}

/// A sample of that second, which arrives then.
fn send(collector: &mut Collector, seconds: i64, fields: Value) -> Result<(), Refusal> {
    arrive(collector, seconds, seconds, fields)
}

fn arrive(collector: &mut Collector, now: i64, measured: i64, fields: Value) -> Result<(), Refusal> {
    let mut sample = json!({ "timestamp": at(measured).to_string(), "cpu": 1.5, "mem": 20.0 });
    sample.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    collector.ingest(sample.to_string().as_bytes(), Source::Http, at(now))
}

fn kinds(effects: &Effects) -> Vec<(SeriesId, AnnotationKind)> {
    effects.annotations.iter().map(|(annotation, _)| (annotation.id, annotation.kind)).collect()
}

fn series(effects: &Effects) -> Vec<SeriesId> {
    effects.points.iter().map(|point| point.series).collect()
}

#[test]
fn typical_senders_are_known_by_their_colors() {
    let mut collector = collector();
    for seconds in 0..3 {
        send(&mut collector, seconds, json!({ "color": "red" })).unwrap();
        send(&mut collector, seconds, json!({ "color": "blue" })).unwrap();
    }
    let effects = collector.effects();
    assert_eq!(series(&effects), [1, 2, 1, 2, 1, 2]);
    assert_eq!(kinds(&effects), []);
    assert_eq!(effects.names.len(), 2);
    let events = String::from_utf8(effects.events).unwrap();
    let first = events.lines().nth(1).unwrap().strip_prefix("data: ").unwrap();
    let sample: Value = serde_json::from_str(first).unwrap();
    assert_eq!(
        sample,
        json!({
            "id": 1, "color": "red", "timestamp": "2027-01-15T08:00:00.000+00:00", "cpu": 1.5, "mem": 20.0,
        })
    );
}

#[test]
fn a_hostile_color_is_only_a_text() {
    let mut collector = collector();
    let color = "\"><script>\n\ndata: x\r\0</script>";
    send(&mut collector, 0, json!({ "color": color })).unwrap();
    let events = String::from_utf8(collector.effects().events).unwrap();
    assert_eq!(events.lines().count(), 3, "{events}");
    let sample: Value = serde_json::from_str(&events.lines().nth(1).unwrap()[6..]).unwrap();
    assert_eq!(sample["color"], color);
}

#[test]
fn a_restart_goes_on_with_its_series() {
    let mut collector = collector();
    let web = |pid: u32| json!({ "service": "web", "instance": "a", "host": "h", "pid": pid });
    send(&mut collector, 0, web(10)).unwrap();
    send(&mut collector, 1, web(10)).unwrap();
    send(&mut collector, 3, web(11)).unwrap();
    // Late samples of the first are no news, and no restart.
    arrive(&mut collector, 3, 1, web(10)).unwrap();
    send(&mut collector, 4, web(11)).unwrap();
    let effects = collector.effects();
    assert_eq!(series(&effects), [1; 5]);
    assert_eq!(kinds(&effects), [(1, AnnotationKind::Restart)]);
    assert_eq!(effects.annotations[0].0.text, "restarted after 2 s (PID 10 -> 11)");
    assert_eq!(collector.series[0].meta.labels.pid, Some(11));
}

#[test]
fn a_new_start_of_the_same_number_is_a_restart() {
    let mut collector = collector();
    let web = |started: i64| json!({ "service": "web", "pid": 1, "started": at(started).0 });
    send(&mut collector, 0, web(-100)).unwrap();
    // Reckoned, and so not exact.
    send(&mut collector, 1, web(-99)).unwrap();
    collector.effects();
    send(&mut collector, 5, web(4)).unwrap();
    let effects = collector.effects();
    assert_eq!(kinds(&effects), [(1, AnnotationKind::Restart)]);
    assert!(effects.names[0].1.contains(&format!("\"started\":{}", at(4).0)));
}

#[test]
fn two_processes_under_one_name_have_two_series() {
    let mut collector = collector();
    let web = |pid: u32| json!({ "service": "web", "pid": pid });
    for seconds in 0..4 {
        send(&mut collector, seconds, web(10)).unwrap();
        send(&mut collector, seconds, web(11)).unwrap();
    }
    let effects = collector.effects();
    // The first of the second looked like a restart.
    assert_eq!(series(&effects), [1, 1, 2, 1, 2, 1, 2, 1]);
    assert_eq!(kinds(&effects), [(1, AnnotationKind::Restart)]);
    assert_eq!(collector.series[1].meta.name, "web #2");
}

#[test]
fn two_processes_that_say_when_they_started_are_never_mixed_up() {
    let mut collector = collector();
    let web = |pid: u32| json!({ "service": "web", "pid": pid, "started": at(-100).0 });
    for seconds in 0..3 {
        send(&mut collector, seconds, web(10)).unwrap();
        send(&mut collector, seconds, web(11)).unwrap();
    }
    let effects = collector.effects();
    assert_eq!((series(&effects), kinds(&effects)), (vec![1, 2, 1, 2, 1, 2], vec![]));
}

#[test]
fn a_process_is_silent_after_ten_seconds_and_comes_back() {
    let mut collector = collector();
    send(&mut collector, 0, json!({ "color": "red" })).unwrap();
    for seconds in 1..=10 {
        collector.tick(at(seconds));
    }
    assert_eq!(kinds(&collector.effects()), []);
    collector.tick(at(11));
    collector.tick(at(12));
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Silent)]);
    // It was only the network: what was measured meanwhile comes now, and leaves no gap.
    for measured in 1..=13 {
        arrive(&mut collector, 13, measured, json!({ "color": "red" })).unwrap();
    }
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Back)]);
}

#[test]
fn who_says_goodbye_is_not_missed() {
    let mut collector = collector();
    send(&mut collector, 0, json!({ "color": "red" })).unwrap();
    send(&mut collector, 1, json!({ "color": "red", "ended": 3 })).unwrap();
    for seconds in 1..100 {
        collector.tick(at(seconds));
    }
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Ended)]);
    assert_eq!(collector.series[0].state, State::Gone);
    send(&mut collector, 100, json!({ "color": "red" })).unwrap();
    // An announced end is no gap: what comes then is a new start.
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Restart)]);
    assert_eq!(collector.series[0].state, State::Live);
}

#[test]
fn a_hole_beyond_ten_seconds_is_a_gap() {
    let mut collector = collector();
    for seconds in [0, 10, 20, 31] {
        send(&mut collector, seconds, json!({ "color": "red" })).unwrap();
    }
    let effects = collector.effects();
    assert_eq!(kinds(&effects), [(1, AnnotationKind::Gap)]);
    assert_eq!(effects.annotations[0].0.text, "nothing for 11 s");
}

#[test]
fn a_clock_that_is_ahead_is_not_believed_beyond_five_seconds() {
    let mut collector = collector();
    arrive(&mut collector, 0, 5, json!({ "color": "red" })).unwrap();
    assert_eq!(collector.counts.ahead, 0);
    arrive(&mut collector, 1, 7, json!({ "color": "red" })).unwrap();
    assert_eq!(collector.counts.ahead, 1);
    let seconds: Vec<i64> =
        collector.effects().points.iter().map(|point| i64::from(point.row.second) - BEGIN / 1000).collect();
    assert_eq!(seconds, [5, 1]);
    assert_eq!(collector.counts.backwards, 1);
}

#[test]
fn what_is_older_than_the_history_is_refused() {
    let mut collector = with(Rules { keep: Duration::from_secs(60), ..Rules::default() });
    arrive(&mut collector, 100, 40, json!({ "color": "red" })).unwrap();
    assert_eq!(
        arrive(&mut collector, 100, 39, json!({ "color": "red" })),
        Err(Refusal::Old { seconds: 61, limit: 60 })
    );
}

#[test]
fn a_clock_that_jumps_silences_nobody() {
    let mut collector = collector();
    send(&mut collector, 0, json!({ "color": "red" })).unwrap();
    collector.tick(at(1));
    // The machine slept for an hour, and then its clock was set back by a day.
    for seconds in [3600, 3601, -80_000, -79_999] {
        collector.tick(at(seconds));
    }
    assert_eq!(kinds(&collector.effects()), []);
    assert_eq!(collector.counts.jumps, 2);
    for seconds in -79_999..-79_980 {
        collector.tick(at(seconds));
    }
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Silent)]);
}

#[test]
fn a_silent_process_is_gone_after_a_while() {
    let mut collector = with(Rules { gone: Duration::from_secs(60), ..Rules::default() });
    send(&mut collector, 0, json!({ "color": "red" })).unwrap();
    let states: Vec<State> = (1..=62)
        .map(|second| {
            collector.tick(at(second));
            collector.series[0].state
        })
        .collect();
    assert_eq!(
        [states[9], states[10], states[59], states[60]],
        [State::Live, State::Silent, State::Silent, State::Gone]
    );
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Silent)]);
}

#[test]
fn after_a_clock_was_set_back_what_comes_is_shown_at_once() {
    let mut collector = Collector::new(Rules::default(), at(3600), Earlier::default());
    for second in 3600..3660 {
        send(&mut collector, second, json!({ "color": "red", "pid": 1, "cpu": 90 })).unwrap();
        collector.tick(at(second));
    }
    collector.effects();
    // By an hour, and it is a sample that comes first.
    for second in 60..80 {
        send(&mut collector, second, json!({ "color": "red", "pid": 1, "cpu": 5 })).unwrap();
        let series = &collector.series[0];
        assert_eq!((series.usage, series.last, series.state), (Some((5.0, 20.0)), at(second), State::Live));
        collector.tick(at(second));
    }
    assert_eq!((kinds(&collector.effects()), collector.counts.jumps), (vec![], 1));
    // A restart is known as one, too.
    send(&mut collector, 80, json!({ "color": "red", "pid": 2 })).unwrap();
    send(&mut collector, 81, json!({ "color": "red", "pid": 2 })).unwrap();
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Restart)]);
    // And it is missed as soon as any other.
    (82..=91).for_each(|second| collector.tick(at(second)));
    assert_eq!(kinds(&collector.effects()), []);
    collector.tick(at(92));
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Silent)]);
}

#[test]
fn what_is_older_than_all_before_belongs_to_its_series_too() {
    let mut collector = collector();
    send(&mut collector, 100, json!({ "color": "red" })).unwrap();
    arrive(&mut collector, 101, 40, json!({ "color": "red" })).unwrap();
    let series = &collector.series[0];
    assert_eq!((series.meta.first, series.last), (at(40), at(100)));
}

#[test]
fn a_restart_is_said_once_and_an_announced_end_is_no_gap() {
    let mut collector = collector();
    let web = |pid: u32| json!({ "service": "web", "pid": pid });
    send(&mut collector, 0, web(1)).unwrap();
    send(&mut collector, 60, web(2)).unwrap();
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Restart)]);
    send(&mut collector, 61, json!({ "service": "web", "pid": 2, "ended": 0 })).unwrap();
    send(&mut collector, 200, web(3)).unwrap();
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Ended), (1, AnnotationKind::Restart)]);
    // Late samples of the ended one start nothing.
    send(&mut collector, 201, json!({ "service": "web", "pid": 3, "ended": 0 })).unwrap();
    arrive(&mut collector, 202, 200, web(3)).unwrap();
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Ended)]);
}

#[test]
fn local_time_without_a_zone_is_named_as_a_wrong_clock() {
    let mut collector = collector();
    let local = |second: i64| at(second - 5 * 3600).to_string().replace("+00:00", "");
    send(&mut collector, 0, json!({ "color": "red", "timestamp": local(0) })).unwrap();
    assert_eq!(collector.series[0].skew.text().as_deref(), Some("its clock is 5 h behind"));
    for second in 1..30 {
        send(&mut collector, second, json!({ "color": "red", "timestamp": local(second) })).unwrap();
        collector.tick(at(second));
    }
    let effects = collector.effects();
    assert_eq!(kinds(&effects), [(1, AnnotationKind::Clock)]);
    assert_eq!(effects.annotations[0].0.text, "its clock is 5 h behind");
    send(&mut collector, 30, json!({ "color": "red" })).unwrap();
    assert_eq!(collector.series[0].skew.text(), None);
}

#[test]
fn a_restart_of_a_process_ends_its_leak() {
    let mut collector = collector();
    let web = |pid: u32, second: i64| json!({ "service": "web", "pid": pid, "mem": 100.0 + second as f64 / 10.0 });
    for second in (0..3600 * 7).step_by(10) {
        send(&mut collector, second, web(1, second)).unwrap();
        collector.tick(at(second));
    }
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Leak)]);
    send(&mut collector, 3600 * 7 + 5, web(2, 0)).unwrap();
    assert_eq!(kinds(&collector.effects()), [(1, AnnotationKind::Restart), (1, AnnotationKind::LeakOver)]);
}

#[test]
fn messages_are_taken_up_to_their_limit() {
    let rules = Rules { message: 100, ..Rules::default() };
    let text = format!(r#"{{"color":"red","timestamp":"{}","cpu":1,"mem":2}}"#, at(0));
    for (length, taken) in [(99, true), (100, true), (101, false)] {
        let padded = format!("{text:length$}");
        let result = with(rules.clone()).ingest(padded.as_bytes(), Source::Zmq, at(0));
        let refusal = Refusal::Long { length, limit: 100 };
        assert_eq!(result, if taken { Ok(()) } else { Err(refusal) });
    }
}

#[test]
fn every_refusal_is_counted_by_its_reason() {
    let mut collector = collector();
    for bytes in [&b"{"[..], b"{}", &[b' '; 5000]] {
        collector.ingest(bytes, Source::Broker, at(0)).unwrap_err();
    }
    send(&mut collector, 0, json!({ "color": "x".repeat(200) })).unwrap_err();
    send(&mut collector, 0, json!({ "color": "x", "cpu": -1 })).unwrap_err();
    send(&mut collector, 0, json!({ "color": "x", "started": "never" })).unwrap_err();
    assert_eq!(collector.counts.refused, [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]);
    assert_eq!((collector.counts.accepted, collector.counts.received), (0, [0, 3, 3, 0]));
}
