//! Sentences of the specifications, and cases of other brokers' suites.

use super::common::Running;
use super::common::stomp::{Frame, StompClient};
use switchboard_wire::stomp::Version;
use tokio::io::AsyncWriteExt;

async fn connect(server: &Running) -> StompClient {
    StompClient::connect(server, Version::V1_2).await
}

/// Receives messages, and gives them by their subscriptions.
async fn by_subscription(client: &mut StompClient, count: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for _ in 0..count {
        let Frame { headers, body, .. } = client.receive().await;
        found.push((headers["subscription"].clone(), String::from_utf8(body).unwrap()));
    }
    found
}

#[tokio::test]
async fn every_command_has_its_receipt_in_the_order_of_the_commands() {
    let server = Running::start().await;
    let mut client = connect(&server).await;
    client.send("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client-individual\nreceipt:subscribe\n\n\0").await;
    assert_eq!(client.receive().await.header("receipt-id"), "subscribe");
    client.send("SEND\ndestination:/queue/a\n\n1\0SEND\ndestination:/queue/a\n\n2\0").await;
    let ids = [client.receive().await, client.receive().await].map(|frame| frame.header("ack").to_owned());
    let commands = [
        "SEND\ndestination:/queue/b\nreceipt:send\n\n\0",
        "BEGIN\ntransaction:t\nreceipt:begin\n\n\0",
        "SEND\ndestination:/queue/b\ntransaction:t\nreceipt:held\n\n\0",
        "COMMIT\ntransaction:t\nreceipt:commit\n\n\0",
        "BEGIN\ntransaction:t\n\n\0ABORT\ntransaction:t\nreceipt:abort\n\n\0",
        &format!("ACK\nid:{}\nreceipt:ack\n\n\0", ids[0]),
        &format!("NACK\nid:{}\nrequeue:false\nreceipt:nack\n\n\0", ids[1]),
        "UNSUBSCRIBE\nid:s\nreceipt:unsubscribe\n\n\0",
        "DISCONNECT\nreceipt:disconnect\n\n\0",
    ];
    client.send(&commands.concat()).await;
    let receipts: Vec<String> = client.end().await.iter().map(|frame| frame.header("receipt-id").to_owned()).collect();
    let expected = ["send", "begin", "held", "commit", "abort", "ack", "nack", "unsubscribe", "disconnect"];
    assert_eq!(receipts, expected);
}

#[tokio::test]
async fn an_abort_undoes_acks_and_nacks_which_may_be_given_again() {
    let server = Running::start().await;
    for undone in ["ACK", "NACK"] {
        for again in ["ACK", "NACK"] {
            let queue = format!("/queue/{undone}/{again}");
            let mut client = connect(&server).await;
            client.send(&format!("SUBSCRIBE\nid:s\ndestination:{queue}\nack:client-individual\n\n\0")).await;
            client.send(&format!("SEND\ndestination:{queue}\n\nx\0")).await;
            let id = client.receive().await.header("ack").to_owned();
            client.send(&format!("BEGIN\ntransaction:t\n\n\0{undone}\nid:{id}\ntransaction:t\n\n\0")).await;
            client.send("ABORT\ntransaction:t\n\n\0").await;
            // It is with the client still.
            assert_eq!(client.settle().await, [], "{queue}");
            client.send(&format!("{again}\nid:{id}\nrequeue:false\nreceipt:done\n\n\0")).await;
            assert_eq!(client.receive().await.command, "RECEIPT");
            drop(client);
            let mut next = connect(&server).await;
            let dead = format!("/queue/dead{queue}");
            next.send(&format!("SUBSCRIBE\nid:1\ndestination:{queue}\n\n\0SUBSCRIBE\nid:2\ndestination:{dead}\n\n\0"))
                .await;
            let left: Vec<_> =
                next.settle().await.iter().map(|frame| frame.header("subscription").to_owned()).collect();
            assert_eq!(left, if again == "NACK" { vec!["2"] } else { vec![] }, "{queue}");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_is_open_is_not_begun_again_and_one_that_is_over_may_be() {
    let server = Running::start().await;
    let mut client = connect(&server).await;
    client.send("BEGIN\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0BEGIN\ntransaction:t\nreceipt:r\n\n\0").await;
    assert_eq!(client.receive().await.header("receipt-id"), "r");
    client.send("BEGIN\ntransaction:t\n\n\0").await;
    assert!(client.error().await.contains("transaction t"));
}

#[tokio::test]
async fn a_transaction_takes_nothing_of_what_is_sent_outside_of_it() {
    let server = Running::start().await;
    let mut client = connect(&server).await;
    client
        .send("SUBSCRIBE\nid:s\ndestination:/topic/a\n\n\0BEGIN\ntransaction:1\n\n\0BEGIN\ntransaction:2\n\n\0")
        .await;
    for (transaction, body) in [("1", "a"), ("2", "b"), ("1", "c")] {
        client.send(&format!("SEND\ndestination:/topic/a\ntransaction:{transaction}\n\n{body}\0")).await;
    }
    client.send("SEND\ndestination:/topic/a\n\nd\0COMMIT\ntransaction:2\n\n\0COMMIT\ntransaction:1\n\n\0").await;
    let bodies: Vec<String> = by_subscription(&mut client, 4).await.into_iter().map(|(_, body)| body).collect();
    assert_eq!(bodies, ["d", "b", "a", "c"]);
}

#[tokio::test]
async fn nack_is_of_1_1_and_an_error_in_1_0() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_0).await;
    client.send("NACK\nmessage-id:1-0-1\n\n\0").await;
    assert_eq!(client.error().await, "NACK is of version 1.1; this session is of 1.0");
}

#[tokio::test]
async fn in_1_0_a_destination_names_a_subscription_and_a_message_id_alone_its_message() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_0).await;
    client.send("SUBSCRIBE\ndestination: /queue/a \nack: client\n\n\0SEND\ndestination:/queue/a\n\nx\0").await;
    let message = client.receive().await;
    assert_eq!((message.headers.get("subscription"), message.headers.get("ack")), (None, None));
    client.send(&format!("ACK\nmessage-id:{}\nreceipt:1\n\n\0", message.header("message-id"))).await;
    assert_eq!(client.receive().await.header("receipt-id"), "1");
    client.send("UNSUBSCRIBE\ndestination:/queue/a\nreceipt:2\n\n\0").await;
    assert_eq!(client.receive().await.header("receipt-id"), "2");
    client.send("SEND\ndestination:/queue/a\n\nstays\0").await;
    assert_eq!(client.settle().await, []);
    client.send("UNSUBSCRIBE\ndestination:/queue/a\n\n\0").await;
    assert!(client.error().await.contains("no subscription /queue/a"));
}

#[tokio::test]
async fn an_id_with_colons_and_backslashes_comes_back_as_it_was_given() {
    let server = Running::start().await;
    for version in [Version::V1_1, Version::V1_2] {
        let queue = format!("/queue/{version}");
        let mut client = StompClient::connect(&server, version).await;
        let id = "a\\cb\\\\c\\n";
        client.send(&format!("SUBSCRIBE\nid:{id}\ndestination:{queue}\nack:client-individual\n\n\0")).await;
        client.send(&format!("SEND\ndestination:{queue}\n\nx\0")).await;
        let message = client.receive().await;
        assert_eq!(message.header("subscription"), "a:b\\c\n");
        let named = if version == Version::V1_2 { "id" } else { "message-id" };
        let of = message.header(if version == Version::V1_2 { "ack" } else { "message-id" });
        client.send(&format!("ACK\n{named}:{of}\nsubscription:{id}\nreceipt:x\\cy\n\n\0")).await;
        let receipt = client.receive().await;
        assert_eq!((&receipt.command[..], receipt.header("receipt-id")), ("RECEIPT", "x:y"));
        client.send(&format!("UNSUBSCRIBE\nid:{id}\nreceipt:u\n\n\0")).await;
        assert_eq!(client.receive().await.command, "RECEIPT");
    }
}

#[tokio::test]
async fn each_subscription_of_a_connection_gets_what_is_its_own_and_client_acks_no_other_s() {
    let server = Running::start().await;
    let mut client = connect(&server).await;
    for id in ["1", "2"] {
        client.send(&format!("SUBSCRIBE\nid:{id}\ndestination:/queue/{id}\nack:client\n\n\0")).await;
    }
    client.send("SUBSCRIBE\nid:3\ndestination:/topic/a\n\n\0SUBSCRIBE\nid:4\ndestination:/topic/a\n\n\0").await;
    for destination in ["/queue/1", "/queue/2", "/queue/1", "/queue/2"] {
        client.send(&format!("SEND\ndestination:{destination}\n\n{destination}\0")).await;
    }
    let mut last = Frame { command: String::new(), headers: Default::default(), body: Vec::new() };
    for _ in 0..4 {
        let message = client.receive().await;
        assert_eq!(message.header("destination"), format!("/queue/{}", message.header("subscription")));
        if message.header("subscription") == "2" {
            last = message;
        }
    }
    // Also those of the other subscription that came before it stay unacked.
    client.send(&format!("ACK\nid:{}\n\n\0SEND\ndestination:/topic/a\n\nt\0", last.header("ack"))).await;
    let mut both = by_subscription(&mut client, 2).await;
    both.sort();
    assert_eq!(both, [("3", "t"), ("4", "t")].map(|(id, body)| (id.to_owned(), body.to_owned())));
    drop(client);
    let mut next = connect(&server).await;
    next.send("SUBSCRIBE\nid:1\ndestination:/queue/1\n\n\0SUBSCRIBE\nid:2\ndestination:/queue/2\n\n\0").await;
    let left = by_subscription(&mut next, 2).await;
    assert!(left.iter().all(|(id, _)| id == "1") && next.settle().await.is_empty(), "{left:?}");
}

#[tokio::test]
async fn bodies_may_be_empty_or_have_any_bytes_in_every_version() {
    let server = Running::start().await;
    let all: Vec<u8> = (0..=255).collect();
    for version in Version::ALL {
        let mut client = StompClient::connect(&server, version).await;
        client.send(&format!("SUBSCRIBE\nid:s\ndestination:/queue/{version}\n\n\0")).await;
        let head = format!("SEND\ndestination:/queue/{version}\n");
        let with_length = format!("{head}content-length:{}\n\n", all.len());
        let frames = [with_length.as_bytes(), &all, format!("\0\r\n\n{head}\n\0{head}\n\nx\0").as_bytes()].concat();
        client.socket.write_all(&frames).await.unwrap();
        for body in [&all[..], b"", b"\nx"] {
            let message = client.receive().await;
            assert_eq!((&message.body[..], message.header("content-length")), (body, &body.len().to_string()[..]));
        }
    }
}

#[tokio::test]
async fn host_may_be_missing_and_stomp_is_as_good_as_connect() {
    let server = Running::start().await;
    for command in ["CONNECT", "STOMP"] {
        for host in ["", "host:\n", "host:nowhere.example\n"] {
            let mut client = StompClient::silent(server.native).await;
            client.send(&format!("{command}\naccept-version:1.2\n{host}\n\0")).await;
            let answer = client.receive().await;
            assert_eq!((&answer.command[..], answer.header("version")), ("CONNECTED", "1.2"));
            let begin = format!("Switchboard/{}", env!("CARGO_PKG_VERSION"));
            assert_eq!((answer.header("server"), answer.header("session").is_empty()), (&begin[..], false));
        }
    }
}

#[tokio::test]
async fn nothing_is_taken_behind_a_disconnect() {
    let server = Running::start().await;
    let mut client = connect(&server).await;
    client.send("DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:/queue/a\nreceipt:late\n\nlate\0nonsense").await;
    let last = client.end().await;
    assert_eq!((last.len(), last[0].header("receipt-id")), (1, "bye"));
    let mut other = connect(&server).await;
    other.send("SUBSCRIBE\nid:s\ndestination:/queue/a\n\n\0").await;
    assert_eq!(other.settle().await, []);
}

#[tokio::test]
async fn messages_of_one_publisher_come_in_its_order_in_every_ack_mode() {
    const COUNT: usize = 500;
    let server = Running::start().await;
    for mode in ["auto", "client", "client-individual"] {
        let mut client = connect(&server).await;
        client.send(&format!("SUBSCRIBE\nid:s\ndestination:/queue/{mode}\nack:{mode}\nprefetch-count:7\n\n\0")).await;
        // Some alone and some in runs, some with headers of their own.
        let header = |number: usize| if number.is_multiple_of(3) { format!("n:{number}\n") } else { String::new() };
        let sends: String =
            (0..COUNT).map(|n| format!("SEND\ndestination:/queue/{mode}\n{}\n{n}\0", header(n))).collect();
        client.send(&sends).await;
        for number in 0..COUNT {
            let message = client.receive().await;
            assert_eq!(message.body, number.to_string().as_bytes(), "{mode}");
            if mode != "auto" {
                client.send(&format!("ACK\nid:{}\n\n\0", message.header("ack"))).await;
            }
        }
    }
}
