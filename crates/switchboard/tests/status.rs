//! `switchboard status`, `queues purge` and `kick`, against the program itself.

mod common;

use common::{BROKER_AND_MONITOR, Broker, Client, Lines, Program, poll, switchboard};
use serde_json::Value;
use std::net::TcpListener;
use std::process::Stdio;

fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = switchboard(args).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_table_says_what_waits_where() {
    let broker = Broker::start(&[]);
    let mut publisher = Client::publisher(&broker);
    publisher.publish("/queue/jobs", b"1");
    publisher.settle();
    let (code, text, _) = run(&["status", "-s", &broker.http]);
    assert_eq!(code, Some(0));
    let mut lines = text.lines();
    assert!(
        lines.next().is_some_and(|totals| totals.starts_with("buffered ") && totals.contains(" of 512MiB")),
        "{text}"
    );
    let row = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let head = lines.find(|line| line.starts_with("NAME")).expect("a head");
    assert_eq!(row(head), ["NAME", "KIND", "DEPTH", "IN/s", "OUT/s", "SUBS", "DROPPED"]);
    let jobs = row(lines.find(|line| line.starts_with("/queue/jobs")).expect("a row"));
    assert_eq!((jobs[1].as_str(), jobs[2].as_str(), jobs[5].as_str()), ("queue", "1", "0"), "{text}");
}

#[test]
fn a_part_of_an_address_that_cannot_be_used_is_a_wrong_command_line_that_names_it() {
    for (args, host) in [
        (&["top", "-s", "http://b\u{fc}cher.example"][..], "b\u{fc}cher.example"),
        (&["health", "http:/localhost"], "http:"),
        (&["top", "-s", "ipc:///run/collector"], "ipc://"),
        (&["queues", "-s", "http://localhost/queues?limit=1"], "limit"),
    ] {
        let (code, _, said) = run(args);
        assert!(code == Some(2) && said.contains(host), "{args:?}: {said}");
    }
}

#[test]
fn names_of_any_length_are_whole_in_json() {
    let broker = Broker::start(&[]);
    let name = |length: usize| format!("/queue/{}", "x".repeat(length - "/queue/".len()));
    // The longest that the broker takes.
    let names = [name(100), name(1024)];
    let mut publisher = Client::publisher(&broker);
    names.iter().for_each(|name| publisher.publish(name, b"1"));
    publisher.settle();
    let _listener = Client::listening(&broker, format!("/topic/{}", "y".repeat(1017)));
    for (command, list) in [("status", "channels"), ("queues", "queues")] {
        let (code, text, _) = run(&[command, "--json", "-s", &broker.http]);
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(code, Some(0));
        for name in &names {
            assert!(
                answer[list].as_array().expect("rows").iter().any(|row| row["name"] == **name),
                "{command}: {text}"
            );
        }
        let is_whole = |row: &Value| row["subscriptions"][0].as_str().is_some_and(|name| name.len() == 1024);
        assert!(command == "queues" || answer["connections"].as_array().expect("rows").iter().any(is_whole), "{text}");
    }
}

#[test]
fn every_row_is_listed_page_by_page() {
    let broker = Broker::start(&[]);
    let mut publisher = Client::publisher(&broker);
    let name = |i: usize| format!("/queue/{i:04}");
    for i in 0..2500 {
        publisher.publish(&name(i), b"x");
    }
    publisher.settle();
    let (_, text, _) = run(&["status", "--server", &broker.http]);
    assert!(text.contains("2401 more channels: --all"), "{text}");
    let (_, text, _) = run(&["status", "--all", "--sort", "name", "--server", &broker.http]);
    let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| name.starts_with("/queue/")).collect();
    assert_eq!(names, (0..2500).map(name).collect::<Vec<_>>());
    let (_, json, _) = run(&["status", "--all", "--json", "--server", &broker.http]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["channels"].as_array().map(Vec::len), Some(2501));
    assert_eq!(json.get("next"), None);
}

#[test]
fn what_is_shown_can_be_purged_and_kicked_whatever_its_bytes() {
    let broker = Broker::start(&[]);
    let mut publisher = Client::publisher(&broker);
    let channel: &[u8] = b"/queue/\xff\x1b%41 a";
    publisher.send(channel);
    publisher.send(b"x");
    publisher.settle();
    let (_, text, _) = run(&["status", "--server", &broker.http]);
    let shown = "/queue/%FF%1B%2541 a";
    assert!(text.contains(shown), "{text}");
    assert_eq!(
        run(&["queues", "purge", shown, "--yes", "--server", &broker.http]).1,
        format!("Purged 1 message of {shown}.\n")
    );
    let again = run(&["queues", "purge", "/queue/none", "--yes", "--json", "--server", &broker.http]);
    assert_eq!(again.0, Some(1));
    assert!(again.2.contains("there is no queue /queue/none; `switchboard queues` lists them"), "{}", again.2);
    for (name, reason) in [
        ("queue/jobs", "begin with a slash"),
        ("/queue/*", "is a pattern"),
        ("/topic/foo", "is a topic, which is published to all its subscribers"),
    ] {
        let refused = run(&["queues", "purge", name, "--yes", "--server", &broker.http]);
        assert!(refused.0 == Some(1) && refused.2.contains(reason), "{}", refused.2);
    }
    let id = broker.status()["connections"][0]["id"].to_string();
    let kicked = run(&["kick", &id, "--json", "--server", &broker.http]);
    assert_eq!(kicked.1, format!("{{\"kicked\":{id}}}\n"));
    publisher.is_closed();
    assert!(run(&["kick", &id, "--server", &broker.http]).2.contains(&format!("there is no connection {id}")));
}

#[test]
fn a_watch_goes_on_after_the_broker_was_away() {
    let first = Broker::start_at("127.26.26.30:0", &[]);
    let (native, http) = (first.native[0].clone(), first.http.clone());
    let args = ["status", "--interval", "100ms", "--server", &http];
    let mut watch = Program::start(switchboard(&args).stderr(Stdio::piped())).expect("it starts");
    let notes = Lines::of(watch.child.stderr.take().expect("a pipe"));
    watch.until_contains("buffered ");
    first.stop(Vec::new());
    notes.find(&["The broker is away, asking again"]);
    // Somebody else may have taken the port of HTTP meanwhile, so it is asked for until it is free.
    let again = ["broker", "--listen", &native, "--http", &http, "--log", "off"];
    let mut broker = Program::start(&mut switchboard(&again)).expect("it starts");
    watch.until_contains("buffered ");
    assert!(broker.child.try_wait().expect("a process").is_none());
    assert_eq!(notes.all().len(), 1, "said once: {:?}", notes.all());
    broker.signal("-TERM");
    broker.end();
}

#[test]
fn the_states_of_services_and_the_own_connections_are_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let page = taken.local_addr().expect("an address").to_string();
    let ready = directory.path().join("ready.json");
    let set = format!("monitor.listen={page}");
    let data = directory.path().join("data");
    let mut up =
        switchboard(&["up", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--set", &set, "--log", "off"]);
    up.args(BROKER_AND_MONITOR)
        .args(["--set", "monitor.collect="])
        .arg("--data")
        .arg(&data)
        .arg("--ready-file")
        .arg(&ready);
    let mut up = Program::start(&mut up).expect("it starts");
    let said = poll("it is ready", || std::fs::read_to_string(&ready).ok());
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let http = said["http"][0].as_str().expect("an address").to_owned();
    let (_, text, _) = run(&["status", "--server", &http]);
    assert!(text.contains("The monitor does not run: ") && text.contains(&page), "{text}");
    assert_eq!(probe(&http), "ready\nbroker: running\nmonitor: down\n");
    drop(taken);
    poll("the monitor runs, and its connection is marked", || {
        let (_, text, _) = run(&["status", "--server", &http]);
        (text.contains("monitor (own)") && !text.contains("does not run")).then_some(())
    });
    assert_eq!(probe(&http), "ready\nbroker: running\nmonitor: running\n");
    assert_eq!(probe(&page), "ready\nbroker: running\nmonitor: running\n");
    for own in [&http, &page] {
        let links = get(own, "/services.json");
        for other in [&http, &page] {
            assert!(links.contains(&format!("\"href\":\"http://{other}/\"")), "{links}");
        }
        assert_eq!(links.matches("\"here\":true").count(), 1, "{links}");
    }
    up.signal("-TERM");
    up.end();
}

fn probe(address: &str) -> String {
    get(address, "/readyz")
}

fn get(address: &str, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(common::PATIENCE)).expect("a socket");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
}

#[test]
fn the_time_between_two_looks_has_bounds() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    for (interval, code) in [("99ms", 2), ("100ms", 1), ("1d", 1), ("86401", 2), ("0", 2), ("-1", 2)] {
        let refused = run(&["status", "--interval", interval, "--server", &free]);
        assert_eq!(refused.0, Some(code), "{interval}: {}", refused.2);
    }
}

#[test]
fn a_redirect_of_a_proxy_is_named_with_the_place_that_it_moved_to() {
    for command in ["status", "queues", "health", "top"] {
        let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = proxy.local_addr().expect("an address").to_string();
        let answering = std::thread::spawn(move || {
            let (stream, _) = proxy.accept().expect("a connection");
            let mut lines = std::io::BufRead::lines(std::io::BufReader::new(&stream));
            while lines.next().expect("a request").is_ok_and(|line| !line.is_empty()) {}
            let answer = "HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n";
            std::io::Write::write_all(&mut &stream, answer.as_bytes()).expect("written");
        });
        let once: &[&str] = if command == "top" { &["--once"] } else { &[] };
        let server = format!("http://{address}");
        let output = switchboard(&[&[command, "-s", &server], once].concat()).output().expect("the program starts");
        answering.join().expect("an answer");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command}: {said}");
        let moved = format!("{server} answers 302: it moved to https://login.example/");
        assert!(said.contains(&moved), "{command}: {said}");
    }
}
