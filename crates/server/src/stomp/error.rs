use std::borrow::Cow;
use std::sync::Arc;
use switchboard_broker::{Batch, Packer};
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
    /// The newest of the versions that are spoken here, where they are named.
    versions_up_to: Option<Version>,
    /// The status of a WebSocket's close behind it, where it is not that of other errors.
    pub(crate) close: Option<u16>,
    /// The peer speaks something else, and could not read an ERROR.
    pub(crate) foreign: Option<ForeignProtocol>,
}

impl StompError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> StompError {
        StompError {
            message: message.into(),
            receipt: None,
            is_fatal: true,
            versions_up_to: None,
            close: None,
            foreign: None,
        }
    }

    /// No version in common, of those up to the newest that may be spoken.
    pub(super) fn versions(asked: &[u8], newest: Version) -> StompError {
        let asked = asked.escape_ascii();
        let message = if newest == Version::V1_2 {
            format!("none of the versions {asked} is spoken here")
        } else {
            let subprotocol = newest.name().replace('.', "");
            format!(
                "none of the versions {asked} may be spoken under the subprotocol v{subprotocol}.stomp, which was agreed on"
            )
        };
        StompError { versions_up_to: Some(newest), ..StompError::new(message) }
    }

    pub(super) fn foreign(protocol: ForeignProtocol) -> StompError {
        StompError { foreign: Some(protocol), ..StompError::new(format!("{protocol} was spoken")) }
    }

    /// A WebSocket's close behind it has this status.
    pub(crate) fn closing(self, status: u16) -> StompError {
        StompError { close: Some(status), ..self }
    }

    /// The session goes on behind it.
    pub(super) fn passing(self) -> StompError {
        StompError { is_fatal: false, ..self }
    }

    /// The receipt in whose place an error is given behind which the session goes on: in its turn, and charged as receipts are.
    pub(super) fn as_receipt(&self) -> Option<Batch> {
        if self.is_fatal {
            return None;
        }
        let mut packer = Packer::default();
        packer.push(self.message.as_bytes());
        if let Some(receipt) = &self.receipt {
            packer.push(receipt);
        }
        // Receipts that a client asked for have none.
        Some(packer.finish()?.with_attributes(Some(Arc::default())))
    }

    /// The error that is given in the place of a receipt, if one is.
    pub(super) fn of_receipt(batch: &Batch) -> Option<StompError> {
        batch.attributes()?;
        let mut parts = batch.iter();
        let message = String::from_utf8_lossy(parts.next()?).into_owned();
        Some(StompError::new(message).with_receipt(parts.next().map(<[u8]>::to_vec)).passing())
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
        StompError::new(reason).with_receipt(Some(receipt.to_vec())).passing()
    }

    /// The ERROR frame.
    pub(super) fn write(&self, version: Version, out: &mut Vec<u8>) {
        // A long message is whole in the body.
        let short = self.message.char_indices().nth(200).map_or(&self.message[..], |(end, _)| &self.message[..end]);
        let mut frame = FrameWriter::new(b"ERROR", version, out).header(b"message", short.as_bytes());
        if let Some(newest) = self.versions_up_to {
            let names: Vec<_> =
                Version::ALL.iter().filter(|version| **version <= newest).map(|version| version.name()).collect();
            frame = frame.header(b"version", names.join(",").as_bytes());
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
