//! STOMP over WebSocket, at the HTTP address.

mod common;

use common::stomp::StompClient;
use common::web_socket::{BINARY, CLOSE, PING, PONG, TEXT, WebSocket, frame, request};
use common::{PATIENCE, Running};
use std::time::Duration;
use switchboard_broker::Limits;
use switchboard_server::{Settings, Token, WebOptions};
use switchboard_wire::stomp::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

async fn status_of(server: &Running, target: &str, headers: &str) -> u16 {
    let (_, head) = WebSocket::ask(server, &request(target, headers), b"").await;
    head[9..12].parse().unwrap()
}

#[tokio::test]
async fn the_subprotocol_is_echoed_once_and_messages_are_of_the_kind_that_the_client_sends() {
    let server = Running::start().await;
    let asked = request("/stomp", "Host: localhost\r\nSec-WebSocket-Protocol: v11.stomp, v12.stomp\r\n");
    let (_, head) = WebSocket::ask(&server, &asked, b"").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let head = head.to_ascii_lowercase();
    assert_eq!(head.matches("sec-websocket-protocol:").count(), 1);
    assert!(head.contains("sec-websocket-protocol: v12.stomp\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    for kind in [TEXT, BINARY] {
        let mut client = WebSocket::connect(&server, kind).await;
        client.send("SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0").await;
        client.settle().await;
        client.send("SEND\ndestination:/topic/a\n\nhello\0").await;
        assert!(client.receive().await.ends_with("\n\nhello\0"));
    }
}

#[tokio::test]
async fn the_subprotocol_bounds_the_version_that_is_agreed_on() {
    let server = Running::start().await;
    for (subprotocols, accepts, version) in [
        ("v11.stomp", "1.0,1.1,1.2", Ok("1.1")),
        ("v10.stomp, v11.stomp", "1.2,1.1", Ok("1.1")),
        ("v10.stomp", "1.0,1.2", Ok("1.0")),
        // A client may offer more than it speaks.
        ("v12.stomp, v11.stomp, v10.stomp", "1.1", Ok("1.1")),
        ("v11.stomp", "1.2", Err(("1.0,1.1", "the versions 1.2 may be spoken under the subprotocol v11.stomp"))),
        ("v10.stomp", "1.1,1.2", Err(("1.0", "under the subprotocol v10.stomp"))),
        ("v12.stomp", "1.3", Err(("1.0,1.1,1.2", "none of the versions 1.3 is spoken here"))),
    ] {
        let asked = request("/stomp", &format!("Host: localhost\r\nSec-WebSocket-Protocol: {subprotocols}\r\n"));
        let (mut client, _) = WebSocket::ask(&server, &asked, b"").await;
        client.send(&format!("CONNECT\naccept-version:{accepts}\nhost:x\n\n\0")).await;
        let answer = client.receive().await;
        let (command, versions, says) = match version {
            Ok(version) => ("CONNECTED\n", version, ""),
            Err((versions, says)) => ("ERROR\n", versions, says),
        };
        assert!(answer.starts_with(command) && answer.contains(says), "{subprotocols} {accepts}: {answer}");
        assert!(answer.contains(&format!("\nversion:{versions}\n")), "{subprotocols} {accepts}: {answer}");
    }
}

#[tokio::test]
async fn it_shares_channels_with_the_other_protocols_and_what_is_not_utf_8_comes_as_binary() {
    let server = Running::start().await;
    let mut socket = WebSocket::connect(&server, TEXT).await;
    socket.send("SUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0").await;
    socket.settle().await;
    let mut native = server.client("/topic/a").await;
    native.publish("/topic/a", b"\xff\xfe").await;
    native.settle_after(1).await;
    let (kind, payload) = socket.next().await.unwrap();
    assert!(kind == BINARY && payload.ends_with(b"\n\n\xff\xfe\0"));
    let mut tcp = StompClient::connect(&server, Version::V1_2).await;
    tcp.send("SUBSCRIBE\nid:1\ndestination:/queue/q\n\n\0").await;
    socket.send("SEND\ndestination:/queue/q\n\nwork\0").await;
    assert_eq!(tcp.receive().await.body, b"work");
}

#[tokio::test]
async fn frames_may_be_split_and_joined_across_messages_with_pings_between_them() {
    let server = Running::start().await;
    let session = "CONNECT\naccept-version:1.2\nhost:x\n\n\0\nSUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0\
                   SEND\ndestination:/queue/a\n\none\0SEND\ndestination:/queue/a\ncontent-length:3\n\nt\0o\0";
    for step in [1, 2, 7, 50, 1000] {
        let mut client = WebSocket::open(&server).await;
        for (index, part) in session.as_bytes().chunks(step).enumerate() {
            // Some are messages, others parts of one.
            let is_last = (index + 1) * step >= session.len();
            let first = if is_last && index % 3 == 1 { 0x81 } else { [0x81, 0x01, 0x80][index % 3] };
            client.send_frame(first, part).await;
            if index % 3 == 1 {
                client.send_frame(PING, format!("ping {index}").as_bytes()).await;
            }
        }
        let (mut messages, mut pongs) = (Vec::new(), 0);
        while messages.len() < 3 {
            match client.next().await.unwrap() {
                (PONG, payload) => {
                    assert!(payload.starts_with(b"ping "));
                    pongs += 1;
                }
                (kind, payload) => {
                    assert!(kind == TEXT || payload.contains(&0), "{kind}");
                    messages.push(payload);
                }
            }
        }
        assert!(messages[0].starts_with(b"CONNECTED\n"));
        assert!(messages[1].ends_with(b"\n\none\0") && messages[2].ends_with(b"\n\nt\0o\0"));
        assert!(step == 1000 || pongs > 0);
        // Acks, so that nothing stays for the next round.
        let ack = String::from_utf8_lossy(&messages[2])
            .split("\nack:")
            .nth(1)
            .unwrap()
            .split('\n')
            .next()
            .unwrap()
            .to_owned();
        client.send(&format!("ACK\nid:{ack}\n\n\0")).await;
        client.settle().await;
    }
}

#[tokio::test]
async fn what_a_client_sends_right_behind_its_request_counts() {
    let server = Running::start().await;
    let behind = [
        frame(TEXT, b"CONNECT\naccept-version:1.2\n\n\0"),
        frame(TEXT, b"SEND\ndestination:/topic/a\nreceipt:r\n\n\0"),
    ];
    let (mut client, head) = WebSocket::ask(&server, &request("/stomp", "Host: localhost\r\n"), &behind.concat()).await;
    assert!(head.starts_with("HTTP/1.1 101 ") && !head.to_ascii_lowercase().contains("protocol:"), "{head}");
    assert!(client.receive().await.starts_with("CONNECTED\n"));
    assert!(client.receive().await.starts_with("RECEIPT\nreceipt-id:r\n"));
}

#[tokio::test]
async fn a_close_is_answered_and_counts_as_a_disconnect() {
    let server = Running::start().await;
    let mut client = WebSocket::connect(&server, TEXT).await;
    client.send("SEND\ndestination:/queue/q\nreceipt:r\n\nkept\0").await;
    client.send_frame(CLOSE, &1000_u16.to_be_bytes()).await;
    client.send_frame(TEXT, b"SEND\ndestination:/queue/q\n\nbehind the close\0").await;
    assert!(client.receive().await.starts_with("RECEIPT\n"));
    assert_eq!(client.next().await, Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
    assert_eq!(client.next().await, None);
    let mut other = StompClient::connect(&server, Version::V1_2).await;
    other.send("SUBSCRIBE\nid:1\ndestination:/queue/q\n\n\0").await;
    assert_eq!(other.receive().await.body, b"kept");
    assert_eq!(other.settle().await, []);
}

#[tokio::test]
async fn a_close_ends_a_session_behind_all_that_was_sent_before_it() {
    let server = Running::start().await;
    let mut client = WebSocket::connect(&server, TEXT).await;
    // More than is carried out at a time, in one read.
    let mut all = Vec::new();
    for number in 0..2000 {
        all.extend(frame(TEXT, format!("SEND\ndestination:/queue/{}\nreceipt:{number}\n\nx\0", number % 7).as_bytes()));
    }
    all.extend(frame(CLOSE, b""));
    client.socket.write_all(&all).await.unwrap();
    for number in 0..2000 {
        assert!(client.receive().await.starts_with(&format!("RECEIPT\nreceipt-id:{number}\n")), "{number}");
    }
    assert_eq!(client.next().await, Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
}

#[tokio::test]
async fn a_close_behind_messages_that_wait_for_room_loses_none_of_them() {
    let limits = Limits { queue_messages: 2, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut client = WebSocket::connect(&server, TEXT).await;
    // More than is carried out at a time, in one read.
    let send = |number| format!("SEND\ndestination:/queue/{}\n\n{number}\0", number % 2);
    let mut all: Vec<u8> = (0..400).flat_map(|number| frame(TEXT, send(number).as_bytes())).collect();
    all.extend(frame(CLOSE, b""));
    client.socket.write_all(&all).await.unwrap();
    let mut consumer = StompClient::connect(&server, Version::V1_2).await;
    consumer.send("SUBSCRIBE\nid:0\ndestination:/queue/0\n\n\0SUBSCRIBE\nid:1\ndestination:/queue/1\n\n\0").await;
    let mut bodies = Vec::new();
    for _ in 0..400 {
        bodies.push(String::from_utf8(consumer.receive().await.body).unwrap().parse::<u32>().unwrap());
    }
    bodies.sort_unstable();
    assert!(bodies.into_iter().eq(0..400));
    assert_eq!(client.next().await, Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
}

#[tokio::test]
async fn a_disconnect_and_a_shutdown_end_with_a_close() {
    let server = Running::start().await;
    let mut client = WebSocket::connect(&server, TEXT).await;
    client.send("DISCONNECT\nreceipt:bye\n\n\0").await;
    assert!(client.receive().await.starts_with("RECEIPT\nreceipt-id:bye\n"));
    assert_eq!(client.next().await, Some((CLOSE, 1000_u16.to_be_bytes().to_vec())));
    let mut waits = WebSocket::connect(&server, TEXT).await;
    let (_, end) = tokio::join!(server.stop(), waits.next());
    assert_eq!(end, Some((CLOSE, 1001_u16.to_be_bytes().to_vec())));
}

#[tokio::test]
async fn what_breaks_the_rules_of_either_protocol_is_told_before_a_close() {
    let server = Running::start().await;
    for (wrong, says, status) in [
        (frame(TEXT, b"SEND\ndestination:/queue/\xff"), "WebSocket: a message of text that is no UTF-8", 1007),
        (frame(TEXT, b"SEND\ndestination:/queue/a\n\n\xc3\0"), "no UTF-8", 1007),
        (frame(CLOSE, b"\x03\xe8\xff"), "a close with a reason that is no UTF-8", 1007),
        (b"\x81\x02Hi".to_vec(), "WebSocket: a frame that is not masked", 1002),
        (frame(0x83, b""), "unknown opcode 3", 1002),
        (frame(0x89, &[b'x'; 126]), "125 bytes", 1002),
        (frame(CLOSE, &999_u16.to_be_bytes()), "a close with the status 999, which no peer may send", 1002),
        (frame(CLOSE, &1006_u16.to_be_bytes()), "the status 1006", 1002),
        (frame(TEXT, b"NONSENSE\n\n\0"), "NONSENSE", 1002),
        (frame(BINARY, b"SEND\ncontent-length:99999999\n\n"), "(limit: message)", 1002),
    ] {
        let mut client = WebSocket::connect(&server, TEXT).await;
        client.send("SEND\ndestination:/topic/a\nreceipt:before\n\n\0").await;
        client.socket.write_all(&wrong).await.unwrap();
        assert!(client.receive().await.starts_with("RECEIPT\n"), "{says}");
        let error = client.receive().await;
        assert!(error.starts_with("ERROR\n") && error.contains(says), "{error}");
        assert_eq!(client.next().await, Some((CLOSE, u16::to_be_bytes(status).to_vec())), "{says}");
        assert_eq!(client.next().await, None);
    }
}

#[tokio::test]
async fn the_rules_of_http_for_host_site_and_token_hold() {
    let socket_origins = vec!["https://app.example".to_owned()];
    let server = Running::start_with(Settings {
        web: WebOptions { socket_origins, ..WebOptions::default() },
        ..Settings::default()
    })
    .await;
    let at = |headers: &'static str| status_of(&server, "/stomp", headers);
    assert_eq!(at("Host: rebound.example\r\n").await, 421);
    assert_eq!(at("Host: localhost\r\nOrigin: https://evil.example\r\n").await, 403);
    assert_eq!(at("Host: localhost\r\nOrigin: null\r\n").await, 403);
    assert_eq!(at("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n").await, 403);
    assert_eq!(at("Host: localhost\r\nOrigin: http://localhost\r\n").await, 101);
    assert_eq!(at("Host: localhost\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n").await, 101);
    assert_eq!(at("Host: localhost\r\n").await, 101);
    // It is no leave for anything else.
    let post =
        "POST /kick?connection=1 HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example\r\nContent-Length: 0";
    assert!(server.http(post).await.starts_with("HTTP/1.1 403 "));
    assert_eq!(at("Host: localhost\r\nSec-WebSocket-Protocol: mqtt\r\n").await, 400);
    let old = request("/stomp", "Host: localhost\r\n").replace("HTTP/1.1", "HTTP/1.0");
    let (_, head) = WebSocket::ask(&server, &old, b"").await;
    assert!(head.starts_with("HTTP/1.0 400 "), "{head}");
    let plain = server.http("GET /stomp HTTP/1.1\r\nHost: localhost").await;
    assert!(plain.starts_with("HTTP/1.1 426 ") && plain.contains("STOMP over WebSocket"), "{plain}");

    let token = Some(Token::new("0123456789abcdef").unwrap());
    let server =
        Running::start_with(Settings { web: WebOptions { token, ..WebOptions::default() }, ..Settings::default() })
            .await;
    assert_eq!(status_of(&server, "/stomp", "Host: localhost\r\n").await, 401);
    assert_eq!(status_of(&server, "/stomp?token=wrong", "Host: localhost\r\n").await, 401);
    assert_eq!(status_of(&server, "/stomp?token=0123456789abcdef", "Host: localhost\r\n").await, 101);
    assert_eq!(
        status_of(&server, "/stomp", "Host: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n").await,
        101
    );
}

#[tokio::test]
async fn it_is_a_connection_of_the_broker_and_none_of_http() {
    let mut web = WebOptions::default();
    web.limits.connections = 2;
    let server = Running::start_with(Settings { web, ..Settings::default() }).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(WebSocket::connect(&server, TEXT).await);
    }
    let status = server.http("GET /status HTTP/1.1\r\nHost: localhost").await;
    assert!(status.contains("\"connections\":5"), "{status}");
    let number = status.split("\"id\":").nth(1).and_then(|rest| rest.split([',', '}']).next()).unwrap().to_owned();
    server.http(&format!("POST /kick?connection={number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0")).await;
    let mut kicked = 0;
    for mut client in open {
        client.send("SEND\ndestination:/topic/a\nreceipt:r\n\n\0").await;
        match client.receive().await {
            error if error.starts_with("ERROR\n") => kicked += usize::from(error.contains("asked for over HTTP")),
            receipt => assert!(receipt.starts_with("RECEIPT\n"), "{receipt}"),
        }
    }
    assert_eq!(kicked, 1);
}

#[tokio::test]
async fn one_that_says_nothing_is_told_which_limit_was_exceeded() {
    let server = Running::start_with(Settings { handshake: Duration::from_millis(100), ..Settings::default() }).await;
    let mut client = WebSocket::open(&server).await;
    // A ping is no session, and no part of a frame either.
    client.send_frame(PING, b"").await;
    loop {
        match client.next().await.expect("an ERROR") {
            (PONG, _) => {}
            (_, error) => break assert!(String::from_utf8_lossy(&error).contains("(limit: handshake)")),
        }
    }
}

#[tokio::test]
async fn one_that_pings_for_ever_and_reads_nothing_costs_no_memory_and_nobody_else() {
    let server = Running::start().await;
    let mut client = WebSocket::connect(&server, TEXT).await;
    let pings = frame(PING, &[b'x'; 125]).repeat(1000);
    let mut other = WebSocket::connect(&server, TEXT).await;
    let floods = async {
        for _ in 0..200 {
            client.socket.write_all(&pings).await.unwrap();
        }
        client.settle_behind_pongs().await;
    };
    let (_, ()) = tokio::join!(floods, async {
        for _ in 0..20 {
            other.settle().await;
        }
    });
}

#[tokio::test]
async fn a_consumer_that_does_not_read_loses_what_was_not_written_to_others() {
    let limits = Limits { write_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let subscribe = "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client-individual\nprefetch-count:1000\n\n\0";
    let mut stalled = WebSocket::connect(&server, BINARY).await;
    stalled.send(subscribe).await;
    stalled.settle().await;
    let mut publisher = server.client("/null").await;
    for number in 0..300_u32 {
        publisher.publish("/queue/a", &[&number.to_be_bytes()[..], &[b'x'; 60_000]].concat()).await;
    }
    publisher.settle().await;
    let mut other = StompClient::connect(&server, Version::V1_2).await;
    other.send(subscribe).await;
    let number_of = |body: &[u8]| u32::from_be_bytes(body[..4].try_into().unwrap());
    let first = number_of(&other.receive().await.body);
    let (mut got, mut least) = (vec![first], first);
    // Until something has come back, or all of it had.
    while least >= first && got.len() < 300 - first as usize {
        let number = number_of(&other.receive().await.body);
        got.push(number);
        least = least.min(number);
    }
    // Begun messages stay the stalled consumer's, whole and in order; each goes to one alone.
    let mut before = None;
    while got.len() < 300 {
        tokio::select! {
            frame = other.receive() => got.push(number_of(&frame.body)),
            frame = stalled.next() => {
                let (kind, payload) = frame.unwrap();
                let body = payload.windows(2).position(|pair| pair == b"\n\n").unwrap() + 2;
                let number = number_of(&payload[body..]);
                assert!(kind == BINARY && before.is_none_or(|before| before < number));
                before = Some(number);
                got.push(number);
            }
        }
    }
    assert!(before.is_some());
    got.sort_unstable();
    assert_eq!(got, (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_that_leaves_without_a_close_gives_back_what_it_had_not_acked() {
    let server = Running::start().await;
    let mut gone = WebSocket::connect(&server, TEXT).await;
    gone.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0SEND\ndestination:/queue/a\n\nx\0").await;
    assert!(gone.receive().await.ends_with("\n\nx\0"));
    drop(gone);
    let mut next = StompClient::connect(&server, Version::V1_2).await;
    next.send("SUBSCRIBE\nid:1\ndestination:/queue/a\nack:client\n\n\0").await;
    let frame = next.receive().await;
    assert_eq!((&frame.body[..], frame.header("redelivered")), (&b"x"[..], "true"));
}

#[tokio::test]
async fn heartbeats_are_messages_of_their_own() {
    let server = Running::start().await;
    let mut client = WebSocket::open(&server).await;
    client.send("CONNECT\naccept-version:1.2\nheart-beat:0,200\n\n\0").await;
    assert!(client.receive().await.contains("\nheart-beat:200,0\n"));
    assert_eq!((client.receive().await, client.receive().await), ("\n".to_owned(), "\n".to_owned()));
    drop(timeout(PATIENCE, client.socket.shutdown()).await);
    let mut rest = Vec::new();
    timeout(PATIENCE, client.socket.read_to_end(&mut rest)).await.expect("an end").unwrap();
}
