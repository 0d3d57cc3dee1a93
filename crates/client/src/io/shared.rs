use crate::core::Publisher;
use crate::io::Dial;
use crate::mailbox::Mailbox;
use crate::{Event, Options};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use switchboard_driver::Driver;
use tokio::sync::{Notify, watch};

/// What a client and its tasks have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) dial: Dial,
    pub(crate) driver: Driver,
    core: Mutex<Publisher>,
    /// Wakes the task that writes.
    pub(crate) wake: Notify,
    listeners: Mutex<Vec<Weak<Mailbox<Event>>>>,
    /// Whether the client is closed, for its subscriptions.
    pub(crate) closed: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(dial: Dial, driver: Driver) -> Shared {
        let options = dial.options.clone();
        Shared {
            core: Mutex::new(Publisher::new(options.clone())),
            options,
            dial,
            driver,
            wake: Notify::new(),
            listeners: Mutex::default(),
            closed: watch::Sender::new(false),
        }
    }

    /// Whoever changes something that replies or events come of uses [`Shared::with`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Publisher> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the core, then answers without its lock.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Publisher) -> R) -> R {
        let mut core = self.lock();
        let result = work(&mut core);
        let due = core.take_due();
        drop(core);
        if !due.is_empty() {
            for event in due.events {
                self.tell(&event);
            }
            for (promise, result) in due.replies {
                promise.fulfil(result);
            }
        }
        result
    }

    pub(crate) fn listen(&self) -> Arc<Mailbox<Event>> {
        let mailbox = Arc::new(Mailbox::new(EVENTS));
        // Under the lock, or the end might come in between.
        let mut listeners = self.listeners();
        if *self.closed.borrow() {
            mailbox.end();
        }
        listeners.push(Arc::downgrade(&mailbox));
        mailbox
    }

    pub(crate) fn tell(&self, event: &Event) {
        let mut there = Vec::new();
        self.listeners().retain(|listener| listener.upgrade().map(|mailbox| there.push(mailbox)).is_some());
        // Without the lock: whoever is woken may ask for events.
        for mailbox in there {
            mailbox.put_or_miss(event.clone());
        }
    }

    /// The publishing task has ended, for whatever reason.
    pub(crate) fn end(&self) {
        self.with(|core| core.end(&crate::Error::Closed));
        self.closed.send_replace(true);
        let listeners = std::mem::take(&mut *self.listeners());
        for mailbox in listeners.iter().filter_map(Weak::upgrade) {
            mailbox.end();
        }
    }

    fn listeners(&self) -> MutexGuard<'_, Vec<Weak<Mailbox<Event>>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events that wait for one who listens; the oldest are left out, and counted.
const EVENTS: usize = 1024;
