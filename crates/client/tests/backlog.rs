//! Subscriptions to a queue in which messages wait already: none of them may keep the subscription from coming.

mod common;

use common::{Broker, in_time, number};
use std::sync::mpsc;
use switchboard_client::{Client, Event, Message};
use switchboard_server::Settings;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A way to subscribe and take messages.
#[derive(Clone, Copy, Debug)]
enum Face {
    Awaited,
    Blocking,
    Callbacks,
}

const FACES: [Face; 3] = [Face::Awaited, Face::Blocking, Face::Callbacks];

impl Face {
    /// The first `count` messages of a new subscription.
    fn take(self, client: &Client, channel: &str, count: usize) -> Vec<Message> {
        match self {
            Face::Awaited => smol::block_on(async {
                let mut subscription = client.subscribe(channel).await.unwrap();
                let mut messages = Vec::new();
                while messages.len() < count {
                    messages.push(subscription.next().await.unwrap());
                }
                messages
            }),
            Face::Blocking => {
                let mut subscription = client.subscribe(channel).wait().unwrap();
                subscription.iter().take(count).collect()
            }
            Face::Callbacks => {
                let (give, taken) = mpsc::channel();
                client.subscribe(channel).on_done(move |subscription| {
                    // It goes on without its handle.
                    drop(subscription.unwrap().on_message(move |message| drop(give.send(message))));
                });
                taken.iter().take(count).collect()
            }
        }
    }
}

fn message(count: usize, size: usize) -> Vec<u8> {
    let mut data = (count as u64).to_be_bytes().to_vec();
    data.resize(size.max(8), b'x');
    data
}

fn fill(broker: &Broker, channel: &str, count: usize, size: usize) {
    let client = broker.client("");
    for count in 0..count {
        client.publish(channel, message(count, size)).wait().unwrap();
    }
    client.close().wait().unwrap();
}

/// Every face gets every message of a backlog, in order.
fn everybody_gets_all(broker: &Broker, options: &str, count: usize, size: usize) {
    for face in FACES {
        let channel = format!("/queue/{face:?}/{options}/{count}/{size}");
        fill(broker, &channel, count, size);
        let client = broker.client(options);
        let receiver = client.clone();
        let what = channel.clone();
        let messages = in_time(&what, move || face.take(&receiver, &channel, count));
        for (expected, received) in messages.iter().enumerate() {
            assert!(received[..] == message(expected, size)[..], "{what}: {expected}");
        }
        assert_eq!(messages.len(), count);
        client.close().wait().unwrap();
    }
}

/// Counts of messages of this size, frames and all, that take no more than `bytes`, exactly these, and more.
fn around(bytes: usize, size: usize) -> [usize; 3] {
    let most = bytes / (4 + size);
    [most.saturating_sub(1).max(1), most.max(1), most + 1]
}

#[test]
fn a_backlog_around_each_buffers_bound_is_received_whole() {
    let mut settings = Settings::default();
    settings.limits.outbox = 64 * KIB;
    settings.limits.window = 16 * KIB;
    let (outbox, window) = (settings.limits.outbox, settings.limits.window);
    let broker = Broker::start_at("127.0.0.1:0", settings);
    for (inbox, size) in [(1, 8), (4 * KIB, 8), (256 * KIB, 1000), (4 * KIB, 60 * KIB)] {
        let options = format!("inbox={inbox}B");
        let bounds = [inbox, window, outbox, inbox + outbox];
        let mut counts: Vec<_> = bounds.iter().flat_map(|bound| around(*bound, size)).chain([0, 1]).collect();
        counts.sort_unstable();
        counts.dedup();
        for count in counts {
            everybody_gets_all(&broker, &options, count, size);
        }
    }
}

#[test]
fn a_backlog_far_above_every_buffer_is_received_whole() {
    let mut settings = Settings::default();
    settings.limits.outbox = 16 * MIB;
    settings.limits.queue = 64 * MIB;
    let broker = Broker::start_at("127.0.0.1:0", settings);
    // Above inbox, outbox and what two sockets hold.
    everybody_gets_all(&broker, "inbox=1MiB", 40 * KIB, KIB);
    everybody_gets_all(&broker, "inbox=1MiB", 40, MIB);
    everybody_gets_all(&broker, "inbox=1KiB", 200_000, 8);
}

#[test]
fn one_message_longer_than_every_buffer_is_received_whole() {
    let broker = Broker::start();
    everybody_gets_all(&broker, "inbox=1B", 1, 16 * MIB);
}

#[test]
fn who_drains_gets_what_was_sent_and_the_queue_keeps_the_rest() {
    const COUNT: usize = 2000;
    let mut settings = Settings::default();
    settings.limits.outbox = 64 * KIB;
    settings.limits.queue = 256 * MIB;
    let broker = Broker::start_at("127.0.0.1:0", settings);
    // More than the sockets hold, and than is read before a busy machine's broker hears of the drain.
    fill(&broker, "/queue/a", COUNT, 64 * KIB);
    let client = broker.client("inbox=64KiB");
    let mut leaves = client.subscribe("/queue/a").wait().unwrap();
    let mut first: Vec<u64> = vec![u64::from_be_bytes(*leaves.wait().unwrap().first_chunk().unwrap())];
    leaves.drain();
    let (first, mut leaves) = in_time("the end", move || {
        first.extend(leaves.iter().map(|message| u64::from_be_bytes(*message.first_chunk().unwrap())));
        (first, leaves)
    });
    assert_eq!(leaves.wait(), None);
    assert!(first.len() < COUNT, "nothing was left to the queue");
    let mut stays = client.subscribe("/queue/a").wait().unwrap();
    let second: Vec<u64> = in_time("the rest", move || {
        let mut rest = Vec::new();
        while rest.last() != Some(&(COUNT as u64 - 1)) {
            rest.push(u64::from_be_bytes(*stays.wait().unwrap().first_chunk().unwrap()));
        }
        rest
    });
    let mut all: Vec<_> = first.into_iter().chain(second).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..COUNT as u64).collect::<Vec<_>>());
}

#[test]
fn a_dropped_subscription_says_how_many_of_a_queues_messages_it_took_with_it() {
    const COUNT: usize = 100;
    let broker = Broker::start();
    fill(&broker, "/queue/a", COUNT, 8);
    let client = broker.client("");
    let events = client.events();
    let mut subscription = client.subscribe("/queue/a").wait().unwrap();
    for expected in 0..3 {
        assert_eq!(number(&subscription.wait().unwrap()), expected);
    }
    drop(subscription);
    let (_, event) = common::until(events, "the loss is told", |event| matches!(event, Event::Discarded { .. }));
    let Event::Discarded { pattern, messages, bytes } = &event else { panic!("{event}") };
    assert_eq!((&pattern[..], *bytes), (&b"/queue/a"[..], messages * 8));
    // Unsent messages have gone back; here all were sent.
    assert_eq!(*messages, COUNT as u64 - 3);
    assert_eq!(event.to_string(), "subscription to /queue/a: dropped with 97 messages in it");
}

/// A client whose subscription has more waiting than its inbox takes, and does not read.
fn with_a_full_inbox(broker: &Broker, url: &str, count: usize) -> (Client, switchboard_client::Subscription) {
    fill(broker, "/queue/full", count, KIB);
    let client = Client::connect(url).wait().unwrap();
    let subscription = client.subscribe("/queue/full").wait().unwrap();
    (client, subscription)
}

#[test]
fn nothing_else_waits_for_a_full_inbox() {
    let broker = Broker::start();
    let (client, mut full) = with_a_full_inbox(&broker, &broker.url("inbox=1KiB&timeout=never"), 5000);
    let received = in_time("flush, another subscription, close", move || {
        client.publish("/topic/a", "x").wait().unwrap();
        client.flush().wait().unwrap();
        drop(client.subscribe("/topic/a").wait().unwrap());
        client.close().wait().unwrap();
        // Messages sent by then can still be taken.
        let mut received = 0;
        while full.wait().is_some() {
            received += 1;
        }
        received
    });
    assert!(received > 0);
}

#[test]
fn a_full_inbox_can_be_dropped_and_drained() {
    let broker = Broker::start();
    for drains in [false, true] {
        let (_client, mut full) = with_a_full_inbox(&broker, &broker.url("inbox=1KiB&heartbeat=60m"), 5000);
        if drains {
            full.drain();
            in_time("the end", move || while full.wait().is_some() {});
        } else {
            drop(full);
        }
        // Another consumer gets the rest, and all that comes.
        let client = broker.client("");
        let mut next = client.subscribe("/queue/full").wait().unwrap();
        client.publish("/queue/full", "last").wait().unwrap();
        in_time("the last message", move || while next.wait().unwrap()[..] != *b"last" {});
    }
}

#[test]
fn a_subscription_that_is_cut_with_a_full_inbox_comes_back_when_there_is_room() {
    let broker = Broker::start();
    let proxy = common::Proxy::before(broker.address);
    let url = common::url(proxy.address, "inbox=1KiB&heartbeat=60m&backoff_min=1ms&backoff_max=5ms");
    let (client, mut full) = with_a_full_inbox(&broker, &url, 5000);
    let events = client.events();
    proxy.cut();
    let sender = broker.client("");
    sender.publish("/queue/full", "last").wait().unwrap();
    in_time("the last message", move || while full.wait().unwrap()[..] != *b"last" {});
    common::until(events, "it was cut", |event| matches!(event, Event::Disconnected { .. }));
}
