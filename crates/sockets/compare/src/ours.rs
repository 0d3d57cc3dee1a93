use crate::{number, other, p50, rate};
use std::thread;
use std::time::Instant;
use switchboard_sockets::{Options, Pull, Push, Sub, XPub};

pub(crate) fn run(order: &[&str]) {
    match order {
        ["pipe", count, size] => {
            let push = Push::new().unwrap();
            let endpoint = push.bind("tcp://127.0.0.1:*").unwrap().to_string();
            let mut other = other("ours", &["pull", &endpoint, count]);
            let data = vec![b'x'; number(size)];
            (0..number(count)).for_each(|_| push.send(&data).wait().unwrap());
            push.close().wait().unwrap();
            other.wait().unwrap();
        }
        ["pull", endpoint, count] => {
            let mut pull = Pull::new().unwrap();
            pull.connect(endpoint).unwrap();
            pull.recv().wait().unwrap();
            let began = Instant::now();
            (1..number(count)).for_each(|_| drop(pull.recv().wait().unwrap()));
            println!("{}", rate(number(count), began));
        }
        [fan @ ("fan" | "share"), count, size, subscribers] => {
            let options = Options { send_hwm: 0, send_bytes: 0, verbose: true, ..Options::default() };
            let mut publisher = XPub::with(options).unwrap();
            let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap().to_string();
            let mut other = other("ours", &["subs", &endpoint, count, subscribers]);
            (0..number(subscribers)).for_each(|_| drop(publisher.recv().wait().unwrap()));
            let data = vec![b'x'; number(size)];
            if *fan == "share" {
                let data = bytes::Bytes::from(data);
                (0..number(count)).for_each(|_| publisher.send(&data).wait().unwrap());
            } else {
                (0..number(count)).for_each(|_| publisher.send(&data).wait().unwrap());
            }
            publisher.close().wait().unwrap();
            other.wait().unwrap();
        }
        ["subs", endpoint, count, subscribers] => {
            let count = number(count);
            let subscriber = move |endpoint: String| {
                let mut subscriber = Sub::new().unwrap();
                subscriber.subscribe("").unwrap();
                subscriber.connect(&endpoint).unwrap();
                subscriber.recv().wait().unwrap();
                let began = Instant::now();
                (1..count).for_each(|_| drop(subscriber.recv().wait().unwrap()));
                rate(count, began)
            };
            let threads: Vec<_> = (0..number(subscribers))
                .map(|_| {
                    let endpoint = (*endpoint).to_owned();
                    thread::spawn(move || subscriber(endpoint))
                })
                .collect();
            println!("{}", threads.into_iter().map(|thread| thread.join().unwrap()).sum::<f64>());
        }
        ["trip", count, size] => {
            let (push, mut pull) = (Push::new().unwrap(), Pull::new().unwrap());
            let there = push.bind("tcp://127.0.0.1:*").unwrap().to_string();
            let back = pull.bind("tcp://127.0.0.1:*").unwrap().to_string();
            let mut other = other("ours", &["pong", &there, &back, count]);
            let data = vec![b'x'; number(size)];
            let trip = |_| {
                let began = Instant::now();
                push.send(&data).wait().unwrap();
                pull.recv().wait().unwrap();
                began.elapsed()
            };
            println!("{}", p50((0..number(count)).map(trip).collect()));
            other.wait().unwrap();
        }
        ["pong", there, back, count] => {
            let (mut pull, push) = (Pull::new().unwrap(), Push::new().unwrap());
            pull.connect(there).unwrap();
            push.connect(back).unwrap();
            for _ in 0..number(count) {
                let message = pull.recv().wait().unwrap();
                push.send(message).wait().unwrap();
            }
            push.close().wait().unwrap();
        }
        _ => unreachable!("{order:?}"),
    }
}
