//! What happens to the active file after some hours, and to sealed files after some days.

use super::block;
use super::record::Kind;
use super::sealed::{Sealed, Sealing};
use super::store::{Active, Store, active_rows, file, to_minutes};
use crate::Millis;
use crate::point::SeriesId;
use crate::time::millis;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::Arc;

/// An active file of so many bytes is sealed before its time.
const LARGE: u64 = 256 << 20;

impl Store {
    pub(super) fn seal_if_due(&mut self, now: Millis) -> io::Result<()> {
        let Some(active) = self.shared.lock().active.clone() else { return Ok(()) };
        let age = now.since(self.begun);
        // A clock that went backwards has said too much before.
        if active.bytes < LARGE && (0..millis(self.settings.seal)).contains(&age) {
            return Ok(());
        }
        let (seconds, minutes, damaged) = self.seal(&active)?;
        let mut state = self.shared.lock();
        state.seconds.push(Arc::new(seconds));
        state.minutes.push(Arc::new(minutes));
        state.active = None;
        state.counts.damaged += damaged;
        drop(state);
        self.begun = now;
        fs::remove_file(file(&self.directory, "active", active.number))
    }

    fn seal(&self, active: &Active) -> io::Result<(Sealed, Sealed, u64)> {
        let number = active.number;
        let [seconds_path, minutes_path] = ["seconds", "minutes"].map(|kind| file(&self.directory, kind, number));
        let mut seconds = Sealing::begin(&seconds_path)?;
        let mut minutes = Sealing::begin(&minutes_path)?;
        let series: BTreeSet<SeriesId> = active.entries.iter().map(|entry| entry.series).collect();
        let (mut payload, mut damaged) = (Vec::new(), 0);
        for series in series {
            let rows = active_rows(active, series, &mut damaged)?;
            for rows in rows.chunks(block::MOST) {
                payload.clear();
                block::put_rows(series, rows, &mut payload);
                let span = (rows[0].second, rows[rows.len() - 1].second);
                seconds.block(Kind::Rows, series, span, &payload)?;
            }
            for minutes_of in to_minutes(&rows).chunks(block::MOST) {
                payload.clear();
                block::put_minutes(series, minutes_of, &mut payload);
                let span = (minutes_of[0].minute, minutes_of[minutes_of.len() - 1].minute);
                minutes.block(Kind::Minutes, series, span, &payload)?;
            }
        }
        // Minutes first: as long as the active file is there, a restart does both again.
        let minutes = minutes.end(&minutes_path, number)?;
        let seconds = seconds.end(&seconds_path, number)?;
        Ok((seconds, minutes, damaged))
    }

    /// At most one file of each kind at a time: a clock that is wrong for a moment must not empty a disk.
    pub(super) fn delete_old(&mut self, now: Millis) -> io::Result<()> {
        let oldest_second = now.before(self.settings.keep).second();
        let oldest_minute = now.before(self.settings.keep_minutes).second() / 60;
        let mut state = self.shared.lock();
        let mut gone = Vec::new();
        if state.seconds.first().is_some_and(|sealed| sealed.to < oldest_second) {
            gone.push(state.seconds.remove(0));
        }
        if state.minutes.first().is_some_and(|sealed| sealed.to < oldest_minute) {
            gone.push(state.minutes.remove(0));
        }
        let mut bytes: u64 = state.seconds.iter().chain(&state.minutes).map(|sealed| sealed.bytes).sum();
        bytes += state.active.as_ref().map_or(0, |active| active.bytes);
        // By the cap as many as it takes: seconds go before minutes, for they are many times as large.
        while bytes > self.settings.disk {
            let list = if state.seconds.is_empty() { &mut state.minutes } else { &mut state.seconds };
            if list.is_empty() {
                break;
            }
            let sealed = list.remove(0);
            bytes -= sealed.bytes;
            gone.push(sealed);
        }
        drop(state);
        for sealed in gone {
            tracing::info!("the history forgets {}", sealed.path.display());
            fs::remove_file(&sealed.path)?;
        }
        Ok(())
    }
}
