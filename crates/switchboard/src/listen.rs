//! `switchboard listen`.

use crate::cli::Listen;
use crate::client::{connect, doubtful, narrate};
use crate::escape::escape_message;
use crate::output::{self, note};
use crate::stop::{Stop, exit_code};
use anyhow::{Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use serde_json::json;
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;
use switchboard_client::{Options, Reason, Subscription};
use tokio::sync::oneshot;

/// What is written at a time, at most, give or take one message; and what is read ahead of it.
const CHUNK: usize = 64 << 10;
/// How long the broker may take to end the session.
const DRAIN: Duration = Duration::from_secs(5);

/// Why no more is printed.
enum End {
    /// The count was reached.
    Count,
    /// The subscription has ended.
    Subscription,
    /// Or the end of the time; with this exit code.
    Signal(u8),
}

/// Prints messages until the count is reached, or a signal comes.
pub(crate) async fn run(args: &Listen) -> Result<ExitCode> {
    let left = args.count.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let mut stop = Stop::new()?.after(args.timeout);
    if let Some(text) = doubtful(&args.channel.to_string(), true) {
        note(format_args!("{text}"));
    }
    let connecting = async {
        let client = connect(&args.peer, Duration::ZERO, Options { inbox: CHUNK, ..Options::default() }).await?;
        let narrator = narrate(client.events(), &args.peer, Some(&args.channel.to_string()));
        let subscription = client.subscribe(&args.channel.0).await?;
        anyhow::Ok((client, narrator, subscription))
    };
    let (client, narrator, mut subscription) = tokio::select! {
        connected = connecting => connected?,
        code = stop.next() => return Ok(exit_code(Some(code))),
    };
    let escapes = !args.raw && std::io::stdout().is_terminal();
    let mut printer = Printer { args, left, escapes };
    let end = match printer.print_all(&mut subscription, &mut stop).await {
        Ok(end) => end,
        Err(error) => {
            if error.is::<output::Closed>() {
                stop.unless_again(count_lost(args, &mut subscription)).await;
            }
            return Err(error);
        }
    };
    let mut signal = None;
    match end {
        End::Count => stop.unless_again(count_lost(args, &mut subscription)).await,
        End::Signal(code) => {
            signal = Some(code);
            stop.unless_again(printer.print_rest(&mut subscription)).await?;
        }
        End::Subscription => {}
    }
    drop(subscription);
    // An error would be that there is nothing to close any more.
    let _ = stop.unless_again(client.close()).await;
    match narrator.await? {
        Some(Reason::Broken(reason)) if matches!(end, End::Subscription) => bail!(reason),
        Some(_) if matches!(end, End::Subscription) => note(format_args!("Server closed.")),
        _ => {}
    }
    Ok(exit_code(signal))
}

struct Printer<'a> {
    args: &'a Listen,
    /// Messages that are still to be printed.
    left: u64,
    /// A message must not command the terminal.
    escapes: bool,
}

impl Printer<'_> {
    async fn print_all(&mut self, subscription: &mut Subscription, stop: &mut Stop) -> Result<End> {
        let mut reader_left = reader_left();
        loop {
            let message = tokio::select! {
                message = subscription.next() => message,
                code = stop.next() => return Ok(End::Signal(code)),
                Ok(()) = &mut reader_left => return Err(output::Closed.into()),
            };
            let Some(message) = message else { return Ok(End::Subscription) };
            let text = self.gather(message, subscription);
            // On another thread: as long as the reader takes nothing, signals must still be heard.
            let mut writing = tokio::task::spawn_blocking(move || output::write(&text));
            tokio::select! {
                written = &mut writing => written??,
                code = stop.next() => {
                    stop.unless_again(writing).await??;
                    return Ok(End::Signal(code));
                }
            }
            if self.left == 0 {
                return Ok(End::Count);
            }
        }
    }

    /// Leaves, and prints what was sent by then: of a queue's messages none is lost.
    async fn print_rest(&mut self, subscription: &mut Subscription) -> Result<()> {
        subscription.drain();
        while self.left > 0
            && let Ok(Some(message)) = tokio::time::timeout(DRAIN, subscription.next()).await
        {
            let text = self.gather(message, subscription);
            tokio::task::spawn_blocking(move || output::write(&text)).await??;
        }
        count_lost(self.args, subscription).await;
        Ok(())
    }

    /// One text for all messages that one read brought.
    fn gather(&mut self, message: switchboard_client::Message, subscription: &mut Subscription) -> Vec<u8> {
        let mut text = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next {
            print(self.args, &message, self.escapes, &mut text);
            self.left -= 1;
            if self.left == 0 || text.len() >= CHUNK {
                break;
            }
            next = subscription.try_next();
        }
        text
    }
}

/// Leaves a queue, and says how many of its messages were sent here in vain.
async fn count_lost(args: &Listen, subscription: &mut Subscription) {
    if !args.channel.0.starts_with(b"/queue") {
        return;
    }
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

/// Resolves when the reader of the standard output has left: its pipe or terminal is closed. The next write would fail, but then
/// a message would be lost for it.
fn reader_left() -> oneshot::Receiver<()> {
    let (give, left) = oneshot::channel();
    // It sleeps until then, or until the process ends.
    std::thread::spawn(move || {
        let stdout = std::io::stdout();
        // Errors and hang-ups are reported without being asked for.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut watched, None).is_ok() {
            if watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                let _ = give.send(());
                return;
            }
        }
    });
    left
}

fn print(args: &Listen, message: &[u8], escapes: bool, text: &mut Vec<u8>) {
    if !args.json && !escapes {
        text.extend_from_slice(message);
    } else if !args.json {
        text.extend_from_slice(escape_message(message).as_bytes());
    } else {
        let line = match std::str::from_utf8(message) {
            Ok(data) => json!({ "subscription": args.channel.to_string(), "data": data }),
            Err(_) => json!({ "subscription": args.channel.to_string(), "hex": hex(message) }),
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
