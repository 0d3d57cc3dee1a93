//! Proof that the catalogue is as it was: which markers need not look at it.
//!
//! Every change of a catalogue is a transaction with a number (xid): DDL, GRANT, a change of roles or of another database's
//! session, COMMIT PREPARED. So two statements see the same catalogue if the same transactions are visible to both. Their
//! snapshots tell: each transaction that the later one shows and the earlier one does not must be a marker of ours, which
//! writes nothing. In particular
//!
//! - a snapshot names the transactions that run, prepared ones and those of all databases too; one that ends is missing in
//!   the next snapshot;
//! - an aborted transaction, a subtransaction and another instance's marker look like a change. They cost a look;
//! - a transaction without a number writes nothing. VACUUM, which a snapshot does not name while it runs, changes in place
//!   what no fingerprint reads.
//!
//! A search path does not matter: the fingerprint has schemas and names. Settings belong to our sessions.
//!
//! The fingerprint asks for rights, and a row's JSON for names of types, through caches of each server process. PostgreSQL
//! tells these of a change only after its transaction is visible, and before it gives up its locks. So the catalogue is
//! left alone from a look on that began after every visible transaction had given up the lock of its number. What was
//! read before that is flushed once more.

use std::collections::HashMap;
use std::str::FromStr;

/// The transactions whose changes a statement sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// No transaction from this number on is visible.
    end: u64,
    /// Transactions below `end` that ran.
    running: Vec<u64>,
}

impl FromStr for Snapshot {
    type Err = ();

    /// Reads PostgreSQL's text, `xmin:xmax:xip,...`.
    fn from_str(text: &str) -> Result<Snapshot, ()> {
        let mut parts = text.split(':').skip(1);
        let (Some(end), Some(running), None) = (parts.next(), parts.next(), parts.next()) else { return Err(()) };
        let number = |text: &str| text.parse().map_err(|_| ());
        let running = running.split(',').filter(|text| !text.is_empty()).map(number).collect::<Result<_, _>>()?;
        Ok(Snapshot { end: number(end)?, running })
    }
}

impl Snapshot {
    fn shows(&self, transaction: u64) -> bool {
        transaction < self.end && !self.running.contains(&transaction)
    }

    /// Returns true if this later snapshot shows the transactions of `before`, perhaps `own`, and no others.
    fn adds_only(&self, own: u64, before: &Snapshot) -> bool {
        if self.end < before.end || before.running.iter().any(|transaction| self.shows(*transaction)) {
            return false;
        }
        let is_new = |transaction: u64| (before.end..self.end).contains(&transaction);
        let running = self.running.iter().filter(|transaction| is_new(**transaction)).count() as u64;
        let is_own_shown = is_new(own) && self.shows(own);
        self.end - before.end == running + u64::from(is_own_shown)
    }

    /// Returns true if no transaction that is shown holds the lock of its number. `locks` have their holder and the number's
    /// low half. A subtransaction is not named in a snapshot; its holder has the lock of its transaction, too.
    fn is_announced(&self, locks: &[(String, u32)]) -> bool {
        let mut ending: HashMap<&str, bool> = HashMap::new();
        for (holder, low) in locks {
            *ending.entry(holder).or_insert(true) &= self.shows(self.whole(*low));
        }
        !ending.into_values().any(|is_ending| is_ending)
    }

    /// The number with this low half that is nearest to those of the snapshot.
    fn whole(&self, low: u32) -> u64 {
        const HALF: u64 = 1 << 31;
        let number = (self.end & !u64::from(u32::MAX)) | u64::from(low);
        if number > self.end + HALF {
            number.saturating_sub(2 * HALF)
        } else if number + HALF < self.end {
            number + 2 * HALF
        } else {
            number
        }
    }
}

/// A marker's snapshot, and its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) snapshot: Snapshot,
    pub(super) own: u64,
}

impl Taken {
    fn adds_nothing(&self, before: &Taken) -> bool {
        self.snapshot.adds_only(before.own, &before.snapshot)
    }
}

/// Decides for each marker whether it looks at the catalogue.
///
/// Of each marker the driver calls [`looked`](Witness::looked) or [`is_unchanged`](Witness::is_unchanged), and
/// [`lost`](Witness::lost) if it does not know its outcome. If [`asks_locks`](Witness::asks_locks) is true then, it calls
/// [`locks`](Witness::locks) before the marker counts.
#[derive(Debug)]
pub(super) struct Witness {
    state: State,
    /// Rows were read perhaps by old descriptions of types.
    is_dirty: bool,
}

#[derive(Debug)]
enum State {
    Unknown,
    /// The catalogue was read by this marker. Nothing had changed since the one before, if `is_quiet`.
    Looked {
        last: Taken,
        is_quiet: bool,
    },
    /// The same, and every server process knows what the marker saw.
    Announced(Taken),
    /// The catalogue was read after that.
    Proven(Taken),
}

impl Default for Witness {
    fn default() -> Witness {
        Witness { state: State::Unknown, is_dirty: true }
    }
}

impl Witness {
    /// The next marker has to look at the catalogue.
    pub(super) fn must_look(&self) -> bool {
        !matches!(self.state, State::Proven(_))
    }

    /// A marker has looked at the catalogue, and found a change or none.
    pub(super) fn looked(&mut self, now: Taken, has_changed: bool) {
        self.is_dirty |= has_changed;
        self.state = match &self.state {
            State::Announced(before) | State::Proven(before) if !has_changed && now.adds_nothing(before) => {
                State::Proven(now)
            }
            State::Looked { last, .. } if !has_changed => State::Looked { is_quiet: now.adds_nothing(last), last: now },
            _ => State::Looked { last: now, is_quiet: false },
        };
    }

    /// A marker has not looked. Returns false if the catalogue may have changed: then the marker proves nothing.
    pub(super) fn is_unchanged(&mut self, now: Taken) -> bool {
        match &self.state {
            State::Proven(before) if now.adds_nothing(before) => {
                self.state = State::Proven(now);
                true
            }
            _ => {
                self.state = State::Unknown;
                false
            }
        }
    }

    /// A marker's outcome is not known: its transaction is none of ours.
    pub(super) fn lost(&mut self) {
        self.state = State::Unknown;
    }

    /// The driver asks for the locks, since a look alone is not enough. Where others write all the time, every marker looks
    /// anyway.
    pub(super) fn asks_locks(&self) -> bool {
        match &self.state {
            State::Looked { is_quiet, .. } => *is_quiet || self.is_dirty,
            _ => false,
        }
    }

    /// Locks of transactions, read after the last marker. Returns true if what was cached before has to be flushed.
    pub(super) fn locks(&mut self, locks: &[(String, u32)]) -> bool {
        if let State::Looked { last, .. } = &self.state
            && last.snapshot.is_announced(locks)
        {
            self.state = State::Announced(last.clone());
            return std::mem::take(&mut self.is_dirty);
        }
        self.is_dirty
    }
}

#[cfg(test)]
mod tests;
