//! Pending output of a subscription's connection.

use super::dial::Writer;
use std::io;
use tokio::io::AsyncWriteExt;

/// Pending output of a connection, and its end.
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    unflushed: bool,
    shut_down: bool,
}

impl Outgoing {
    pub(crate) fn new() -> Outgoing {
        Outgoing { bytes: Vec::new(), unflushed: false, shut_down: false }
    }

    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
    }

    /// Half-closes the connection after everything else.
    pub(crate) fn shut_down(&mut self) {
        self.shut_down = true;
    }

    pub(crate) fn is_due(&self) -> bool {
        !self.bytes.is_empty() || self.unflushed || self.shut_down
    }

    /// One step. May be dropped half-way, and is then done again.
    pub(crate) async fn write(&mut self, writer: &mut Writer) -> io::Result<()> {
        if !self.bytes.is_empty() {
            let written = writer.write(&self.bytes).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.bytes.drain(..written);
            self.unflushed = true;
        } else if self.shut_down {
            writer.shutdown().await?;
            (self.shut_down, self.unflushed) = (false, false);
        } else {
            writer.flush().await?;
            self.unflushed = false;
        }
        Ok(())
    }
}
