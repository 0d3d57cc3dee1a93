use crate::completion::Completer;
use crate::{Doubt, Error, Event};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switchboard_driver::Deadline;

/// Work for the caller once it holds no lock: a callback may call the client.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) completions: Vec<(Completer<()>, Result<(), Error>)>,
    pub(crate) events: Vec<Event>,
}

impl Due {
    pub(crate) fn is_empty(&self) -> bool {
        self.completions.is_empty() && self.events.is_empty()
    }
}

/// Why the broker does not take a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusal {
    /// The length of a message that it does not take.
    pub(crate) rejected: Option<usize>,
    /// Its own words.
    pub(crate) reason: Option<Arc<str>>,
}

impl Refusal {
    pub(crate) fn is_none(&self) -> bool {
        self.rejected.is_none() && self.reason.is_none()
    }

    /// The first of its kind counts.
    pub(crate) fn add(&mut self, other: &Refusal) {
        self.rejected = self.rejected.or(other.rejected);
        if self.reason.is_none() {
            self.reason.clone_from(&other.reason);
        }
    }
}

/// A flush that waits for its barrier.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(crate) completer: Completer<()>,
    pub(crate) deadline: Deadline,
    pub(crate) what: &'static str,
    /// Doubt about messages before it.
    pub(crate) doubt: Doubt,
    /// Of a message before it.
    pub(crate) refusal: Refusal,
}

impl Flush {
    pub(crate) fn add(&mut self, doubt: Doubt, refusal: &Refusal) {
        self.doubt.add(doubt);
        self.refusal.add(refusal);
    }

    /// Returns true if its result is an error, whatever comes.
    fn is_known(&self) -> bool {
        self.doubt.messages > 0 || !self.refusal.is_none()
    }

    fn done(self) -> (Completer<()>, Result<(), Error>) {
        let in_doubt = self.doubt;
        let result = match self.refusal {
            Refusal { reason: Some(message), .. } => Err(Error::Server { message: message.to_string(), in_doubt }),
            Refusal { rejected: Some(length), .. } => Err(Error::Rejected { length, in_doubt }),
            Refusal { .. } if in_doubt.messages > 0 => Err(Error::InDoubt(in_doubt)),
            Refusal { .. } => Ok(()),
        };
        (self.completer, result)
    }

    /// That something is in doubt is worth more to know than that it is late.
    fn late(self, after: Duration) -> (Completer<()>, Result<(), Error>) {
        if self.is_known() {
            return self.done();
        }
        (self.completer, Err(Error::TimedOut { what: self.what, after, option: "timeout" }))
    }
}

/// A publish that waits for room, or a flush that waits behind one.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// None is a flush, behind the publishes before it.
    pub(crate) frames: Option<Vec<u8>>,
    pub(crate) flush: Flush,
}

/// Flushes in the order in which they were asked for: those without a barrier yet come last.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    marked: VecDeque<(u64, Vec<Flush>)>,
    unmarked: VecDeque<Flush>,
}

impl Flushes {
    pub(crate) fn push(&mut self, flush: Flush) {
        self.unmarked.push_back(flush);
    }

    /// Returns true if a flush waits for a barrier that was not asked for.
    pub(crate) fn wants_barrier(&self) -> bool {
        !self.unmarked.is_empty()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marked.is_empty() && self.unmarked.is_empty()
    }

    /// A barrier goes out behind everything that was asked for so far.
    pub(crate) fn barrier(&mut self, number: u64) {
        if !self.unmarked.is_empty() {
            self.marked.push_back((number, self.unmarked.drain(..).collect()));
        }
    }

    pub(crate) fn confirm(&mut self, number: u64, due: &mut Due) {
        while self.marked.front().is_some_and(|(marked, _)| *marked <= number) {
            let flushes = self.marked.pop_front().into_iter().flat_map(|(_, flushes)| flushes);
            due.completions.extend(flushes.map(Flush::done));
        }
    }

    /// The messages before a barrier were refused, which every flush behind them tells. Returns false if none waits.
    pub(crate) fn refuse(&mut self, number: u64, doubt: Doubt, refusal: &Refusal) -> bool {
        let marked = self.marked.iter_mut().filter(|(marked, _)| *marked >= number).flat_map(|(_, flushes)| flushes);
        let behind = marked.chain(&mut self.unmarked).map(|flush| flush.add(doubt, refusal));
        behind.count() > 0
    }

    /// The barriers will not come back; they are to be asked for again.
    pub(crate) fn reset(&mut self) {
        let marked = self.marked.drain(..).flat_map(|(_, flushes)| flushes);
        self.unmarked = marked.chain(self.unmarked.drain(..)).collect();
    }

    /// A message before all of them was refused, whichever barrier was behind it.
    pub(crate) fn add(&mut self, doubt: Doubt, refusal: &Refusal) {
        let marked = self.marked.iter_mut().flat_map(|(_, flushes)| flushes);
        marked.chain(&mut self.unmarked).for_each(|flush| flush.add(doubt, refusal));
    }

    /// They still wait for the rest, which goes out over another connection.
    pub(crate) fn doubt(&mut self, doubt: Doubt, refusal: &Refusal) {
        self.reset();
        self.unmarked.iter_mut().for_each(|flush| flush.add(doubt, refusal));
    }

    pub(crate) fn fail(&mut self, error: &Error, due: &mut Due) {
        self.reset();
        due.completions.extend(self.unmarked.drain(..).map(|flush| (flush.completer, Err(error.clone()))));
    }

    /// Completes those without a barrier that know already of a doubt or a refusal.
    pub(crate) fn complete_known(&mut self, due: &mut Due) {
        let flushes = std::mem::take(&mut self.unmarked);
        let (known, others): (VecDeque<_>, _) = flushes.into_iter().partition(Flush::is_known);
        due.completions.extend(known.into_iter().map(Flush::done));
        self.unmarked = others;
    }

    /// All have the same time, so the oldest is due first.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        let marked = self.marked.front().and_then(|(_, flushes)| flushes.first());
        marked.or(self.unmarked.front()).map(|flush| flush.deadline)
    }

    pub(crate) fn expire(&mut self, now: Instant, after: Duration, due: &mut Due) {
        for (_, flushes) in &mut self.marked {
            let late = flushes.iter().take_while(|flush| flush.deadline.has_passed(now)).count();
            due.completions.extend(flushes.drain(..late).map(|flush| flush.late(after)));
        }
        self.marked.retain(|(_, flushes)| !flushes.is_empty());
        while self.unmarked.front().is_some_and(|flush| flush.deadline.has_passed(now)) {
            due.completions.extend(self.unmarked.pop_front().map(|flush| flush.late(after)));
        }
    }
}

/// Publishes in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Queue(pub(crate) VecDeque<Waiting>);

impl Queue {
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.0.front().map(|waiting| waiting.flush.deadline)
    }

    pub(crate) fn expire(&mut self, now: Instant, after: Duration, due: &mut Due) {
        while self.0.front().is_some_and(|waiting| waiting.flush.deadline.has_passed(now)) {
            due.completions.extend(self.0.pop_front().map(|waiting| waiting.flush.late(after)));
        }
    }
}
