mod broken;
mod draining;

use super::*;
use crate::stomp::Entry;
use proptest::collection::vec;
use proptest::prelude::*;
use switchboard_broker::{AckMode, Batch, ConnectionId, DeliveryTag, Packer, SubscriptionId};

pub(super) const CONNECT: &str = "CONNECT\naccept-version:1.2\n\n\0";

fn limits() -> Limits {
    Limits { message: 20_000, channel_name: 40, ..Limits::default() }
}

fn all() -> Arc<AllTransactions> {
    Arc::new(AllTransactions::new(limits().memory))
}

pub(super) fn session() -> (Session, Arc<Mutex<Ledger>>) {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    (Session::new(ConnectionId(5), Time::ZERO, &limits(), ledger.clone(), all()), ledger)
}

/// A session that is connected, and what `bytes` ask of the broker.
pub(super) fn after(bytes: &str) -> (Vec<Command>, Option<String>) {
    let (mut session, _) = session();
    let mut commands = Vec::new();
    let result = session.received_up_to(format!("{CONNECT}{bytes}").as_bytes(), usize::MAX, &mut commands);
    assert!(session.take_reply().is_some());
    (commands, result.err().map(|error| error.message.into_owned()))
}

fn publish(channel: &str, bodies: &[&str]) -> Command {
    let mut packer = Packer::default();
    bodies.iter().for_each(|body| packer.push(body.as_bytes()));
    Command::Publish { channel: channel.to_owned().into(), batch: packer.finish().unwrap() }
}

#[test]
fn a_run_of_sends_with_the_same_headers_is_one_publish() {
    let send = |to: &str, body: &str| format!("SEND\ndestination:{to}\n\n{body}\0");
    let bytes = [send("/queue/a", "1"), send("/queue/a", ""), send("/queue/b", "3"), send("/queue/a", "4")].concat();
    let expected = vec![publish("/queue/a", &["1", ""]), publish("/queue/b", &["3"]), publish("/queue/a", &["4"])];
    assert_eq!(after(&bytes), (expected, None));
    let with = |length: usize, color: &str| {
        format!("SEND\ndestination:/queue/a\ncontent-length:{length}\ncolor:{color}\n\n{}\0", "x".repeat(length))
    };
    let (commands, _) = after(&[with(1, "red"), with(2, "red"), with(2, "blue")].concat());
    let colors: Vec<_> = commands
        .iter()
        .map(|command| match command {
            Command::Publish { batch, .. } => {
                let color = batch.attributes().unwrap().headers.get(b"color").unwrap().to_vec();
                (batch.len(), color)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(colors, [(2, b"red".to_vec()), (1, b"blue".to_vec())]);
}

#[test]
fn headers_about_the_frame_are_not_passed_on_and_of_repeated_ones_the_first_counts() {
    let bytes = "SEND\ndestination:/queue/a\ndestination:/queue/b\nreceipt:r\nmessage-id:1\nack:2\nsubscription:3\n\
                 redelivered:true\npriority:7\npriority:1\npersistent:true\n\nx\0";
    let (commands, _) = after(bytes);
    let [Command::PublishWithReceipt { channel, batch, receipt }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!((&channel[..], receipt), (&b"/queue/a"[..], &Batch::one(b"r")));
    let attributes = batch.attributes().unwrap();
    assert_eq!((attributes.priority, attributes.persistent), (7, true));
    let names: Vec<_> = attributes.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"priority"[..], b"priority", b"persistent"]);
}

#[test]
fn a_priority_is_a_digit() {
    for (priority, is_right) in [("0", true), ("4", true), ("9", true), ("10", false), ("-1", false), ("", false)] {
        let (_, error) = after(&format!("SEND\ndestination:/queue/a\npriority:{priority}\n\n\0"));
        assert_eq!(error.is_none(), is_right, "{priority}");
    }
}

#[test]
fn a_prefetch_is_at_least_one_and_at_most_what_the_broker_counts() {
    for (asked, prefetch) in
        [("1", Some(1)), ("4294967295", Some(u32::MAX)), ("0", None), ("4294967296", None), ("-1", None), ("x", None)]
    {
        for name in ["activemq.prefetchSize", "prefetch-count"] {
            let (commands, error) =
                after(&format!("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n{name}:{asked}\n\n\0"));
            let expected = prefetch.map(|prefetch| Command::Subscribe {
                subscription: SubscriptionId(0),
                pattern: "/queue/a".into(),
                ack: AckMode::Manual { prefetch },
            });
            assert_eq!(commands, expected.into_iter().collect::<Vec<_>>(), "{asked}");
            assert_eq!(error.is_none(), prefetch.is_some());
        }
    }
}

#[test]
fn a_run_of_acks_is_one_command() {
    let (mut session, ledger) = session();
    let mut commands = Vec::new();
    let subscribe = format!("{CONNECT}SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n\n\0");
    session.received_up_to(subscribe.as_bytes(), usize::MAX, &mut commands).unwrap();
    commands.clear();
    let mut packer = Packer::default();
    (0..10).for_each(|_| packer.push(b"x"));
    let batch = packer.finish().unwrap();
    let entry = ledger.lock().deliver(SubscriptionId(0), "/queue/a".into(), (batch, None), Some(DeliveryTag(1)), false);
    assert!(matches!(entry, Entry::Messages { tag: Some(1), .. }));
    let acks: String = [1, 2, 3, 7, 8, 6].map(|tag| format!("ACK\nid:5-0-{tag}\n\n\0")).concat();
    session.received_up_to(acks.as_bytes(), usize::MAX, &mut commands).unwrap();
    session.received_up_to(b"NACK\nid:5-0-9\n\n\0NACK\nid:5-0-10\n\n\0", usize::MAX, &mut commands).unwrap();
    let range = |first, last| (DeliveryTag(first), DeliveryTag(last));
    let seen: Vec<_> = commands
        .iter()
        .map(|command| match *command {
            Command::Ack { first, last } => (true, (first, last)),
            Command::Nack { first, last, requeue: true } => (false, (first, last)),
            ref other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen, [(true, range(1, 3)), (true, range(7, 8)), (true, range(6, 6)), (false, range(9, 10))]);
    // Not delivered, of another connection, or no id at all.
    for id in ["5-0-11", "5-0-0", "6-0-1", "5-0", "5-0-1-1", "", "5-0--1"] {
        let mut commands = Vec::new();
        session.received_up_to(format!("ACK\nid:{id}\n\n\0").as_bytes(), usize::MAX, &mut commands).unwrap();
        let [Command::Receipt { batch, covers: 0, publishes: 0 }] = &commands[..] else { panic!("{id}: {commands:?}") };
        let error = StompError::of_receipt(batch).unwrap();
        assert!(error.message.contains("no message") && error.receipt.is_none(), "{id}: {error:?}");
    }
}

#[test]
fn what_transactions_collect_is_bounded_and_reserved() {
    let begin: String = (0..64).map(|number| format!("BEGIN\ntransaction:{number}\n\n\0")).collect();
    assert_eq!(after(&begin).1, None);
    let (_, error) = after(&(begin + "BEGIN\ntransaction:one more\n\n\0"));
    assert!(error.unwrap().contains("64 open transactions"));

    let (mut session, _) = session();
    let mut commands = Vec::new();
    session
        .received_up_to(format!("{CONNECT}BEGIN\ntransaction:t\n\n\0").as_bytes(), usize::MAX, &mut commands)
        .unwrap();
    let send = format!("SEND\ndestination:/queue/a\ntransaction:t\n\n{}\0", "x".repeat(20_000));
    let mut reserved = 0;
    let error = loop {
        commands.clear();
        if let Err(error) = session.received_up_to(send.as_bytes(), usize::MAX, &mut commands) {
            break error;
        }
        let [Command::Reserve { bytes, .. }] = commands[..] else { panic!("{commands:?}") };
        assert!(bytes >= reserved + 20_000);
        reserved = bytes;
    };
    assert!(error.message.contains("16777216") && reserved > (16 << 20) - 30_000 && reserved <= 16 << 20);

    commands.clear();
    session.received_up_to(b"ABORT\ntransaction:t\n\n\0", usize::MAX, &mut commands).unwrap();
    assert_eq!(commands, [Command::Reserve { bytes: 0, whole: 0 }]);
}

#[test]
fn an_announced_length_takes_no_memory() {
    let (mut session, _) = session();
    let mut commands = Vec::new();
    let bytes = format!("{CONNECT}SEND\ndestination:/queue/a\ncontent-length:20000\n\nx");
    session.received_up_to(bytes.as_bytes(), usize::MAX, &mut commands).unwrap();
    assert_eq!(commands, []);
    assert_eq!(session.missing(), 20_000);
    assert!(session.spare().len() <= 512);
}

/// Returns the commands, message by message, and the error. Reservations depend on the cut.
fn asked<'a>(pieces: impl Iterator<Item = &'a [u8]>, most: usize) -> (Vec<Command>, Option<StompError>) {
    let (mut session, _) = session();
    let mut asked = Vec::new();
    let mut take = |commands: Vec<Command>| {
        for command in commands {
            match command {
                Command::Reserve { .. } => {}
                Command::Publish { channel, batch } => {
                    let attributes = batch.attributes().cloned();
                    asked.extend(batch.iter().map(|body| Command::Publish {
                        channel: channel.clone(),
                        batch: Batch::one(body).with_attributes(attributes.clone()),
                    }));
                }
                other => asked.push(other),
            }
        }
    };
    for piece in pieces {
        let mut commands = Vec::new();
        let spare = session.spare();
        let direct = spare.len().min(piece.len());
        spare[..direct].copy_from_slice(&piece[..direct]);
        session.filled(direct);
        let mut result = session.received_up_to(&piece[direct..], most, &mut commands);
        take(commands);
        while result.is_ok() && session.has_backlog() {
            let mut commands = Vec::new();
            result = session.resume(most, &mut commands);
            take(commands);
        }
        if let Err(error) = result {
            return (asked, Some(error));
        }
    }
    (asked, None)
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![4 => vec(1..=255u8, 0..40), 1 => vec(1..=255u8, 4000..5000), 1 => Just(vec![b'x'; 19_000])];
    let send = (0..3usize, body, any::<bool>(), any::<bool>()).prop_map(|(to, body, has_length, receipt)| {
        let length = if has_length { format!("content-length:{}\n", body.len()) } else { String::new() };
        let receipt = if receipt { "receipt:r\n" } else { "" };
        [format!("SEND\ndestination:/queue/{to}\n{length}{receipt}\n").as_bytes(), &body, b"\0\n"].concat()
    });
    let other = prop_oneof![
        Just("SUBSCRIBE\nid:1\ndestination:/topic/>\n\n\0"),
        Just("UNSUBSCRIBE\nid:1\n\n\0"),
        Just("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\nx\0COMMIT\ntransaction:t\n\n\0"),
        Just("DISCONNECT\nreceipt:x\n\n\0"),
        Just("\r\n\n"),
        Just("NONSENSE\n\n\0"),
    ];
    vec(prop_oneof![6 => send, 1 => other.prop_map(|text| text.as_bytes().to_vec())], 0..12)
        .prop_map(|frames| [CONNECT.as_bytes(), &frames.concat()].concat())
}

proptest! {
    #[test]
    fn however_the_bytes_are_cut_the_same_is_asked_for(bytes in frames(), size in 1..9000usize, most in 1..5usize) {
        let whole = asked(std::iter::once(&bytes[..]), usize::MAX);
        prop_assert_eq!(&asked(bytes.chunks(size), usize::MAX), &whole);
        prop_assert_eq!(&asked(bytes.chunks(size), most), &whole);
        prop_assert_eq!(&asked(bytes.chunks(size % 7 + 1), most), &whole);
    }
}

#[test]
fn of_repeated_headers_the_first_counts_whatever_it_says() {
    for header in ["expires", "expiration", "AMQ_SCHEDULED_DELAY"] {
        let send = |first: u64, second: u64| {
            let bytes = format!("SEND\ndestination:/queue/a\n{header}:{first}\n{header}:{second}\n\n\0");
            let (commands, error) = after(&bytes);
            let [Command::Publish { batch, .. }] = &commands[..] else { panic!("{commands:?} {error:?}") };
            let attributes = batch.attributes().unwrap().clone();
            attributes.expires().is_some() || attributes.deliver_at().is_some()
        };
        assert!(!send(0, 60_000), "{header}");
        assert!(send(60_000, 0), "{header}");
    }
    // A second one is passed on as it is, for whoever knows what it means.
    let after_first =
        |first: &str, second: &str| after(&format!("SEND\ndestination:/queue/a\n{first}\n{second}\n\n\0"));
    for (good, bad) in [("expires:0", "expires:zz"), ("reply-to:/queue/b", "reply-to:zz")] {
        assert_eq!(after_first(good, bad).1, None, "{good}");
        assert!(after_first(bad, good).1.is_some(), "{bad}");
    }
    for (first, second, group) in [("x", "y", Some("x")), ("", "y", None), ("x", "", Some("x"))] {
        let (commands, _) = after_first(&format!("JMSXGroupID:{first}"), &format!("JMSXGroupID:{second}"));
        let [Command::Publish { batch, .. }] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!(
            batch.attributes().unwrap().group().map(|group| &group[..]),
            group.map(str::as_bytes),
            "{first}, {second}"
        );
    }
    let subscribe = |first: &str, second: &str| {
        after(&format!("SUBSCRIBE\nid:1\ndestination:/queue/a\nselector:{first}\nselector:{second}\n\n\0")).1
    };
    assert!(subscribe("", "x").is_none() && subscribe("x", "").is_some());
}

#[test]
fn names_of_subscriptions_are_reserved_until_they_end() {
    let (mut session, _) = session();
    let mut commands = Vec::new();
    session.received_up_to(CONNECT.as_bytes(), usize::MAX, &mut commands).unwrap();
    let last = |commands: &mut Vec<Command>| {
        let sizes: Vec<usize> = commands
            .drain(..)
            .filter_map(|command| if let Command::Reserve { bytes, .. } = command { Some(bytes) } else { None })
            .collect();
        sizes.last().copied()
    };
    let id = "n".repeat(1000);
    for number in 0..5 {
        let bytes = format!("SUBSCRIBE\nid:{id}{number}\ndestination:/topic/a\n\n\0");
        session.received_up_to(bytes.as_bytes(), usize::MAX, &mut commands).unwrap();
        assert!(last(&mut commands).unwrap() >= 2000 * (number + 1));
    }
    for number in 0..5 {
        let bytes = format!("UNSUBSCRIBE\nid:{id}{number}\n\n\0");
        session.received_up_to(bytes.as_bytes(), usize::MAX, &mut commands).unwrap();
        assert!(last(&mut commands).unwrap() < 2100 * (5 - number));
    }
    assert_eq!(session.reserved, 0);
}

#[test]
fn open_transactions_have_a_part_of_memory() {
    for (memory, most) in [(32 << 20, 1 << 20), (1 << 40, 16 << 20)] {
        let limits = Limits { memory, ..limits() };
        let mut session =
            Session::new(ConnectionId(5), Time::ZERO, &limits, Arc::new(Mutex::new(Ledger::default())), all());
        let mut commands = Vec::new();
        session
            .received_up_to(format!("{CONNECT}BEGIN\ntransaction:t\n\n\0").as_bytes(), usize::MAX, &mut commands)
            .unwrap();
        let send = format!("SEND\ndestination:/queue/a\ntransaction:t\n\n{}\0", "x".repeat(10_000));
        let error = loop {
            if let Err(error) = session.received_up_to(send.as_bytes(), usize::MAX, &mut commands) {
                break error;
            }
            commands.clear();
        };
        assert!(error.message.contains(&format!("more than {most} bytes")), "{}", error.message);
        assert!(session.transactions.bytes() > most - 20_000);
    }
}

#[test]
fn a_first_frame_that_is_none_of_connect_is_recognized_and_named() {
    for command in ["SEND", "SUBSCRIBE", "UNSUBSCRIBE", "ACK", "NACK", "BEGIN", "COMMIT", "ABORT", "DISCONNECT"] {
        let bytes = format!("{command}\nid:1\n\n\0");
        for first in [1, 2, 4, bytes.len()] {
            assert!(Session::begins_with(&bytes.as_bytes()[..first]), "{command}, {first}");
        }
        let (mut session, _) = session();
        let error = session.received_up_to(bytes.as_bytes(), usize::MAX, &mut Vec::new()).unwrap_err();
        assert!(error.message.contains("CONNECT or STOMP"), "{command}: {}", error.message);
    }
    for native in
        [&[0, 0, 0, 5][..], &[0], b"stats\r\n", b"set a", b"cas a", b"AMQP", b"GET / HTTP/1.1", b"*1\r\n", b"SSH-2.0"]
    {
        assert!(!Session::begins_with(native), "{native:?}");
    }
}

#[test]
fn a_receipt_covers_the_commands_of_its_own_frame_and_that_of_a_commit_confirms_its_sends() {
    let (commands, _) = after(
        "SEND\ndestination:/queue/a\n\n1\0BEGIN\ntransaction:t\nreceipt:b\n\n\0\
         SEND\ndestination:/queue/a\ntransaction:t\nreceipt:s\n\n2\0SEND\ndestination:/queue/b\ntransaction:t\n\n3\0\
         COMMIT\ntransaction:t\nreceipt:c\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/a\nreceipt:u\n\n\0",
    );
    let covered: Vec<(usize, usize)> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Receipt { covers, publishes, .. } => Some((*covers, *publishes)),
            _ => None,
        })
        .collect();
    assert_eq!(covered, [(0, 0), (0, 0), (2, 2), (1, 0)]);
}

#[test]
fn open_transactions_of_all_sessions_together_are_bounded_and_the_one_beyond_is_told() {
    // An eighth of it is 20,000 bytes, a thirty-second 5,000.
    let limits = Limits { memory: 160_000, ..limits() };
    let all = Arc::new(AllTransactions::new(limits.memory));
    let send = format!("SEND\ndestination:/queue/a\ntransaction:t\n\n{}\0", "x".repeat(4000));
    let open = || {
        let mut session =
            Session::new(ConnectionId(5), Time::ZERO, &limits, Arc::new(Mutex::new(Ledger::default())), all.clone());
        let bytes = format!("{CONNECT}BEGIN\ntransaction:t\n\n\0{send}");
        let result = session.received_up_to(bytes.as_bytes(), usize::MAX, &mut Vec::new());
        (session, result.err().map(|error| error.message.into_owned()))
    };
    let mut sessions = Vec::new();
    for _ in 0..4 {
        let (session, error) = open();
        assert_eq!(error, None);
        sessions.push(session);
    }
    let (refused, error) = open();
    assert!(error.unwrap().contains("(limit: an eighth of memory)"));
    // Its empty transaction counts until it ends; the others go on.
    drop(refused);
    for ending in [&b"COMMIT\ntransaction:t\n\n\0"[..], b"ABORT\ntransaction:t\n\n\0", b"DISCONNECT\n\n\0"] {
        let result = sessions[0].received_up_to(ending, usize::MAX, &mut Vec::new());
        assert_eq!(result, Ok(()));
        let (next, error) = open();
        assert_eq!(error, None);
        sessions[0] = next;
    }
    drop(sessions);
    assert_eq!(all.bytes(), 0);
}
