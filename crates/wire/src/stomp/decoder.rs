use super::frame::{Frame, Header, lines};
use super::repeat::Repeat;
use super::{DecodeError, Limits, Version};

/// Finds frames in what a peer sends.
///
/// It copies nothing. It remembers how far it has scanned, so that a frame that arrives in many small pieces is scanned
/// once. Line ends may be LF or CR LF in every version.
#[derive(Debug, Clone)]
pub struct Decoder {
    limits: Limits,
    version: Version,
    phase: Phase,
    /// Position up to which the input is scanned.
    at: usize,
    /// Begin of the frame.
    begin: usize,
    /// Begin of the current line.
    line: usize,
    /// Of the frame at hand, so far.
    headers: usize,
    content_length: Option<usize>,
    /// Positions of its command and of its header lines.
    head: Head,
    /// The head of an earlier frame, which the next one may repeat.
    repeat: Repeat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// Line ends between two frames.
    Between,
    Command,
    Headers,
    Body,
}

#[derive(Debug, Clone, Copy, Default)]
struct Head {
    command: usize,
    lines: usize,
    end: usize,
}

/// The result of [`Decoder::next`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole frame.
    Frame {
        /// The frame.
        frame: Frame<'a>,
        /// Number of bytes of the input that it took, with the line ends before it; the next call begins behind them.
        length: usize,
    },
    /// Nothing whole.
    Need {
        /// Number of bytes at the start of the input that are done with: line ends between frames.
        skip: usize,
        /// Number of bytes that the input must hold, without the skipped ones, before the next call is worth while. One more
        /// than none of a frame has come if nothing is begun.
        bytes: usize,
    },
}

impl Decoder {
    /// One for a new connection. Until [`Decoder::set_version`], headers are those of CONNECT: without escapes, and blanks
    /// around them are no part of them.
    #[must_use]
    pub fn new(limits: Limits) -> Decoder {
        Decoder {
            limits,
            version: Version::V1_0,
            phase: Phase::Between,
            at: 0,
            begin: 0,
            line: 0,
            headers: 0,
            content_length: None,
            head: Head::default(),
            repeat: Repeat::default(),
        }
    }

    /// The version that was agreed on, for all frames but CONNECT, STOMP and CONNECTED from the next one on.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
        self.repeat = Repeat::default();
    }

    /// After an error, a header of the broken frame, as far as that has come: `input` is what [`Decoder::next`] was given.
    /// Errors in other headers do not matter.
    #[must_use]
    pub fn header_of_broken(&self, input: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let mut lines = lines(input.get(self.begin..)?);
        let version = self.version_of(lines.next()?);
        let head = lines.take_while(|line| !line.is_empty() && !line.contains(&0)).take(self.limits.headers);
        let mut headers = head.filter_map(|line| Header::of_line(line, version).ok());
        headers.find(|header| *header.name == *name).map(|header| header.value.into_owned())
    }

    /// Decodes the start of `input`. After [`Found::Need`] call with the same bytes, but for the skipped ones, and more
    /// behind them; after a frame without the bytes that it took.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]; the connection is of no use after it.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Found<'a>, DecodeError> {
        if self.phase == Phase::Between {
            let eols = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if eols == input.len() {
                return Ok(Found::Need { skip: eols, bytes: 1 });
            }
            (self.at, self.begin, self.line, self.phase) = (eols, eols, eols, Phase::Command);
            self.take_repeated(input);
        }
        while self.phase < Phase::Body {
            if !self.scan_line(input)? {
                return Ok(self.need(input.len() + 1));
            }
        }
        let (body, limit) = (self.head.end, self.limits.body);
        let end = match self.content_length {
            Some(length) => match input.get(body.saturating_add(length)) {
                Some(0) => body + length,
                Some(_) => return Err(DecodeError::NoNul { length }),
                None => return Ok(self.need(body.saturating_add(length).saturating_add(1))),
            },
            None => {
                let end = memchr::memchr(0, &input[self.at..]).map(|found| self.at + found);
                if end.unwrap_or(input.len()) - body > limit {
                    // However much is here: the error does not depend on how the bytes are cut.
                    return Err(DecodeError::BodyTooLong { length: limit + 1, limit });
                }
                self.at = input.len();
                match end {
                    Some(end) => end,
                    None => return Ok(self.need(input.len() + 1)),
                }
            }
        };
        let frame = Frame {
            command: &input[self.begin..self.head.command],
            lines: &input[self.head.lines..self.line],
            lines_at: self.head.lines,
            version: self.version_of(&input[self.begin..self.head.command]),
            body: &input[body..end],
            body_range: body..end,
        };
        self.phase = Phase::Between;
        Ok(Found::Frame { frame, length: end + 1 })
    }

    /// An ACK of version 1.2 with an id of letters, digits and hyphens and no other header, at the very beginning of `input`:
    /// gives the id, and the frame's length. [`Decoder::next`] finds the same there and costs more; consumers that ack each
    /// message send little else. Between two frames only. `None` says nothing about what is there.
    #[must_use]
    pub fn bare_ack<'a>(&self, input: &'a [u8]) -> Option<(&'a [u8], usize)> {
        const LINE: &[u8] = b"id:";
        let rest = input.strip_prefix(b"ACK\n")?.strip_prefix(LINE)?;
        let length = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-')?;
        let (id, behind) = rest.split_at(length);
        let is_due = self.phase == Phase::Between && self.version == Version::V1_2;
        let is_within = self.limits.headers > 0 && LINE.len() + length <= self.limits.line;
        let end = behind.strip_prefix(b"\n\n\0")?;
        (is_due && is_within).then_some((id, input.len() - end.len()))
    }

    /// Takes a whole head at once if it is that of an earlier frame, byte by byte.
    fn take_repeated(&mut self, input: &[u8]) {
        let Some(known) = self.repeat.found_at(&input[self.begin..]) else { return };
        let begin = self.begin;
        self.head = Head { command: begin + known.command, lines: begin + known.lines, end: begin + known.length() };
        (self.line, self.at, self.phase) = (begin + known.end, self.head.end, Phase::Body);
        (self.headers, self.content_length) = (known.headers, known.content_length);
    }

    /// Remembers the head that has just been taken, if the next frame is likely to repeat it.
    fn remember(&mut self, input: &[u8]) {
        let (begin, Head { command, lines, end }) = (self.begin, self.head);
        if &input[begin..command] == b"SEND" {
            let positions = [command - begin, lines - begin, self.line - begin];
            self.repeat.remember(&input[begin..end], positions, self.headers, self.content_length);
        }
    }

    fn version_of(&self, command: &[u8]) -> Version {
        match command {
            b"CONNECT" | b"STOMP" | b"CONNECTED" => Version::V1_0,
            _ => self.version,
        }
    }

    /// More is needed. What is before the frame is done with.
    fn need(&mut self, bytes: usize) -> Found<'static> {
        let skip = std::mem::take(&mut self.begin);
        self.at -= skip;
        self.line -= skip;
        if self.phase > Phase::Command {
            self.head.command -= skip;
            self.head.lines -= skip;
        }
        if self.phase == Phase::Body {
            self.head.end -= skip;
        }
        Found::Need { skip, bytes: bytes - skip }
    }

    /// Takes one more line of the head; false if it is not whole.
    fn scan_line(&mut self, input: &[u8]) -> Result<bool, DecodeError> {
        let rest = &input[self.at..];
        let end = memchr::memchr2(b'\n', 0, rest).map(|at| self.at + at);
        let limit = self.limits.line;
        let line = &input[self.line..end.unwrap_or(input.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > limit {
            // Before whatever ends it: the error does not depend on how the bytes are cut.
            return Err(DecodeError::LineTooLong { limit });
        }
        if end.is_some_and(|end| input[end] == 0) {
            return Err(DecodeError::NulInHead);
        }
        let Some(end) = end else {
            self.at = input.len();
            return Ok(false);
        };
        if self.phase == Phase::Command {
            (self.headers, self.content_length) = (0, None);
            self.head = Head { command: self.line + line.len(), lines: end + 1, end: 0 };
            self.phase = Phase::Headers;
        } else if line.is_empty() {
            // The header lines end where this one begins.
            (self.head.end, self.at, self.phase) = (end + 1, end + 1, Phase::Body);
            self.remember(input);
            return Ok(true);
        } else {
            self.header(line, &input[self.begin..self.head.command])?;
        }
        (self.at, self.line) = (end + 1, end + 1);
        Ok(true)
    }

    fn header(&mut self, line: &[u8], command: &[u8]) -> Result<(), DecodeError> {
        let Limits { headers, body, .. } = self.limits;
        self.headers += 1;
        if self.headers > headers {
            return Err(DecodeError::TooManyHeaders { limit: headers });
        }
        let version = self.version_of(command);
        let Header { name, value } = Header::of_line(line, version)?;
        if name.is_empty() {
            return Err(DecodeError::NoName);
        }
        if *name == *b"content-length" && self.content_length.is_none() {
            let length = number(value.trim_ascii()).ok_or(DecodeError::BadContentLength)?;
            if length > body {
                return Err(DecodeError::BodyTooLong { length, limit: body });
            }
            self.content_length = Some(length);
        }
        Ok(())
    }
}

/// Digits only: neither a sign nor blanks. More than fits counts as the most.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: usize, &digit: &u8| number.saturating_mul(10).saturating_add(usize::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}
