use super::Feed;
use crate::database::checked;
use crate::{Database, Error};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use switchboard_driver::Backoff;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Silence after which the connection is probed.
const PROBE: Duration = Duration::from_secs(5);
/// Bytes of an identifier.
const CHANNEL: usize = 63;
/// Requests under way; more wait.
const REQUESTS: usize = 64;

/// A notice to a subscriber of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A notification.
    Notification {
        /// Its text.
        payload: Arc<str>,
        /// The server process that sent it.
        process: i32,
    },
    /// The connection was lost. Notifications are missed from now until [`Change::Listening`].
    Lost {
        /// The cause.
        reason: Arc<str>,
    },
    /// The connection was made again: no notification from now on is missed.
    Listening,
    /// The subscriber was slow, and this many messages were dropped.
    Missed(u64),
}

/// One connection that listens to many channels, and tells each subscriber about every gap.
///
/// It ends when it is dropped with all its subscriptions.
#[derive(Clone, Debug)]
pub struct ChangeListener {
    requests: mpsc::Sender<Request>,
    capacity: usize,
    _task: Arc<Task>,
}

#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[derive(Debug)]
struct Request {
    channel: String,
    reply: oneshot::Sender<Result<broadcast::Receiver<Change>, Error>>,
}

/// The changes of one channel.
#[derive(Debug)]
pub struct Subscription {
    changes: broadcast::Receiver<Change>,
    _listener: ChangeListener,
}

impl ChangeListener {
    /// Connects. Each subscriber may have `capacity` messages waiting, at least one.
    ///
    /// # Errors
    /// If the database does not answer, or is a standby. Later losses are told as [`Change::Lost`].
    pub async fn connect(database: &Database, capacity: usize) -> Result<ChangeListener, Error> {
        let feed = Feed::connect(database, &[]).await?;
        let (requests, received) = mpsc::channel(REQUESTS);
        let capacity = capacity.clamp(1, 1 << 20);
        let worker = Worker { database: database.clone(), requests: received, channels: HashMap::new(), capacity };
        let task = Arc::new(Task(tokio::spawn(worker.run(feed))));
        Ok(ChangeListener { requests, capacity, _task: task })
    }

    /// Listens to a channel. No notification is missed once this has returned.
    ///
    /// # Errors
    /// If the name is not of 1 to 63 bytes, for PostgreSQL would cut it; if the connection is lost at that moment: try
    /// again.
    pub async fn listen(&self, channel: &str) -> Result<Subscription, Error> {
        if channel.is_empty() || channel.len() > CHANNEL || channel.contains('\0') {
            return Err(Error::refused(format!("a channel's name has 1 to {CHANNEL} bytes, none of them zero")));
        }
        let ended = || Error::unavailable("the listener has ended");
        let (reply, answer) = oneshot::channel();
        let request = Request { channel: channel.to_owned(), reply };
        self.requests.send(request).await.map_err(|_| ended())?;
        let changes = answer.await.map_err(|_| ended())??;
        Ok(Subscription { changes, _listener: self.clone() })
    }

    /// Messages that may wait for a subscriber.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Subscription {
    /// Waits for the next change; `None` once the listener has ended.
    pub async fn next(&mut self) -> Option<Change> {
        match self.changes.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(missed)) => Some(Change::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

struct Worker {
    database: Database,
    requests: mpsc::Receiver<Request>,
    channels: HashMap<String, broadcast::Sender<Change>>,
    capacity: usize,
}

impl Worker {
    async fn run(mut self, mut feed: Feed) {
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            let error = self.serve(&mut feed).await;
            let reason: Arc<str> = error.to_string().into();
            self.tell(&Change::Lost { reason });
            feed = loop {
                sleep(backoff.pause(fastrand::f64())).await;
                self.channels.retain(|_, subscribers| subscribers.receiver_count() > 0);
                let channels: Vec<String> = self.channels.keys().cloned().collect();
                if let Ok(feed) = Feed::connect(&self.database, &channels).await {
                    break feed;
                }
            };
            backoff.reset();
            self.tell(&Change::Listening);
        }
    }

    fn tell(&self, change: &Change) {
        for subscribers in self.channels.values() {
            // An error means that nobody listens.
            let _ = subscribers.send(change.clone());
        }
    }

    /// Serves until the connection is lost.
    async fn serve(&mut self, feed: &mut Feed) -> Error {
        loop {
            tokio::select! {
                notification = feed.next() => match notification {
                    Ok(notification) => {
                        let change = Change::Notification {
                            payload: notification.payload().into(),
                            process: notification.process_id(),
                        };
                        let Some(subscribers) = self.channels.get(notification.channel()) else { continue };
                        if subscribers.send(change).is_err() {
                            self.channels.remove(notification.channel());
                            if let Err(error) = checked(feed.unlisten(notification.channel())).await {
                                return error;
                            }
                        }
                    }
                    Err(error) => return error,
                },
                // A path that swallows everything shows no error.
                () = sleep(PROBE) => {
                    if let Err(error) = checked(feed.probe()).await {
                        return error;
                    }
                }
                Some(request) = self.requests.recv() => {
                    let result = match self.channels.get(&request.channel) {
                        Some(_) => Ok(()),
                        None => checked(feed.listen(std::slice::from_ref(&request.channel))).await,
                    };
                    match result {
                        Ok(()) => {
                            let capacity = self.capacity;
                            let subscribers = self.channels.entry(request.channel);
                            let subscribers = subscribers.or_insert_with(|| broadcast::channel(capacity).0);
                            let _ = request.reply.send(Ok(subscribers.subscribe()));
                        }
                        Err(error) => {
                            let _ = request.reply.send(Err(error.clone()));
                            // A refused statement leaves the connection as it is.
                            if !matches!(error, Error::Refused { .. }) {
                                return error;
                            }
                        }
                    }
                }
            }
        }
    }
}
