//! Tests of addresses of servers.

use super::*;

fn native(text: &str) -> String {
    text.parse::<ServerAddress>().expect(text).authority(Door::Native)
}

fn http(text: &str) -> String {
    text.parse::<ServerAddress>().expect(text).authority(Door::BrokerHttp)
}

#[test]
fn a_host_alone_has_the_port_of_the_command() {
    assert_eq!(native("localhost"), "localhost:25000");
    assert_eq!(http("broker.example"), "broker.example:25080");
    assert_eq!(http(" 192.0.2.7 "), "192.0.2.7:25080");
    assert_eq!(native("::1"), "[::1]:25000");
    assert_eq!(native("[::1]"), "[::1]:25000");
    assert_eq!("[::1]".parse::<ServerAddress>().expect("an address").host(), "::1");
}

#[test]
fn a_port_without_a_scheme_counts() {
    assert_eq!(native("localhost:1"), "localhost:1");
    assert_eq!(http("[::1]:65535"), "[::1]:65535");
}

#[test]
fn a_port_counts_only_where_the_scheme_is_the_commands_own() {
    assert_eq!(native("switchboard://broker:7"), "broker:7");
    assert_eq!(http("switchboard://broker:7"), "broker:25080");
    assert_eq!(native("http://127.0.0.1:25080/status"), "127.0.0.1:25000");
    assert_eq!(http("HTTP://127.0.0.1:99/"), "127.0.0.1:99");
    assert_eq!(http("https://proxy.example"), "proxy.example:443");
    assert_eq!(http("https://proxy.example:444"), "proxy.example:444");
    assert_eq!(native("https://proxy.example"), "proxy.example:25000");
    let collector: ServerAddress = "tcp://[::1]:5556".parse().expect("an address");
    assert_eq!(collector.authority(Door::Collector), "[::1]:5556");
    assert_eq!(collector.authority(Door::MonitorHttp), "[::1]:8088");
    assert!(collector.is_explicitly(Door::Collector) && !collector.is_explicitly(Door::Native));
}

#[test]
fn an_address_of_stomp_may_have_a_login_which_is_not_shown() {
    let address: ServerAddress = "stomp://me:a%40b@h:7".parse().expect("an address");
    assert_eq!(address.login(), (Some("me".into()), Some("a@b".into())));
    assert_eq!((address.authority(Door::Stomp), address.authority(Door::Native)), ("h:7".into(), "h:25000".into()));
    assert_eq!((address.to_string(), format!("{address:?}")), ("stomp://h:7".into(), "stomp://h:7".into()));
    let plain: ServerAddress = "stomp://h".parse().expect("an address");
    assert_eq!((plain.login(), plain.port(Door::Stomp)), ((None, None), 61613));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |text: &str| text.parse::<ServerAddress>().expect_err(text).to_string();
    assert!(error("").contains("empty"));
    assert!(error("ftp://x").contains("ftp://"));
    assert!(error("http://").contains("no host"));
    assert!(error(":25000").contains("no host"));
    assert!(error("me:secret@host").contains("SWITCHBOARD_TOKEN"));
    assert!(error("switchboard://me@host").contains("SWITCHBOARD_TOKEN"));
    assert!(error("stomp://%ff@host").contains("login is not UTF-8"));
    assert!(error("stomp://me:a%0Ab@host").contains("passcode has a line end"));
    for port in ["0", "65536", "-1", "x", "+5"] {
        assert!(error(&format!("host:{port}")).contains("from 1 to 65535"), "{port}");
    }
    assert!(error("a b").contains("no host name"));
    assert!(error("[::1").contains("no host name"));
    assert!(error("[::1]x").contains("no host name"));
}

#[test]
fn a_passcode_is_never_part_of_an_error() {
    for text in [
        "stomp://me:secret@h:x",
        "stomp://me:secret@a b",
        "stomp://me:secret%ff@h",
        "stomp://me:secret/1@h",
        "stomp://me:1/secret@h",
        "me:secret?1@h",
        "http://me:secret#1@h",
        "http://me:secret@h",
        "ftp://me:secret@h",
    ] {
        let error = text.parse::<ServerAddress>().expect_err(text);
        assert!(!format!("{error} {error:?}").contains("secret"), "{text}: {error}");
    }
    assert!("http://h/path@x".parse::<ServerAddress>().is_ok());
}

#[test]
fn the_token_of_a_page_is_taken_and_not_shown() {
    for (text, token) in [
        ("http://h:1/?token=a%2Bb", Some("a+b")),
        ("https://h/page?token=secret&", Some("secret")),
        ("http://h/?token=", Some("")),
        ("http://h/page#", None),
        ("h:1", None),
    ] {
        let address: ServerAddress = text.parse().expect(text);
        assert_eq!(address.token(), token, "{text}");
        assert!(!format!("{address} {address:?}").contains("token"), "{text}");
    }
    assert!("http://h/?token=%ff".parse::<ServerAddress>().is_err());
}

#[test]
fn a_host_that_cannot_be_is_refused_at_once() {
    let error = |text: &str| text.parse::<ServerAddress>().expect_err(text).to_string();
    assert!(error("127.0.0.1:27000:1").contains("no IPv6 address"));
    assert!(error("http://a:b:c").contains("more than one colon"));
    assert_eq!(native("fe80::1%eth0"), "[fe80::1%eth0]:25000");
    for length in [LONGEST_HOST - 1, LONGEST_HOST] {
        assert!("x".repeat(length).parse::<ServerAddress>().is_ok(), "{length}");
    }
    assert!(error(&"x".repeat(LONGEST_HOST + 1)).contains("at most 253 bytes; this one has 254"));
}

#[test]
fn it_is_shown_as_it_was_given() {
    for text in ["localhost", "switchboard://[::1]:7", "http://a.example:80", "host:1"] {
        assert_eq!(text.parse::<ServerAddress>().expect(text).to_string(), text);
    }
}
#[test]
fn parts_that_are_not_used_are_refused_by_their_names_and_without_their_values() {
    for (text, part) in [
        ("http://h/status?limit=secret", "the parameter limit of its query"),
        ("https://h/page?token=a&x-y=secret", "the parameter x-y of its query"),
        ("http://h/?secret", "its query"),
        ("http://h/#secret", "what stands behind its #"),
        ("http://h/#?token=secret", "what stands behind its #"),
        ("http://h/?token=a#secret", "what stands behind its #"),
        ("switchboard://h?buffer=secret", "the parameter buffer of its query"),
        ("switchboard://h?token=secret", "the parameter token of its query"),
        ("switchboard://h:1/secret", "its path"),
        ("switchboard://me:1?secret@h", "its query"),
        ("stomp://h/secret", "its path"),
        ("tcp://h:1/#secret", "what stands behind its #"),
        ("h/secret", "its path"),
        ("h:1?x=secret", "the parameter x of its query"),
    ] {
        let error = text.parse::<ServerAddress>().expect_err(text).to_string();
        assert_eq!(error, format!("{part} is not used here: leave it out"), "{text}");
    }
    for text in ["http://h/any/path", "switchboard://h/", "h:1/", "http://h?token=a", "http://h/?"] {
        assert!(text.parse::<ServerAddress>().is_ok(), "{text}");
    }
}

#[test]
fn a_scheme_with_one_slash_or_one_for_another_command_and_a_name_of_other_letters_are_told() {
    let error = |text: &str| text.parse::<ServerAddress>().expect_err(text).to_string();
    for scheme in ["http", "HTTPS", "switchboard", "stomp", "tcp", "ipc"] {
        let name = scheme.to_lowercase();
        let expected = format!("one slash stands behind {name}: and there must be two, as in {name}://HOST");
        assert_eq!(error(&format!("{scheme}:/host")), expected);
    }
    assert!(error("ipc:///run/collector").contains("ipc:// is for `agent` alone"));
    assert!(error("http://b\u{fc}cher.example:1/").contains("the host b\u{fc}cher.example has letters that the DNS"));
    assert_eq!(http("http://xn--bcher-kva.example"), "xn--bcher-kva.example:25080");
}
