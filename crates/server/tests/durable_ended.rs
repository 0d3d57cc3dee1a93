//! Sessions whose durable subscription another session has ended.

mod common;

use common::Running;
use common::stomp::StompClient;

async fn named(server: &Running) -> StompClient {
    let mut stomp = StompClient::silent(server.native).await;
    stomp.send("CONNECT\naccept-version:1.2\nhost:x\nclient-id:c\n\n\0").await;
    assert_eq!(stomp.receive().await.command, "CONNECTED");
    stomp
}

#[tokio::test]
async fn a_session_whose_durable_subscription_another_has_ended_may_subscribe_again_with_the_same_id() {
    let server = Running::start().await;
    for ack in ["auto", "client", "client-individual"] {
        for header in [format!("activemq.subscriptionName:{ack}"), "durable:true".to_owned()] {
            for (has_messages, acks_late) in [(false, false), (true, false), (true, true)] {
                let what = format!("{ack}, {header}, {has_messages}, {acks_late}");
                let (mut first, mut other) = (named(&server).await, named(&server).await);
                let durable = format!("id:1\ndestination:/topic/t\n{header}\n");
                let subscribe = format!("SUBSCRIBE\n{durable}ack:{ack}\n\n\0");
                first.send(&subscribe).await;
                assert_eq!(first.settle().await, [], "{what}");
                let mut given = Vec::new();
                if has_messages {
                    first.send(&"SEND\ndestination:/topic/t\n\nx\0".repeat(2)).await;
                    given = vec![first.receive().await, first.receive().await];
                }
                other.send(&format!("UNSUBSCRIBE\n{durable}\n\0")).await;
                assert_eq!(other.settle().await, [], "{what}");
                if acks_late && ack != "auto" {
                    let last = given.last().expect("messages").header("ack");
                    first.send(&format!("ACK\nid:{last}\n\n\0")).await;
                }
                first.send(&subscribe).await;
                assert_eq!(first.settle().await, [], "{what}");
                first.send("SEND\ndestination:/topic/t\n\nnew\0").await;
                assert_eq!(first.receive().await.body, b"new", "{what}");
                first.send(&format!("UNSUBSCRIBE\n{durable}\n\0")).await;
                assert_eq!(first.settle().await, [], "{what}");
            }
        }
    }
}
