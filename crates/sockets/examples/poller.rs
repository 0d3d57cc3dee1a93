//! Receives from a PULL and from a SUB socket, each in a small task of its own, and prints what comes.
//!
//! ```text
//! cargo run -p switchboard-sockets --example poller_srv &
//! cargo run -p switchboard-sockets --example poller
//! ```

use switchboard_sockets::{Error, Pull, Sub};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let pull = tokio::spawn(async {
        let mut receiver = Pull::new()?;
        receiver.connect("tcp://localhost:5557")?;
        loop {
            println!("Via PULL: {}", receiver.recv().await?.text());
        }
    });
    let sub = tokio::spawn(async {
        let mut subscriber = Sub::new()?;
        subscriber.connect("tcp://localhost:5556")?;
        subscriber.subscribe("")?;
        loop {
            println!("Via SUB: {}", subscriber.recv().await?.text());
        }
    });
    let ended: Result<Result<(), Error>, _> = tokio::select! { ended = pull => ended, ended = sub => ended };
    ended.expect("it does not panic")
}
