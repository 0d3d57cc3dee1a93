//! The session of whichever protocol the peer speaks.

use super::Missing;
use crate::handle::ConnectionHandle;
use crate::hub::Hub;
use crate::native::{self, NativeError};
use crate::stomp::{self, Entry, StompError};
use crate::sync::Mutex;
use std::sync::Arc;
use switchboard_broker::Command;

/// A connection's session. It is native until the first byte says otherwise.
#[derive(Debug)]
pub(super) enum Speaker {
    Native(native::Session),
    Stomp(Box<stomp::Session>),
}

/// The peer broke its protocol.
#[derive(Clone, Debug)]
pub(super) enum Wrong {
    Native(NativeError),
    Stomp(StompError),
}

/// The same call to whichever it is.
macro_rules! either {
    ($speaker:expr, $it:ident => $call:expr) => {
        match $speaker {
            Speaker::Native($it) => $call,
            Speaker::Stomp($it) => $call,
        }
    };
}

impl Speaker {
    /// Over WebSocket STOMP is spoken.
    pub(super) fn new(handle: &ConnectionHandle, hub: &Hub) -> Speaker {
        if handle.is_web_socket() {
            return Speaker::stomp_of(handle, hub);
        }
        Speaker::Native(native::Session::new(hub.limits()))
    }

    /// Looks at the first bytes.
    pub(super) fn recognize(&mut self, input: &[u8], handle: &ConnectionHandle, hub: &Hub) {
        let Speaker::Native(session) = self else { return };
        if !session.is_begun() && session.missing() == 0 && stomp::Session::begins_with(input) {
            *self = Speaker::stomp_of(handle, hub);
        }
    }

    /// A session of STOMP from its first byte on.
    fn stomp_of(handle: &ConnectionHandle, hub: &Hub) -> Speaker {
        let ledger = Arc::new(Mutex::new(stomp::Ledger::default()));
        handle.speak_stomp(ledger.clone(), hub.frames_ahead());
        let session = stomp::Session::new(handle.id(), hub.now(), hub.limits(), ledger, hub.transactions());
        Speaker::Stomp(Box::new(session.up_to(handle.newest_stomp())))
    }

    pub(super) fn is_begun(&self) -> bool {
        either!(self, session => session.is_begun())
    }

    pub(super) fn is_ended(&self) -> bool {
        either!(self, session => session.is_ended())
    }

    pub(super) fn is_consumer(&self) -> bool {
        either!(self, session => session.is_consumer())
    }

    pub(super) fn missing(&self) -> usize {
        either!(self, session => session.missing())
    }

    /// The rest of a frame that was begun.
    pub(super) fn lacks(&self) -> Missing {
        match self {
            _ if self.missing() == 0 => Missing::Nothing,
            Speaker::Stomp(session) if !session.is_end_known() => Missing::Unknown,
            _ => Missing::AtLeast(self.missing()),
        }
    }

    pub(super) fn has_backlog(&self) -> bool {
        either!(self, session => session.has_backlog())
    }

    pub(super) fn spare(&mut self) -> &mut [u8] {
        either!(self, session => session.spare())
    }

    pub(super) fn filled(&mut self, bytes: usize) {
        either!(self, session => session.filled(bytes));
    }

    pub(super) fn shut_down(&mut self, commands: &mut Vec<Command>) {
        either!(self, session => session.shut_down(commands));
    }

    pub(super) fn received_up_to(
        &mut self,
        input: &[u8],
        most: usize,
        commands: &mut Vec<Command>,
    ) -> Result<(), Wrong> {
        match self {
            Speaker::Native(session) => session.received_up_to(input, most, commands).map_err(Wrong::Native),
            Speaker::Stomp(session) => session.received_up_to(input, most, commands).map_err(Wrong::Stomp),
        }
    }

    pub(super) fn resume(&mut self, most: usize, commands: &mut Vec<Command>) -> Result<(), Wrong> {
        match self {
            Speaker::Native(session) => session.resume(most, commands).map_err(Wrong::Native),
            Speaker::Stomp(session) => session.resume(most, commands).map_err(Wrong::Stomp),
        }
    }

    /// Reply to write at once, without the broker.
    pub(super) fn reply(&mut self) -> Option<Entry> {
        let Speaker::Stomp(session) = self else { return None };
        session.take_reply().map(|(version, frame)| Entry::Connected(version, frame))
    }

    pub(super) fn stomp(&mut self) -> Option<&mut stomp::Session> {
        match self {
            Speaker::Native(_) => None,
            Speaker::Stomp(session) => Some(session),
        }
    }
}
