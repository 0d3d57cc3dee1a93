//! Authentication.

use crate::ours::{number, payload};
use crate::python::{DEADLINE, Python};
use serde_json::json;
use std::sync::mpsc;
use switchboard_sockets::{Event, Options, Pull, Push, Security};

#[test]
fn plain_lets_libzmq_in_with_the_right_password_only() {
    let mut python = Python::start();
    let security = Security::plain_server(|name, password| (name, password) == (b"admin", b"secret"));
    let mut pull = Pull::with(Options { security, ..Options::default() }).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap().to_string();
    let mut events = pull.events();
    python.open("PUSH", false, &endpoint, &json!({ "PLAIN_USERNAME": "admin", "PLAIN_PASSWORD": "guess" }));
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        while let Some(event) = events.wait() {
            if let Event::HandshakeFailed { reason, .. } = event {
                let _ = sender.send(reason);
            }
        }
    });
    assert_eq!(receiver.recv_timeout(DEADLINE).unwrap(), "the password of admin is not right");
    python.close(true);
    python.open("PUSH", false, &endpoint, &json!({ "PLAIN_USERNAME": "admin", "PLAIN_PASSWORD": "secret" }));
    python.send(1, 1, 20, 1);
    assert_eq!(number(&pull.recv().wait_timeout(DEADLINE).unwrap()), 1);
}

#[test]
fn libzmq_lets_us_in_with_plain() {
    let mut python = Python::start();
    python.ask(&json!({ "do": "authenticate", "passwords": { "me": "secret" } }));
    let endpoint = python.open("PULL", true, "tcp://127.0.0.1:*", &json!({ "PLAIN_SERVER": 1 }));
    let push = Push::with(Options { security: Security::plain("me", "secret"), ..Options::default() }).unwrap();
    push.connect(&endpoint).unwrap();
    push.send(payload(3, 20)).wait_timeout(DEADLINE).unwrap();
    assert_eq!(python.receive(1, DEADLINE).0, [3]);
}

#[test]
fn a_libzmq_that_demands_curve_is_refused_with_the_reason() {
    let mut python = Python::start();
    // The specification's own test keys.
    let (public, secret) = ("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs");
    let options = json!({ "CURVE_SERVER": 1, "CURVE_PUBLICKEY": public, "CURVE_SECRETKEY": secret });
    let endpoint = python.open("PULL", true, "tcp://127.0.0.1:*", &options);
    let push = Push::new().unwrap();
    let mut events = push.events();
    push.connect(&endpoint).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        while let Some(event) = events.wait() {
            if let Event::HandshakeFailed { reason, .. } = event {
                let _ = sender.send(reason);
            }
        }
    });
    let reason = receiver.recv_timeout(DEADLINE).unwrap();
    assert_eq!(reason, "the peer demands the mechanism CURVE, which is not known here; use NULL or PLAIN there");
}
