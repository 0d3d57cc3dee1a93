//! Back-pressure: the publishers that a full channel pauses, and those that it does not.

mod common;

use common::{Broker, Bystanders, Client, frame, listening, switchboard};
use std::process::Command;

/// A channel's entry.
fn channel<'a>(status: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let mut channels = status["channels"].as_array().expect("a list").iter();
    channels.find(|channel| channel["name"] == name).expect("a channel")
}

#[test]
fn a_full_queue_holds_those_who_feed_it_and_only_those() {
    let broker = Broker::start(&["--channel", "/queue/full,queue=1000"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut feeding = Client::listening(&broker, "/topic/feeding");
    let mut other = Client::listening(&broker, "/topic/other");
    for number in 0..100u8 {
        feeding.publish("/queue/full", &[number; 96]);
    }
    feeding.ask_echo();
    let status = broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    let reason = "queue /queue/full is at its bound of 1000 bytes (limit: queue)";
    let held = listening(&status, "/topic/feeding");
    assert_eq!(held["paused"], reason);
    assert_eq!(channel(&status, "/queue/full")["depth"], 10);
    assert_eq!(channel(&status, "/queue/full")["paused_publishers"], 1);
    broker.log.find(&["INFO", &format!("paused: {reason}"), &format!("connection={}", held["id"])]);

    for number in 0..100u8 {
        other.publish("/queue/other", &[number; 96]);
    }
    other.settle();
    assert_eq!(channel(&broker.status(), "/queue/other")["depth"], 100);
    bystanders.are_well();

    let all: Vec<Vec<u8>> = (0..100u8).map(|number| vec![number; 96]).collect();
    let mut worker = Client::silent(&broker);
    worker.send(b"/queue/full");
    assert_eq!(worker.receive_some(100), all);
    assert_eq!(feeding.until_echo(), Vec::<Vec<u8>>::new());
    assert!(listening(&broker.status(), "/topic/feeding")["paused"].is_null());
    broker.log.find(&["DEBUG", "resumed", &format!("connection={}", held["id"])]);
    assert_eq!(Client::listening_late(&broker, "/queue/other").until_echo(), all);
    drop((feeding, other, worker));
    bystanders.are_alone(&broker);
}

#[test]
fn what_a_paused_publisher_sent_stays_when_it_is_gone_and_the_status_says_so() {
    let broker = Broker::start(&["--channel", "/queue/full,queue=100"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut held = Client::listening(&broker, "/topic/held");
    held.write(&[frame(b"/queue/full"), frame(&[7; 46])].concat().repeat(5));
    let status = broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    let id = status["connections"][0]["id"].to_string();
    assert_eq!(status["connections"][0]["gone"], false);
    assert!(switchboard(&["kick", &id, "--server", &broker.http]).output().expect("an end").status.success());
    assert_eq!(held.rest(), Vec::<Vec<u8>>::new());
    let status = broker.status_until("it is gone", |status| status["totals"]["connections"] == 2);
    assert_eq!(status["connections"][0]["gone"], true);
    let waits = "gone: 3 of its messages wait for room: queue /queue/full is at its bound of 100 bytes (limit: queue)";
    assert_eq!(status["connections"][0]["waits_for"], waits);

    let mut worker = Client::silent(&broker);
    worker.send(b"/queue/full");
    // One read brought all of them.
    assert_eq!(worker.receive_some(5), [[7; 46]; 5]);
    drop(worker);
    bystanders.are_alone(&broker);
    assert_eq!(broker.status()["connections"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_stalled_worker_loses_what_it_was_not_sent_and_stays_usable() {
    const COUNT: usize = 200;
    let broker = Broker::start(&[
        "--set",
        "write-timeout=1s",
        "--set",
        "outbox=64MiB",
        "--set",
        "window=64MiB",
        "--set",
        "first-window=64MiB",
    ]);
    let mut bystanders = Bystanders::of(&broker);
    let mut stalled = Client::listening(&broker, "/queue/foo");
    let mut publisher = Client::publisher(&broker);
    let message = |number: usize| vec![number as u8; 64 << 10];
    for number in 0..COUNT {
        publisher.publish("/queue/foo", &message(number));
    }
    publisher.settle();
    broker.status_until("a recall", |status| status["totals"]["requeued"].as_u64() > Some(0));
    let mut worker = Client::silent(&broker);
    worker.send(b"/queue/foo");
    let first = worker.receive().expect("what came back");
    let begun = usize::from(first[0]);
    let back = [vec![first], worker.receive_some(COUNT - begun - 1)].concat();
    assert!(back.iter().zip(begun..).all(|(body, number)| *body == message(number)));

    // Written and begun messages are its own; each message went to one of the two.
    let own = stalled.receive_some(begun);
    assert!(own.iter().enumerate().all(|(number, body)| *body == message(number)));
    stalled.settle();
    worker.settle();
    for number in 0..2 {
        publisher.publish("/queue/foo", &[number]);
    }
    publisher.settle();
    let mut new = [stalled.received(), worker.received()];
    new.sort();
    assert_eq!(new, [[[0]], [[1]]]);
    drop((stalled, worker, publisher));
    bystanders.are_alone(&broker);
}

#[test]
fn short_memory_holds_the_publisher_of_the_fullest_channel_first() {
    const COUNT: usize = 150;
    let broker = Broker::start(&["--memory", "4MiB", "--set", "message=1MiB", "--set", "connections=100"]);
    let mut bystanders = Bystanders::of(&broker);
    let mut greedy = Client::listening(&broker, "/topic/greedy");
    let mut feeding = greedy.twin();
    let writing = std::thread::spawn(move || {
        for number in 0..COUNT {
            feeding.publish("/queue/fullest", &[number as u8; 64 << 10]);
        }
        feeding.ask_echo();
    });
    let status = broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    let reason = "memory is short: 3784704 bytes of the budget of 4194304 are for messages, half of them for a channel that is \
                  alone; the rest is for connections (limits: memory, connections)";
    assert_eq!(listening(&status, "/topic/greedy")["paused"], reason);
    broker.log.find(&["INFO", &format!("paused: {reason}")]);
    let memory = status["totals"]["memory"].as_u64().expect("a number");
    assert!((1 << 20..=4 << 20).contains(&memory), "{memory}");

    let mut modest = Client::publisher(&broker);
    let mut listener = Client::listening(&broker, "/topic/modest");
    for number in 0..1000u32 {
        modest.publish("/topic/modest", &number.to_be_bytes());
        assert_eq!(listener.receive().expect("a message"), number.to_be_bytes());
    }
    modest.publish("/queue/modest", &[7; 64 << 10]);
    modest.settle();
    assert_eq!(channel(&broker.status(), "/queue/modest")["depth"], 1);
    assert_eq!(listening(&broker.status(), "/topic/greedy")["paused"], reason);

    let mut worker = Client::silent(&broker);
    worker.send(b"/queue/fullest");
    let all = worker.receive_some(COUNT);
    assert!(all.iter().enumerate().all(|(number, body)| body[..] == [number as u8; 64 << 10]));
    writing.join().expect("everything was taken");
    assert_eq!(greedy.until_echo(), Vec::<Vec<u8>>::new());
    assert_eq!(Client::listening_late(&broker, "/queue/modest").until_echo().len(), 1);
    drop((greedy, modest, listener, worker));
    bystanders.are_alone(&broker);
}

#[test]
fn as_many_connections_as_files_are_served_and_the_others_told() {
    const FILES: usize = 60;
    let mut shell = Command::new("bash");
    // The hard limit too: the broker raises the other one by itself.
    shell.args(["-c", &format!("ulimit -n {FILES} && exec \"$0\" \"$@\"")]);
    let broker = switchboard(&["broker", "--listen", "127.0.0.1:0"]);
    let broker = Broker::launch(shell.arg(broker.get_program()).args(broker.get_args()));
    broker.log.find(&["WARN", "at most 30 connections", "this process may open 60 files"]);
    let mut bystanders = Bystanders::of(&broker);
    let crowd: Vec<Client> = (0..28).map(|_| Client::listening(&broker, "/topic/crowd")).collect();
    assert_eq!(Client::silent(&broker).rest(), Vec::<Vec<u8>>::new());
    broker.log.find(&["WARN", "closed: there are 30 connections already (limit: open files)"]);
    bystanders.are_well();
    drop(crowd);
    broker.settles_at(2);
    drop(Client::listening(&broker, "/topic/new"));
    bystanders.are_alone(&broker);
}

#[test]
fn no_more_files_is_survived() {
    let broker = Broker::start(&[]);
    let mut bystanders = Bystanders::of(&broker);
    let process = broker.program.child.id();
    let allow = |files: &str| {
        let status = Command::new("prlimit").args(["--pid", &process.to_string()]).arg(files).status();
        assert!(status.expect("prlimit is missing; install it: apt-get install util-linux").success());
    };
    // The one limit that the broker cannot keep by itself: somebody lowers it.
    allow(&format!("--nofile={}:", std::fs::read_dir(format!("/proc/{process}/fd")).expect("/proc").count()));
    let crowd: Vec<Client> = (0..3).map(|_| Client::silent(&broker)).collect();
    broker.log.find(&["ERROR", "cannot accept connections, and tries again every 0.1 s: Too many open files"]);
    bystanders.are_well();
    drop(crowd);
    allow("--nofile=1000:");
    broker.settles_at(2);
    drop(Client::listening(&broker, "/topic/new"));
    bystanders.are_alone(&broker);
}
