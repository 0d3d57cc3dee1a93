/// Limits on what a peer may send. `usize::MAX` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, all its parts together; default 64 MiB.
    pub message: usize,
    /// Parts of a message; default 1,024.
    pub parts: usize,
    /// Bytes of a command's body, also of one in the handshake; default 64 KiB.
    pub command: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { message: 64 << 20, parts: 1024, command: 64 << 10 }
    }
}
