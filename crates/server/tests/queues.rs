//! Queues over HTTP: listed, looked at, purged, moved, paused.

mod common;

use common::stomp::StompClient;
use common::{PATIENCE, Running};
use serde_json::{Value, json};
use switchboard_broker::{Limits, QueueOverflow};
use switchboard_server::Settings;
use switchboard_wire::stomp::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The status and the JSON of an answer; an error is text.
async fn ask(server: &Running, method: &str, target: &str) -> (u16, Value) {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0");
    let answer = server.http(&request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let body = serde_json::from_str(body).unwrap_or_else(|_| body.trim_end().into());
    (head[9..12].parse().unwrap(), body)
}

async fn publisher(server: &Running, queue: &str, bodies: &[&[u8]]) {
    let mut client = server.client("/null").await;
    for body in bodies {
        client.publish(queue, body).await;
    }
    client.settle().await;
}

/// The row of a queue, with these columns.
async fn row(server: &Running, queue: &str) -> Value {
    let (_, listing) = ask(server, "GET", "/queues").await;
    listing["queues"].as_array().unwrap().iter().find(|row| row["name"] == queue).cloned().unwrap_or_default()
}

/// Waits until the row of a queue says so.
async fn until(server: &Running, queue: &str, says: impl Fn(&Value) -> bool) {
    let asks = async { while !says(&row(server, queue).await) {} };
    if timeout(PATIENCE, asks).await.is_err() {
        panic!("no row that says so: {}", row(server, queue).await);
    }
}

#[tokio::test]
async fn a_listing_says_of_each_queue_what_waits_where() {
    let server = Running::start().await;
    publisher(&server, "/queue/a", &[b"1", b"2", b"3"]).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nprefetch-count:2\n\n\0").await;
    let first = client.receive().await;
    client.send(&format!("NACK\nid:{}\nrequeue:false\n\n\0", first.header("ack"))).await;
    client.settle().await;
    let (_, status) = ask(&server, "GET", "/status").await;
    assert_eq!(status["totals"]["failed"], 1, "a nack is a try without success");
    let row = row(&server, "/queue/a").await;
    let of = |name: &str| row[name].as_u64().unwrap();
    assert_eq!((of("depth"), of("in_flight"), of("consumers")), (0, 2, 1));
    assert_eq!((of("dead"), of("dead_lettered"), of("published")), (1, 1, 3));
    assert!(row["oldest_s"].is_null() && row["paused"] == false);
    publisher(&server, "/queue/b", &[b"waits"]).await;
    until(&server, "/queue/b", |row| row["oldest_s"].is_number() && row["depth"] == 1).await;
}

#[tokio::test]
async fn a_listing_has_pages_and_every_queue_is_on_one() {
    let server = Running::start().await;
    for number in 0..25 {
        publisher(&server, &format!("/queue/{number:02}"), &[b"x"]).await;
    }
    let (mut names, mut next) = (Vec::new(), Some("0".to_owned()));
    while let Some(after) = next {
        let (status, page) = ask(&server, "GET", &format!("/queues?limit=10&after={after}")).await;
        assert_eq!(status, 200);
        let queues = page["queues"].as_array().unwrap();
        assert!(queues.len() <= 10);
        names.extend(queues.iter().map(|row| row["name"].as_str().unwrap().to_owned()));
        // A string, as of `/status` and a look into a queue.
        assert!(page["next"].is_string() || page["next"].is_null(), "{page}");
        next = page["next"].as_str().map(str::to_owned);
    }
    names.sort();
    assert_eq!(names, (0..25).map(|number| format!("/queue/{number:02}")).collect::<Vec<_>>());
    for wrong in ["limit=x", "after=x", "after=-1", "after=4294967296"] {
        assert_eq!(ask(&server, "GET", &format!("/queues?{wrong}")).await.0, 400, "{wrong}");
    }
    assert_eq!(ask(&server, "GET", "/queues?limit=0").await.1["queues"], json!([]));
}

#[tokio::test]
async fn a_look_takes_nothing_and_shows_text_bytes_headers_and_pages() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SEND\ndestination:/queue/a\ncolor:red\npriority:7\n\nh\u{e9}\0").await;
    client.settle().await;
    publisher(&server, "/queue/a", &[b"\xff\0", &[b'x'; 1000]]).await;
    let (status, page) = ask(&server, "GET", "/queues/peek?name=/queue/a&limit=2").await;
    assert_eq!(status, 200);
    let messages = page["messages"].as_array().unwrap();
    assert_eq!((&messages[0]["body"], &messages[0]["priority"]), (&json!("h\u{e9}"), &json!(7)));
    assert_eq!(messages[0]["headers"], json!([["color", "red"], ["priority", "7"]]));
    assert_eq!((&messages[1]["body_base64"], &messages[1]["length"]), (&json!("/wA="), &json!(2)));
    let next = page["next"].as_str().unwrap();
    let (_, rest) = ask(&server, "GET", &format!("/queues/peek?name=/queue/a&bytes=100&after={next}")).await;
    let last = &rest["messages"][0];
    assert_eq!((&last["length"], &last["is_whole"]), (&json!(1000), &json!(false)));
    assert!(last["body"].as_str().unwrap().len() <= 100 && rest["next"].is_null());
    assert_eq!(row(&server, "/queue/a").await["depth"], 3);
    for wrong in ["limit=x", "bytes=x", "after=x", "after=1-2-3"] {
        assert_eq!(ask(&server, "GET", &format!("/queues/peek?name=/queue/a&{wrong}")).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_purge_throws_away_what_waits_whatever_the_bytes_of_the_name() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    client.send(b"/queue/\xff \0&").await;
    client.send(b"gone").await;
    client.settle().await;
    let (_, listing) = ask(&server, "GET", "/queues").await;
    assert_eq!(listing["queues"][0]["name_hex"], const_hex(b"/queue/\xff \0&"));
    let target = "/queues/purge?name=%2Fqueue/%FF+%00%26";
    assert_eq!(ask(&server, "POST", target).await, (200, json!({ "purged": 1 })));
    assert_eq!(ask(&server, "POST", target).await.0, 404);
}

fn const_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn messages_are_moved_to_another_queue_and_dead_letters_back_to_their_origin() {
    let server = Running::start().await;
    publisher(&server, "/queue/a", &[b"1", b"2", b"3"]).await;
    let moved = ask(&server, "POST", "/queues/move?name=/queue/a&to=/queue/b&limit=2").await;
    assert_eq!(moved, (200, json!({ "moved": 2, "stayed": 0, "reason": null })));
    assert_eq!(row(&server, "/queue/b").await["depth"], 2);

    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/b\nack:client-individual\n\n\0").await;
    for _ in 0..2 {
        let frame = client.receive().await;
        client.send(&format!("NACK\nid:{}\nrequeue:false\n\n\0", frame.header("ack"))).await;
    }
    client.send("UNSUBSCRIBE\nid:1\n\n\0").await;
    client.settle().await;
    let (_, dead) = ask(&server, "GET", "/queues/peek?name=/queue/dead/queue/b").await;
    let headers = &dead["messages"][0]["headers"];
    assert!(headers.as_array().unwrap().contains(&json!(["dead-letter-reason", "rejected"])), "{headers}");
    let back = ask(&server, "POST", "/queues/move?name=/queue/dead/queue/b").await;
    assert_eq!(back, (200, json!({ "moved": 2, "stayed": 0, "reason": null })));
    until(&server, "/queue/b", |row| row["depth"] == 2 && row["dead"] == 0).await;
    client.send("SUBSCRIBE\nid:2\ndestination:/queue/b\n\n\0").await;
    assert_eq!((client.receive().await.body, client.receive().await.body), (b"1".to_vec(), b"2".to_vec()));
}

#[tokio::test]
async fn an_answer_to_a_move_says_how_many_were_moved_and_why_the_others_stay() {
    let limits = Limits { queue_messages: 3, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    publisher(&server, "/queue/a", &[b"1", b"2", b"3"]).await;
    publisher(&server, "/queue/b", &[b"x"]).await;
    let reason = "/queue/b: the queue is at its bound of 3 messages (limits: queue-messages, overflow)";
    for (moved, stayed) in [(2, 1), (0, 1)] {
        let answer = ask(&server, "POST", "/queues/move?name=/queue/a&to=/queue/b").await;
        assert_eq!(answer, (200, json!({ "moved": moved, "stayed": stayed, "reason": reason })));
        assert_eq!(row(&server, "/queue/a").await["depth"], stayed);
    }
}

#[tokio::test]
async fn a_move_goes_on_when_nobody_waits_for_its_answer_any_more() {
    const COUNT: usize = 5000;
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    // Each stands alone, and takes a step.
    let all: String = (0..COUNT).map(|number| format!("SEND\ndestination:/queue/a\nn:{number}\n\n\0")).collect();
    client.send(&all).await;
    client.settle().await;
    let mut socket = TcpStream::connect(server.http).await.unwrap();
    let request =
        "POST /queues/move?name=/queue/a&to=/queue/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    // It is begun before its client has gone.
    until(&server, "/queue/b", Value::is_object).await;
    drop(socket);
    until(&server, "/queue/b", |row| row["depth"] == COUNT).await;
    assert_eq!(ask(&server, "POST", "/queues/purge?name=/queue/a").await.0, 404);
}

#[tokio::test]
async fn where_a_publisher_waits_for_memory_the_listing_and_the_status_name_the_part_that_is_for_messages() {
    let memory = 10 * Limits::CONNECTION + 300_000;
    let limits = Limits { memory, connections: 10, message: 1000, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send(&format!("SEND\ndestination:/queue/a\n\n{}\0", "x".repeat(900)).repeat(300)).await;
    until(&server, "/queue/a", |row| row["paused_publishers"] == 1).await;
    let says = format!("memory is short: 300000 bytes of the budget of {memory} are for messages");
    let reason = row(&server, "/queue/a").await["pause_reason"].clone();
    assert!(reason.as_str().is_some_and(|reason| reason.starts_with(&says)), "{reason}");
    let (_, status) = ask(&server, "GET", "/status").await;
    let totals = &status["totals"];
    assert_eq!((&totals["memory_budget"], &totals["memory_for_messages"]), (&json!(memory), &json!(300_000)));
    assert_eq!(status["connections"][0]["paused"], reason);
    // One that is gone is no publisher that waits, and its messages do. An end in order might be half of one.
    socket2::SockRef::from(&client.socket).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(client);
    until(&server, "/queue/a", |row| row["paused_publishers"] == 0).await;
}

#[tokio::test]
async fn a_paused_queue_hands_nothing_out_until_it_is_resumed() {
    let server = Running::start().await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0").await;
    client.settle().await;
    assert_eq!(ask(&server, "POST", "/queues/pause?name=/queue/a").await, (200, json!({ "paused": true })));
    publisher(&server, "/queue/a", &[b"waits"]).await;
    assert_eq!(client.settle().await, []);
    assert_eq!(row(&server, "/queue/a").await["paused"], true);
    assert_eq!(ask(&server, "POST", "/queues/resume?name=/queue/a").await, (200, json!({ "paused": false })));
    assert_eq!(client.receive().await.body, b"waits");
}

#[tokio::test]
async fn messages_that_a_queue_destroys_are_counted_in_the_metrics_and_the_status() {
    let limits = Limits { queue_messages: 1, overflow: QueueOverflow::DropOld, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    // Each takes the room of the one before, which becomes a dead letter and does so, too.
    publisher(&server, "/queue/a", &[b"1", b"2", b"3", b"4"]).await;
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SEND\ndestination:/queue/b\nexpires:1\n\nlate\0SUBSCRIBE\nid:1\ndestination:/queue/b\n\n\0").await;
    client.settle().await;
    let counted = async {
        loop {
            let (_, status) = ask(&server, "GET", "/status").await;
            let of = |name: &str| status["totals"][name].as_u64().unwrap_or_else(|| panic!("{name}: {status}"));
            let totals = ["dead_lettered", "dropped_dead", "expired"].map(of);
            if totals[1] >= 2 && totals[2] >= 1 {
                assert_eq!(["dropped_overflow", "rejected", "moved"].map(of), [0; 3]);
                return totals;
            }
        }
    };
    let [dead_lettered, dropped_dead, expired] = timeout(PATIENCE, counted).await.expect("counts");
    let (_, metrics) = ask(&server, "GET", "/metrics").await;
    let metrics = metrics.as_str().unwrap();
    for (name, value) in
        [("dead_lettered", dead_lettered), ("dropped_dead_letters", dropped_dead), ("expired", expired)]
    {
        let line = format!("\nswitchboard_messages_{name}_total {value}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    assert!(metrics.contains("\nswitchboard_messages_failed_total 0\n"), "{metrics}");
    assert!(metrics.contains("_dropped_overflow_total ") && metrics.contains("_moved_total "), "{metrics}");
}

#[tokio::test]
async fn what_a_topic_holds_is_not_purged_as_a_queue_is() {
    let limits = Limits { buffer_unsubscribed: 10, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    publisher(&server, "/topic/a", &[b"kept"]).await;
    let (status, text) = ask(&server, "POST", "/queues/purge?name=/topic/a").await;
    assert!(status == 404 && text.as_str().unwrap().contains("/topic/a is a topic"), "{text}");
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0").await;
    assert_eq!(client.receive().await.body, b"kept");
}

#[tokio::test]
async fn an_error_names_the_queue_and_the_remedy() {
    let limits = Limits { channels: 1, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    // It subscribes to nothing, which would be a second channel.
    let mut client = StompClient::connect(&server, Version::V1_2).await;
    client.send("SEND\ndestination:/queue/a\nreceipt:r\n\nx\0").await;
    assert_eq!(client.receive().await.command, "RECEIPT");
    for (method, target, status, says) in [
        ("POST", "/queues/purge", 400, "which queue? POST /queues/purge?name=NAME"),
        ("POST", "/queues/pause?name=", 400, "which queue? POST /queues/pause?name=NAME"),
        ("GET", "/queues/peek", 400, "which queue? GET /queues/peek?name=NAME"),
        ("GET", "/queues/peek?name=/queue/none", 404, "there is no queue /queue/none"),
        ("POST", "/queues/resume?name=/queue/n%0Aone", 404, "there is no queue /queue/n\\none"),
        ("POST", "/queues/purge?name=/topic/a", 404, "/topic/a is a topic"),
        ("POST", "/queues/move?name=/queue/a", 400, "name another queue to move to"),
        ("POST", "/queues/move?name=/queue/a&to=/topic/b", 400, "/topic/b: messages can be moved to a queue only"),
        ("POST", "/queues/move?name=/queue/a&to=/queue/a", 400, "/queue/a: messages cannot be moved to their own"),
        ("POST", "/queues/move?name=/queue/none&to=/queue/a", 404, "there is no queue /queue/none"),
        (
            "POST",
            "/queues/move?name=/queue/a&to=/queue/subscription/me/x",
            404,
            "/queue/subscription/me/x: there is no",
        ),
        ("POST", "/queues/move?name=/queue/a&to=/queue/temp/99/x", 404, "/queue/temp/99/x: "),
        ("POST", "/queues/move?name=/queue/a&to=/queue/b&limit=x", 400, "limit=x is not allowed"),
        ("POST", "/queues/move?name=/queue/a&to=/queue/b", 503, "/queue/b: there are 1 channels already"),
        ("GET", "/queues/purge?name=/queue/a", 405, "takes POST only"),
        ("POST", "/queues", 405, "takes GET"),
        ("POST", "/purge?queue=/queue/a", 404, "the broker has no /purge"),
    ] {
        let (found, text) = ask(&server, method, target).await;
        assert!(found == status && text.as_str().unwrap().contains(says), "{method} {target}: {found} {text}");
    }
    assert_eq!(row(&server, "/queue/a").await["depth"], 1);
    let from_elsewhere = server
        .http("POST /queues/purge?name=/queue/a HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nContent-Length: 0")
        .await;
    assert!(from_elsewhere.starts_with("HTTP/1.1 403 "), "{from_elsewhere}");
}
