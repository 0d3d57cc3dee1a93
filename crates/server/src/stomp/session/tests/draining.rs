//! A session while the broker drains.

use super::*;

#[test]
fn while_the_broker_drains_acks_count_up_to_the_first_send_which_ends_the_session_with_all_behind_it() {
    let given = |session: &mut Session, ledger: &Mutex<Ledger>, commands: &mut Vec<Command>| {
        let subscribe = "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n\n\0";
        let begin = "BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/b\ntransaction:t\n\nx\0";
        let acks = "BEGIN\ntransaction:acks\n\n\0";
        session.received_up_to(format!("{CONNECT}{subscribe}{begin}{acks}").as_bytes(), usize::MAX, commands).unwrap();
        let mut packer = Packer::default();
        (0..3).for_each(|_| packer.push(b"x"));
        let (id, batch) = (SubscriptionId(0), packer.finish().unwrap());
        let tag = Some(DeliveryTag(1));
        ledger.lock().deliver(id, "/queue/a".into(), (batch, None), tag, false);
        commands.clear();
        session.refuse_sends();
    };
    let ack = |number: u64, more: &str| format!("ACK\nid:5-0-{number}\n{more}\n\0");
    for refused in [
        "SEND\ndestination:/queue/b\nreceipt:r\n\nx\0".to_owned(),
        format!("{}COMMIT\ntransaction:t\nreceipt:r\n\n\0", ack(2, "transaction:t\n")),
        "SEND\ndestination:/queue/b\ntransaction:t\nreceipt:r\n\nx\0".to_owned(),
    ] {
        let (mut session, ledger) = session();
        let mut commands = Vec::new();
        given(&mut session, &ledger, &mut commands);
        let frames = format!("{}{refused}{}", ack(1, "receipt:a\n"), ack(3, ""));
        let error = session.received_up_to(frames.as_bytes(), usize::MAX, &mut commands).unwrap_err();
        assert_eq!(error.receipt.as_deref(), Some(&b"r"[..]), "{refused}");
        assert!(error.message.contains("shutting down"), "{}", error.message);
        let one = DeliveryTag(1);
        assert!(matches!(commands[0], Command::Ack { first, last } if (first, last) == (one, one)), "{commands:?}");
        assert!(matches!(commands[1], Command::Receipt { covers: 1, .. }), "{commands:?}");
        let others = commands.iter().skip(2).filter(|command| !matches!(command, Command::Reserve { .. })).count();
        assert_eq!(others, 0, "{commands:?}");
    }
    // A transaction of acks alone is carried out.
    let (mut session, ledger) = session();
    let mut commands = Vec::new();
    given(&mut session, &ledger, &mut commands);
    let frames = format!("{}COMMIT\ntransaction:acks\n\n\0", ack(2, "transaction:acks\n"));
    session.received_up_to(frames.as_bytes(), usize::MAX, &mut commands).unwrap();
    assert!(matches!(commands[0], Command::Ack { .. }), "{commands:?}");
}
