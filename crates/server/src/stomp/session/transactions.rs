//! BEGIN, COMMIT and ABORT. What a transaction has collected is in the broker only once it is committed.

use super::acks::Settlement;
use super::{Session, StompError};
use crate::sync::{AtomicUsize, Ordering};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use switchboard_broker::{Batch, Command};

/// Transactions of one session at a time.
const TRANSACTIONS: usize = 64;

/// Bytes that all of them may collect, overhead included: so much, or this part of the memory budget if that is less.
const BYTES: usize = 16 << 20;
const OF_MEMORY: usize = 32;

/// The part of the memory budget that the open transactions of all sessions may take together.
const ALL_OF_MEMORY: usize = 8;

/// Bytes that each step of one, or one that is empty, counts for.
const OVERHEAD: usize = 192;

/// Usage of all sessions' open transactions: many that are left open must not take the memory of everybody else.
#[derive(Debug)]
pub(crate) struct AllTransactions {
    bytes: AtomicUsize,
    limit: usize,
}

impl AllTransactions {
    /// No open transaction, and a bound that follows from the memory budget.
    pub(crate) fn new(memory: usize) -> AllTransactions {
        AllTransactions { bytes: AtomicUsize::new(0), limit: memory / ALL_OF_MEMORY }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    fn add(&self, bytes: usize) -> Result<(), StompError> {
        let before = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) <= self.limit {
            return Ok(());
        }
        self.remove(bytes);
        Err(StompError::new(format!(
            "open transactions of all sessions of more than {} bytes (limit: an eighth of memory)",
            self.limit
        )))
    }

    fn remove(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// A session's open transactions.
#[derive(Debug)]
pub(super) struct Transactions {
    open: HashMap<Vec<u8>, Open>,
    bytes: usize,
    limit: usize,
    all: Arc<AllTransactions>,
}

impl Drop for Transactions {
    fn drop(&mut self) {
        self.all.remove(self.bytes);
    }
}

#[derive(Debug, Default)]
struct Open {
    steps: Vec<Step>,
    bytes: usize,
}

#[derive(Debug)]
enum Step {
    Send(Bytes, Batch),
    Settle(Settlement),
}

impl Transactions {
    /// No open transaction, and a bound that follows from the memory budget.
    pub(super) fn new(memory: usize, all: Arc<AllTransactions>) -> Transactions {
        Transactions { open: HashMap::new(), bytes: 0, limit: BYTES.min(memory / OF_MEMORY), all }
    }

    /// Aborts all.
    pub(super) fn clear(&mut self) {
        self.open = HashMap::new();
        self.all.remove(std::mem::take(&mut self.bytes));
    }

    /// Memory usage, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn begin(&mut self, name: &[u8]) -> Result<(), StompError> {
        if self.open.contains_key(name) {
            return Err(StompError::new(format!("the transaction {} has begun already", name.escape_ascii())));
        }
        if self.open.len() >= TRANSACTIONS {
            return Err(StompError::new(format!(
                "there are {TRANSACTIONS} open transactions already, which is the limit of a session"
            )));
        }
        self.open.insert(name.to_vec(), Open::default());
        self.count(name, OVERHEAD + name.len())
    }

    pub(super) fn abort(&mut self, name: &[u8]) -> Result<(), StompError> {
        self.take(name).map(drop)
    }

    /// Fails if there is no such transaction.
    pub(super) fn check(&self, name: &[u8]) -> Result<(), StompError> {
        if self.open.contains_key(name) { Ok(()) } else { Err(unknown(name)) }
    }

    pub(super) fn send(&mut self, name: &[u8], channel: Bytes, batch: Batch) -> Result<(), StompError> {
        let headers = batch.attributes().map_or(0, |attributes| OVERHEAD + attributes.headers.bytes());
        self.count(name, OVERHEAD + channel.len() + batch.bytes() + headers)?;
        self.push(name, Step::Send(channel, batch))
    }

    pub(super) fn settle(&mut self, name: &[u8], settlement: Settlement) -> Result<(), StompError> {
        self.count(name, OVERHEAD)?;
        self.push(name, Step::Settle(settlement))
    }

    fn push(&mut self, name: &[u8], step: Step) -> Result<(), StompError> {
        self.open.get_mut(name).ok_or_else(|| unknown(name))?.steps.push(step);
        Ok(())
    }

    fn count(&mut self, name: &[u8], bytes: usize) -> Result<(), StompError> {
        if self.bytes.saturating_add(bytes) > self.limit {
            return Err(StompError::new(format!(
                "open transactions of more than {} bytes, which is the limit of a session",
                self.limit
            )));
        }
        let open = self.open.get_mut(name).ok_or_else(|| unknown(name))?;
        self.all.add(bytes)?;
        open.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }

    fn take(&mut self, name: &[u8]) -> Result<Vec<Step>, StompError> {
        let open = self.open.remove(name).ok_or_else(|| unknown(name))?;
        self.bytes -= open.bytes;
        self.all.remove(open.bytes);
        Ok(open.steps)
    }
}

impl Session {
    pub(super) fn commit(&mut self, name: &[u8], commands: &mut Vec<Command>) -> Result<(), StompError> {
        let steps = self.transactions.take(name)?;
        if steps.iter().any(|step| matches!(step, Step::Send(..))) {
            self.check_drain()?;
        }
        for step in steps {
            match step {
                Step::Send(channel, batch) => commands.push(Command::Publish { channel, batch }),
                Step::Settle(settlement) => self.settle(settlement, commands),
            }
        }
        Ok(())
    }
}

fn unknown(name: &[u8]) -> StompError {
    StompError::new(format!("no transaction {} has begun", name.escape_ascii()))
}
