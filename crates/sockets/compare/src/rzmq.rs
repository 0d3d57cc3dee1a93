use crate::{free_endpoint, number, other, p50, rate};
use rzmq::{Context, Msg, Socket, SocketType};
use std::time::Instant;

fn socket(kind: SocketType) -> (Context, Socket) {
    let context = Context::new().unwrap();
    let socket = context.socket(kind).unwrap();
    (context, socket)
}

#[tokio::main]
pub(crate) async fn run(order: &[&str]) {
    match order {
        ["pipe", count, size] => {
            let ((_context, push), endpoint) = (socket(SocketType::Push), free_endpoint());
            push.bind(&endpoint).await.unwrap();
            let mut other = other("rzmq", &["pull", &endpoint, count]);
            let data = vec![b'x'; number(size)];
            for _ in 0..number(count) {
                push.send(Msg::from_vec(data.clone())).await.unwrap();
            }
            other.wait().unwrap();
        }
        ["pull", endpoint, count] => {
            let (_context, pull) = socket(SocketType::Pull);
            pull.connect(endpoint).await.unwrap();
            pull.recv().await.unwrap();
            let began = Instant::now();
            for _ in 1..number(count) {
                pull.recv().await.unwrap();
            }
            println!("{}", rate(number(count), began));
        }
        ["trip", count, size] => {
            let ((_first, push), (_second, pull)) = (socket(SocketType::Push), socket(SocketType::Pull));
            let (there, back) = (free_endpoint(), free_endpoint());
            push.bind(&there).await.unwrap();
            pull.bind(&back).await.unwrap();
            let mut other = other("rzmq", &["pong", &there, &back, count]);
            let data = vec![b'x'; number(size)];
            let mut times = Vec::new();
            for _ in 0..number(count) {
                let began = Instant::now();
                push.send(Msg::from_vec(data.clone())).await.unwrap();
                pull.recv().await.unwrap();
                times.push(began.elapsed());
            }
            println!("{}", p50(times));
            let _ = other.kill();
            other.wait().unwrap();
        }
        ["pong", there, back, count] => {
            let ((_first, pull), (_second, push)) = (socket(SocketType::Pull), socket(SocketType::Push));
            pull.connect(there).await.unwrap();
            push.connect(back).await.unwrap();
            for _ in 0..number(count) {
                push.send(pull.recv().await.unwrap()).await.unwrap();
            }
            // Until it is killed: what was sent last may not be gone yet.
            let _ = pull.recv().await;
        }
        _ => unreachable!("{order:?}"),
    }
}
