use crate::{free_endpoint, number, other, p50, rate};
use omq_tokio::blocking::Socket;
use omq_tokio::{Context, Message, Options, SocketType};
use std::time::Instant;

fn socket(kind: SocketType) -> Socket {
    Context::new().blocking_socket(kind, Options::default())
}

pub(crate) fn run(order: &[&str]) {
    match order {
        ["pipe", count, size] => {
            let (push, endpoint) = (socket(SocketType::Push), free_endpoint());
            push.bind(endpoint.as_str()).unwrap();
            let mut other = other("omq", &["pull", &endpoint, count]);
            let data = vec![b'x'; number(size)];
            (0..number(count)).for_each(|_| push.send(Message::single(bytes::Bytes::copy_from_slice(&data))).unwrap());
            other.wait().unwrap();
        }
        ["pull", endpoint, count] => {
            let pull = socket(SocketType::Pull);
            pull.connect(*endpoint).unwrap();
            pull.recv().unwrap();
            let began = Instant::now();
            (1..number(count)).for_each(|_| drop(pull.recv().unwrap()));
            println!("{}", rate(number(count), began));
        }
        ["trip", count, size] => {
            let (push, pull) = (socket(SocketType::Push), socket(SocketType::Pull));
            let (there, back) = (free_endpoint(), free_endpoint());
            push.bind(there.as_str()).unwrap();
            pull.bind(back.as_str()).unwrap();
            let mut other = other("omq", &["pong", &there, &back, count]);
            let data = vec![b'x'; number(size)];
            let trip = |_| {
                let began = Instant::now();
                push.send(Message::single(bytes::Bytes::copy_from_slice(&data))).unwrap();
                pull.recv().unwrap();
                began.elapsed()
            };
            println!("{}", p50((0..number(count)).map(trip).collect()));
            let _ = other.kill();
            other.wait().unwrap();
        }
        ["pong", there, back, count] => {
            let (pull, push) = (socket(SocketType::Pull), socket(SocketType::Push));
            pull.connect(*there).unwrap();
            push.connect(*back).unwrap();
            (0..number(count)).for_each(|_| push.send(pull.recv().unwrap()).unwrap());
            // Until it is killed: what was sent last may not be gone yet.
            let _ = pull.recv();
        }
        _ => unreachable!("{order:?}"),
    }
}
