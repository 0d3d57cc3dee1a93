use std::borrow::Cow;
use switchboard_wire::native::ForeignProtocol;
use switchboard_wire::stomp::{Frame, FrameWriter, Version};

/// Tells an ERROR behind which the session goes on from others: by the specification, each is the last frame.
const FATAL: &[u8] = b"fatal";

/// An ERROR frame, behind which the session ends unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StompError {
    /// A sentence for the person who reads the client's log.
    pub(crate) message: Cow<'static, str>,
    /// Of the frame that is to blame.
    pub(crate) receipt: Option<Vec<u8>>,
    /// The session ends behind it.
    is_fatal: bool,
    /// Whether the versions that are spoken here are named.
    names_versions: bool,
    /// The peer speaks something else, and could not read an ERROR.
    pub(crate) foreign: Option<ForeignProtocol>,
}

impl StompError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> StompError {
        StompError { message: message.into(), receipt: None, is_fatal: true, names_versions: false, foreign: None }
    }

    /// No version in common.
    pub(super) fn versions(asked: &[u8]) -> StompError {
        let message = format!("none of the versions {} is spoken here", asked.escape_ascii());
        StompError { names_versions: true, ..StompError::new(message) }
    }

    pub(super) fn foreign(protocol: ForeignProtocol) -> StompError {
        StompError { foreign: Some(protocol), ..StompError::new(format!("{protocol} was spoken")) }
    }

    /// Names the receipt that the frame asked for.
    pub(super) fn about(self, frame: &Frame<'_>) -> StompError {
        self.with_receipt(frame.header(b"receipt").map(Cow::into_owned))
    }

    /// Names a receipt, if there is one.
    pub(crate) fn with_receipt(self, receipt: Option<Vec<u8>>) -> StompError {
        StompError { receipt, ..self }
    }

    /// A message was not taken, and the session goes on.
    pub(super) fn rejected(reason: String, receipt: &[u8]) -> StompError {
        StompError { is_fatal: false, ..StompError::new(reason).with_receipt(Some(receipt.to_vec())) }
    }

    /// The ERROR frame.
    pub(super) fn write(&self, version: Version, out: &mut Vec<u8>) {
        // A long message is whole in the body.
        let short = self.message.char_indices().nth(200).map_or(&self.message[..], |(end, _)| &self.message[..end]);
        let mut frame = FrameWriter::new(b"ERROR", version, out).header(b"message", short.as_bytes());
        if self.names_versions {
            frame = frame.header(b"version", b"1.0,1.1,1.2");
        }
        if !self.is_fatal {
            frame = frame.header(FATAL, b"false");
        }
        if let Some(receipt) = &self.receipt {
            frame = frame.header(b"receipt-id", receipt);
        }
        frame.header(b"content-type", b"text/plain").body(self.message.as_bytes());
    }
}
