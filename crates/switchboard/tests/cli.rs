//! The program as its users meet it: run as a process.

mod common;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/taken_port.rs"]
mod taken_port;

use common::{Broker, Client, Lines, Program, switchboard};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Output, Stdio};

fn output(args: &[&str]) -> Output {
    switchboard(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn sends(broker: &Broker, args: &[&str]) {
    let sent = broker.client(&[&["send"], args].concat()).output().expect("an end");
    assert!(sent.status.success(), "{sent:?}");
}

/// A listener whose subscription is in force, and what it says beside the messages.
fn listens(broker: &Broker, args: &[&str]) -> (Program, Lines) {
    let mut command = broker.client(&[&["listen"], args].concat());
    let mut listener = Program::start(command.stderr(Stdio::piped())).expect("a listener");
    let notes = Lines::of(listener.child.stderr.take().expect("a pipe"));
    let first = notes.next().expect("a line");
    assert!(first.starts_with("Listening on "), "{first}");
    (listener, notes)
}

/// All that it prints, up to its end, which is a good one.
fn printed((mut listener, _): (Program, Lines)) -> Vec<String> {
    while listener.line().is_some() {}
    assert!(listener.end().success());
    listener.lines.all()
}

#[test]
fn an_address_that_is_refused_is_shown_without_its_passcode() {
    for address in ["stomp://me:secret@host:x", "stomp://me:1/secret@host", "ftp://me:secret@host"] {
        let refused = output(&["listen", "/topic/a", "--server", address]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("'***@host") && !said.contains("secret"), "{said}");
    }
}

#[test]
fn help_has_examples() {
    let help = output(&["--help"]);
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("switchboard listen /topic/news"));
    assert_eq!(output(&["lisen"]).status.code(), Some(2));
    assert!(text(&output(&["completions", "bash"]).stdout).contains("switchboard"));
}

#[test]
fn messages_go_from_send_to_listen() {
    let broker = Broker::start(&[]);
    let listener = listens(&broker, &["/topic/a", "--count", "2"]);
    let json = listens(&broker, &["/topic/a", "--count", "2", "--json"]);
    for message in ["hello", "two words"] {
        sends(&broker, &["/topic/a", message]);
    }
    assert_eq!(printed(listener), ["hello", "two words"]);
    let lines = ["hello", "two words"].map(|data| format!("{{\"data\":\"{data}\",\"subscription\":\"/topic/a\"}}"));
    assert_eq!(printed(json), lines);

    // Nobody listens to the queue yet: that it is all there afterwards is what `send` has confirmed.
    let mut send = broker.client(&["send", "/queue/jobs", "--stdin", "--json"]);
    let mut send = send.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a sender");
    send.stdin.take().expect("a pipe").write_all(b"one\n\nthree").expect("written");
    let sent = send.wait_with_output().expect("an end");
    assert_eq!(text(&sent.stdout), "{\"channel\":\"/queue/jobs\",\"sent\":3}\n");
    let listener = broker.client(&["listen", "/queue/jobs", "--count", "3"]).output().expect("an end");
    assert_eq!(text(&listener.stdout), "one\n\nthree\n");

    let listener = listens(&broker, &["/topic/b", "--count", "3"]);
    sends(&broker, &["/topic/b", "--count", "3", "--interval", "0"]);
    let lines = printed(listener);
    let me = lines[0].strip_prefix("Msg 0 from ").expect("the first message");
    assert_eq!(me.len(), 8);
    assert_eq!(lines[2], format!("Msg 2 from {me}"));
}

#[test]
fn what_is_no_text_is_printed_in_hexadecimal() {
    let broker = Broker::start(&[]);
    let listener = listens(&broker, &["/topic/a", "--count", "1", "--json"]);
    Client::publisher(&broker).publish("/topic/a", &[0, 0xff, 0x10]);
    assert_eq!(printed(listener), ["{\"hex\":\"00ff10\",\"subscription\":\"/topic/a\"}"]);
}

#[test]
fn the_broker_is_administered_over_http() {
    let broker = Broker::start(&[]);
    sends(&broker, &["/queue/a b", "x"]);
    let status = output(&["status", "--server", &broker.http]);
    assert!(text(&status.stdout).contains("/queue/a b"), "{status:?}");
    let status = output(&["status", "--json", "--server", &broker.http]);
    serde_json::from_slice::<serde_json::Value>(&status.stdout).expect("JSON");
    let purge = output(&["queues", "purge", "/queue/a b", "--yes", "--server", &broker.http]);
    assert!(purge.status.success(), "{purge:?}");
    assert_eq!(output(&["kick", "999999", "--server", &broker.http]).status.code(), Some(1));
}

#[test]
fn nobody_there_is_one_line_that_says_what_to_do() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let address = free.to_string();
    for args in [
        &["send", "/topic/a", "x", "--no-reconnect", "--server", &address][..],
        &["listen", "/topic/a", "--no-reconnect", "--server", &address],
        &["bench", "--server", &address],
        &["status", "--server", &address],
    ] {
        let refused = output(args);
        assert_eq!(refused.status.code(), Some(1));
        let error = text(&refused.stderr);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(&address) && error.contains("start the broker with `switchboard`"), "{error}");
    }
}

#[test]
fn a_listener_ends_quietly_with_its_reader() {
    let broker = Broker::start(&[]);
    let mut child = broker.client(&["listen", "/topic/a"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a listener");
    let notes = Lines::of(child.stderr.take().expect("a pipe"));
    notes.find(&["Listening on "]);
    drop(child.stdout.take());
    let mut listener = Program { child, lines: Lines::of(std::io::empty()) };
    sends(&broker, &["/topic/a", "x"]);
    assert!(listener.end().success());
    assert_eq!(notes.all().len(), 1, "{:?}", notes.all());
}

#[test]
fn who_sends_may_come_before_the_broker() {
    // An address of its own, so that nobody else takes the port meanwhile.
    let first = Broker::start_at("127.26.26.28:0", &[]);
    let address = first.native[0].clone();
    let mut sender = first.client(&["send", "/queue/a", "at last"]);
    first.stop(Vec::new());
    let mut sender = Program::start(sender.stderr(Stdio::piped())).expect("a sender");
    let said = Lines::of(sender.child.stderr.take().expect("a pipe"));
    said.find(&[
        &format!("Nobody answers at {address} yet ("),
        "start the broker with `switchboard`; retrying for 10s.",
    ]);
    let broker = Broker::start_at(&address, &[]);
    assert!(sender.end().success());
    let listener = broker.client(&["listen", "/queue/a", "--count", "1"]).output().expect("an end");
    assert_eq!(text(&listener.stdout), "at last\n");
}

#[test]
fn what_the_broker_refuses_is_not_sent_for_ever() {
    let broker = Broker::start(&["--set", "message=1KiB"]);
    sends(&broker, &["/queue/a", "--size", "1024", "--count", "1"]);
    let words = "the broker did not take all messages: a body of 1025 bytes or more is over the limit of 1024 bytes (limit: message)";
    for (channel, once, expected) in [
        ("/queue/a", &[][..], words),
        ("/queue/a", &["--no-reconnect"], words),
        ("/topic/a", &[], "not the messages, 5 times (its log says why)"),
        ("/topic/a", &["--no-reconnect"], "not everything"),
    ] {
        let args = [&["send", channel, "--size", "1025", "--count", "1"], once].concat();
        let refused = broker.client(&args).output().expect("an end");
        assert_eq!(refused.status.code(), Some(1));
        let error = text(&refused.stderr);
        assert!(error.lines().last().expect("a line").contains(expected), "{error}");
    }
}

#[test]
fn sigterm_ends_the_broker_in_good_order() {
    let mut broker = Broker::start(&[]);
    let listener = listens(&broker, &["/topic/a", "--no-reconnect"]);
    broker.program.signal("-TERM");
    assert_eq!(broker.program.end().code(), Some(0));
    listener.1.find(&["Server closed."]);
    assert!(printed(listener).is_empty());
}

#[test]
fn a_bench_delivers_everything_once() {
    let broker = Broker::start(&[]);
    let load = ["bench", "--seconds", "0.2", "--rate", "2000", "--publishers", "2", "--subscribers", "3", "--json"];
    for (queue, copies) in [(&[][..], 3), (&["--queue"][..], 1)] {
        let done = broker.client(&[&load[..], queue].concat()).output().expect("an end");
        assert!(done.status.success(), "{}", text(&done.stderr));
        let found: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(found["published"], 400, "{found}");
        assert_eq!(found["delivered"], 400 * copies, "{found}");
        assert_eq!((&found["lost"], &found["duplicated"], &found["out_of_order"]), (&0.into(), &0.into(), &0.into()));
    }
}

#[test]
fn health_is_an_exit_code() {
    let broker = Broker::start(&[]);
    let url = format!("http://{}/status", broker.http);
    for args in [&["health", &url][..], &["health", "--server", &broker.http], &["health", &broker.http]] {
        let healthy = output(args);
        assert_eq!((healthy.status.code(), text(&healthy.stdout).as_str()), (Some(0), "ok\n"), "{healthy:?}");
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    assert_eq!(output(&["health", &free.to_string()]).status.code(), Some(1));
}

#[test]
fn a_server_is_named_by_whatever_the_banner_prints() {
    let broker = Broker::start(&[]);
    let native = format!("switchboard://{}", broker.native[0]);
    let http = format!("http://{}/", broker.http);
    for server in [&native, &broker.native[0]] {
        let sent = switchboard(&["send", "/queue/a", "x", "-s", server]).output().expect("it runs");
        assert!(sent.status.success(), "{sent:?}");
        let sent = switchboard(&["send", "/queue/a", "x"]).env("SWITCHBOARD_URL", server).output().expect("it runs");
        assert!(sent.status.success(), "{sent:?}");
    }
    for server in [&http, &broker.http] {
        let status = output(&["status", "--json", "--server", server]);
        assert!(text(&status.stdout).contains("/queue/a"), "{status:?}");
    }
    // A command takes the host, and the port where the scheme is its own.
    let port = broker.native[0].rsplit_once(':').expect("a port").1;
    let wrong = output(&["status", "--server", &format!("switchboard://127.9.9.9:{port}")]);
    assert!(text(&wrong.stderr).contains("http://127.9.9.9:25080"), "{wrong:?}");
}

#[test]
fn a_wrong_door_says_which_it_is() {
    let broker = Broker::start(&[]);
    let top = output(&["top", "--once", "--server", &broker.http]);
    let reason = "is the broker's HTTP, no monitor: the monitor's page is on port 8088 by default";
    assert!(text(&top.stderr).contains(reason), "{top:?}");
    let bench = output(&["bench", "--seconds", "1", "--server", &broker.http]);
    assert!(text(&bench.stderr).contains(" speaks HTTP, not the broker's native protocol"), "{bench:?}");
    let native = output(&["status", "--server", &broker.native[0]]);
    assert_eq!(native.status.code(), Some(1));
    assert!(text(&native.stderr).contains("native"), "{native:?}");
    let plain = output(&["status", "--server", &format!("https://{}", broker.http)]);
    assert!(text(&plain.stderr).contains("speaks HTTP without TLS: write http:// instead of https://"), "{plain:?}");
    // The HTTP port asked in the native protocol: that cannot heal, so nothing is waited for.
    let http = broker.http.trim_start_matches("http://").trim_end_matches('/');
    for arguments in
        [&["send", "/topic/a", "x", "--timeout", "0"][..], &["send", "/topic/a", "x"], &["listen", "/topic/a"]]
    {
        let wrong = output(&[arguments, &["--server", http]].concat());
        assert_eq!(wrong.status.code(), Some(1));
        assert!(text(&wrong.stderr).contains(" speaks HTTP, not the broker's native protocol"), "{wrong:?}");
    }
    // A queue is spoken to in STOMP, which the native port has too; only a STOMP address has another door.
    let stomp = format!("stomp://{http}");
    for (server, says) in
        [(http, "not the broker's native protocol, whose port is 25000"), (&*stomp, "not STOMP, whose port is 61613")]
    {
        let wrong = output(&["send", "/queue/a", "x", "--server", server]);
        assert!(text(&wrong.stderr).contains(&format!(" speaks HTTP, {says}")), "{wrong:?}");
    }
}

#[test]
fn a_collector_that_is_asked_in_http_is_named() {
    // The greeting of ZeroMQ, which comes before anything is asked.
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = collector.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in collector.incoming() {
            let mut stream = stream.expect("a client");
            let _ = stream.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03");
            // Until the client leaves.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    for command in [&["top", "--once"][..], &["status"], &["health"]] {
        let wrong = output(&[command, &["--server", &address]].concat());
        assert_eq!(wrong.status.code(), Some(1));
        assert!(text(&wrong.stderr).contains(" speaks ZeroMQ (ZMTP), not HTTP"), "{wrong:?}");
    }
    let agent = output(&["agent", "--server", &format!("http://{address}"), "true"]);
    assert!(text(&agent.stderr).contains("the server there speaks ZeroMQ (ZMTP), not HTTP"), "{agent:?}");
}

#[test]
fn what_cannot_be_read_as_input_is_named() {
    let broker = Broker::start(&[]);
    let directory = std::fs::File::open("/").expect("a directory");
    let failed = broker.client(&["send", "/topic/a", "-l"]).stdin(directory).output().expect("an end");
    assert_eq!(failed.status.code(), Some(1));
    assert!(text(&failed.stderr).contains("cannot read the standard input: Is a directory"), "{failed:?}");
}

#[test]
fn a_listener_ends_when_its_time_is_over() {
    let broker = Broker::start(&[]);
    for limit in ["0", "10ms"] {
        let ended = broker.client(&["listen", "/topic/a", "-W", limit]).output().expect("an end");
        assert_eq!((ended.status.code(), &*ended.stdout), (Some(27), &b""[..]), "{ended:?}");
    }
    // Also where nobody answers.
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let ended = output(&["listen", "/topic/a", "--timeout", "10ms", "--server", &free]);
    assert_eq!(ended.status.code(), Some(27), "{ended:?}");
    // A count that is reached before comes first.
    sends(&broker, &["/queue/a", "hi"]);
    let ended = broker.client(&["listen", "/queue/a", "-n", "1", "-W", "1h"]).output().expect("an end");
    assert_eq!((ended.status.code(), &*ended.stdout), (Some(0), &b"hi\n"[..]), "{ended:?}");
}

#[test]
fn a_file_is_no_data_directory() {
    let failed = output(&["monitor", "--data", "/etc/passwd"]);
    let reason = "cannot use the data directory /etc/passwd: /etc/passwd is a file, not a directory;";
    assert!(text(&failed.stderr).contains(reason), "{failed:?}");
}

#[test]
fn a_sender_without_a_broker_fails_after_its_time_limit_and_says_how_to_wait() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let failed = output(&["send", "/topic/a", "x", "--timeout", "300ms", "--server", &free.to_string()]);
    assert_eq!(failed.status.code(), Some(1));
    let error = text(&failed.stderr);
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(
        lines[0].starts_with(&format!("Nobody answers at {free} yet (")) && lines[0].ends_with(" for 300ms."),
        "{error}"
    );
    assert!(lines[1].contains("nobody answered at") && lines[1].contains("--timeout 0"), "{error}");
}

#[test]
fn an_address_that_swallows_what_is_sent_is_told_of_once_and_given_up_in_time() {
    // It accepts, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let mut sender = switchboard(&["send", "/topic/a", "x", "--timeout", "2s", "--server", &address]);
    let mut sender = Program::start(sender.stderr(Stdio::piped())).expect("a sender");
    let said = Lines::of(sender.child.stderr.take().expect("a pipe"));
    let silent = format!("{address} accepts connections and does not answer");
    assert_eq!(said.next(), Some(format!("{silent} yet; retrying for 2s.")));
    assert_eq!(said.next().as_deref(), Some(&*format!("switchboard: {silent}, for 2s; --timeout 0 waits for ever")));
    assert_eq!((said.next(), sender.end().code()), (None, Some(1)));
}

#[test]
fn a_name_is_any_bytes_written_as_status_shows_it() {
    let broker = Broker::start(&[]);
    let name = b"/queue/\xff\n100%41";
    Client::publisher(&broker).publish_bytes(name, b"first");
    let status = broker.status_until("the queue", |status| status["channels"][0]["depth"] == 1);
    let shown = "/queue/%FF%0A100%2541";
    let table = output(&["status", "--server", &broker.http]);
    assert!(text(&table.stdout).contains(shown), "{table:?}{status}");
    sends(&broker, &[shown, "second"]);
    let listened = broker.client(&["listen", shown, "--count", "2", "--json"]).output().expect("an end");
    let line = |data: &str| format!("{{\"data\":\"{data}\",\"subscription\":\"{shown}\"}}\n");
    assert_eq!(text(&listened.stdout), line("first") + &line("second"));
    sends(&broker, &[shown, "third"]);
    let purged = output(&["queues", "purge", shown, "-y", "--server", &broker.http]);
    assert_eq!(text(&purged.stdout), format!("Purged 1 message of {shown}.\n"));
}

#[test]
fn a_log_of_json_is_an_object_a_line() {
    let mut broker = Broker::start(&["--log-format", "json"]);
    Client::publisher(&broker).settle();
    broker.program.signal("-TERM");
    assert_eq!(broker.program.end().code(), Some(0));
    broker.log.find(&["\"message\":\"Stopped.\""]);
    for line in broker.log.all() {
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(entry["level"].is_string() && entry["message"].is_string(), "{line}");
    }
}

#[test]
fn help_that_cannot_be_written_is_a_failure() {
    for option in ["--help", "--version"] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
        let output = { switchboard(&[option]) }.stdout(full).output().expect("an end");
        let error = text(&output.stderr);
        assert!(
            output.status.code() == Some(1) && error.starts_with("switchboard: cannot write the output: "),
            "{error}"
        );
    }
}
