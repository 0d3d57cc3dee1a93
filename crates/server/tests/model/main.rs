//! The protocol between the tasks that write to a connection, in every order in which its steps may happen, with loom.
//! The modules under test are the server's own; its socket, clock and locks are the model's.
//!
//! A wake-up that is lost shows as a deadlock.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "not every model uses everything of the modules")]

#[path = "../../src/dirty.rs"]
mod dirty;
#[path = "../../src/handle.rs"]
mod handle;
#[path = "../../src/hub/mod.rs"]
mod hub;
#[path = "../../src/log.rs"]
mod log;
#[path = "../../src/outbox.rs"]
mod outbox;
#[path = "../../src/stomp/mod.rs"]
mod stomp;
#[path = "../../src/watch.rs"]
mod watch;
#[path = "../../src/writer.rs"]
mod writer;

mod clock;
mod flow;
mod slice;
mod socket;
mod sync;
mod transport;
mod world;

/// Every model by its name.
const MODELS: [(&str, fn()); 8] = [
    ("two_publishers_lose_no_flush_and_no_credit", flow::two_publishers),
    ("a_full_socket_loses_no_wake_up", flow::a_full_socket),
    ("a_flush_that_is_too_long_is_gone_on_with", flow::a_flush_that_is_too_long),
    ("a_message_is_written_or_requeued_at_disconnect_never_both", flow::a_disconnect_beside_a_publisher),
    ("a_recall_beside_a_flush_returns_what_was_not_begun", flow::a_recall_beside_a_flush),
    ("what_is_acknowledged_was_credited_before", flow::acknowledgements_beside_writes),
    ("what_is_unacknowledged_is_watched", flow::a_watch_that_ends_beside_a_write),
    ("a_task_that_ends_leaves_its_flushes_to_the_others", flow::a_task_that_ends_before_it_has_flushed),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        return MODELS.iter().for_each(|(name, _)| println!("{name}: test"));
    }
    let mut passed = 0;
    for (name, model) in MODELS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            let begun = std::time::Instant::now();
            model();
            println!("test {name} ... ok ({:.1} s)", begun.elapsed().as_secs_f32());
            passed += 1;
        }
    }
    // As a harness says it: it is counted.
    println!("test result: ok. {passed} passed; 0 failed");
}
