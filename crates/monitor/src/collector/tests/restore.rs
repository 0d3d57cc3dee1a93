//! A restart of the collector.

use super::room::known;
use super::*;
use crate::history;
use std::collections::HashMap;

#[test]
fn series_of_an_earlier_run_go_on_under_their_numbers() {
    let mut first = collector();
    for seconds in 0..70 {
        send(&mut first, seconds, json!({ "service": "web", "pid": 1 })).unwrap();
        send(&mut first, seconds, json!({ "color": "red" })).unwrap();
    }
    send(&mut first, 70, json!({ "color": "red", "ended": 0 })).unwrap();
    let metas: HashMap<SeriesId, String> = first.effects().names.into_iter().collect();
    let metas = metas.values().map(|json| serde_json::from_str(json).unwrap()).collect();
    let spans = HashMap::from([(1, (at(0).second(), at(69).second())), (2, (at(0).second(), at(70).second()))]);
    let mut second = Collector::new(Rules::default(), at(75), Earlier { metas, spans, ..Earlier::default() });
    send(&mut second, 75, json!({ "service": "web", "pid": 1 })).unwrap();
    (76..90).for_each(|seconds| second.tick(at(seconds)));
    let effects = second.effects();
    assert_eq!(series(&effects), [1]);
    assert_eq!(kinds(&effects), [(1, AnnotationKind::Silent)]);
    send(&mut second, 90, json!({ "color": "green" })).unwrap();
    assert_eq!(series(&second.effects()), [3]);
}

/// A collector that goes on where another one has ended, with what that has left.
fn restarted(first: &mut Collector, now: i64, rules: Rules) -> Collector {
    let effects = first.effects();
    let mut metas: HashMap<SeriesId, SeriesMeta> = HashMap::new();
    for (id, json) in &effects.names {
        metas.insert(*id, serde_json::from_str(json).unwrap());
    }
    let mut spans = history::Spans::new();
    for point in &effects.points {
        let span = spans.entry(point.series).or_insert((point.row.second, point.row.second));
        *span = (span.0.min(point.row.second), span.1.max(point.row.second));
    }
    let annotations = effects.annotations.into_iter().map(|(annotation, _)| annotation).collect();
    Collector::new(rules, at(now), Earlier { metas: metas.into_values().collect(), spans, annotations })
}

#[test]
fn a_restart_of_the_collector_repeats_no_alarm() {
    let mut first = collector();
    for second in 0..3600 * 8 {
        if second % 10 == 0 {
            let mem = 100.0 + second as f64 / 10.0;
            send(&mut first, second, json!({ "service": "leaking", "mem": mem })).unwrap();
        }
        if second < 60 {
            send(&mut first, second, json!({ "color": "silent" })).unwrap();
        }
        first.tick(at(second));
    }
    let begin = 3600 * 8;
    let mut second = restarted(&mut first, begin, Rules { gone: Duration::from_secs(86_400), ..Rules::default() });
    second.remember(|visit| {
        (0..480).for_each(|minute| visit(1, (BEGIN / 60_000) as u32 + minute, 100.0 + f64::from(minute) * 6.0));
    });
    for at_second in begin..begin + 3600 {
        let mem = 100.0 + at_second as f64 / 10.0;
        send(&mut second, at_second, json!({ "service": "leaking", "mem": mem })).unwrap();
        second.tick(at(at_second));
    }
    assert_eq!(kinds(&second.effects()), []);
    assert!(second.series.iter().any(|series| series.leak.alarm.is_some_and(|(growth, _)| growth > 300.0)));
    // Their end is announced, though.
    send(&mut second, begin + 3600, json!({ "color": "silent" })).unwrap();
    let kinds = kinds(&second.effects());
    assert!(kinds.contains(&(2, AnnotationKind::Back)), "{kinds:?}");
}

#[test]
fn lost_names_give_no_process_the_past_of_another_one() {
    let mut first = collector();
    for second in 0..100 {
        send(&mut first, second, json!({ "color": "red" })).unwrap();
        send(&mut first, second, json!({ "color": "blue" })).unwrap();
    }
    send(&mut first, 100, json!({ "color": "brief" })).unwrap();
    let mut effects = first.effects();
    effects.names.retain(|(id, _)| *id == 1);
    first.effects = effects;
    let mut second = restarted(&mut first, 101, Rules::default());
    assert_eq!(known(&second), ["red", "unnamed 2"]);
    send(&mut second, 101, json!({ "color": "green" })).unwrap();
    send(&mut second, 101, json!({ "color": "blue" })).unwrap();
    assert_eq!(series(&second.effects()), [4, 5]);
    let unnamed = &second.series[1];
    assert_eq!((unnamed.state, unnamed.meta.first, unnamed.last), (State::Gone, at(0), at(99)));
}

#[test]
fn an_earlier_run_fills_no_more_than_the_limit_and_its_future_is_not_believed() {
    let mut first = collector();
    for second in 0..10 {
        send(&mut first, 3600 + second, json!({ "color": format!("c{second}") })).unwrap();
    }
    // The clock was an hour ahead then.
    let second = restarted(&mut first, 10, Rules { series: 4, ..Rules::default() });
    assert_eq!(second.series.len(), 4);
    assert!(second.series.iter().all(|series| series.last <= at(10)), "{:?}", second.series);
    let mut first = collector();
    for second in 0..10 {
        send(&mut first, second, json!({ "color": format!("c{second}") })).unwrap();
    }
    assert_eq!(known(&restarted(&mut first, 10, Rules { series: 4, ..Rules::default() })), ["c6", "c7", "c8", "c9"]);
}
