//! The poller with two plain threads instead of tasks. No runtime is needed.
//!
//! ```text
//! cargo run -p switchboard-sockets --example poller_srv &
//! cargo run -p switchboard-sockets --example poller_threads
//! ```

use std::thread;
use switchboard_sockets::{Error, Pull, Sub};

fn main() -> Result<(), Error> {
    let mut receiver = Pull::new()?;
    receiver.connect("tcp://localhost:5557")?;
    let mut subscriber = Sub::new()?;
    subscriber.connect("tcp://localhost:5556")?;
    subscriber.subscribe("")?;
    thread::scope(|scope| {
        scope.spawn(|| {
            for message in receiver.iter() {
                println!("Via PULL: {}", message.text());
            }
        });
        for message in subscriber.iter() {
            println!("Via SUB: {}", message.text());
        }
    });
    Ok(())
}
