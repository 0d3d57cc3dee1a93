//! A broker that has panicked does not go on.

use crate::connection::{self, Context, REFUSED};
use crate::handle::ConnectionHandle;
use crate::hub::{Hub, Kicked};
use crate::socket::scripted::Scripted;
use crate::socket::{Origin, Socket};
use crate::{RunError, Server, Settings};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{ConnectionId, Limits, Totals};
use tokio::sync::Semaphore;
use tokio::time::timeout;

const IN_TIME: Duration = Duration::from_secs(20);

fn hub() -> Arc<Hub> {
    Arc::new(Hub::new(Limits::default(), Vec::new()))
}

fn panic_in(hub: &Hub) {
    assert!(catch_unwind(AssertUnwindSafe(|| hub.panic())).is_err());
}

#[tokio::test]
async fn a_panic_under_the_lock_ends_the_server_with_an_error() {
    let settings = Settings { listen: vec!["127.0.0.1:0".into()], http: Vec::new(), ..Settings::default() };
    let server = Server::bind(settings).await.unwrap();
    let hub = hub();
    let probe = server.probe();
    assert!(probe.answers(), "it does not run yet");
    let running = tokio::spawn(server.run_with(hub.clone(), std::future::pending()));
    tokio::task::yield_now().await;
    assert!(probe.answers());
    panic_in(&hub);
    assert!(!probe.answers());
    let ended = timeout(IN_TIME, running).await.expect("an end").unwrap();
    assert_eq!(ended, Err(RunError::Panicked));
    assert!(RunError::Panicked.to_string().contains("panicked"));
}

#[tokio::test]
async fn after_a_panic_the_books_are_not_touched_and_connections_end() {
    let hub = hub();
    let context = Arc::new(Context {
        hub: hub.clone(),
        handshake: IN_TIME,
        read_timeout: IN_TIME,
        send_buffer: 0,
        http: None,
        refused: Semaphore::new(REFUSED),
    });
    let handle = |id, script: &Scripted| {
        let socket = Socket::Scripted(script.clone());
        Arc::new(ConnectionHandle::new(ConnectionId(id), Origin::Service("test"), socket))
    };
    let script = Scripted::default();
    let serving = tokio::spawn(connection::run(context, handle(1, &script), ()));
    while hub.totals().connections == 0 {
        tokio::task::yield_now().await;
    }
    panic_in(&hub);
    hub.stop();
    timeout(IN_TIME, serving).await.expect("an end").unwrap();
    // No figure of broken books is shown, and nobody gets in.
    assert_eq!(hub.totals(), Totals::default());
    hub.connect(&handle(2, &script));
    assert!(hub.is_stopped() && hub.has_failed());
    assert_eq!(hub.purge(b"/queue/a"), None);
    assert!(matches!(hub.kick(ConnectionId(1)), Kicked::Unknown));
}

#[test]
fn a_task_that_panics_by_itself_disconnects_and_leaves_the_server_alone() {
    let hub = hub();
    let handle = Arc::new(ConnectionHandle::new(
        ConnectionId(1),
        Origin::Service("test"),
        Socket::Scripted(Scripted::default()),
    ));
    hub.connect(&handle);
    struct Leaves<'a>(&'a Hub, &'a Arc<ConnectionHandle>);
    impl Drop for Leaves<'_> {
        fn drop(&mut self) {
            self.0.disconnect(self.1);
        }
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _leaves = Leaves(&hub, &handle);
        panic!("a bug of a translator");
    }));
    assert!(panicked.is_err());
    assert!(!hub.has_failed());
    assert_eq!(hub.totals().connections, 0);
}
