//! Cost of messages with headers and of idle connections over STOMP.

use super::idle::{Idle, start_for};
use super::{judge, mebi, settled, tell};
use crate::peers::{Peer, Places, start_with};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use switchboard_load::Stomp;

const BODY: usize = 100;
/// Resident bytes beyond body and headers.
const MESSAGE_BOUND: f64 = 300.0;
const CONNECTION_BOUND: f64 = 6.0 * 1024.0;
const QUEUE: &str = "/queue/memory";

pub(crate) fn stomp_memory(places: &Places, messages: usize, connections: usize) -> Result<bool> {
    let kept = waiting(places, messages)?;
    Ok(idle(places, connections)? && kept)
}

/// Five headers, of which two differ from message to message.
fn headers(number: usize) -> String {
    format!("type:order\nregion:europe-west\ntrace-id:{number:016x}\ncustomer:{:08}\nversion:3\n", number % 9973)
}

fn waiting(places: &Places, count: usize) -> Result<bool> {
    let memory = ["--memory", "4GiB", "--set", "queue=4GiB", "--set", "queue-messages=100000000"];
    let wide = ["--set", "outbox=1GiB", "--set", "outbox-messages=100000000"];
    let broker = start_with(Peer::Switchboard, places, &[memory.as_slice(), &wide].concat())?;
    let stomp = Stomp { prefetch: Some(u32::MAX), ..Stomp::at(broker.address) };
    let mut publisher = stomp.open()?;
    let before = settled(&broker.process)?;
    let (mut block, mut payload) = (String::new(), 0);
    let body = "x".repeat(BODY);
    for number in 0..count {
        let headers = headers(number);
        payload += headers.len() + BODY;
        let _ = write!(block, "SEND\ndestination:{QUEUE}\n{headers}content-length:{BODY}\n\n{body}\0");
        if block.len() > 1 << 20 || number + 1 == count {
            publisher.write_all(block.as_bytes())?;
            block.clear();
        }
    }
    Stomp::barrier(&publisher).context("the queue takes no more")?;
    let each = |resident: u64| (resident.saturating_sub(before) as f64 - payload as f64) / count as f64;
    let full = settled(&broker.process)?;
    tell("messages", count as f64, "");
    tell("body and headers of a message", payload as f64 / count as f64, "B");
    tell("resident with them", mebi(full), "MiB");
    let mut kept =
        judge("a waiting message, beyond body and headers", each(full), "B", "300 B", each(full) <= MESSAGE_BOUND);
    // Without a receipt, which would stand among the messages.
    let mut consumer = stomp.open()?;
    let most = u32::MAX;
    write!(consumer, "SUBSCRIBE\nid:0\ndestination:{QUEUE}\nack:client-individual\nprefetch-count:{most}\n\n\0")?;
    read_all(&mut consumer, count)?;
    let unacked = settled(&broker.process)?;
    tell("resident with all of them unacked", mebi(unacked), "MiB");
    let beyond = each(unacked);
    kept &= judge("an unacked message, beyond body and headers", beyond, "B", "300 B", beyond <= MESSAGE_BOUND);
    Ok(kept)
}

/// Reads so many messages and acks none. Bodies and headers have no NUL.
fn read_all(consumer: &mut TcpStream, count: usize) -> Result<()> {
    let (mut taken, mut piece) = (0, vec![0; 256 << 10]);
    while taken < count {
        let bytes = consumer.read(&mut piece).with_context(|| format!("{taken} of {count} messages have come"))?;
        anyhow::ensure!(bytes > 0, "the broker closed the connection after {taken} of {count} messages");
        taken += piece[..bytes].iter().filter(|byte| **byte == 0).count();
    }
    Ok(())
}

fn idle(places: &Places, count: usize) -> Result<bool> {
    let broker = start_for(places, count)?;
    let stomp = Stomp { prefetch: Some(100), ..Stomp::at(broker.address) };
    let idle = Idle::open(&broker, count, |i| stomp.subscribed(&format!("/queue/idle/{i}")))?;
    tell("idle connections of STOMP, each with a subscription of its own", count as f64, "");
    Ok(judge("resident for one", idle.each(), "B", "6144 B", idle.each() <= CONNECTION_BOUND))
}
