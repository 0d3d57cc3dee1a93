//! The server of the poller: the same numbers, from 0, over a PUSH and a PUB socket, one of each a second or after the
//! seconds that are given. Ctrl-C ends it, after what was accepted is sent.
//!
//! ```text
//! cargo run -p switchboard-sockets --example poller_srv [SECONDS]
//! ```

use std::process::ExitCode;
use std::time::Duration;
use switchboard_sockets::{Error, Pub, Push};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = run().await;
    done.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

async fn run() -> Result<(), Error> {
    let pause = std::env::args().nth(1).map_or(1.0, |seconds| seconds.parse().expect("a number of seconds"));
    let pause = Duration::from_secs_f64(pause);
    let sender = Push::new()?;
    sender.bind("tcp://*:5557")?;
    let publisher = Pub::new()?;
    publisher.bind("tcp://*:5556")?;
    let push = async {
        for number in 0u64.. {
            // Waits until somebody pulls.
            sender.send(number.to_string()).await?;
            sleep(pause).await;
        }
        Ok::<(), Error>(())
    };
    let publish = async {
        for number in 0u64.. {
            publisher.send(number.to_string()).await?;
            sleep(pause).await;
        }
        Ok::<(), Error>(())
    };
    tokio::select! {
        ended = push => ended,
        ended = publish => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }?;
    // The runtime ends with `main`, and with it all I/O.
    sender.close().await?;
    publisher.close().await
}
