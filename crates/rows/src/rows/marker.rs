//! Markers: what proves how fresh the cache is.

use super::demand::demanded;
use super::metrics::count;
use super::state::{Inner, Phase};
use super::supervisor::{Echo, TABLE_CAME, flush, load_tables};
use super::witness::{Taken, Witness};
use crate::cache::{Lsn, TableId};
use crate::database::{Parameter, Session, settings};
use crate::table::FINGERPRINTS;
use crate::{Error, clock};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;
use switchboard_driver::Backoff;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::PgLsn;

/// Time that a marker waits for the lock of the notification queue, which every notifying commit takes.
const LOCK: Duration = Duration::from_millis(500);
/// Time between two looks for a table that cannot be served.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two lines about a queue that fills.
const TELL: Duration = Duration::from_secs(60);

/// Ends the feeds that their clients do not read, of instances that log in as we do.
const END_LAGGING: &str = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE application_name = 'switchboard rows feed' AND usename = current_user AND wait_event = 'ClientWrite'";

/// The second connection: it sends markers, and looks at the catalogue.
pub(super) struct Control {
    session: Session,
}

impl Control {
    pub(super) async fn connect(inner: &Inner) -> Result<Control, Error> {
        // A marker that a crash takes away proves nothing, so none waits for the disk. The planner expects less of a plan for
        // any tables than of one for these, and would plan for them again with each marker, which takes four times as long
        // as the statement. Machine code for a plan of that estimate would take as long as a thousand runs of it.
        let settings = settings("switchboard rows marker", inner.options.marker_timeout, LOCK)
            + " SET synchronous_commit = off; SET plan_cache_mode = force_generic_plan; SET jit = off;";
        Ok(Control { session: inner.database.session(&settings).await? })
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(super) fn process(&self) -> i32 {
        self.session.process
    }

    pub(super) async fn fingerprints(&mut self, inner: &Inner) -> Result<Vec<String>, Error> {
        let (schemas, names) = tables(inner);
        let rows = self.session.query(FINGERPRINTS, &[&schemas, &names], inner.options.marker_timeout).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn locks(&mut self, inner: &Inner) -> Result<Vec<(String, u32)>, Error> {
        let rows = self.session.query(LOCKS, &[], inner.options.marker_timeout).await?;
        let lock = |row: &Row| {
            let number: &str = row.try_get(1)?;
            let number = number.parse().map_err(|_| Error::unavailable("PostgreSQL does not say what is locked"))?;
            Ok((row.try_get(0)?, number))
        };
        rows.iter().map(lock).collect()
    }
}

/// Schemas and names of all tables, in their order.
fn tables(inner: &Inner) -> (Vec<String>, Vec<String>) {
    let both = inner.tables.iter().map(|slot| match slot.table() {
        Ok(table) => (table.schema.clone(), table.name.clone()),
        Err(_) => (slot.spec.schema.clone().unwrap_or_else(|| "public".to_owned()), slot.spec.name.clone()),
    });
    both.unzip()
}

struct Sent {
    at: Duration,
    position: Lsn,
    taken: Taken,
    /// `None` of a marker that did not look.
    fingerprints: Option<Vec<String>>,
}

/// A marker's statement: one, so that its snapshot, its place in the log and its marker belong together.
const MARKER: &str = "SELECT pg_notify($1, $2), pg_current_wal_insert_lsn(), pg_notification_queue_usage(), \
    pg_current_snapshot()::text, pg_current_xact_id()::text";

/// The same with a look at the catalogue.
fn looking_marker() -> String {
    let fingerprints = FINGERPRINTS.replace("$2", "$4").replace("$1", "$3");
    format!("{MARKER}, ARRAY({fingerprints})")
}

/// Transactions that hold the lock of their number, and the number's low half.
const LOCKS: &str = "SELECT virtualtransaction, transactionid::text FROM pg_locks \
    WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted";

/// Sends markers, one at a time, until the feed stops to bring them.
pub(super) async fn run_markers(
    inner: &Arc<Inner>,
    mut control: Control,
    mut fingerprints: Vec<String>,
    echo: &Echo,
    backoff: &mut Backoff,
) -> Result<Infallible, Error> {
    let mut arrived = echo.arrived.subscribe();
    let looking = looking_marker();
    let mut witness = Witness::default();
    let mut looked = Instant::now();
    loop {
        let is_incomplete = looked.elapsed() > LOOK && inner.tables.iter().any(|slot| !slot.is_cached());
        let looks = !inner.options.disabled.fingerprint && (is_incomplete || witness.must_look());
        let statement = if looks { &looking } else { MARKER };
        let number = inner.markers.begin();
        let sent = match send(inner, &mut control, statement, &echo.channel, number).await {
            Ok(sent) => sent,
            Err(error) => {
                count(&inner.metrics.markers_failed);
                witness.lost();
                tracing::debug!("rows: a marker was not sent: {error}");
                if control.session.is_usable() {
                    // A failure is no news: the next try looks again.
                    let _ = look_at_queue(inner, &mut control).await;
                }
                sleep(backoff.pause(fastrand::f64())).await;
                if !control.session.is_usable() {
                    control = reconnect(inner, echo).await?;
                }
                continue;
            }
        };
        if let Some(now) = sent.fingerprints {
            count(&inner.metrics.looks);
            let has_changed = now != fingerprints;
            witness.looked(sent.taken, has_changed);
            if has_changed || is_incomplete {
                looked = Instant::now();
                examine(inner, &mut control, &fingerprints, &now).await?;
                fingerprints = now;
                continue;
            }
            let is_old = witness.asks_locks() && witness.locks(&control.locks(inner).await?);
            // At first that is what was cached before a reconnect, whose flush a test turns off.
            if is_old && !inner.options.disabled.reconnect {
                inner.ids().for_each(|id| inner.cache.flush(id));
            }
        } else if !inner.options.disabled.fingerprint && !witness.is_unchanged(sent.taken) {
            // The next one looks, and proves the reads of this one, too.
            continue;
        }
        let wait = timeout(inner.options.marker_timeout, arrived.wait_for(|arrived| *arrived >= number));
        if !inner.options.disabled.echo && wait.await.is_err() {
            return Err(Error::unavailable("the change feed brings nothing: its connection is stuck"));
        }
        let took = clock::now().saturating_sub(sent.at);
        inner.cache.marker(sent.at, sent.position);
        inner.markers.done();
        count(&inner.metrics.markers);
        if !matches!(*inner.phase.borrow(), Phase::Live) {
            inner.set_phase(Phase::Live);
        }
        backoff.reset();
        tokio::select! {
            () = demanded(&inner.markers, took) => {}
            () = sleep(inner.options.marker_interval) => {}
        }
    }
}

async fn send(
    inner: &Inner,
    control: &mut Control,
    statement: &str,
    channel: &str,
    number: u64,
) -> Result<Sent, Error> {
    let number = number.to_string();
    let (schemas, names) = tables(inner);
    let looks = statement != MARKER;
    let parameters: &[Parameter<'_>] = &[&channel, &number, &schemas, &names];
    let parameters = if looks { parameters } else { &parameters[..2] };
    // Before the statement begins: what is visible now is visible to it.
    let at = clock::now();
    let rows = control.session.query(statement, parameters, inner.options.marker_timeout).await?;
    let row = rows.first().ok_or_else(|| Error::unavailable("a marker gave no row"))?;
    let usage: f64 = row.try_get(2)?;
    end_lagging(inner, control, usage).await?;
    let (snapshot, own): (&str, &str) = (row.try_get(3)?, row.try_get(4)?);
    let unclear = || Error::unavailable("PostgreSQL does not say which transactions a marker saw");
    let taken = Taken { snapshot: snapshot.parse().map_err(|()| unclear())?, own: own.parse().map_err(|_| unclear())? };
    let position = Lsn(u64::from(row.try_get::<_, PgLsn>(1)?));
    let fingerprints = looks.then(|| row.try_get(5)).transpose()?;
    Ok(Sent { at, position, taken, fingerprints })
}

/// A full queue takes no marker, and then this alone makes room.
async fn look_at_queue(inner: &Inner, control: &mut Control) -> Result<(), Error> {
    let usage = "SELECT pg_notification_queue_usage()";
    let rows = control.session.query(usage, &[], inner.options.marker_timeout).await?;
    match rows.first() {
        Some(row) => end_lagging(inner, control, row.try_get(0)?).await,
        None => Ok(()),
    }
}

async fn end_lagging(inner: &Inner, control: &mut Control, usage: f64) -> Result<(), Error> {
    inner.metrics.queue_usage.store(usage.to_bits(), Relaxed);
    if usage > inner.options.queue_limit {
        let ended = control.session.query(END_LAGGING, &[], inner.options.marker_timeout).await?;
        let ended: i64 = ended.first().map_or(Ok(0), |row| row.try_get(0))?;
        inner.metrics.listeners_ended.fetch_add(ended.unsigned_abs(), Relaxed);
        let mut told = inner.queue_told.lock();
        // A listener of another program may keep it so for hours.
        if ended > 0 || told.is_none_or(|told| told.elapsed() >= TELL) {
            *told = Some(Instant::now());
            tracing::warn!(
                "rows: {:.0} % of PostgreSQL's notification queue are in use; {ended} listeners that do not read were ended",
                usage * 100.0
            );
        }
    }
    Ok(())
}

/// Something was done to a table: nothing cached of it counts, and its description is read again.
async fn examine(inner: &Arc<Inner>, control: &mut Control, before: &[String], now: &[String]) -> Result<(), Error> {
    let has_changed = |id: TableId| before.get(usize::from(id.0)) != now.get(usize::from(id.0));
    for id in inner.ids().filter(|id| has_changed(*id)) {
        tracing::warn!("rows: the definition of table {} has changed; it was flushed", inner.slot(id).name);
        inner.slot(id).suspend(Error::unavailable("the table is being examined"));
        flush(inner, id);
    }
    let channels = |inner: &Inner| -> Vec<Option<String>> {
        inner.tables.iter().map(|slot| slot.table().ok().map(|table| table.channel())).collect()
    };
    let listened = channels(inner);
    let ids: Vec<TableId> = inner.ids().filter(|id| has_changed(*id) || !inner.slot(*id).is_cached()).collect();
    load_tables(inner, control.session(), ids, false).await?;
    let wanted = channels(inner);
    let is_new = |(before, now): (&Option<String>, &Option<String>)| now.is_some() && before != now;
    if listened.iter().zip(&wanted).any(is_new) {
        return Err(Error::unavailable(TABLE_CAME));
    }
    Ok(())
}

/// The feed stands while the markers' connection is made again.
async fn reconnect(inner: &Inner, echo: &Echo) -> Result<Control, Error> {
    let control = Control::connect(inner).await?;
    if *inner.identity.lock() != Some(control.session.identity) {
        return Err(Error::unavailable("another server answers than the one that is listened to"));
    }
    echo.sender.store(control.process(), SeqCst);
    Ok(control)
}
