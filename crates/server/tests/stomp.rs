//! STOMP over real sockets.

#[path = "stomp/cases.rs"]
mod cases;
mod common;
#[path = "stomp/late.rs"]
mod late;

use common::stomp::{Frame, StompClient};
use common::{Client, Running};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;
use tokio::io::AsyncWriteExt;

fn bodies(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(|frame| String::from_utf8_lossy(&frame.body).into_owned()).collect()
}

#[tokio::test]
async fn messages_reach_subscribers_in_every_version_with_their_headers() {
    let server = Running::start().await;
    for version in Version::ALL {
        let mut subscriber = StompClient::connect(&server, version).await;
        subscriber.send("SUBSCRIBE\nid:7\ndestination:/topic/a\n\n\0").await;
        subscriber.settle().await;
        let mut publisher = StompClient::connect(&server, version).await;
        publisher.send("SEND\ndestination:/topic/a\ncolor:red\ncontent-length:3\n\na\0b\0").await;
        publisher.send("SEND\ndestination:/topic/a\n\n\0").await;
        publisher.settle().await;
        let first = subscriber.receive().await;
        assert_eq!((&first.command[..], &first.body[..]), ("MESSAGE", &b"a\0b"[..]));
        let of = |name| first.header(name).to_owned();
        assert_eq!((of("destination"), of("subscription"), of("color")), ("/topic/a".into(), "7".into(), "red".into()));
        let second = subscriber.receive().await;
        assert_eq!((&second.body[..], second.header("color")), (&b""[..], ""));
        assert_ne!(first.header("message-id"), second.header("message-id"));
    }
}

#[tokio::test]
async fn native_and_stomp_programs_share_channels() {
    let server = Running::start().await;
    let mut native = server.client("/topic/a").await;
    let mut stomp = StompClient::connect(&server, Version::V1_2).await;
    stomp.send("SUBSCRIBE\nid:0\ndestination:/topic/>\n\n\0").await;
    stomp.settle().await;
    native.publish("/topic/a", b"from native").await;
    native.settle_after(1).await;
    stomp.send("SEND\ndestination:/topic/a\nx:y\n\nfrom stomp\0").await;
    let both = [stomp.receive().await, stomp.receive().await];
    assert_eq!(bodies(&both), ["from native", "from stomp"]);
    assert_eq!(native.receive().await, b"from stomp");

    stomp.send("SEND\ndestination:/queue/q\n\nwork\0").await;
    stomp.settle().await;
    let mut worker = Client(tokio::net::TcpStream::connect(server.native).await.unwrap());
    worker.send(b"/queue/q").await;
    assert_eq!(worker.receive().await, b"work");
}

#[tokio::test]
async fn a_queue_delivers_again_what_was_not_acked() {
    let server = Running::start().await;
    for (version, mode, ack) in [
        (Version::V1_0, "client", "message-id"),
        (Version::V1_1, "client-individual", "message-id"),
        (Version::V1_2, "client-individual", "id"),
    ] {
        let queue = format!("/queue/{version}");
        let mut worker = StompClient::connect(&server, version).await;
        worker.send(&format!("SUBSCRIBE\nid:s\ndestination:{queue}\nack:{mode}\n\n\0")).await;
        for body in ["a", "b", "c"] {
            worker.send(&format!("SEND\ndestination:{queue}\n\n{body}\0")).await;
        }
        let frames = [worker.receive().await, worker.receive().await, worker.receive().await];
        let named = if version == Version::V1_2 { "ack" } else { "message-id" };
        let second = frames[1].header(named);
        worker.send(&format!("ACK\n{ack}:{second}\nsubscription:s\nreceipt:acked\n\n\0")).await;
        assert_eq!(worker.receive().await.header("receipt-id"), "acked");
        drop(worker);
        let mut next = StompClient::connect(&server, version).await;
        next.send(&format!("SUBSCRIBE\nid:s\ndestination:{queue}\nack:auto\n\n\0")).await;
        let left: &[&str] = if mode == "client" { &["c"] } else { &["a", "c"] };
        for body in left {
            assert_eq!(next.receive().await.body, body.as_bytes());
        }
        assert_eq!(next.settle().await, []);
    }
}

#[tokio::test]
async fn a_nacked_message_comes_back() {
    let server = Running::start().await;
    let mut worker = StompClient::connect(&server, Version::V1_2).await;
    worker.send("SUBSCRIBE\nid:s\ndestination:/queue/q\nack:client-individual\n\n\0").await;
    worker.send("SEND\ndestination:/queue/q\n\nagain\0").await;
    let first = worker.receive().await;
    worker.send(&format!("NACK\nid:{}\n\n\0", first.header("ack"))).await;
    let second = worker.receive().await;
    assert_eq!(second.body, b"again");
    assert_ne!(first.header("ack"), second.header("ack"));
}

#[tokio::test]
async fn a_message_whose_time_is_over_is_never_delivered() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    for (expires, body) in [("1", "late"), ("99999999999999", "in time"), ("0", "always")] {
        client.send(&format!("SEND\ndestination:/queue/a\nexpires:{expires}\n\n{body}\0")).await;
    }
    client.send("SEND\ndestination:/queue/a\nexpiration:18446744073709551615\n\nfar\0").await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    let frames = [client.receive().await, client.receive().await, client.receive().await];
    assert_eq!(bodies(&frames), ["in time", "always", "far"]);
    assert_eq!(frames[0].header("expires"), "99999999999999");
    assert_eq!(client.settle().await, []);
}

#[tokio::test]
async fn a_delayed_message_lets_later_ones_pass() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    client.send("SEND\ndestination:/queue/a\nAMQ_SCHEDULED_DELAY:300\n\ndelayed\0").await;
    client.send("SEND\ndestination:/queue/a\nAMQ_SCHEDULED_DELAY:0\n\nat once\0").await;
    assert_eq!(bodies(&[client.receive().await, client.receive().await]), ["at once", "delayed"]);
}

#[tokio::test]
async fn the_messages_of_a_group_go_to_one_consumer_in_order_and_others_flow_past() {
    let server = Running::start().await;
    let mut publisher = StompClient::connect(&server, Version::V1_2).await;
    let mut workers = Vec::new();
    for _ in 0..2 {
        let mut worker = StompClient::connect(&server, Version::V1_2).await;
        worker.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nprefetch-count:1\n\n\0").await;
        worker.settle().await;
        workers.push(worker);
    }
    for (group, body) in [("g", "g0"), ("g", "g1"), ("h", "h0"), ("h", "h1"), ("", "plain")] {
        publisher.send(&format!("SEND\ndestination:/queue/a\nJMSXGroupID:{group}\nJMSXGroupSeq:-1\n\n{body}\0")).await;
    }
    publisher.settle().await;
    // The newest consumer gets the first message.
    let (mut other, mut first) = (workers.remove(0), workers.remove(0));
    let frame = first.receive().await;
    assert_eq!((frame.header("JMSXGroupID"), &frame.body[..]), ("g", &b"g0"[..]));
    let mut last = other.receive().await;
    assert_eq!(last.body, b"h0");
    // The group of the first consumer is held back, and nothing else.
    for body in ["h1", "plain"] {
        other.send(&format!("ACK\nid:{}\n\n\0", last.header("ack"))).await;
        last = other.receive().await;
        assert_eq!(last.body, body.as_bytes());
    }
    other.send(&format!("ACK\nid:{}\n\n\0", last.header("ack"))).await;
    assert_eq!(other.settle().await, []);
    drop(first);
    last = other.receive().await;
    assert_eq!((&last.body[..], last.header("redelivered")), (&b"g0"[..], "true"));
    other.send(&format!("ACK\nid:{}\n\n\0", last.header("ack"))).await;
    assert_eq!(other.receive().await.body, b"g1");
}

#[tokio::test]
async fn the_prefetch_is_what_the_client_says() {
    let server = Running::start().await;
    let mut worker = StompClient::connect(&server, Version::V1_2).await;
    for _ in 0..5 {
        worker.send("SEND\ndestination:/queue/q\n\nx\0").await;
    }
    worker.send("SUBSCRIBE\nid:s\ndestination:/queue/q\nack:client\nprefetch-count:2\n\n\0").await;
    let before = worker.settle().await;
    assert_eq!(before.len(), 2);
    worker.send(&format!("ACK\nid:{}\n\n\0", before[1].header("ack"))).await;
    let more = [worker.receive().await, worker.receive().await];
    assert_eq!(more.len() + worker.settle().await.len(), 2);
}

#[tokio::test]
async fn a_transaction_is_in_the_broker_when_it_is_committed_and_not_before() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0BEGIN\ntransaction:t\n\n\0").await;
    client.send("SEND\ndestination:/topic/a\ntransaction:t\n\none\0").await;
    client.send("SEND\ndestination:/topic/a\n\nfirst\0").await;
    assert_eq!(bodies(&client.settle().await), ["first"]);
    client.send("SEND\ndestination:/topic/a\ntransaction:t\n\ntwo\0COMMIT\ntransaction:t\n\n\0").await;
    assert_eq!(bodies(&client.settle().await), ["one", "two"]);
    client.send("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/topic/a\ntransaction:t\n\nlost\0").await;
    client.send("ABORT\ntransaction:t\n\n\0").await;
    assert_eq!(client.settle().await, []);
}

#[tokio::test]
async fn a_disconnect_aborts_a_transaction_with_its_acks() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:s\ndestination:/queue/q\nack:client\n\n\0SEND\ndestination:/queue/q\n\nkept\0").await;
    let ack = client.receive().await.header("ack").to_owned();
    client.send("BEGIN\ntransaction:t\n\n\0").await;
    client.send(&format!("ACK\nid:{ack}\ntransaction:t\n\n\0DISCONNECT\nreceipt:bye\n\n\0")).await;
    let last = client.end().await;
    assert_eq!((last.len(), last[0].header("receipt-id")), (1, "bye"));
    let mut next = StompClient::connect(&server, Version::V1_2).await;
    next.send("SUBSCRIBE\nid:s\ndestination:/queue/q\n\n\0").await;
    assert_eq!(next.receive().await.body, b"kept");
}

#[tokio::test]
async fn what_is_sent_right_before_the_end_is_not_lost() {
    let server = Running::start().await;
    let mut subscriber = StompClient::connect(&server, Version::V1_2).await;
    subscriber.send("SUBSCRIBE\nid:s\ndestination:/queue/q\n\n\0").await;
    subscriber.settle().await;
    for number in 0..20 {
        let mut client = StompClient::silent(server.native).await;
        client.send(&format!("STOMP\naccept-version:1.2\nhost:x\n\n\0SEND\ndestination:/queue/q\n\n{number}\0")).await;
        if number % 2 == 0 {
            client.send("DISCONNECT\n\n\0").await;
        }
        drop(client);
        assert_eq!(subscriber.receive().await.body, number.to_string().as_bytes());
    }
}

#[tokio::test]
async fn the_best_common_version_is_taken_and_1_0_without_a_word() {
    let server = Running::start().await;
    for (asked, version) in
        [("", "1.0"), ("accept-version:1.0,1.1\n", "1.1"), ("accept-version:9.9, 1.2 ,1.0\n", "1.2")]
    {
        let mut client = StompClient::silent(server.native).await;
        client.send(&format!("CONNECT\n{asked}\n\0")).await;
        assert_eq!(client.receive().await.header("version"), version);
    }
}

#[tokio::test]
async fn one_byte_at_a_time_is_as_good_as_all_at_once() {
    let server = Running::start().await;
    let mut client = StompClient::silent(server.native).await;
    client.socket.set_nodelay(true).unwrap();
    let session = "\n\nCONNECT\r\naccept-version:1.2\r\n\r\n\0\nSUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0\n\
                   SEND\ndestination:/topic/a\n\nhello\0SEND\ndestination:/topic/a\ncontent-length:2\n\n\0x\0DISCONNECT\nreceipt:r\n\n\0";
    for byte in session.as_bytes() {
        client.socket.write_all(&[*byte]).await.unwrap();
    }
    let mut commands: Vec<_> = client.end().await.into_iter().map(|frame| (frame.command, frame.body)).collect();
    // A receipt overtakes messages.
    commands.sort_by_key(|(command, _)| command == "RECEIPT");
    let message = |body: &[u8]| ("MESSAGE".to_owned(), body.to_vec());
    let empty = |command: &str| (command.to_owned(), Vec::new());
    assert_eq!(commands, [empty("CONNECTED"), message(b"hello"), message(b"\0x"), empty("RECEIPT")]);
}

#[tokio::test]
async fn large_messages_are_whole_and_followed_by_others() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0").await;
    let large = "y".repeat(3_000_000);
    for with_length in [true, false] {
        let length = if with_length { format!("content-length:{}\n", large.len()) } else { String::new() };
        let frames =
            format!("SEND\ndestination:/queue/a\nh:v\n{length}\n{large}\0SEND\ndestination:/queue/a\n\nsmall\0");
        let (mut reader, mut writer) = (StompClient::connect(&server, Version::V1_2).await, client);
        reader.send("SEND\ndestination:/topic/nobody\n\n\0").await;
        writer.send(&frames).await;
        let first = writer.receive().await;
        assert!(first.body == large.as_bytes() && first.header("h") == "v");
        assert_eq!(writer.receive().await.body, b"small");
        client = writer;
    }
}

#[tokio::test]
async fn persistent_messages_are_counted() {
    let server = Running::start().await;
    for _ in 0..2 {
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        client.send("SEND\ndestination:/queue/a\npersistent:true\n\nx\0SEND\ndestination:/queue/a\n\nx\0").await;
        client.settle().await;
        client
            .send(
                "SEND\ndestination:/queue/a\npersistent:true\n\nx\0SEND\ndestination:/queue/a\npersistent:false\n\nx\0",
            )
            .await;
        client.settle().await;
    }
    let metrics = server.http("GET /metrics HTTP/1.1\r\nHost: localhost").await;
    assert!(metrics.contains("\nswitchboard_messages_persistent_total 4\n"), "{metrics}");
}

#[tokio::test]
async fn heartbeats_are_sent_and_a_silent_peer_is_found_dead_and_told() {
    let server = Running::start().await;
    let mut client = StompClient::silent(server.native).await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:200,200\n\n\0").await;
    assert_eq!(client.receive().await.header("heart-beat"), "200,200");
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut client.socket, &mut bytes);
    tokio::time::timeout(common::PATIENCE, read).await.expect("an end").unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let error = text.trim_start_matches('\n');
    assert!(error.len() < text.len(), "{text}");
    assert!(error.starts_with("ERROR\nmessage:nothing came for 400 ms, which are two of the heart-beats"), "{text}");
}

#[tokio::test]
async fn a_consumer_that_does_not_read_loses_what_was_not_written_to_others() {
    let limits = Limits { write_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut stalled = StompClient::connect(&server, Version::V1_2).await;
    stalled.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nprefetch-count:1000\n\n\0").await;
    stalled.settle().await;
    let mut publisher = server.client("/null").await;
    for number in 0..200_u32 {
        publisher.publish("/queue/a", &[&number.to_be_bytes()[..], &[b'x'; 60_000]].concat()).await;
    }
    publisher.settle().await;
    // Nothing of it is read: what was not begun goes to another one.
    let mut other = StompClient::connect(&server, Version::V1_2).await;
    other.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nprefetch-count:1000\n\n\0").await;
    let first = other.receive().await;
    let taken = u32::from_be_bytes(first.body[..4].try_into().unwrap());
    assert!(taken > 0);
    // Written messages stay the stalled consumer's, whole and in order, and can be acked.
    for number in 0..taken {
        let frame = stalled.receive().await;
        assert_eq!(frame.body[..4], number.to_be_bytes());
        stalled.send(&format!("ACK\nid:{}\n\n\0", frame.header("ack"))).await;
    }
    for number in taken + 1..200 {
        assert_eq!(other.receive().await.body[..4], number.to_be_bytes());
    }
    assert_eq!(stalled.settle().await, []);
}

#[tokio::test]
async fn an_unfinished_frame_ends_with_its_connection() {
    let settings = Settings { read_timeout: Duration::from_millis(200), ..Settings::default() };
    let server = Running::start_with(settings).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SEND\ndestination:/queue/a\ncontent-length:1000000\n\nonly this").await;
    let last = client.end().await;
    assert!(last.len() == 1 && last[0].command == "ERROR", "{last:?}");
}
