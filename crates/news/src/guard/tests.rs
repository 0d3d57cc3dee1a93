use super::*;
use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;

/// Generous; only what must come to its end waits so long.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers each look-up of a name with the next list of its addresses; the last stays.
#[derive(Default)]
struct Script {
    names: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(name: &str, answers: &[&[&str]]) -> Script {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().expect("an address")).collect();
        Script { names: HashMap::from([(name.to_owned(), answers.iter().map(parse).collect())]), ..Script::default() }
    }
}

impl Resolver for Script {
    fn resolve<'a>(&'a self, name: &'a str, _: Duration) -> Resolving<'a> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let answers = self.names.get(name).cloned().unwrap_or_default();
        let answer = answers.get(asked.min(answers.len().saturating_sub(1))).cloned().unwrap_or_default();
        Box::pin(async move { Ok(answer) })
    }
}

fn guard(script: Script, allow: &[&str]) -> (Guard, Arc<Script>) {
    let script = Arc::new(script);
    (Guard::with_resolver(Allow::parse(allow).expect("pairs"), LIMIT, script.clone()), script)
}

#[tokio::test]
async fn a_name_of_a_private_address_is_refused_and_the_error_names_both() {
    for address in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
        let (guard, _) = guard(Script::new("evil.example", &[&[address]]), &[]);
        let error = guard.dial("evil.example", 80).await.expect_err("refused");
        assert!(error.is_refusal(), "{error}");
        let text = error.to_string();
        let address: IpAddr = address.parse().expect("an address");
        assert!(text.contains("evil.example:80") && text.contains(&address.to_string()), "{text}");
    }
}

#[tokio::test]
async fn an_odd_spelling_of_loopback_is_refused_without_a_look_up() {
    for host in ["0x7f.1", "2130706433", "127.0.0.1.", "0177.1", "[::1]", "[::ffff:7f00:1]", "127.1"] {
        let (guard, script) = guard(Script::default(), &[]);
        assert!(guard.dial(host, 80).await.expect_err("refused").is_refusal(), "{host}");
        assert_eq!(script.asked.load(Ordering::Relaxed), 0, "{host}");
    }
}

#[tokio::test]
async fn a_name_that_is_rebound_is_looked_up_once_for_each_connection() {
    // The second answer is what an attacker wants dialed.
    let (guard, script) = guard(Script::new("rebind.example", &[&["192.0.2.1"], &["127.0.0.1"]]), &[]);
    assert!(guard.dial("rebind.example", 80).await.expect_err("refused").is_refusal());
    assert_eq!(script.asked.load(Ordering::Relaxed), 1);
    assert!(guard.dial("rebind.example", 80).await.expect_err("refused").is_refusal());
}

#[tokio::test]
async fn of_mixed_addresses_only_the_global_ones_are_dialed() {
    let (guard, _) = guard(Script::new("mixed.example", &[&["127.0.0.1", "8.8.8.8", "10.0.0.1"]]), &[]);
    let target = Target::new("mixed.example", 80).expect("a target");
    assert_eq!(guard.addresses(&target).await.expect("one is global"), [IpAddr::from(Ipv4Addr::new(8, 8, 8, 8))]);
}

#[tokio::test]
async fn an_allowed_pair_is_dialed_and_its_neighbors_are_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (guard, _) = guard(Script::new("name.example", &[&["127.0.0.1"]]), &[&format!("127.0.0.1:{port}")]);
    for spelling in ["127.0.0.1", "0x7f.1", "127.0.0.1."] {
        guard.dial(spelling, port).await.unwrap_or_else(|error| panic!("{spelling}: {error}"));
    }
    for (host, port) in [("127.0.0.1", port ^ 1), ("127.0.0.2", port), ("name.example", port), ("[::1]", port)] {
        assert!(guard.dial(host, port).await.expect_err("refused").is_refusal(), "{host}:{port}");
    }
}

#[tokio::test]
async fn an_allowed_name_is_dialed_whatever_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (guard, _) = guard(Script::new("name.example", &[&["127.0.0.1"]]), &[&format!("Name.Example.:{port}")]);
    guard.dial("name.example", port).await.expect("allowed");
    assert!(guard.dial("127.0.0.1", port).await.expect_err("refused").is_refusal());
}

#[tokio::test]
async fn a_port_of_another_protocol_is_refused_at_a_global_address() {
    let (guard, script) = guard(Script::new("mail.example", &[&["8.8.8.8"]]), &[]);
    assert!(guard.dial("mail.example", 25).await.expect_err("refused").is_refusal());
    assert_eq!(script.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error_of_the_network() {
    let (guard, _) = guard(Script::default(), &[]);
    let error = guard.dial("nowhere.example", 80).await.expect_err("no address");
    assert!(matches!(error, DialError::Resolve { .. }) && !error.is_refusal(), "{error}");
}

/// Knows no name, and never says so.
struct Mute;

impl Resolver for Mute {
    fn resolve<'a>(&'a self, _: &'a str, _: Duration) -> Resolving<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn what_takes_too_long_is_named_with_its_limit() {
    let brief = Duration::from_millis(50);
    let guard = Guard::with_resolver(Allow::default(), brief, Arc::new(Mute));
    let error = guard.dial("mute.example", 443).await.expect_err("late");
    assert_eq!(error.to_string(), "resolve: connect timeout of 50ms exceeded for mute.example:443");
    assert!(!error.is_refusal());
    // A queue that is full drops what comes next.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let listener = socket.listen(1).expect("it listens");
    let address = listener.local_addr().expect("an address");
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) = timeout(LIMIT / 30, TcpStream::connect(address)).await {
        queue.push(stream);
    }
    let guard = Guard::new(Allow::parse([address.to_string()]).expect("a pair"), brief);
    let error = guard.dial("127.0.0.1", address.port()).await.expect_err("late");
    assert_eq!(error.to_string(), format!("connect: connect timeout of 50ms exceeded for {address}"));
}
