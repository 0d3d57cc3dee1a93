//! Bytes become frames, and the memory that is reserved for them.

use super::{Session, State, StompError};
use bytes::Bytes;
use switchboard_broker::{Batch, Command};
use switchboard_wire::native::ForeignProtocol;
use switchboard_wire::stomp::{DecodeError, Decoder, Found, Limits};

/// A buffer up to this size, in bytes, belongs to the fixed charge of a connection and is not reserved.
const UNCHARGED: usize = 512;

/// A body above this size, in bytes, is handed on in the buffer that it came in.
const COPIED: usize = 4096;

/// The beginning of a frame that is not whole. It is never longer than twice what has come, apart from a first few bytes: an
/// announced length alone takes no memory.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Behind `filled`, zeros.
    bytes: Vec<u8>,
    filled: usize,
    /// Length at which more can be said about it; 0 if nothing is begun.
    need: usize,
    /// Length before more is reserved for it.
    room: usize,
}

impl Tail {
    fn keep(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        if end > self.bytes.len() {
            self.extend(end);
        }
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    /// Grows to the room that is reserved, so that bytes that come one at a time are moved rarely.
    fn extend(&mut self, length: usize) {
        if length > self.bytes.capacity() {
            self.bytes.reserve_exact(length.max(self.room) - self.bytes.len());
        }
        self.bytes.resize(length, 0);
    }

    /// Room for as much again as has come, once that has no room left.
    fn make_room(&mut self) {
        if self.filled >= self.room {
            let twice = self.filled.saturating_mul(2).max(UNCHARGED);
            self.room = if self.is_length_known() { self.need.min(twice) } else { twice };
        }
    }

    /// Whether `need` is the end of the frame, and not only one byte more than there is.
    fn is_length_known(&self) -> bool {
        self.need > self.filled + 1
    }
}

impl Session {
    /// The buffer for the next bytes, if something was begun.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        // Never beyond the frame's end: what is behind it belongs to the input.
        if !self.tail.is_length_known() {
            return &mut [];
        }
        let end = self.tail.room.min(self.tail.need);
        if end > self.tail.bytes.len() {
            self.tail.extend(end);
        }
        &mut self.tail.bytes[self.tail.filled..end]
    }

    /// So many bytes were put at the beginning of [`Session::spare`].
    pub(crate) fn filled(&mut self, bytes: usize) {
        self.tail.filled += bytes;
    }

    /// Minimum number of bytes missing to what was begun; zero between frames.
    pub(crate) fn missing(&self) -> usize {
        self.tail.need.saturating_sub(self.tail.filled)
    }

    /// Whether it is known how many bytes of what was begun are missing.
    pub(crate) fn is_end_known(&self) -> bool {
        self.tail.is_length_known()
    }

    /// Whether [`Session::resume`] has something to do.
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Appends to `commands` what the bytes ask for, together with those before them. Stops at the first frame's end at which
    /// there are `most` commands. The rest of the input is kept, and reserved, as a backlog.
    ///
    /// # Errors
    /// If the session is to end with an ERROR. What came before it is in `commands`.
    pub(crate) fn received_up_to(
        &mut self,
        input: &[u8],
        most: usize,
        commands: &mut Vec<Command>,
    ) -> Result<(), StompError> {
        let result = self.take_in(input, most, commands);
        self.flush(commands);
        self.reserve(commands);
        result
    }

    /// Goes on with what [`Session::received_up_to`] has kept, and stops as that does.
    ///
    /// # Errors
    /// As [`Session::received_up_to`].
    pub(crate) fn resume(&mut self, most: usize, commands: &mut Vec<Command>) -> Result<(), StompError> {
        let (backlog, at) = (std::mem::take(&mut self.backlog), std::mem::take(&mut self.backlog_at));
        let result = self.frames(&backlog[at..], most, commands);
        self.flush(commands);
        let result = match result {
            Ok(rest) if rest > 0 => {
                (self.backlog_at, self.backlog) = (backlog.len() - rest, backlog);
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.reserve(commands);
        result
    }

    fn take_in(&mut self, mut input: &[u8], most: usize, commands: &mut Vec<Command>) -> Result<(), StompError> {
        let whole = input;
        while self.tail.need > 0 {
            // A head, or a body without a length, has no known end: so much at a time that copies and work stay in
            // proportion.
            let more = if self.missing() > 1 { self.missing() } else { self.tail.filled.max(UNCHARGED) };
            let (now, behind) = input.split_at(more.min(input.len()));
            self.tail.keep(now);
            input = behind;
            if self.missing() > 0 {
                self.tail.make_room();
                return Ok(());
            }
            if let Some(behind) = self.take_tail(commands)? {
                // The frame's end was in the input.
                let at = whole.len() - input.len() - behind;
                input = &whole[at..];
            }
        }
        let rest = self.frames(input, most, commands)?;
        if rest > 0 {
            self.backlog = input[input.len() - rest..].to_vec();
        }
        Ok(())
    }

    /// Everything that is whole, up to `most` commands: gives how many bytes are left then. Otherwise the rest becomes the
    /// tail.
    fn frames(&mut self, mut input: &[u8], most: usize, commands: &mut Vec<Command>) -> Result<usize, StompError> {
        while self.state != State::Ended {
            if commands.len() >= most {
                return Ok(input.len());
            }
            if self.state == State::Connecting {
                recognize(input)?;
            }
            if let Some((id, length)) = self.decoder.bare_ack(input) {
                self.bare_ack(id, commands)?;
                input = &input[length..];
                continue;
            }
            match decode(&mut self.decoder, input)? {
                Found::Frame { frame, length } => {
                    self.ahead = input.len();
                    self.frame(&frame, commands)?;
                    input = &input[length..];
                }
                Found::Need { skip, bytes } => {
                    let rest = &input[skip..];
                    if !rest.is_empty() {
                        self.tail.need = bytes;
                        self.tail.keep(rest);
                        self.tail.make_room();
                    }
                    break;
                }
            }
        }
        Ok(0)
    }

    /// The tail is as long as it had to be: it is whole now, which gives how much is behind it, or more is needed.
    fn take_tail(&mut self, commands: &mut Vec<Command>) -> Result<Option<usize>, StompError> {
        let mut tail = std::mem::take(&mut self.tail);
        if self.state == State::Connecting {
            recognize(&tail.bytes[..tail.filled])?;
        }
        match decode(&mut self.decoder, &tail.bytes[..tail.filled])? {
            Found::Frame { frame, length } => {
                let behind = tail.filled - length;
                let body = frame.body_range.clone();
                if self.state == State::Open
                    && frame.command == b"SEND"
                    && body.len() > COPIED
                    && body.len() >= length / 2
                {
                    // Headers are copied first: a length takes the place of the last bytes before the body.
                    let send = self.send(&frame).map_err(|error| error.about(&frame))?;
                    let at = body.start - 4;
                    tail.bytes[at..body.start].copy_from_slice(&(body.len() as u32).to_be_bytes());
                    tail.bytes.truncate(body.end);
                    let packed = Bytes::from(tail.bytes).slice(at..);
                    let batch = Batch::from_packed(packed).expect("one whole message");
                    self.sent(send, batch, commands)?;
                } else {
                    self.ahead = length;
                    self.frame(&frame, commands)?;
                }
                Ok(Some(behind))
            }
            Found::Need { bytes, .. } => {
                tail.need = bytes;
                self.tail = tail;
                Ok(None)
            }
        }
    }

    /// Reserves what is kept here, if that has changed.
    fn reserve(&mut self, commands: &mut Vec<Command>) {
        let above = |bytes: usize| if bytes > UNCHARGED { bytes } else { 0 };
        let kept = above(self.backlog.len()) + self.transactions.bytes() + above(self.subscription_bytes);
        let bytes = above(self.tail.room) + kept;
        // A message takes over what was reserved for it.
        let is_stale = bytes > 0
            && commands
                .iter()
                .any(|command| matches!(command, Command::Publish { .. } | Command::PublishWithReceipt { .. }));
        if bytes != self.reserved || is_stale {
            self.reserved = bytes;
            let whole = above(self.tail.room.max(self.tail.need)) + kept;
            commands.push(Command::Reserve { bytes, whole });
        }
    }
}

/// Fails as soon as it is known that the peer does not begin with CONNECT or STOMP.
fn recognize(input: &[u8]) -> Result<(), StompError> {
    let eols = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    let first = &input[eols..];
    let is = |command: &[u8]| first.iter().zip(command).all(|(one, other)| one == other);
    let other =
        ForeignProtocol::recognize_beside_stomp(input).or_else(|| ForeignProtocol::recognize_beside_stomp(first));
    if let Some(protocol) = other.or_else(|| ForeignProtocol::recognize_name(first)) {
        return Err(StompError::foreign(protocol));
    }
    if is(b"CONNECT ") || is(b"CONNECT\n") || is(b"CONNECT\r") || is(b"STOMP\n") || is(b"STOMP\r") {
        return Ok(());
    }
    if IN_SMALL.iter().any(|command| is(command)) {
        // Its rest may still come: less of it could be another protocol's name.
        let is_whole = IN_SMALL.iter().any(|command| first.starts_with(command));
        return if is_whole { Err(StompError::new(CAPITALS)) } else { Ok(()) };
    }
    match first.first_chunk().map(|first| ForeignProtocol::recognize(*first)) {
        // Another protocol's name may still come.
        None => Ok(()),
        Some(Some(protocol)) if protocol != ForeignProtocol::Stomp => Err(StompError::foreign(protocol)),
        Some(_) => {
            let head = &first[..first.len().min(HEAD)];
            // The error names the receipt, which may still come.
            if LATER.iter().any(|command| is(command)) && head.len() < HEAD && !is_whole(head) {
                return Ok(());
            }
            let receipt = Decoder::new(Limits::default()).header_of_broken(head, b"receipt");
            Err(StompError::new("a session begins with CONNECT or STOMP").with_receipt(receipt))
        }
    }
}

/// The first command in small letters, as a person at a terminal types it.
pub(super) const IN_SMALL: [&[u8]; 2] = [b"connect", b"stomp"];

const CAPITALS: &str = "a session begins with CONNECT or STOMP, in capital letters";

/// Frames that may only follow CONNECT.
pub(super) const LATER: [&[u8]; 9] =
    [b"SEND", b"SUBSCRIBE", b"UNSUBSCRIBE", b"ACK", b"NACK", b"BEGIN", b"COMMIT", b"ABORT", b"DISCONNECT"];

/// The bytes of a frame before CONNECT that are looked at for its receipt.
const HEAD: usize = 8 << 10;

/// Whether the empty line behind a frame's headers has come.
fn is_whole(head: &[u8]) -> bool {
    head.windows(2).any(|two| two == b"\n\n") || head.windows(3).any(|three| three == b"\n\r\n")
}

/// As [`Decoder::next`]; an error names the frame's receipt, as far as that has come.
fn decode<'a>(decoder: &mut Decoder, input: &'a [u8]) -> Result<Found<'a>, StompError> {
    decoder.next(input).map_err(|error| {
        let wrong = match error {
            DecodeError::BodyTooLong { .. } => StompError::new(format!("{error} (limit: message)")),
            _ => StompError::new(error.to_string()),
        };
        wrong.with_receipt(decoder.header_of_broken(input, b"receipt"))
    })
}
