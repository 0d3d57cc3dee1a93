//! This side, of whatever type.

use crate::python::DEADLINE;
use std::time::Duration;
use switchboard_sockets::{Error, Event, Message, Options, Pub, Pull, Push, Socket, Sub, XPub, XSub};

pub(crate) enum Ours {
    Push(Push),
    Pull(Pull),
    Pub(Pub),
    Sub(Sub),
    XPub(XPub),
    XSub(XSub),
}

pub(crate) const SYNC: &[u8] = b"m sync";

impl Ours {
    pub(crate) fn new(kind: &str, options: Options) -> Ours {
        match kind {
            "PUSH" => Ours::Push(Push::with(options).unwrap()),
            "PULL" => Ours::Pull(Pull::with(options).unwrap()),
            "PUB" => Ours::Pub(Pub::with(options).unwrap()),
            "XPUB" => Ours::XPub(XPub::with(options).unwrap()),
            "SUB" => {
                let sub = Sub::with(options).unwrap();
                sub.subscribe("m").unwrap();
                Ours::Sub(sub)
            }
            "XSUB" => {
                let sub = XSub::with(options).unwrap();
                sub.send(Message::from("\x01m")).unwrap();
                Ours::XSub(sub)
            }
            _ => unreachable!("{kind}"),
        }
    }

    pub(crate) fn socket(&self) -> &Socket {
        match self {
            Ours::Push(socket) => socket,
            Ours::Pull(socket) => socket,
            Ours::Pub(socket) => socket,
            Ours::Sub(socket) => socket,
            Ours::XPub(socket) => socket,
            Ours::XSub(socket) => socket,
        }
    }

    pub(crate) fn send(&self, message: impl switchboard_sockets::Payload) {
        match self {
            Ours::Push(socket) => socket.send(message).wait_timeout(DEADLINE).unwrap(),
            Ours::Pub(socket) => socket.send(message).wait().unwrap(),
            Ours::XPub(socket) => socket.send(message).wait().unwrap(),
            _ => unreachable!("it receives"),
        }
    }

    pub(crate) fn try_send(&self, message: &[u8]) -> bool {
        match self {
            Ours::Push(socket) => match socket.try_send(message) {
                Ok(()) => true,
                Err(Error::WouldBlock) => false,
                Err(error) => panic!("{error}"),
            },
            _ => {
                self.send(message);
                true
            }
        }
    }

    pub(crate) fn recv(&mut self, time: Duration) -> Option<Message> {
        let received = match self {
            Ours::Pull(socket) => socket.recv().wait_timeout(time),
            Ours::Sub(socket) => socket.recv().wait_timeout(time),
            Ours::XSub(socket) => socket.recv().wait_timeout(time),
            _ => unreachable!("it sends"),
        };
        match received {
            Ok(message) => Some(message),
            Err(Error::TimedOut(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns `count` numbered messages, or fewer if nothing comes for the time `quiet`.
    pub(crate) fn receive(&mut self, count: u64, quiet: Duration) -> Vec<u64> {
        let mut numbers = Vec::new();
        while (numbers.len() as u64) < count {
            let Some(message) = self.recv(quiet) else { break };
            if message.data() != SYNC {
                numbers.push(number(&message));
            }
        }
        numbers
    }

    pub(crate) fn close(self) {
        match self {
            Ours::Push(socket) => socket.close(),
            Ours::Pull(socket) => socket.close(),
            Ours::Pub(socket) => socket.close(),
            Ours::Sub(socket) => socket.close(),
            Ours::XPub(socket) => socket.close(),
            Ours::XSub(socket) => socket.close(),
        }
        .wait()
        .unwrap();
    }
}

pub(crate) fn payload(number: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![b'x'; size.max(9)];
    bytes[0] = b'm';
    bytes[1..9].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(crate) fn number(message: &Message) -> u64 {
    u64::from_be_bytes(message.data()[1..9].try_into().expect("a numbered message"))
}

/// Waits for an event, with a bound.
pub(crate) fn until(mut events: switchboard_sockets::Events, what: &'static str, is_it: fn(&Event) -> bool) {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        while let Some(event) = events.wait() {
            if is_it(&event) {
                let _ = sender.send(());
                return;
            }
        }
    });
    receiver.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("not in time: {what}"));
}
