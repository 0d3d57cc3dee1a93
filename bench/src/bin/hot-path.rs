//! The way of a message through translator and core, without a socket, for counting instructions:
//! `hot-path topic|queue|acked|acked-each SUBSCRIBERS SIZE OTHER-CHANNELS PAIRS-A-READ READS` prints how many
//! messages were delivered. With `acked` consumers ack what came together at once, with `acked-each` one by one.

use std::process::ExitCode;
use switchboard_broker::{AckMode, Broker, Command, ConnectionId, DeliveryTag, Event, Limits, SubscriptionId, Time};
use switchboard_server::Session;
use switchboard_wire::native::encode;

const READ: usize = 64 << 10;
const NOW: Time = Time(1);
const PUBLISHER: ConnectionId = ConnectionId(0);
/// Messages that a consumer with acks may have: more than one read brings.
const PREFETCH: u32 = 4096;
/// Subscriptions of one connection, where many channels are wanted.
const EACH: usize = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> = arguments.iter().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [subscribers, size, channels, pairs, reads] = numbers[..] else {
        eprintln!("hot-path topic|queue|acked|acked-each SUBSCRIBERS SIZE OTHER-CHANNELS PAIRS-A-READ READS");
        return ExitCode::FAILURE;
    };
    let kind = arguments[0].as_str();
    let name = if kind == "topic" { "/topic/hot" } else { "/queue/hot" };
    let ack = if kind.starts_with("acked") { AckMode::Manual { prefetch: PREFETCH } } else { AckMode::Auto };
    let mut broker = Broker::new(Limits::default(), Vec::new());
    broker.handle(NOW, PUBLISHER, Command::Connect { transport_acks: false });
    (1..=subscribers).for_each(|id| subscribe(&mut broker, id, &[name.to_owned()], ack));
    for first in (0..channels).step_by(EACH) {
        let names: Vec<String> = (first..channels.min(first + EACH)).map(|i| format!("/topic/other/{i}")).collect();
        subscribe(&mut broker, subscribers + 1 + first / EACH, &names, AckMode::Auto);
    }
    println!("{}", run(&mut broker, name, size, pairs, reads, kind == "acked-each"));
    ExitCode::SUCCESS
}

fn subscribe(broker: &mut Broker, id: usize, names: &[String], ack: AckMode) {
    let id = ConnectionId(id as u64);
    broker.handle(NOW, id, Command::Connect { transport_acks: false });
    for (place, name) in names.iter().enumerate() {
        let (subscription, pattern) = (SubscriptionId(place as u32), name.clone().into());
        broker.handle(NOW, id, Command::Subscribe { subscription, pattern, ack });
    }
}

/// Publishes with so many pairs a read, or with full reads if that is 0.
fn run(broker: &mut Broker, name: &str, size: usize, pairs: usize, reads: usize, acks_each: bool) -> usize {
    let mut pair = Vec::new();
    encode(name.as_bytes(), &mut pair);
    encode(&vec![b'x'; size], &mut pair);
    let stream = pair.repeat((1 << 20) / pair.len() + 1);
    let mut session = Session::new(&Limits::default());
    let mut commands = Vec::new();
    let mut hello = Vec::new();
    encode(b"/null", &mut hello);
    session.received(&hello, &mut commands).expect("a legal frame");
    commands.clear();
    let (mut at, mut delivered) = (0, 0);
    for _ in 0..reads {
        let spare = session.spare();
        let bytes = if pairs == 0 { READ + spare.len() } else { pairs * pair.len() };
        if stream.len() - at < bytes {
            at %= pair.len();
        }
        let read = &stream[at..at + bytes];
        at += bytes;
        let (direct, rest) = read.split_at(spare.len());
        spare.copy_from_slice(direct);
        session.filled(direct.len());
        session.received(rest, &mut commands).expect("legal frames");
        for command in commands.drain(..) {
            broker.handle(NOW, PUBLISHER, command);
        }
        delivered += deliver(broker, acks_each);
    }
    delivered
}

/// Plays a driver whose sockets take everything.
fn deliver(broker: &mut Broker, acks_each: bool) -> usize {
    let mut delivered = 0;
    let mut credit: Vec<(ConnectionId, usize)> = Vec::new();
    let mut acks: Vec<(ConnectionId, u64, u64)> = Vec::new();
    loop {
        while let Some(event) = broker.poll() {
            let Event::Deliver { connection, batch, tag, .. } = event else { panic!("{event:?}") };
            acks.extend(tag.map(|tag| (connection, tag.0, tag.0 + batch.len() as u64 - 1)));
            delivered += batch.len();
            credit.push((connection, batch.bytes()));
        }
        if credit.is_empty() {
            return delivered;
        }
        for (id, bytes) in credit.drain(..) {
            broker.handle(NOW, id, Command::Credit { bytes });
        }
        for (id, first, last) in acks.drain(..) {
            let each = if acks_each { 1 } else { last - first + 1 };
            for first in (first..=last).step_by(each as usize) {
                let (first, last) = (DeliveryTag(first), DeliveryTag(first + each - 1));
                broker.handle(NOW, id, Command::Ack { first, last });
            }
        }
    }
}
