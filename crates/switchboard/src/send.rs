//! `switchboard send`.

use crate::cli::Send;
use crate::client::{connect, narrate};
use crate::output;
use anyhow::{Result, anyhow};
use serde_json::json;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::BufRead;
use std::time::Duration;
use switchboard_client::{Client, Completion, Error, Options, Reason};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// What is sent before the broker is asked whether it has it, at most, give or take one message. As much
/// may be sent meanwhile.
const FLUSH: usize = 1 << 20;
/// How often a message is sent: one that the broker refuses, for being too big, it refuses for ever.
const ATTEMPTS: u32 = 5;

/// Sends what was asked for, and returns when the broker has all of it.
pub(crate) async fn run(args: &Send) -> Result<()> {
    let mut sender = Sender::start(args).await?;
    let done = match send_all(args, &mut sender).await {
        Ok(()) => sender.client.close().await.map_err(anyhow::Error::from),
        error => error,
    };
    let Sender { client, narrator, sent, .. } = sender;
    if let Err(error) = done {
        return Err(match error.downcast_ref() {
            Some(Error::InDoubt(_)) => {
                anyhow!("the broker took the connection, but not the messages, {ATTEMPTS} times (its log says why)")
            }
            Some(Error::Closed) => match narrator.await? {
                Some(reason) => anyhow!("not everything was sent: {reason}"),
                None => error,
            },
            _ => error,
        });
    }
    drop(client);
    // Not before the session has ended.
    narrator.await?;
    if args.json {
        output::write(format!("{}\n", json!({ "channel": args.channel, "sent": sent })).as_bytes())?;
    }
    Ok(())
}

async fn send_all(args: &Send, sender: &mut Sender) -> Result<()> {
    if args.stdin { from_stdin(args, sender).await } else { made_up(args, sender).await }
}

async fn made_up(args: &Send, sender: &mut Sender) -> Result<()> {
    // The standard library's hash keys are random, which is random enough for a name.
    let me = format!("{:08x}", RandomState::new().build_hasher().finish() as u32);
    let fill = args.size.map(|size| "X".repeat(size));
    let count = args.count.unwrap_or(if args.data.is_some() { 1 } else { u64::MAX });
    let pause = if args.data.is_some() { Duration::ZERO } else { Duration::from_secs(1) };
    let pause = args.interval.unwrap_or(pause);
    for i in 0..count {
        let made;
        let message = match (&args.data, &fill) {
            (Some(given), _) | (None, Some(given)) => given,
            (None, None) => {
                made = format!("Msg {i} from {me}");
                &made
            }
        };
        sender.push(&args.channel, message.as_bytes()).await?;
        sender.pause(pause, i + 1 == count).await?;
    }
    Ok(())
}

async fn from_stdin(args: &Send, sender: &mut Sender) -> Result<()> {
    let (give, mut take) = mpsc::channel(1024);
    // A thread of its own: a read of the standard input cannot be interrupted, so nothing may wait for it.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            let last = line.is_err();
            if give.blocking_send(line).is_err() || last {
                return;
            }
        }
    });
    let pause = args.interval.unwrap_or_default();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let line = match take.try_recv() {
            Ok(line) => line,
            Err(_) => {
                // The next line may be long in coming: whether the broker has what there is, is to be known now.
                sender.flush().await?;
                match take.recv().await {
                    Some(line) => line,
                    None => return Ok(()),
                }
            }
        };
        left -= 1;
        sender.push(&args.channel, &line?).await?;
        sender.pause(pause, left == 0).await?;
    }
    Ok(())
}

struct Sender {
    client: Client,
    narrator: JoinHandle<Option<Reason>>,
    /// Bytes since the last flush was asked for.
    unflushed: usize,
    flushing: Option<Completion<()>>,
    sent: u64,
}

impl Sender {
    async fn start(args: &Send) -> Result<Sender> {
        // At least once, but not for ever.
        let client = connect(&args.peer, Options { resend: ATTEMPTS - 1, ..Options::default() }).await?;
        let narrator = narrate(client.events(), &args.peer, None);
        Ok(Sender { client, narrator, unflushed: 0, flushing: None, sent: 0 })
    }

    async fn push(&mut self, channel: &str, message: &[u8]) -> Result<()> {
        self.client.publish(channel, message).await?;
        self.sent += 1;
        self.unflushed += channel.len() + message.len();
        if self.unflushed >= FLUSH {
            self.unflushed = 0;
            if let Some(flushing) = self.flushing.replace(self.client.flush()) {
                flushing.await?;
            }
        }
        Ok(())
    }

    async fn pause(&mut self, pause: Duration, last: bool) -> Result<()> {
        if !pause.is_zero() && !last {
            self.flush().await?;
            sleep(pause).await;
        }
        Ok(())
    }

    /// Returns when the broker has everything.
    async fn flush(&mut self) -> Result<()> {
        self.unflushed = 0;
        if let Some(flushing) = self.flushing.take() {
            flushing.await?;
        }
        Ok(self.client.flush().await?)
    }
}
