//! Long answers: made one at a time, and bounded until their clients have read them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

/// Unit of accounting, in bytes.
const UNIT: usize = 1024;

/// The room for answers that are on their way.
#[derive(Debug)]
pub(crate) struct Answers {
    room: Arc<Semaphore>,
    /// All of it, in units.
    units: u32,
    turn: Mutex<()>,
}

/// An answer that takes room until the last of it is written.
struct Held {
    text: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Answers {
    /// A sixteenth of the memory budget is for answers; a longer one has it alone.
    pub(crate) fn new(memory: usize) -> Answers {
        let units = u32::try_from(memory / 16 / UNIT).unwrap_or(u32::MAX).clamp(1, Semaphore::MAX_PERMITS as u32);
        Answers { room: Arc::new(Semaphore::new(units as usize)), units, turn: Mutex::new(()) }
    }

    /// Waits until no other answer is made: many who ask at once must not take all threads of the runtime.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Whether there is room for any answer at all.
    pub(crate) fn has_room(&self) -> bool {
        self.room.available_permits() > 0
    }

    /// The answer, or that too many are on their way.
    pub(crate) fn json(&self, text: Vec<u8>) -> Response {
        let units = u32::try_from(text.len() / UNIT + 1).unwrap_or(u32::MAX).min(self.units);
        match self.room.clone().try_acquire_many_owned(units) {
            Ok(room) => {
                let body = Bytes::from_owner(Held { text, _room: room });
                ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
            }
            Err(_) => self.full(),
        }
    }

    /// Answer when there is no room.
    pub(crate) fn full(&self) -> Response {
        let kib = u64::from(self.units) * UNIT as u64 / 1024;
        let text =
            format!("answers that their clients have not read take all {kib} KiB that there are for them; try again\n");
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_their_room_until_they_are_read() {
        let answers = Answers::new(64 * UNIT);
        let first = answers.json(vec![b'x'; 3 * UNIT - 1]);
        assert_eq!(first.status(), StatusCode::OK);
        let second = answers.json(vec![b'x'; UNIT]);
        assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE, "it takes two units, and one is left");
        assert_eq!(answers.json(vec![b'x'; UNIT - 1]).status(), StatusCode::OK);
        drop(first);
        assert_eq!(answers.json(vec![b'x'; UNIT]).status(), StatusCode::OK);
    }

    #[test]
    fn an_answer_longer_than_all_the_room_has_it_alone() {
        let answers = Answers::new(0);
        let long = answers.json(vec![b'x'; 10 * UNIT]);
        assert_eq!(long.status(), StatusCode::OK);
        assert!(!answers.has_room());
        let text = answers.full();
        assert_eq!(text.headers()[header::RETRY_AFTER], "1");
        drop(long);
        assert!(answers.has_room());
    }
}
