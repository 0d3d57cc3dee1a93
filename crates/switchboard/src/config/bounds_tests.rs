//! Every setting at, below and above its bounds. The list is the configuration's own, so a new setting is tried as well.

use super::bounds::{Bounds, Unit};
use super::settings::Setting;
use super::*;
use std::path::Path;
use std::time::Duration;
use switchboard_monitor::Monitor;
use switchboard_news::render::Renderer;
use switchboard_news::service::{News, RenderService, RenderServiceSettings};
use switchboard_rows::http::RowsService;
use switchboard_server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Generous: what is waited for comes, or the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings without an order: what they take, and what they refuse.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    ("log", &["off", "trace", "info,switchboard_server=debug"], &["", "loud", "-1", "info,loud"]),
    ("log-format", &["text", "json"], &["", "xml", "JSON", "0"]),
    ("data", &["", "/var/lib/switchboard", "a/~/b", "~me"], &["~", "~/x"]),
    (
        "listen",
        &["127.0.0.1:0", "[::1]:65535", "a.example:1,b.example:2"],
        &["1", "::1:1", "a:65536", "a:-1", ":1", "a:", "*:1", "a:1,b:1,A:1"],
    ),
    ("stomp", &["", "127.0.0.1:0", "[::1]:65535"], &["61613", "::1:1", "a:65536", ":1"]),
    ("http", &["", "127.0.0.1:0", "[::1]:65535"], &["25080", "::1:1", "a:65536", ":1"]),
    ("policy", &["drop-new", "drop-old", "disconnect", "block"], &["", "drop", "0"]),
    ("overflow", &["throttle", "reject", "drop-old"], &["", "drop", "0", "block"]),
    ("dead-letter-expired", &["true", "false"], &["", "yes", "1"]),
    ("monitor.listen", &["", "127.0.0.1:0"], &["8088", "a:65536"]),
    (
        "monitor.collect",
        &["", "tcp://127.0.0.1:0", "tcp://[::1]:65535", "tcp://*:5555", "ipc:///run/x"],
        &["5555", "127.0.0.1:5555", "tcp://a:65536", "tcp://a", "tcp://::1:1", "udp://a:1", "ipc://"],
    ),
    (
        "monitor.broker",
        &["", "switchboard://a", "switchboard://[::1]:65535", "switchboard://a?timeout=5s"],
        &["a", "tcp://a:1", "switchboard://", "switchboard://a:65536", "switchboard://a?timeout=0"],
    ),
    ("monitor.samples", &["/topic/metrics", "/topic/*"], &["", "/queue/metrics", "queue/x", "queue"]),
    ("monitor.alerts", &["/topic/alerts", "/topic/a*"], &["", "/queue/alerts", "/topic/*", "/topic/>"]),
    (
        "monitor.webhook",
        &["", "https://a.example/x?y=1,2", "http://[::1]:1/,https://b.example"],
        &["a.example", "ftp://a.example", "http://", "http://a:65536", "https://a.example,ftp://b"],
    ),
    ("monitor.webhook-ca", &["", "/etc/ca.pem"], &["~/ca.pem"]),
    ("monitor.report-as", &["", "switchboard"], &[]),
    ("rows.listen", &["", "127.0.0.1:0"], &["8000", "a:65536"]),
    (
        "rows.database",
        &["", "postgres://me@a.example:5433/x?sslmode=verify-full", "host=/run/postgresql user=me dbname=x"],
        &["a.example", "http://a", "postgres://a:65536/x", "host=a sslmode=x"],
    ),
    ("rows.tables", &["patron", "sales.item,patron"], &[".a", "a.", "a.b.c", "a..b"]),
    ("rows.refresh", &["off", "cached", "written"], &["", "on", "0"]),
    ("rows.install-triggers", &["true", "false"], &["", "yes"]),
    ("stomp-origins", &["", "*", "https://a.example,http://b:1"], &["a.example", "https://a/", "ftp://a"]),
    ("rows.origins", &["", "*", "https://a.example,http://b:1"], &["a.example", "https://a/", "ftp://a"]),
    ("rows.read-only", &["true", "false"], &["", "1"]),
    ("news.listen", &["", "127.0.0.1:0"], &["8080", "a:65536"]),
    ("news.sites", &["", "/etc/sites.toml"], &["~/sites.toml"]),
    (
        "news.renderer",
        &["", "http://127.0.0.1:8050", "https://a.example/splash"],
        &["127.0.0.1:8050", "ftp://a", "http://", "http://a:65536", "http://a/?b=c"],
    ),
    (
        "news.allow",
        &["", "127.0.0.1:1", "a.example:65535,[::1]:80"],
        &["a", "a:0", "a:65536", "::1:80", ":1", "10.0.0.0/8:80"],
    ),
    ("news.contact", &["", "https://a.example/about", "me@a.example"], &["\u{e9}", "a\nb"]),
    ("news.broker", &["", "switchboard://a"], &["a", "http://a:1"]),
    ("news.topic", &["/topic/a"], &["", "/queue/a", "/topic/*"]),
    ("news.alerts", &["/topic/a"], &["", "/queue/a"]),
    ("render.listen", &["", "127.0.0.1:0"], &["8050", "a:65536"]),
    ("render.allow", &["", "127.0.0.1:1"], &["a", "a:-1"]),
    (
        "render.cdp",
        &["", "http://127.0.0.1:9222", "ws://[::1]:9222/devtools/browser/x"],
        &["9222", "http://192.0.2.1:9222", "https://127.0.0.1", "ws://127.0.0.1:9222"],
    ),
    ("render.program", &["chromium", "/opt/chromium"], &["", "~/chromium"]),
    ("render.sandbox", &["true", "false"], &["", "0", "no"]),
    ("http.hosts", &["", "a.example", "a.example,b.example"], &["a:1", "http://a", "a b", "*", "*.example"]),
    ("http.token", &["", "0123456789abcdef"], &["0123456789abcde", "0123456789 abcdef", "0123456789abcd\u{e9}"]),
    ("http.metrics-open", &["true", "false"], &["", "yes", "1", "0"]),
    ("monitor.leak", &["1", "1.5", "1000000"], &["0.9", "1000001", "nan", "inf", "-1", "0"]),
];

fn all() -> impl Iterator<Item = (&'static str, &'static Setting)> {
    TABLES.iter().flat_map(|(table, settings)| settings.iter().map(move |setting| (*table, setting)))
}

/// An amount as it is written.
fn written(unit: Unit, amount: u128) -> String {
    match unit {
        Unit::Nanoseconds => format!("{amount}ns"),
        Unit::Bytes | Unit::Count => amount.to_string(),
    }
}

/// Amounts that are taken, and amounts that are refused.
fn amounts(bounds: &Bounds) -> (Vec<u128>, Vec<u128>) {
    let (least, most) = (u128::from(*bounds.range.start()), u128::from(*bounds.range.end()));
    let greatest = u128::from(u64::MAX);
    let (mut taken, mut refused) = (vec![least, least + 1, most - 1, most], vec![most + 1, greatest + 1]);
    if least > 0 {
        if bounds.or_zero {
            taken.push(0);
        } else {
            refused.push(0);
        }
        if least > 1 || !bounds.or_zero {
            refused.push(least - 1);
        }
    }
    if most < greatest {
        refused.push(greatest);
    }
    (taken, refused)
}

#[test]
fn every_size_duration_and_count_is_taken_up_to_its_bounds_and_no_further() {
    for (table, setting) in all() {
        let name = full_name(table, setting);
        let Some(bounds) = (setting.bounds)() else { continue };
        let (taken, refused) = amounts(&bounds);
        for amount in taken {
            let text = written(bounds.unit, amount);
            let mut settings = Settings::default();
            settings.set(&name, &text).unwrap_or_else(|error| panic!("{name} = {text}: {error:#}"));
            // Shown values parse to themselves.
            let shown = (setting.show)(&settings);
            settings.set(&name, shown.trim_matches('"')).unwrap_or_else(|error| panic!("{name} = {shown}: {error:#}"));
            assert_eq!((setting.show)(&settings), shown, "{name} = {text}");
        }
        for amount in refused {
            let text = written(bounds.unit, amount);
            let error = Settings::default().set(&name, &text).expect_err(&format!("{name} = {text}"));
            let error = format!("{error:#}");
            assert!(error.contains("it must be ") || error.contains("it is too l"), "{name} = {text}: {error}");
        }
        assert!(Settings::default().set(&name, "-1").is_err(), "{name} = -1");
    }
}

#[test]
fn every_other_setting_takes_and_refuses_what_its_examples_say() {
    for &(name, taken, refused) in EXAMPLES {
        for text in taken {
            let set = Settings::default().set(name, text);
            set.unwrap_or_else(|error| panic!("{name} = {text}: {error:#}"));
        }
        for text in refused {
            assert!(Settings::default().set(name, text).is_err(), "{name} = {text}");
        }
    }
}

#[test]
fn no_setting_is_without_bounds_or_examples() {
    let names: Vec<String> = all().map(|(table, setting)| full_name(table, setting)).collect();
    for ((table, setting), name) in all().zip(&names) {
        let has_examples = EXAMPLES.iter().any(|(key, ..)| key == name || format!("http.{key}") == *name);
        assert!((setting.bounds)().is_some() || has_examples, "{table}.{}: say what it takes", setting.key);
    }
    for (name, ..) in EXAMPLES {
        assert!(names.iter().any(|known| known == name), "{name} is no setting");
    }
}

#[test]
fn no_message_repeats_a_secret() {
    for (name, value) in [("http.token", "my secret token"), ("monitor.webhook", "hooks.example/services/secret")] {
        let error = format!("{:#}", Settings::default().set(name, value).expect_err(name));
        assert!(!error.contains("secret"), "{error}");
    }
}

/// Settings with one at this amount, which must be in bounds, beside addresses and folders of the test.
fn with(name: &str, text: &str, data: &Path) -> Option<Settings> {
    let mut settings = Settings::default();
    for key in ["listen", "stomp", "http", "monitor.listen", "rows.listen", "news.listen", "render.listen"] {
        settings.set(key, "127.0.0.1:0").expect("an address");
    }
    // Nobody listens there, and no private PostgreSQL is started.
    settings.rows.service.database = Some("postgres://nobody@127.0.0.1:1/none".to_owned());
    // Refused by the guard: the examples are not asked.
    let sites = data.join("sites.toml");
    std::fs::write(&sites, "[[site]]\nname = \"a\"\nurl = \"http://127.0.0.1:1/\"\n").expect("written");
    settings.news.service.sites = Some(sites);
    settings.news.service.data = data.join("news");
    settings.render.chromium.directory = data.join("render");
    settings.set("monitor.collect", "tcp://127.0.0.1:0").expect("an address");
    settings.monitor.data = data.to_owned();
    // The budget holds what the others may take.
    settings.set("memory", "1024TiB").expect("a size");
    settings.set(name, text).expect("in bounds");
    (settings.server.web, settings.monitor.web) = (settings.web.clone(), settings.web.clone());
    settings.news.service.web = settings.web.clone();
    // One that contradicts another is refused, and another test's.
    settings.check().is_ok().then_some(settings)
}

/// Starts what a setting is of, talks to it, and stops it.
async fn runs(table: &str, settings: Settings) -> Result<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    if table == "rows" {
        let rows = RowsService::bind(settings.rows_settings()).await?;
        let address = rows.http_addresses()[0];
        let running = tokio::spawn(rows.run(stopped));
        talk(address, b"GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        drop(stop);
        return Ok(running.await?);
    }
    if table == "news" {
        let news = News::bind(settings.news.service).await?;
        let address = news.http_addresses()[0];
        let running = tokio::spawn(news.run(stopped));
        talk(address, b"GET /news.json HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        drop(stop);
        return Ok(running.await?);
    }
    if table == "render" {
        let mut service = RenderServiceSettings::new(Renderer::new(settings.render.chromium)?);
        (service.listen, service.max_timeout) = (settings.render.listen, settings.render.max_timeout);
        let render = RenderService::bind(service).await?;
        let address = render.http_addresses()[0];
        let running = tokio::spawn(render.run(stopped));
        talk(address, b"GET /_ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        drop(stop);
        return Ok(running.await?);
    }
    if table == "monitor" {
        let monitor = Monitor::bind(settings.monitor).await?;
        let address = monitor.http_addresses()[0];
        let running = tokio::spawn(monitor.run(stopped));
        talk(address, b"GET /api/self HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        drop(stop);
        return Ok(running.await??);
    }
    let server = Server::bind(settings.into_server()).await?;
    let (native, http) = (server.native_addresses()[0], server.http_addresses()[0]);
    let running = tokio::spawn(server.run(stopped));
    // A subscription, a message to it, and the end of the session.
    talk(native, b"\0\0\0\x02/a\0\0\0\x02/a\0\0\0\x05hello\0\0\0\0").await;
    talk(http, b"GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    drop(stop);
    running.await??;
    Ok(())
}

/// Writes this, and reads until the other side ends: at the least of a limit it may do so at once.
async fn talk(address: std::net::SocketAddr, bytes: &[u8]) {
    let talking = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(bytes).await?;
        stream.read_to_end(&mut Vec::new()).await
    };
    // An error is an answer, too.
    let _ = tokio::time::timeout(PATIENCE, talking).await.expect("an answer in time");
}

#[tokio::test]
async fn services_run_with_every_setting_at_its_bounds() {
    let mut tried = 0;
    for (table, setting) in all() {
        let Some(bounds) = (setting.bounds)() else { continue };
        let name = full_name(table, setting);
        for amount in amounts(&bounds).0 {
            let text = written(bounds.unit, amount);
            let data = tempfile::tempdir().expect("a directory");
            if let Some(settings) = with(&name, &text, data.path()) {
                runs(table, settings).await.unwrap_or_else(|error| panic!("{name} = {text}: {error:#}"));
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} were tried");
}
