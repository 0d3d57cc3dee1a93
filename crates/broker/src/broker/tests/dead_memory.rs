//! Memory of dead letters: they share what they have in common, and are the first to go where memory is short.

use super::attributes::headers;
use super::retry::bench;
use super::{Bench, brief, check, manual};
use crate::{Attributes, Batch, Command, DeliveryTag, Limits, PauseReason, StatusQuery, Totals, cost};
use crate::{Event, Packer};
use std::sync::Arc;

const DEAD: &str = "/queue/dead/queue/a";

fn reject(tag: u64) -> Command {
    Command::Nack { first: DeliveryTag(tag), last: DeliveryTag(tag), requeue: false }
}

/// A broker with so many bytes for messages.
fn with_room(bytes: usize) -> Bench {
    let limits = Limits { connections: 100, message: 1000, queue: 1 << 30, ..Limits::default() };
    let aside = limits.memory - limits.memory_for_messages();
    Bench::new(Limits { memory: aside + bytes, ..limits })
}

fn depth(bench: &Bench, name: &str) -> usize {
    let status = bench.broker.status(bench.now, &StatusQuery::top(100));
    status.channels.iter().find(|channel| channel.name == name).map_or(0, |channel| channel.depth)
}

/// A message whose headers no other one has.
fn unlike(number: u64, size: usize) -> Batch {
    let attributes = Attributes { headers: headers(&[("number", &format!("{number:08}"))]), ..Attributes::default() };
    Batch::one(&vec![b'x'; size]).with_attributes(Arc::new(attributes))
}

/// Publishes messages to a queue with one consumer, which rejects each of them.
fn reject_all(bench: &mut Bench, queue: &'static str, batches: impl Iterator<Item = Batch>) -> u64 {
    bench.subscribe_with(1, queue, manual(1000));
    let mut tag = bench.broker.totals().dead_lettered;
    for batch in batches {
        let bytes = batch.bytes();
        bench.send(3, Command::Publish { channel: queue.into(), batch });
        bench.credit(1, bytes);
        tag += 1;
        bench.send(1, reject(tag));
        bench.pass(0);
        let memory = &bench.broker.budget;
        assert!(memory.used() <= memory.for_messages(), "after {tag}: {} bytes are used", memory.used());
    }
    bench.send(1, Command::Unsubscribe { subscription: crate::SubscriptionId(0) });
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    tag
}

#[test]
fn dead_letters_that_became_such_in_the_same_way_at_the_same_time_share_their_headers_and_small_ones_a_buffer() {
    let mut bench = bench();
    bench.subscribe_with(1, "/queue/a", manual(10_000));
    let mut packer = Packer::default();
    (0..2000).for_each(|_| packer.push(b"12345678"));
    bench.send(3, Command::Publish { channel: "/queue/a".into(), batch: packer.finish().unwrap() });
    bench.credit(1, 12 * 2000);
    bench.send(1, reject(1));
    let before = bench.broker.totals().memory;
    // Every second one: none lies beside another in its lease.
    (3..1000).step_by(2).for_each(|tag| _ = bench.send(1, reject(tag)));
    let each = (bench.broker.totals().memory - before) / 499;
    assert!(each <= 2 * 12, "{each} bytes a dead letter");
    assert_eq!((depth(&bench, DEAD), bench.broker.audit()), (500, bench.broker.totals().memory));
    // At another time they say so, and share nothing with those before.
    bench.pass(1);
    let before = bench.broker.totals().memory;
    bench.send(1, reject(1001));
    assert!(bench.broker.totals().memory - before > cost::SEGMENT);
    let dead = bench.subscribe_with(2, DEAD, manual(10_000));
    let times = dead.iter().filter_map(|event| match event {
        Event::Deliver { batch, .. } => {
            Some((batch.attributes()?.headers.get(b"dead-letter-time")?.to_vec(), batch.len()))
        }
        _ => None,
    });
    let of_time =
        |wanted: &[u8]| times.clone().filter(|(time, _)| time == wanted).map(|(_, count)| count).sum::<usize>();
    assert_eq!((of_time(b"0"), of_time(b"1")), (500, 1));
}

#[test]
fn dead_letters_have_no_more_memory_than_is_free_and_the_oldest_go_which_are_counted() {
    for steps in [1, 4096] {
        let mut bench = with_room(1 << 20);
        bench.broker.set_steps_per_call(steps);
        let all = reject_all(&mut bench, "/queue/a", (0..4000).map(|number| unlike(number, 100)));
        let Totals { dropped_dead, dead_lettered, .. } = bench.broker.totals();
        let kept = depth(&bench, DEAD) as u64;
        assert_eq!((dead_lettered, dropped_dead), (all, all - kept));
        assert!((500..1000).contains(&kept), "{kept} are kept");
        let status = bench.broker.channel(bench.now, DEAD.as_bytes()).expect("dead letters");
        assert!(status.bytes <= bench.broker.budget.free(), "{} bytes", status.bytes);
        bench.broker.set_steps_per_call(4096);
        let Some(Event::Deliver { batch, .. }) = bench.subscribe_with(2, DEAD, manual(1)).pop() else { panic!() };
        let first = format!("{:08}", all - kept);
        let number = batch.attributes().and_then(|attributes| attributes.headers.get(b"number"));
        assert_eq!(number, Some(first.as_bytes()), "the oldest have gone");
    }
}

#[test]
fn one_dead_letter_of_any_size_waits_while_memory_is_free_and_none_where_nothing_is() {
    for (more, kept) in [(0, 0), (1, 1)] {
        let mut bench = with_room(1 << 20);
        bench.subscribe_with(1, "/queue/a", manual(10));
        bench.publish(3, "/queue/a", &[&"x".repeat(900)]);
        bench.credit(1, 904);
        bench.send(4, Command::Reserve { bytes: 0, whole: 0 });
        bench.broker.budget.charge(bench.broker.budget.free() - cost::channel(DEAD.len()) - 2000);
        let free = bench.broker.budget.free();
        bench.send(1, reject(1));
        assert_eq!(depth(&bench, DEAD), 1, "{free} bytes were free");
        let free = bench.broker.budget.free();
        bench.broker.budget.charge(free - more);
        let slot = bench.broker.names[DEAD.as_bytes()];
        bench.broker.channels.edit(slot);
        bench.pass(0);
        bench.send(3, Command::Credit { bytes: 0 });
        assert_eq!(depth(&bench, DEAD), kept, "{more} bytes are free");
    }
}

#[test]
fn dead_letters_of_many_queues_give_way_to_what_others_publish_and_the_fullest_gives_first() {
    for steps in [1, 4096] {
        let mut bench = with_room(2 << 20);
        for (queue, count) in [("/queue/a", 1000), ("/queue/b", 100), ("/queue/c", 800)] {
            reject_all(&mut bench, queue, (0..count).map(|number| unlike(number, 200)));
        }
        let before = ["a", "b", "c"].map(|name| depth(&bench, &format!("/queue/dead/queue/{name}")));
        assert_eq!(before[1], 100);
        bench.broker.set_steps_per_call(steps);
        // Others get about half of the memory before they are paused.
        let mut sent = 0;
        let paused = loop {
            let events = bench.send(5, Command::Publish { channel: "/queue/other".into(), batch: unlike(sent, 200) });
            let events: Vec<Event> = events.into_iter().chain(bench.pass(0)).collect();
            let used = bench.broker.budget.used();
            assert!(used <= bench.broker.budget.for_messages(), "{used} bytes are used");
            sent += 1;
            let last = events.into_iter().rfind(|event| matches!(event, Event::Pause { .. } | Event::Resume { .. }));
            if let Some(Event::Pause { reason, .. }) = last {
                break reason;
            }
        };
        assert!(matches!(paused, PauseReason::Memory { .. }), "{paused:?}");
        let other = bench.broker.channel(bench.now, b"/queue/other").expect("a queue").bytes;
        assert!(other > bench.broker.budget.for_messages() / 4, "{other} bytes");
        let after = ["a", "b", "c"].map(|name| depth(&bench, &format!("/queue/dead/queue/{name}")));
        assert_eq!(after[1], 100, "the smallest keeps all of {before:?}");
        assert!(after[0] < before[0] && after[2] <= before[2], "{after:?} of {before:?}");
        assert_eq!(bench.broker.totals().memory, bench.broker.audit());
    }
}

#[test]
fn a_consumer_and_a_new_queue_find_memory_where_dead_letters_have_it() {
    let mut bench = with_room(1 << 20);
    reject_all(&mut bench, "/queue/a", (0..4000).map(|number| unlike(number, 100)));
    // Others have the rest.
    let free = bench.broker.budget.free();
    bench.broker.budget.charge(free);
    let before = depth(&bench, DEAD);
    check(&bench.subscribe_with(6, "/queue/new", manual(1)), &[]);
    assert!((1..before).contains(&depth(&bench, DEAD)));
    assert_eq!(brief(&bench.publish(7, "/queue/new", &["0"])), ["6:0"]);
}
