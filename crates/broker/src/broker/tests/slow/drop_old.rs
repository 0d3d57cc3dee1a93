//! A subscriber that does not keep up with a topic whose policy is to drop the oldest.

use crate::broker::tests::{Bench, small};
use crate::{AckMode, ChannelRule, Command, Event, Limits, OverflowPolicy, Pattern, SubscriptionId};
use std::collections::VecDeque;
use std::time::Duration;

/// A driver whose subscriber has begun to read a message, and reads no further.
struct Stuck {
    bench: Bench,
    /// Messages that the driver has, and of the first the bytes that are written.
    handed: VecDeque<Vec<u8>>,
    written: usize,
    recalls: usize,
}

impl Stuck {
    fn new(limits: Limits, rules: Vec<ChannelRule>) -> Stuck {
        let mut bench = Bench::with_rules(Limits { grace_period: Duration::ZERO, ..limits }, rules);
        bench.subscribe(1, "/topic/a");
        Stuck { bench, handed: VecDeque::new(), written: 0, recalls: 0 }
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Deliver { batch, .. } => self.handed.extend(batch.iter().map(<[u8]>::to_vec)),
                Event::Recall { .. } => {
                    self.recalls += 1;
                    self.handed.truncate(usize::from(self.written > 0));
                    let kept = self.handed.front().map_or(0, |first| first.len() + 4 - self.written);
                    let more = self.bench.send(1, Command::Recalled { kept });
                    self.take(more);
                    self.bench.rest();
                    let more = self.bench.events();
                    self.take(more);
                }
                _ => {}
            }
        }
    }

    fn publish(&mut self, body: &str) {
        let events = self.bench.publish(2, "/topic/a", &[body]);
        self.take(events);
    }

    fn write(&mut self, bytes: usize) {
        self.written += bytes;
        let events = self.bench.credit(1, bytes);
        self.take(events);
    }

    /// Reads on: gives the numbers of all messages.
    fn read(&mut self) -> Vec<usize> {
        let mut numbers = Vec::new();
        while let Some(first) = self.handed.front().cloned() {
            self.write(first.len() + 4 - self.written);
            self.handed.pop_front();
            self.written = 0;
            numbers.push(String::from_utf8_lossy(&first).trim_end_matches('x').parse().unwrap());
        }
        self.bench.is_at_rest();
        numbers
    }
}

fn limits() -> Limits {
    Limits { policy: OverflowPolicy::DropOld, ..small() }
}

#[test]
fn drop_old_keeps_the_newest_at_any_relation_of_outbox_and_window() {
    for window in [1, 49, 50, 51, 99, 100, 101, 150, 1000] {
        for begun in [0, 1, 9, 10] {
            for steps in [1, 4096] {
                let mut stuck = Stuck::new(Limits { window, ..limits() }, Vec::new());
                stuck.bench.broker.set_steps_per_call(steps);
                stuck.publish("10xxxx");
                stuck.write(begun.min(9));
                if begun == 10 {
                    stuck.write(1);
                    (stuck.handed, stuck.written) = (VecDeque::new(), 0);
                }
                (11..99).for_each(|number| stuck.publish(&format!("{number}xxxx")));
                let case = format!("a window of {window} and {begun} bytes written");
                assert!(stuck.recalls <= 1, "{} recalls at once, {case}", stuck.recalls);
                let read = stuck.read();
                assert!(read.is_sorted(), "{read:?}, {case}");
                // Small neighbors are dropped together.
                assert_eq!(read[read.len() - 2..], [97, 98], "{read:?}, {case}");
                assert!(read.len() <= 11, "{read:?}, {case}");
                let dropped = stuck.bench.broker.totals().dropped_slow as usize;
                assert_eq!(dropped + read.len() + usize::from(begun == 10), 89, "{case}");
            }
        }
    }
}

#[test]
fn drop_old_keeps_the_newest_of_large_messages_and_of_few() {
    for (outbox, outbox_messages, size) in [(100, 0, 60), (100, 0, 100), (100, 0, 150), (1000, 1, 6), (1000, 4, 6)] {
        // The second message comes when all is recalled, and the last long behind that.
        for (begun, newest) in [(0, 11), (1, 11), (0, 98), (1, 98)] {
            let mut stuck = Stuck::new(Limits { outbox, outbox_messages, ..limits() }, Vec::new());
            stuck.publish(&format!("{:x<size$}", 10));
            stuck.write(begun);
            (11..=newest).for_each(|number| stuck.publish(&format!("{number:x<size$}")));
            let read = stuck.read();
            let most = outbox_messages.max(1) + 1;
            assert!(read.last() == Some(&newest) && read.len() <= most, "{read:?} of {size} bytes, {begun} written");
        }
    }
}

#[test]
fn what_a_topic_of_another_policy_gave_is_not_dropped_for_one_that_drops_its_oldest() {
    let keeps = ChannelRule { policy: Some(OverflowPolicy::Block), ..ChannelRule::new(Pattern::new("/topic/b")) };
    for window in [1, 1000] {
        let mut stuck = Stuck::new(Limits { window, ..limits() }, vec![keeps.clone()]);
        let both =
            Command::Subscribe { subscription: SubscriptionId(1), pattern: "/topic/b".into(), ack: AckMode::Auto };
        stuck.bench.send(1, both);
        for number in 10..19 {
            let events = stuck.bench.publish(2, "/topic/b", &[&format!("{number}xxxx")]);
            stuck.take(events);
        }
        (20..99).for_each(|number| stuck.publish(&format!("{number}xxxx")));
        let read = stuck.read();
        assert_eq!(read, [10, 11, 12, 13, 14, 15, 16, 17, 18, 98], "a window of {window}");
    }
}
