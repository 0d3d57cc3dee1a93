//! The client beside a broker of strangers. One test, since RabbitMQ takes long to start.

mod common;

use common::{Proxy, RabbitMq, in_time, next, number, until};
use switchboard_client::{Client, Error, Event, Link, Subscribe};

#[test]
fn the_client_works_with_rabbitmq() {
    let rabbit = RabbitMq::start();
    a_wrong_login_is_refused_with_words(&rabbit);
    headers_acks_and_receipts(&rabbit);
    topics_and_exchanges(&rabbit);
    what_was_not_acked_comes_again(&rabbit);
    errors_have_words(&rabbit);
    a_flood_arrives(&rabbit);
    drained_ones_leave_the_rest(&rabbit);
}

fn client(rabbit: &RabbitMq, options: &str) -> Client {
    Client::connect(&rabbit.url(options)).wait().expect("a broker")
}

fn a_wrong_login_is_refused_with_words(rabbit: &RabbitMq) {
    let url = format!("stomp://guest:wrong@{}?retry_first=true", rabbit.address);
    let error = in_time("a refusal", move || Client::connect(&url).wait()).unwrap_err();
    assert!(matches!(&error, Error::Server { message, .. } if message.contains("Access refused")), "{error}");
}

fn headers_acks_and_receipts(rabbit: &RabbitMq) {
    let client = client(rabbit, "");
    let mut jobs = client.subscribe_with("/queue/acks", Subscribe::manual().prefetch(2)).wait().unwrap();
    for count in 0..5u64 {
        client.publish_with("/queue/acks", [("kind", "a:b\n")], count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    let first = next(&mut jobs);
    assert_eq!(first.header("kind").as_deref(), Some(&b"a:b\n"[..]));
    let second = next(&mut jobs);
    assert_eq!((number(&first), number(&second)), (0, 1));
    // The third waits for an ack.
    assert!(jobs.try_next().is_none());
    first.ack().unwrap();
    let third = next(&mut jobs);
    assert_eq!(number(&third), 2);
    second.nack().unwrap();
    third.ack().unwrap();
    let mut rest = Vec::new();
    for _ in 0..3 {
        let message = next(&mut jobs);
        rest.push((number(&message), message.is_redelivered()));
        message.ack().unwrap();
    }
    rest.sort_unstable();
    assert_eq!(rest, [(1, true), (3, false), (4, false)]);
    jobs.flush().wait().unwrap();
    client.close().wait().unwrap();
}

fn topics_and_exchanges(rabbit: &RabbitMq) {
    let client = client(rabbit, "");
    let mut all = client.subscribe("/topic/news.#").wait().unwrap();
    let mut direct = client.subscribe("/exchange/amq.direct/key").wait().unwrap();
    client.publish("/topic/news.tea", "tea").wait().unwrap();
    client.publish("/exchange/amq.direct/key", "direct").wait().unwrap();
    client.flush().wait().unwrap();
    assert_eq!(&next(&mut all)[..], b"tea");
    assert_eq!(&next(&mut direct)[..], b"direct");
}

fn what_was_not_acked_comes_again(rabbit: &RabbitMq) {
    let proxy = Proxy::before(rabbit.address);
    let url = format!("stomp://guest:guest@{}?backoff_min=1ms&backoff_max=20ms", proxy.address);
    let client = Client::connect(&url).wait().unwrap();
    let mut jobs = client.subscribe_with("/queue/again", Subscribe::manual().prefetch(3)).wait().unwrap();
    for count in 0..4u64 {
        client.publish("/queue/again", count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    next(&mut jobs).ack().unwrap();
    jobs.flush().wait().unwrap();
    let lost = next(&mut jobs);
    let events = client.events();
    proxy.cut();
    until(events, "its return", |event| matches!(event, Event::Connected(Link::Subscription(_))));
    assert!(matches!(lost.ack(), Err(Error::Stale)));
    let mut came: Vec<u64> = Vec::new();
    while came.len() < 3 {
        let message = next(&mut jobs);
        came.push(number(&message));
        message.ack().unwrap();
    }
    assert_eq!(came, [1, 2, 3]);
    client.close().wait().unwrap();
}

fn errors_have_words(rabbit: &RabbitMq) {
    let client = client(rabbit, "backoff_min=1ms");
    let error = client.subscribe("/nowhere/at/all").wait().unwrap_err();
    assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains("nowhere"), "{error}");
    client.publish("/exchange/there-is-none/x", "lost").wait().unwrap();
    let flushing = client.flush();
    let error = in_time("a refusal", move || flushing.wait()).unwrap_err();
    assert!(matches!(&error, Error::Server { message, .. } if message.contains("there-is-none")), "{error}");
    client.publish("/queue/errors", "goes on").wait().unwrap();
    client.flush().wait().unwrap();
}

fn a_flood_arrives(rabbit: &RabbitMq) {
    const COUNT: u64 = 20_000;
    // Signs of life are agreed on, and many intervals pass.
    let client = client(rabbit, "heartbeat=500ms");
    let mut events = client.events();
    let mut got = client.subscribe_with("/queue/flood", Subscribe::manual()).wait().unwrap();
    let publisher = client.clone();
    let sending = std::thread::spawn(move || {
        for count in 0..COUNT {
            publisher.publish("/queue/flood", count.to_be_bytes()).wait().unwrap();
        }
        publisher.flush().wait().unwrap();
    });
    for expected in 0..COUNT {
        let message = next(&mut got);
        assert_eq!(number(&message), expected);
        message.ack().unwrap();
    }
    sending.join().unwrap();
    got.flush().wait().unwrap();
    client.close().wait().unwrap();
    while let Some(event) = events.wait() {
        assert!(!matches!(event, Event::Disconnected { .. }), "{event}");
    }
}

fn drained_ones_leave_the_rest(rabbit: &RabbitMq) {
    let client = client(rabbit, "");
    for count in 0..50u64 {
        client.publish("/queue/drain", count.to_be_bytes()).wait().unwrap();
    }
    client.flush().wait().unwrap();
    let mut jobs = client.subscribe_with("/queue/drain", Subscribe::manual().prefetch(10)).wait().unwrap();
    let first = next(&mut jobs);
    jobs.drain();
    first.ack().unwrap();
    assert_eq!(in_time("the end", move || jobs.iter().count()), 0);
    let mut rest = client.subscribe_with("/queue/drain", Subscribe::manual()).wait().unwrap();
    for expected in 1..50 {
        let message = next(&mut rest);
        assert_eq!(number(&message), expected);
        message.ack().unwrap();
    }
    rest.flush().wait().unwrap();
}
