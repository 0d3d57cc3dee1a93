use super::{Options, Protocol, Receipts, Runtime, WhenFull};
use std::time::Duration;

fn refused(url: &str) -> String {
    url.parse::<Options>().expect_err(url).to_string()
}

#[test]
fn an_address_needs_only_a_host() {
    assert_eq!("switchboard://localhost".parse::<Options>().unwrap(), Options::default());
    for (url, host, port) in [
        ("switchboard://a.example:1/", "a.example", 1),
        ("switchboard://[::1]:2?", "::1", 2),
        ("switchboard://[::1]", "::1", 25000),
    ] {
        let options: Options = url.parse().unwrap();
        assert_eq!((options.host.as_str(), options.port), (host, port));
    }
    let six: Options = "switchboard://[::1]:2".parse().unwrap();
    assert_eq!(six.address(), "[::1]:2");
}

#[test]
fn an_address_of_stomp_may_have_a_login() {
    let options: Options = "stomp://me%40work:a%3Ab:c@h?vhost=%2Fone".parse().unwrap();
    assert_eq!((options.protocol, options.host.as_str(), options.port), (Protocol::Stomp, "h", 61613));
    assert_eq!((options.login.as_deref(), options.passcode.as_deref()), (Some("me@work"), Some("a:b:c")));
    assert_eq!(options.vhost, "/one");
    let plain: Options = "stomp://[::1]:7".parse().unwrap();
    assert_eq!((plain.host.as_str(), plain.port, plain.login, plain.passcode), ("::1", 7, None, None));
    let shown = "stomp://me@h".parse::<Options>().unwrap();
    assert_eq!((shown.login.as_deref(), shown.passcode), (Some("me"), None));
}

#[test]
fn every_limit_can_be_set() {
    let url = "switchboard://h?connect_timeout=1s&timeout=2m&heartbeat=300ms&backoff_min=4ms&backoff_max=5s&buffer=6KiB\
        &when_full=fail&waiting=7&resend=8&inbox=9MiB&max_frame=10&max_channel=11B&retry_first=true\
        &reconnect=false&driver=shared";
    let set = Options {
        host: "h".into(),
        port: 25000,
        connect_timeout: Duration::from_secs(1),
        timeout: Duration::from_secs(120),
        heartbeat: Duration::from_millis(300),
        backoff_min: Duration::from_millis(4),
        backoff_max: Duration::from_secs(5),
        buffer: 6 << 10,
        when_full: WhenFull::Fail,
        waiting: 7,
        resend: 8,
        inbox: 9 << 20,
        max_frame: 10,
        max_channel: 11,
        retry_first: true,
        reconnect: false,
        driver: Runtime::Shared,
        ..Options::default()
    };
    assert_eq!(url.parse::<Options>().unwrap(), set);
    let receipts = |url: &str| url.parse::<Options>().map(|options| options.receipts);
    assert_eq!(receipts("stomp://h?receipts=message").unwrap(), Receipts::Message);
    assert_eq!(receipts("stomp://h?receipts=write").unwrap(), Receipts::Write);
    assert!(receipts("switchboard://h?receipts=message").unwrap_err().to_string().contains("only STOMP has it"));
    assert_eq!("switchboard://h?timeout=never".parse::<Options>().unwrap().timeout, Duration::MAX);
}

#[test]
fn quantities_are_written_as_in_flags_and_settings() {
    let of = |query: &str| format!("switchboard://h?{query}").parse::<Options>().unwrap();
    assert_eq!(of("timeout=2").timeout, Duration::from_secs(2));
    assert_eq!(of("heartbeat=1.5h").heartbeat, Duration::from_secs(5400));
    assert_eq!(of("backoff_min=1us").backoff_min, Duration::from_micros(1));
    assert_eq!(of("timeout=213503d").timeout, Duration::from_secs(213_503 * 86_400));
    assert_eq!(of("buffer=1.5MB").buffer, 1_500_000);
    assert_eq!(of("inbox=2mib").inbox, 2 << 20);
    assert_eq!(of("max_frame=4294967295").max_frame, u32::MAX as usize);
    assert_eq!(of("resend=4294967295").resend, u32::MAX);
    assert_eq!((of("waiting=0").waiting, of("resend=0").resend), (0, 0));
}

#[test]
fn a_wrong_address_is_explained() {
    for (url, part) in [
        ("localhost:25000", "does not begin with switchboard:// or stomp://"),
        ("switchboard://me@h", "the native protocol has no login"),
        ("switchboard://h?vhost=/", "only STOMP has it"),
        ("stomp://%ff@h", "login is not UTF-8"),
        ("stomp://me:a%0Ab@h", "passcode has a line end or a NUL byte"),
        ("stomp://me@", "the host is missing"),
        ("switchboard://", "the host is missing"),
        ("switchboard://:1", "the host is missing"),
        ("switchboard://h:x", "\"x\" is not a port"),
        ("switchboard://::1", "in brackets"),
        ("switchboard://[::1", "without a ]"),
        ("switchboard://[::1]x", "between the host and the options"),
        ("switchboard://h?buffer", "has no value"),
        ("switchboard://h?bufer=1", "no such option; there are connect_timeout"),
        ("switchboard://h?buffer=0", "from 1 byte"),
        ("switchboard://h?buffer=4GiB", "less than 4GiB"),
        ("switchboard://h?buffer=-1", "must not be negative"),
        ("switchboard://h?buffer=1parsec", "it must be a size, such as 64KiB"),
        ("switchboard://h?buffer=99999999999999999999", "it is too large"),
        ("switchboard://h?waiting=-1", "must not be negative"),
        ("switchboard://h?waiting=1KiB", "it must be a whole number"),
        ("switchboard://h?resend=4294967296", "at most 4294967295"),
        ("switchboard://h?timeout=5weeks", "it must be a duration, such as 50ms"),
        ("switchboard://h?timeout=99999999d", "it is too long: at most 213503d"),
        ("switchboard://h?timeout=0.1ns", "more than zero"),
        ("switchboard://h?timeout=0s", "more than zero"),
        ("switchboard://h?timeout=s", "it must be a duration"),
        ("switchboard://h?when_full=drop", "one of wait, fail"),
        ("switchboard://h?backoff_min=6s", "less than backoff_min"),
    ] {
        let text = refused(url);
        assert!(text.contains(part) && text.contains(&super::parse::without_login(url)), "{text}");
    }
}

#[test]
fn a_passcode_is_never_shown() {
    let options: Options = "stomp://me:secret@h".parse().unwrap();
    let shown = format!("{options:?}");
    assert!(shown.contains("\"me\"") && shown.contains("passcode: Some(***)") && !shown.contains("secret"), "{shown}");
    for url in [
        "stomp://me:secret@",
        "stomp://me:secret@h:x",
        "stomp://me:secret@h?bufer=1",
        "stomp://me:%ffsecret@h",
        "stomp://me:1/secret@h:x",
        "stomp://me:1?secret@h",
        "stomp://me:secret?1@h",
        "stomp://me:1?buffer=secret@h",
        "switchboard://me:secret@h",
        "me:secret@h",
        "stomp:/me:secret@h",
    ] {
        let error = url.parse::<Options>().expect_err(url);
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}
