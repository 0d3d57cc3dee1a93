use super::Version;

/// Appends a frame to a buffer: first its headers, in the order of the calls, then [`FrameWriter::body`] or
/// [`FrameWriter::end`]. A frame that is not ended is not whole.
#[derive(Debug)]
#[must_use = "a frame is not whole before it is ended"]
pub struct FrameWriter<'a> {
    out: &'a mut Vec<u8>,
    /// `None` for the frames that are never escaped.
    version: Option<Version>,
}

impl<'a> FrameWriter<'a> {
    /// Begins a frame with its command. CONNECT, STOMP and CONNECTED are never escaped, whatever the version.
    pub fn new(command: &[u8], version: Version, out: &'a mut Vec<u8>) -> FrameWriter<'a> {
        out.extend_from_slice(command);
        out.push(b'\n');
        let is_escaped = !matches!(command, b"CONNECT" | b"STOMP" | b"CONNECTED");
        FrameWriter { out, version: is_escaped.then_some(version) }
    }

    /// Goes on with a frame whose command and first headers are in the buffer.
    pub fn resume(version: Version, out: &'a mut Vec<u8>) -> FrameWriter<'a> {
        FrameWriter { out, version: Some(version) }
    }

    /// Adds a header. Bytes that the version has no escape for are written as `?`, so that no value becomes a header of its
    /// own.
    pub fn header(self, name: &[u8], value: &[u8]) -> FrameWriter<'a> {
        let version = self.version.unwrap_or(Version::V1_0);
        version.escape(name, true, self.out);
        self.out.push(b':');
        version.escape(value, false, self.out);
        self.out.push(b'\n');
        self
    }

    /// Adds a header whose value is a number.
    pub fn number(self, name: &[u8], value: u64) -> FrameWriter<'a> {
        self.numbered(name, b"", value)
    }

    /// Adds a header whose value is a number behind a prefix. The prefix is written as it is.
    pub fn numbered(self, name: &[u8], prefix: &[u8], value: u64) -> FrameWriter<'a> {
        self.out.extend_from_slice(name);
        self.out.push(b':');
        self.out.extend_from_slice(prefix);
        decimal(value, self.out);
        self.out.push(b'\n');
        self
    }

    /// Adds whole lines that [`FrameWriter::lines_of`] has made for the same version.
    pub fn lines(self, lines: &[u8]) -> FrameWriter<'a> {
        self.out.extend_from_slice(lines);
        self
    }

    /// The line of one header, for many frames.
    #[must_use]
    pub fn lines_of(name: &[u8], value: &[u8], version: Version) -> Vec<u8> {
        let mut lines = Vec::with_capacity(name.len() + value.len() + 2);
        let _ = FrameWriter { out: &mut lines, version: Some(version) }.header(name, value);
        lines
    }

    /// Ends the frame with a body behind its `content-length`.
    pub fn body(self, body: &[u8]) {
        let frame = self.number(b"content-length", body.len() as u64);
        frame.out.push(b'\n');
        frame.out.extend_from_slice(body);
        frame.out.push(0);
    }

    /// Ends the head of a frame whose body of `length` bytes, and a NUL byte behind it, are written elsewhere.
    pub fn body_follows(self, length: usize) {
        let frame = self.number(b"content-length", length as u64);
        frame.out.push(b'\n');
    }

    /// Ends a frame without a body.
    pub fn end(self) {
        self.out.extend_from_slice(b"\n\0");
    }
}

/// Appends a number in decimal digits.
fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
