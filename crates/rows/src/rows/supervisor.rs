//! Keeps the change feed connected, and applies its events in their order.

use super::demo::create_table;
use super::marker::{Control, run_markers};
use super::metrics::count;
use super::outage::Outage;
use super::shown::has_known_columns;
use super::state::{Inner, Phase};
use crate::cache::TableId;
use crate::database::{Identity, Session, checked, identify, pooled};
use crate::feed::{Event, Feed};
use crate::table::{Table, load, triggers};
use crate::{Database, Error};
use serde_json::json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::time::Duration;
use switchboard_driver::Backoff;
use switchboard_driver::quantity::plural;
use switchboard_web::LINES;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

/// A table that has come needs a channel that is listened to from the beginning.
pub(super) const TABLE_CAME: &str = "a table was created; the change feed starts again";

const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Time for a second session to answer while a first one is in a transaction.
const SECOND: Duration = Duration::from_secs(5);
/// Time after which a connection takes long.
const LONG: Duration = Duration::from_secs(1);
/// Bytes of an event in the log.
const LOGGED: usize = 500;

pub(super) async fn supervise(inner: Arc<Inner>) {
    let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
    let mut outage = Outage::new(Instant::now());
    // Once for each outage.
    let mut told = false;
    loop {
        let connects = inner.metrics.read().connects;
        let Err(error) = connection(&inner, &mut backoff, &mut told).await;
        if inner.metrics.read().connects != connects {
            outage = Outage::new(Instant::now());
            told = false;
        }
        if is_restart(&error) {
            tracing::info!("rows: {TABLE_CAME}");
        } else if outage.is_news(&error.to_string(), Instant::now()) {
            tracing::warn!("rows: the change feed is down: {error}");
        }
        for id in inner.ids() {
            inner.slot(id).never_answered(&error);
        }
        inner.set_phase(Phase::Down(error));
        inner.events.gap();
        let pause = backoff.pause(fastrand::f64());
        inner.times.lock().next_try = Instant::now() + pause;
        sleep(pause).await;
    }
}

/// Returns true if the change feed ends to begin anew at once: the database is there.
pub(super) fn is_restart(error: &Error) -> bool {
    matches!(error, Error::Unavailable { reason, .. } if reason == TABLE_CAME)
}

/// Markers on their way: who sends them, and which has come back.
pub(super) struct Echo {
    /// The channel of this connection alone.
    pub(super) channel: String,
    /// The server process that sends them. Anybody else's notification is none of ours.
    pub(super) sender: AtomicI32,
    pub(super) arrived: watch::Sender<u64>,
}

/// From connecting to losing the feed.
async fn connection(
    inner: &Arc<Inner>,
    backoff: &mut Backoff,
    told: &mut bool,
) -> Result<std::convert::Infallible, Error> {
    let channel = format!("switchboard_rows_{:016x}", fastrand::u64(..));
    let (mut control, mut feed) = announced(&inner.database, told, async {
        let control = Control::connect(inner).await?;
        Ok((control, Feed::connect(&inner.database, std::slice::from_ref(&channel)).await?))
    })
    .await?;
    // Nothing is installed in a database that is not the right one.
    check_connection(inner, &mut control, &mut feed).await?;
    create_table(inner, control.session()).await?;
    // Installing triggers changes the fingerprint, so it comes first.
    load_tables(inner, control.session(), inner.ids(), true).await?;
    let fingerprints = control.fingerprints(inner).await?;
    load_tables(inner, control.session(), inner.ids(), false).await?;
    let mut by_channel = HashMap::new();
    for id in inner.ids() {
        if let Ok(table) = inner.slot(id).table() {
            by_channel.insert(table.channel(), id);
        }
    }
    let channels: Vec<String> = by_channel.keys().cloned().collect();
    checked(feed.listen(&channels)).await?;
    inner.pool.renew(feed.identity);
    *inner.identity.lock() = Some(feed.identity);
    if !inner.options.disabled.reconnect || inner.metrics.read().connects == 0 {
        inner.cache.connected();
    }
    count(&inner.metrics.connects);
    tracing::info!("rows: the change feed watches {}", plural(by_channel.len(), "table"));
    let echo = Echo { channel, sender: AtomicI32::new(control.process()), arrived: watch::Sender::new(0) };
    tokio::select! {
        result = apply(inner, &mut feed, &by_channel, &echo) => result,
        result = run_markers(inner, control, fingerprints, &echo, backoff) => result,
    }
}

/// Says what is waited for, where a connection takes long.
async fn announced<T>(
    database: &Database,
    told: &mut bool,
    connecting: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::pin!(connecting);
    if let Ok(connected) = timeout(LONG, &mut connecting).await {
        return connected;
    }
    if !std::mem::replace(told, true) {
        tracing::info!("rows: waiting for PostgreSQL to answer at {}", database.server());
    }
    connecting.await
}

/// Refuses another database than before, and a pooler that shares sessions.
async fn check_connection(inner: &Inner, control: &mut Control, feed: &mut Feed) -> Result<(), Error> {
    let identity: Identity = feed.identity;
    if control.session().identity != identity {
        return Err(Error::unavailable("two connections lead to two databases"));
    }
    if let Some(before) = *inner.identity.lock() {
        before.check_next(identity)?;
        if before.timeline != identity.timeline {
            tracing::warn!("rows: a standby was promoted: timeline {} after {}", identity.timeline, before.timeline);
        }
    }
    if checked(shares_sessions(control, feed)).await? { Err(pooled()) } else { Ok(()) }
}

/// Returns true if a pooler gives sessions away between transactions.
///
/// Such a pooler may have two sessions that are free, and give each of our connections its own one again by chance. So both are
/// in transactions at once, which end in either order: a pooler that gives away the session that was freed last gives the
/// feed the other one after the first order, and one that gives away the oldest after the second.
async fn shares_sessions(control: &mut Control, feed: &mut Feed) -> Result<bool, Error> {
    let processes = (control.process(), feed.process);
    let client = control.session().client();
    for round in 0..3 {
        if round == 0 {
            client.batch_execute("BEGIN").await?;
            timeout(SECOND, feed.run("BEGIN")).await.unwrap_or_else(|_| Err(one_session()))?;
        } else {
            feed.run("BEGIN").await?;
            client.batch_execute("BEGIN").await?;
        }
        if (identify(client).await?.1, feed.process_now().await?) != processes {
            return Ok(true);
        }
        if round == 0 {
            feed.run("COMMIT").await?;
            client.batch_execute("COMMIT").await?;
        } else {
            client.batch_execute("COMMIT").await?;
            feed.run("COMMIT").await?;
        }
    }
    Ok(processes.0 == processes.1)
}

fn one_session() -> Error {
    Error::refused(
        "no second session answers while a first one is in a transaction: a pooler has one database session for both, \
         or the server is stuck; give the address of PostgreSQL itself",
    )
}

async fn apply(
    inner: &Arc<Inner>,
    feed: &mut Feed,
    by_channel: &HashMap<String, TableId>,
    echo: &Echo,
) -> Result<std::convert::Infallible, Error> {
    loop {
        let notification = feed.next().await?;
        // Markers come all the time, so no count waits for long.
        if let Some(left_out) = inner.lines.report(Instant::now().into_std()) {
            tracing::info!("rows: {left_out} more DB events are logged at debug (at most {LINES} a second at info)");
        }
        if notification.channel() == echo.channel {
            if notification.process_id() == echo.sender.load(SeqCst)
                && let Ok(number) = notification.payload().parse::<u64>()
            {
                echo.arrived.send_replace(number);
            }
            continue;
        }
        let Some(&id) = by_channel.get(notification.channel()) else { continue };
        apply_event(inner, id, notification.payload());
    }
}

fn apply_event(inner: &Arc<Inner>, id: TableId, payload: &str) {
    let keys = match Event::read(payload) {
        Event::Flush => None,
        Event::Keys(keys) => inner.slot(id).table().ok().and_then(|table| {
            let keys: Result<Vec<_>, Error> = keys.iter().map(|key| table.canonical(key)).collect();
            keys.ok()
        }),
    };
    match keys {
        Some(keys) => {
            for key in keys {
                let key = key.bytes();
                let was_cached = inner.cache.invalidate(id, &key);
                inner.changed(id, key, was_cached);
            }
        }
        None => flush(inner, id),
    }
    // Once it is applied: whoever sees the count sees no older row.
    count(&inner.metrics.events);
    let slot = inner.slot(id);
    let is_known = || {
        let table = slot.table();
        table.is_ok_and(|table| has_known_columns(table.columns.iter().map(|column| &*column.name), payload))
    };
    let payload = if slot.spec.hidden.is_empty() || is_known() {
        Cow::Borrowed(payload)
    } else {
        Cow::Owned(json!({ "table": &*slot.name, "type": "FLUSH" }).to_string())
    };
    let payload = &*payload;
    if inner.lines.allows(Instant::now().into_std()) {
        tracing::info!("Got DB event: {}", cut(payload));
    } else {
        tracing::debug!("Got DB event: {}", cut(payload));
    }
    inner.events.event(&slot.name, payload);
}

pub(super) fn flush(inner: &Inner, id: TableId) {
    inner.cache.flush(id);
    count(&inner.metrics.flushes);
}

fn cut(payload: &str) -> &str {
    let mut end = payload.len().min(LOGGED);
    while !payload.is_char_boundary(end) {
        end -= 1;
    }
    &payload[..end]
}

/// Reads every table's description; what cannot be served or cached says why in its slot.
pub(super) async fn load_tables(
    inner: &Arc<Inner>,
    session: &mut Session,
    ids: impl IntoIterator<Item = TableId>,
    install: bool,
) -> Result<(), Error> {
    for id in ids {
        let slot = inner.slot(id);
        let before = slot.table().ok();
        let table = match load(session.client(), &slot.spec).await {
            Ok(table) => Arc::new(table),
            Err(problem @ Error::Unavailable { .. }) => return Err(problem),
            Err(problem) => {
                say(inner, id, &problem, "served");
                slot.set(None, Some(problem));
                flush(inner, id);
                continue;
            }
        };
        let problem = match &table.forbidden {
            // Each request gets the database's own refusal.
            Some(reason) => Some(Error::table(&table.name, reason)),
            None => triggers_problem(inner, session, &table, before.as_deref(), install).await?,
        };
        if let Some(problem) = &problem {
            say(inner, id, problem, "cached");
        }
        slot.set(Some(table), problem);
        if !inner.options.disabled.reconnect {
            // After the new description: a fill by the old one loses its epoch.
            flush(inner, id);
        }
    }
    Ok(())
}

fn say(inner: &Inner, id: TableId, problem: &Error, lacks: &str) {
    // Once for each problem.
    if inner.slot(id).problem().is_none_or(|before| before.to_string() != problem.to_string()) {
        tracing::warn!("rows: {problem}; it is not {lacks}");
    }
}

/// Installs triggers where none is, and says what keeps the table from being cached.
async fn triggers_problem(
    inner: &Inner,
    session: &mut Session,
    table: &Table,
    before: Option<&Table>,
    install: bool,
) -> Result<Option<Error>, Error> {
    use triggers::Installed;
    let no_truncate = inner.options.disabled.truncate_trigger;
    let installed = triggers::check(session.client(), table, before, no_truncate).await?;
    let repair = match &installed {
        Installed::Complete => return Ok(None),
        Installed::None => inner.options.install_triggers,
        // Another instance may want them so: whoever starts last decides, and nobody fights.
        Installed::Partly { by_change, .. } => inner.options.install_triggers && (install || *by_change),
    };
    if repair {
        match triggers::install_on(session.client_mut(), table, no_truncate).await {
            Ok(()) => {
                tracing::info!(
                    "rows: installed the triggers that report changes of {}; `switchboard rows triggers remove` removes them",
                    table.quoted()
                );
                return Ok(None);
            }
            Err(problem @ Error::Table { .. }) => return Ok(Some(problem)),
            Err(Error::Rejected(reply)) => {
                return Ok(Some(Error::table(&table.name, format!("its triggers: {reply}"))));
            }
            Err(other) => return Err(other),
        }
    }
    let reason = match installed {
        Installed::Partly { reason, .. } => reason,
        _ => "its triggers are not installed; see `triggers print`".to_owned(),
    };
    Ok(Some(Error::table(&table.name, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_event_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("{}ü", "x".repeat(LOGGED - 1));
        assert_eq!(cut(&long).len(), LOGGED - 1);
        assert_eq!(cut(&"x".repeat(LOGGED + 1)).len(), LOGGED);
    }
}
