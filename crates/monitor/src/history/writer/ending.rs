//! The writer's last writes, and the loss if the disk takes none of them.

use super::Writer;
use crate::Millis;
use crate::point::SeriesId;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use switchboard_driver::quantity::plural;

/// The pause before the last try: the monitor has ten seconds for its end.
pub(super) const BEFORE_LAST_TRY: Duration = Duration::from_secs(1);

/// A part of the history that the disk had not taken when the monitor ended, and that is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unwritten {
    /// The monitor's folder.
    pub directory: PathBuf,
    /// Seconds of processes: one process over a minute has 60.
    pub seconds: usize,
    /// The processes of these seconds.
    pub processes: usize,
    /// The time of the first of these seconds, and of the last.
    pub span: Option<(Millis, Millis)>,
    /// Names or annotations are lost, too.
    pub has_names: bool,
    /// The error of the last try.
    pub reason: String,
}

impl std::error::Error for Unwritten {}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unwritten { seconds, processes, .. } = *self;
        write!(f, "the monitor could not write to {}, and has lost ", self.directory.display())?;
        if let Some((from, to)) = self.span {
            let of = if processes == 1 { "process" } else { "processes" };
            write!(f, "{} of {processes} {of}, from {from} to {to}", plural(seconds, "second"))?;
        }
        let and = if self.span.is_some() && self.has_names { ", and " } else { "" };
        let names = if self.has_names { "the newest names and annotations" } else { "" };
        write!(f, "{and}{names}: {}", self.reason)
    }
}

impl Writer {
    /// Writes everything; what the disk does not take is tried once more after `pause`.
    ///
    /// # Errors
    /// The rest, which is lost.
    pub(in crate::history) fn finish(&mut self, pause: impl FnOnce()) -> Result<(), Unwritten> {
        // A journal may have room where blocks have none.
        let write = |writer: &mut Writer| writer.checkpoint(Millis::now()) || writer.flush();
        if !write(self) && self.unwritten().is_some() && !self.is_evicted {
            pause();
            write(self);
        }
        self.unwritten().map_or(Ok(()), Err)
    }

    /// Returns what neither a block nor the journal has.
    fn unwritten(&self) -> Option<Unwritten> {
        let has_names = self.is_evicted || self.names.has_unwritten() || self.annotations.has_unwritten();
        let (mut series, mut found) = (BTreeSet::<SeriesId>::new(), BTreeSet::new());
        let mut add = |id, second| {
            series.insert(id);
            found.insert((second, id));
        };
        if self.store.has_overflowed {
            // Which of the open rows the journal has is not known any more: all of them count.
            let state = self.shared.lock();
            state.open.iter().for_each(|(id, rows)| rows.iter().for_each(|row| add(*id, row.second)));
        } else {
            self.store.pending.iter().for_each(|point| add(point.series, point.row.second));
        }
        let ends = (found.first(), found.last());
        let span = match ends {
            (Some((from, _)), Some((to, _))) => Some((Millis::of_second(*from), Millis::of_second(*to))),
            _ => None,
        };
        (span.is_some() || has_names).then(|| Unwritten {
            directory: self.store.directory.clone(),
            seconds: found.len(),
            processes: series.len(),
            span,
            has_names,
            reason: self.failure.clone(),
        })
    }
}
