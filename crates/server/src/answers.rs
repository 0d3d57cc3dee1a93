//! Long answers: made one at a time, and bounded until their clients have read them.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_core::Stream;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::MutexGuard;

/// Bytes of an answer that are handed out at a time.
const PART: usize = 16 << 10;
/// Time in which the client of an answer takes a part of it; from then on the answer gives way to others.
const STALE: Duration = Duration::from_secs(1);
/// The same for a client that is known to read: the system tells of room in the socket when a third of its buffer is free,
/// which takes a slow link some seconds. One that is slower than 16 KiB in `http.write-timeout` is disconnected.
const SLOW: Duration = Duration::from_secs(10);
/// A part that is taken after such a pause found room in the socket: the client reads. The first ones fill its buffer at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The room for answers that are on their way.
#[derive(Debug)]
pub(crate) struct Answers {
    room: Arc<Mutex<Room>>,
    turn: tokio::sync::Mutex<()>,
    scan: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Room {
    /// Bytes.
    limit: usize,
    used: usize,
    /// The number of the last answer.
    last: u64,
    /// Answers by their numbers, the oldest first.
    held: BTreeMap<u64, Held>,
}

#[derive(Debug)]
struct Held {
    text: Vec<u8>,
    /// Time of the last part.
    taken: Instant,
    /// Its client is known to read.
    is_read: bool,
}

impl Held {
    fn is_stale(&self, now: Instant) -> bool {
        now.duration_since(self.taken) >= if self.is_read { SLOW } else { STALE }
    }
}

impl Room {
    fn has_some(&self, now: Instant) -> bool {
        self.used < self.limit || self.held.values().any(|held| held.is_stale(now))
    }

    fn remove(&mut self, number: u64) {
        let held = self.held.remove(&number);
        self.used -= held.map_or(0, |held| held.text.len());
    }

    /// Holds an answer, in place of stale ones where there is no room. A longer one than all the room has it alone.
    fn hold(&mut self, text: Vec<u8>, now: Instant) -> Option<u64> {
        let is_full = |room: &Room| room.used > 0 && room.used + text.len() > room.limit;
        while is_full(self) {
            // The one that was not read for longest.
            let stale = self.held.iter().filter(|(_, held)| held.is_stale(now));
            let number = *stale.min_by_key(|(_, held)| held.taken)?.0;
            self.remove(number);
        }
        self.used += text.len();
        self.last += 1;
        self.held.insert(self.last, Held { text, taken: now, is_read: false });
        Some(self.last)
    }

    /// A part of an answer from this byte on; `None` if it gave way.
    fn part(&mut self, number: u64, at: usize, now: Instant) -> Option<Bytes> {
        let held = self.held.get_mut(&number)?;
        held.is_read |= now.duration_since(held.taken) >= PAUSE;
        held.taken = now;
        let end = held.text.len().min(at + PART);
        Some(Bytes::copy_from_slice(&held.text[at..end]))
    }
}

/// The body of an answer.
struct Parts {
    room: Arc<Mutex<Room>>,
    number: u64,
    at: usize,
}

impl Stream for Parts {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let part = self.room.lock().part(self.number, self.at, Instant::now());
        Poll::Ready(match part {
            None => Some(Err(Error::new(ErrorKind::TimedOut, "the answer was not read, and gave way to others"))),
            Some(part) if part.is_empty() => None,
            Some(part) => {
                self.at += part.len();
                Some(Ok(part))
            }
        })
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.room.lock().remove(self.number);
    }
}

impl Answers {
    /// A sixteenth of the memory budget is for answers.
    pub(crate) fn new(memory: usize) -> Answers {
        let room = Room { limit: (memory / 16).max(1), used: 0, last: 0, held: BTreeMap::new() };
        let turn = tokio::sync::Mutex::new(());
        Answers { room: Arc::new(Mutex::new(room)), turn, scan: tokio::sync::Mutex::new(()) }
    }

    /// Waits until no other answer is made: many who ask at once must not take all threads of the runtime.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The same for answers that look at all rows of a table, which take so long that the others do not wait for them.
    pub(crate) async fn scan(&self) -> MutexGuard<'_, ()> {
        self.scan.lock().await
    }

    /// Whether there is room for any answer at all.
    pub(crate) fn has_room(&self) -> bool {
        self.room.lock().has_some(Instant::now())
    }

    /// The answer, or that too many are on their way.
    pub(crate) fn json(&self, text: Vec<u8>) -> Response {
        let length = text.len().to_string();
        let Some(number) = self.room.lock().hold(text, Instant::now()) else { return self.full() };
        let body = Body::from_stream(Parts { room: self.room.clone(), number, at: 0 });
        ([(header::CONTENT_TYPE, "application/json".to_owned()), (header::CONTENT_LENGTH, length)], body)
            .into_response()
    }

    /// Answer when there is no room.
    pub(crate) fn full(&self) -> Response {
        let kib = self.room.lock().limit.div_ceil(1024);
        let text =
            format!("answers that their clients are reading take all {kib} KiB that there are for them; try again\n");
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|at| at as u8).collect()
    }

    async fn read(answer: Response) -> Option<Vec<u8>> {
        to_bytes(answer.into_body(), usize::MAX).await.ok().map(|bytes| bytes.to_vec())
    }

    #[tokio::test]
    async fn answers_take_their_room_until_they_are_read() {
        let answers = Answers::new(16 * 100);
        let first = answers.json(text(60));
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[header::CONTENT_LENGTH], "60");
        let full = answers.json(text(41));
        assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(full.headers()[header::RETRY_AFTER], "1");
        for length in [40, 39] {
            assert_eq!(answers.json(text(length)).status(), StatusCode::OK, "{length}");
        }
        assert_eq!(read(first).await, Some(text(60)));
        assert_eq!(answers.json(text(100)).status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_answer_comes_whole_in_parts() {
        let answers = Answers::new(1 << 30);
        for length in [0, 1, PART - 1, PART, PART + 1, 3 * PART] {
            assert_eq!(read(answers.json(text(length))).await, Some(text(length)), "{length}");
            assert_eq!(answers.room.lock().used, 0);
        }
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_gives_way_to_another_after_a_second_and_no_earlier() {
        let answers = Answers::new(16 * 100);
        let unread = answers.json(text(100));
        let begun = answers.room.lock().held[&1].taken;
        for (later, gives_way) in [(STALE - Duration::from_nanos(1), false), (STALE, true)] {
            let mut room = answers.room.lock();
            assert_eq!(room.has_some(begun + later), gives_way);
            assert_eq!(room.hold(text(1), begun + later).is_some(), gives_way);
        }
        assert_eq!(read(unread).await, None, "its client sees that it is not whole");
        assert_eq!(answers.room.lock().used, 1);
    }

    #[test]
    fn an_answer_of_which_a_part_is_taken_every_second_does_not_give_way() {
        let mut now = Instant::now();
        let mut room = Room { limit: 100, used: 0, last: 0, held: BTreeMap::new() };
        let number = room.hold(text(3 * PART), now).expect("it is alone");
        for part in 0..3 {
            assert_eq!(room.part(number, part * PART, now).as_deref(), Some(&text(3 * PART)[part * PART..][..PART]));
            // Others that ask meanwhile wait, up to the last moment in which the next part is in time.
            for later in [Duration::ZERO, STALE / 2, STALE - Duration::from_nanos(1)] {
                assert!(!room.has_some(now + later) && room.hold(text(1), now + later).is_none());
            }
            now += STALE - Duration::from_nanos(1);
        }
        room.remove(number);
        assert!(room.hold(text(100), now).is_some());
    }

    #[test]
    fn a_client_that_reads_slowly_keeps_its_answer_for_longer_than_one_that_does_not_read() {
        let start = Instant::now();
        let nanosecond = Duration::from_nanos(1);
        for (pause, patience) in [(PAUSE - nanosecond, STALE), (PAUSE, SLOW)] {
            let mut room = Room { limit: 100, used: 0, last: 0, held: BTreeMap::new() };
            let number = room.hold(text(3 * PART), start).expect("it is alone");
            room.part(number, 0, start);
            let taken = start + pause;
            assert!(room.part(number, PART, taken).is_some());
            assert!(room.hold(text(1), taken + patience - nanosecond).is_none(), "{pause:?}");
            assert!(room.hold(text(1), taken + patience).is_some(), "{pause:?}");
            assert!(room.part(number, 2 * PART, taken + patience).is_none(), "it gave way");
        }
    }

    #[test]
    fn of_two_stale_answers_that_gives_way_which_was_not_read_for_longer() {
        let start = Instant::now();
        let mut room = Room { limit: 100, used: 0, last: 0, held: BTreeMap::new() };
        let numbers = [(); 2].map(|()| room.hold(text(50), start).expect("room"));
        room.part(numbers[0], 0, start + PAUSE / 2);
        assert!(room.hold(text(50), start + 2 * STALE).is_some());
        assert!(room.held.contains_key(&numbers[0]) && !room.held.contains_key(&numbers[1]));
    }

    #[test]
    fn an_answer_longer_than_all_the_room_has_it_alone() {
        let answers = Answers::new(0);
        let long = answers.json(text(10_000));
        assert_eq!(long.status(), StatusCode::OK);
        assert!(!answers.has_room());
        drop(long);
        assert!(answers.has_room());
    }
}
