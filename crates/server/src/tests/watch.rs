//! Watched and vanished connections.

use crate::dirty::Dirty;
use crate::handle::{CloseMode, ConnectionHandle};
use crate::socket::scripted::Scripted;
use crate::socket::{Origin, Socket};
use crate::watch::Watched;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::ConnectionId;
use switchboard_wire::stomp::Version;

const LIMIT: Duration = Duration::from_secs(10);

/// A consumer's connection to which 100 bytes are written.
fn written() -> (Scripted, Arc<ConnectionHandle>, Watched) {
    let script = Scripted::default();
    script.acknowledges(0, false, Duration::ZERO);
    let socket = Socket::Scripted(script.clone());
    let handle = Arc::new(ConnectionHandle::new(ConnectionId(1), Origin::Service("test"), socket));
    handle.set_consumes();
    handle.incoming(vec![0; 100].into());
    script.takes(&[Ok(100)]);
    handle.flush();
    let watched = Watched::new(&handle);
    (script, handle, watched)
}

#[test]
fn a_machine_that_leaves_two_looks_unanswered_has_vanished() {
    let (script, handle, mut watched) = written();
    let mut dirty = Dirty::default();
    script.acknowledges(60, true, LIMIT);
    assert!(watched.look(&handle, LIMIT, &mut dirty));
    assert!(handle.closing().is_none());
    assert!(!watched.look(&handle, LIMIT, &mut dirty));
    assert!(matches!(handle.closing(), Some(CloseMode::Vanished)));
}

#[test]
fn a_machine_that_answers_probes_has_not_vanished_however_long_its_program_takes_nothing() {
    let (script, handle, mut watched) = written();
    let mut dirty = Dirty::default();
    for look in 0..100 {
        // Now and then a probe has just been sent.
        script.acknowledges(60, look % 2 == 0, LIMIT * 10);
        assert!(watched.look(&handle, LIMIT, &mut dirty));
    }
    // Not long enough.
    script.acknowledges(60, true, LIMIT - Duration::from_millis(1));
    assert!(watched.look(&handle, LIMIT, &mut dirty));
    assert!(watched.look(&handle, LIMIT, &mut dirty));
    assert!(handle.closing().is_none());
}

#[test]
fn what_was_acknowledged_before_a_connection_became_a_web_socket_is_not_its_own() {
    let script = Scripted::default();
    script.acknowledges(150, false, Duration::ZERO);
    let socket = Socket::Scripted(script.clone());
    let handle = ConnectionHandle::web_socket(
        ConnectionId(1),
        Origin::Service("test"),
        socket,
        (Bytes::new(), Version::V1_2),
        200,
    );
    handle.incoming(vec![0; 100].into());
    script.takes(&[Ok(100)]);
    handle.flush();
    for (acknowledged, left) in [(150, 100), (200, 100), (201, 99), (299, 1), (300, 0)] {
        script.acknowledges(acknowledged, false, Duration::ZERO);
        handle.sample();
        assert_eq!(handle.unacknowledged(), left, "{acknowledged} bytes");
    }
}

#[test]
fn without_a_limit_nobody_vanishes() {
    let (script, handle, mut watched) = written();
    script.acknowledges(60, true, Duration::MAX);
    for _ in 0..3 {
        assert!(watched.look(&handle, Duration::ZERO, &mut Dirty::default()));
    }
    assert!(handle.closing().is_none());
}

#[test]
fn a_connection_is_watched_until_everything_is_acknowledged() {
    let (script, handle, mut watched) = written();
    handle.take_credit();
    for (acknowledged, more) in [(0, true), (99, true), (100, false)] {
        script.acknowledges(acknowledged, false, Duration::ZERO);
        let mut dirty = Dirty::default();
        assert_eq!(watched.look(&handle, LIMIT, &mut dirty), more, "{acknowledged} bytes");
        assert_eq!(dirty.uncredited.len(), usize::from(acknowledged > 0));
        handle.take_credit();
    }
}

#[tokio::test]
async fn an_acknowledgement_that_another_task_sees_wakes_one_that_asks_late() {
    let (script, handle, _) = written();
    let is_woken = || tokio::time::timeout(Duration::ZERO, handle.woken());
    handle.set_asks_late();
    handle.sample();
    assert!(handle.asks_late());
    assert!(is_woken().await.is_err(), "nothing has happened");
    script.acknowledges(60, false, Duration::ZERO);
    handle.sample();
    assert!(!handle.asks_late());
    assert!(is_woken().await.is_ok());
    // One that asks soon anyhow is left alone.
    script.acknowledges(70, false, Duration::ZERO);
    handle.sample();
    assert!(is_woken().await.is_err());
}
