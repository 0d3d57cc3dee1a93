//! Receipts: in the order of what they answer, and not behind what waits to be written.

use super::*;
use crate::{Attributes, QueueOverflow};
use bytes::Bytes;
use std::sync::Arc;

fn receipt(body: &[u8]) -> Command {
    Command::Receipt { batch: Batch::one(body), covers: 0, publishes: 0 }
}

#[test]
fn a_receipt_comes_at_once_whatever_waits_to_be_written() {
    let mut bench = Bench::new(small());
    bench.subscribe(1, "/topic/a");
    bench.publish(2, "/topic/a", &["x".repeat(90).as_str()]);
    check(&bench.send(1, receipt(b"r")), &["receipt 1"]);
    bench.send(1, Command::ReceiptsWritten { receipts: 1, bytes: 5 });
    bench.credit(1, 94);
    bench.is_at_rest();
}

#[test]
fn a_refusal_is_told_by_the_receipt_of_what_was_refused_whatever_waits_before_it() {
    let mut bench = Bench::new(Limits { queue: 10, message: 20, outbox: 10_000, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    let publishes = |body: &[u8], receipt: &[u8]| Command::PublishWithReceipt {
        channel: "/queue/b".into(),
        batch: Batch::one(body),
        receipt: Batch::one(receipt),
    };
    check(&bench.send(1, publishes(b"3", b"good")), &[]);
    let refused = "refused: a message of 21 bytes is over the limit of 20 (limit: message)";
    check(&bench.send(1, publishes(&[b'x'; 21], b"bad")), &[refused]);
    check(&bench.send(1, publishes(b"4", b"good")), &[]);
    let events = brief(&bench.subscribe(3, "/queue/a"));
    assert_eq!(events[3..], ["receipt 1", "unconfirmed 1: bad", "receipt 1", "resume 1"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn a_receipt_waits_for_what_was_sent_before_it() {
    let mut bench = Bench::new(Limits { queue: 10, ..small() });
    bench.publish(1, "/queue/a", &["0", "1", "2"]);
    check(&bench.send(1, receipt(b"r")), &[]);
    check(&bench.subscribe(3, "/queue/a"), &["3:0", "3:1", "3:2", "receipt 1", "resume 1"]);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn receipts_that_nobody_reads_are_charged_and_pause_at_the_bound_of_an_outbox() {
    let one = cost::receipts(1, 5);
    let mut bench = Bench::new(Limits { outbox: 3 * one, ..small() });
    let idle = bench.broker.totals().memory;
    for given in 1..=3 {
        check(&bench.send(1, receipt(b"r")), &["receipt 1"]);
        assert_eq!(bench.broker.totals().memory, idle + given * one);
    }
    check(&bench.send(1, receipt(b"r")), &["pause 1"]);
    check(&bench.send(1, receipt(b"r")), &[]);
    assert_eq!(bench.rest(), 0, "it waits for nothing but its peer");
    assert_eq!(bench.broker.poll_timeout(), None, "nothing is to be done while it waits");
    let written = || Command::ReceiptsWritten { receipts: 1, bytes: 5 };
    check(&bench.send(1, written()), &["receipt 1"]);
    check(&bench.send(1, written()), &["receipt 1", "resume 1"]);
    bench.send(1, Command::ReceiptsWritten { receipts: 3, bytes: 15 });
    assert_eq!(bench.broker.totals().memory, idle);
    bench.is_at_rest();
}

#[test]
fn a_receipt_longer_than_the_bound_is_given_if_it_is_the_only_one() {
    let mut bench = Bench::new(Limits { outbox: 0, ..small() });
    check(&bench.send(1, receipt(&[b'r'; 100])), &["receipt 1"]);
    check(&bench.send(1, receipt(b"r")), &["pause 1"]);
    let more = bench.send(1, Command::ReceiptsWritten { receipts: 1, bytes: 104 });
    check(&more, &["receipt 1", "resume 1"]);
}

#[test]
fn receipts_that_were_not_written_end_with_their_connection() {
    let mut bench = Bench::new(small());
    let idle = bench.broker.totals().memory;
    bench.send(1, receipt(b"r"));
    bench.send(1, Command::Disconnect);
    assert_eq!(bench.broker.totals().memory, idle - cost::CONNECTION);
    assert_eq!(bench.broker.totals().memory, bench.broker.audit());
}

#[test]
fn one_that_finishes_is_closed_once_its_receipts_are_written() {
    let mut bench = Bench::new(small());
    check(&bench.send(1, receipt(b"r")), &["receipt 1"]);
    check(&bench.send(1, Command::Finish), &[]);
    let more = bench.send(1, Command::ReceiptsWritten { receipts: 1, bytes: 5 });
    check(&more, &["close 1: finished"]);
}

#[test]
fn a_receipt_confirms_no_message_that_was_not_taken_however_that_came() {
    let long = |length: usize| "/queue/".to_owned() + &"x".repeat(length - 7);
    let retain = Some(Arc::new(Attributes { retain: true, ..Attributes::default() }));
    // The channel, the body, the channels that there may be, and what is said.
    type Way = (String, usize, usize, Option<Arc<Attributes>>, &'static str);
    let ways: [Way; 6] = [
        (long(41), 1, 4, None, "a channel name of 41 bytes is over the limit of 40 (limit: channel-name)"),
        ("/queue/good".into(), 51, 4, None, "a message of 51 bytes is over the limit of 50 (limit: message)"),
        ("/queue/new".into(), 1, 3, None, "there are 3 channels already (limit: channels)"),
        (
            "/queue/rejects".into(),
            1,
            4,
            None,
            "the queue is at its bound of 1 message (limits: queue-messages, overflow)",
        ),
        ("/queue/temp/99/x".into(), 1, 4, None, "the temporary queue has ended with its connection"),
        ("/topic/a".into(), 1, 4, retain, "0 topics have a retained value already (limit: retained)"),
    ];
    for (channel, length, channels, attributes, why) in &ways {
        for (waits, form) in (0..4).flat_map(|form| [(false, form), (true, form)]) {
            let limits = Limits { channels: *channels, channel_name: 40, message: 50, retained: 0, ..small() };
            let rule = |pattern: &'static str, messages, overflow| ChannelRule {
                queue_messages: Some(messages),
                overflow: Some(overflow),
                ..ChannelRule::new(Pattern::new(pattern))
            };
            let rules =
                vec![rule("/queue/rejects", 1, QueueOverflow::Reject), rule("/queue/full", 1, QueueOverflow::Throttle)];
            let mut bench = Bench::with_rules(Limits { outbox: 100_000, queue: 100_000, ..limits }, rules);
            for queue in ["/queue/rejects", "/queue/full", "/queue/good"] {
                check(&bench.publish(2, queue, &["0"]), &[]);
            }
            if waits {
                check(&bench.publish(1, "/queue/full", &["1"]), &["pause 1"]);
            }
            let bad =
                || (Bytes::from(channel.clone()), Batch::one(&vec![b'x'; *length]).with_attributes(attributes.clone()));
            let good = || (Bytes::from_static(b"/queue/good"), Batch::one(b"1"));
            let publish = |(channel, batch)| Command::Publish { channel, batch };
            let with_receipt = |(channel, batch), receipt: &[u8]| Command::PublishWithReceipt {
                channel,
                batch,
                receipt: Batch::one(receipt),
            };
            let receipt = |publishes| Command::Receipt { batch: Batch::one(b"r"), covers: publishes, publishes };
            let commands = match form {
                0 => vec![with_receipt(bad(), b"r")],
                1 => vec![publish(bad()), receipt(1)],
                2 => vec![publish(good()), publish(bad()), receipt(2)],
                _ => vec![publish(bad()), publish(good()), receipt(2)],
            };
            let next = [with_receipt(good(), b"next"), receipt(0), receipt(1)];
            let mut events: Vec<Event> =
                commands.into_iter().chain(next).flat_map(|command| bench.send(1, command)).collect();
            events.extend(bench.subscribe(3, "/queue/full"));
            let (mut confirmed, mut unconfirmed) = (Vec::new(), Vec::new());
            for event in events {
                match event {
                    Event::Receipt { batch, .. } => confirmed.extend(batch.iter().map(<[u8]>::to_vec)),
                    Event::Unconfirmed { receipt, rejected, .. } => {
                        assert_eq!(receipt, Batch::one(b"r"));
                        unconfirmed.push((String::from_utf8(rejected.0.to_vec()).unwrap(), rejected.1.to_string()));
                    }
                    _ => {}
                }
            }
            let named = channel[..channel.len().min(40)].to_owned();
            assert_eq!(unconfirmed, [(named, (*why).to_owned())], "form {form}, behind others: {waits}");
            assert_eq!(confirmed, [&b"next"[..], b"r", b"r"], "form {form}, behind others: {waits}");
            assert_eq!(bench.broker.totals().memory, bench.broker.audit());
        }
    }
}
