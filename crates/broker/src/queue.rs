use crate::budget::AllocationId;
use crate::{Batch, SubscriptionId};
use std::collections::{BTreeMap, VecDeque};

/// Consecutive messages that nobody has been given yet.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) batch: Batch,
    pub(crate) block: AllocationId,
    /// Place of the first message in the channel.
    pub(crate) first: u64,
}

/// What waits in a channel, in the order of its coming.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// What came back, by place.
    returned: BTreeMap<u64, Segment>,
    fresh: VecDeque<Segment>,
    /// Packed bytes.
    pub(crate) bytes: usize,
    /// Messages.
    pub(crate) depth: usize,
}

impl Backlog {
    pub(crate) fn is_empty(&self) -> bool {
        self.depth == 0
    }

    pub(crate) fn push(&mut self, segment: Segment) {
        self.count(&segment);
        self.fresh.push_back(segment);
    }

    /// One message back to its place.
    pub(crate) fn requeue_segment(&mut self, message: Segment) {
        self.count(&message);
        self.returned.insert(message.first, message);
    }

    /// The unused rest of what [`Backlog::pop`] gave.
    pub(crate) fn requeue_front(&mut self, segment: Segment) {
        self.count(&segment);
        if self.fresh.front().is_none_or(|front| segment.first < front.first) && self.returned.is_empty() {
            self.fresh.push_front(segment);
        } else {
            self.returned.insert(segment.first, segment);
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Segment> {
        // The front of `fresh` may have come back, too, and been the only one that had.
        let fresh = self.fresh.front().map_or(u64::MAX, |segment| segment.first);
        let segment = match self.returned.first_entry() {
            Some(returned) if *returned.key() < fresh => returned.remove(),
            _ => self.fresh.pop_front()?,
        };
        self.bytes -= segment.batch.bytes();
        self.depth -= segment.batch.len();
        Some(segment)
    }

    fn count(&mut self, segment: &Segment) {
        self.bytes += segment.batch.bytes();
        self.depth += segment.batch.len();
    }
}

/// A subscription as its channel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) connection: usize,
    pub(crate) subscription: SubscriptionId,
    /// Whether it came by a pattern: such a one keeps no channel in being.
    pub(crate) by_pattern: bool,
}

/// Whose turn it is. The newest subscriber is the next.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin(VecDeque<Subscriber>);

impl RoundRobin {
    pub(crate) fn join(&mut self, subscriber: Subscriber) {
        self.0.push_back(subscriber);
    }

    pub(crate) fn leave(&mut self, connection: usize, subscription: SubscriptionId) -> bool {
        let place = self.0.iter().position(|s| s.connection == connection && s.subscription == subscription);
        place.and_then(|place| self.0.remove(place)).is_some()
    }

    /// Whose turn it is after so many others.
    pub(crate) fn after(&self, turns: usize) -> Subscriber {
        self.0[self.0.len() - 1 - turns]
    }

    /// So many had their turns; theirs come again after all the others'.
    pub(crate) fn turn(&mut self, turns: usize) {
        if !self.0.is_empty() {
            self.0.rotate_right(turns % self.0.len());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, place: usize) -> Subscriber {
        self.0[place]
    }

    /// Their connections. One may be among them several times.
    pub(crate) fn connections(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|subscriber| subscriber.connection)
    }
}
