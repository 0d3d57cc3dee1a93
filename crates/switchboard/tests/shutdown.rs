//! The broker's end, while somebody is held.

mod common;

use common::{Broker, Client};

#[test]
fn a_paused_publisher_that_nobody_can_release_keeps_nobody_waiting() {
    let mut broker = Broker::start(&["--drain", "1h", "--channel", "/queue/full,queue=1000"]);
    let mut idle = Client::listening(&broker, "/topic/foo");
    let mut held = Client::publisher(&broker);
    for number in 0..100u8 {
        held.publish("/queue/full", &[number; 96]);
    }
    broker.status_until("it is paused", |status| status["totals"]["paused"] == 1);
    broker.program.signal("-INT");
    assert_eq!(idle.rest(), Vec::<Vec<u8>>::new());
    held.is_closed();
    assert_eq!(broker.program.end().code(), Some(0));
    broker.log.find(&["Messages left in queues, which are lost: "]);
    broker.log.find(&["Stopped."]);
}
