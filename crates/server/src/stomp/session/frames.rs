//! Effects of each command.

use super::input::LATER;
use super::{Session, State, StompError};
use std::borrow::Cow;
use switchboard_broker::{Batch, Command};
use switchboard_wire::stomp::{Frame, Version};

impl Session {
    /// Carries out a frame; an error names its receipt.
    pub(super) fn frame(&mut self, frame: &Frame<'_>, commands: &mut Vec<Command>) -> Result<(), StompError> {
        if self.state == State::Open && frame.command == b"SEND" && self.run_on(frame) {
            return Ok(());
        }
        self.dispatch(frame, commands).or_else(|error| pass(error.about(frame), commands))
    }

    fn dispatch(&mut self, frame: &Frame<'_>, commands: &mut Vec<Command>) -> Result<(), StompError> {
        if matches!(frame.command, b"CONNECT" | b"STOMP") {
            return self.connect(frame);
        }
        if self.state == State::Connecting {
            return Err(StompError::new("a session begins with CONNECT or STOMP"));
        }
        if frame.command == b"SEND" {
            let send = self.send(frame)?;
            return self.sent(send, Batch::one(frame.body), commands);
        }
        self.flush(commands);
        let before = commands.len();
        match frame.command {
            b"SUBSCRIBE" => self.subscribe(frame, commands)?,
            b"UNSUBSCRIBE" => self.unsubscribe(frame, commands)?,
            b"ACK" => self.ack(frame, false, commands)?,
            b"NACK" => {
                self.require(Version::V1_1, "NACK")?;
                self.ack(frame, true, commands)?;
            }
            b"BEGIN" => self.transactions.begin(&transaction(frame)?)?,
            b"COMMIT" => self.commit(&transaction(frame)?, commands)?,
            b"ABORT" => self.transactions.abort(&transaction(frame)?)?,
            b"DISCONNECT" => self.end(commands),
            other => {
                let (shown, capitals) = (&other[..other.len().min(40)], other.to_ascii_uppercase());
                let advice = if LATER.contains(&&capitals[..]) && capitals != other {
                    format!(": write {}", capitals.escape_ascii())
                } else {
                    String::new()
                };
                return Err(StompError::new(format!("{} is no command of a client{advice}", shown.escape_ascii())));
            }
        }
        if let Some(receipt) = frame.header(b"receipt") {
            let covers = commands.len() - before;
            // Commands of a transaction.
            let publishes =
                commands[before..].iter().filter(|command| matches!(command, Command::Publish { .. })).count();
            commands.push(Command::Receipt { batch: Batch::one(&receipt), covers, publishes });
        }
        if self.state == State::Ended {
            commands.push(Command::Finish);
        }
        Ok(())
    }
}

/// Tells an error behind which the session goes on in its turn; gives any other one.
pub(super) fn pass(error: StompError, commands: &mut Vec<Command>) -> Result<(), StompError> {
    let batch = error.as_receipt().ok_or(error)?;
    commands.push(Command::Receipt { batch, covers: 0, publishes: 0 });
    Ok(())
}

/// The header that BEGIN, COMMIT and ABORT must have.
fn transaction(frame: &Frame<'_>) -> Result<Vec<u8>, StompError> {
    frame.header(b"transaction").map(Cow::into_owned).ok_or_else(|| missing(frame, "transaction"))
}

/// A header that a frame must have is not there.
pub(super) fn missing(frame: &Frame<'_>, name: &str) -> StompError {
    StompError::new(format!("{} without the header {name}", frame.command.escape_ascii()))
}
