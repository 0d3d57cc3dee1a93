//! Sockets of this crate among themselves, from async code of two worlds and from plain threads.

use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use switchboard_sockets::{Error, Message, Options, Pub, Pull, Push, Runtime, Sub, XPub, XSub, proxy};

const DEADLINE: Duration = Duration::from_secs(30);

fn number(message: &Message) -> u32 {
    message.text().parse().expect("a number")
}

/// Waits until a publisher knows of a subscription.
fn subscribed(publisher: &mut XPub, prefix: &str) {
    let received = publisher.recv().wait_timeout(DEADLINE).unwrap();
    assert_eq!(received, Message::from(format!("\x01{prefix}")));
}

#[tokio::test]
async fn in_tokio_everything_is_awaited() {
    let push = Push::new().unwrap();
    let endpoint = push.bind("tcp://127.0.0.1:*").unwrap();
    assert_eq!(push.last_endpoint(), Some(endpoint.clone()));
    let mut pull = Pull::new().unwrap();
    pull.connect(endpoint.to_string()).unwrap();
    for sent in 0..5000u32 {
        push.send(sent.to_string()).await.unwrap();
        // Nobody else runs on this thread.
        if sent % 500 == 499 {
            for expected in sent - 499..=sent {
                assert_eq!(number(&pull.recv().await.unwrap()), expected);
            }
        }
    }
    push.close().await.unwrap();
    pull.close().await.unwrap();
}

#[test]
fn on_a_foreign_executor_it_is_the_same() {
    smol::block_on(async {
        let mut publisher = XPub::new().unwrap();
        let endpoint = publisher.bind("tcp://[::1]:*").unwrap();
        let mut subscriber = Sub::new().unwrap();
        subscriber.connect(endpoint.to_string()).unwrap();
        subscriber.subscribe("a").unwrap();
        assert_eq!(publisher.recv().await.unwrap(), Message::from("\x01a"));
        publisher.send("b no").await.unwrap();
        publisher.send(["a yes", "", "third"]).await.unwrap();
        let message = subscriber.recv().await.unwrap();
        assert_eq!(message, Message::multipart(["a yes", "", "third"]));
        publisher.close().await.unwrap();
    });
}

#[test]
fn plain_threads_send_and_receive_at_any_speed() {
    for endpoint in ["tcp://127.0.0.1:*", "inproc://threads"] {
        let push = Push::new().unwrap();
        let endpoint = push.bind(endpoint).unwrap().to_string();
        let mut pull = Pull::new().unwrap();
        pull.connect(&endpoint).unwrap();
        let sending = std::thread::spawn(move || {
            for sent in 0..100_000u32 {
                push.send(sent.to_string()).wait().unwrap();
            }
            push.close().wait().unwrap();
        });
        for (expected, message) in (0..100_000).zip(pull.iter()) {
            assert_eq!(number(&message), expected);
        }
        sending.join().unwrap();
    }
}

/// Sends as fast as it can on the one thread that does the I/O, too.
#[tokio::test]
async fn an_awaited_publisher_leaves_its_own_io_time_to_run() {
    let mut publisher = XPub::new().unwrap();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap().to_string();
    let subscriber = std::thread::spawn(move || {
        let mut subscriber =
            Sub::with(Options { runtime: Runtime::Shared, recv_hwm: 0, recv_bytes: 0, ..Options::default() }).unwrap();
        subscriber.connect(&endpoint).unwrap();
        subscriber.subscribe("").unwrap();
        (0..20_000).all(|expected| number(&subscriber.recv().wait_timeout(DEADLINE).unwrap()) == expected)
    });
    publisher.recv().await.unwrap();
    for sent in 0..20_000 {
        publisher.send(sent.to_string()).await.unwrap();
    }
    assert_eq!(publisher.dropped(), 0);
    publisher.close().await.unwrap();
    assert!(subscriber.join().unwrap());
}

#[test]
fn a_push_deals_in_turn_and_a_pull_takes_in_turn() {
    let push = Push::new().unwrap();
    let mut pulls: Vec<Pull> = (0..3).map(|_| Pull::new().unwrap()).collect();
    for pull in &pulls {
        push.connect(pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    }
    for sent in 0..30u32 {
        push.send(sent.to_string()).wait().unwrap();
    }
    for (first, pull) in (0u32..).zip(&mut pulls) {
        let got: Vec<u32> = pull.iter().take(10).map(|message| number(&message)).collect();
        assert_eq!(got, (0..10).map(|turn| first + 3 * turn).collect::<Vec<_>>());
    }

    let mut pull = Pull::new().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap().to_string();
    let pushes: Vec<Push> = (0..2).map(|_| Push::new().unwrap()).collect();
    for (push, name) in pushes.into_iter().zip(["a", "b"]) {
        push.connect(&endpoint).unwrap();
        (0..100).for_each(|_| push.send(name).wait().unwrap());
        push.close().wait().unwrap();
    }
    let got: String = pull.iter().take(200).map(|message| message.text().into_owned()).collect();
    assert_eq!(got.matches('a').count(), 100);
}

#[test]
fn a_send_that_is_dropped_has_sent_nothing_and_one_that_waits_is_woken() {
    let push = Push::with(Options { send_hwm: 2, ..Options::default() }).unwrap();
    push.connect("inproc://later").unwrap();
    push.try_send("0").unwrap();
    push.try_send("1").unwrap();
    assert!(matches!(push.try_send("full"), Err(Error::WouldBlock)));
    assert!(matches!(push.send("full").wait_timeout(Duration::from_millis(1)), Err(Error::TimedOut(_))));
    let mut given_up = push.send("full");
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(std::pin::Pin::new(&mut given_up).poll(&mut context), Poll::Pending));
    drop(given_up);
    let mut pull = Pull::new().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| push.send("2").wait_timeout(DEADLINE));
        pull.bind("inproc://later").unwrap();
        for expected in 0..3 {
            assert_eq!(number(&pull.recv().wait_timeout(DEADLINE).unwrap()), expected);
        }
        waiting.join().unwrap().unwrap();
    });
    let mut given_up = pull.recv();
    assert!(matches!(std::pin::Pin::new(&mut given_up).poll(&mut context), Poll::Pending));
    drop(given_up);
    push.send("3").wait().unwrap();
    assert_eq!(number(&pull.recv().wait_timeout(DEADLINE).unwrap()), 3);
}

/// Also of those that only let others run: each message is either sent or not, and its sender knows.
#[test]
fn a_send_that_was_not_ready_can_be_repeated_without_a_double() {
    let push = Push::with(Options { send_hwm: 0, ..Options::default() }).unwrap();
    push.connect("inproc://repeated").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut pending = 0;
    for sent in 0..1000u32 {
        if std::pin::pin!(push.send(sent.to_string())).poll(&mut context).is_pending() {
            pending += 1;
            push.try_send(sent.to_string()).unwrap();
        }
    }
    assert!(pending > 0, "others never had a turn");
    let mut pull = Pull::new().unwrap();
    pull.bind("inproc://repeated").unwrap();
    for expected in 0..1000 {
        assert_eq!(number(&pull.recv().wait_timeout(DEADLINE).unwrap()), expected);
    }
}

/// Its I/O may be on the same thread, and what is kept for it takes fresh memory.
#[test]
fn an_async_sender_lets_others_run_after_so_many_bytes_too() {
    let push =
        Push::with(Options { send_hwm: 0, send_bytes: 0, linger: Duration::ZERO, ..Options::default() }).unwrap();
    push.connect("inproc://bytes").unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let long = vec![0; 64 << 10];
    let pending = (0..100).filter(|_| {
        let pending = std::pin::pin!(push.send(&long)).poll(&mut context).is_pending();
        if pending {
            push.try_send(&long).unwrap();
        }
        pending
    });
    assert!(pending.count() >= 10, "more than a megabyte without a turn for others");
}

#[test]
fn subscriptions_are_counted_and_what_is_unsubscribed_from_is_not_received() {
    let mut publisher = XPub::new().unwrap();
    let endpoint = publisher.bind("inproc://counted").unwrap().to_string();
    let mut subscriber = Sub::new().unwrap();
    subscriber.connect(&endpoint).unwrap();
    for prefix in ["a", "a", "ab", "z"] {
        subscriber.subscribe(prefix).unwrap();
    }
    for prefix in ["a", "ab", "z"] {
        subscribed(&mut publisher, prefix);
    }
    assert!(subscriber.unsubscribe("a"));
    publisher.send("a1").wait().unwrap();
    assert_eq!(subscriber.recv().wait_timeout(DEADLINE).unwrap(), Message::from("a1"));
    for message in ["a2", "ab", "z1"] {
        publisher.send(message).wait().unwrap();
    }
    // Wherever these messages are by now.
    assert!(subscriber.unsubscribe("a"));
    assert!(!subscriber.unsubscribe("a"));
    assert_eq!(subscriber.recv().wait_timeout(DEADLINE).unwrap(), Message::from("ab"));
    assert_eq!(subscriber.recv().wait_timeout(DEADLINE).unwrap(), Message::from("z1"));
    assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), Message::from("\0a"));
    subscriber.close().wait().unwrap();
    for prefix in ["ab", "z"] {
        assert_eq!(publisher.recv().wait_timeout(DEADLINE).unwrap(), Message::from(format!("\0{prefix}")));
    }
}

#[test]
fn a_proxy_passes_messages_one_way_and_subscriptions_the_other() {
    let (mut from, mut to) = (XSub::new().unwrap(), XPub::new().unwrap());
    let inlet = from.bind("tcp://127.0.0.1:*").unwrap().to_string();
    let outlet = to.bind("tcp://127.0.0.1:*").unwrap().to_string();
    std::thread::spawn(move || proxy(&mut from, &mut to).wait());
    let mut publisher = XPub::new().unwrap();
    publisher.connect(&inlet).unwrap();
    let mut subscribers: Vec<Sub> = (0..2).map(|_| Sub::new().unwrap()).collect();
    for subscriber in &subscribers {
        subscriber.connect(&outlet).unwrap();
        subscriber.subscribe("n").unwrap();
    }
    subscribed(&mut publisher, "n");
    // The second may be late.
    let mut synced = 0;
    while synced < 2 {
        publisher.send("n sync").wait().unwrap();
        synced =
            subscribers.iter_mut().filter_map(|one| one.recv().wait_timeout(Duration::from_millis(50)).ok()).count();
    }
    for sent in 0..500 {
        publisher.send(["n".to_owned(), sent.to_string()]).wait().unwrap();
    }
    for subscriber in &mut subscribers {
        let mut messages = subscriber.iter().filter(|message| message.len() == 2);
        for expected in 0..500 {
            assert_eq!(messages.next().unwrap().get(1).unwrap(), expected.to_string().as_bytes());
        }
    }
}

#[test]
fn a_conflating_receiver_has_the_newest_only() {
    let mut publisher = XPub::with(Options { conflate: false, ..Options::default() }).unwrap();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap().to_string();
    let (mut newest, mut all) =
        (Sub::with(Options { conflate: true, ..Options::default() }).unwrap(), Sub::new().unwrap());
    for subscriber in [&newest, &all] {
        subscriber.connect(&endpoint).unwrap();
    }
    newest.subscribe("n").unwrap();
    subscribed(&mut publisher, "n");
    all.subscribe("").unwrap();
    subscribed(&mut publisher, "");
    for sent in 0..100 {
        publisher.send(format!("n{sent}")).wait().unwrap();
    }
    assert_eq!(all.iter().take(100).count(), 100);
    let got: Vec<_> = std::iter::from_fn(|| newest.recv().wait_timeout(Duration::from_millis(200)).ok()).collect();
    assert!(got.len() < 100, "all of them came");
    assert_eq!(got.last().unwrap().text(), "n99");
}

#[test]
fn a_conflating_sender_keeps_the_newest_only() {
    let push = Push::with(Options { conflate: true, ..Options::default() }).unwrap();
    push.connect("inproc://conflated").unwrap();
    for sent in 0..100 {
        push.send(sent.to_string()).wait().unwrap();
    }
    let mut pull = Pull::new().unwrap();
    pull.bind("inproc://conflated").unwrap();
    assert_eq!(number(&pull.recv().wait_timeout(DEADLINE).unwrap()), 99);
    assert!(pull.recv().wait_timeout(Duration::from_millis(50)).is_err());
}

#[test]
fn close_sends_what_was_accepted_and_says_what_could_not_be_sent() {
    let push = Push::new().unwrap();
    push.connect("inproc://closed").unwrap();
    push.send("last").wait().unwrap();
    let closing = push.close();
    let mut pull = Pull::new().unwrap();
    pull.bind("inproc://closed").unwrap();
    closing.wait().unwrap();
    assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap(), Message::from("last"));

    let push = Push::with(Options { linger: Duration::from_millis(20), ..Options::default() }).unwrap();
    push.connect("tcp://127.0.0.1:9").unwrap();
    (0..3).for_each(|_| push.send("nobody").wait().unwrap());
    assert!(matches!(push.close().wait(), Err(Error::Unsent { messages: 3 })));
}

#[test]
fn a_dropped_socket_sends_what_was_accepted() {
    let mut pull = Pull::new().unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap().to_string();
    let push = Push::new().unwrap();
    push.connect(&endpoint).unwrap();
    push.send("last").wait().unwrap();
    drop(push);
    assert_eq!(pull.recv().wait_timeout(DEADLINE).unwrap(), Message::from("last"));
}

#[test]
fn whoever_waits_hears_of_the_end_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let (mut pull, push) = (Pull::new().unwrap(), Push::new().unwrap());
    let mut events = pull.events();
    drop(entered);
    let waiting = std::thread::spawn(move || pull.recv().wait());
    let sending = std::thread::spawn(move || push.send("nobody").wait());
    runtime.shutdown_background();
    assert!(matches!(waiting.join().unwrap(), Err(Error::Ended)));
    assert!(matches!(sending.join().unwrap(), Err(Error::Ended)));
    assert!(events.wait().is_none());
}

#[test]
fn sockets_can_be_sent_to_other_threads_and_shared() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Push>();
    is_send_and_sync::<Pull>();
    is_send_and_sync::<Pub>();
    is_send_and_sync::<Sub>();
    is_send_and_sync::<XPub>();
    is_send_and_sync::<XSub>();
}
