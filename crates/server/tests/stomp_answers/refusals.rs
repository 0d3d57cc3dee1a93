//! Frames and headers that are refused with a sentence.

use super::common::Running;
use super::common::stomp::StompClient;
use switchboard_wire::stomp::Version;

#[tokio::test]
async fn what_is_not_supported_is_refused_with_a_sentence() {
    let server = Running::start().await;
    for (frame, says) in [
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nselector:x=1\n\n\0", "selector"),
        ("SEND\ndestination:/exchange/a\n\n\0", "exchanges"),
        ("SEND\ndestination:/temp-topic/a\n\n\0", "temporary topics"),
        ("SEND\ndestination:/temp-queue/\n\n\0", "has a name"),
        ("SEND\ndestination:/queue/a\nreply-to:/reply-queue/a\n\n\0", "reply-to"),
        ("SEND\ndestination:/queue/a\nretain:true\n\n\0", "retain is for topics"),
        ("SEND\ndestination:/topic/a\nretain:yes\n\n\0", "retain is true or false"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/temp/0/x\n\n\0", "temporary queue"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nauto-delete:true\n\n\0", "/temp-queue/"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-message-ttl:5\n\n\0", "message-ttl"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-max-length:5\n\n\0", "queue-messages"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-queue-type:quorum\n\n\0", "type of queue"),
        ("SUBSCRIBE\nid:1\ndestination:/topic/a\ndurable:true\nauto-delete:true\n\n\0", "UNSUBSCRIBE"),
        ("SUBSCRIBE\nid:1\ndestination:/topic/a\ndurable:yes\n\n\0", "durable is true or false"),
        ("SUBSCRIBE\nid:1\ndestination:/topic/a\nactivemq.subscriptionName:x\n\n\0", "client-id in CONNECT"),
        ("UNSUBSCRIBE\nid:1\ndurable:true\ndestination:/topic/a\n\n\0", "no durable subscription"),
        ("UNSUBSCRIBE\nid:1\ndurable:true\n\n\0", "without the header destination"),
        ("SUBSCRIBE\nid:1\ndestination:/topic/a.>\n\n\0", "/topic/a/>"),
        ("SEND\ndestination:/queue/a\nAMQ_SCHEDULED_CRON:* * * * *\n\n\0", "calendar"),
        ("SEND\ndestination:/topic/a\nAMQ_SCHEDULED_DELAY:5\n\n\0", "is for queues"),
        ("SEND\ndestination:/queue/a\nx-delay:5\n\n\0", "AMQ_SCHEDULED_DELAY"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-queue-mode:lazy\n\n\0", "x-queue-mode"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-stream-filter:a\n\n\0", "x-stream-filter"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-stream-match-unfiltered:true\n\n\0", "streams"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-max-age:1h\n\n\0", "message-ttl"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\ntransformation:jms-map-json\n\n\0", "not transformed"),
        ("SEND\ndestination:/queue/a\ntransformation:jms-map-xml\n\n\0", "not transformed"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a?consumer.exclusive=true\n\n\0", "options are headers"),
        ("SEND\ndestination:/queue/a\nAMQ_SCHEDULED_TIME:5\n\n\0", "AMQ_SCHEDULED_DELAY"),
        ("SEND\ndestination:/queue/a\n_AMQ_SCHED_DELIVERY:5\n\n\0", "AMQ_SCHEDULED_DELAY"),
        ("SEND\ndestination:/queue/a\n_AMQ_GROUP_ID:g\n\n\0", "JMSXGroupID"),
        ("SEND\ndestination:/queue/a\n_AMQ_LVQ_NAME:v\n\n\0", "retain:true"),
        ("SEND\ndestination:/queue/a\n_AMQ_DUPL_ID:1\n\n\0", "duplicates"),
        ("SEND\ndestination:/topic/a\nActiveMQ.Retain:true\n\n\0", "retain:true"),
        (
            "SEND\ndestination:/queue/a\ndestination-type:MULTICAST\n\n\0",
            "destination-type: a destination /queue/... is",
        ),
        ("SUBSCRIBE\nid:1\ndestination:/topic/a\nsubscription-type:ANYCAST\n\n\0", "subscription-type: a destination"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nconsumer-window-size:1\n\n\0", "activemq.prefetchSize"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nconsumer.prefetchSize:1\n\n\0", "activemq.prefetchSize"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-consumer-timeout:5\n\n\0", "ack-timeout"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-quorum-initial-group-size:3\n\n\0", "type of queue"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-max-in-memory-bytes:3\n\n\0", "in memory"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nx-dead-letter-strategy:at-least-once\n\n\0", "/queue/dead/"),
        ("send\ndestination:/queue/a\n\n\0", "send is no command of a client: write SEND"),
        ("SEND\ndestination:/queue/a\nexpires:soon\n\n\0", "expires is not a number"),
        ("SEND\n\n\0", "destination"),
        ("SUBSCRIBE\ndestination:/queue/a\n\n\0", "id"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:never\n\n\0", "never"),
        ("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\nprefetch-count:0\n\n\0", "prefetch"),
        ("UNSUBSCRIBE\nid:1\n\n\0", "no subscription 1"),
        ("BEGIN\ntransaction:t\n\n\0ACK\nid:1-0-1\ntransaction:t\n\n\0", "no message"),
        ("ACK\n\n\0", "id"),
        ("COMMIT\ntransaction:t\n\n\0", "no transaction t"),
        ("SEND\ndestination:/queue/a\ntransaction:t\n\n\0", "no transaction t"),
        ("MESSAGE\n\n\0", "MESSAGE is no command"),
        ("CONNECT\naccept-version:1.2\n\n\0", "connected already"),
        ("SEND\ndestination\\t:/queue/a\n\n\0", "undefined escape"),
        ("SEND\ncontent-length:99999999\n\n", "(limit: message)"),
    ] {
        let mut client = StompClient::connect(&server, Version::V1_2).await;
        client.send(frame).await;
        let error = client.error().await;
        assert!(error.contains(says), "{frame:?}: {error}");
    }
}

#[tokio::test]
async fn headers_of_other_brokers_that_ask_for_what_there_is_are_taken() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    for (kind, routing) in [("queue", "ANYCAST"), ("topic", "MULTICAST"), ("topic", "")] {
        client
            .send(&format!(
                "SUBSCRIBE\nid:{routing}\ndestination:/{kind}/r\nsubscription-type:{routing}\nreceipt:s\n\n\0\
                 SEND\ndestination:/{kind}/x\ndestination-type:{routing}\nActiveMQ.Retain:false\nreceipt:r\n\n\0"
            ))
            .await;
        let receipts = [client.receive().await, client.receive().await];
        assert_eq!(receipts.map(|frame| frame.header("receipt-id").to_owned()), ["s", "r"], "{kind}: {routing}");
    }
}

#[tokio::test]
async fn a_first_command_in_small_letters_is_told_to_be_in_capitals() {
    let server = Running::start().await;
    for (command, cuts) in [("connect", true), ("stomp", true), ("connect", false)] {
        let mut client = StompClient::silent(server.native).await;
        let frame = format!("{command}\naccept-version:1.2\n\n\0");
        let (first, rest) = frame.split_at(if cuts { 1 } else { 0 });
        client.send(first).await;
        client.send(rest).await;
        assert!(client.error().await.contains("CONNECT or STOMP, in capital letters"), "{command}");
    }
}
