//! Places where `wait()` blocks or refuses to, and what a callback may do.

mod common;

use common::{Broker, in_time};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use switchboard_client::{Client, Completion, Error, Subscription};
use tokio::runtime::{Builder, Runtime};

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn is_refused<T: std::fmt::Debug>(completion: Completion<T>) {
    let error = completion.wait().unwrap_err();
    assert!(matches!(error, Error::CannotWait { .. }), "{error}");
    assert!(error.to_string().contains("where it would wait for ever: await it"), "{error}");
}

fn panics(what: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(what)).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("wait() was called"), "{text}");
}

#[test]
fn inside_a_current_thread_runtime_a_wait_that_could_never_end_fails_at_once() {
    let broker = Broker::start();
    let url = broker.url("");
    in_time("errors", move || {
        one_thread().block_on(async {
            // Also the very first one.
            is_refused(Client::connect(&url));
            let client = Client::connect(&url).await.unwrap();
            let mut subscription = client.subscribe("/topic/a").await.unwrap();
            client.flush().await.unwrap();
            is_refused(client.flush());
            is_refused(client.subscribe("/topic/a"));
            panics(|| drop(subscription.wait()));
            panics(|| drop(subscription.iter().next()));
            panics(|| drop(client.events().wait()));
            // A known answer needs no waiting.
            client.publish("/topic/a", "x").wait().unwrap();
            assert_eq!(subscription.next().await.unwrap()[..], b"x"[..]);
            tokio::spawn(async move {
                // Something is not confirmed, so it has to wait.
                client.publish("/topic/a", "y").wait().unwrap();
                is_refused(client.close());
            })
            .await
            .unwrap();
        });
    });
}

/// Everything that blocks.
fn all_waits(url: &str) {
    let client = Client::connect(url).wait().unwrap();
    let mut subscription = client.subscribe("/topic/a").wait().unwrap();
    let mut events = client.events();
    client.publish("/topic/a", "x").wait().unwrap();
    client.flush().wait().unwrap();
    // The publisher may be connected from the beginning, so this alone is sure to be an event.
    let _other = client.subscribe("/topic/b").wait().unwrap();
    assert!(events.wait().is_some());
    assert_eq!(subscription.wait().unwrap()[..], b"x"[..]);
    client.close().wait().unwrap();
    assert_eq!(subscription.wait(), None);
}

#[test]
fn a_wait_that_can_end_blocks_wherever_it_is() {
    let broker = Broker::start();
    let (url, shared) = (broker.url(""), broker.url("driver=shared"));
    in_time("every wait", move || {
        all_waits(&url);
        one_thread().block_on(async {
            // On another thread of the runtime.
            let elsewhere = url.clone();
            tokio::task::spawn_blocking(move || all_waits(&elsewhere)).await.unwrap();
            all_waits(&shared);
        });
        {
            // Entered, and run by nobody.
            let runtime = one_thread();
            let _entered = runtime.enter();
            all_waits(&url);
        }
        for threads in [1, 2] {
            let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
            runtime.block_on(async { all_waits(&url) });
            let inside = url.clone();
            runtime.block_on(runtime.spawn(async move { all_waits(&inside) })).unwrap();
        }
    });
}

#[test]
fn in_a_callback_a_wait_fails_at_once() {
    for shared in [true, false] {
        let broker = Broker::start();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let _inside = (!shared).then(|| runtime.enter());
        let (give, taken) = mpsc::channel();
        let client = broker.client("");
        let (one, two) = (client.clone(), client.clone());
        let first = give.clone();
        client.flush().on_done(move |_| first.send(one.flush().wait().map(drop)).unwrap());
        let subscription = client.subscribe("/topic/a").wait().unwrap();
        let callback = subscription.on_message(move |_| give.send(two.flush().wait()).unwrap());
        client.publish("/topic/a", "x").wait().unwrap();
        for result in taken.iter().take(2) {
            assert!(matches!(result, Err(Error::CannotWait { place: "in a callback" })), "{result:?}");
        }
        callback.stop();
        client.flush().wait().unwrap();
    }
}

#[test]
fn a_panic_in_a_callback_harms_nobody_else() {
    for shared in [true, false] {
        let broker = Broker::start();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = (!shared).then(|| runtime.enter());
        let client = broker.client("");
        Client::connect(&broker.url("")).on_done(|_| panic!("on purpose: connect"));
        client.subscribe("/topic/a").on_done(|_: Result<Subscription, _>| panic!("on purpose: subscribe"));
        client.flush().on_done(|_| panic!("on purpose: flush"));
        let panicking = client.subscribe("/topic/a").wait().unwrap().on_message(|_| panic!("on purpose: message"));
        let mut subscription = client.subscribe("/topic/a").wait().unwrap();
        client.publish("/topic/a", "x").wait().unwrap();
        client.flush().wait().unwrap();
        assert_eq!(subscription.wait().unwrap()[..], b"x"[..]);
        in_time("the end of the callback that has panicked", move || {
            while !panicking.is_ended() {
                std::thread::yield_now();
            }
        });
        if shared {
            client.close().on_done(|_| panic!("on purpose: close"));
            assert_eq!(subscription.wait(), None);
        } else {
            // The end of the runtime is an answer, too.
            client.flush().on_done(|_| panic!("on purpose: end"));
            drop(inside);
            drop(runtime);
            assert!(matches!(client.flush().wait(), Err(Error::Closed)));
        }
    }
}
