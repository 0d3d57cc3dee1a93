//! Messages that come back in many calls, and what is published meanwhile.
//!
//! A queue sees them come back at once: none that is published goes between them, to whichever consumer. It may go before
//! all of them: whoever published it cannot know that they are to come back, for nobody has been told.

use crate::broker::tests::{Bench, manual};
use crate::{Batch, Command, Delivery, DeliveryTag, Event, Limits, SubscriptionId};
use std::collections::VecDeque;
use std::time::Duration;

const MESSAGES: u64 = 30;
const OTHERS: u64 = 70;
/// The number of the message that is published meanwhile.
const NEW: u64 = 99;

/// Why the messages of a consumer come back.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cause {
    Nack,
    Unsubscribe,
    Disconnect,
    Stall,
}

struct Case {
    bench: Bench,
    /// Messages of queue b, in the order in which consumers get them, each with its consumer.
    given: Vec<(u64, u64)>,
}

impl Case {
    /// Consumer 1 has all that waits in the queues a and b. Consumer 2 has no room in either.
    fn new(cause: Cause) -> Case {
        let delivery = Delivery { redelivery_backoff: Duration::ZERO, ..Delivery::default() };
        // A nack is for what was handed out, the rest comes out of the outbox.
        let window = if cause == Cause::Nack { 1 << 20 } else { 1 };
        let bench = Bench::with_rules(Limits { window, delivery, ..Limits::default() }, Vec::new());
        let mut case = Case { bench, given: Vec::new() };
        case.bench.subscribe_with(2, "/queue/*", manual(OTHERS as u32));
        (0..OTHERS).for_each(|_| case.publish("/queue/y", b"y"));
        for (number, queue) in [(0, "/queue/a"), (1, "/queue/b")] {
            let (subscription, pattern) = (SubscriptionId(number), queue.into());
            case.send(1, Command::Subscribe { subscription, pattern, ack: manual(100) });
        }
        for number in 0..MESSAGES {
            case.publish("/queue/a", b"a");
            case.publish("/queue/b", number.to_string().as_bytes());
        }
        case.given.clear();
        case
    }

    fn publish(&mut self, channel: &'static str, body: &[u8]) {
        self.send(3, Command::Publish { channel: channel.into(), batch: Batch::one(body) });
    }

    fn send(&mut self, id: u64, command: Command) {
        let events = self.bench.send(id, command);
        self.take(events);
    }

    fn timeout(&mut self) {
        if self.bench.broker.poll_timeout() == Some(self.bench.now) {
            self.bench.broker.handle_timeout(self.bench.now);
        }
        let events = self.bench.events();
        self.take(events);
    }

    fn take(&mut self, events: Vec<Event>) {
        let mut events: VecDeque<Event> = events.into();
        while let Some(event) = events.pop_front() {
            match event {
                Event::Deliver { connection, channel, batch, .. } => {
                    if channel == "/queue/b" {
                        let numbers = batch.iter().map(|body| String::from_utf8_lossy(body).parse().expect("a number"));
                        self.given.extend(numbers.map(|number| (connection.0, number)));
                    }
                    if connection.0 == 2 {
                        events.extend(self.bench.credit(2, batch.bytes()));
                    }
                }
                Event::Recall { connection } => {
                    events.extend(self.bench.send(connection.0, Command::Recalled { kept: 0 }));
                }
                _ => {}
            }
        }
    }

    fn come_back(&mut self, cause: Cause) {
        match cause {
            Cause::Nack => {
                let last = DeliveryTag(2 * MESSAGES);
                self.send(1, Command::Nack { first: DeliveryTag(1), last, requeue: true });
            }
            Cause::Unsubscribe => {
                (0..2).for_each(|number| self.send(1, Command::Unsubscribe { subscription: SubscriptionId(number) }));
            }
            Cause::Disconnect => self.send(1, Command::Disconnect),
            Cause::Stall => {
                self.bench.now = self.bench.now + Duration::from_secs(10);
                self.bench.broker.handle_timeout(self.bench.now);
                let events = self.bench.events();
                self.take(events);
            }
        }
    }
}

#[test]
fn nothing_that_is_published_goes_between_messages_that_come_back_in_many_calls() {
    for cause in [Cause::Nack, Cause::Unsubscribe, Cause::Disconnect, Cause::Stall] {
        for steps in [1, 9, 20, 40] {
            for (before, between) in (0..30).flat_map(|before| (0..4).map(move |between| (before, between))) {
                let mut case = Case::new(cause);
                case.bench.broker.set_steps_per_call(steps);
                case.come_back(cause);
                (0..before).for_each(|_| case.timeout());
                case.publish("/queue/b", NEW.to_string().as_bytes());
                (0..between).for_each(|_| case.timeout());
                // Consumer 2 has room from now on.
                case.send(2, Command::Ack { first: DeliveryTag(1), last: DeliveryTag(OTHERS) });
                (0..400).for_each(|_| case.timeout());
                let (given, of) = (&case.given, |id: u64| case.given.iter().filter(move |(to, _)| *to == id));
                let is_old = |&&(_, body): &&(u64, u64)| body < NEW;
                let is_in_order = [1, 2].into_iter().all(|id| of(id).filter(is_old).is_sorted());
                let is_at_an_end = [given.first(), given.last()].into_iter().flatten().any(|&(_, body)| body == NEW);
                let is_whole = given.len() as u64 == MESSAGES + 1;
                assert!(is_in_order && is_at_an_end && is_whole, "{given:?}: {cause:?}, {steps}, {before}, {between}");
            }
        }
    }
}
