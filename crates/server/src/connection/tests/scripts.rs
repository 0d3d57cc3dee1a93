//! Sockets that write in parts, are full, or fail.

use super::*;
use crate::socket::scripted::Scripted;
use tokio::task::JoinHandle;

const IN_TIME: Duration = Duration::from_secs(20);

pub(super) struct Scene {
    pub(super) context: Arc<Context>,
    next: u64,
}

pub(super) struct Actor {
    pub(super) script: Scripted,
    pub(super) handle: Arc<ConnectionHandle>,
    task: JoinHandle<()>,
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene { context: context(Limits::default()), next: 1 }
    }

    /// A connection that has sent these frames, and whose socket's writes go as given.
    async fn connects(&mut self, sent: &[&[u8]], writes: &[Result<usize, ErrorKind>]) -> Actor {
        self.connects_with(&frames(sent), writes).await
    }

    /// The same with these bytes.
    pub(super) async fn connects_with(&mut self, sent: &[u8], writes: &[Result<usize, ErrorKind>]) -> Actor {
        let (script, handle) = scripted(self.next);
        script.takes(writes);
        self.next += 1;
        let begun = Arc::new(());
        let task = tokio::spawn(run(self.context.clone(), handle.clone(), begun.clone()));
        let actor = Actor { script, handle, task };
        actor.script.sends(sent);
        until(|| Arc::strong_count(&begun) == 1).await;
        actor
    }

    pub(super) async fn publishes(&mut self, channel: &[u8], bodies: &[&[u8]]) {
        let before = self.context.hub.totals().published;
        let mut sent: Vec<&[u8]> = vec![b"/null"];
        bodies.iter().for_each(|body| sent.extend([channel, body]));
        let publisher = self.connects(&sent, &[]).await;
        until(|| self.context.hub.totals().published == before + bodies.len() as u64).await;
        publisher.script.ends();
        publisher.ended().await;
    }
}

impl Actor {
    pub(super) async fn ended(self) {
        tokio::time::timeout(IN_TIME, self.task).await.expect("an end").unwrap();
    }
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            yield_now().await;
        }
    };
    tokio::time::timeout(IN_TIME, wait).await.expect("in time");
}

#[tokio::test]
async fn whatever_a_write_takes_everything_arrives_once_and_in_order() {
    let mut scene = Scene::new();
    for step in [1, 2, 3, 4, 5, 6, 13, 64] {
        let actor = scene.connects(&[b"/queue/a"], &[]).await;
        let whole = frames(&[b"first", b"", b"the third"]);
        scene.publishes(b"/queue/a", &[b"first", b"", b"the third"]).await;
        assert_eq!(actor.script.written(), b"", "its socket is full");
        while actor.script.written().len() < whole.len() {
            let before = actor.script.written().len();
            actor.script.takes(&[Err(ErrorKind::Interrupted), Ok(step)]);
            until(|| actor.script.written().len() > before).await;
        }
        assert_eq!(actor.script.written(), whole);
        let delivered = scene.context.hub.totals().delivered;
        assert_eq!(delivered % 3, 0);
        actor.script.ends();
        actor.ended().await;
    }
}

#[tokio::test]
async fn a_full_socket_costs_no_system_call_until_it_takes_more() {
    let mut scene = Scene::new();
    let actor = scene.connects(&[b"/topic/a"], &[]).await;
    scene.publishes(b"/topic/a", &[b"1"]).await;
    until(|| actor.handle.is_blocked()).await;
    let writes = actor.script.writes();
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(actor.script.writes(), writes);
    actor.script.takes(&[Ok(99)]);
    until(|| actor.script.written() == frames(&[b"1"])).await;
    assert!(!actor.handle.is_blocked());
}

#[tokio::test]
async fn what_a_failed_socket_did_not_take_goes_back_to_its_queue() {
    for error in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::TimedOut] {
        let mut scene = Scene::new();
        // The first message and a part of the second one.
        let actor = scene.connects(&[b"/queue/a"], &[Ok(7), Err(error)]).await;
        scene.publishes(b"/queue/a", &[b"1", b"2", b"3"]).await;
        actor.ended().await;
        let totals = scene.context.hub.totals();
        assert_eq!((totals.delivered, scene.context.hub.waiting()), (1, 2), "{error}");
        assert_eq!(totals.connections, 0);
    }
}

#[tokio::test]
async fn a_socket_that_cannot_be_read_ends_its_connection() {
    let mut scene = Scene::new();
    let actor = scene.connects(&[b"/topic/a"], &[]).await;
    actor.script.fails_to_read(ErrorKind::ConnectionReset);
    let script = actor.script.clone();
    actor.ended().await;
    assert!(!script.is_shut_down(), "nobody lingers for a peer that is gone");
}

#[tokio::test]
async fn what_waits_is_written_before_a_session_s_end() {
    let mut scene = Scene::new();
    let actor = scene.connects(&[b"/topic/a", b"/topic/a", b"own", b""], &[]).await;
    until(|| actor.handle.is_blocked()).await;
    assert!(!actor.script.is_shut_down());
    actor.script.takes(&[Ok(3), Ok(99)]);
    until(|| actor.script.is_shut_down()).await;
    assert_eq!(actor.script.written(), frames(&[b"own"]));
    actor.script.ends();
    actor.ended().await;
}

#[tokio::test]
async fn what_waits_for_one_that_breaks_the_protocol_is_written_before_the_end() {
    let mut scene = Scene::new();
    let actor = scene.connects(&[b"/topic/a"], &[]).await;
    scene.publishes(b"/topic/a", &[b"waits"]).await;
    until(|| actor.handle.is_blocked()).await;
    actor.script.sends(&[0xff; 4]);
    // It has noticed, and waits for the socket.
    until(|| !actor.script.has_input()).await;
    actor.script.takes(&[Ok(3), Ok(99)]);
    until(|| actor.script.is_shut_down()).await;
    assert_eq!(actor.script.written(), frames(&[b"waits"]));
    actor.script.ends();
    actor.ended().await;
}

#[tokio::test]
async fn behind_a_refusal_comes_no_echo() {
    for (channels, echo) in [(0, &b"echo"[..]), (1, b"")] {
        let mut scene = Scene { context: context(Limits { channels: 1, ..Limits::default() }), next: 1 };
        let other = scene.connects(&[b"/topic/a"], &[]).await;
        let subscribed: &[u8] = if channels == 0 { b"/topic/a" } else { b"/topic/b" };
        let actor = scene.connects(&[subscribed, b"/switchboard/echo", b"echo", b""], &[Ok(99)]).await;
        until(|| actor.script.is_shut_down()).await;
        assert_eq!(actor.script.written(), if echo.is_empty() { Vec::new() } else { frames(&[echo]) });
        drop(other);
    }
}

/// Each of these is a command of its own, and a read has thousands.
#[tokio::test]
async fn a_read_of_many_commands_is_carried_out_wholly_and_in_order() {
    const COUNT: usize = 5000;
    let mut scene = Scene::new();
    let actor = scene.connects(&[b"/topic/0"], &[Ok(usize::MAX); 64]).await;
    let mut sent = frames(&[b"/null"]);
    for number in 0..COUNT {
        sent.extend(frames(&[format!("/topic/{}", number % 3).as_bytes(), number.to_string().as_bytes()]));
    }
    let publisher = scene.connects(&[b"/topic/none"], &[]).await;
    publisher.script.sends(&sent[9..]);
    until(|| scene.context.hub.totals().published == COUNT as u64).await;
    let wanted: Vec<u8> = (0..COUNT).step_by(3).flat_map(|number| frames(&[number.to_string().as_bytes()])).collect();
    actor.script.takes(&[Ok(usize::MAX); 64]);
    until(|| actor.script.written().len() == wanted.len()).await;
    assert_eq!(actor.script.written(), wanted);
}

#[tokio::test]
async fn what_stands_before_a_frame_over_the_limit_is_carried_out() {
    const COUNT: usize = 2000;
    let mut scene = Scene::new();
    let publisher = scene.connects(&[b"/null"], &[]).await;
    let mut sent = Vec::new();
    for number in 0..COUNT {
        sent.extend(frames(&[format!("/queue/{}", number % 2).as_bytes(), b"x"]));
    }
    sent.extend([0xff; 4]);
    publisher.script.sends(&sent);
    until(|| publisher.script.is_shut_down()).await;
    assert_eq!(scene.context.hub.totals().published, COUNT as u64);
}

#[tokio::test]
async fn http_is_answered_with_where_it_is() {
    let scene = Scene::new();
    let script = Scripted::default();
    script.takes(&[Ok(usize::MAX)]);
    let handle =
        Arc::new(ConnectionHandle::new(ConnectionId(1), Origin::Service("test"), Socket::Scripted(script.clone())));
    let serving = tokio::spawn(run(scene.context.clone(), handle, ()));
    script.sends(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    until(|| script.is_shut_down()).await;
    let answer = String::from_utf8(script.written()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("http://127.0.0.1:25080/"), "{answer}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
    script.ends();
    tokio::time::timeout(IN_TIME, serving).await.expect("an end").unwrap();
}

/// A publisher that is paused at a full queue, with a part of its next frame read.
async fn paused_within_a_frame(read_timeout: Duration) -> (Scene, Actor) {
    let limits = Limits { queue: 10, ..Limits::default() };
    let context = Context { read_timeout, ..Arc::into_inner(context(limits)).unwrap() };
    let mut scene = Scene { context: Arc::new(context), next: 1 };
    let actor = scene.connects(&[b"/null"], &[]).await;
    let mut sent = frames(&[b"/queue/a", b"12345678", b"/queue/a", b"waits"]);
    sent.extend_from_slice(&frames(&[b"/queue/b", b"in two parts"])[..20]);
    actor.script.sends(&sent);
    until(|| actor.handle.is_paused() && !actor.script.has_input()).await;
    (scene, actor)
}

#[tokio::test]
async fn one_that_is_paused_within_a_frame_and_sends_nothing_ends() {
    let (_scene, actor) = paused_within_a_frame(Duration::from_millis(50)).await;
    actor.ended().await;
}

#[tokio::test]
async fn one_that_is_paused_within_a_frame_whose_rest_will_not_come_ends() {
    let (_scene, actor) = paused_within_a_frame(Duration::from_secs(1)).await;
    actor.script.sends(b"x");
    actor.script.ends();
    actor.ended().await;
}

#[tokio::test]
async fn one_that_is_paused_and_has_sent_the_rest_is_not_blamed_for_what_nobody_reads() {
    let (scene, actor) = paused_within_a_frame(Duration::from_secs(1)).await;
    actor.script.sends(&frames(&[b"/queue/b", b"in two parts"])[20..]);
    actor.script.ends();
    // Longer than the time limit, and read on only then.
    tokio::time::sleep(2 * scene.context.read_timeout).await;
    assert!(!actor.task.is_finished());
    scene.context.hub.purge(b"/queue/a");
    until(|| scene.context.hub.totals().published == 3).await;
    actor.ended().await;
}

/// Publishes of one read, each a command of its own: more than are carried out in one step.
fn alternating(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| frames(&[if number % 2 == 0 { b"/a" } else { b"/b" }, b"x"])).collect()
}

#[tokio::test]
async fn the_backlog_of_a_native_publisher_is_carried_out_while_the_server_drains() {
    const COUNT: usize = 1400;
    let mut scene = Scene::new();
    let publisher = scene.connects(&[b"/null"], &[]).await;
    let hub = &scene.context.hub;
    publisher.script.sends(&alternating(COUNT));
    until(|| hub.totals().published > 0).await;
    let begun = hub.totals().published;
    assert!(begun < COUNT as u64 && !publisher.script.has_input(), "{begun} of one read");
    hub.drain();
    // Frames that come from now on are not read.
    publisher.script.sends(&frames(&[b"/a", b"late"]));
    until(|| hub.totals().published == COUNT as u64).await;
    publisher.script.ends();
    publisher.ended().await;
    assert_eq!(hub.totals().published, COUNT as u64);
}

#[tokio::test]
async fn the_backlog_of_a_paused_native_publisher_does_not_keep_the_server_from_ending() {
    let limits = Limits { queue: 10, ..Limits::default() };
    let mut scene = Scene { context: context(limits), next: 1 };
    let publisher = scene.connects(&[b"/null"], &[]).await;
    let hub = &scene.context.hub;
    let mut sent = frames(&[b"/queue/a", b"12345678", b"/queue/a", b"waits"]);
    sent.extend(alternating(1000));
    publisher.script.sends(&sent);
    until(|| publisher.handle.is_paused() && !publisher.script.has_input()).await;
    let before = hub.totals().published;
    hub.drain();
    publisher.script.ends();
    publisher.ended().await;
    assert_eq!(hub.totals().published, before);
}
