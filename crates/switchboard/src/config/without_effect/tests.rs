//! Tests of settings that were made and have no effect.

use super::*;

const ALL: Started = Started::ALL;
const BROKER: Started = Started { broker: true, ..Started::NONE };
const MONITOR: Started = Started { monitor: true, ..Started::NONE };
const ROWS: Started = Started { rows: true, ..Started::NONE };
const NEWS: Started = Started { news: true, ..Started::NONE };
const RENDER: Started = Started { render: true, ..Started::NONE };

fn texts(started: Started, pairs: &[&str], rules: &[&str]) -> Vec<String> {
    let mut settings = Settings::default();
    settings.set_pairs(&pairs.iter().map(|&pair| pair.to_owned()).collect::<Vec<_>>()).expect("settings");
    for (at, rule) in rules.iter().enumerate() {
        settings.add_rule(at, rule).expect("a rule");
    }
    settings.without_effect(started)
}

#[test]
fn defaults_and_settings_with_an_effect_are_not_mentioned() {
    let none = Vec::<String>::new();
    for started in [ALL, BROKER, MONITOR, ROWS, NEWS, RENDER] {
        assert_eq!(texts(started, &["log=debug", "data=/x", "log-format=json", "http.connections=7"], &[]), none);
    }
    assert_eq!(texts(ALL, &["outbox=1MiB", "monitor.keep=1d", "queue=512MiB"], &["/topic/a,policy=block"]), none);
    for key in ["monitor.listen=", "rows.listen=", "news.listen=", "render.listen="] {
        assert_eq!(texts(BROKER, &[key], &[]), none);
        assert_eq!(texts(ALL, &[key], &[]), none);
    }
    for (earlier, later) in
        [(">", "/queue/b"), ("/topic/*", "/topic/>"), ("/queue/a", "/queue/*"), ("/queue/>", "/queue/dead/>")]
    {
        assert_eq!(texts(ALL, &[], &[&format!("{earlier},queue=2KiB"), &format!("{later},queue=1KiB")]), none);
    }
    assert_eq!(texts(ALL, &[], &["/queue/*/a,queue=1KiB", "/queue/>,queue=2KiB"]), none);
    assert_eq!(texts(ALL, &["metrics-open=true", "http=0.0.0.0:1"], &["/queue/a,queue=1KiB"]), none);
    assert_eq!(texts(ALL, &["monitor.webhook=http://a/", "monitor.alert-interval=1s"], &[]), none);
    assert_eq!(texts(ALL, &["news.topic=/topic/a", "render.allow=a:1", "news.renderer=http://a/"], &[]), none);
    assert_eq!(texts(NEWS, &["render.pages=2", "news.topic=/topic/a", "news.broker=switchboard://a"], &[]), none);
}

#[test]
fn each_kind_without_effect_is_named_with_its_reason() {
    let (monitor, broker) = (MONITOR, BROKER);
    for (started, pairs, rules, part) in [
        (monitor, &["outbox=1MiB"][..], &[][..], "broker.outbox: the broker is not started"),
        (monitor, &[], &["/a,policy=block"], "broker.[[channel]]: the broker is not started"),
        (monitor, &["monitor.samples=/a"], &[], "monitor.samples: there is no monitor.broker"),
        (broker, &["monitor.keep=1d"], &[], "monitor.keep: the monitor is not started"),
        (broker, &["rows.listen=127.0.0.1:3"], &[], "rows.listen: the service of rows is not started"),
        (broker, &["news.listen=127.0.0.1:3"], &[], "news.listen: the page of headlines is not started"),
        (broker, &["monitor.listen=127.0.0.1:3"], &[], "monitor.listen: the monitor is not started"),
        (NEWS, &["render.listen=127.0.0.1:3"], &[], "render.listen: the rendering service is not started"),
        (broker, &["rows.samples=1"], &[], "rows.samples: the service of rows is not started"),
        (ALL, &["rows.listen=", "rows.samples=1"], &[], "rows.samples: the service of rows is not started"),
        (broker, &["news.delay=1m"], &[], "news.delay: the page of headlines is not started"),
        (ALL, &["news.listen=", "news.delay=1m"], &[], "news.delay: the page of headlines is not started"),
        (NEWS, &["news.alerts=/topic/a"], &[], "news.alerts: there is no news.broker"),
        (NEWS, &["render.max-timeout=2s"], &[], "render.max-timeout: the rendering service is not started"),
        (NEWS, &["news.renderer=http://a", "render.pages=2"], &[], "render.pages: the rendering service is not"),
        (RENDER, &["news.deadline=2s"], &[], "news.deadline: the page of headlines is not started"),
        (ALL, &["monitor.listen=", "monitor.keep=1d"], &[], "monitor.keep: the monitor is not started"),
        (broker, &["http=", "hosts=a.example"], &[], "http.hosts: no service listens for HTTP"),
        (ALL, &["metrics-open=true"], &[], "http.metrics-open: no token is asked for on loopback"),
        (ALL, &["monitor.alert-repeat=1s"], &[], "monitor.alert-repeat: there is no monitor.webhook"),
        (ALL, &["monitor.keep=2d", "monitor.keep-minutes=1d"], &[], "monitor.keep, monitor.keep-minutes: minutes"),
        (ALL, &["memory=32MiB", "queue=33MiB"], &[], "queue = 33MiB: no more than memory = 32MiB counts"),
        (ALL, &["outbox=1KiB"], &[], "no more than outbox = 1KiB counts"),
        (ALL, &["handshakes=5", "handshakes-per-address=6"], &[], "handshakes-per-address = 6"),
        (ALL, &["grace-period=0", "slow-consumer=1s"], &[], "slow-consumer: there is no grace-period"),
        (ALL, &[], &["/queue/a,policy=block"], "policy of [[channel]] /queue/a"),
        (ALL, &[], &["/queue/>,buffer-unsubscribed=5"], "buffer-unsubscribed of [[channel]] /queue/>"),
        (ALL, &[], &["/topic/>,max-deliveries=5"], "max-deliveries of [[channel]] /topic/>: topics know no acks"),
        (ALL, &[], &["/topic/a,ack-timeout=5"], "ack-timeout of [[channel]] /topic/a"),
        (ALL, &[], &["/a"], "all of [[channel]] /a: it sets nothing"),
        (ALL, &[], &["/a,policy=block", "/a,queue=1KiB"], "all of [[channel]] /a: an earlier rule"),
        (ALL, &[], &[">,policy=block", "/b,queue=1KiB"], "all of [[channel]] /b: an earlier rule"),
        (ALL, &[], &["/queue/>,queue=1KiB", "/queue/a,queue=2KiB"], "all of [[channel]] /queue/a: an earlier rule"),
        (ALL, &[], &["/queue/rej*,queue=1KiB"], "the wildcard of [[channel]] /queue/rej*: `*` stands for a whole"),
        (ALL, &[], &["/topic/>/a,queue=1KiB"], "the wildcard of [[channel]] /topic/>/a"),
        (ALL, &[], &["queue/a,queue=1KiB"], "the word queue of [[channel]] queue/a: it matches topics alone"),
    ] {
        let texts = texts(started, pairs, rules);
        assert!(texts.len() == 1 && texts[0].contains(part), "{part}: {texts:?}");
    }
}
