//! Receipts: in the order of what they answer, and not behind what waits to be written.

use super::*;

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
