use super::*;
use tokio::sync::watch as channel;

/// Time-out for a message that will come.
const PATIENCE: Duration = Duration::from_secs(30);

struct Socket {
    socket: UnixDatagram,
    name: OsString,
    _directory: Option<tempfile::TempDir>,
}

impl Socket {
    fn at_a_path() -> Socket {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        Socket { socket: UnixDatagram::bind(&path).unwrap(), name: path.into(), _directory: Some(directory) }
    }

    fn abstract_one() -> Socket {
        let name = format!("switchboard-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Socket { socket: UnixDatagram::bind_addr(&address).unwrap(), name: format!("@{name}").into(), _directory: None }
    }

    fn manager(&self, watchdog: &[(&str, &str)]) -> Manager {
        Manager::of(|name| match name {
            SOCKET => Some(self.name.clone()),
            _ => watchdog.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()),
        })
    }

    fn message(&self) -> String {
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 8192];
        let length = self.socket.recv(&mut buffer).expect("a message");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn is_silent(&self) -> bool {
        self.socket.set_nonblocking(true).unwrap();
        let silent = self.socket.recv(&mut [0; 8192]).is_err();
        self.socket.set_nonblocking(false).unwrap();
        silent
    }
}

#[test]
fn a_manager_at_a_path_or_an_abstract_name_is_told() {
    for socket in [Socket::at_a_path(), Socket::abstract_one()] {
        let manager = socket.manager(&[]);
        manager.ready("broker runs");
        assert_eq!(socket.message(), "READY=1\nSTATUS=broker runs");
        manager.reloading();
        let message = socket.message();
        let time = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&message);
        assert!(time.parse::<u64>().is_ok_and(|time| time > 0), "{message}");
        manager.stopping(Duration::from_secs(15));
        assert_eq!(socket.message(), "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=15000000");
    }
}

#[test]
fn a_long_stop_is_granted_whole_and_one_that_a_message_cannot_express_as_the_longest() {
    let socket = Socket::at_a_path();
    let (day, longest) = (Duration::from_secs(86_400), u64::MAX - 1);
    for (time, sent) in [(Duration::ZERO, 0), (day, 86_400_000_000), (Duration::MAX, longest)] {
        socket.manager(&[]).stopping(time);
        assert!(socket.message().ends_with(&format!("EXTEND_TIMEOUT_USEC={sent}")), "{time:?}");
    }
}

#[test]
fn a_status_is_one_line_of_1024_bytes_at_most() {
    assert_eq!(one_line("a\nREADY=1\r\0b"), "a READY=1  b");
    assert_eq!(one_line(&"x".repeat(1024)).len(), 1024);
    assert_eq!(one_line(&"x".repeat(1025)).len(), 1024);
    assert_eq!(one_line(&"\u{20ac}".repeat(1000)).len(), 1023);
    assert_eq!(one_line(""), "");
}

#[test]
fn where_nobody_wants_to_be_told_nothing_is_done() {
    for name in [None, Some("relative"), Some("/does/not/exist"), Some("@")] {
        let manager = Manager::of(|key| name.filter(|_| key == SOCKET).map(Into::into));
        assert!(manager.period.is_none());
        manager.ready("");
    }
}

#[test]
fn a_manager_that_does_not_read_blocks_nobody() {
    let socket = Socket::at_a_path();
    let manager = socket.manager(&[]);
    for _ in 0..10_000 {
        manager.ready(&"x".repeat(1000));
    }
    assert!(socket.message().starts_with("READY=1"));
    // Nor the end.
    drop(manager);
}

#[test]
fn what_was_told_last_is_heard_before_the_end() {
    let socket = Socket::at_a_path();
    let manager = socket.manager(&[]);
    for _ in 0..5 {
        manager.alive();
    }
    manager.stopping(Duration::ZERO);
    drop(manager);
    let heard: Vec<String> = (0..6).map(|_| socket.message()).collect();
    assert!(heard[5].starts_with("STOPPING=1"), "{heard:?}");
    assert!(socket.is_silent());
}

#[test]
fn the_watchdog_has_half_the_time_and_is_this_processs() {
    let own = std::process::id().to_string();
    let period = |pairs: &[(&str, &str)]| {
        period(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    };
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!(period(&[]), None);
    assert_eq!(period(&[(WATCHDOG_USEC, "30000000")]), millis(15_000));
    assert_eq!(period(&[(WATCHDOG_USEC, "30000000"), (WATCHDOG_PID, &own)]), millis(15_000));
    for other in ["1", "", "x"] {
        assert_eq!(period(&[(WATCHDOG_USEC, "30000000"), (WATCHDOG_PID, other)]), None, "{other}");
    }
    for none in ["0", "", "-1", "1s", "18446744073709551616"] {
        assert_eq!(period(&[(WATCHDOG_USEC, none)]), None, "{none}");
    }
    assert_eq!(period(&[(WATCHDOG_USEC, "1")]), millis(1));
    assert_eq!(period(&[(WATCHDOG_USEC, "18446744073709551615")]), Some(Duration::from_micros(u64::MAX) / 2));
}

#[tokio::test]
async fn the_manager_hears_of_every_answer_and_of_nothing_else() {
    let socket = Socket::at_a_path();
    let manager = socket.manager(&[(WATCHDOG_USEC, "2000")]);
    let (asked, mut begun) = channel::channel(0);
    let (answer, answers) = channel::channel(None::<bool>);
    let watching = watch(&manager, async || {
        asked.send_modify(|count| *count += 1);
        answers.clone().wait_for(Option::is_some).await.expect("an answer").expect("an answer")
    });
    let told = async {
        // Many times the period: nothing answers, nothing is told, and no second probe is begun beside the first.
        begun.wait_for(|count| *count == 1).await.expect("a probe");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(socket.is_silent());
        assert_eq!(*begun.borrow(), 1);
        // No is no sign of life either.
        answer.send_replace(Some(false));
        begun.wait_for(|count| *count >= 4).await.expect("probes");
        assert!(socket.is_silent());
        answer.send_replace(Some(true));
        tokio::task::spawn_blocking(move || [socket.message(), socket.message()]).await.expect("messages")
    };
    tokio::select! {
        () = watching => panic!("it never returns"),
        told = told => assert_eq!(told, ["WATCHDOG=1", "WATCHDOG=1"]),
    }
}

#[tokio::test]
async fn without_a_watchdog_nothing_is_probed() {
    let socket = Socket::at_a_path();
    let manager = socket.manager(&[]);
    let watching = watch(&manager, async || panic!("probed"));
    assert!(tokio::time::timeout(Duration::from_millis(20), watching).await.is_err());
    assert!(socket.is_silent());
}
