//! Answers to acks of messages that were not delivered so.

use super::common::Running;
use super::common::stomp::StompClient;
use switchboard_wire::stomp::Version;

#[tokio::test]
async fn an_ack_of_what_was_not_delivered_so_is_told_in_its_turn_and_the_session_goes_on() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_1).await;
    client.send("SUBSCRIBE\nid:A\ndestination:/queue/a\nack:client-individual\n\n\0").await;
    client.send("SEND\ndestination:/queue/a\n\nx\0").await;
    let id = client.receive().await.header("message-id").to_owned();
    let nothing = "SEND\ndestination:/topic/nobody\n";
    for (frame, receipt, says) in [
        (format!("ACK\nmessage-id:{id}\nsubscription:B\n"), "1", "is of the subscription A and not of B"),
        (format!("NACK\nmessage-id:{id}\nsubscription:B\n"), "2", "is of the subscription A and not of B"),
        ("ACK\nmessage-id:nonsense\nsubscription:A\n".to_owned(), "3", "no message was delivered here as nonsense"),
        (format!("ACK\nmessage-id:{}\nsubscription:A\n", id.replace("-1", "-99")), "4", "no message was delivered"),
    ] {
        let all = format!("{nothing}receipt:before\n\n\0{frame}receipt:{receipt}\n\n\0{nothing}receipt:behind\n\n\0");
        client.send(&all).await;
        assert_eq!(client.receive().await.header("receipt-id"), "before");
        let error = client.receive().await;
        assert_eq!(
            (&error.command[..], error.header("fatal"), error.header("receipt-id")),
            ("ERROR", "false", receipt)
        );
        assert!(error.header("message").contains(says), "{error:?}");
        assert_eq!(client.receive().await.header("receipt-id"), "behind");
    }
    // Without a receipt it is told as well.
    client.send("ACK\nmessage-id:x\nsubscription:A\n\n\0").await;
    let error = client.receive().await;
    assert_eq!((error.header("fatal"), error.headers.get("receipt-id")), ("false", None));
    // The message is still the client's.
    client.send(&format!("ACK\nmessage-id:{id}\nsubscription:A\nreceipt:done\n\n\0")).await;
    assert_eq!(client.receive().await.command, "RECEIPT");
    let mut newer = StompClient::connect(&server, Version::V1_2).await;
    newer.send("ACK\nid:nonsense\n\n\0ACK\nid:1-2\nreceipt:r\n\n\0").await;
    for receipt in ["", "r"] {
        let error = newer.receive().await;
        assert_eq!((error.header("fatal"), error.header("receipt-id")), ("false", receipt));
    }
    assert_eq!(newer.settle().await, []);
}

#[tokio::test]
async fn an_ack_of_a_transaction_that_cannot_be_ends_the_session_and_with_it_the_transaction() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    let send = "SEND\ndestination:/queue/a\ntransaction:t\n\nnot committed\0";
    client.send(&format!("BEGIN\ntransaction:t\n\n\0{send}")).await;
    client.send("ACK\nid:nonsense\ntransaction:t\n\n\0COMMIT\ntransaction:t\n\n\0").await;
    assert!(client.error().await.contains("no message was delivered"));
    let mut other = StompClient::connect(&server, Version::V1_2).await;
    other.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    assert_eq!(other.settle().await, []);
}
