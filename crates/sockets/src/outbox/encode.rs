//! Messages into bytes: short ones into the open buffer, long ones into buffers of their own.

use super::pipe::Pipe;
use super::{Outbox, Segment, Wakes};
use crate::payload::sealed::Payload;
use bytes::{BufMut, Bytes, BytesMut};
use switchboard_wire::zmtp::frame;

/// The open buffer is sealed when it has so many bytes.
const BUFFER: usize = 64 << 10;
/// A message with a part of so many bytes does not go into the open buffer, and such a part is not copied if it can be shared.
pub(super) const LARGE: usize = 16 << 10;
/// Headers before shared parts are cut from buffers of so many bytes.
const HEADERS: usize = 1 << 10;

impl Outbox {
    /// To the pipes that were chosen.
    #[inline]
    pub(super) fn append(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) {
        let parts = message.parts();
        if (0..parts).any(|number| message.part(number).len() >= LARGE) {
            return self.append_large(message, wakes);
        }
        let size: usize = (0..parts).map(|number| frame::size(message.part(number).len())).sum();
        if self.open.len() + size > BUFFER {
            self.seal();
        }
        if self.open.capacity() - self.open.len() < size {
            self.open.reserve(BUFFER.max(size));
        }
        let start = self.open.len();
        for number in 0..parts {
            put(&mut self.open, message.part(number), number + 1 < parts);
        }
        let range = start..self.open.len();
        self.run_bytes += range.len();
        for at in 0..self.chosen.len() {
            self.step();
            let id = self.chosen[at];
            let pipe = self.pipes.expect(id);
            if self.conflate {
                pipe.clear();
            }
            if !pipe.has_open() {
                self.open_pipes.push(id);
            }
            pipe.add_open(range.clone());
            wake(pipe, wakes);
        }
    }

    /// Consecutive parts that are copied make one segment with their headers; a part that is shared is one of its own.
    #[cold]
    fn append_large(&mut self, message: &(impl Payload + ?Sized), wakes: &mut Wakes) {
        self.seal();
        let mut segments: Vec<Segment> = Vec::with_capacity(2);
        let mut push = |bytes: Bytes| {
            let first = segments.is_empty();
            segments.push(Segment { bytes, messages: usize::from(first), continues: !first, command: false });
        };
        let parts = message.parts();
        let shared = |number: usize| {
            if message.part(number).len() >= LARGE { message.shared(number) } else { None }
        };
        let mut number = 0;
        while number < parts {
            // Up to the next part that is shared, with its header.
            let (mut end, mut size, mut part) = (number, 0, None);
            while end < parts && part.is_none() {
                part = shared(end);
                let length = message.part(end).len();
                size += frame::size(length) - if part.is_some() { length } else { 0 };
                end += 1;
            }
            let buffer = if size > HEADERS / 4 {
                &mut BytesMut::with_capacity(size)
            } else {
                if self.headers.capacity() < size {
                    self.headers = BytesMut::with_capacity(HEADERS);
                }
                &mut self.headers
            };
            for number in number..end {
                let (body, more) = (message.part(number), number + 1 < parts);
                if part.is_some() && number + 1 == end {
                    put_header(buffer, body.len(), more);
                } else {
                    put(buffer, body, more);
                }
            }
            self.run_bytes += size;
            push(buffer.split().freeze());
            part.into_iter().for_each(&mut push);
            number = end;
        }
        for at in 0..self.chosen.len() {
            self.step();
            let pipe = self.pipes.expect(self.chosen[at]);
            if self.conflate {
                pipe.clear();
            }
            pipe.add_segments(&segments);
            wake(pipe, wakes);
        }
    }

    pub(super) fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let buffer = self.open.split().freeze();
        let mut last = None;
        let mut open_pipes = std::mem::take(&mut self.open_pipes);
        for id in open_pipes.drain(..) {
            self.step();
            if let Some(pipe) = self.pipes.get_mut(id) {
                pipe.seal(&buffer, &mut last);
            }
        }
        // Its memory is used again.
        self.open_pipes = open_pipes;
    }
}

#[inline]
fn put_header(buffer: &mut BytesMut, length: usize, more: bool) {
    let (header, size) = frame::header_bytes(length, more);
    buffer.put_slice(&header[..size]);
}

#[inline]
fn put(buffer: &mut BytesMut, part: &[u8], more: bool) {
    put_header(buffer, part.len(), more);
    buffer.put_slice(part);
}

#[inline]
fn wake(pipe: &mut Pipe, wakes: &mut Wakes) {
    if !pipe.awake {
        pipe.awake = true;
        wakes.0.push(pipe.wake.clone());
    }
}
