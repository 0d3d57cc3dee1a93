//! Acks that come late: behind an UNSUBSCRIBE, and behind their time-out.

use crate::common::Running;
use crate::common::stomp::StompClient;
use std::time::Duration;
use switchboard_broker::{Delivery, Limits};
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;

#[tokio::test]
async fn an_ack_behind_an_unsubscribe_still_settles() {
    let server = Running::start().await;
    for mode in ["client", "client-individual"] {
        let queue = format!("/queue/{mode}");
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        client.send(&format!("SUBSCRIBE\nid:1\ndestination:{queue}\nack:{mode}\n\n\0")).await;
        for body in ["a", "b", "c"] {
            client.send(&format!("SEND\ndestination:{queue}\n\n{body}\0")).await;
        }
        let frames = [client.receive().await, client.receive().await, client.receive().await];
        client.send("UNSUBSCRIBE\nid:1\n\n\0").await;
        client.send(&format!("ACK\nid:{}\nreceipt:r\n\n\0", frames[1].header("ack"))).await;
        assert_eq!(client.receive().await.header("receipt-id"), "r");
        client.send("DISCONNECT\n\n\0").await;
        assert_eq!(client.end().await, []);
        let mut next = StompClient::connect(&server, Version::V1_2).await;
        next.send(&format!("SUBSCRIBE\nid:1\ndestination:{queue}\n\n\0")).await;
        let left: &[&str] = if mode == "client" { &["c"] } else { &["a", "c"] };
        for body in left {
            assert_eq!(next.receive().await.body, body.as_bytes(), "{mode}");
        }
        assert_eq!(next.settle().await, []);
    }
}

#[tokio::test]
async fn an_ack_of_an_ended_subscription_settles_though_another_has_its_name_by_now() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_1).await;
    let subscribe = "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\n\n\0";
    client.send(&format!("{subscribe}SEND\ndestination:/queue/a\n\nx\0")).await;
    let frame = client.receive().await;
    client.send(&format!("UNSUBSCRIBE\nid:1\n\n\0{subscribe}")).await;
    let ack = format!("ACK\nmessage-id:{}\nsubscription:1\nreceipt:r\n\n\0", frame.header("message-id"));
    client.send(&ack).await;
    assert_eq!(client.receive().await.header("receipt-id"), "r");
    client.send("DISCONNECT\n\n\0").await;
    assert_eq!(client.end().await, []);
    let mut next = StompClient::connect(&server, Version::V1_2).await;
    next.send(subscribe).await;
    assert_eq!(next.settle().await, []);
}

#[tokio::test]
async fn an_ack_after_its_time_out_is_ignored_and_the_session_goes_on() {
    let delivery = Delivery {
        ack_timeout: Duration::from_millis(20),
        redelivery_backoff: Duration::from_millis(1),
        redelivery_backoff_max: Duration::from_millis(1),
        max_deliveries: 0,
        ..Delivery::default()
    };
    let limits = Limits { delivery, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    for version in [Version::V1_0, Version::V1_1, Version::V1_2] {
        let subscribe = format!("SUBSCRIBE\nid:1\ndestination:/queue/{version}\nack:client-individual\n\n\0");
        let mut client = StompClient::connect(&server, version).await;
        client.send(&format!("{subscribe}SEND\ndestination:/queue/{version}\n\nx\0")).await;
        let first = client.receive().await;
        let again = client.receive().await;
        assert_eq!((&again.body, again.header("redelivered")), (&first.body, "true"), "{version}");
        let ack = if version == Version::V1_2 {
            format!("ACK\nid:{}\nreceipt:r\n\n\0", first.header("ack"))
        } else {
            format!("ACK\nmessage-id:{}\nsubscription:1\nreceipt:r\n\n\0", first.header("message-id"))
        };
        client.send(&ack).await;
        // It comes again all the time, for nothing but its latest delivery can be acked.
        while client.receive().await.command != "RECEIPT" {}
        assert_eq!(client.receive().await.body, b"x", "{version}");
    }
}
