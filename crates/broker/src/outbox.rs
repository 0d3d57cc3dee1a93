use crate::backlog::{OPEN, SMALL};
use crate::delivery::Tries;
use crate::slots::{AllocationSlot, MemberSlot};
use crate::{Attributes, Batch, Time};
use std::collections::VecDeque;
use std::sync::Arc;

mod entry;
mod recall;

pub(crate) use entry::{Origin, OutboxEntry};

/// A buffer that still grows.
#[derive(Debug)]
struct Open {
    packed: Vec<u8>,
    count: usize,
    attributes: Option<Arc<Attributes>>,
    allocation: Option<AllocationSlot>,
    tries: Tries,
    origin: Origin,
}

/// Result of copying an entry to its neighbor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coalesced {
    /// Into a buffer that was there, which is charged for so many bytes now.
    Into(AllocationSlot, usize),
    /// Into a new buffer that is charged for so many bytes, together with an entry whose buffer this was.
    Opened(Option<AllocationSlot>, usize),
}

/// Room for so many entries is kept.
const ENTRIES: usize = 64;
/// Entries in flight at most: a recall looks at each.
const IN_FLIGHT: usize = 1024;
/// Entries whose time is over that are passed over together.
pub(crate) const PASSED: usize = 64;
/// A search for the oldest entry of a topic goes so far.
const SEARCHED: usize = 64;

/// Messages that wait to be written to one connection. The first entries are in flight: in the
/// driver's hands already.
///
/// A sweep passes over all entries that are not in flight, some at a time, and takes out some.
/// Until it is over nothing is handed out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: VecDeque<OutboxEntry>,
    /// During a sweep: what it has not come to, and everything behind.
    unswept: VecDeque<OutboxEntry>,
    is_swept: bool,
    /// Behind all entries: small ones, copied together.
    open: Option<Box<Open>>,
    in_flight: usize,
    in_flight_bytes: usize,
    front_written: usize,
    /// The first entry's place in everything that was ever written.
    position: u64,
    bytes: usize,
    /// Bytes of attributes, counted once an entry.
    extra: usize,
    messages: usize,
    /// When the first of the entries that were handed out since it was asked for expires.
    handed_expires: Option<Time>,
    /// Some entry was passed over, or one that expires is handed out.
    pub(crate) has_times: bool,
    /// Entries whose time was over when they were to be handed out.
    pub(crate) expired: Vec<OutboxEntry>,
    /// Perhaps there are more of these.
    pub(crate) passes_on: bool,
    /// Of entries that are done when they are written or acknowledged, whole.
    auto_bytes: usize,
    queue_entries: usize,
}

impl Outbox {
    /// Unwritten bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that count for the bound: unwritten ones, and those of attributes.
    pub(crate) fn load(&self) -> usize {
        self.bytes + self.extra
    }

    /// Messages that are not wholly written.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// Bytes of a queue's entries that are not wholly written.
    pub(crate) fn auto_bytes(&self) -> usize {
        self.auto_bytes
    }

    /// Entries, each of which is charged.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.unswept.len() + usize::from(self.open.is_some())
    }

    /// Bytes that were ever written.
    pub(crate) fn written(&self) -> u64 {
        self.position + self.front_written as u64
    }

    /// All entries but one that still grows.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &OutboxEntry> {
        self.entries.iter().chain(&self.unswept)
    }

    /// Messages of queues that are done when they are written, by member.
    pub(crate) fn queue_messages(&self) -> impl Iterator<Item = (MemberSlot, usize, Option<&Arc<Attributes>>)> {
        let open = self.open.as_ref().map(|open| (open.origin, open.count, open.attributes.as_ref()));
        let all = self.entries().map(|entry| (entry.origin, entry.batch.len(), entry.batch.attributes())).chain(open);
        let auto = all.filter(|(origin, ..)| origin.is_auto());
        auto.filter_map(|(origin, count, attributes)| Some((origin.member()?, count, attributes)))
    }

    /// A reference to a buffer for each entry that has one, and the bytes of it that are used, for the audit.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = (AllocationSlot, usize)> {
        let entries = self.entries().filter_map(OutboxEntry::buffer);
        entries.chain(self.open.iter().filter_map(|open| {
            let extra = open.attributes.as_ref().map_or(0, |attributes| attributes.charge_given());
            Some((open.allocation?, open.packed.len() + extra))
        }))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Origins of the messages that are not wholly written, and their ranks, entry by entry.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (Origin, u8)> {
        let open = self.open.as_ref().map(|open| (open.origin, Batch::rank_of(open.attributes.as_ref())));
        self.entries().map(|entry| (entry.origin, entry.batch.rank())).chain(open)
    }

    /// Entries in the driver's hands.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &OutboxEntry> {
        self.entries.iter().take(self.in_flight)
    }

    pub(crate) fn has_in_flight(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether the driver has all entries.
    pub(crate) fn is_handed_out(&self) -> bool {
        self.len() == self.in_flight
    }

    /// Unwritten bytes in the driver's hands.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    pub(crate) fn has_queue_entries(&self) -> bool {
        self.queue_entries > 0
    }

    pub(crate) fn is_swept(&self) -> bool {
        self.is_swept
    }

    pub(crate) fn push(&mut self, entry: OutboxEntry) {
        self.close();
        self.count(&entry);
        if self.is_swept { self.unswept.push_back(entry) } else { self.entries.push_back(entry) }
    }

    fn count(&mut self, entry: &OutboxEntry) {
        let bytes = entry.batch.bytes();
        self.bytes += bytes;
        self.extra += entry.batch.extra();
        self.messages += entry.batch.len();
        self.auto_bytes += if entry.origin.is_auto() { bytes } else { 0 };
        self.queue_entries += usize::from(entry.origin.is_of_queue());
    }

    #[inline]
    fn uncount(&mut self, entry: &OutboxEntry) {
        let bytes = entry.batch.bytes();
        self.extra -= entry.batch.extra();
        self.messages -= entry.batch.len();
        self.auto_bytes -= if entry.origin.is_auto() { bytes } else { 0 };
        self.queue_entries -= usize::from(entry.origin.is_of_queue());
    }

    /// Copies a small entry to its small neighbor, if that is not in flight, of the same origin, and has the
    /// same attributes.
    pub(crate) fn coalesce(&mut self, entry: &OutboxEntry) -> Option<Coalesced> {
        let (batch, origin) = (&entry.batch, entry.origin);
        if batch.bytes() > SMALL || self.is_swept {
            return None;
        }
        let mut coalesced = None;
        if self.open.is_none() {
            if self.entries.len() == self.in_flight {
                return None;
            }
            let fits = |last: &mut OutboxEntry| {
                last.batch.bytes() <= SMALL
                    && last.tries == entry.tries
                    && batch.has_attributes(last.batch.attributes())
                    && last.origin.join(last.batch.len(), origin, batch.len()).is_some()
            };
            let last = self.entries.pop_back_if(fits)?;
            let mut packed = Vec::with_capacity(2 * (last.batch.bytes() + batch.bytes()));
            packed.extend_from_slice(last.batch.packed());
            let attributes = last.batch.attributes().cloned();
            let open = Open {
                packed,
                count: last.batch.len(),
                attributes,
                allocation: None,
                tries: last.tries,
                origin: last.origin,
            };
            self.open = Some(Box::new(open));
            coalesced = Some(last.allocation);
        }
        let open = self.open.as_mut()?;
        let is_full = open.packed.len() + batch.bytes() > OPEN;
        if is_full || open.tries != entry.tries || !batch.has_attributes(open.attributes.as_ref()) {
            return None;
        }
        open.origin = open.origin.join(open.count, origin, batch.len())?;
        open.packed.extend_from_slice(batch.packed());
        open.count += batch.len();
        let capacity = open.packed.capacity() + batch.extra_given();
        let result = match coalesced {
            Some(replaced) => Coalesced::Opened(replaced, capacity),
            None => Coalesced::Into(open.allocation?, capacity),
        };
        self.bytes += batch.bytes();
        self.messages += batch.len();
        self.auto_bytes += if origin.is_auto() { batch.bytes() } else { 0 };
        Some(result)
    }

    /// The buffer of [`Coalesced::Opened`] is counted as this.
    pub(crate) fn opened(&mut self, allocation: AllocationSlot) {
        if let Some(open) = &mut self.open {
            open.allocation = Some(allocation);
        }
    }

    #[inline]
    fn close(&mut self) {
        if self.open.is_some() {
            self.close_open();
        }
    }

    fn close_open(&mut self) {
        if let Some(open) = self.open.take() {
            let Open { packed, count, attributes, allocation, tries, origin } = *open;
            let batch = Batch::from_parts(packed.into(), count, attributes);
            let entry = OutboxEntry { batch, allocation, tries, origin };
            if self.is_swept { self.unswept.push_back(entry) } else { self.entries.push_back(entry) }
        }
    }

    /// The next entry to hand out, unless a window's worth is in flight already. Those whose time is over are
    /// passed over, and taken out, some in each call.
    #[inline]
    pub(crate) fn hand_out(&mut self, window: usize, now: Time) -> Option<&OutboxEntry> {
        if self.in_flight_bytes >= window || self.in_flight >= IN_FLIGHT {
            return None;
        }
        if self.extra > 0 && !self.pass_expired(now) {
            return None;
        }
        if self.in_flight == self.entries.len() {
            self.open.as_ref()?;
            self.close();
        }
        let entry = &self.entries[self.in_flight];
        self.in_flight += 1;
        self.in_flight_bytes += entry.batch.bytes();
        Some(entry)
    }

    /// Takes out the entries that are next to be handed out and whose time is over: false if there may be more.
    #[cold]
    fn pass_expired(&mut self, now: Time) -> bool {
        loop {
            if self.in_flight == self.entries.len() {
                self.close();
            }
            let next = self.entries.get(self.in_flight);
            if next.is_none_or(|next| !next.has_expired(now)) {
                if let Some(expires) = next.and_then(OutboxEntry::expires) {
                    self.handed_expires = Some(self.handed_expires.map_or(expires, |earlier| earlier.min(expires)));
                    self.has_times = true;
                }
                return true;
            }
            self.has_times = true;
            if self.expired.len() == PASSED {
                self.passes_on = true;
                return false;
            }
            let Some(entry) = self.entries.remove(self.in_flight) else { return true };
            self.bytes -= entry.batch.bytes();
            self.uncount(&entry);
            self.expired.push(entry);
        }
    }

    /// When the first of the entries expires that were handed out since the last call.
    pub(crate) fn take_handed_expires(&mut self) -> Option<Time> {
        self.has_times = false;
        self.handed_expires.take()
    }

    /// When the first of the entries in flight expires of which nothing is written, as far as that is known here.
    pub(crate) fn in_flight_expires(&self) -> Option<Time> {
        let begun = usize::from(self.front_written > 0);
        self.in_flight().skip(begun).filter_map(OutboxEntry::expires).min()
    }

    /// Takes credit for written bytes. [`Outbox::pop_written`] gives the entries that are done.
    pub(crate) fn credit(&mut self, bytes: usize) {
        let bytes = bytes.min(self.in_flight_bytes);
        self.in_flight_bytes -= bytes;
        self.bytes -= bytes;
        self.front_written += bytes;
    }

    /// The next entry that is wholly written, and where it ends in everything that was ever written.
    pub(crate) fn pop_written(&mut self) -> Option<(OutboxEntry, u64)> {
        let front = self.entries.front().map_or(0, |front| front.batch.bytes());
        if self.in_flight == 0 || self.front_written < front {
            self.shrink();
            return None;
        }
        self.front_written -= front;
        self.position += front as u64;
        self.in_flight -= 1;
        let entry = self.entries.pop_front()?;
        self.uncount(&entry);
        Some((entry, self.position))
    }

    /// A burst must not leave its bookkeeping behind with an idle connection.
    fn shrink(&mut self) {
        if self.entries.capacity() > ENTRIES && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to((self.entries.len() * 2).min(ENTRIES));
        }
    }

    /// Takes out the oldest entry that is not in flight and of a topic whose subscriber may miss it, of those that a search
    /// from both ends finds; not the newest of all where that stays.
    pub(crate) fn drop_oldest(
        &mut self,
        may_miss: impl Fn(MemberSlot) -> bool,
        newest_stays: bool,
    ) -> Option<OutboxEntry> {
        self.close();
        let (swept, end) = (self.entries.len(), self.len().saturating_sub(usize::from(newest_stays)));
        let near = self.in_flight..end.min(self.in_flight + SEARCHED);
        let far = end.saturating_sub(SEARCHED).max(near.end)..end;
        let entry = |index: usize| if index < swept { &self.entries[index] } else { &self.unswept[index - swept] };
        let is_missed = |&index: &usize| matches!(entry(index).origin, Origin::Topic { member } if may_miss(member));
        let oldest = near.chain(far).find(is_missed)?;
        let entry = if oldest < swept { self.entries.remove(oldest) } else { self.unswept.remove(oldest - swept) }?;
        self.bytes -= entry.batch.bytes();
        self.uncount(&entry);
        Some(entry)
    }
}
