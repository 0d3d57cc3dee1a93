//! The client in the broker's own process, over its pipe.

mod common;

use common::in_time;
use switchboard_client::{Client, Event, Link, Options, Reason};
use switchboard_server::{RunError, Server, Settings, Shutdown};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const QUICK: &str = "switchboard://in-process?backoff_min=1ms&backoff_max=20ms&retry_first=true";

fn quick() -> Options {
    QUICK.parse().unwrap()
}

async fn server() -> Server {
    // Without a port: only this process can reach it.
    Server::bind(Settings { listen: Vec::new(), http: Vec::new(), ..Settings::default() }).await.unwrap()
}

fn run(server: Server) -> (oneshot::Sender<()>, JoinHandle<Result<Shutdown, RunError>>) {
    let (stop, stopped) = oneshot::channel();
    (stop, tokio::spawn(server.run(async { _ = stopped.await })))
}

#[tokio::test]
async fn services_publish_and_subscribe_in_all_three_worlds() {
    let server = server().await;
    let (one, two) = (server.connector("one"), server.connector("two"));
    let (stop, running) = run(server);
    let client = Client::over(quick(), move || one.connect()).await.unwrap();
    let mut subscription = client.subscribe("/topic/a").await.unwrap();
    // Outside of the broker's runtime: a thread, with its input and output on the shared one.
    let other = std::thread::spawn(move || {
        let client = Client::over(quick(), move || two.connect()).wait().unwrap();
        let mut back = client.subscribe("/topic/b").wait().unwrap();
        client.publish("/topic/a", "there").wait().unwrap();
        let message = back.wait().unwrap();
        client.close().wait().unwrap();
        message
    });
    assert_eq!(subscription.next().await.unwrap().as_ref(), b"there");
    client.publish("/topic/b", "and back").await.unwrap();
    let back = tokio::task::spawn_blocking(|| in_time("an answer", || other.join().unwrap())).await.unwrap();
    assert_eq!(back.as_ref(), b"and back");
    client.close().await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(running.await.unwrap(), Ok(Shutdown { undelivered: 0, aborted: 0 }));
}

#[tokio::test]
async fn at_shutdown_a_service_has_received_what_was_published_to_it() {
    const COUNT: usize = 100_000;
    let server = server().await;
    let (one, two) = (server.connector("publisher"), server.connector("subscriber"));
    let (stop, running) = run(server);
    let publisher = Client::over(quick(), move || one.connect()).await.unwrap();
    let options = Options { reconnect: false, ..quick() };
    let subscriber = Client::over(options, move || two.connect()).await.unwrap();
    let mut subscription = subscriber.subscribe("/queue/a").await.unwrap();
    let mut events = subscriber.events();
    for _ in 0..COUNT {
        publisher.publish("/queue/a", [b'x'; 100]).await.unwrap();
    }
    publisher.flush().await.unwrap();
    stop.send(()).unwrap();
    let mut received = 0;
    while subscription.next().await.is_some() {
        received += 1;
    }
    assert_eq!(received, COUNT);
    assert_eq!(running.await.unwrap(), Ok(Shutdown { undelivered: 0, aborted: 0 }));
    let event = events.next().await.unwrap();
    assert!(matches!(event, Event::Disconnected { reason: Reason::Closed, .. }), "{event}");
}

#[tokio::test]
async fn a_service_whose_broker_has_ended_is_told_why_it_does_not_come_back() {
    let server = server().await;
    let connector = server.connector("test");
    let (stop, running) = run(server);
    let client = Client::over(quick(), move || connector.connect()).await.unwrap();
    let mut events = client.events();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    loop {
        match events.next().await.unwrap() {
            Event::Reconnecting { link: Link::Publisher, failure: Some(why), .. } => {
                assert_eq!(why, "the broker of this process has ended");
                break;
            }
            event => assert!(!matches!(event, Event::Connected(_)), "{event}"),
        }
    }
}
