//! `switchboard send`.

use crate::bench::too_large;
use crate::cli::{Peer, Send};
use crate::client::{check_channel, connect, doubtful, lost, narrate, protocol};
use crate::lines::Lines;
use crate::output::{self, UsageError, note, reasons};
use crate::stop::{Stop, exit_code};
use anyhow::{Result, anyhow, bail};
use serde_json::json;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use switchboard_client::native::LIMIT;
use switchboard_client::{Client, Completion, Error, Options, Reason, Receipts};
use switchboard_driver::quantity::{plural, show_duration};
use switchboard_server::is_stomp_queue;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard send /topic/news 'hello'      one message
  seq 10 | switchboard send /queue/jobs -l  one job a line
  switchboard send /queue/jobs 'later' --header AMQ_SCHEDULED_DELAY:5000
  switchboard send /topic/load --size 1KiB -n 1000 -i 10ms
  switchboard send /queue/jobs 'hello' -s stomp://guest:guest@rabbit.example";

/// Bytes sent before the broker is asked whether it has them, at most, give or take one message. As many
/// may be sent meanwhile.
const FLUSH: usize = 1 << 20;
/// The longest name that a broker takes unless it is configured otherwise.
const CHANNEL_NAME: usize = 1024;
/// Attempts to send a message: one that the broker refuses, for being too big, it refuses for ever.
const ATTEMPTS: u32 = 5;
/// Time after which it is worth a word that the broker takes nothing.
const STALL: Duration = Duration::from_secs(5);
/// Time that the broker may take for what was accepted before a signal.
const DRAIN: Duration = Duration::from_secs(5);

/// Sends what was asked for, and returns when the broker has all of it. A signal ends it early: what was accepted by then is
/// still sent.
pub(crate) async fn run(args: &Send) -> Result<ExitCode> {
    check_channel(&args.channel.0, &args.peer)?;
    let mut stop = Stop::new()?;
    if let Some(text) = doubtful(&args.channel.to_string(), false) {
        note(format_args!("{text}"));
    }
    let mut sender = tokio::select! {
        sender = Sender::start(args) => sender?,
        code = stop.next() => return Ok(exit_code(Some(code))),
    };
    let (mut signal, mut is_lost) = (None, false);
    let mut lost = pin!(lost(sender.client.events(), &args.peer, args.timeout));
    let done = tokio::select! {
        done = send_all(args, &mut sender) => done,
        error = &mut lost => {
            is_lost = true;
            Err(error)
        }
        code = stop.next() => {
            signal = Some(code);
            Ok(())
        }
    };
    let done = match done {
        Ok(()) => tokio::select! {
            closed = sender.close(&mut stop, &mut signal) => closed,
            error = &mut lost => {
                is_lost = true;
                Err(error)
            }
        },
        Err(error) => Err(error),
    };
    // It is empty after a close that has succeeded.
    let unconfirmed = sender.client.unconfirmed();
    let Sender { client, narrator, sent, .. } = sender;
    let taken = sent.saturating_sub(unconfirmed);
    let is_closed = *done.as_ref().unwrap_or(&false);
    if let Err(error) = done {
        return Err(match error.downcast_ref() {
            Some(Error::InDoubt(_)) => {
                anyhow!("the broker took the connection, but not the messages, {ATTEMPTS} times (its log says why)")
            }
            _ if is_lost && unconfirmed > 0 => {
                anyhow!("{error}; {} not confirmed, and may be lost", plural(unconfirmed, "message"))
            }
            Some(Error::Header { .. }) => UsageError::of(error),
            Some(Error::Server { message, .. }) => anyhow!("the broker did not take all messages: {message}"),
            Some(Error::Closed) => match narrator.await? {
                Some(reason) => anyhow!("not everything was sent: {reason}"),
                None => error,
            },
            _ => error,
        });
    }
    drop(client);
    if is_closed {
        // Not before the session has ended.
        stop.unless_again(narrator).await?;
    }
    if signal.is_some() {
        note(format_args!("{}", interrupted(taken, unconfirmed)));
    }
    if args.json {
        let mut answer = json!({ "channel": args.channel.to_string(), "sent": taken });
        if unconfirmed > 0 {
            answer["unconfirmed"] = unconfirmed.into();
        }
        output::write(format!("{answer}\n").as_bytes())?;
    }
    Ok(exit_code(signal))
}

/// The fate of the messages at a signal.
fn interrupted(taken: u64, unconfirmed: u64) -> String {
    if unconfirmed == 0 {
        return format!("Interrupted: {} sent.", plural(taken, "message"));
    }
    let (all, verb) = (plural(taken + unconfirmed, "message"), if taken == 1 { "is" } else { "are" });
    let others = if unconfirmed == 1 { "other" } else { "others" };
    format!("Interrupted: {taken} of {all} {verb} confirmed; the broker may have taken the {others}.")
}

async fn send_all(args: &Send, sender: &mut Sender) -> Result<()> {
    if args.stdin { from_stdin(args, sender).await } else { generated(args, sender).await }
}

async fn generated(args: &Send, sender: &mut Sender) -> Result<()> {
    // The standard library's hash keys are random, which is random enough for a name.
    let me = format!("{:08x}", RandomState::new().build_hasher().finish() as u32);
    let given = args.data.as_ref().map(|data| data.as_bytes().to_vec());
    let given = given.or_else(|| args.size.map(|size| vec![b'X'; size]));
    let count = args.count.unwrap_or(if args.data.is_some() { 1 } else { u64::MAX });
    let pause = if args.data.is_some() || args.count.is_some() { Duration::ZERO } else { Duration::from_secs(1) };
    let pause = args.interval.unwrap_or(pause);
    for i in 0..count {
        let made;
        let message = match &given {
            Some(given) => given.as_slice(),
            None => {
                made = format!("Msg {i} from {me}");
                made.as_bytes()
            }
        };
        sender.push(args, message).await?;
        sender.pause(pause, i + 1 == count).await?;
    }
    Ok(())
}

async fn from_stdin(args: &Send, sender: &mut Sender) -> Result<()> {
    let mut lines = Lines::of_stdin()?;
    let pause = args.interval.unwrap_or_default();
    let most = args.count.unwrap_or(u64::MAX);
    let mut number = 0;
    while number < most {
        let line = match next_line(&mut lines, sender).await {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(()),
            Err(error) => {
                sender.flush().await?;
                return Err(error.context(not_sent(number)));
            }
        };
        number += 1;
        if let Err(error) = sender.push(args, &line).await {
            // Only of such a line the answer is awaited: another error may be about any line before.
            let is_known = line.len() > LIMIT;
            return Err(if is_known { anyhow!("{}: {}", not_sent(number - 1), reasons(&error)) } else { error });
        }
        sender.pause(pause, number == most).await?;
    }
    Ok(())
}

/// The fate of the lines around one that cannot be sent, which is that behind these.
fn not_sent(lines: u64) -> String {
    let number = lines + 1;
    format!("{} sent; line {number} and those behind it are not", plural(lines, "line"))
}

async fn next_line(lines: &mut Lines, sender: &mut Sender) -> Result<Option<Vec<u8>>> {
    if let Some(line) = lines.try_next()? {
        return Ok(Some(line));
    }
    // The next line may be long in coming: whether the broker has what there is, is to be known now.
    sender.flush().await?;
    Ok(lines.next().await?)
}

/// Over STOMP alone there are headers, and an answer for a message that a full queue rejects.
fn options(args: &Send) -> Options {
    let is_of_use = !args.headers.is_empty() || is_stomp_queue(&args.channel.0);
    Options { protocol: protocol(&args.peer, is_of_use), receipts: Receipts::Message, ..Options::default() }
}

fn publish(client: &Client, args: &Send, message: &[u8]) -> Completion<()> {
    if args.headers.is_empty() {
        return client.publish(&args.channel.0, message);
    }
    let headers = args.headers.iter().map(|(name, value)| (name, value));
    client.publish_with(&args.channel.0, headers, message)
}

/// Sends what only a broker takes that is configured for it, and only once: one that is not ends the connection.
async fn push_large(args: &Send, message: &[u8]) -> Result<()> {
    let client = connect(&Peer { no_reconnect: true, ..args.peer.clone() }, args.timeout, options(args)).await?;
    publish(&client, args, message).await?;
    match client.close().await {
        Ok(()) => Ok(()),
        Err(Error::Closed | Error::InDoubt(_) | Error::Rejected { .. }) if message.len() > LIMIT => {
            Err(too_large(message.len()))
        }
        Err(Error::Closed | Error::InDoubt(_) | Error::Rejected { .. }) => bail!(
            "the broker closed the connection on a channel name of {} bytes: its limit is {CHANNEL_NAME} bytes, unless it is \
             configured otherwise (setting channel-name)",
            args.channel.0.len()
        ),
        Err(error) => Err(error.into()),
    }
}

struct Sender {
    client: Client,
    narrator: JoinHandle<Option<Reason>>,
    /// Bytes since the last flush was asked for.
    unflushed: usize,
    flushing: Option<Completion<()>>,
    sent: u64,
    stall: Stall,
}

/// A broker that takes nothing, which is said once.
#[derive(Default)]
struct Stall {
    channel: String,
    is_away: Arc<AtomicBool>,
    is_told: bool,
}

impl Stall {
    /// Completes what waits for the broker. If that takes long, it says so.
    async fn watch<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(STALL), if !self.is_told => {
                    // Of a broker that is away the reason is told already.
                    if !self.is_away.load(Relaxed) {
                        self.is_told = true;
                        note(format_args!("{}", self.text()));
                    }
                }
            }
        }
    }

    fn text(&self) -> String {
        let (channel, time) = (&self.channel, show_duration(STALL));
        let full = if channel.starts_with("/queue") {
            format!("{channel} is full")
        } else {
            "a subscriber's buffer or the topic's is full".to_owned()
        };
        format!(
            "The broker has confirmed nothing for {time}: {full}, or memory is short. `send` waits until there is room. \
             `switchboard status` shows the reason; a consumer of {channel} makes room."
        )
    }
}

impl Sender {
    async fn start(args: &Send) -> Result<Sender> {
        // At least once, but not for ever.
        let options = Options { resend: ATTEMPTS - 1, ..options(args) };
        let client = connect(&args.peer, args.timeout, options).await?;
        let stall = Stall { channel: args.channel.to_string(), ..Stall::default() };
        let narrator = narrate(client.events(), &args.peer, None, &stall.is_away);
        Ok(Sender { client, narrator, unflushed: 0, flushing: None, sent: 0, stall })
    }

    async fn push(&mut self, args: &Send, message: &[u8]) -> Result<()> {
        let channel = &args.channel.0;
        if message.len() > LIMIT || channel.len() > CHANNEL_NAME {
            // In its place behind the others.
            self.flush().await?;
            push_large(args, message).await?;
            self.sent += 1;
            return Ok(());
        }
        // One that waits for room is sent, too, even if nobody waits for it any more.
        self.sent += 1;
        self.stall.watch(publish(&self.client, args, message)).await?;
        self.unflushed += channel.len() + message.len();
        if self.unflushed >= FLUSH {
            self.unflushed = 0;
            if let Some(flushing) = self.flushing.replace(self.client.flush()) {
                self.stall.watch(flushing).await?;
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
            self.stall.watch(flushing).await?;
        }
        Ok(self.stall.watch(self.client.flush()).await?)
    }

    /// Ends the session once the broker has everything. After a signal it has a moment for that, and a second one ends it there
    /// and then. Returns false if the broker does not have everything.
    async fn close(&mut self, stop: &mut Stop, signal: &mut Option<u8>) -> Result<bool> {
        let mut closing = pin!(self.client.close());
        if signal.is_none() {
            tokio::select! {
                closed = self.stall.watch(&mut closing) => return Ok(closed.map(|()| true)?),
                code = stop.next() => *signal = Some(code),
            }
        }
        tokio::select! {
            closed = timeout(DRAIN, closing) => match closed {
                Ok(closed) => Ok(closed.map(|()| true)?),
                Err(_) => Ok(false),
            },
            _ = stop.next() => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_signal_the_messages_that_are_confirmed_are_counted_out_of_all() {
        for (taken, unconfirmed, says) in [
            (0, 200, "Interrupted: 0 of 200 messages are confirmed; the broker may have taken the others."),
            (1, 1, "Interrupted: 1 of 2 messages is confirmed; the broker may have taken the other."),
            (2, 0, "Interrupted: 2 messages sent."),
        ] {
            assert_eq!(interrupted(taken, unconfirmed), says);
        }
    }
}
