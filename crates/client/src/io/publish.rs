//! The task of the publishing connection.

use super::dial::{Open, Reader, Writer, WrongProtocol};
use super::shared::Shared;
use crate::core::{Publisher, Step};
use crate::protocol::Token;
use crate::stomp::{Agreed, Refused};
use crate::{Doubt, Error, Event, Link, Reason, protocol, stomp};
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_driver::Backoff;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// When nothing is to be waited for.
const LONG: Duration = Duration::from_secs(3600);

enum Ending {
    /// All was sent, or the client has ended otherwise.
    Finished,
    Disconnected(Reason),
    /// The connection was not needed.
    Retired,
}

/// The first connection, which fails unless it is to be tried again.
pub(crate) async fn first(shared: &Shared) -> Result<Open, Error> {
    let options = &shared.options;
    let wrong = |error: &io::Error| error.get_ref().and_then(|error| error.downcast_ref::<WrongProtocol>()).cloned();
    let refused = |error: &io::Error| error.get_ref().and_then(|error| error.downcast_ref::<Refused>()).cloned();
    let failed = |error: io::Error| match (wrong(&error), refused(&error)) {
        (Some(WrongProtocol { protocol, expected }), _) => Error::WrongProtocol {
            address: options.address(),
            protocol,
            expected: expected.name(),
            port: expected.default_port(),
        },
        (None, Some(Refused(message))) => Error::Server { message, in_doubt: Doubt::default() },
        (None, None) => Error::Connect { address: options.address(), source: Arc::new(error) },
    };
    if !options.retry_first {
        return shared.dial.open().await.map_err(failed);
    }
    let mut last = None;
    let trying = async {
        let mut backoff = Backoff::new(options.backoff_min, options.backoff_max);
        loop {
            match shared.dial.open().await {
                Ok(open) => return Ok(open),
                Err(error) if wrong(&error).is_some() || refused(&error).is_some() => return Err(failed(error)),
                Err(error) => last = Some(error),
            }
            sleep(backoff.pause(fastrand::f64())).await;
        }
    };
    let late = timeout(options.timeout, trying).await;
    late.unwrap_or_else(|_| {
        Err(match last {
            Some(error) => failed(error),
            None => Error::TimedOut { what: "connect", after: options.timeout, option: "timeout" },
        })
    })
}

/// Writes until the client is closed; connects again as often as it has to.
pub(crate) async fn run(shared: Arc<Shared>, open: Open) {
    // Completes every operation, also when the runtime is shut down.
    let _ended = Ended(&shared);
    let mut open = open;
    let mut backoff = Backoff::new(shared.options.backoff_min, shared.options.backoff_max);
    loop {
        let began = Instant::now();
        let again = match serve(&shared, open).await {
            Ending::Finished => return,
            Ending::Retired => {
                shared.with(Publisher::retired);
                when_needed(&shared, &mut backoff).await
            }
            Ending::Disconnected(reason) => {
                let has_confirmed = shared.with(|core| core.disconnected(reason));
                if !shared.options.reconnect {
                    return;
                }
                // A broker that answers and then closes each connection is not to be asked ten times a second.
                if has_confirmed || began.elapsed() >= shared.options.backoff_max {
                    backoff.reset();
                }
                away(&shared, reconnect(&shared, &mut backoff, None)).await
            }
        };
        let Some(again) = again else { return };
        open = again;
        shared.with(|core| connected(core, &open));
    }
}

/// Tells the core of a connection on which the broker has answered.
pub(crate) fn connected(core: &mut Publisher, open: &Open) {
    match open.agreed {
        None => core.connected(open.token, Instant::now()),
        Some(agreed) => core.connected_by_stomp(open.token, agreed, Instant::now()),
    }
}

/// Opens the connection when it is needed. `None` if the client has ended meanwhile.
async fn when_needed(shared: &Shared, backoff: &mut Backoff) -> Option<Open> {
    let needed = std::future::poll_fn(|_| {
        if shared.lock().is_needed() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    });
    away(shared, needed).await?;
    match away(shared, shared.dial.open()).await? {
        Ok(open) => Some(open),
        Err(error) if !shared.options.reconnect => {
            let reason = Reason::Broken(format!("cannot connect to {}: {error}", shared.options.address()));
            let in_doubt = Doubt::default();
            shared.with(|core| core.note(Event::Disconnected { link: Link::Publisher, reason, in_doubt }));
            None
        }
        Err(error) => away(shared, reconnect(shared, backoff, Some(error.to_string()))).await,
    }
}

struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

async fn reconnect(shared: &Shared, backoff: &mut Backoff, mut failure: Option<String>) -> Open {
    loop {
        let after = backoff.pause(fastrand::f64());
        shared.with(|core| core.note(Event::Reconnecting { link: Link::Publisher, after, failure }));
        sleep(after).await;
        match shared.dial.open().await {
            Ok(open) => return open,
            Err(error) => failure = Some(error.to_string()),
        }
    }
}

/// Keeps the core's time while there is no connection. `None` if the client has ended meanwhile.
async fn away<T>(shared: &Shared, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let until = shared.with(|core| {
            core.rest();
            core.handle_timeout(Instant::now());
            (!core.is_ended() && !core.is_finished()).then(|| core.timeout())
        })?;
        tokio::select! {
            done = &mut work => return Some(done),
            () = until.wait() => {}
            () = shared.wake.notified() => {}
        }
    }
}

/// Moves bytes until the connection or the client ends.
async fn serve(shared: &Shared, open: Open) -> Ending {
    let Open { mut reader, mut writer, token, agreed, .. } = open;
    let mut input = [0; 1024];
    let mut unflushed = false;
    let mut alarm = pin!(sleep(LONG));
    // The connection is silent: whether another one is answered.
    let mut probe: Option<Pin<Box<dyn Future<Output = bool> + Send>>> = None;
    loop {
        let (step, until, wants_probe, is_dead) = shared.with(|core| {
            let step = core.step(Instant::now());
            (step, core.timeout(), core.takes_probe(), core.is_dead())
        });
        if is_dead {
            let seconds = shared.options.heartbeat.as_secs_f32();
            return broken(format!("no sign of life for more than {seconds} s (option heartbeat)"));
        }
        if wants_probe && probe.is_none() {
            let dial = shared.dial.clone();
            probe = Some(Box::pin(async move { dial.open().await.is_ok() }));
        }
        if matches!(step, Step::Finish | Step::Retire) {
            match agreed {
                None => finish(shared, &mut writer).await,
                Some(agreed) => finish_stomp(shared, (&mut reader, &mut writer), (token, agreed)).await,
            }
            return if matches!(step, Step::Finish) { Ending::Finished } else { Ending::Retired };
        }
        // It may well ring too early, and then finds nothing; so it is seldom set.
        if let Some(until) = until.instant().map(tokio::time::Instant::from)
            && (until < alarm.deadline() || alarm.is_elapsed())
        {
            alarm.as_mut().reset(until);
        }
        tokio::select! {
            written = write(&mut writer, &step), if unflushed || matches!(step, Step::Write(..) | Step::Beat) => {
                let is_beat = matches!(step, Step::Beat);
                // Before the core knows: it uses the buffer again if this was the last reference.
                drop(step);
                match written {
                    Ok(None) => unflushed = false,
                    Ok(Some(0)) => return broken("the connection takes nothing more"),
                    Ok(Some(bytes)) => {
                        unflushed = true;
                        if is_beat {
                            shared.with(|core| core.beat_written(Instant::now()));
                            continue;
                        }
                        shared.with(|core| core.written(bytes, Instant::now()));
                    }
                    Err(error) => return broken(error),
                }
            }
            read = reader.read(&mut input) => match read {
                Ok(0) => return Ending::Disconnected(Reason::Closed),
                Ok(bytes) => {
                    // Whatever becomes of the other connection: this one is alive.
                    probe = None;
                    if let Err(reason) = shared.with(|core| core.received(&input[..bytes], Instant::now())) {
                        return Ending::Disconnected(reason);
                    }
                }
                Err(error) => return broken(error),
            },
            () = shared.wake.notified() => {}
            () = alarm.as_mut(), if !alarm.is_elapsed() => shared.with(|core| core.handle_timeout(Instant::now())),
            answered = async { probe.as_mut().expect("checked").await }, if probe.is_some() => {
                probe = None;
                if !answered {
                    let seconds = shared.options.heartbeat.as_secs_f32();
                    return broken(format!("no answer for {seconds} s (option heartbeat)"));
                }
                shared.with(|core| core.probe_ok(Instant::now()));
            }
        }
        if shared.lock().is_ended() {
            return Ending::Finished;
        }
    }
}

fn broken(why: impl ToString) -> Ending {
    Ending::Disconnected(Reason::Broken(why.to_string()))
}

/// One write, or a flush when there is nothing to write: never both, because dropping this future in
/// between would not know how much was written. A TCP stream has nothing to flush; another may.
async fn write(writer: &mut Writer, step: &Step) -> io::Result<Option<usize>> {
    match step {
        Step::Write(bytes, range) => writer.write(&bytes[range.clone()]).await.map(Some),
        Step::Beat => writer.write(b"\n").await.map(Some),
        Step::Sleep | Step::Finish | Step::Retire => writer.flush().await.map(|()| None),
    }
}

async fn finish(shared: &Shared, writer: &mut Writer) {
    let mut last = Vec::new();
    protocol::end(&mut last);
    // No message is pending any more.
    let _ = timeout(shared.options.connect_timeout, async {
        writer.write_all(&last).await?;
        writer.shutdown().await
    })
    .await;
}

/// Ends the session with DISCONNECT, and waits for its receipt: a server that resets the connection then has read everything.
async fn finish_stomp(shared: &Shared, (reader, writer): (&mut Reader, &mut Writer), (token, agreed): (Token, Agreed)) {
    let mut last = Vec::new();
    stomp::disconnect(token, u64::MAX, agreed.version, &mut last);
    let _ = timeout(shared.options.connect_timeout, async {
        writer.write_all(&last).await?;
        writer.flush().await?;
        let mut input = [0; 1024];
        // Nothing else is on its way, so the first byte is the receipt's, or a sign of life.
        while let bytes @ 1.. = reader.read(&mut input).await?
            && input[..bytes].iter().all(|byte| matches!(byte, b'\n' | b'\r'))
        {}
        writer.shutdown().await
    })
    .await;
}
