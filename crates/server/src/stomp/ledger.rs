//! State shared by a session and the tasks that deliver to its connection.

use super::header_lines::HeaderLines;
use super::outbox::Entry;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use switchboard_broker::{Batch, DeliveryTag, SubscriptionId};

/// Ended subscriptions whose tags wait for an ack, of one connection. An ack of an older subscription covers its own
/// message alone.
const ENDED: usize = 256;

/// A connection's subscriptions, and which tags of its cumulative ones wait for an ack.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In boxes: most connections have one subscription, and a table has room for four.
    subscriptions: HashMap<SubscriptionId, Box<Subscription>>,
    /// Ended subscriptions, the oldest first.
    ended: VecDeque<SubscriptionId>,
    /// No tag from this one on was delivered.
    end: u64,
    /// The session has ended: what waits is still written.
    is_ending: bool,
}

#[derive(Debug)]
struct Subscription {
    /// The header line that names it; empty in 1.0 where the client gave no id.
    line: Arc<[u8]>,
    /// For an ack that covers all earlier messages: the tags that wait for one, in order.
    unacked: Option<VecDeque<Range<u64>>>,
    /// It has ended: only acks of what it was given may still come.
    is_ended: bool,
}

impl Ledger {
    pub(super) fn subscribe(&mut self, id: SubscriptionId, line: Vec<u8>, is_cumulative: bool) {
        let subscription =
            Subscription { line: line.into(), unacked: is_cumulative.then(VecDeque::new), is_ended: false };
        self.subscriptions.insert(id, Box::new(subscription));
    }

    /// The session has ended, and with it all subscriptions.
    pub(super) fn finish(&mut self) {
        self.is_ending = true;
    }

    /// The broker knows the subscription no more. What comes for it nevertheless is not written.
    /// Acks of what it was given cover earlier messages as before. Returns what is to become of what was not begun: a
    /// session that ends gets it.
    pub(crate) fn forget(&mut self, id: SubscriptionId) -> Option<Entry> {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            let is_first_end = !std::mem::replace(&mut subscription.is_ended, true);
            if subscription.unacked.as_ref().is_none_or(VecDeque::is_empty) {
                self.remove(id);
            } else if is_first_end {
                self.ended.push_back(id);
                if self.ended.len() > ENDED
                    && let Some(oldest) = self.ended.front().copied()
                {
                    self.remove(oldest);
                }
            }
        }
        (!self.is_ending).then_some(Entry::Ended(id))
    }

    /// Entry for the event [`Deliver`](switchboard_broker::Event::Deliver).
    pub(crate) fn deliver(
        &mut self,
        id: SubscriptionId,
        channel: Bytes,
        (batch, headers): (Batch, Option<Arc<HeaderLines>>),
        tag: Option<DeliveryTag>,
        redelivered: bool,
    ) -> Entry {
        let subscription = self.subscriptions.get_mut(&id).filter(|subscription| !subscription.is_ended);
        let Some(subscription) = subscription else { return Entry::Skipped(batch.bytes()) };
        if let Some(DeliveryTag(first)) = tag {
            let tags = first..first + batch.len() as u64;
            self.end = self.end.max(tags.end);
            if let Some(unacked) = &mut subscription.unacked {
                match unacked.back_mut() {
                    Some(last) if last.end == first => last.end = tags.end,
                    _ => unacked.push_back(tags),
                }
            }
        }
        let line = subscription.line.clone();
        Entry::Messages { subscription: (id, line), channel, batch, headers, tag: tag.map(|tag| tag.0), redelivered }
    }

    /// The messages from this tag on were taken back before they were written.
    pub(crate) fn recalled(&mut self, from: u64) {
        self.end = self.end.min(from);
        for unacked in self.subscriptions.values_mut().filter_map(|subscription| subscription.unacked.as_mut()) {
            while unacked.back().is_some_and(|last| last.start >= from) {
                unacked.pop_back();
            }
            if let Some(last) = unacked.back_mut() {
                last.end = last.end.min(from);
            }
        }
    }

    /// The broker took the messages of these tags back at their ack time-out: no ack covers them any more.
    pub(crate) fn lapsed(&mut self, id: SubscriptionId, tags: Range<u64>) {
        let Some(Subscription { unacked: Some(unacked), is_ended, .. }) =
            self.subscriptions.get_mut(&id).map(Box::as_mut)
        else {
            return;
        };
        let begin = unacked.partition_point(|range| range.end <= tags.start);
        let end = unacked.partition_point(|range| range.start < tags.end).max(begin);
        let parts = unacked
            .drain(begin..end)
            .flat_map(|range| [range.start..range.end.min(tags.start), range.start.max(tags.end)..range.end]);
        let kept: Vec<Range<u64>> = parts.filter(|part| !part.is_empty()).collect();
        kept.into_iter().rev().for_each(|part| unacked.insert(begin, part));
        if unacked.is_empty() {
            *unacked = VecDeque::new();
            if *is_ended {
                self.remove(id);
            }
        }
    }

    /// Whether the broker knows the subscription still, as far as it has told.
    pub(super) fn is_live(&self, id: SubscriptionId) -> bool {
        self.subscriptions.get(&id).is_some_and(|subscription| !subscription.is_ended)
    }

    /// Whether a message was delivered under this tag.
    pub(super) fn is_given(&self, tag: u64) -> bool {
        (1..self.end).contains(&tag)
    }

    /// Takes the tags that an ack of `tag` covers, and gives them in order.
    pub(super) fn settle(&mut self, id: SubscriptionId, tag: u64, mut covered: impl FnMut(RangeInclusive<u64>)) {
        let Some(Subscription { unacked: Some(unacked), is_ended, .. }) =
            self.subscriptions.get_mut(&id).map(Box::as_mut)
        else {
            return covered(tag..=tag);
        };
        while let Some(first) = unacked.front_mut()
            && first.start <= tag
        {
            let end = first.end.min(tag + 1);
            covered(first.start..=end - 1);
            if end < first.end {
                first.start = end;
                break;
            }
            unacked.pop_front();
        }
        if unacked.is_empty() {
            *unacked = VecDeque::new();
            if *is_ended {
                self.remove(id);
            }
        }
    }

    fn remove(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(&id);
        self.ended.retain(|ended| *ended != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Ledger {
        fn covered(&mut self, id: SubscriptionId, tag: u64) -> Vec<RangeInclusive<u64>> {
            let mut covered = Vec::new();
            self.settle(id, tag, |tags| covered.push(tags));
            covered
        }
    }

    const ONE: SubscriptionId = SubscriptionId(1);
    const TWO: SubscriptionId = SubscriptionId(2);

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.subscribe(ONE, b"subscription:1\n".to_vec(), true);
        ledger.subscribe(TWO, b"subscription:2\n".to_vec(), false);
        for (id, first, count) in [(ONE, 1, 3), (ONE, 4, 1), (TWO, 5, 2), (ONE, 7, 2)] {
            let mut packer = switchboard_broker::Packer::default();
            (0..count).for_each(|_| packer.push(b"x"));
            let batch = packer.finish().unwrap();
            let entry = ledger.deliver(id, "/queue/a".into(), (batch, None), Some(DeliveryTag(first)), false);
            assert!(matches!(entry, Entry::Messages { .. }));
        }
        ledger
    }

    #[test]
    fn a_cumulative_ack_covers_earlier_messages_of_its_subscription_only() {
        let mut ledger = ledger();
        assert_eq!(ledger.covered(ONE, 7), [1..=4, 7..=7]);
        assert_eq!(ledger.covered(ONE, 7), []);
        assert_eq!(ledger.covered(ONE, 8), [8..=8]);
        assert_eq!(ledger.covered(TWO, 6), [6..=6]);
    }

    #[test]
    fn what_was_taken_back_is_covered_by_no_ack_and_unknown() {
        let mut ledger = ledger();
        assert!(ledger.is_given(8) && !ledger.is_given(9) && !ledger.is_given(0));
        ledger.recalled(3);
        assert!(ledger.is_given(2) && !ledger.is_given(3));
        assert_eq!(ledger.covered(ONE, 8), [1..=2]);
    }

    #[test]
    fn what_comes_for_a_subscription_that_has_ended_is_not_written() {
        let mut ledger = ledger();
        ledger.forget(TWO);
        let entry = ledger.deliver(TWO, "/topic/a".into(), (Batch::one(b"x"), None), None, false);
        assert!(matches!(entry, Entry::Skipped(5)));
    }

    #[test]
    fn a_cumulative_ack_covers_earlier_messages_also_once_its_subscription_has_ended() {
        let mut ledger = ledger();
        ledger.forget(ONE);
        let entry = ledger.deliver(ONE, "/topic/a".into(), (Batch::one(b"x"), None), None, false);
        assert!(matches!(entry, Entry::Skipped(5)));
        assert_eq!(ledger.covered(ONE, 4), [1..=4]);
        ledger.recalled(8);
        assert_eq!(ledger.covered(ONE, 7), [7..=7]);
        assert_eq!(ledger.subscriptions.len(), 1, "nothing of it is left");
        assert!(ledger.ended.is_empty());
    }

    #[test]
    fn what_lapsed_is_covered_by_no_ack() {
        for (lapsed, covered) in [
            (1..2, vec![2..=4, 7..=8]),
            (2..4, vec![1..=1, 4..=4, 7..=8]),
            (3..8, vec![1..=2, 8..=8]),
            (4..7, vec![1..=3, 7..=8]),
            (5..7, vec![1..=4, 7..=8]),
            (8..9, vec![1..=4, 7..=7]),
            (1..9, vec![]),
            (9..20, vec![1..=4, 7..=8]),
        ] {
            let mut ledger = ledger();
            ledger.lapsed(ONE, lapsed.clone());
            ledger.lapsed(TWO, lapsed.clone());
            assert_eq!(ledger.covered(ONE, 8), covered, "{lapsed:?}");
        }
    }

    #[test]
    fn a_subscription_that_never_acks_and_whose_messages_come_again_and_again_keeps_the_tags_of_what_it_has_alone() {
        let mut ledger = ledger();
        ledger.lapsed(ONE, 1..9);
        for number in 0..10_000 {
            // Tags between those of other subscriptions.
            let first = 9 + 3 * number;
            ledger.deliver(ONE, "/queue/a".into(), (Batch::one(b"x"), None), Some(DeliveryTag(first)), true);
            assert_eq!(ledger.subscriptions[&ONE].unacked.as_ref().map(VecDeque::len), Some(1));
            ledger.lapsed(ONE, first..first + 1);
        }
        ledger.deliver(ONE, "/queue/a".into(), (Batch::one(b"x"), None), Some(DeliveryTag(50_000)), true);
        ledger.forget(ONE);
        assert_eq!(ledger.subscriptions.len(), 2);
        ledger.lapsed(ONE, 50_000..50_001);
        assert_eq!((ledger.subscriptions.len(), ledger.ended.len()), (1, 0), "nothing of an ended one is left");
    }

    #[test]
    fn ended_subscriptions_whose_messages_are_never_acked_have_a_bound() {
        let mut ledger = Ledger::default();
        let mut cycle = |number: u32| {
            let id = SubscriptionId(number);
            ledger.subscribe(id, b"subscription:1\n".to_vec(), true);
            ledger.deliver(
                id,
                "/queue/a".into(),
                (Batch::one(b"x"), None),
                Some(DeliveryTag(u64::from(number) + 1)),
                false,
            );
            ledger.forget(id);
            ledger.forget(id);
            ledger.subscriptions.len()
        };
        let lengths: Vec<usize> = (0..ENDED as u32 + 2).map(&mut cycle).collect();
        assert_eq!(lengths[ENDED - 2..], [ENDED - 1, ENDED, ENDED, ENDED]);
        // The newest are known.
        let newest = ENDED as u32 + 1;
        assert_eq!(
            ledger.covered(SubscriptionId(newest), u64::MAX - 1),
            [u64::from(newest) + 1..=u64::from(newest) + 1]
        );
        assert_eq!((ledger.subscriptions.len(), ledger.ended.len()), (ENDED - 1, ENDED - 1));
        assert_eq!(ledger.covered(SubscriptionId(0), 1), [1..=1]);
    }
}
