//! What a socket and its tasks have in common.

use crate::event::{Announcer, Event};
use crate::inbox::{Inbox, Lane};
use crate::options::{Bound, Place};
use crate::outbox::{Outbox, PipeId, Wakes};
use crate::wants::Wants;
use crate::{Endpoint, Error, Options};
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use switchboard_driver::Driver;
use switchboard_wire::zmtp::SocketType;
use tokio::sync::{Notify, watch};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) kind: SocketType,
    pub(crate) options: Options,
    pub(crate) driver: Driver,
    outbox: Mutex<Outbox>,
    pub(crate) inbox: Inbox,
    pub(crate) wants: Wants,
    /// For what the socket tells itself: an XPUB's subscriptions.
    pub(crate) own: Arc<Lane>,
    pub(crate) events: Announcer,
    pub(crate) life: watch::Sender<Life>,
    endpoints: Mutex<Vec<Held>>,
    /// How many tasks there are.
    tasks: watch::Sender<usize>,
    /// How many peers are connected to bound endpoints.
    pub(crate) connections: AtomicUsize,
    /// Messages that were still there when their time was over.
    unsent: AtomicUsize,
}

/// Whether a socket, or one of its endpoints, goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// What waits is sent until then, but nothing more.
    Closing(Instant),
}

/// An endpoint that can be let go of.
#[derive(Debug)]
struct Held {
    endpoint: Endpoint,
    bound: bool,
    /// Of a connected one that sends. It is there as long as its task, which lives until it is let go of.
    pipe: Option<PipeId>,
    life: watch::Sender<Life>,
}

impl Core {
    pub(crate) fn new(kind: SocketType, options: Options) -> Result<Arc<Core>, Error> {
        options.check()?;
        let driver = match options.driver {
            Place::Current => Driver::current(),
            Place::Shared => Driver::shared(),
        };
        let driver = driver.map_err(|error| Error::NoThread(Arc::new(error)))?;
        let outbox = Outbox::new(Bound::new(options.send_hwm, options.send_bytes), options.conflate);
        // Subscriptions are not conflated.
        let conflate = options.conflate && !kind.publishes();
        let core = Arc::new(Core {
            kind,
            driver,
            outbox: Mutex::new(outbox),
            inbox: Inbox::new(conflate),
            wants: Wants::default(),
            own: Arc::new(Lane::new(Bound::new(0, 0), Arc::default())),
            events: Announcer::default(),
            life: watch::Sender::new(Life::Open),
            endpoints: Mutex::default(),
            tasks: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            unsent: AtomicUsize::new(0),
            options,
        });
        // Whoever waits must hear of it when the runtime is shut down.
        let keeper = Keeper(core.clone());
        drop(core.driver.spawn(async move {
            let mut life = keeper.0.life.subscribe();
            let _ = life.wait_for(|life| *life != Life::Open).await;
            let mut tasks = keeper.0.tasks.subscribe();
            let _ = tasks.wait_for(|tasks| *tasks == 0).await;
        }));
        Ok(core)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the outbox, and wakes whom that concerns without its lock.
    #[inline]
    pub(crate) fn with_outbox<R>(&self, work: impl FnOnce(&mut Outbox, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut outbox = self.outbox();
        let result = work(&mut outbox, &mut wakes);
        drop(outbox);
        wakes.wake();
        result
    }

    /// There is room for messages, or nobody to send them.
    pub(crate) fn wake_senders(&self) {
        let waiting = self.outbox().waiters.all();
        waiting.into_iter().for_each(std::task::Waker::wake);
    }

    /// Runs a task of this socket.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let counted = self.count();
        drop(self.driver.spawn(async move {
            let _counted = counted;
            task.await;
        }));
    }

    /// Whoever closes the socket waits until this is dropped.
    pub(crate) fn count(self: &Arc<Self>) -> Counted {
        self.tasks.send_modify(|tasks| *tasks += 1);
        Counted(self.clone())
    }

    pub(crate) fn tell(&self, event: &Event) {
        self.events.tell(event);
    }

    /// Keeps an endpoint, to be let go of later.
    pub(crate) fn hold(&self, endpoint: Endpoint, bound: bool, pipe: Option<PipeId>) -> watch::Receiver<Life> {
        let (life, receiver) = watch::channel(Life::Open);
        self.endpoints().push(Held { endpoint, bound, pipe, life });
        receiver
    }

    pub(crate) fn endpoints_of(&self, bound: bool) -> Vec<Endpoint> {
        self.endpoints().iter().filter(|held| held.bound == bound).map(|held| held.endpoint.clone()).collect()
    }

    /// Lets go of one endpoint.
    pub(crate) fn let_go(&self, endpoint: &Endpoint, bound: bool) -> bool {
        let mut endpoints = self.endpoints();
        let Some(at) = endpoints.iter().position(|held| held.bound == bound && held.endpoint == *endpoint) else {
            return false;
        };
        let held = endpoints.remove(at);
        // Before its task knows, or what is sent now would go with it.
        if let Some(pipe) = held.pipe {
            self.outbox().retire(pipe);
        }
        held.life.send_replace(self.closing());
        true
    }

    /// Lets go of everything.
    pub(crate) fn close(&self) {
        let closing = self.closing();
        self.life.send_replace(closing);
        for held in self.endpoints().drain(..) {
            held.life.send_replace(closing);
        }
    }

    fn closing(&self) -> Life {
        let now = Instant::now();
        // Longer than the clock can count is a year.
        let end = now.checked_add(self.options.linger).unwrap_or(now + std::time::Duration::from_secs(31_536_000));
        Life::Closing(end)
    }

    /// Until everything is sent, or its time is over.
    pub(crate) async fn closed(&self) -> Result<(), Error> {
        let mut tasks = self.tasks.subscribe();
        let _ = tasks.wait_for(|tasks| *tasks == 0).await;
        match self.unsent.load(Ordering::SeqCst) {
            0 => Ok(()),
            messages => Err(Error::Unsent { messages }),
        }
    }

    pub(crate) fn count_unsent(&self, messages: usize) {
        self.unsent.fetch_add(messages, Ordering::SeqCst);
    }

    fn endpoints(&self) -> MutexGuard<'_, Vec<Held>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task that is counted until it is dropped, for whatever reason.
pub(crate) struct Counted(Arc<Core>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}

struct Keeper(Arc<Core>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.inbox.end();
        self.0.outbox().ended = true;
        self.0.wake_senders();
        self.0.events.end();
    }
}

/// Wakes a peer's task.
pub(crate) type Wake = Arc<Notify>;
