use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

/// Sends events to any number of mailboxes. Nobody waits for a mailbox: one that is full loses its oldest events, and counts them.
#[derive(Debug)]
pub struct Announcer<E> {
    state: Mutex<State<E>>,
    capacity: usize,
}

#[derive(Debug)]
struct State<E> {
    mailboxes: Vec<Weak<Mutex<Waiting<E>>>>,
    ended: bool,
}

#[derive(Debug)]
struct Waiting<E> {
    events: VecDeque<E>,
    missed: usize,
    waker: Option<Waker>,
    ended: bool,
}

/// An item of a [`Mailbox`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery<E> {
    /// An event.
    Event(E),
    /// The number of events that were lost here, because the mailbox was full.
    Missed(usize),
}

impl<E: Clone> Announcer<E> {
    /// Each mailbox keeps up to `capacity` events.
    #[must_use]
    pub fn new(capacity: usize) -> Announcer<E> {
        Announcer { state: Mutex::new(State { mailboxes: Vec::new(), ended: false }), capacity }
    }

    /// A mailbox for the events from now on.
    pub fn subscribe(&self) -> Mailbox<E> {
        let mut state = self.state.lock();
        let waiting = Waiting { events: VecDeque::new(), missed: 0, waker: None, ended: state.ended };
        let mailbox = Arc::new(Mutex::new(waiting));
        state.mailboxes.retain(|mailbox| mailbox.strong_count() > 0);
        state.mailboxes.push(Arc::downgrade(&mailbox));
        Mailbox(mailbox)
    }

    /// Sends an event to all mailboxes.
    pub fn announce(&self, event: &E) {
        self.each(|waiting| {
            if waiting.events.len() >= self.capacity {
                waiting.missed += 1;
                if waiting.events.pop_front().is_none() {
                    return;
                }
            }
            waiting.events.push_back(event.clone());
        });
    }

    /// No more events will come.
    pub fn end(&self) {
        self.state.lock().ended = true;
        self.each(|waiting| waiting.ended = true);
    }

    fn each(&self, mut work: impl FnMut(&mut Waiting<E>)) {
        let mut wakers = Vec::new();
        self.state.lock().mailboxes.retain(|mailbox| {
            let Some(mailbox) = mailbox.upgrade() else { return false };
            let mut waiting = mailbox.lock();
            work(&mut waiting);
            wakers.extend(waiting.waker.take());
            true
        });
        // Without the locks: a task that is woken may subscribe.
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Receives the events of an [`Announcer`].
#[derive(Debug)]
pub struct Mailbox<E>(Arc<Mutex<Waiting<E>>>);

impl<E> Mailbox<E> {
    /// The next event, or the number of lost ones; `None` at the end.
    pub fn poll_next(&mut self, context: &Context<'_>) -> Poll<Option<Delivery<E>>> {
        let mut waiting = self.0.lock();
        match waiting.next() {
            None if !waiting.ended => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
            delivery => Poll::Ready(delivery),
        }
    }

    /// The next one that is here already.
    pub fn try_next(&mut self) -> Option<Delivery<E>> {
        self.0.lock().next()
    }
}

impl<E> Waiting<E> {
    fn next(&mut self) -> Option<Delivery<E>> {
        if self.missed > 0 {
            return Some(Delivery::Missed(std::mem::take(&mut self.missed)));
        }
        self.events.pop_front().map(Delivery::Event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mailbox: &mut Mailbox<u32>) -> Vec<Delivery<u32>> {
        std::iter::from_fn(|| mailbox.try_next()).collect()
    }

    #[test]
    fn a_full_mailbox_loses_its_oldest_events_and_counts_them() {
        for (capacity, sent, expected) in [
            (2, 1, vec![Delivery::Event(0)]),
            (2, 2, vec![Delivery::Event(0), Delivery::Event(1)]),
            (2, 3, vec![Delivery::Missed(1), Delivery::Event(1), Delivery::Event(2)]),
            (0, 2, vec![Delivery::Missed(2)]),
        ] {
            let announcer = Announcer::new(capacity);
            let mut mailbox = announcer.subscribe();
            (0..sent).for_each(|event| announcer.announce(&event));
            assert_eq!(all(&mut mailbox), expected);
            assert_eq!(all(&mut mailbox), []);
        }
    }

    #[test]
    fn each_mailbox_has_the_events_since_it_was_made_and_then_the_end() {
        let announcer = Announcer::new(10);
        let mut early = announcer.subscribe();
        announcer.announce(&1);
        let mut late = announcer.subscribe();
        announcer.announce(&2);
        let context = Context::from_waker(Waker::noop());
        assert_eq!(early.poll_next(&context), Poll::Ready(Some(Delivery::Event(1))));
        announcer.end();
        assert_eq!(early.poll_next(&context), Poll::Ready(Some(Delivery::Event(2))));
        assert_eq!(early.poll_next(&context), Poll::Ready(None));
        assert_eq!(all(&mut late), [Delivery::Event(2)]);
        assert_eq!(announcer.subscribe().poll_next(&context), Poll::Ready(None));
        drop(early);
        announcer.announce(&3);
        assert_eq!(announcer.state.lock().mailboxes.len(), 1);
    }
}
