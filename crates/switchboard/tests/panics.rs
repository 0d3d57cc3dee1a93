//! A broker that has panicked ends, says so, and the program exits with a code that is not zero.
//!
//! Only a program with debug assertions panics on demand.
#![cfg(debug_assertions)]

mod common;

use common::{BROKER_AND_MONITOR, Broker, Client, frame, switchboard};

const BUG: &str = "/queue/bug";

/// Whether the queue's purge succeeds.
fn purge(broker: &Broker, queue: &str) -> bool {
    let output = switchboard(&["queues", "purge", queue, "--yes", "-s", &broker.http]).output().expect("it runs");
    output.status.success()
}

#[test]
fn a_broker_that_has_panicked_ends_says_so_and_exits_with_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = format!("data={}", directory.path().display());
    let up = ["up", "--listen", "127.0.0.1:0", "--set", "monitor.listen=127.0.0.1:0", "--collect", "tcp://127.0.0.1:0"];
    let up = [&up[..], &["--set", &data], &BROKER_AND_MONITOR[..]].concat();
    for args in [&["broker", "--listen", "127.0.0.1:0"][..], &up] {
        let mut broker = Broker::launch(switchboard(args).env("SWITCHBOARD_TEST_PANIC", BUG));
        let mut listener = Client::listening(&broker, "/topic/foo");
        let mut publisher = Client::publisher(&broker);
        publisher.publish(BUG, b"kept");
        publisher.publish("/queue/other", b"kept");
        broker.status_until("both are there", |status| status["totals"]["published"] == 2);
        // It panics for no other queue.
        assert!(purge(&broker, "/queue/other"));
        assert!(!purge(&broker, BUG), "{args:?}");
        assert_eq!(broker.program.end().code(), Some(1), "{args:?}: {:?}", broker.log.all());
        broker.log.find(&["a bug that a test asks for"]);
        broker
            .log
            .find(&["the broker has panicked, and stopped: what it knew about messages cannot be trusted any more"]);
        assert_eq!(listener.rest(), Vec::<Vec<u8>>::new());
    }
}

#[test]
fn without_the_variable_nothing_panics() {
    let broker = Broker::start(&[]);
    Client::publisher(&broker).write(&[frame(BUG.as_bytes()), frame(b"kept")].concat());
    broker.status_until("it is there", |status| status["totals"]["published"] == 1);
    assert!(purge(&broker, BUG));
    broker.stop(Vec::new());
}
