use super::*;
use bytes::Bytes;

fn subscriber(id: u64) -> Subscriber {
    Subscriber { connection: ConnectionId(id), address: "127.0.0.1:5".into(), topics: "/topic/bulk".into() }
}

fn status(id: u64, dropped: u64) -> ConnectionStatus {
    ConnectionStatus {
        id: ConnectionId(id),
        subscriptions: Vec::new(),
        outbox: 8_384_736,
        outbox_attributes: 0,
        unacked: 0,
        unacknowledged: 0,
        published: 0,
        delivered: 0,
        dropped,
        paused: None,
        slow: true,
        gone: false,
        pending: 0,
        stalled: false,
    }
}

fn at(seconds: u64) -> Time {
    Time(0) + Duration::from_secs(seconds)
}

#[test]
fn a_subscriber_that_stays_slow_is_logged_ever_more_rarely_with_its_count() {
    let mut slow = SlowSubscribers::new(&Limits::default());
    let mut lines = Vec::new();
    for seconds in (0..=14 * 60).step_by(10) {
        let line = slow.judged(at(seconds), subscriber(13), &status(13, seconds * 30));
        lines.extend(line.map(|line| (seconds, line.stage)));
    }
    let goes_on = |seconds: u64| (seconds, Stage::GoesOn { missed: seconds * 30 });
    let begins = (0, Stage::Begins { waiting: 8_384_736 });
    // A minute, then two, four, and eight after the line before.
    assert_eq!(lines, [begins, goes_on(60), goes_on(180), goes_on(420)]);
}

#[test]
fn the_lines_of_a_subscriber_are_at_most_an_hour_apart() {
    let mut slow = SlowSubscribers::new(&Limits::default());
    let seconds = (0..400_000).step_by(10);
    let lines = seconds.filter(|&now| slow.judged(at(now), subscriber(1), &status(1, now)).is_some());
    let lines: Vec<u64> = lines.collect();
    let gaps: Vec<u64> = lines.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!((gaps[..6].to_vec(), gaps.iter().max()), (vec![60, 120, 240, 480, 960, 1920], Some(&3600)));
}

#[test]
fn a_subscriber_keeps_up_again_once_it_was_not_judged_for_two_periods_and_a_grace_period() {
    let limits = Limits::default();
    let quiet = limits.slow_consumer * 2 + limits.grace_period;
    let mut slow = SlowSubscribers::new(&limits);
    assert!(slow.judged(at(0), subscriber(1), &status(1, 0)).is_some());
    assert!(slow.judged(at(5), subscriber(1), &status(1, 9)).is_none());
    let before = Time((at(5) + quiet).0 - 1);
    assert!(slow.recovered(before, |_| (0, 9)).is_empty());
    // Without a publisher it misses nothing more, and is not better for that.
    let half = limits.outbox / 2;
    assert!(slow.recovered(at(5) + quiet, |_| (half + 1, 9)).is_empty());
    let recovered = slow.recovered(at(5) + quiet, |_| (half, 9));
    let recovered: Vec<_> = recovered.iter().map(|line| (line.subscriber.connection, line.stage)).collect();
    assert_eq!(recovered, [(ConnectionId(1), Stage::KeepsUp { missed: 9 })]);
    assert!(slow.recovered(at(500), |_| (0, 9)).is_empty());
    // The next time is a first line again.
    assert!(slow.judged(at(500), subscriber(1), &status(1, 9)).is_some());
}

#[test]
fn a_line_names_the_subscriber_its_topic_and_the_messages_that_it_missed() {
    let line = |stage| format!("{} {stage}", subscriber(1));
    assert_eq!(
        line(Stage::Begins { waiting: 8_384_736 }),
        "subscriber 127.0.0.1:5 of /topic/bulk may miss messages from now on: 8 MiB wait until it reads"
    );
    assert_eq!(
        line(Stage::GoesOn { missed: 398 }),
        "subscriber 127.0.0.1:5 of /topic/bulk has missed 398 messages so far"
    );
    assert_eq!(
        line(Stage::KeepsUp { missed: 1 }),
        "subscriber 127.0.0.1:5 of /topic/bulk keeps up again; it has missed 1 message"
    );
    let named = |names: &[&'static str]| {
        let subscriptions = names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect();
        topics(&ConnectionStatus { subscriptions, ..status(1, 0) })
    };
    assert_eq!(named(&["/topic/a"]), "/topic/a");
    assert_eq!(named(&["/null", "/topic/a", "/topic/b"]), "/topic/a and others");
    assert_eq!(named(&["/null"]), "nothing any more");
}
