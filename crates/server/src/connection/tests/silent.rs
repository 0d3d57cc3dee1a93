//! STOMP clients that fall silent while their sockets are full.

use super::scripts::{Actor, Scene, until};

const MESSAGE: &[u8] = b"MESSAGE\n";
const ERROR: &[u8] = b"ERROR\nmessage:nothing came for 200 ms";

fn has(written: &[u8], text: &[u8]) -> bool {
    written.windows(text.len()).any(|window| window == text)
}

/// A consumer that sends nothing more, and has got a part of a message's frame.
async fn silent_consumer(scene: &mut Scene, ack: &str) -> Actor {
    let connect = "CONNECT\naccept-version:1.2\nheart-beat:100,0\n\n\0";
    let subscribe = format!("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:{ack}\n\n\0");
    let actor = scene.connects_with(format!("{connect}{subscribe}").as_bytes(), &[Ok(usize::MAX)]).await;
    until(|| has(&actor.script.written(), b"CONNECTED\n")).await;
    actor.script.takes(&[Ok(MESSAGE.len())]);
    scene.publishes(b"/queue/a", &[b"one", b"two"]).await;
    until(|| actor.script.written().ends_with(MESSAGE) && actor.handle.is_blocked()).await;
    actor
}

#[tokio::test]
async fn what_a_silent_consumer_has_not_acked_goes_back_at_once_and_its_error_is_written_once_there_is_room() {
    for ack in ["client", "client-individual"] {
        let mut scene = Scene::new();
        let actor = silent_consumer(&mut scene, ack).await;
        until(|| scene.context.hub.totals().connections == 0 && scene.context.hub.waiting() == 2).await;
        // Its socket has no room yet. The frame that was begun comes first, and the other one not at all.
        assert!(!has(&actor.script.written(), ERROR));
        actor.script.takes(&[Ok(usize::MAX); 2]);
        until(|| actor.script.is_shut_down()).await;
        let written = actor.script.written();
        let (begun, error) = written.split_at(written.windows(4).position(|window| window == b"one\0").unwrap() + 4);
        assert!(has(begun, MESSAGE) && error.starts_with(ERROR), "{}", written.escape_ascii());
        actor.script.ends();
        actor.ended().await;
        assert_eq!(scene.context.hub.waiting(), 2);
    }
}

#[tokio::test]
async fn what_a_silent_consumer_without_acks_has_got_a_part_of_goes_back_and_is_not_finished() {
    let mut scene = Scene::new();
    let actor = silent_consumer(&mut scene, "auto").await;
    let script = actor.script.clone();
    actor.ended().await;
    script.takes(&[Ok(usize::MAX)]);
    assert!(script.written().ends_with(MESSAGE) && !script.is_shut_down());
    assert_eq!((scene.context.hub.totals().delivered, scene.context.hub.waiting()), (0, 2));
}
