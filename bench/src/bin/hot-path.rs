//! The way of a message through translator and core, without a socket, for counting instructions:
//! `hot-path topic|queue SUBSCRIBERS SIZE OTHER-CHANNELS PAIRS-A-READ READS` prints how many
//! messages were delivered.

use std::process::ExitCode;
use switchboard_broker::{AckMode, Broker, Command, ConnectionId, Event, Limits, SubscriptionId, Time};
use switchboard_server::Session;
use switchboard_wire::native::encode;

const READ: usize = 64 << 10;
const NOW: Time = Time(1);
const PUBLISHER: ConnectionId = ConnectionId(0);
/// Subscriptions of one connection, where many channels are wanted.
const EACH: usize = 1000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Vec<usize> = arguments.iter().skip(1).filter_map(|text| text.parse().ok()).collect();
    let [subscribers, size, channels, pairs, reads] = numbers[..] else {
        eprintln!("hot-path topic|queue SUBSCRIBERS SIZE OTHER-CHANNELS PAIRS-A-READ READS");
        return ExitCode::FAILURE;
    };
    let name = if arguments[0] == "queue" { "/queue/hot" } else { "/topic/hot" };
    let mut broker = Broker::new(Limits::default(), Vec::new());
    broker.handle(NOW, PUBLISHER, Command::Connect { transport_acks: false });
    (1..=subscribers).for_each(|id| subscribe(&mut broker, id, &[name.to_owned()]));
    for first in (0..channels).step_by(EACH) {
        let names: Vec<String> = (first..channels.min(first + EACH)).map(|i| format!("/topic/other/{i}")).collect();
        subscribe(&mut broker, subscribers + 1 + first / EACH, &names);
    }
    println!("{}", run(&mut broker, name, size, pairs, reads));
    ExitCode::SUCCESS
}

fn subscribe(broker: &mut Broker, id: usize, names: &[String]) {
    let id = ConnectionId(id as u64);
    broker.handle(NOW, id, Command::Connect { transport_acks: false });
    for (place, name) in names.iter().enumerate() {
        let (subscription, pattern) = (SubscriptionId(place as u32), name.clone().into());
        broker.handle(NOW, id, Command::Subscribe { subscription, pattern, ack: AckMode::Auto });
    }
}

/// Publishes with so many pairs a read, or with full reads if that is 0.
fn run(broker: &mut Broker, name: &str, size: usize, pairs: usize, reads: usize) -> usize {
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
        delivered += deliver(broker);
    }
    delivered
}

/// What a driver does whose sockets take everything.
fn deliver(broker: &mut Broker) -> usize {
    let mut delivered = 0;
    let mut credit: Vec<(ConnectionId, usize)> = Vec::new();
    loop {
        while let Some(event) = broker.poll() {
            let Event::Deliver { connection, batch, .. } = event else { panic!("{event:?}") };
            delivered += batch.len();
            credit.push((connection, batch.bytes()));
        }
        if credit.is_empty() {
            return delivered;
        }
        for (id, bytes) in credit.drain(..) {
            broker.handle(NOW, id, Command::Credit { bytes });
        }
    }
}
