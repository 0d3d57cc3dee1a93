//! The state that a socket shares with its tasks.

use crate::endpoints::{Endpoints, Guard, OpenEndpoint};
use crate::event::{self, Event, PeerId};
use crate::inbox::Inbox;
use crate::options::{HighWaterMark, Runtime};
use crate::outbox::{Outbox, PipeId, Wakes};
use crate::subscriptions::Subscriptions;
use crate::{Endpoint, Error, Options};
use parking_lot::{Mutex, MutexGuard};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;
use switchboard_driver::{Announcer, Deadline, Driver, catch_panic};
use switchboard_wire::zmtp::SocketType;
use tokio::sync::{Notify, watch};

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) kind: SocketType,
    pub(crate) options: Options,
    pub(crate) driver: Driver,
    outbox: Mutex<Outbox>,
    pub(crate) inbox: Inbox,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) events: Announcer<Event>,
    pub(crate) lifecycle: watch::Sender<Lifecycle>,
    endpoints: Mutex<Endpoints>,
    /// The number of tasks.
    tasks: watch::Sender<usize>,
    /// The number of peers that are connected to bound endpoints.
    pub(crate) connections: AtomicUsize,
    /// Numbers connections and endpoints.
    numbers: AtomicU64,
    /// Messages that were still there when their time was over.
    unsent: AtomicUsize,
    /// A future of this socket was polled by an executor: the socket must not block a thread when it is dropped.
    awaited: AtomicBool,
}

/// Whether a socket, or one of its endpoints, goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Open,
    /// Waiting messages are sent until then, and no others.
    Closing(Deadline),
}

/// An endpoint as its task sees it.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    number: u64,
    bound: bool,
    pub(crate) endpoint: Endpoint,
    pub(crate) lifecycle: watch::Receiver<Lifecycle>,
}

impl Core {
    pub(crate) fn new(kind: SocketType, options: Options) -> Result<Arc<Core>, Error> {
        options.check()?;
        let driver = match options.runtime {
            Runtime::Current => Driver::current(),
            Runtime::Shared => Driver::shared(),
        };
        let driver = driver.map_err(|error| Error::NoThread(Arc::new(error)))?;
        let outbox = Outbox::new(HighWaterMark::new(options.send_hwm, options.send_bytes), options.conflate);
        let core = Arc::new(Core {
            kind,
            driver,
            outbox: Mutex::new(outbox),
            inbox: Inbox::new(options.conflate),
            subscriptions: Subscriptions::default(),
            events: event::announcer(),
            lifecycle: watch::Sender::new(Lifecycle::Open),
            endpoints: Mutex::default(),
            tasks: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            unsent: AtomicUsize::new(0),
            awaited: AtomicBool::new(false),
            options,
        });
        // Waiters must be woken when the runtime is shut down.
        let waker = EndOfRuntime(core.clone());
        drop(core.driver.spawn(async move {
            let mut lifecycle = waker.0.lifecycle.subscribe();
            let _ = lifecycle.wait_for(|lifecycle| *lifecycle != Lifecycle::Open).await;
            waker.0.idle().await;
        }));
        Ok(core)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock()
    }

    /// Works on the outbox, and wakes peers' tasks without its lock.
    #[inline]
    pub(crate) fn with_outbox<R>(&self, work: impl FnOnce(&mut Outbox, &mut Wakes) -> R) -> R {
        let mut wakes = Wakes::default();
        let mut outbox = self.outbox();
        let result = work(&mut outbox, &mut wakes);
        drop(outbox);
        wakes.wake();
        result
    }

    /// There is room for messages, or no task left to send them.
    pub(crate) fn wake_senders(&self) {
        let outbox = self.outbox();
        let wakers = [outbox.waiters.all(), outbox.flushers.all()].concat();
        drop(outbox);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Runs a task of this socket. Its panic is an event, and closes what it had.
    pub(crate) fn spawn(self: &Arc<Self>, of: &Registered, task: impl Future<Output = ()> + Send + 'static) {
        let counted = self.count();
        let Registered { endpoint, number, bound, .. } = of.clone();
        drop(self.driver.spawn(async move {
            if let Err(panicked) = catch_panic(task).await {
                let core = &counted.0;
                // A connected endpoint is of no use without its task.
                if !bound {
                    core.endpoints.lock().remove(number);
                }
                core.announce(&Event::TaskPanicked { endpoint, reason: panicked.to_string() });
            }
        }));
    }

    /// Whoever closes the socket waits until this is dropped.
    pub(crate) fn count(self: &Arc<Self>) -> Counted {
        self.tasks.send_modify(|tasks| *tasks += 1);
        Counted(self.clone())
    }

    pub(crate) fn announce(&self, event: &Event) {
        self.events.announce(event);
    }

    pub(crate) fn new_peer(&self, address: Option<SocketAddr>) -> PeerId {
        PeerId { number: self.next_number(), address }
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Registers an endpoint, to be unbound or disconnected later.
    pub(crate) fn register(&self, endpoint: Endpoint, pipe: Option<PipeId>) -> Registered {
        self.add_endpoint(endpoint, false, pipe)
    }

    /// Registers a bound endpoint; see [`Core::guard`].
    pub(crate) fn register_bound(&self, endpoint: Endpoint) -> Registered {
        self.add_endpoint(endpoint, true, None)
    }

    fn add_endpoint(&self, endpoint: Endpoint, bound: bool, pipe: Option<PipeId>) -> Registered {
        let (lifecycle, receiver) = watch::channel(Lifecycle::Open);
        let number = self.next_number();
        let open = OpenEndpoint { endpoint: endpoint.clone(), bound, pipe, lifecycle, guard: None };
        self.endpoints.lock().add(number, open);
        Registered { number, bound, endpoint, lifecycle: receiver }
    }

    /// Keeps the guard of a bound endpoint until it is unbound.
    pub(crate) fn guard(&self, of: &Registered, guard: Guard) {
        if let Some(open) = self.endpoints.lock().get_mut(of.number) {
            open.guard = Some(guard);
        }
    }

    pub(crate) fn last_bound(&self) -> Option<Endpoint> {
        self.endpoints.lock().last_bound().cloned()
    }

    pub(crate) fn is_connected_to(&self, endpoint: &Endpoint) -> bool {
        self.endpoints.lock().has(endpoint, false)
    }

    /// Unbinds or disconnects one endpoint. Returns false if there is none.
    pub(crate) fn close_endpoint(&self, endpoint: &Endpoint, bound: bool) -> bool {
        let taken = self.endpoints.lock().take(endpoint, bound);
        let Some(open) = taken else { return false };
        // Before its task knows, or what is sent now would go with it.
        if let Some(pipe) = open.pipe {
            self.outbox().retire(pipe);
        }
        open.lifecycle.send_replace(self.closing());
        true
    }

    /// Unbinds and disconnects everything.
    pub(crate) fn close(&self) {
        let closing = self.closing();
        self.lifecycle.send_replace(closing);
        let endpoints = std::mem::take(&mut *self.endpoints.lock());
        for open in endpoints.into_all() {
            open.lifecycle.send_replace(closing);
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        *self.lifecycle.borrow() == Lifecycle::Open
    }

    fn closing(&self) -> Lifecycle {
        Lifecycle::Closing(Deadline::after(Instant::now(), self.options.linger))
    }

    /// Until no task is left.
    async fn idle(&self) {
        let mut tasks = self.tasks.subscribe();
        let _ = tasks.wait_for(|tasks| *tasks == 0).await;
    }

    /// Until everything is sent, or its time is over.
    pub(crate) async fn closed(&self) -> Result<(), Error> {
        self.idle().await;
        match self.unsent.load(Ordering::SeqCst) {
            0 => Ok(()),
            messages => Err(Error::Unsent { messages }),
        }
    }

    pub(crate) fn count_unsent(&self, messages: usize) {
        self.unsent.fetch_add(messages, Ordering::SeqCst);
    }

    /// An executor polls a future of this socket.
    #[inline]
    pub(crate) fn is_awaited(&self) {
        if !self.awaited.load(Ordering::Relaxed) {
            self.awaited.store(true, Ordering::Relaxed);
        }
    }

    /// Returns true if the thread that drops the socket may be blocked until everything is sent: a plain thread, whose program may end
    /// next.
    pub(crate) fn blocks_at_drop(&self) -> bool {
        self.driver.is_shared()
            && self.outbox().accepted() > 0
            && !self.awaited.load(Ordering::Relaxed)
            && tokio::runtime::Handle::try_current().is_err()
            && !std::thread::panicking()
    }
}

/// A task that is counted until it is dropped, for whatever reason.
pub(crate) struct Counted(Arc<Core>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}

/// Wakes everybody who waits for the socket when its runtime ends.
struct EndOfRuntime(Arc<Core>);

impl Drop for EndOfRuntime {
    fn drop(&mut self) {
        self.0.inbox.end();
        self.0.outbox().ended = true;
        self.0.wake_senders();
        self.0.events.end();
    }
}

/// Wakes a peer's task.
pub(crate) type Wake = Arc<Notify>;
