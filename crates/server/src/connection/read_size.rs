//! Size of a connection's reads.

use super::Connection;
use super::speaker::Speaker;

/// Bytes of a read, at most and at least.
pub(super) const READ_MAX: usize = 512 << 10;
pub(super) const READ_MIN: usize = 16 << 10;
/// The most where memory is short.
const READ_PRESSED: usize = 4 << 10;
/// The most where frames are text: a read is parsed before others get their turn, and a WebSocket's is unmasked before
/// that.
const READ_TEXT: usize = 64 << 10;

impl Connection<'_> {
    /// Bytes that the next read may bring.
    pub(super) fn read_limit(&self) -> usize {
        let most = match &self.session {
            Speaker::Native(session) if session.is_begun() => READ_MAX,
            _ => READ_TEXT,
        };
        most.min(if self.hub.memory_pressed() { READ_PRESSED } else { share(self.hub.limits().memory) })
    }
}

/// A part of the memory budget, so that a few connections' reads do not use it up before anybody notices.
fn share(memory: usize) -> usize {
    (memory / 64).clamp(READ_PRESSED, READ_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, scripted};
    use super::*;
    use switchboard_broker::Limits;

    #[test]
    fn reads_are_small_where_memory_is() {
        assert_eq!(share(512 << 20), READ_MAX);
        assert_eq!(share(1 << 20), 16 << 10);
        assert_eq!(share(0), READ_PRESSED);
    }

    #[test]
    fn reads_are_short_until_the_protocol_is_known_and_where_it_is_text() {
        for (sent, limit) in [
            (&b""[..], READ_TEXT),
            (b"CONNECT\naccept-version:1.2\nhost:a\n\n\0", READ_TEXT),
            (b"\0\0\0\x05/null", READ_MAX),
        ] {
            let context = context(Limits::default());
            let (script, handle) = scripted(1);
            context.hub.connect(&handle);
            let mut connection = Connection::new(&context, &handle);
            script.sends(sent);
            connection.read();
            assert_eq!(connection.read_limit(), limit, "{}", sent.escape_ascii());
        }
    }
}
