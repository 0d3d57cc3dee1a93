//! STOMP sessions while the server drains.

mod common;

use common::Running;
use common::stomp::StompClient;
use switchboard_server::Shutdown;
use switchboard_wire::stomp::Version;

/// A worker that has the first of two jobs.
async fn worker(server: &Running) -> (StompClient, String) {
    let mut worker = StompClient::connect(server, Version::V1_2).await;
    worker.send("SUBSCRIBE\nid:1\ndestination:/queue/in\nack:client-individual\nactivemq.prefetchSize:1\n\n\0").await;
    worker.send(&"SEND\ndestination:/queue/in\n\njob\0".repeat(2)).await;
    let id = worker.receive().await.header("ack").to_owned();
    (worker, id)
}

#[tokio::test]
async fn a_worker_that_waits_for_receipts_drains_its_queue() {
    let server = Running::start().await;
    let (mut worker, mut id) = worker(&server).await;
    let stopped = server.begin_stop().await;
    for is_last in [false, true] {
        worker.send(&format!("ACK\nid:{id}\nreceipt:{id}\n\n\0")).await;
        let frames = [worker.receive().await, if is_last { break } else { worker.receive().await }];
        let receipt = frames.iter().find(|frame| frame.command == "RECEIPT").expect("a receipt");
        assert_eq!(receipt.header("receipt-id"), id);
        id = frames.iter().find(|frame| frame.command == "MESSAGE").expect("a job").header("ack").to_owned();
    }
    assert_eq!(stopped.await.unwrap(), Shutdown { undelivered: 0, aborted: 0 });
}

#[tokio::test]
async fn a_result_that_is_not_taken_leaves_its_job_unacked_and_the_worker_is_told() {
    for commits in [false, true] {
        let server = Running::start().await;
        let (mut worker, id) = worker(&server).await;
        if commits {
            let ack = format!("ACK\nid:{id}\ntransaction:t\n\n\0");
            worker
                .send(&format!("BEGIN\ntransaction:t\n\n\0{ack}SEND\ndestination:/queue/out\ntransaction:t\n\nx\0"))
                .await;
        }
        assert_eq!(worker.settle().await, []);
        let stopped = server.begin_stop().await;
        if commits {
            worker.send("COMMIT\ntransaction:t\nreceipt:r\n\n\0").await;
        } else {
            worker.send(&format!("SEND\ndestination:/queue/out\nreceipt:r\n\nx\0ACK\nid:{id}\n\n\0")).await;
        }
        let error = worker.receive().await;
        assert_eq!((&error.command[..], error.header("receipt-id")), ("ERROR", "r"));
        assert!(error.header("message").contains("shutting down"), "{error:?}");
        // Both jobs are counted as lost; neither of them was done.
        assert_eq!(stopped.await.unwrap().undelivered, 2, "{commits}");
    }
}
