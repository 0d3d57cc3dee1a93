use crate::completion::{Completer, Completion};
use crate::events::Events;
use crate::inbox::{Chunk, Inbox};
use crate::io::{self, Dial, Shared, SubscribeRequest};
use crate::options::Runtime;
use crate::stomp::{Acks, Subscribing};
use crate::subscribe::{OF_SEND, OF_SUBSCRIBE, check_header};
use crate::{Error, Options, Subscribe, Subscription};
use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;
use switchboard_driver::Driver;
use switchboard_wire::stomp::FrameWriter;
use tokio::io::{AsyncRead, AsyncWrite};

/// A client of a broker. A clone is the same client, with the same connections, and may be used by
/// tasks of any executor and by plain threads at the same time.
///
/// When the last clone is dropped, and with it the last subscription, what was accepted is still sent
/// if the process lives long enough; [`Client::close`] tells when it was.
#[derive(Clone, Debug)]
pub struct Client(Arc<Handle>);

/// The tasks hold `Shared` alone, so this is dropped with the last client.
#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        // Nobody is left to look at the completion.
        drop(self.0.with(|core| core.close(Instant::now())));
        self.0.wake.notify_one();
    }
}

impl Client {
    /// Connects to the broker at `switchboard://HOST:PORT?OPTIONS`, or over STOMP to the one at
    /// `stomp://LOGIN:PASSCODE@HOST:PORT?OPTIONS`; [`Options`] lists them.
    ///
    /// # Errors
    ///
    /// [`Error::Url`], [`Error::Option`], [`Error::Connect`] or [`Error::TimedOut`] if the broker did not answer (unless
    /// `retry_first=true` this one attempt is all), [`Error::WrongProtocol`], [`Error::Server`], [`Error::NoThread`].
    pub fn connect(url: &str) -> Completion<Client> {
        match url.parse() {
            Ok(options) => Client::with(options),
            Err(error) => Completion::ready(Err(error)),
        }
    }

    /// Connects with these options.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn with(options: Options) -> Completion<Client> {
        Client::start(Dial::tcp(Arc::new(options)))
    }

    /// Connects over streams that `factory` makes: an in-memory pipe, TLS, or any other stream of bytes with a broker at its other end. It is called once to connect, once for each subscription, when the
    /// first message is published after the first subscription, and again whenever a connection has ended.
    ///
    /// # Errors
    ///
    /// As [`Client::connect`].
    pub fn over<F, Fut, S>(options: Options, factory: F) -> Completion<Client>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Client::start(Dial::over(Arc::new(options), factory))
    }

    fn start(dial: Dial) -> Completion<Client> {
        if let Err(error) = dial.options.check() {
            return Completion::ready(Err(error));
        }
        let driver = match dial.options.driver {
            Runtime::Current => Driver::current(),
            Runtime::Shared => Driver::shared(),
        };
        let driver = match driver {
            Ok(driver) => driver,
            Err(error) => return Completion::ready(Err(Error::NoThread(Arc::new(error)))),
        };
        let shared = Arc::new(Shared::new(dial, driver));
        let (completer, completion) = Completer::new(&shared.runner);
        drop(shared.clone().spawn(async move {
            match io::first(&shared).await {
                Ok(open) => {
                    // No event yet: the completion reports this connection.
                    shared.with(|core| io::connected(core, &open));
                    completer.complete(Ok(Client(Arc::new(Handle(shared.clone())))));
                    io::publish(shared, open).await;
                }
                Err(error) => completer.complete(Err(error)),
            }
        }));
        completion
    }

    /// Publishes a message. This is complete when the client has accepted it, which nearly always is
    /// at once; that it has reached the broker, [`Client::flush`] tells. What is published to one
    /// channel is received in the order in which it was accepted.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelName`], [`Error::MessageTooLong`]; [`Error::Full`] or [`Error::TimedOut`] if
    /// the buffer is full and stays so, [`Error::Closed`]. Whatever the error, it is not sent.
    #[inline]
    pub fn publish(&self, channel: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Completion<()> {
        self.publish_lines(channel.as_ref(), &[], data.as_ref())
    }

    /// Publishes a message with headers, which STOMP alone has.
    ///
    /// # Errors
    ///
    /// As [`Client::publish`]. [`Error::Unsupported`] over the native protocol; [`Error::Header`] for a header that the client
    /// writes itself (`destination`, `content-length`, `receipt`, `transaction`) or the version of STOMP cannot express.
    pub fn publish_with<N: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        channel: impl AsRef<[u8]>,
        headers: impl IntoIterator<Item = (N, V)>,
        data: impl AsRef<[u8]>,
    ) -> Completion<()> {
        let Some(version) = self.shared().dial.version() else {
            return Completion::ready(Err(Error::Unsupported { what: "headers", protocol: "the native protocol" }));
        };
        let mut lines = Vec::new();
        for (name, value) in headers {
            let (name, value) = (name.as_ref(), value.as_ref());
            if let Err(error) = check_header(OF_SEND, version, name, value) {
                return Completion::ready(Err(error));
            }
            lines.append(&mut FrameWriter::lines_of(name, value, version));
        }
        self.publish_lines(channel.as_ref(), &lines, data.as_ref())
    }

    #[inline]
    fn publish_lines(&self, channel: &[u8], lines: &[u8], data: &[u8]) -> Completion<()> {
        let shared = self.shared();
        if let Err(error) = shared.options.check_channel(channel).and_then(|()| shared.options.check_message(data)) {
            return Completion::ready(Err(error));
        }
        let mut core = shared.lock();
        let completion = core.publish_with(channel, lines, data, Instant::now);
        let wakes = core.takes_wake_up();
        drop(core);
        if wakes {
            shared.wake.notify_one();
        }
        completion
    }

    /// Completes when the broker has dealt with everything that was published before: it is queued,
    /// on its way to subscribers, or was dropped by the broker's rules.
    ///
    /// A full queue pauses its publishers, so a flush waits for the queue's consumers. A program that is the only consumer of
    /// what it publishes takes messages while it flushes.
    ///
    /// # Errors
    ///
    /// [`Error::InDoubt`] if a connection has broken with messages on it since the last flush: those
    /// may be lost; all others have arrived, unless the time (option `timeout`) has run out, too.
    /// [`Error::Rejected`] if the broker does not take one of them, over STOMP [`Error::Server`] in its words. [`Error::TimedOut`],
    /// [`Error::Closed`].
    pub fn flush(&self) -> Completion<()> {
        self.ask(|core, now| core.flush("flush", now))
    }

    /// Sends what was accepted, and ends the session. Nothing is accepted from now on; subscriptions
    /// end after what was on its way to them. To close again is an error, and harmless.
    ///
    /// # Errors
    ///
    /// As [`Client::flush`]. Whatever the error, the client is closed, and what was not sent is lost.
    pub fn close(&self) -> Completion<()> {
        self.ask(crate::core::Publisher::close)
    }

    /// Number of published messages that the broker has not confirmed yet: those that wait in this client, and those on their
    /// way. It is 0 after a [`Client::flush`] that has succeeded.
    #[must_use]
    pub fn unconfirmed(&self) -> u64 {
        self.shared().lock().unconfirmed()
    }

    fn ask(&self, work: impl FnOnce(&mut crate::core::Publisher, Instant) -> Completion<()>) -> Completion<()> {
        let shared = self.shared();
        let completion = shared.with(|core| work(core, Instant::now()));
        shared.wake.notify_one();
        completion
    }

    /// Subscribes to a channel or a pattern, over a connection of its own. The subscription is in force when this is
    /// complete, and comes back by itself when its connection was lost. To drop the completion cancels it.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelName`], [`Error::TimedOut`], [`Error::Closed`]; [`Error::Refused`] with `reconnect=false`. A broker that
    /// refuses for another reason is asked again until `timeout`, and [`Event::Reconnecting`](crate::Event::Reconnecting) says
    /// why.
    pub fn subscribe(&self, pattern: impl AsRef<[u8]>) -> Completion<Subscription> {
        self.subscribe_with(pattern, Subscribe::default())
    }

    /// The same with acks, a prefetch and headers, which STOMP alone has.
    ///
    /// # Errors
    ///
    /// As [`Client::subscribe`]. [`Error::Refused`] with the broker's words if it answers with ERROR; [`Error::Option`] for a
    /// prefetch of 0; [`Error::Header`]; [`Error::Unsupported`] over the native protocol.
    pub fn subscribe_with(&self, pattern: impl AsRef<[u8]>, how: Subscribe) -> Completion<Subscription> {
        let pattern = pattern.as_ref();
        let shared = self.shared();
        if let Err(error) = self.check_subscription(pattern, &how) {
            return Completion::ready(Err(error));
        }
        let wakes = {
            let mut core = shared.lock();
            if core.is_closing() {
                return Completion::ready(Err(Error::Closed));
            }
            core.retire()
        };
        if wakes {
            shared.wake.notify_one();
        }
        let inbox = Arc::new(Inbox::new(shared.options.inbox, shared.runner.clone()));
        let subscribing = Arc::new(Subscribing { destination: Bytes::copy_from_slice(pattern), how });
        let acks = Arc::new(Acks::new(shared.runner.clone(), shared.options.timeout));
        let canceled = inbox.clone();
        let (completer, completion) = Completer::with_cancel(&shared.runner, move || canceled.leave(&Chunk::default()));
        let subscription = Subscription::new(self.clone(), subscribing.clone(), acks.clone(), inbox.clone());
        let request =
            SubscribeRequest { subscribing, acks, inbox, first: Some((completer, subscription)), has_received: false };
        drop(shared.spawn(io::subscribe(shared.clone(), request)));
        completion
    }

    fn check_subscription(&self, pattern: &[u8], how: &Subscribe) -> Result<(), Error> {
        self.shared().options.check_channel(pattern)?;
        let Some(version) = self.shared().dial.version() else { return how.is_native() };
        if how.prefetch == 0 {
            return Err(Error::Option { option: "prefetch", problem: "it must be from 1 to 4294967295" });
        }
        how.headers.iter().try_for_each(|(name, value)| check_header(OF_SUBSCRIBE, version, name, value))
    }

    /// The connections' events from now on. A reader that does not take them misses the oldest beyond
    /// 1,024 ([`Event::Missed`](crate::Event::Missed)).
    #[must_use]
    pub fn events(&self) -> Events {
        self.shared().listen()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }
}
