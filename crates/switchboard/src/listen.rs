//! `switchboard listen`.

use crate::cli::Listen;
use crate::output::{self, note};
use crate::session::{Incoming, Session, jitter};
use anyhow::Result;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;

/// What is written at a time, at most, give or take one message.
const CHUNK: usize = 64 << 10;

/// Prints messages until the count is reached.
pub(crate) async fn run(args: &Listen) -> Result<()> {
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        match follow(args, &mut left).await {
            Err(error) if error.is::<output::Closed>() || args.peer.once => return Err(error),
            Ok(()) if left == 0 || args.peer.once => return Ok(()),
            Ok(()) => {}
            Err(error) => note(format_args!("{error:#}; connecting again.")),
        }
        // A broker that closes at once is not to be asked at full speed.
        tokio::time::sleep(jitter(Duration::from_millis(200))).await;
    }
    Ok(())
}

async fn follow(args: &Listen, left: &mut u64) -> Result<()> {
    let mut session = Session::connect(&args.peer, args.channel.as_bytes()).await?;
    session.heartbeat = true;
    let subscribed = session.echo().await?;
    let mut text = Vec::new();
    loop {
        match session.next().await? {
            Incoming::End => {
                note(format_args!("Server closed."));
                return Ok(());
            }
            Incoming::Echo(number) if number == subscribed => {
                announce(args);
            }
            Incoming::Echo(_) => {}
            Incoming::Message(message) => {
                // One write for all that one read brought.
                let mut next = Some(Incoming::Message(message));
                while let Some(Incoming::Message(message)) = next {
                    print(args, message, &mut text);
                    *left -= 1;
                    if *left == 0 || text.len() >= CHUNK {
                        break;
                    }
                    next = session.arrived()?;
                    if matches!(next, Some(Incoming::Echo(number)) if number == subscribed) {
                        announce(args);
                    }
                }
                output::write(&text)?;
                text.clear();
                if *left == 0 {
                    session.end().await;
                    return Ok(());
                }
            }
        }
    }
}

fn announce(args: &Listen) {
    note(format_args!("Listening on {} at {}:{}.", args.channel, args.peer.host, args.peer.port));
}

fn print(args: &Listen, message: Vec<u8>, text: &mut Vec<u8>) {
    if !args.json {
        text.extend_from_slice(&message);
    } else {
        let line = match String::from_utf8(message) {
            Ok(data) => json!({ "channel": args.channel, "data": data }),
            Err(error) => json!({ "channel": args.channel, "hex": hex(error.as_bytes()) }),
        };
        text.extend_from_slice(line.to_string().as_bytes());
    }
    text.push(b'\n');
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
