use crate::core::Publisher;
use crate::io::Dial;
use crate::runner::Runner;
use crate::{Event, Events, Options};
use parking_lot::{Mutex, MutexGuard};
use std::future::Future;
use std::sync::Arc;
use switchboard_driver::{Announcer, Driver, Task};
use tokio::sync::{Notify, watch};

/// State shared by a client and its tasks.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Arc<Options>,
    pub(crate) dial: Dial,
    driver: Driver,
    pub(crate) runner: Arc<Runner>,
    core: Mutex<Publisher>,
    /// Wakes the task that writes.
    pub(crate) wake: Notify,
    events: Announcer<Event>,
    /// Whether the client is closed, for its subscriptions.
    pub(crate) closed: watch::Sender<bool>,
}

impl Shared {
    pub(crate) fn new(dial: Dial, driver: Driver) -> Shared {
        let options = dial.options.clone();
        let runner = {
            let _inside = driver.enter();
            Arc::new(Runner::of(&tokio::runtime::Handle::current()))
        };
        Shared {
            core: Mutex::new(Publisher::new(options.clone(), runner.clone())),
            options,
            dial,
            driver,
            runner,
            wake: Notify::new(),
            events: Announcer::new(EVENTS),
            closed: watch::Sender::new(false),
        }
    }

    /// Runs a task of the client.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        self.driver.spawn(self.runner.track(task))
    }

    /// For changes that complete nothing and cause no event; all others use [`Shared::with`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, Publisher> {
        self.core.lock()
    }

    /// Works on the core, then answers without its lock.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Publisher) -> R) -> R {
        let mut core = self.lock();
        let result = work(&mut core);
        let due = core.take_due();
        drop(core);
        if !due.is_empty() {
            for event in due.events {
                self.emit(&event);
            }
            for (completer, result) in due.completions {
                completer.complete(result);
            }
        }
        result
    }

    pub(crate) fn listen(&self) -> Events {
        Events::new(self.events.subscribe(), self.runner.clone())
    }

    pub(crate) fn emit(&self, event: &Event) {
        self.events.announce(event);
    }

    /// The publishing task has ended, for whatever reason.
    pub(crate) fn end(&self) {
        self.with(|core| core.end(&crate::Error::Closed));
        self.closed.send_replace(true);
        self.events.end();
    }
}

/// Events that wait for one reader; the oldest beyond are left out, and counted.
const EVENTS: usize = 1024;
