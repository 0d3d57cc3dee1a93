//! `switchboard listen`.

mod print;

use crate::cli::Listen;
use crate::client::{check_channel, connect, doubtful, narrate, protocol};
use crate::output::{self, UsageError, note};
use crate::stop::{Stop, exit_code};
use anyhow::{Result, anyhow, bail};
use print::print;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use switchboard_client::options::Protocol;
use switchboard_client::{Message, Options, Reason, Subscribe, Subscription};
use switchboard_driver::quantity::plural;
use switchboard_driver::start_thread;
use switchboard_server::is_stomp_queue;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard listen /topic/news
  switchboard listen '/topic/>'                     all topics, quoted
  switchboard listen /queue/jobs -n 1               take one job
  switchboard listen /queue/jobs --headers -j       with headers, as JSON
  switchboard listen /topic/news -n 1 --timeout 5s  exit code 27 if none comes";

/// Bytes written at a time, at most, give or take one message; and bytes read ahead of it.
const CHUNK: usize = 64 << 10;
/// Messages that wait for their acks, at most.
const PREFETCH: u32 = 100;
/// Number of last messages of a count that are taken one by one: acks ask for more, and the queue's others are to stay.
/// Messages on their way when that begins go back, so it is more than the prefetch by a batch at least.
const ONE_BY_ONE: u64 = 3 * PREFETCH as u64;
/// Time that a reader has, once a signal has come, for what is being written.
const LAST_WRITE: Duration = Duration::from_secs(1);
/// Time that the broker may take to end the session.
const DRAIN: Duration = Duration::from_secs(5);

/// Why no more is printed.
enum End {
    /// The count was reached.
    Count,
    /// It will be soon: from now on messages are to be taken one by one.
    Near,
    /// The subscription has ended.
    Subscription,
    /// Or the end of the time; with this exit code.
    Signal(u8),
    /// The same, and the reader of the output takes nothing.
    Stuck(u8),
}

/// Prints messages until the count is reached, or a signal comes.
pub(crate) async fn run(args: &Listen) -> Result<ExitCode> {
    if args.headers && protocol(&args.peer, true) == Protocol::Native {
        let text = "--headers needs STOMP: the native protocol has none, so leave switchboard:// out of the address";
        return Err(UsageError::of(anyhow!(text)));
    }
    check_channel(&args.channel.0, &args.peer)?;
    let left = args.count.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let mut stop = Stop::new()?.after(args.timeout);
    if let Some(text) = doubtful(&args.channel.to_string(), true) {
        note(format_args!("{text}"));
    }
    let acks = is_acked(args);
    let connecting = async {
        let protocol = protocol(&args.peer, acks || args.headers);
        let options = Options { protocol, inbox: CHUNK, ..Options::default() };
        let client = connect(&args.peer, Duration::ZERO, options).await?;
        let narrator = narrate(client.events(), &args.peer, Some(&args.channel.to_string()), &Arc::default());
        let subscription = client.subscribe_with(&args.channel.0, how(acks, left)).await?;
        anyhow::Ok((client, narrator, subscription))
    };
    let (client, narrator, mut subscription) = tokio::select! {
        connected = connecting => connected?,
        code = stop.next() => return Ok(exit_code(Some(code))),
    };
    let escapes = !args.raw && std::io::stdout().is_terminal();
    let mut printer = Printer { args, left, escapes, acks, held: Vec::new() };
    let mut printed = printer.print_all(&mut subscription, &mut stop).await;
    if let Ok(End::Near) = printed {
        subscription.drain();
        printer.settle();
        stop.unless_again(until_end(&mut subscription)).await;
        let subscribing = client.subscribe_with(&args.channel.0, how(acks, printer.left));
        printed = tokio::select! {
            again = subscribing => {
                subscription = again?;
                printer.print_all(&mut subscription, &mut stop).await
            }
            code = stop.next() => Ok(End::Signal(code)),
        };
    }
    let end = match printed {
        Ok(end) => end,
        Err(error) => {
            if error.is::<output::Closed>() && acks {
                // Messages that are not acked go back: the subscription ends once none is held.
                printer.held.clear();
                // The acks of what the reader took are still on their way.
                subscription.drain();
                stop.unless_again(until_end(&mut subscription)).await;
            } else if error.is::<output::Closed>() {
                stop.unless_again(count_lost(args, &mut subscription)).await;
            }
            return Err(error);
        }
    };
    let mut signal = None;
    match end {
        End::Count if acks => stop.unless_again(until_end(&mut subscription)).await,
        End::Count => stop.unless_again(count_lost(args, &mut subscription)).await,
        End::Signal(code) => {
            signal = Some(code);
            if stop.unless_again(printer.print_rest(&mut subscription)).await?.is_none() {
                leave_stuck(code);
            }
        }
        End::Stuck(code) => {
            printer.held.clear();
            if acks {
                subscription.drain();
                stop.unless_again(until_end(&mut subscription)).await;
            }
            leave_stuck(code);
        }
        End::Subscription | End::Near => {}
    }
    drop(subscription);
    // An error would be that there is nothing to close any more.
    let _ = stop.unless_again(client.close()).await;
    match narrator.await? {
        Some(reason @ (Reason::Broken(_) | Reason::Error(_))) if matches!(end, End::Subscription) => bail!("{reason}"),
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
    /// Printed messages are acked.
    acks: bool,
    /// Printed, and not acked yet.
    held: Vec<Message>,
}

/// Returns true if the messages are acked: a queue's, unless the address says that the protocol has no acks. Names that STOMP cannot
/// express are left to the native protocol.
fn is_acked(args: &Listen) -> bool {
    let name = &args.channel.0;
    // Of another broker all but topics is taken for a queue.
    let is_strange = protocol(&args.peer, false) == Protocol::Stomp && !name.starts_with(b"/topic");
    is_strange || is_stomp_queue(name) && protocol(&args.peer, true) == Protocol::Stomp
}

fn how(acks: bool, left: u64) -> Subscribe {
    match (acks, left) {
        (false, _) => Subscribe::default(),
        (true, ..=ONE_BY_ONE) => Subscribe::manual().prefetch(1),
        (true, _) => Subscribe::manual().prefetch(PREFETCH),
    }
}

/// Waits until the broker has confirmed the acks.
async fn until_end(subscription: &mut Subscription) {
    let _ = timeout(DRAIN, async { while subscription.next().await.is_some() {} }).await;
}

impl Printer<'_> {
    async fn print_all(&mut self, subscription: &mut Subscription, stop: &mut Stop) -> Result<End> {
        let mut reader_left = reader_left()?;
        loop {
            let message = tokio::select! {
                message = subscription.next() => message,
                code = stop.next() => return Ok(End::Signal(code)),
                Ok(()) = &mut reader_left => return Err(output::Closed.into()),
            };
            let Some(message) = message else { return Ok(End::Subscription) };
            let was_far = self.left > ONE_BY_ONE;
            let text = self.gather(message, subscription);
            // On another thread: as long as the reader takes nothing, signals must still be heard.
            let mut writing = tokio::task::spawn_blocking(move || output::write(&text));
            tokio::select! {
                written = &mut writing => written??,
                code = stop.next() => {
                    return match stop.unless_again(last(writing)).await? {
                        Some(()) => Ok(End::Signal(code)),
                        None => Ok(End::Stuck(code)),
                    };
                }
            }
            if self.left == 0 {
                // Before the last acks, which would ask for more.
                if self.acks {
                    subscription.drain();
                }
                self.settle();
                return Ok(End::Count);
            }
            self.settle();
            if self.acks && self.args.count > Some(ONE_BY_ONE) && was_far && self.left <= ONE_BY_ONE {
                return Ok(End::Near);
            }
        }
    }

    /// Leaves, and prints what was sent by then: of a queue's messages none is lost. `None` if the reader takes nothing.
    async fn print_rest(&mut self, subscription: &mut Subscription) -> Result<Option<()>> {
        // Before the acks, which would ask for more.
        subscription.drain();
        self.settle();
        if self.acks {
            until_end(subscription).await;
            return Ok(Some(()));
        }
        while self.left > 0
            && let Ok(Some(message)) = timeout(DRAIN, subscription.next()).await
        {
            let text = self.gather(message, subscription);
            if last(tokio::task::spawn_blocking(move || output::write(&text))).await?.is_none() {
                return Ok(None);
            }
        }
        count_lost(self.args, subscription).await;
        Ok(Some(()))
    }

    /// Acks what is printed.
    fn settle(&mut self) {
        for message in self.held.drain(..) {
            // Messages of a connection that has ended come again: at least once.
            let _ = message.ack();
        }
    }

    /// One text for all messages that one read brought.
    fn gather(&mut self, message: Message, subscription: &mut Subscription) -> Vec<u8> {
        let mut text = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next {
            print(self.args, &message, self.escapes, &mut text);
            self.left -= 1;
            if self.acks {
                self.held.push(message);
            }
            if self.left == 0 || text.len() >= CHUNK {
                break;
            }
            next = subscription.try_next();
        }
        text
    }
}

/// Completes a write after a signal. `None` if the reader takes nothing for so long.
async fn last(writing: JoinHandle<Result<()>>) -> Result<Option<()>> {
    match timeout(LAST_WRITE, writing).await {
        Ok(written) => written?.map(Some),
        Err(_) => Ok(None),
    }
}

/// Ends the process, whose runtime would wait for the write.
fn leave_stuck(code: u8) -> ! {
    output::note_within(
        output::LAST_WORD,
        "The output's reader takes nothing: what was not written is not printed.".to_owned(),
    );
    std::process::exit(code.into())
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
    let _ = timeout(DRAIN, counting).await;
    if lost > 0 {
        note(format_args!("Lost: {} that had been sent to this listener.", plural(lost, "more message")));
    }
}

/// Resolves when the reader of the standard output has left: its pipe or terminal is closed. The next write would fail, but then
/// a message would be lost for it.
fn reader_left() -> Result<oneshot::Receiver<()>> {
    let (give, left) = oneshot::channel();
    // It sleeps until then, or until the process ends.
    start_thread("reader", move || {
        let stdout = std::io::stdout();
        // Errors and hang-ups are reported without being asked for.
        let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
        while poll(&mut watched, None).is_ok() {
            if watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                let _ = give.send(());
                return;
            }
        }
    })?;
    Ok(left)
}
