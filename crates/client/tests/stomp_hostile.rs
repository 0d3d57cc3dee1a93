//! STOMP beside servers that are silent, slow, wrong, or gone.

mod common;

use common::{Peer, fake, in_time, next, stomp_client, stomp_url, until};
use std::sync::mpsc;
use switchboard_client::{Client, Error, Event, Link, Reason, Subscribe};

#[test]
fn a_server_that_does_not_answer_connect_as_it_should_is_an_error_with_a_name() {
    type Serve = fn(&mut Peer);
    let cases: [(&str, Serve, &str); 8] = [
        ("connect_timeout=100ms", |peer| peer.swallow(), "option connect_timeout"),
        (
            "",
            |peer| {
                peer.frame();
                peer.hang_up();
            },
            "closed the connection",
        ),
        ("", |peer| peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "speaks HTTP, not STOMP"),
        ("", |peer| peer.write(b"ERROR\nmessage:Bad CONNECT\n\nno such user\0"), "Bad CONNECT: no such user"),
        ("", |peer| peer.write(b"ERROR\n\n\0"), "an error without a message"),
        ("", |peer| peer.write(b"MESSAGE\n\n\0"), "an unexpected frame MESSAGE"),
        ("", |peer| peer.write(b"CONNECTED\nversion:2.0\n\n\0"), "version 2.0"),
        ("", |peer| peer.write(b"CONNECTED\nno colon\n\n\0"), "without a colon"),
    ];
    for (options, serve, says) in cases {
        let address = fake(move |_, mut peer| {
            serve(&mut peer);
            peer.swallow();
        });
        let url = stomp_url(address, options);
        let error = in_time(says, move || Client::connect(&url).wait()).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn an_ack_that_the_server_does_not_take_is_told_and_the_subscription_lives() {
    let address = fake(|connection, mut peer| {
        peer.connected("version:1.2\n");
        if connection == 0 {
            return peer.swallow();
        }
        let message =
            |id| format!("MESSAGE\nsubscription:0\nmessage-id:{id}\nack:{id}\ndestination:/queue/a\n\n{id}\0");
        let subscribe = peer.expect("SUBSCRIBE");
        peer.receipt(&subscribe);
        peer.write(message(1).as_bytes());
        peer.expect("ACK");
        peer.write(b"ERROR\nfatal:false\nmessage:no such message\n\n\0");
        let barrier = peer.expect("BEGIN");
        peer.receipt(&barrier);
        peer.write(message(2).as_bytes());
        peer.swallow();
    });
    let client = stomp_client(address, "");
    let events = client.events();
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap();
    next(&mut jobs).ack().unwrap();
    let flush = jobs.flush();
    let flushed = in_time("a flush", move || flush.wait());
    assert!(matches!(flushed, Err(Error::Unsettled { messages: 1 })), "{flushed:?}");
    assert_eq!(&next(&mut jobs)[..], b"2");
    let (_, event) = until(events, "the error", |event| matches!(event, Event::ServerError { .. }));
    let link = Link::Subscription("/queue/a".into());
    assert_eq!(event, Event::ServerError { link, message: "no such message".into() });
}

#[test]
fn a_login_is_sent_as_it_was_given() {
    let (tell, told) = mpsc::channel();
    let address = fake(move |_, mut peer| {
        let frame = peer.expect("CONNECT");
        tell.send(frame).unwrap();
        peer.write(b"CONNECTED\nversion:1.1\n\n\0");
        peer.swallow();
    });
    let client = Client::connect(&format!("stomp://me%40work:se%3Acret@{address}?vhost=%2Fv")).wait().unwrap();
    let connect = told.recv().unwrap();
    for (name, value) in
        [("login", "me@work"), ("passcode", "se:cret"), ("host", "/v"), ("accept-version", "1.0,1.1,1.2")]
    {
        assert_eq!(connect.header(name), Some(value));
    }
    // Later connections are of the version that the first has agreed on.
    drop(client.subscribe("/topic/a"));
    let subscribing = client.subscribe("/topic/b");
    assert_eq!(told.recv().unwrap().header("accept-version"), Some("1.1"));
    drop(subscribing);
}

#[test]
fn promised_signs_of_life_are_sent_and_a_server_that_breaks_its_promise_is_left() {
    let (tell, told) = mpsc::channel();
    let address = fake(move |_, mut peer| {
        peer.connected("version:1.2\nheart-beat:50,50\n");
        peer.beat(3);
        tell.send(()).unwrap();
        // Silent from now on, and so is every later one.
        peer.swallow();
    });
    let client = stomp_client(address, "heartbeat=50ms&backoff_min=1ms&backoff_max=2ms");
    let events = client.events();
    in_time("signs of life", move || told.recv().unwrap());
    let (_, event) = until(events, "the end", |event| matches!(event, Event::Disconnected { .. }));
    assert!(event.to_string().contains("no sign of life"), "{event}");
}

#[test]
fn a_subscription_finds_a_server_that_breaks_its_promise() {
    let address = fake(move |_, mut peer| {
        peer.connected("version:1.2\nheart-beat:50,50\n");
        if let Some(frame) = peer.frame()
            && frame.command == "SUBSCRIBE"
        {
            peer.receipt(&frame);
        }
        peer.swallow();
    });
    let client = stomp_client(address, "heartbeat=50ms&backoff_min=1ms&backoff_max=2ms");
    let _news = client.subscribe("/topic/a").wait().unwrap();
    let (_, event) = until(client.events(), "the end", |event| {
        matches!(event, Event::Disconnected { link: Link::Subscription(_), .. })
    });
    assert!(event.to_string().contains("no answer"), "{event}");
}

#[test]
fn what_a_server_has_not_confirmed_is_in_doubt_and_what_it_refuses_is_named() {
    let address = fake(move |number, mut peer| {
        peer.connected("version:1.2\n");
        while let Some(frame) = peer.frame() {
            match (frame.command.as_str(), number) {
                ("SEND", 0) => return,
                ("SEND", 1) => {
                    peer.write(b"ERROR\nmessage:disk full\n\n\0");
                    return;
                }
                _ if frame.header("receipt").is_some() => peer.receipt(&frame),
                _ => {}
            }
        }
    });
    let client = stomp_client(address, "backoff_min=1ms&backoff_max=2ms");
    for says in ["1 message ", "disk full", ""] {
        client.publish("/any/name at all", "x").wait().unwrap();
        let flushing = client.flush();
        match in_time("a flush", move || flushing.wait()) {
            Ok(()) => assert_eq!(says, ""),
            Err(error) => assert!(!says.is_empty() && error.to_string().contains(says), "{error}"),
        }
    }
    client.close().wait().unwrap();
}

#[test]
fn wrong_frames_end_the_connection_and_not_the_client() {
    let wrong: [(&[u8], &str); 5] = [
        (b"WHAT\n\n\0", "an unexpected frame WHAT"),
        (b"MESSAGE\nno colon\n\n\0", "without a colon"),
        (b"MESSAGE\ncontent-length:99999999999999999999\n\n", "limit"),
        (b"MESSAGE\ncontent-length:2\n\nlonger\0", "no NUL"),
        (b"ERROR\nmessage:you are kicked\n\n\0", "you are kicked"),
    ];
    for (bytes, says) in wrong {
        let (tell, told) = mpsc::channel::<()>();
        let told = std::sync::Arc::new(std::sync::Mutex::new(told));
        let address = fake(move |number, mut peer| {
            peer.connected("version:1.2\n");
            let Some(frame) = peer.frame().filter(|frame| frame.command == "SUBSCRIBE") else { return };
            peer.receipt(&frame);
            if number == 1 {
                let _ = told.lock().unwrap().recv();
                peer.write(bytes);
            } else {
                peer.write(b"MESSAGE\nmessage-id:1\nsubscription:0\nack:1\n\nback\0");
            }
            peer.swallow();
        });
        let client = stomp_client(address, "backoff_min=1ms&backoff_max=2ms");
        let mut news = client.subscribe("/topic/a").wait().unwrap();
        let events = client.events();
        tell.send(()).unwrap();
        let (_, event) = until(events, says, |event| matches!(event, Event::Disconnected { .. }));
        assert!(event.to_string().contains(says), "{event}");
        if says.contains("kicked") {
            assert!(matches!(event, Event::Disconnected { reason: Reason::Error(_), .. }));
        }
        assert_eq!(&in_time("the next one", move || news.wait()).unwrap()[..], b"back");
    }
}

#[test]
fn a_server_that_never_confirms_keeps_no_flush_and_no_subscription_for_ever() {
    let address = fake(move |_, mut peer| {
        peer.connected("version:1.2\nheart-beat:0,0\n");
        if let Some(frame) = peer.frame()
            && frame.command == "SUBSCRIBE"
        {
            peer.receipt(&frame);
            peer.write(b"MESSAGE\nmessage-id:1\nsubscription:0\nack:1\n\nx\0");
        }
        peer.swallow();
    });
    let client = stomp_client(address, "timeout=200ms&connect_timeout=200ms");
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap();
    client.publish("/queue/a", "x").wait().unwrap();
    let flushing = client.flush();
    let error = in_time("a flush", move || flushing.wait()).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    let message = jobs.wait().unwrap();
    message.ack().unwrap();
    let flushing = jobs.flush();
    let error = in_time("a flush of acks", move || flushing.wait()).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    jobs.drain();
    assert_eq!(in_time("the end", move || jobs.wait()), None);
}

#[test]
fn acks_that_were_not_confirmed_when_the_connection_broke_are_reported() {
    let address = fake(move |_, mut peer| {
        peer.connected("version:1.2\n");
        let Some(frame) = peer.frame().filter(|frame| frame.command == "SUBSCRIBE") else { return };
        peer.receipt(&frame);
        peer.write(b"MESSAGE\nmessage-id:1\nsubscription:0\nack:seven\n\nx\0");
        // A client that acks finds that nobody confirms it.
        if let Some(frame) = peer.frame() {
            assert_eq!((frame.command.as_str(), frame.header("id")), ("ACK", Some("seven")));
        }
    });
    let client = stomp_client(address, "backoff_min=60s&backoff_max=60s");
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap();
    let events = client.events();
    jobs.wait().unwrap().ack().unwrap();
    until(events, "the end", |event| matches!(event, Event::Disconnected { link: Link::Subscription(_), .. }));
    let error = jobs.flush().wait().unwrap_err();
    assert!(matches!(error, Error::Unsettled { messages: 1 }), "{error}");
    jobs.flush().wait().unwrap();
}

#[test]
fn a_receipt_of_a_keepalive_confirms_the_acks_before_it() {
    let address = fake(move |_, mut peer| {
        peer.connected("version:1.2\nheart-beat:0,0\n");
        let Some(frame) = peer.frame().filter(|frame| frame.command == "SUBSCRIBE") else { return peer.swallow() };
        peer.receipt(&frame);
        peer.write(b"MESSAGE\nmessage-id:1\nsubscription:0\nack:seven\n\nx\0");
        let mut is_acked = false;
        while let Some(frame) = peer.frame() {
            is_acked |= frame.command == "ACK";
            if frame.header("receipt").is_some() {
                peer.receipt(&frame);
                if is_acked {
                    break;
                }
            }
        }
        // The other half of the keepalive: unread input would reset the connection.
        peer.expect("ABORT");
    });
    let client = stomp_client(address, "heartbeat=100ms&backoff_min=60s&backoff_max=60s");
    let mut jobs = client.subscribe_with("/queue/a", Subscribe::manual()).wait().unwrap();
    let events = client.events();
    jobs.wait().unwrap().ack().unwrap();
    until(events, "the end", |event| matches!(event, Event::Disconnected { link: Link::Subscription(_), .. }));
    jobs.flush().wait().unwrap();
}

#[test]
fn an_error_that_comes_along_with_connected_ends_the_connection_with_its_words() {
    const BOTH: &[u8] = b"CONNECTED\nversion:1.2\n\n\0ERROR\nmessage:no room for you\n\n\0";
    for refused in [0, 1] {
        let address = fake(move |number, mut peer| {
            peer.expect("CONNECT");
            if number < refused {
                peer.write(b"CONNECTED\nversion:1.2\n\n\0");
                return peer.swallow();
            }
            peer.write(BOTH);
        });
        let client = stomp_client(address, "backoff_min=1ms&backoff_max=2ms");
        if refused == 0 {
            let (_, event) = until(client.events(), "the end", |event| matches!(event, Event::Disconnected { .. }));
            assert!(event.to_string().contains("no room for you"), "{event}");
            continue;
        }
        let subscribing = client.subscribe("/topic/a");
        let error = in_time("a refusal", move || subscribing.wait()).unwrap_err();
        assert!(
            matches!(&error, Error::Refused { reason: Reason::Error(words) } if words == "no room for you"),
            "{error}"
        );
    }
}

#[test]
fn a_flush_waits_for_the_receipt_of_the_message_itself() {
    let (tell, told) = mpsc::channel();
    let address = fake(move |_, mut peer| {
        peer.connected("version:1.2\n");
        while let Some(frame) = peer.frame() {
            if frame.header("receipt").is_some() {
                peer.receipt(&frame);
            }
            let _ = tell.send(frame);
        }
    });
    let client = stomp_client(address, "");
    for _ in 0..3 {
        client.publish("/queue/a", "x").wait().unwrap();
        client.flush().wait().unwrap();
        let frame = told.recv().unwrap();
        assert_eq!((frame.command.as_str(), frame.header("receipt").is_some()), ("SEND", true));
    }
    client.close().wait().unwrap();
    assert!(told.try_iter().all(|frame| frame.command != "BEGIN"));
}
