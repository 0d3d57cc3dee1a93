//! The client of `listen` and `send`, and what it says while it works.

use crate::cli::Peer;
use crate::output::{note, refused};
use anyhow::{Result, anyhow};
use std::time::Duration;
use switchboard_client::{Client, Error, Event, Events, Link, Options, Reason};
use tokio::task::JoinHandle;

/// A client that goes on for ever, unless it is to be tried once.
pub(crate) async fn connect(peer: &Peer, options: Options) -> Result<Client> {
    let options = Options {
        host: peer.host.clone(),
        port: peer.port,
        // A broker may hold a publisher for as long as it likes, and be away for as long.
        timeout: Duration::MAX,
        reconnect: !peer.once,
        // The broker has limits of its own; what it lets through is not ours to refuse.
        max_frame: u32::MAX as usize,
        max_channel: u32::MAX as usize,
        ..options
    };
    match Client::with(options.clone()).await {
        Err(Error::Connect { source, .. }) if peer.once => {
            Err(anyhow!("cannot connect to {peer}: {source}{}", refused(&source)))
        }
        Err(Error::Connect { source, .. }) => {
            note(format_args!("Cannot connect to {peer} yet ({source}){}; trying on.", refused(&source)));
            Ok(Client::with(Options { retry_first: true, ..options }).await?)
        }
        result => Ok(result?),
    }
}

/// Tells people what happens to the connections, until the client has ended. Who listens is told of the
/// subscription, who sends of the connection that publishes.
///
/// The result is why the first connection has ended, which is the reason of the end with `--once`.
pub(crate) fn narrate(mut events: Events, peer: &Peer, channel: Option<&str>) -> JoinHandle<Option<Reason>> {
    let (peer, channel) = (peer.clone(), channel.map(str::to_owned));
    tokio::spawn(async move {
        let (mut ended, mut told) = (None, false);
        while let Some(event) = events.next().await {
            if let Event::Disconnected { reason, .. } = &event {
                ended.get_or_insert_with(|| reason.clone());
            }
            if is_about(&event, channel.is_some()) {
                say(&event, &peer, channel.as_deref(), &mut told);
            }
        }
        ended
    })
}

fn is_about(event: &Event, listens: bool) -> bool {
    match event {
        Event::Connected(link) | Event::Disconnected { link, .. } | Event::Reconnecting { link, .. } => {
            matches!(link, Link::Subscription(_)) == listens
        }
        _ => !listens,
    }
}

/// `told` is whether it was said that the broker cannot be reached: once is enough, however often it is tried.
fn say(event: &Event, peer: &Peer, channel: Option<&str>, told: &mut bool) {
    match (event, channel) {
        (Event::Connected(_), channel) => {
            *told = false;
            if let Some(channel) = channel {
                note(format_args!("Listening on {channel} at {peer}."));
            }
        }
        // Of the end of it all its caller tells.
        (Event::Disconnected { .. }, _) if peer.once => {}
        (Event::Disconnected { reason: Reason::Closed, .. }, Some(_)) => note(format_args!("Server closed.")),
        (Event::Disconnected { reason, .. }, _) => note(format_args!("{reason}; connecting again.")),
        (Event::Reconnecting { failure: Some(failure), .. }, _) if !*told => {
            *told = true;
            note(format_args!("Cannot connect to {peer} yet ({failure}); trying on."));
        }
        (Event::Paused, _) => note(format_args!("The broker takes no more for now: `switchboard status` shows why.")),
        _ => {}
    }
}
