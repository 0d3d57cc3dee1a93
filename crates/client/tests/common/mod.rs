//! A real broker that can be killed, and a proxy that does to connections what networks do.

#![allow(dead_code, reason = "not every test uses everything")]
#![allow(unused_imports, reason = "not every test uses everything")]

mod fake;
mod proxy;
mod rabbitmq;

pub(crate) use fake::{Frame, Peer, between, fake};
pub(crate) use proxy::{Proxy, Way};
pub(crate) use rabbitmq::RabbitMq;

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use switchboard_client::{Client, Event, Events, Message, Subscription};
use switchboard_server::{Server, Settings};
use tokio::runtime::{Builder, Runtime};

/// Time limit for something that will happen. Nothing is ever waited for as long as this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(25);

/// A broker on a runtime of its own, with which it dies without a word.
pub(crate) struct Broker {
    pub(crate) address: SocketAddr,
    pub(crate) http: SocketAddr,
    runtime: Option<Runtime>,
}

impl Broker {
    pub(crate) fn start() -> Broker {
        Broker::start_at("127.0.0.1:0", Settings::default())
    }

    pub(crate) fn start_at(address: &str, settings: Settings) -> Broker {
        let address = address.to_owned();
        // A thread of its own: a test may be inside another runtime.
        std::thread::spawn(move || Broker::bind(address, settings)).join().expect("a broker")
    }

    fn bind(address: String, settings: Settings) -> Broker {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let settings = Settings { listen: vec![address], http: vec!["127.0.0.1:0".into()], ..settings };
        let server = runtime.block_on(Server::bind(settings)).expect("a free port");
        let (address, http) = (server.native_addresses()[0], server.http_addresses()[0]);
        runtime.spawn(server.run(std::future::pending()));
        Broker { address, http, runtime: Some(runtime) }
    }

    pub(crate) fn url(&self, options: &str) -> String {
        url(self.address, options)
    }

    pub(crate) fn client(&self, options: &str) -> Client {
        Client::connect(&self.url(options)).wait().expect("a broker")
    }

    /// All its connections end at once, and its port is free when this returns.
    pub(crate) fn kill(mut self) {
        self.runtime.take().expect("alive").shutdown_timeout(PATIENCE);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn url(address: SocketAddr, options: &str) -> String {
    format!("switchboard://{address}?{options}")
}

/// The native port answers STOMP too.
pub(crate) fn stomp_url(address: SocketAddr, options: &str) -> String {
    format!("stomp://{address}?{options}")
}

pub(crate) fn stomp_client(address: SocketAddr, options: &str) -> Client {
    Client::connect(&stomp_url(address, options)).wait().expect("a broker")
}

/// Waits, with a bound, for what another thread makes.
pub(crate) fn in_time<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told): (_, Receiver<T>) = mpsc::channel();
    let thread = std::thread::spawn(move || drop(tell.send(work())));
    match told.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not within {PATIENCE:?}: {what}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it has panicked"));
        }
    }
}

/// The next message, with a bound.
pub(crate) fn next(subscription: &mut Subscription) -> Message {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let waiting = async { tokio::time::timeout(PATIENCE, subscription.next()).await };
    runtime.block_on(waiting).expect("a message in time").expect("a message")
}

/// Skips to an event.
pub(crate) fn until(
    mut events: Events,
    what: &str,
    is_it: impl Fn(&Event) -> bool + Send + 'static,
) -> (Events, Event) {
    in_time(what, move || {
        loop {
            let event = events.wait().expect("the client lives");
            if is_it(&event) {
                return (events, event);
            }
        }
    })
}

pub(crate) fn number(message: &Message) -> u64 {
    u64::from_be_bytes(message.as_ref().try_into().expect("a number"))
}
