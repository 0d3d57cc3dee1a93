/// The bounds of one frame. Exactly a limit is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of header lines, repeated ones included.
    pub headers: usize,
    /// Bytes of a header line or the command, without its end.
    pub line: usize,
    /// Bytes of the body.
    pub body: usize,
}

impl Default for Limits {
    /// 256 header lines of 8 KiB, 16 MiB of body.
    fn default() -> Limits {
        Limits { headers: 256, line: 8 << 10, body: 16 << 20 }
    }
}
