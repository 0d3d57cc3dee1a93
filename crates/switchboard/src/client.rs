//! The client of `listen` and `send`, and what it says while it works.

use crate::cli::Peer;
use crate::escape::escape;
use crate::names::{STRAY, has_stray_wildcard, is_wildcard};
use crate::output::{UsageError, note, plain, refused};
use crate::server_address::Door;
use crate::spoken::SILENT;
use anyhow::{Result, anyhow, bail};
use std::future::pending;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};
use switchboard_client::options::Protocol;
use switchboard_client::{Client, Error, Event, Events, Link, Options, Reason};
use switchboard_driver::Deadline;
use switchboard_driver::quantity::show_duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// An address that has not answered by then is worth a word, although the attempt goes on.
const MOMENT: Duration = Duration::from_secs(1);

/// Connects a client that goes on for ever, unless it is to be tried once. The first connection is tried for `patience`; zero is
/// for ever.
pub(crate) async fn connect(peer: &Peer, patience: Duration, options: Options) -> Result<Client> {
    let address = &peer.server.address;
    let (login, passcode) = address.login();
    let is_stomp = address.is_explicitly(Door::Stomp);
    let options = Options {
        host: address.host().to_owned(),
        // The native port speaks STOMP too.
        port: address.port(if is_stomp { Door::Stomp } else { Door::Native }),
        login,
        passcode,
        // A broker may hold a publisher for as long as it likes.
        timeout: Duration::MAX,
        reconnect: !peer.no_reconnect,
        // The broker has limits of its own; what it lets through is not ours to refuse.
        max_frame: u32::MAX as usize,
        max_channel: u32::MAX as usize,
        ..options
    };
    if peer.no_reconnect {
        return match Client::with(options).await {
            Err(Error::Connect { source, .. }) => {
                bail!("cannot connect to {peer}: {}{}", plain(&source.to_string()), refused(&source))
            }
            result => Ok(result.map_err(|error| explain(error, peer))?),
        };
    }
    let accepts = AtomicBool::new(false);
    if patience.is_zero() {
        return connect_first(peer, patience, options, &accepts).await;
    }
    let late = || {
        let (time, advice) = (show_duration(patience), "--timeout 0 waits for ever");
        if accepts.load(Relaxed) {
            anyhow!("{peer} {SILENT}, for {time}; {advice}")
        } else {
            anyhow!("nobody answered at {peer} for {time}; {advice}")
        }
    };
    timeout(patience, connect_first(peer, patience, options, &accepts)).await.unwrap_or_else(|_| Err(late()))
}

/// The protocol for an address: that of its scheme; without one of the broker's, STOMP where it is of use.
pub(crate) fn protocol(peer: &Peer, is_of_use: bool) -> Protocol {
    let address = &peer.server.address;
    if address.is_explicitly(Door::Stomp) || is_of_use && !address.is_explicitly(Door::Native) {
        Protocol::Stomp
    } else {
        Protocol::Native
    }
}

/// Tries for ever, and says so once. Notes whether connections are accepted where nobody answers.
async fn connect_first(peer: &Peer, patience: Duration, options: Options, accepts: &AtomicBool) -> Result<Client> {
    let how_long = if patience.is_zero() { String::new() } else { format!(" for {}", show_duration(patience)) };
    let say = |reason: &str| note(format_args!("Nobody answers at {peer} yet{reason}; retrying{how_long}."));
    let mut first = pin!(Client::with(options.clone()));
    let moment = if patience.is_zero() { MOMENT } else { MOMENT.min(patience / 2) };
    let (result, is_said) = match timeout(moment, &mut first).await {
        Ok(result) => (result, false),
        Err(_) => {
            // Another connection tells a silent server from packets that get lost.
            let probe = timeout(moment, switchboard_driver::connect(&options.host, options.port, moment));
            let probe = async { probe.await.is_ok_and(|connected| connected.is_ok()) };
            tokio::select! {
                result = &mut first => (result, false),
                is_accepted = probe => {
                    accepts.store(is_accepted, Relaxed);
                    if is_accepted {
                        note(format_args!("{peer} {SILENT} yet; retrying{how_long}."));
                    } else {
                        say("");
                    }
                    (first.await, true)
                }
            }
        }
    };
    match result {
        // The resolver knows that there is no such name: that does not heal.
        Err(Error::Connect { source, .. }) if source.kind() == ErrorKind::NotFound => {
            bail!("cannot connect to {peer}: {}", plain(&source.to_string()))
        }
        Err(Error::Connect { source, .. }) => {
            if !is_said {
                say(&format!(" ({}){}", plain(&source.to_string()), refused(&source)));
            }
            let client = Client::with(Options { retry_first: true, ..options }).await;
            Ok(client.map_err(|error| explain(error, peer))?)
        }
        result => Ok(result.map_err(|error| explain(error, peer))?),
    }
}

/// An error of the first connection. At the door of another server it names the command's own door: without `stomp://` that is the
/// native port, whichever protocol is spoken there.
fn explain(error: Error, peer: &Peer) -> Error {
    match error {
        Error::WrongProtocol { address, protocol, .. } if !peer.server.address.is_explicitly(Door::Stomp) => {
            let (expected, port) = ("the broker's native protocol", Door::Native.default_port());
            Error::WrongProtocol { address, protocol, expected, port }
        }
        error => error,
    }
}

/// Says what happens to the connections, until the client has ended: for a listener to that of the subscription, for a sender to
/// that of the publisher.
///
/// The result is why the first connection has ended, which is the reason of the end with `--no-reconnect`. `is_away` is true
/// while there is no connection.
pub(crate) fn narrate(
    mut events: Events,
    peer: &Peer,
    channel: Option<&str>,
    is_away: &Arc<AtomicBool>,
) -> JoinHandle<Option<Reason>> {
    let (peer, channel, is_away) = (peer.clone(), channel.map(str::to_owned), is_away.clone());
    tokio::spawn(async move {
        let (mut ended, mut logged, mut listens) = (None, false, false);
        while let Some(event) = events.next().await {
            if let Event::Disconnected { reason, .. } = &event {
                ended.get_or_insert_with(|| reason.clone());
            }
            if is_about(&event, channel.is_some()) {
                // Another subscription of the same listener is no news.
                let is_again = matches!(event, Event::Connected(_)) && listens;
                match event {
                    Event::Connected(_) => listens = true,
                    Event::Disconnected { .. } => listens = false,
                    _ => {}
                }
                is_away.store(matches!(event, Event::Disconnected { .. } | Event::Reconnecting { .. }), Relaxed);
                if is_again {
                    logged = false;
                    continue;
                }
                say(&event, &peer, channel.as_deref(), &mut logged);
            }
        }
        ended
    })
}

/// Returns an error once there was no broker for so long; zero is for ever. A broker that answers each connection and closes it
/// within a moment counts as none.
pub(crate) async fn lost(mut events: Events, peer: &Peer, patience: Duration) -> anyhow::Error {
    if patience.is_zero() {
        return pending().await;
    }
    let (mut away_since, mut up_since, mut failure) = (None, Some(Instant::now()), String::new());
    loop {
        let settled = up_since.filter(|_| away_since.is_some()).map(|since| Deadline::after(since, MOMENT));
        let late = away_since.filter(|_| up_since.is_none()).map(|since| Deadline::after(since, patience));
        tokio::select! {
            event = events.next() => match event {
                Some(Event::Connected(Link::Publisher)) => up_since = Some(Instant::now()),
                Some(Event::Disconnected { link: Link::Publisher, reason, .. }) => {
                    up_since = None;
                    away_since.get_or_insert_with(Instant::now);
                    failure = reason.to_string();
                }
                // The disconnect may have been before these events.
                Some(Event::Reconnecting { link: Link::Publisher, failure: why, .. }) => {
                    up_since = None;
                    away_since.get_or_insert_with(Instant::now);
                    failure = why.map_or(failure, |why| plain(&why));
                }
                Some(_) => {}
                // The client has ended, which its calls tell.
                None => return pending().await,
            },
            () = settled.unwrap_or(Deadline::NEVER).wait() => away_since = None,
            () = late.unwrap_or(Deadline::NEVER).wait() => {
                let time = show_duration(patience);
                return anyhow!("there is no broker at {peer} for {time} ({failure}); --timeout 0 waits for ever");
            }
        }
    }
}

fn is_about(event: &Event, listens: bool) -> bool {
    match event {
        Event::Connected(link)
        | Event::Disconnected { link, .. }
        | Event::Reconnecting { link, .. }
        | Event::ServerError { link, .. } => matches!(link, Link::Subscription(_)) == listens,
        _ => !listens,
    }
}

/// `logged` is true once it was said that the broker cannot be reached: once is enough, however often it is tried.
fn say(event: &Event, peer: &Peer, channel: Option<&str>, logged: &mut bool) {
    match (event, channel) {
        (Event::Connected(_), channel) => {
            *logged = false;
            if let Some(channel) = channel {
                note(format_args!("Listening on {channel} at {peer}."));
            }
        }
        (Event::ServerError { message, .. }, _) => {
            note(format_args!("The broker reports an error: {}.", escape(message)));
        }
        // The caller reports the end.
        (Event::Disconnected { .. }, _) if peer.no_reconnect => {}
        (Event::Disconnected { reason: Reason::Closed, .. }, Some(_)) => note(format_args!("Server closed.")),
        (Event::Disconnected { reason: Reason::Closed, .. }, _) => {
            note(format_args!("The broker closed the connection; connecting again."));
        }
        (Event::Disconnected { reason, .. }, _) => note(format_args!("Disconnected: {reason}; connecting again.")),
        (Event::Reconnecting { failure: Some(failure), .. }, _) if !*logged => {
            *logged = true;
            note(format_args!("Cannot connect to {peer} yet ({}); retrying.", plain(failure)));
        }
        _ => {}
    }
}

/// Fails for a name that is a STOMP connection's own queue: what this command did there would end with its connection. Over the
/// native protocol it is the name of a topic.
pub(crate) fn check_channel(channel: &[u8], peer: &Peer) -> Result<()> {
    let is_own = [&b"/temp-queue/"[..], b"/temp-topic/"].iter().any(|prefix| channel.starts_with(prefix));
    if !is_own || peer.server.address.is_explicitly(Door::Native) {
        return Ok(());
    }
    let shown = crate::names::encode(channel);
    Err(UsageError::of(anyhow!(
        "{shown} is a name within one STOMP connection, and ends with that: the queue is /queue/temp/<connection>/NAME to others, \
         as the reply-to of a request has it (with switchboard:// in --server, {shown} is a topic)"
    )))
}

/// Returns a warning about a channel that is legal, and hardly meant.
pub(crate) fn doubtful(channel: &str, listens: bool) -> Option<String> {
    let levels: Vec<_> = channel.split('/').collect();
    let is_wildcard = |(at, level): (usize, &&str)| is_wildcard(&levels, at, level);
    if !channel.starts_with('/') && !channel.is_empty() {
        let kind = if channel.starts_with("queue") { "a topic, no queue" } else { "another channel than" };
        let rest = if channel.starts_with("queue") { String::new() } else { format!(" /{channel}") };
        return Some(format!("{channel} is {kind}{rest}: the names of queues and most topics begin with a slash."));
    }
    if listens && channel == "/switchboard/echo" {
        return Some(format!("Nothing is published to {channel}: the broker returns it to its sender."));
    }
    if !listens && levels.iter().enumerate().any(is_wildcard) {
        return Some(format!("{channel} is taken literally: patterns are for `listen`."));
    }
    if listens && has_stray_wildcard(channel) {
        return Some(format!("{channel} is taken literally: {STRAY}."));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::doubtful;

    #[test]
    fn names_that_are_hardly_meant_are_pointed_out_and_no_others() {
        let queue = doubtful("queue/jobs", false).unwrap();
        assert_eq!(queue, "queue/jobs is a topic, no queue: the names of queues and most topics begin with a slash.");
        let topic = doubtful("topic/a", true).unwrap();
        assert!(topic.starts_with("topic/a is another channel than /topic/a:"), "{topic}");
        for (channel, listens) in [
            ("/topic/*", false),
            ("/topic/>", false),
            ("/topic/a*", true),
            ("/topic/>/x", true),
            ("/topic/a>", true),
            ("/switchboard/echo", true),
        ] {
            assert!(doubtful(channel, listens).is_some_and(|text| text.contains(channel)), "{channel}");
        }
        for (channel, listens) in [
            ("", true),
            ("/topic/a", true),
            ("/topic/a", false),
            ("/topic/*", true),
            ("/topic/*/price", true),
            ("/queue/>", true),
            ("/topic/a*", false),
            ("/switchboard/echo", false),
        ] {
            assert_eq!(doubtful(channel, listens), None, "{channel}");
        }
    }
}
