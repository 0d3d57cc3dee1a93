//! Every limit, just below it, at it and just above it, on real sockets. Whoever is refused finds
//! the limit's name in the log.

mod common;

use common::{Broker, Bystanders, Client, listening};

fn nothing() -> Vec<Vec<u8>> {
    Vec::new()
}

/// This client is closed, and the log says why.
fn is_refused(broker: &Broker, mut client: Client, why: &str) {
    assert_eq!(client.rest(), nothing());
    broker.log.find(&["WARN", "closed: ", why, &client.name()]);
}

#[test]
fn the_limit_of_a_channel_s_name() {
    let broker = Broker::start(&["--set", "channel-name=20"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut publisher = Client::publisher(&broker);
    for length in [19, 20] {
        let name = format!("/topic/{}", "x".repeat(length - 7));
        let mut listener = Client::listening(&broker, &name);
        publisher.publish(&name, b"here");
        assert_eq!(listener.receive().expect("a message"), b"here");
    }
    let why = "a channel name of 21 bytes is over the limit of 20 (limit: channel-name)";
    let mut listener = Client::silent(&broker);
    listener.send(&[b'x'; 21]);
    is_refused(&broker, listener, why);
    publisher.publish(&"x".repeat(21), b"here");
    is_refused(&broker, publisher, why);
    bystanders.are_alone(&broker);
}

#[test]
fn the_limit_of_a_message() {
    let broker = Broker::start(&["--set", "message=100000"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut publisher = Client::publisher(&broker);
    let mut listener = Client::listening(&broker, "/topic/foo");
    for length in [99_999, 100_000] {
        publisher.publish("/topic/foo", &vec![7; length]);
        assert_eq!(listener.receive().expect("a message"), vec![7; length]);
    }
    publisher.publish("/topic/foo", &[7; 100_001]);
    is_refused(&broker, publisher, "a message of 100001 bytes is over the limit of 100000 (limit: message)");
    listener.settle();
    drop(listener);
    bystanders.are_alone(&broker);
}

#[test]
fn the_limit_of_connections() {
    let broker = Broker::start(&["--set", "connections=3"]);
    let mut bystanders = Bystanders::of(&broker);
    let third = Client::listening(&broker, "/topic/third");
    let why = "there are 3 connections already (limit: connections)";
    is_refused(&broker, Client::silent(&broker), why);
    let mut fourth = Client::silent(&broker);
    fourth.send(b"/topic/fourth");
    is_refused(&broker, fourth, why);
    assert!(!listening(&broker.status(), "/topic/third").is_null());
    drop(third);
    broker.settles_at(2);
    drop(Client::listening(&broker, "/topic/fourth"));
    bystanders.are_alone(&broker);
}

#[test]
fn the_limit_of_channels() {
    let broker = Broker::start(&["--set", "channels=4"]);
    // The channels of the two are two.
    let mut bystanders = Bystanders::of(&broker);
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/queue/third", b"3");
    publisher.publish("/queue/fourth", b"4");
    publisher.publish("/queue/third", b"3");
    publisher.settle();
    let why = "there are 4 channels already (limit: channels)";
    let mut listener = Client::silent(&broker);
    listener.send(b"/topic/fifth");
    is_refused(&broker, listener, why);
    publisher.publish("/queue/fifth", b"5");
    is_refused(&broker, publisher, why);
    // A channel that is empty and unused is none.
    for (queue, messages) in [("/queue/third", &[b"3", b"3"][..]), ("/queue/fourth", &[b"4"])] {
        assert_eq!(Client::listening_late(&broker, queue).until_echo(), messages);
    }
    broker.settles_at(2);
    let fifth = Client::listening(&broker, "/topic/fifth");
    let sixth = Client::listening(&broker, "/topic/sixth");
    let mut seventh = Client::silent(&broker);
    seventh.send(b"/topic/seventh");
    is_refused(&broker, seventh, why);
    drop((fifth, sixth));
    bystanders.are_alone(&broker);
}

#[test]
fn the_limit_of_handshakes() {
    let broker =
        Broker::start(&["--set", "handshakes=2", "--set", "handshakes-per-address=2", "--set", "handshake=1h"]);
    let mut bystanders = Bystanders::of(&broker);
    let first = Client::silent(&broker);
    let second = Client::silent(&broker);
    // One too many is served at once; the oldest unfinished one makes room.
    let third = Client::listening(&broker, "/topic/third");
    is_refused(&broker, first, "a newer connection took the place of its unfinished handshake (limits: handshakes");
    bystanders.are_well();
    drop((second, third));
    bystanders.are_alone(&broker);
}

#[test]
fn an_address_where_nobody_comes_takes_no_handshake_from_the_others() {
    let broker = Broker::start(&["--listen", "127.0.0.1:0", "--set", "handshakes=1"]);
    for address in [0, 0, 1, 1, 0] {
        let mut client = Client::at(&broker.native[address]);
        client.send(b"/topic/foo");
        client.settle();
    }
}

#[test]
fn above_the_connection_rate_one_waits_and_is_not_refused() {
    let broker = Broker::start(&["--set", "connection-rate=2"]);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::listening_late(&broker, "/topic/foo")).collect();
    for client in &mut clients {
        assert_eq!(client.until_echo(), nothing());
    }
    assert_eq!(broker.status()["totals"]["connections"], 4);
}

#[test]
fn the_limit_of_a_queue() {
    // Behind its length, a message of 46 bytes takes 50.
    let broker = Broker::start(&["--channel", "/queue/full,queue=100"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/queue/full", &[1; 46]);
    publisher.publish("/queue/full", &[2; 46]);
    publisher.settle();
    let mut second = Client::publisher(&broker);
    second.publish("/queue/full", b"");
    let status = broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    let held = status["connections"].as_array().expect("a list").iter().find(|one| !one["paused"].is_null());
    assert_eq!(held.expect("one")["paused"], "queue /queue/full is at its bound of 100 bytes (limit: queue)");
    let mut worker = Client::listening_late(&broker, "/queue/full");
    assert_eq!(worker.until_echo(), [vec![1; 46], vec![2; 46], Vec::new()]);
    second.settle();
    drop((publisher, second, worker));
    bystanders.are_alone(&broker);
}

#[test]
fn a_name_of_no_durable_subscription_is_published_to_in_vain_and_consumed_by_nobody() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/queue/subscription/me/x", b"lost");
    // It lives on.
    publisher.settle();
    assert_eq!(broker.status()["totals"]["rejected"], 1);
    let why = "/queue/subscription/me/x: there is no durable subscription of this name";
    broker.log.find(&["WARN", why]);
    let mut listener = Client::silent(&broker);
    listener.send(b"/queue/subscription/me/x");
    is_refused(&broker, listener, why);
    drop(publisher);
    bystanders.are_alone(&broker);
}
