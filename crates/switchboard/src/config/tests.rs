//! Tests of configuration files and settings.

use super::*;
use std::path::Path;
use switchboard_broker::Limits;

fn error(text: &str) -> String {
    let mut settings = Settings::default();
    let result = settings.read(text, "my.toml").and_then(|()| settings.check());
    format!("{:#}", result.expect_err(text))
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let mut settings = Settings::default();
    assert_eq!(settings.print(), reread(&settings).print());
    for (key, value) in [
        ("listen", "127.0.0.1:1,[::1]:2"),
        ("stomp", "127.0.0.1:3"),
        ("stomp-origins", "https://a.example,*"),
        ("http", ""),
        ("memory", "1GiB"),
        ("outbox", "1025"),
        ("grace-period", "0"),
        ("slow-consumer", "1500us"),
        ("policy", "drop-old"),
        ("connection-rate", "7"),
        ("log", "info,switchboard=trace"),
        ("log-format", "json"),
        ("data", "/data"),
        ("monitor.listen", ""),
        ("monitor.collect", ""),
        ("monitor.keep", "7d"),
        ("monitor.leak", "2.5"),
        ("rows.database", "postgres://me:secret@a/x"),
        ("rows.tables", "patron,sales.item"),
        ("rows.refresh", "cached"),
        ("rows.origins", "https://a.example,*"),
        ("news.sites", "/etc/sites.toml"),
        ("news.renderer", "http://127.0.0.1:8050/"),
        ("news.allow", "[::1]:80,a.example:1"),
        ("news.contact", "me@a.example"),
        ("render.program", "/opt/chromium"),
        ("render.sandbox", "false"),
        ("render.memory", "1TiB"),
        ("hosts", "a.example,b.example"),
        ("http.token", "0123456789&b=c%d+\"'"),
        ("metrics-open", "true"),
        ("http.header-timeout", "10ms"),
    ] {
        settings.set(key, value).unwrap();
    }
    settings.add_rule(0, "/topic/a\"b/>,policy=block,buffer-unsubscribed=10,queue=1KiB").unwrap();
    settings.add_rule(1, "/queue/*").unwrap();
    let delivery = "queue-messages=0,overflow=drop-old,prefetch=4294967295,max-deliveries=0,redelivery-backoff=1ms,redelivery-backoff-max=0,ack-timeout=5m,message-ttl=7d";
    settings.add_rule(2, &format!("/queue/a/>,{delivery},dead-letter-expired=true")).unwrap();
    assert_eq!(settings.channel_rules()[2].delivery, settings.rules[2].delivery);
    assert_eq!(settings.rules[2].delivery.ack_timeout, Some(std::time::Duration::from_secs(300)));
    let again = reread(&settings);
    assert_eq!(settings.print(), again.print());
    assert_eq!(settings.rules, again.rules);
    assert_eq!(settings.server.limits, again.server.limits);
    assert_eq!(settings.server.listen, again.server.listen);
    assert!(again.server.http.is_empty());
}

fn reread(settings: &Settings) -> Settings {
    let mut again = Settings::default();
    again.read(&settings.print(), "printed").unwrap();
    again
}

#[test]
fn defaults_are_allowed() {
    Settings::default().check().unwrap();
}

#[test]
fn an_unknown_key_names_the_nearest_and_the_file() {
    assert_eq!(
        error("[broker]\nmemmory = 1"),
        "my.toml, line 2: [broker]: there is no setting `memmory`; the nearest is `memory`"
    );
    assert_eq!(error("[brokr]\n"), "my.toml, line 1: there is no table `brokr`; the nearest is `broker`");
    assert_eq!(error("[[brokr]]\n"), "my.toml, line 1: there is no table `brokr`; the nearest is `broker`");
    assert_eq!(error("outbox = 1"), "my.toml, line 1: `outbox` belongs under [broker]");
    assert_eq!(
        error("memmory = 1"),
        "my.toml, line 1: `memmory` stands outside of [broker], [monitor], [rows], [news], [render], [http] and [[channel]]: \
         there is no setting `memmory`; the nearest is `memory`"
    );
    assert!(error("[[channel]]\nmatsch = 'x'").contains("the nearest is `match`"));
    assert_eq!(
        error("[broker]\nlog = 'debug'"),
        "my.toml, line 2: [broker]: `log` is of the whole program: it stands before the first table"
    );
    assert!(error("log-formt = 'json'").contains("the nearest is `log-format`"));
}

#[test]
fn every_fault_of_a_file_is_named_with_its_line_in_the_order_of_the_file() {
    let text = "memroy = 1\n\n[monitor]\nkeep = 'long'\n\n[broker]\noutbx = 1\nqueue = '1MiB'\n\n[[channel]]\nmatch = '/a'\n\n\
                [[channel]]\nmatsch = 'x'\n";
    let faults = error(text);
    let faults: Vec<&str> = faults.lines().collect();
    let begins = [
        (1, "`memroy` stands outside"),
        (4, "[monitor]: keep = long is not allowed"),
        (7, "[broker]: there is no"),
        (14, "[[channel]]: there is no key `matsch`"),
    ];
    assert_eq!(faults.len(), begins.len(), "{faults:?}");
    for (fault, (line, words)) in faults.iter().zip(begins) {
        assert!(fault.starts_with(&format!("my.toml, line {line}: {words}")), "{fault}");
    }
}

#[test]
fn a_bad_value_names_key_value_and_what_is_allowed() {
    assert_eq!(
        error("[broker]\npolicy = 'drop'"),
        "my.toml, line 2: [broker]: policy = drop is not allowed: it must be drop-new, drop-old, disconnect or block"
    );
    for text in [
        "[broker]\nmemory = true",
        "[broker]\nconnections = 0",
        "[broker]\nlisten = '25000'",
        "[broker]\nlisten = '::1:25000'",
        "[broker]\nlisten = []\nstomp = ['127.0.0.1:61614']",
        "log = 'inof'",
        "log-format = 'xml'",
        "[broker]\nwrite-timeout = '1 fortnight'",
        "[broker]\nmessage = '5GiB'\nmemory = '50GiB'",
        "[[channel]]\nbuffer-unsubscribed = 1",
        "[[channel]]\nmatch = '/a'\nbuffer-unsubscribed = 'x'",
        "[[channel]]\nmatch = '/a'\nack-timeout = '999us'",
        "[[channel]]\nmatch = '/a'\nmax-deliveries = '7x'",
        "[[channel]]\nmatch = '/a'\ndead-letter-expired = 1",
        "[channel]\n",
        "broker = 1",
    ] {
        let error = error(text);
        assert!(error.contains("must be"), "{error}");
    }
    assert!(error("[broker]\n\nmemory =").starts_with("my.toml, line 3: "));
}

#[test]
fn settings_of_http_are_of_every_service() {
    let mut settings = Settings::default();
    settings.read("[http]\nhosts = ['a.example']\ntoken = '0123456789abcdef'\nmetrics-open = true", "x").unwrap();
    settings.set("data", "/data").unwrap();
    settings.share_web().unwrap();
    for web in [&settings.server.web, &settings.monitor.web] {
        assert_eq!((web.hosts.names(), web.metrics_open), (vec!["a.example".to_owned()], true));
        assert!(web.token.as_ref().is_some_and(|token| token.is_same(b"0123456789abcdef")));
        assert_eq!(web.token_file.as_deref(), Some(Path::new("/data/token")));
    }
    // Running services follow what SIGHUP reads again.
    settings.web.hosts.set(&["b.example".to_owned()]);
    assert_eq!(settings.server.web.hosts.names(), ["b.example"]);
    assert_eq!(settings.monitor.web.hosts.names(), ["b.example"]);
    for (text, allowed) in [("token = 'short'", "16 to 255"), ("token = '0123456789 abcdef'", "without blanks")] {
        assert!(error(&format!("[http]\n{text}")).contains(allowed), "{text}");
    }
    for limit in ["header-timeout = 0", "write-timeout = '2d'", "header = 1", "connections = 1000000"] {
        assert!(error(&format!("[http]\n{limit}")).contains("must be"), "{limit}");
    }
}

#[test]
fn memory_holds_the_connections_and_two_messages() {
    let text = |memory| format!("[broker]\nmemory = {memory}\nmessage = '2KiB'\nconnections = 1");
    assert_eq!(
        error(&text(8191)),
        "memory = 8191 is not allowed: it must be from 8KiB to 1024TiB: \
         1 connection and two messages of 2KiB take the least"
    );
    let mut settings = Settings::default();
    settings.read(&text(8192), "my.toml").unwrap();
    settings.check().unwrap();
}

#[test]
fn the_default_of_connections_takes_half_of_a_small_memory_at_most() {
    let limits = |text: &str| {
        let mut settings = Settings::default();
        settings.read(text, "my.toml")?;
        settings.check().map(|()| settings.server.limits)
    };
    let connection = Limits::CONNECTION;
    let default = Limits::default().connections;
    let two = 2 * Limits::default().message;
    for (memory, connections) in [
        (two + connection, 1),
        (two + 4 * connection - 1, 1),
        (two + 4 * connection, 2),
        (64 << 20, 4096),
        (two + 2 * default * connection - 1, default - 1),
        (two + 2 * default * connection, default),
        (512 << 20, default),
    ] {
        assert_eq!(limits(&format!("[broker]\nmemory = {memory}")).unwrap().connections, connections, "{memory}");
    }
    assert!(limits(&format!("[broker]\nmemory = {}", two + connection - 1)).is_err());
    assert!(limits(&format!("[broker]\nmemory = '64MiB'\nconnections = {}", default - 1)).is_err());
}

#[test]
fn what_follows_from_other_settings_is_no_difference_of_its_own() {
    let read = |text: &str| {
        let mut settings = Settings::default();
        settings.read(text, "my.toml").unwrap();
        settings.check().unwrap();
        settings
    };
    for (old, new, names) in [
        ("", "memory = '64MiB'", &["memory"][..]),
        ("memory = '64MiB'", "memory = '96MiB'", &["memory"]),
        ("memory = '64MiB'", "", &["memory"]),
        ("", "listen = ['127.0.0.1:1']", &["listen"]),
        ("connections = 100", "", &["connections"]),
        ("connections = 100", "memory = '64MiB'", &["memory", "connections"]),
        ("", "stomp = []", &["stomp"]),
    ] {
        let (old, new) = (read(&format!("[broker]\n{old}")), read(&format!("[broker]\n{new}")));
        let mut found = old.differences(&new);
        found.sort_by_key(|name| names.iter().position(|known| known == name));
        assert_eq!(found, names);
    }
}

#[test]
fn what_is_read_ahead_has_a_bound() {
    let text = |bytes: &str| format!("[broker]\nread-ahead = '{bytes}'");
    for allowed in ["0", "1", "256KiB", "1024TiB"] {
        let mut settings = Settings::default();
        settings.read(&text(allowed), "my.toml").unwrap();
        settings.check().unwrap();
    }
    assert_eq!(
        error(&text("1025TiB")),
        "my.toml, line 2: [broker]: read-ahead = 1025TiB is not allowed: it must be from 0 to 1024TiB"
    );
}

#[test]
fn every_setting_gives_the_real_reason_for_a_number_that_is_none() {
    for (table, settings) in TABLES {
        for setting in settings {
            for text in ["-1", "99999999999999999999999", "12parsecs", "nan", "inf", "1e400"] {
                let mut settings = Settings::default();
                let Err(reason) = (setting.parse)(&mut settings, text) else { continue };
                let known = ["it must be ", "it must not be negative", "it is too large", "it is too long"];
                assert!(known.iter().any(|known| reason.starts_with(known)), "{table}.{}: {reason}", setting.key);
            }
        }
    }
}

#[test]
fn what_is_printed_is_one_plain_line_and_one_setting_commented_out() {
    let text = Settings::default().print();
    let is_example = |block: &&str| block.contains("[[channel]]") || block.contains("[[rows.table]]");
    for block in text.split("\n\n").skip(1).filter(|block| !block.starts_with('[') && !is_example(block)) {
        let lines: Vec<&str> = block.trim_end().lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("# ") && lines[0].ends_with('.'), "{block}");
        assert!(lines[1].starts_with("# ") && lines[1].contains(" = "), "{block}");
    }
}

#[test]
fn the_json_has_every_setting_and_rule() {
    let mut settings = Settings::default();
    settings.set("outbox", "3MiB").unwrap();
    settings.add_rule(0, "/topic/a,policy=block").unwrap();
    let json = settings.json();
    assert_eq!((&json["log"], &json["log-format"], &json["data"]), (&"info".into(), &"text".into(), &"".into()));
    for (table, known) in TABLES.into_iter().filter(|(table, _)| !table.is_empty()) {
        // Besides its settings [rows] has its `table`s.
        let names = json[table].as_object().into_iter().flatten().filter(|(name, _)| *name != "table");
        assert_eq!(names.count(), known.len(), "{table}");
    }
    assert_eq!(json["broker"]["outbox"], "3MiB");
    assert_eq!(json["channel"][0]["policy"], "block");
}

#[test]
fn settings_as_json_show_no_secret_and_the_file_that_is_printed_has_them() {
    let secrets = [
        ("http.token", "0123456789abcdef"),
        ("monitor.webhook", "https://hooks.example/one,https://hooks.example/two"),
        ("rows.database", "postgres://me:secret@a.example/x"),
    ];
    let mut settings = Settings::default();
    secrets.iter().for_each(|(key, value)| settings.set(key, value).unwrap());
    let json = settings.json();
    assert_eq!((&json["http"]["token"], &json["rows"]["database"]), (&"...".into(), &"...".into()));
    assert_eq!(json["monitor"]["webhook"], serde_json::json!(["...", "..."]));
    assert_eq!(Settings::default().json()["http"]["token"], "");
    let printed = settings.print();
    assert!(secrets.iter().all(|(_, value)| value.split(',').all(|part| printed.contains(part))), "{printed}");
}

#[test]
fn an_empty_item_of_a_list_is_refused() {
    for text in ["[rows]\ntables = ['']", "[http]\nhosts = ['a.example', '']", "[broker]\nlisten = ['']"] {
        assert!(error(text).contains("an item of the list is empty; an empty list is []"), "{text}");
    }
    Settings::default().read("[rows]\ntables = []", "my.toml").unwrap();
}

#[test]
fn a_list_of_the_command_line_is_one_of_a_file_or_its_items_with_commas() {
    for (pair, shown) in [
        ("listen=127.0.0.1:1,[::1]:2", r#"listen = ["127.0.0.1:1", "[::1]:2"]"#),
        (r#"listen=["127.0.0.1:1", "[::1]:2"]"#, r#"listen = ["127.0.0.1:1", "[::1]:2"]"#),
        ("listen=[::1]:2", r#"listen = ["[::1]:2"]"#),
        (r#"http.hosts=["a.example"]"#, r#"hosts = ["a.example"]"#),
        (r#"rows.tables=["patron", "sales.item"]"#, r#"tables = ["patron", "sales.item"]"#),
        ("monitor.listen=[]", "listen = []"),
    ] {
        let mut settings = Settings::default();
        settings.set_pairs(&[pair.to_owned()]).unwrap();
        let text = settings.print();
        assert!(text.lines().any(|line| line == shown), "{pair}: {text}");
    }
}

#[test]
fn what_can_be_no_host_is_refused_when_it_is_read() {
    for (pair, reason) in [
        ("listen=a/b:5", "a/b is no name of a host and no IP address"),
        ("listen=x y:6", "x y is no name of a host"),
        ("listen=[127.0.0.1:27001", "[127.0.0.1 is no name of a host"),
        ("listen=[1.2.3.4]:5", "[1.2.3.4] is no name of a host"),
        ("stomp=[fe80::1%eth0]:5", ""),
        ("stomp=b\u{fc}cher.example:5", ""),
        (r#"http.hosts=["a"#, "must be a name, or a list of them"),
        ("http.hosts=a b", "must be a name, or a list of them"),
    ] {
        let result = Settings::default().set_pairs(&[pair.to_owned()]);
        match result {
            Ok(()) => assert_eq!(reason, "", "{pair}"),
            Err(error) => assert!(!reason.is_empty() && format!("{error:#}").contains(reason), "{pair}: {error:#}"),
        }
    }
}
