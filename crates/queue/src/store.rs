//! In which order items leave.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// The side of the consumers. Every order is fed from a buffer in order of arrival, so that
/// producers need not know which one it is, and the work of sorting is never theirs.
pub(crate) struct Store<T> {
    arrived: VecDeque<T>,
    order: Order<T>,
    /// Number of items that ever came in; wraps.
    entered: usize,
    /// Number of times in a row that a large buffer was hardly used.
    unused: usize,
}

enum Order<T> {
    Fifo,
    Lifo(Vec<T>),
    Priority { heap: BinaryHeap<Ranked<T>>, compare: Compare<T>, arrivals: u64 },
}

/// A function rather than `T: Ord`, so that one type of queue serves all three orders.
pub(crate) type Compare<T> = fn(&T, &T) -> Ordering;

struct Ranked<T> {
    item: T,
    arrival: u64,
    compare: Compare<T>,
}

impl<T> Store<T> {
    pub(crate) fn fifo() -> Self {
        Self { arrived: VecDeque::new(), order: Order::Fifo, entered: 0, unused: 0 }
    }

    pub(crate) fn lifo() -> Self {
        Self { arrived: VecDeque::new(), order: Order::Lifo(Vec::new()), entered: 0, unused: 0 }
    }

    pub(crate) fn priority(compare: Compare<T>) -> Self {
        let order = Order::Priority { heap: BinaryHeap::new(), compare, arrivals: 0 };
        Self { arrived: VecDeque::new(), order, entered: 0, unused: 0 }
    }

    /// Whether the next `wanted` items may depend on what has arrived since.
    pub(crate) fn needs_arrivals(&self, wanted: usize) -> bool {
        match self.order {
            Order::Fifo => self.arrived.len() < wanted,
            Order::Lifo(_) | Order::Priority { .. } => true,
        }
    }

    /// Takes everything out of `inbox`.
    pub(crate) fn arrive(&mut self, inbox: &mut VecDeque<T>) {
        self.entered = self.entered.wrapping_add(inbox.len());
        if self.arrived.is_empty() {
            self.give_back(inbox.len());
            std::mem::swap(&mut self.arrived, inbox);
        } else {
            self.arrived.append(inbox);
        }
    }

    /// After a burst its two buffers would come and go for ever. But not at the first sign: it costs more to
    /// fetch so much memory again than to keep it for a while.
    fn give_back(&mut self, arriving: usize) {
        if self.arrived.capacity() > SMALL {
            let used = arriving >= self.arrived.capacity() / 8;
            self.unused = if used { 0 } else { self.unused + 1 };
            if self.unused == PATIENCE {
                (self.arrived, self.unused) = (VecDeque::new(), 0);
            }
        }
    }

    /// Puts what arrived in its waiter. CachePadded from `arrive`, for it may take long and runs the items' `Ord`.
    pub(crate) fn sort_in(&mut self) {
        match &mut self.order {
            Order::Fifo => {}
            Order::Lifo(pile) => pile.extend(self.arrived.drain(..)),
            Order::Priority { heap, compare, arrivals } => {
                while let Some(item) = self.arrived.pop_front() {
                    *arrivals += 1;
                    heap.push(Ranked { item, arrival: *arrivals, compare: *compare });
                }
            }
        }
    }

    /// The next item, of those that were sorted in.
    pub(crate) fn next(&mut self) -> Option<T> {
        match &mut self.order {
            Order::Fifo => self.arrived.pop_front(),
            Order::Lifo(pile) => pile.pop(),
            Order::Priority { heap, .. } => heap.pop().map(|ranked| ranked.item),
        }
    }

    /// Returns the number of items that ever left; wraps. Not counted where they leave, for one whose `Ord` panics goes by another door.
    pub(crate) fn taken(&self) -> usize {
        self.entered.wrapping_sub(self.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.arrived.len()
            + match &self.order {
                Order::Fifo => 0,
                Order::Lifo(pile) => pile.len(),
                Order::Priority { heap, .. } => heap.len(),
            }
    }
}

/// A buffer of this many slots is not worth freeing.
const SMALL: usize = 1024;

/// Number of times in a row that a buffer is hardly used before it is given back.
const PATIENCE: usize = 1000;

// The heap hands out its greatest, so what should leave first is greatest.
impl<T> Ord for Ranked<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.compare)(&other.item, &self.item).then(other.arrival.cmp(&self.arrival))
    }
}

impl<T> PartialOrd for Ranked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Ranked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Ranked<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_gives_its_buffers_back_once_they_are_hardly_used() {
        let (mut store, mut inbox) = (Store::fifo(), VecDeque::new());
        for _ in 0..2 {
            inbox.extend(0..100_000);
            store.arrive(&mut inbox);
            while store.next().is_some() {}
        }
        assert!(store.arrived.capacity() + inbox.capacity() >= 200_000);
        for item in 0..10 * PATIENCE {
            inbox.push_back(item);
            store.arrive(&mut inbox);
            assert_eq!(store.next(), Some(item));
        }
        assert!(store.arrived.capacity() + inbox.capacity() <= 2 * SMALL);
    }
}
