//! Frames and entries that are taken back, or left out.

use super::{Entry, Mark, Outbox};
use std::collections::VecDeque;
use switchboard_broker::{Kind, SubscriptionId};

impl Outbox {
    /// Drops the frames that were made and not begun, but not their entries.
    pub(super) fn cut(&mut self) -> VecDeque<Mark> {
        let begun = if self.begun > 0 { self.marks.pop_front() } else { None };
        let dropped = std::mem::take(&mut self.marks);
        let mut left = begun.as_ref().map_or(0, |mark| mark.wire - self.begun);
        let mut pieces = std::mem::take(&mut self.pieces);
        if let Some(first) = pieces.front_mut() {
            *first = first.slice(self.written..);
        }
        self.written = 0;
        self.stalled.set(0);
        while left > 0
            && let Some(mut piece) = pieces.pop_front()
        {
            piece.truncate(left);
            left -= piece.len();
            self.pieces.push_back(piece);
        }
        self.marks.extend(begun);
        dropped
    }

    /// Forgets all messages but the rest of one that was begun. Gives the packed bytes that are still to be
    /// credited for it, and the first tag that is forgotten.
    pub(crate) fn recall(&mut self) -> (usize, Option<u64>) {
        let made = self.made.1;
        let first = self.entries.iter().enumerate().find_map(|(index, entry)| match entry {
            Entry::Messages { tag, .. } => tag.map(|tag| tag + if index == 0 { made } else { 0 }),
            _ => None,
        });
        let dropped = self.cut().into_iter().find_map(|mark| mark.tag).or(first);
        self.entries = VecDeque::new();
        (self.made, self.lines) = ((0, 0), Vec::new());
        let kept = self.marks.front().map_or(0, |mark| mark.packed - self.credited);
        (kept, dropped)
    }

    /// The packed bytes left of a message that was begun, once nothing but an ERROR comes behind it. `None` before that, and
    /// while a queue waits for the rest of one that is not acked to be written.
    pub(crate) fn left_before_error(&self) -> Option<usize> {
        match self.marks.front() {
            _ if !self.has_failed => None,
            None => Some(0),
            Some(begun) if begun.tag.is_some() || begun.topic_of.is_some() => Some(begun.packed - self.credited),
            Some(_) => None,
        }
    }

    /// Leaves out a subscription's messages of topics that were not begun. They count as written.
    pub(super) fn end(&mut self, ended: SubscriptionId) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let made = if index == 0 { self.made.0 } else { 0 };
            match entry {
                Entry::Messages { subscription: (id, _), channel, batch, .. }
                    if *id == ended && Kind::of(channel) == Kind::Topic =>
                {
                    *entry = Entry::Skipped(batch.bytes() - made);
                    if index == 0 {
                        self.made = (0, 0);
                        self.lines.clear();
                    }
                }
                _ => {}
            }
        }
        if self.marks.iter().all(|mark| mark.topic_of != Some(ended)) {
            return;
        }
        let mut pieces = std::mem::take(&mut self.pieces);
        if let Some(first) = pieces.front_mut() {
            *first = first.slice(self.written..);
        }
        self.written = 0;
        for (index, mark) in self.marks.iter_mut().enumerate() {
            let begun = if index == 0 { self.begun } else { 0 };
            let is_left_out = mark.topic_of == Some(ended) && begun == 0;
            let mut left = mark.wire - begun;
            while left > 0
                && let Some(piece) = pieces.front_mut()
            {
                let part = piece.split_to(left.min(piece.len()));
                left -= part.len();
                if piece.is_empty() {
                    pieces.pop_front();
                }
                if !is_left_out {
                    self.pieces.push_back(part);
                }
            }
            if is_left_out {
                mark.wire = 0;
            }
        }
    }
}
