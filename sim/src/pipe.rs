use crate::rng::Rng;
use std::collections::VecDeque;
use std::time::Duration;
use switchboard_broker::Time;

/// One direction of a connection, as TCP may behave: it takes a part, gives a part, gives it
/// late, ends, or breaks with bytes in it.
#[derive(Debug)]
pub(crate) struct Pipe {
    pieces: VecDeque<(Time, Vec<u8>)>,
    room: usize,
    /// In microseconds.
    delay: usize,
    ended: bool,
    broken: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Bytes(Vec<u8>),
    Nothing,
    End,
    Broken,
}

impl Pipe {
    pub(crate) fn new(room: usize, delay: usize) -> Pipe {
        Pipe { pieces: VecDeque::new(), room, delay, ended: false, broken: false }
    }

    /// Number of bytes that it took; `None` if it is broken.
    pub(crate) fn put(&mut self, now: Time, bytes: &[u8], rng: &mut Rng) -> Option<usize> {
        if self.broken {
            return None;
        }
        let count = bytes.len().min(self.room);
        if count > 0 {
            self.room -= count;
            let at = now + Duration::from_micros(rng.below(self.delay + 1) as u64);
            // Later bytes never come earlier.
            let at = self.pieces.back().map_or(at, |&(last, _)| last.max(at));
            self.pieces.push_back((at, bytes[..count].to_vec()));
        }
        Some(count)
    }

    /// At most `most` bytes that have come by now.
    pub(crate) fn take(&mut self, now: Time, most: usize) -> Taken {
        if self.broken {
            return Taken::Broken;
        }
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some((at, piece)) = self.pieces.front_mut() else { break };
            if *at > now {
                break;
            }
            let count = piece.len().min(most - taken.len());
            taken.extend(piece.drain(..count));
            if piece.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.room += taken.len();
        match (taken.is_empty(), self.pieces.is_empty() && self.ended) {
            (false, _) => Taken::Bytes(taken),
            (true, true) => Taken::End,
            (true, false) => Taken::Nothing,
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.room > 0 && !self.broken
    }

    /// Whether its end has come, behind bytes that may still be in it.
    pub(crate) fn has_end(&self, now: Time) -> bool {
        self.ended && !self.broken && self.pieces.back().is_none_or(|&(at, _)| at <= now)
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// From now on it takes much, and gives it at once.
    pub(crate) fn widen(&mut self) {
        (self.room, self.delay) = (self.room.max(1 << 20), 0);
    }

    /// Loses its content.
    pub(crate) fn break_off(&mut self) {
        self.broken = true;
        self.pieces.clear();
    }

    /// Whether the next thing that comes out is its end.
    pub(crate) fn is_over(&self) -> bool {
        self.broken || (self.ended && self.pieces.is_empty())
    }

    /// When the next bytes come, if there are any.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.pieces.front().map(|&(at, _)| at)
    }
}
