//! Sealing of the active file after some hours, and deletion of sealed files after some days.

use super::block;
use super::query::{self, Tier};
use super::record::Kind;
use super::sealed::Sealing;
use super::store::{Active, Store, active_rows, file, in_order, to_minutes};
use crate::Millis;
use crate::point::SeriesId;
use crate::time::millis;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// An active file of so many bytes is sealed before its time.
const LARGE: u64 = 256 << 20;

impl Store {
    pub(super) fn seal_if_due(&mut self, now: Millis) -> io::Result<()> {
        let Some(active) = self.shared.lock().active.clone() else { return Ok(()) };
        let age = now.since(self.begun);
        // The clock may have been ahead when the file was begun.
        if active.bytes < LARGE && (0..millis(self.settings.seal)).contains(&age) {
            return Ok(());
        }
        self.seal(&active)?;
        self.begun = now;
        Ok(())
    }

    /// Writes an active file anew as two sealed ones. What is sealed under its number already is taken in: the active
    /// file could not be deleted then.
    pub(super) fn seal(&mut self, active: &Active) -> io::Result<()> {
        let number = active.number;
        let earlier = self.shared.lock().seconds.iter().find(|sealed| sealed.number == number).cloned();
        let [seconds_path, minutes_path] = ["seconds", "minutes"].map(|kind| file(&self.directory, kind, number));
        let mut seconds = Sealing::begin(&self.disk, &seconds_path)?;
        let mut minutes = Sealing::begin(&self.disk, &minutes_path)?;
        let mut series: BTreeSet<SeriesId> = active.entries.iter().map(|entry| entry.series).collect();
        let mut names = active.names.clone();
        if let Some(earlier) = &earlier {
            query::sealed_names(&self.shared, earlier, &mut |series| !names.contains_key(&series))
                .into_iter()
                .for_each(|(series, name)| drop(names.insert(series, name)));
            series.extend(earlier.entries()?.unwrap_or_default().iter().map(|entry| entry.series));
        }
        let (mut payload, mut is_damaged) = (Vec::new(), false);
        for series in series {
            let mut rows = Vec::new();
            if let Some(earlier) = &earlier {
                query::sealed_rows(&self.shared, earlier, series, 0, u32::MAX, &mut rows);
            }
            let (newer, is_part) = active_rows(&self.shared, active, series);
            is_damaged |= is_part;
            rows.extend(newer);
            in_order(&mut rows);
            if let Some(name) = names.get(&series) {
                seconds.name(series, name)?;
            }
            for rows in rows.chunks(block::ROWS_MAX) {
                payload.clear();
                block::put_rows(series, rows, &mut payload);
                let span = (rows[0].second, rows[rows.len() - 1].second);
                seconds.block(Kind::Rows, series, span, &payload)?;
            }
            for minutes_of in to_minutes(&rows).chunks(block::ROWS_MAX) {
                payload.clear();
                block::put_minutes(series, minutes_of, &mut payload);
                let span = (minutes_of[0].minute, minutes_of[minutes_of.len() - 1].minute);
                minutes.block(Kind::Minutes, series, span, &payload)?;
            }
        }
        if is_damaged {
            self.shared.set_aside(&self.disk, &active.path, "blocks of it cannot be read")?;
        }
        // Minutes first: as long as the active file is there, a restart does both again.
        let minutes = minutes.end(&minutes_path, number)?;
        let seconds = match seconds.end(&seconds_path, number) {
            Ok(seconds) => seconds,
            Err(error) => {
                // It would take room until the next attempt.
                let _ = self.disk.remove(&minutes_path);
                return Err(error);
            }
        };
        let mut state = self.shared.lock();
        for (list, sealed) in [(Tier::Second, seconds), (Tier::Minute, minutes)] {
            let list = if list == Tier::Second { &mut state.seconds } else { &mut state.minutes };
            list.retain(|other| other.number != number);
            list.push(Arc::new(sealed));
            list.sort_unstable_by_key(|sealed| sealed.number);
        }
        state.active.take_if(|current| current.number == number);
        drop(state);
        self.unwanted.push(active.path.clone());
        Ok(())
    }

    /// At most one file of each kind at a time: a clock that is wrong for a moment must not empty a disk.
    pub(super) fn delete_old(&mut self, now: Millis) {
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
            tracing::info!("the history has removed its oldest file, {}", sealed.path.display());
            self.unwanted.push(sealed.path.clone());
        }
    }
}
