//! Which series makes room, and how fast new ones may come.

use super::*;

#[test]
fn new_series_come_in_a_burst_of_ten_seconds_and_then_at_their_rate() {
    let mut collector = with(Rules { series: 1000, series_rate: 3, ..Rules::default() });
    let mut next = 0;
    let mut come = |collector: &mut Collector, seconds: i64| {
        let mut taken = 0;
        for _ in 0..100 {
            next += 1;
            taken += i32::from(send(collector, seconds, json!({ "color": format!("c{next}") })).is_ok());
        }
        taken
    };
    assert_eq!(come(&mut collector, 0), 30);
    assert_eq!(collector.counts.refused[Refusal::SeriesRate { limit: 3 }.index()], 70);
    let later: Vec<i32> = [0, 1, 2, 5, 4, 6, 1000].map(|seconds| come(&mut collector, seconds)).to_vec();
    // A clock that goes back earns nothing, and costs nothing.
    assert_eq!(later, [0, 3, 3, 9, 0, 6, 30]);
}

/// A collector that knows as many series as it may, the first of them for longest.
fn full(count: i64, lived: i64) -> Collector {
    let mut collector = with(Rules { series: count as usize, gone: Duration::from_secs(100), ..Rules::default() });
    for nth in 0..count {
        send(&mut collector, nth, json!({ "color": format!("c{nth}") })).unwrap();
        collector.tick(at(nth));
    }
    for second in count..count + lived {
        for nth in 0..count {
            send(&mut collector, second, json!({ "color": format!("c{nth}") })).unwrap();
        }
        collector.tick(at(second));
    }
    collector.effects();
    collector
}

pub(super) fn known(collector: &Collector) -> Vec<&str> {
    let mut names: Vec<&str> = collector.series.iter().map(|series| &*series.meta.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn series_that_live_leave_no_room() {
    let mut collector = full(5, 1);
    assert_eq!(send(&mut collector, 6, json!({ "color": "new" })), Err(Refusal::SeriesLimit { limit: 5 }));
    send(&mut collector, 6, json!({ "color": "c4" })).unwrap();
    // Nor do those that are silent, and were there for longer than a minute.
    let mut collector = full(5, 70);
    (75..100).for_each(|second| collector.tick(at(second)));
    assert!(collector.series.iter().all(|series| series.state == State::Silent));
    assert_eq!(send(&mut collector, 100, json!({ "color": "new" })), Err(Refusal::SeriesLimit { limit: 5 }));
}

#[test]
fn series_that_are_gone_make_room_at_once_and_the_oldest_goes_first() {
    let mut collector = full(5, 70);
    // The third still reports.
    for second in 75..200 {
        send(&mut collector, second, json!({ "color": "c2" })).unwrap();
        collector.tick(at(second));
    }
    assert_eq!(collector.series.iter().filter(|series| series.state == State::Gone).count(), 4);
    collector.effects();
    for (at, gone) in ["c0", "c1", "c3", "c4"].into_iter().enumerate() {
        send(&mut collector, 200, json!({ "color": format!("new {at}") })).unwrap();
        assert!(!known(&collector).contains(&gone), "{gone} is still there: {:?}", known(&collector));
    }
    assert_eq!(known(&collector), ["c2", "new 0", "new 1", "new 2", "new 3"]);
    // Their names are kept on the disk: they have a past.
    assert!(collector.effects().names.iter().all(|(_, text)| !text.is_empty()));
    assert_eq!(send(&mut collector, 200, json!({ "color": "more" })), Err(Refusal::SeriesLimit { limit: 5 }));
    // One that comes back is new.
    (201..320).for_each(|second| collector.tick(at(second)));
    send(&mut collector, 320, json!({ "color": "c0" })).unwrap();
    assert!(collector.series.iter().any(|series| series.meta.name == "c0" && series.meta.id == 10));
}

#[test]
fn a_flood_of_names_that_were_hardly_there_is_over_soon() {
    let mut collector = full(5, 0);
    (5..20).for_each(|second| collector.tick(at(second)));
    collector.effects();
    send(&mut collector, 20, json!({ "color": "new" })).unwrap();
    assert_eq!(collector.effects().names[0], (1, String::new()), "nothing is to be kept of the oldest");
    assert_eq!(known(&collector), ["c1", "c2", "c3", "c4", "new"]);
}
