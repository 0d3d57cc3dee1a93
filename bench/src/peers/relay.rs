//! A relay that looks at no byte: it reads from a publisher, and writes the same to each of its
//! subscribers. It does nothing that a broker is for, so it is about what the machine can do; and
//! since the same tool feeds it, it shows that the tool is faster than any broker that it measures.

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use switchboard_load::{Channel, Native, Protocol, connect, read_until};
use switchboard_wire::native::{PREFIX, encode};

/// Bytes of a role (`p`ublisher, `s`ubscriber; a capital letter for a queue) and a channel's name.
const HELLO: usize = 1 + NAME;
const NAME: usize = 8;
const READY: &[u8] = b"ready";
const READ: usize = 128 * 1024;

pub(super) struct Relay(pub(super) SocketAddr);

impl Relay {
    fn open(&self, role: u8, channel: &Channel) -> io::Result<TcpStream> {
        let mut stream = connect(self.0)?;
        let role = if channel.queue { role.to_ascii_uppercase() } else { role };
        let mut hello = vec![role];
        hello.extend_from_slice(channel.name.as_bytes());
        hello.resize(HELLO, b'.');
        stream.write_all(&hello)?;
        read_until(&stream, READY)?;
        Ok(stream)
    }
}

impl Protocol for Relay {
    fn publisher(&self, channel: &Channel) -> io::Result<TcpStream> {
        self.open(b'p', channel)
    }

    fn subscriber(&self, channel: &Channel) -> io::Result<TcpStream> {
        self.open(b's', channel)
    }

    /// Encodes the frame that subscribers get.
    fn encode(&self, _: &Channel, payload: &[u8], out: &mut Vec<u8>) -> usize {
        encode(payload, out);
        PREFIX
    }

    fn scan(&self, input: &[u8], answer: &mut Vec<u8>, each: impl FnMut(&[u8])) -> io::Result<usize> {
        Native(self.0).scan(input, answer, each)
    }
}

type Waiting = Arc<Mutex<HashMap<[u8; NAME], Vec<TcpStream>>>>;

/// Serves until the process is ended. Subscribers come before their publisher; a topic has one
/// publisher; a queue's first publisher feeds its first worker, and so on.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let waiting = Waiting::default();
    loop {
        let (stream, _) = listener.accept()?;
        let waiting = Arc::clone(&waiting);
        // A peer that leaves early is no reason to end.
        thread::spawn(move || drop(join(stream, &waiting)));
    }
}

fn join(mut stream: TcpStream, waiting: &Waiting) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut hello = [0; HELLO];
    stream.read_exact(&mut hello)?;
    let mut name = [0; NAME];
    name.copy_from_slice(&hello[1..]);
    let subscribers = {
        let mut waiting = waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let group = waiting.entry(name).or_default();
        match hello[0] {
            b'p' => std::mem::take(group),
            b'P' if !group.is_empty() => vec![group.remove(0)],
            _ => {
                group.push(stream.try_clone()?);
                return stream.write_all(READY);
            }
        }
    };
    stream.write_all(READY)?;
    relay(stream, subscribers)
}

fn relay(mut publisher: TcpStream, mut subscribers: Vec<TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; READ];
    loop {
        let bytes = publisher.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(());
        }
        subscribers.retain_mut(|subscriber| subscriber.write_all(&buffer[..bytes]).is_ok());
    }
}
