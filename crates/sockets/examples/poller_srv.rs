//! The server of the poller: the same numbers, from 0, over a PUSH and a PUB socket, one of each a second or after the
//! seconds that are given.
//!
//! ```text
//! cargo run -p switchboard-sockets --example poller_srv [SECONDS]
//! ```

use std::time::Duration;
use switchboard_sockets::{Error, Pub, Push};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let pause = std::env::args().nth(1).map_or(1.0, |seconds| seconds.parse().expect("a number of seconds"));
    let push = tokio::spawn(async move {
        let sender = Push::new()?;
        sender.bind("tcp://*:5557")?;
        for number in 0u64.. {
            // Waits until somebody pulls.
            sender.send(number.to_string()).await?;
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        Ok::<(), Error>(())
    });
    let publish = tokio::spawn(async move {
        let publisher = Pub::new()?;
        publisher.bind("tcp://*:5556")?;
        for number in 0u64.. {
            publisher.send(number.to_string()).await?;
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        Ok::<(), Error>(())
    });
    let ended = tokio::select! { ended = push => ended, ended = publish => ended };
    ended.expect("it does not panic")
}
