//! Resident memory after the messages are gone.

mod common;

use common::{Broker, Client, frame, poll};

const CHANNELS: usize = 60_000;
const ROUNDS: usize = 3;

/// Resident memory in KiB.
fn resident(broker: &Broker) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.program.child.id())).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn what_many_channels_held_is_given_back() {
    let broker = Broker::start(&[]);
    let before = resident(&broker);
    let mut full = 0;
    for round in 0..ROUNDS {
        let mut publisher = Client::publisher(&broker);
        let mut bytes = Vec::new();
        for number in 0..CHANNELS {
            bytes.extend(frame(format!("/queue/many/{round}/{number}").as_bytes()));
            bytes.extend(frame(&[b'x'; 128]));
        }
        publisher.write(&bytes);
        publisher.settle();
        full = full.max(resident(&broker));
        let mut worker = Client::silent(&broker);
        worker.send(b"/queue/many/>");
        worker.receive_some(CHANNELS);
    }
    assert!(full > before + 30_000, "{before} KiB before, {full} KiB when they were there: a test of nothing");
    let enough = before + (full - before) * 2 / 3;
    poll("the memory is back", || (resident(&broker) < enough).then_some(()));
}
