//! The Chrome DevTools Protocol over a pipe: JSON messages that end with a zero byte.
//!
//! A pipe needs no port, which any process of this machine, and any page, could connect to. Messages that this module
//! does not know are ignored, so a newer browser's do no harm.

use super::messages::{MAX_MESSAGE, Messages};
use crate::devtools::{Event, Failure, Incoming};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

/// Events of one session that may wait; more end the session.
pub(super) const MAX_EVENTS: usize = 4096;

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the browser has ended")]
    Gone,
    #[error("the browser refuses {method}: {message}")]
    Refused { method: &'static str, message: String },
    #[error("the browser's answer to {method} cannot be read: {reason}")]
    Unreadable { method: &'static str, reason: String },
    #[error("the browser's answer to {method} is over the limit of {limit} bytes")]
    TooLong { method: &'static str, limit: usize },
}

#[derive(Default)]
struct Waiting {
    is_gone: bool,
    calls: HashMap<u64, oneshot::Sender<Result<Value, Failure>>>,
    sessions: HashMap<String, mpsc::Sender<Event>>,
}

impl Waiting {
    fn forget(&mut self, session: &str) {
        if let Some(events) = self.sessions.remove(session) {
            self.sessions.retain(|_, other| !other.same_channel(&events));
        }
    }
}

/// A call that was sent, whose answer is forgotten when this is dropped.
pub(crate) struct Call<'a> {
    waiting: &'a Mutex<Waiting>,
    id: u64,
    method: &'static str,
    answer: oneshot::Receiver<Result<Value, Failure>>,
}

impl Call<'_> {
    /// Waits for its result.
    pub(crate) async fn result(mut self) -> Result<Value, CallError> {
        let method = self.method;
        match (&mut self.answer).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(Failure::Refused(message))) => Err(CallError::Refused { method, message }),
            Ok(Err(Failure::Unreadable(reason))) => Err(CallError::Unreadable { method, reason }),
            Ok(Err(Failure::TooLong(limit))) => Err(CallError::TooLong { method, limit }),
            Err(_) => Err(CallError::Gone),
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.waiting.lock().calls.remove(&self.id);
    }
}

/// A connection. Clones share it; when the last is dropped, it ends.
#[derive(Clone)]
pub(crate) struct Connection {
    next: Arc<AtomicU64>,
    waiting: Arc<Mutex<Waiting>>,
    writer: mpsc::UnboundedSender<Vec<u8>>,
}

impl Connection {
    pub(crate) fn new(stream: UnixStream) -> Connection {
        Connection::with_limit(stream, MAX_MESSAGE)
    }

    /// A message with more bytes than this fails what it is for, and nothing else.
    fn with_limit(stream: UnixStream, limit: usize) -> Connection {
        let (reader, writer) = stream.into_split();
        let waiting = Arc::<Mutex<Waiting>>::default();
        // Unbounded: each call waits for its answer, so callers bound it; a task writes, so no message is half written
        // when a caller gives up.
        let (sender, messages) = mpsc::unbounded_channel();
        tokio::spawn(write(writer, messages));
        tokio::spawn(read(reader, waiting.clone(), Messages::new(limit)));
        Connection { next: Arc::default(), waiting, writer: sender }
    }

    /// Events of a session, from now on.
    pub(crate) fn events(&self, session: &str) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(MAX_EVENTS);
        let mut waiting = self.waiting.lock();
        if !waiting.is_gone {
            waiting.sessions.insert(session.to_owned(), sender);
        }
        receiver
    }

    /// Passes the events of another session on to whoever hears those of this one.
    pub(crate) fn share(&self, session: &str, other: &str) {
        let mut waiting = self.waiting.lock();
        if let Some(events) = waiting.sessions.get(session).cloned() {
            waiting.sessions.insert(other.to_owned(), events);
        }
    }

    /// Ends the events of a session, and of those that share its receiver.
    pub(crate) fn forget(&self, session: &str) {
        self.waiting.lock().forget(session);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.waiting.lock().is_gone
    }

    /// Calls a method and waits for its result.
    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &'static str,
        params: Value,
    ) -> Result<Value, CallError> {
        self.begin(session, method, params).result().await
    }

    /// Calls a method at once, whether its result is waited for or not. The browser takes the calls of a session in their
    /// order, so several that do not need each other's results cost the time of one.
    pub(crate) fn begin(&self, session: Option<&str>, method: &'static str, params: Value) -> Call<'_> {
        let (sender, answer) = oneshot::channel();
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        {
            let mut waiting = self.waiting.lock();
            // Without its sender the answer is that the browser has ended.
            if !waiting.is_gone {
                waiting.calls.insert(id, sender);
            }
        }
        self.write(id, session, method, params);
        Call { waiting: &self.waiting, id, method, answer }
    }

    /// Calls a method without waiting.
    pub(crate) fn send(&self, session: Option<&str>, method: &'static str, params: Value) {
        self.write(self.next.fetch_add(1, Ordering::Relaxed), session, method, params);
    }

    fn write(&self, id: u64, session: Option<&str>, method: &str, params: Value) {
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        // An error means that the browser is gone, which the reader finds as well.
        let _ = self.writer.send(bytes);
    }
}

async fn write(mut stream: OwnedWriteHalf, mut messages: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(message) = messages.recv().await {
        if stream.write_all(&message).await.is_err() {
            return;
        }
    }
}

async fn read(mut stream: OwnedReadHalf, waiting: Arc<Mutex<Waiting>>, mut messages: Messages) {
    while let Ok(true) = messages.read(&mut stream).await {
        while let Some(message) = messages.next() {
            take(message, &waiting);
        }
    }
    let mut waiting = waiting.lock();
    waiting.is_gone = true;
    waiting.calls.clear();
    waiting.sessions.clear();
}

fn take(message: Incoming, waiting: &Mutex<Waiting>) {
    match message {
        Incoming::Answer { id, result } => {
            if let Some(call) = waiting.lock().calls.remove(&id) {
                let _ = call.send(result);
            }
        }
        Incoming::Event(event) => {
            let mut waiting = waiting.lock();
            let session = event.session.clone();
            if waiting.sessions.get(&session).is_some_and(|events| events.try_send(event).is_err()) {
                waiting.forget(&session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn answer(far: &mut UnixStream, text: &[u8]) {
        for byte in text {
            far.write_all(&[*byte]).await.expect("written");
        }
    }

    #[tokio::test]
    async fn results_find_their_calls_and_unknown_messages_are_ignored() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let connection = Connection::new(near);
        let mut events = connection.events("s");
        let other = connection.clone();
        let call = tokio::spawn(async move { other.call(Some("s"), "A.b", json!({})).await });
        let mut text = vec![0; 256];
        let count = far.read(&mut text).await.expect("a call");
        let sent: Value = serde_json::from_slice(&text[..count - 1]).expect("JSON");
        assert_eq!((sent["method"].as_str(), sent["sessionId"].as_str(), text[count - 1]), (Some("A.b"), Some("s"), 0));
        for rubbish in [
            &b"\0"[..],
            b"nonsense\0",
            b"[]\0",
            b"{\"id\":99,\"result\":{}}\0",
            b"{\"method\":\"New.thing\",\"new\":[1]}\0",
            b"{\"method\":\"X.y\",\"sessionId\":\"other\",\"params\":{}}\0",
            b"{\"method\":\"X.y\",\"sessionId\":\"s\",\"params\":{\"a\":1}}\0",
        ] {
            answer(&mut far, rubbish).await;
        }
        answer(&mut far, format!("{{\"id\":{},\"result\":{{\"x\":1}}}}\0", sent["id"]).as_bytes()).await;
        assert_eq!(call.await.expect("no panic"), Ok(json!({ "x": 1 })));
        let event = events.recv().await.expect("an event");
        assert_eq!((event.method.as_str(), event.params), ("X.y", Some(json!({ "a": 1 }))));
    }

    #[tokio::test]
    async fn the_end_of_the_browser_ends_calls_and_sessions() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let connection = Connection::new(near);
        let mut events = connection.events("s");
        let call = connection.call(None, "A.b", json!({}));
        drop(far);
        assert_eq!(call.await, Err(CallError::Gone));
        assert!(events.recv().await.is_none() && connection.is_gone());
        assert_eq!(connection.call(None, "A.b", json!({})).await, Err(CallError::Gone));
        assert!(connection.events("s").recv().await.is_none());
    }

    #[tokio::test]
    async fn a_session_that_floods_is_ended_and_others_are_not() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let connection = Connection::new(near);
        let (mut flooded, mut other) = (connection.events("s"), connection.events("o"));
        let flood = b"{\"method\":\"X.y\",\"sessionId\":\"s\"}\0".repeat(MAX_EVENTS + 1);
        far.write_all(&flood).await.expect("written");
        far.write_all(b"{\"method\":\"X.y\",\"sessionId\":\"o\"}\0").await.expect("written");
        assert!(other.recv().await.is_some());
        let mut count = 0;
        while flooded.recv().await.is_some() {
            count += 1;
        }
        assert_eq!(count, MAX_EVENTS);
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_is_forgotten() {
        let (near, _far) = UnixStream::pair().expect("a pair");
        let connection = Connection::new(near);
        let calls = || connection.waiting.lock().calls.len();
        let (one, other) = (connection.begin(None, "A.b", json!({})), connection.begin(None, "A.b", json!({})));
        assert_eq!(calls(), 2);
        drop(one);
        assert_eq!(calls(), 1);
        drop(other.result());
        assert_eq!(calls(), 0);
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_fails_its_call_and_others_go_on() {
        let (near, mut far) = UnixStream::pair().expect("a pair");
        let connection = Connection::with_limit(near, 1000);
        let mut events = connection.events("s");
        let (long, brief) = (connection.begin(None, "A.b", json!({})), connection.begin(None, "C.d", json!({})));
        let text = "x".repeat(4000);
        for message in [
            format!("{{\"id\":{},\"result\":\"{text}\"}}\0", long.id),
            format!("{{\"method\":\"X.y\",\"params\":\"{text}\",\"sessionId\":\"s\"}}\0"),
            format!("{{\"id\":{},\"result\":1}}\0", brief.id),
        ] {
            far.write_all(message.as_bytes()).await.expect("written");
        }
        let error = long.result().await.expect_err("too long");
        assert_eq!(error, CallError::TooLong { method: "A.b", limit: 1000 });
        assert_eq!(error.to_string(), "the browser's answer to A.b is over the limit of 1000 bytes");
        assert_eq!(brief.result().await, Ok(json!(1)));
        assert_eq!(events.recv().await.expect("an event").params, None);
        assert!(!connection.is_gone());
    }
}
