//! `switchboard listen`.

use crate::cli::Listen;
use crate::client::{connect, narrate};
use crate::output::{self, note};
use anyhow::{Result, bail};
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;
use switchboard_client::{Options, Reason, Subscription};

/// What is written at a time, at most, give or take one message; and what is read ahead of it: a queue's
/// messages that were read and not printed are lost when the count is reached.
const CHUNK: usize = 64 << 10;
/// How long the broker may take to end the session after that.
const DRAIN: Duration = Duration::from_secs(5);

/// Prints messages until the count is reached.
pub(crate) async fn run(args: &Listen) -> Result<()> {
    let left = args.count.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(());
    }
    let client = connect(&args.peer, Options { inbox: CHUNK, ..Options::default() }).await?;
    let narrator = narrate(client.events(), &args.peer, Some(&args.channel));
    let mut subscription = client.subscribe(&args.channel).await?;
    let all = print_all(args, &mut subscription, left).await?;
    if all && args.channel.starts_with("/queue") {
        count_lost(&mut subscription).await;
    }
    drop(subscription);
    // An error would be that there is nothing to close any more.
    let _ = client.close().await;
    match narrator.await? {
        Some(Reason::Broken(reason)) if !all => bail!(reason),
        Some(_) if !all => note(format_args!("Server closed.")),
        _ => {}
    }
    Ok(())
}

/// Whether the count was reached. If not, the subscription has ended.
async fn print_all(args: &Listen, subscription: &mut Subscription, mut left: u64) -> Result<bool> {
    let mut text = Vec::new();
    while let Some(message) = subscription.next().await {
        // One write for all that one read brought.
        let mut next = Some(message);
        while let Some(message) = next {
            print(args, &message, &mut text);
            left -= 1;
            if left == 0 || text.len() >= CHUNK {
                break;
            }
            next = subscription.try_next();
        }
        output::write(&text)?;
        text.clear();
        if left == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Leaves a queue, and says how many of its messages were sent here in vain.
async fn count_lost(subscription: &mut Subscription) {
    subscription.drain();
    let mut lost: u64 = 0;
    let counting = async {
        while subscription.next().await.is_some() {
            lost += 1;
        }
    };
    let _ = tokio::time::timeout(DRAIN, counting).await;
    if lost > 0 {
        note(format_args!("{lost} more messages had been sent to this listener; they are lost."));
    }
}

fn print(args: &Listen, message: &[u8], text: &mut Vec<u8>) {
    if !args.json {
        text.extend_from_slice(message);
    } else {
        let line = match std::str::from_utf8(message) {
            Ok(data) => json!({ "channel": args.channel, "data": data }),
            Err(_) => json!({ "channel": args.channel, "hex": hex(message) }),
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
