//! The models.

use crate::clock;
use crate::dirty::Dirty;
use crate::slice::Slice;
use crate::socket::Socket;
use crate::sync::Notify;
use crate::world::{World, messages, model, publish};
use loom::future::block_on;
use loom::thread;
use std::sync::Arc;
use std::time::Duration;
use switchboard_broker::{Command, Limits};

/// Bytes of a message of one byte.
const MESSAGE: usize = 5;

/// Two tasks publish, and write to the same subscriber.
pub(crate) fn two_publishers() {
    model(|| {
        let world = World::new(Limits::default());
        let subscriber = world.connect(1, Socket::new(99, false));
        subscriber.subscribes("/topic/a");
        let [one, two] = [2, 3].map(|id| world.connect(id, Socket::new(9, false)));
        let publishing = thread::spawn(move || one.publishes("/topic/a", "m"));
        two.publishes("/topic/a", "m");
        publishing.join().unwrap();
        // Nobody has to come back for it.
        assert_eq!(messages(&subscriber.socket.written()), (vec!["m".into(), "m".into()], 0));
        assert_eq!(world.0.totals().delivered, 2);
        assert!(!subscriber.handle.owes_credit());
    });
}

/// A thread that tells when it has ended.
fn telling(body: impl FnOnce() + 'static) -> (thread::JoinHandle<()>, Arc<Notify>) {
    let ended = Arc::new(Notify::new());
    let tells = ended.clone();
    let thread = thread::spawn(move || {
        body();
        tells.notify_one();
    });
    (thread, ended)
}

/// The socket holds three bytes: the subscriber's own task waits for room, and its peer reads.
pub(crate) fn a_full_socket() {
    model(|| {
        let world = World::new(Limits::default());
        let subscriber = world.connect(1, Socket::new(3, false));
        subscriber.subscribes("/topic/a");
        let publisher = world.connect(2, Socket::new(9, false));
        let socket = subscriber.socket.clone();
        let (others, ended) = telling(move || {
            publisher.publishes("/topic/a", "m");
            let mut bytes = 0;
            while bytes < MESSAGE {
                bytes += block_on(socket.read());
            }
        });
        subscriber.serves_until(&ended, || world.0.totals().delivered == 1);
        others.join().unwrap();
        assert_eq!(messages(&subscriber.socket.written()), (vec!["m".into()], 0));
        assert!(subscriber.handle.is_flushed());
        assert!(!subscriber.handle.owes_credit());
    });
}

/// A flush writes a bounded number of bytes; the own task is woken for the rest.
pub(crate) fn a_flush_that_is_too_long() {
    model(|| {
        let world = World::new(Limits::default());
        let subscriber = world.connect(1, Socket::new(99, false));
        subscriber.subscribes("/topic/a");
        let publisher = world.connect(2, Socket::new(9, false));
        let (publishing, ended) = telling(move || {
            publisher.does(vec![publish("/topic/a", "longer than a flush"), publish("/topic/a", "last")]);
        });
        subscriber.serves_until(&ended, || world.0.totals().delivered == 2);
        publishing.join().unwrap();
        assert_eq!(messages(&subscriber.socket.written()).0, ["longer than a flush", "last"]);
    });
}

/// Each message is wholly written to the consumer that goes, or back in its queue.
pub(crate) fn a_disconnect_beside_a_publisher() {
    model(|| {
        let world = World::new(Limits::default());
        // One message and a half.
        let consumer = world.connect(1, Socket::new(MESSAGE + 2, false));
        consumer.subscribes("/queue/a");
        let publisher = world.connect(2, Socket::new(9, false));
        let publishing = thread::spawn(move || {
            for body in ["0", "1", "2"] {
                publisher.publishes("/queue/a", body);
            }
        });
        consumer.pumps();
        world.0.disconnect(&consumer.handle);
        // Nothing is written any more, whoever has it.
        let written = consumer.socket.written();
        consumer.socket.try_read();
        consumer.handle.flush();
        publishing.join().unwrap();
        assert_eq!(consumer.socket.written(), written);
        let (bodies, _) = messages(&written);
        assert_eq!(bodies, ["0", "1", "2"][..bodies.len()]);
        assert_eq!(world.0.waiting(), 3 - bodies.len());
        assert!(consumer.handle.is_flushed());
        // The next consumer gets them, in order.
        let next = world.connect(3, Socket::new(99, false));
        next.subscribes("/queue/a");
        assert_eq!(
            messages(&next.socket.written()),
            (["0", "1", "2"][bodies.len()..].iter().map(ToString::to_string).collect(), 0)
        );
    });
}

/// The consumer takes no byte for too long while somebody flushes to it.
pub(crate) fn a_recall_beside_a_flush() {
    model(|| {
        let limits = Limits { write_timeout: Duration::from_secs(1), ..Limits::default() };
        let world = World::new(limits);
        let consumer = world.connect(1, Socket::new(MESSAGE + 2, false));
        consumer.subscribes("/queue/a");
        let publisher = world.connect(2, Socket::new(9, false));
        publisher.publishes("/queue/a", "0");
        publisher.publishes("/queue/a", "1");
        publisher.publishes("/queue/a", "2");
        let reading = thread::spawn({
            let consumer = consumer.clone();
            move || {
                consumer.socket.try_read();
                consumer.pumps();
            }
        });
        clock::set(10_000_000);
        let mut dirty = Dirty::default();
        world.0.pass_time(&mut dirty);
        assert!(world.0.pump(&mut dirty, &Slice::begin()));
        reading.join().unwrap();
        // A begun message is written to its end; the others are written later, or wait.
        for _ in 0..2 {
            consumer.socket.try_read();
            consumer.pumps();
        }
        let (bodies, rest) = messages(&consumer.socket.written());
        assert_eq!(rest, 0);
        assert_eq!(bodies, ["0", "1", "2"][..bodies.len()]);
        assert!(bodies.len() >= 2);
        assert_eq!(world.0.waiting() + bodies.len(), 3);
        if world.0.waiting() > 0 {
            // It takes some again, and its own task says so: then it is used again.
            assert!(consumer.handle.owes_sign());
            consumer.does(vec![Command::Credit { bytes: 0 }]);
            assert_eq!(world.0.totals().delivered, 3);
        }
        assert!(consumer.handle.is_flushed());
    });
}

/// The peer reads, and with that acknowledges, while others write and report.
pub(crate) fn acknowledgements_beside_writes() {
    model(|| {
        // A whole window, after which the broker waits for acknowledgements, is one message.
        let world = World::new(Limits { window: MESSAGE, ..Limits::default() });
        let consumer = world.connect(1, Socket::new(64, true));
        consumer.subscribes("/queue/a");
        let publisher = world.connect(2, Socket::new(9, false));
        let publishing = thread::spawn(move || {
            publisher.publishes("/queue/a", "0");
            publisher.publishes("/queue/a", "1");
        });
        let socket = consumer.socket.clone();
        let peer = thread::spawn(move || {
            let mut bytes = 0;
            while bytes < MESSAGE {
                bytes += block_on(socket.read());
            }
        });
        // The slow timer asks in the middle of it.
        consumer.handle.sample();
        consumer.pumps();
        publishing.join().unwrap();
        peer.join().unwrap();
        // It asks until everything has arrived.
        while world.0.totals().delivered < 2 {
            consumer.socket.try_read();
            consumer.handle.sample();
            consumer.pumps();
        }
        consumer.socket.try_read();
        consumer.handle.sample();
        consumer.pumps();
        assert_eq!(consumer.handle.unacknowledged(), 0);
        assert_eq!(consumer.handle.unreported(), 0);
        assert_eq!(messages(&consumer.socket.written()), (vec!["0".into(), "1".into()], 0));
    });
}

/// The slow timer finds everything acknowledged while something more is written.
pub(crate) fn a_watch_that_ends_beside_a_write() {
    model(|| {
        let world = World::new(Limits::default());
        let consumer = world.connect(1, Socket::new(64, true));
        consumer.subscribes("/queue/a");
        let publisher = world.connect(2, Socket::new(9, false));
        publisher.publishes("/queue/a", "0");
        consumer.socket.try_read();
        let publishing = thread::spawn(move || publisher.publishes("/queue/a", "1"));
        let mut dirty = Dirty::default();
        for watched in world.0.watch().take() {
            world.0.watch().look_at(watched, Duration::ZERO, &mut dirty);
        }
        assert!(world.0.pump(&mut dirty, &Slice::begin()));
        publishing.join().unwrap();
        assert_eq!(consumer.handle.unacknowledged(), MESSAGE as u64);
        assert_eq!(world.0.watch().take().len(), 1);
    });
}

/// The publisher's task ends between its command and the flush that it owes.
pub(crate) fn a_task_that_ends_before_it_has_flushed() {
    model(|| {
        let world = World::new(Limits::default());
        let subscriber = world.connect(1, Socket::new(64, false));
        subscriber.subscribes("/topic/a");
        let publisher = world.connect(2, Socket::new(9, false));
        let (publishing, ended) = telling(move || {
            let mut dirty = Dirty::default();
            let mut commands = vec![publish("/topic/a", "0"), publish("/topic/a", "1")];
            publisher.hub.apply(publisher.handle.id(), &mut commands, &mut dirty, &Slice::begin());
            // It gets no other turn.
        });
        subscriber.serves_until(&ended, || world.0.totals().delivered == 2);
        publishing.join().unwrap();
        assert_eq!(messages(&subscriber.socket.written()).0, ["0", "1"]);
    });
}
