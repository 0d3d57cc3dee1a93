#![allow(clippy::disallowed_types, reason = "one test at a time: the rules themselves need no lock")]
//! The memory budget against what is really allocated.

use bytes::Bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use switchboard_broker::{
    AckMode, Attributes, Batch, Broker, Command, ConnectionId, DeliveryTag, Event, Headers, Limits, SubscriptionId,
    Time,
};

/// Counts what is allocated, with the rounding and the header of a usual allocator.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

fn cost(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16)
}

#[allow(unsafe_code, reason = "a global allocator cannot be had without; it only counts")]
// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(cost(layout), Ordering::Relaxed);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(cost(layout), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATED.fetch_add(cost(Layout::from_size_align(size, layout.align()).unwrap_or(layout)), Ordering::Relaxed);
        ALLOCATED.fetch_sub(cost(layout), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The figure is the whole process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const NOW: Time = Time(1);
const SLACK: usize = 1 << 20;
const BUDGET: usize = 16 << 20;

/// A broker whose connections take nothing unless they are told to.
struct Load {
    broker: Broker,
    idle: usize,
    /// Paused connections are not heard.
    paused: std::collections::BTreeSet<u64>,
    worst: f64,
}

impl Load {
    fn new(limits: Limits) -> Load {
        let idle = ALLOCATED.load(Ordering::Relaxed);
        Load { broker: Broker::new(limits, Vec::new()), idle, paused: Default::default(), worst: 0.0 }
    }

    fn send(&mut self, id: u64, command: Command) {
        self.broker.handle(NOW, ConnectionId(id), command);
        while self.broker.poll_timeout() == Some(NOW) {
            self.broker.handle_timeout(NOW);
        }
        while let Some(event) = self.broker.poll() {
            match event {
                Event::Pause { connection, .. } => _ = self.paused.insert(connection.0),
                Event::Resume { connection } => _ = self.paused.remove(&connection.0),
                Event::Refused { refusal, .. } => panic!("{refusal}"),
                // Nobody takes it; the driver keeps a reference, which is charged with the entry.
                _ => {}
            }
        }
    }

    fn connect(&mut self, id: u64, pattern: Option<&str>, ack: AckMode) {
        self.send(id, Command::Connect { transport_acks: false });
        if let Some(pattern) = pattern {
            let pattern = Bytes::copy_from_slice(pattern.as_bytes());
            self.send(id, Command::Subscribe { subscription: SubscriptionId(0), pattern, ack });
        }
    }

    /// False if the publisher is paused.
    fn publish(&mut self, id: u64, channel: &str, size: usize) -> bool {
        let (channel, batch) = (Bytes::copy_from_slice(channel.as_bytes()), Batch::one(&vec![b'x'; size]));
        self.send(id, Command::Publish { channel, batch });
        !self.paused.contains(&id)
    }

    /// Allocated bytes keep within the counted ones.
    fn check(&mut self, when: &str) {
        let allocated = ALLOCATED.load(Ordering::Relaxed).saturating_sub(self.idle);
        let counted = self.broker.totals().memory;
        assert!(
            allocated <= counted + counted / 4 + SLACK,
            "{when}: {allocated} bytes are allocated, and {counted} are counted"
        );
        self.worst = self.worst.max(allocated as f64 / (counted + 1) as f64);
    }

    /// Everybody leaves, and nothing is left.
    fn end(mut self, connections: impl Iterator<Item = u64>) {
        for id in connections {
            self.send(id, Command::Disconnect);
        }
        self.check("when all have left");
    }
}

fn limits() -> Limits {
    Limits { connections: 100, memory: BUDGET + 100 * Limits::CONNECTION, message: 1 << 20, ..Limits::default() }
}

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn one_publisher_by_turns_to_two_queues_keeps_within_the_budget_whatever_the_size() {
    let _alone = alone();
    for size in [0, 1, 20, 600, 5000] {
        let mut load = Load::new(limits());
        load.connect(1, None, AckMode::Auto);
        for turn in 0..200_000 {
            if !load.publish(1, ["/queue/a", "/queue/b"][turn % 2], size) {
                break;
            }
        }
        load.check(&format!("messages of {size} bytes in two queues"));
        load.broker.purge(NOW, b"/queue/a");
        load.broker.purge(NOW, b"/queue/b");
        load.end([1].into_iter());
    }
}

#[test]
fn new_channels_keep_within_the_budget_whatever_the_length_of_their_names() {
    let _alone = alone();
    for length in [10, 100, 1000] {
        let mut load = Load::new(limits());
        load.connect(1, None, AckMode::Auto);
        let mut made = 0;
        while made < 100_000 && load.publish(1, &format!("/queue/{made:0length$}"), 1) {
            made += 1;
        }
        assert!(made > 2000 && made < 100_000, "{made} channels");
        load.check(&format!("{made} channels with names of {length} bytes"));
    }
}

#[test]
fn stuck_subscribers_of_one_and_of_two_topics_keep_within_the_budget() {
    let _alone = alone();
    for (size, topics) in [(0, 1), (1, 1), (20, 1), (1000, 1), (1, 2), (20, 2)] {
        let mut load = Load::new(limits());
        for id in 2..18 {
            load.connect(id, Some("/topic/>"), AckMode::Auto);
        }
        load.connect(1, None, AckMode::Auto);
        for turn in 0..100_000 {
            if !load.publish(1, ["/topic/a", "/topic/b"][turn % topics], size) {
                break;
            }
        }
        load.check(&format!("16 stuck subscribers, {topics} topics, {size} bytes"));
        load.end(1..18);
    }
}

#[test]
fn consumers_that_read_nothing_and_leave_keep_within_the_budget() {
    let _alone = alone();
    for ack in [AckMode::Auto, AckMode::Manual { prefetch: 1_000_000 }] {
        let mut load = Load::new(Limits { window: 8 << 20, ..limits() });
        for id in 2..6 {
            load.connect(id, Some("/queue/a"), ack);
        }
        load.connect(1, None, ack);
        let batch = vec![b"x".as_slice(); 1000];
        for _ in 0..600 {
            let mut packer = switchboard_broker::Packer::default();
            batch.iter().for_each(|body| packer.push(body));
            let batch = packer.finish().expect("messages");
            load.send(1, Command::Publish { channel: "/queue/a".into(), batch });
            if load.paused.contains(&1) {
                break;
            }
        }
        load.check("consumers that read nothing");
        for id in 2..6 {
            load.send(id, Command::Disconnect);
            load.check("when a consumer has left");
        }
        load.broker.purge(NOW, b"/queue/a");
        load.end([1].into_iter());
    }
}

#[test]
fn patterns_keep_within_the_budget_wherever_they_fork() {
    let _alone = alone();
    let bits =
        |id: u64, ones: &str| (0..10).map(|bit| if id >> bit & 1 == 0 { "/*" } else { ones }).collect::<String>();
    let shapes: [(&str, &dyn Fn(u64) -> String); 5] = [
        ("the same", &|_| "/topic/*".into()),
        ("each with a level of its own", &|id| format!("/topic/{id}/{}>", "*/a/".repeat(200))),
        ("forks in each level", &|id| format!("/topic{}/x", bits(id, "/a"))),
        ("forks and a long end", &|id| format!("/topic{}{}", bits(id, "/a"), "/*/b".repeat(200))),
        ("each longer than another", &|id| format!("/{}>", "a/".repeat(id as usize % 500))),
    ];
    for (shape, pattern) in shapes {
        let mut load = Load::new(Limits { connections: 2000, memory: 64 << 20, ..limits() });
        for id in 1..=1000 {
            load.connect(id, Some(&pattern(id)), AckMode::Auto);
        }
        load.check(&format!("patterns: {shape}"));
        load.end(1..=1000);
    }
}

#[test]
fn connections_subscriptions_and_paused_publishers_keep_within_the_budget() {
    let _alone = alone();
    let mut load = Load::new(Limits { connections: 2000, queue: 1, memory: 64 << 20, ..limits() });
    for id in 1..=1000 {
        load.connect(id, Some(&format!("/topic/{id}/*/x/>")), AckMode::Auto);
    }
    load.check("connections and patterns");
    for id in 1..=1000 {
        load.publish(id, "/queue/full", 10);
        load.publish(id, "/queue/full", 10);
    }
    assert!(load.paused.len() > 900);
    load.check("paused publishers");
    load.end(1..=1000);
}

/// A message of 100 bytes with five headers, two of which differ from message to message.
fn with_headers(number: usize) -> Batch {
    let mut headers = Headers::builder();
    let (trace, customer) = (format!("{number:016x}"), format!("{:08}", number % 9973));
    let values = [("type", "order"), ("region", "europe-west"), ("trace-id", &trace), ("customer", &customer)];
    values.iter().for_each(|(name, value)| headers.push(name.as_bytes(), value.as_bytes()));
    headers.push(b"version", b"3");
    let mut attributes = Attributes::default();
    attributes.headers = headers.finish();
    Batch::one(&[b'x'; 100]).with_attributes(Arc::new(attributes))
}

#[test]
fn a_message_with_five_headers_costs_at_most_300_bytes_beyond_its_own_whether_it_waits_or_is_unacked() {
    const MESSAGES: usize = 1 << 14;
    /// Body, names and values, and a colon and a line end for each header.
    const OWN: usize = 100 + 84;
    let _alone = alone();
    let wide =
        Limits { memory: 1 << 30, queue: 1 << 30, queue_messages: 0, outbox: 1 << 30, outbox_messages: 0, ..limits() };
    let mut load = Load::new(wide);
    load.connect(1, None, AckMode::Auto);
    load.connect(2, None, AckMode::Auto);
    let before = ALLOCATED.load(Ordering::Relaxed);
    let beyond = || (ALLOCATED.load(Ordering::Relaxed) - before) / MESSAGES - OWN;
    for number in 0..MESSAGES {
        load.send(1, Command::Publish { channel: "/queue/a".into(), batch: with_headers(number) });
    }
    assert!(beyond() <= 300, "{} bytes for one that waits", beyond());
    load.check("messages with headers wait");
    let ack = AckMode::Manual { prefetch: u32::MAX };
    load.broker.handle(
        NOW,
        ConnectionId(2),
        Command::Subscribe { subscription: SubscriptionId(0), pattern: "/queue/a".into(), ack },
    );
    let mut given = 0;
    while given < MESSAGES {
        let mut bytes = 0;
        while let Some(event) = load.broker.poll() {
            let Event::Deliver { batch, .. } = event else { panic!("{event:?}") };
            (given, bytes) = (given + batch.len(), bytes + batch.bytes());
        }
        load.broker.handle(NOW, ConnectionId(2), Command::Credit { bytes });
        load.broker.handle_timeout(NOW);
    }
    assert!(beyond() <= 300, "{} bytes for one that is unacked", beyond());
    load.check("messages with headers are unacked");
    // Every other one is acked: what is left of their leases is within the budget, too.
    for tag in (1..=MESSAGES as u64).step_by(2) {
        load.send(2, Command::Ack { first: DeliveryTag(tag), last: DeliveryTag(tag) });
    }
    load.check("every other one is acked");
    for tag in (2..=MESSAGES as u64).step_by(2) {
        load.send(2, Command::Ack { first: DeliveryTag(tag), last: DeliveryTag(tag) });
    }
    load.end(1..=2);
}

#[test]
fn leases_of_which_a_part_is_acked_keep_within_the_budget() {
    let _alone = alone();
    for acked in [2, 3, 60, 120, 200, 255] {
        let mut load = Load::new(Limits { window: 64 << 20, outbox: 64 << 20, memory: 1 << 30, ..limits() });
        load.connect(1, None, AckMode::Auto);
        load.connect(2, Some("/queue/a"), AckMode::Manual { prefetch: 1_000_000 });
        for _ in 0..1000 {
            let mut packer = switchboard_broker::Packer::default();
            (0..256).for_each(|_| packer.push(b"x"));
            load.send(1, Command::Publish { channel: "/queue/a".into(), batch: packer.finish().expect("messages") });
        }
        load.send(2, Command::Credit { bytes: 1000 * 256 * 5 });
        for lease in 0..1000 {
            for tag in 1..=acked {
                let tag = DeliveryTag(lease * 256 + tag);
                load.send(2, Command::Ack { first: tag, last: tag });
            }
        }
        load.check(&format!("{acked} of each 256 messages are acked"));
        load.end(1..=2);
    }
}

#[test]
fn temporary_queues_durable_subscriptions_and_retained_values_keep_within_the_budget() {
    let _alone = alone();
    let mut load = Load::new(limits());
    load.connect(1, None, AckMode::Auto);
    load.connect(2, None, AckMode::Auto);
    for number in 0..2000 {
        let mut attributes = Attributes::default();
        attributes.retain = true;
        let batch = Batch::one(b"a value").with_attributes(Arc::new(attributes));
        load.send(1, Command::Publish { channel: format!("/topic/{number}").into(), batch });
    }
    load.check("retained values");
    for number in 0..1000 {
        load.publish(1, &format!("/queue/temp/2/{number}"), 20);
    }
    load.check("temporary queues");
    for number in 0..500u32 {
        let (queue, subscription) = (format!("/queue/subscription/me/{number}").into(), SubscriptionId(number));
        // Each third is to a pattern, and gets a value.
        let source = if number % 3 == 0 { format!("/topic/{number}/>") } else { format!("/topic/{number}") }.into();
        load.send(1, Command::SubscribeDurable { subscription, queue, source, ack: AckMode::Auto });
    }
    load.check("durable subscriptions");
    for number in 0..500 {
        load.publish(2, &format!("/topic/{number}"), 20);
    }
    load.check("fed durable subscriptions");
    load.send(2, Command::Disconnect);
    load.check("when temporary queues have ended");
    for number in 0..500 {
        load.send(1, Command::EndDurable { queue: format!("/queue/subscription/me/{number}").into() });
    }
    for number in 0..2000 {
        let mut attributes = Attributes::default();
        attributes.retain = true;
        let batch = Batch::one(b"").with_attributes(Arc::new(attributes));
        load.send(1, Command::Publish { channel: format!("/topic/{number}").into(), batch });
    }
    load.end([1].into_iter());
}
