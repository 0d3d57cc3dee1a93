mod tail;

use super::error::NativeError;
use bytes::Bytes;
use switchboard_broker::{AckMode, Batch, Command, ECHO, Kind, Limits, Packer, SubscriptionId};
use switchboard_wire::native::{ForeignProtocol, Split, split};
use tail::UNCHARGED;

/// A message up to this size, in bytes, is copied out of the tail: a buffer of its own would waste more.
const COPIED: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    FirstFrame,
    Pairs,
    Ended,
}

/// One connection's bytes become commands. No input and output is done here.
///
/// For each read, a driver
/// 1. may put bytes straight into [`Session::spare`] and report them with [`Session::filled`],
/// 2. passes all others to [`Session::received`] or [`Session::received_up_to`], which must be called in either
///    case, and
/// 3. calls [`Session::resume`] while [`Session::has_backlog`], and reads nothing more until then.
///
/// It carries out the commands after each call, and stops while the broker has paused the connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    /// Subscribed to a queue: what it has not taken is for others when it leaves.
    consumer: bool,
    channel_limit: usize,
    message_limit: usize,
    /// The beginning of a frame or pair that is not whole; behind `filled`, zeros.
    tail: Vec<u8>,
    filled: usize,
    /// Tail length at which more can be said about it.
    need: usize,
    /// Tail length before more is reserved for it; at most `need`.
    room: usize,
    /// Received bytes not looked at yet, behind `backlog_at`.
    backlog: Vec<u8>,
    backlog_at: usize,
    reserved: bool,
}

/// The beginning of some bytes.
enum Pair<'a> {
    Whole { channel: &'a [u8], data: &'a [u8], data_at: usize },
    End,
    Need(usize),
}

/// The data frames of consecutive whole pairs that begin with the same frame.
struct Run<'a> {
    rest: &'a [u8],
    /// The frame that names the channel.
    lead: &'a [u8],
    limit: usize,
}

impl<'a> Iterator for Run<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let behind = self.rest.strip_prefix(self.lead)?;
        let Ok(Split::Frame { consumed, .. }) = split(behind, self.limit) else { return None };
        let (data, rest) = behind.split_at(consumed);
        self.rest = rest;
        Some(data)
    }
}

impl Session {
    /// A session whose peer has sent nothing yet.
    pub fn new(limits: &Limits) -> Session {
        Session {
            state: State::FirstFrame,
            consumer: false,
            channel_limit: limits.channel_name,
            message_limit: limits.message,
            tail: Vec::new(),
            filled: 0,
            need: 0,
            room: 0,
            backlog: Vec::new(),
            backlog_at: 0,
            reserved: false,
        }
    }

    /// Whether the peer has said which channel it subscribes to.
    pub fn is_begun(&self) -> bool {
        self.state != State::FirstFrame
    }

    /// Whether the peer has ended the session. Nothing that follows means anything.
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether the peer has subscribed to a queue.
    pub fn is_consumer(&self) -> bool {
        self.consumer
    }

    /// Minimum number of bytes missing to what was begun; zero at a boundary.
    pub fn missing(&self) -> usize {
        self.need - self.filled
    }

    /// Whether [`Session::resume`] has something to do.
    pub fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// Appends to `commands` what the bytes ask for, together with those before them.
    ///
    /// # Errors
    /// If a frame is over its limit. What came before it is in `commands`.
    pub fn received(&mut self, input: &[u8], commands: &mut Vec<Command>) -> Result<(), NativeError> {
        self.received_up_to(input, usize::MAX, commands)
    }

    /// The same, but stops at the first boundary at which there are `most` commands. The rest of the input is kept,
    /// and reserved, as a backlog.
    ///
    /// # Errors
    /// As [`Session::received`].
    pub fn received_up_to(
        &mut self,
        input: &[u8],
        most: usize,
        commands: &mut Vec<Command>,
    ) -> Result<(), NativeError> {
        if self.state == State::FirstFrame {
            self.recognize(input)?;
        }
        self.take_in(input, most, commands)
    }

    /// Fails if the peer's first bytes are another protocol's, though they have the form of a frame.
    #[cold]
    fn recognize(&self, input: &[u8]) -> Result<(), NativeError> {
        let seen = self.tail[..self.filled].iter().chain(input);
        let first: Vec<u8> = seen.copied().take(ForeignProtocol::NAMED).collect();
        match ForeignProtocol::recognize_name(&first) {
            // A name that is too long is that, however much of it is here.
            Some(protocol) if announced(&first) <= self.channel_limit => Err(NativeError::OtherProtocol { protocol }),
            _ => Ok(()),
        }
    }

    /// The same for what is no other protocol's. By itself, for nearly all bytes come here.
    #[inline(never)]
    fn take_in(&mut self, mut input: &[u8], most: usize, commands: &mut Vec<Command>) -> Result<(), NativeError> {
        debug_assert!(!self.has_backlog(), "received more before the backlog was dealt with");
        while self.need > 0 {
            let (now, behind) = input.split_at(self.missing().min(input.len()));
            self.keep(now);
            input = behind;
            if self.missing() > 0 {
                self.reserve_ahead(commands);
                return Ok(());
            }
            self.take_tail(commands)?;
        }
        if self.state == State::FirstFrame {
            match split(input, self.channel_limit).map_err(|_| self.channel_too_long(input))? {
                Split::Frame { body, consumed } => {
                    self.first_frame(body, commands);
                    input = &input[consumed..];
                }
                Split::Need(need) => {
                    self.begin_tail(input, need, commands);
                    return Ok(());
                }
            }
        }
        let rest = self.whole_pairs(input, most, commands)?;
        if !rest.is_empty() {
            self.backlog = rest.to_vec();
            if rest.len() > UNCHARGED {
                self.reserve(rest.len(), rest.len(), commands);
            }
        }
        Ok(())
    }

    /// Goes on with what [`Session::received_up_to`] has kept, and stops as that does.
    ///
    /// # Errors
    /// As [`Session::received`].
    pub fn resume(&mut self, most: usize, commands: &mut Vec<Command>) -> Result<(), NativeError> {
        let backlog = std::mem::take(&mut self.backlog);
        let had_reserved = std::mem::take(&mut self.reserved);
        let input = &backlog[self.backlog_at..];
        let rest = self.whole_pairs(input, most, commands)?.len();
        if rest > 0 {
            self.backlog_at = backlog.len() - rest;
            self.backlog = backlog;
            self.reserved = had_reserved;
            return Ok(());
        }
        self.backlog_at = 0;
        if had_reserved && !self.reserved {
            commands.push(Command::Reserve { bytes: 0, whole: 0 });
        }
        Ok(())
    }

    /// Everything that is whole in `input`, up to the boundary at which there are `most` commands, and then gives what
    /// is behind it; otherwise the rest becomes the tail.
    fn whole_pairs<'a>(
        &mut self,
        mut input: &'a [u8],
        most: usize,
        commands: &mut Vec<Command>,
    ) -> Result<&'a [u8], NativeError> {
        while self.state == State::Pairs {
            if commands.len() >= most {
                return Ok(input);
            }
            match self.pair(input)? {
                Pair::Whole { channel, data_at, .. } => {
                    // The first pass measures the run, so that the second packs it into a
                    // buffer without a byte to spare.
                    let run = || Run { rest: input, lead: &input[..data_at], limit: self.message_limit };
                    let packed = run().map(<[u8]>::len).sum();
                    let mut packer = Packer::with_capacity(packed);
                    let mut run = run();
                    run.by_ref().for_each(|data| packer.push_packed(data));
                    if let Some(batch) = packer.finish() {
                        commands.push(message(channel, batch));
                    }
                    input = run.rest;
                }
                Pair::End => self.end(commands),
                Pair::Need(_) if input.is_empty() => break,
                Pair::Need(need) => {
                    self.begin_tail(input, need, commands);
                    break;
                }
            }
        }
        Ok(&[])
    }

    /// The tail is as long as it had to be: it is whole now, or it is known what it lacks.
    fn take_tail(&mut self, commands: &mut Vec<Command>) -> Result<(), NativeError> {
        let tail = std::mem::take(&mut self.tail);
        let filled = &tail[..self.filled];
        if self.state == State::FirstFrame {
            match split(filled, self.channel_limit).map_err(|_| self.channel_too_long(filled))? {
                Split::Frame { body, .. } => {
                    self.first_frame(body, commands);
                    self.end_tail(commands);
                }
                Split::Need(need) => {
                    self.set_need(need, commands);
                    self.tail = tail;
                }
            }
            return Ok(());
        }
        match self.pair(filled)? {
            Pair::Whole { channel, data, data_at, .. } => {
                let channel = Bytes::copy_from_slice(channel);
                let batch = if data.len() > COPIED {
                    // A data frame is a packed message already: no copy.
                    Batch::from_packed(Bytes::from(tail).slice(data_at..)).expect("one whole frame")
                } else {
                    Batch::one(data)
                };
                commands.push(message(&channel, batch));
                self.end_tail(commands);
            }
            Pair::End => {
                self.end(commands);
                self.end_tail(commands);
            }
            Pair::Need(need) => {
                self.set_need(need, commands);
                self.tail = tail;
            }
        }
        Ok(())
    }

    fn pair<'a>(&self, input: &'a [u8]) -> Result<Pair<'a>, NativeError> {
        let (channel, data_at) = match split(input, self.channel_limit) {
            Ok(Split::Frame { body, consumed }) => (body, consumed),
            Ok(Split::Need(need)) => return Ok(Pair::Need(need)),
            Err(_) => return Err(self.channel_too_long(input)),
        };
        if channel.is_empty() {
            return Ok(Pair::End);
        }
        let rest = &input[data_at..];
        match split(rest, self.message_limit) {
            Ok(Split::Frame { body: data, .. }) => Ok(Pair::Whole { channel, data, data_at }),
            Ok(Split::Need(need)) => Ok(Pair::Need(data_at + need)),
            Err(_) => Err(NativeError::DataTooLong { length: announced(rest), limit: self.message_limit }),
        }
    }

    fn channel_too_long(&self, input: &[u8]) -> NativeError {
        let first = input.first_chunk().filter(|_| self.state == State::FirstFrame);
        if let Some(protocol) = first.and_then(|first| ForeignProtocol::recognize(*first)) {
            return NativeError::OtherProtocol { protocol };
        }
        NativeError::ChannelTooLong { length: announced(input), limit: self.channel_limit }
    }

    fn first_frame(&mut self, body: &[u8], commands: &mut Vec<Command>) {
        if body.is_empty() {
            return self.end(commands);
        }
        self.state = State::Pairs;
        self.consumer = Kind::of(body) == Kind::Queue;
        commands.push(Command::Subscribe {
            subscription: SubscriptionId(0),
            pattern: Bytes::copy_from_slice(body),
            ack: AckMode::Auto,
        });
    }

    /// The peer has shut its side down between two pairs. A listener still gets what waits for
    /// it; what waits for a consumer goes to other consumers, for it is more likely dead than done.
    pub fn shut_down(&mut self, commands: &mut Vec<Command>) {
        if self.state == State::Pairs && !self.consumer && self.missing() == 0 {
            self.end(commands);
        }
    }

    fn end(&mut self, commands: &mut Vec<Command>) {
        self.state = State::Ended;
        commands.push(Command::Finish);
    }
}

fn message(channel: &[u8], batch: Batch) -> Command {
    if channel == ECHO {
        return Command::Barrier { batch };
    }
    Command::Publish { channel: Bytes::copy_from_slice(channel), batch }
}

/// The length at the beginning of a frame.
fn announced(input: &[u8]) -> usize {
    input.first_chunk().map_or(0, |prefix| u32::from_be_bytes(*prefix) as usize)
}
