//! The page where things are unusual: many tabs, slow senders, links that nobody has made by hand. In a real Chromium.

mod browser;

use browser::{
    BLUE, Browser, CPU, Collector, ESCAPE, LIVE, Look, MEMORY, STATE, Sender, blue, cell, columns, equals, past,
    pixels, pixels_above, sample,
};
use serde_json::{Value, json};
use std::time::Duration;
use switchboard_monitor::{Millis, Settings};
use tokio::time::{interval, timeout};

/// A browser without the worker that pages share.
const NO_WORKER: &str = "delete window.SharedWorker";

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn streams(collector: &Collector, wanted: u64) {
    let asking = async {
        let mut beat = interval(Duration::from_millis(20));
        while collector.get("/api/self").await["feed_clients"] != wanted {
            beat.tick().await;
        }
    };
    timeout(browser::PATIENCE, asking).await.unwrap_or_else(|_| panic!("not {wanted} streams in time"));
}

#[tokio::test]
async fn eight_tabs_are_live_and_share_one_stream() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=5m")).await;
    for _ in 0..7 {
        browser.open_tab(&collector.page("?range=5m")).await;
    }
    for tab in 0..8 {
        browser.look_at(tab).await;
        browser.until("it is live", LIVE).await;
        browser.until("it has figures", &cell("orders-1", CPU)).await;
    }
    streams(&collector, 1).await;
    browser.close().await;
}

async fn hides_and_comes_back(browser: &Browser) {
    let data = data();
    let collector = Collector::start(data.path()).await;
    browser.open(&collector.page("?range=5m")).await;
    browser.until("it is live", LIVE).await;
    streams(&collector, 1).await;
    browser.set_visible(false).await;
    streams(&collector, 0).await;
    collector.take(&past(&blue(), 20, |_| (50.0, 100.0))).await;
    browser.set_visible(true).await;
    browser.until("it is live", LIVE).await;
    browser.until("what it has missed is there", &pixels("cpu", BLUE, 0.8, 1.0)).await;
    streams(&collector, 1).await;
    collector.take(&[sample(&blue(), 0, 77.7, 123.0)]).await;
    browser.until("it hears what comes", &equals(&cell("orders-1", CPU), "'77.7'")).await;
    // Before its collector ends.
    browser.open("about:blank").await;
}

#[tokio::test]
async fn a_tab_that_nobody_looks_at_holds_no_stream_and_goes_on_when_it_is_looked_at() {
    let browser = Browser::start(Look::LIGHT).await;
    hides_and_comes_back(&browser).await;
    browser.before_each_page(NO_WORKER).await;
    hides_and_comes_back(&browser).await;
    assert_eq!(browser.run("return typeof SharedWorker").await, json!("undefined"));
    browser.close().await;
}

#[tokio::test]
async fn every_link_of_the_page_answers_without_its_scripts() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    collector.take(&past(&blue(), 60, |_| (50.0, 100.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("there is a row", &cell("orders-1", CPU)).await;
    let links = "return fetch('/').then((page) => page.text()).then((text) => Promise.all(
        [...text.matchAll(/href=\"([^\"#]+)\"/g)].map(([, link]) => fetch(link).then((answer) =>
            answer.text().then((body) => `${link} ${answer.status} ${body.length > 0}`)))))";
    let links = browser.run(links).await;
    let links: Vec<&str> = links.as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(links.iter().filter(|link| link.starts_with("/api/history.csv ")).count() == 2, "{links:?}");
    // A style sheet may be empty.
    assert!(links.iter().all(|link| link.contains(" 200 ")), "{links:?}");
    let range = browser.run("return fetch(document.querySelector('#csv').href).then((answer) => answer.text())").await;
    assert!(range.as_str().is_some_and(|csv| csv.contains("orders-1")), "{range}");
    browser.close().await;
}

#[tokio::test]
async fn a_range_that_is_none_is_passed_over() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    collector.take(&past(&blue(), 60, |_| (50.0, 100.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    for query in [
        "?from=1e300&to=1e308",
        "?from=-5000&to=-1",
        "?from=0&to=1000",
        "?from=1&to=8.64e15",
        "?from=1&to=4102444800000",
        "?from=9e15&to=9.1e15",
        "?from=9e15&to=9000000000100000",
        "?from=Infinity&to=Infinity",
        "?from=NaN&to=x",
        "?from=5000&to=5999",
        "?from=2000&to=1000",
        "?range=constructor&hide=__proto__,,&group=x&filter=&paused=1",
    ] {
        browser.open(&collector.page(query)).await;
        browser.until(&format!("{query} is live"), LIVE).await;
        browser.until("there is a row", &cell("orders-1", CPU)).await;
    }
    let now = Millis::now().0;
    let ten_years = 10 * 365 * 86_400_000_i64;
    for (from, to) in [(1, 1001), (1, ten_years), (now - ten_years, now), (now, now + 1000)] {
        browser.open(&collector.page(&format!("?from={from}&to={to}"))).await;
        browser.until("it is a range", "return document.querySelector('#link').dataset.state === 'past'").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_sender_that_is_slow_has_a_line_and_one_that_is_slower_has_points() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let every = |seconds: u32| -> Vec<Value> {
        past(&blue(), 280, |_| (50.0, 100.0)).into_iter().step_by(seconds as usize).collect()
    };
    let browser = Browser::start(Look::LIGHT).await;
    for (seconds, connected) in [(2, true), (5, true), (9, true), (20, false)] {
        let data = self::data();
        let collector = Collector::start(data.path()).await;
        collector.take(&every(seconds)).await;
        browser.open(&collector.page("?range=5m")).await;
        browser.until("something is drawn", &pixels("cpu", BLUE, 0.2, 0.8)).await;
        let covered = browser.run(&columns("cpu", BLUE, 0.3, 0.7)).await.as_f64().expect("a part");
        assert!(if connected { covered > 0.98 } else { covered > 0.0 && covered < 0.5 }, "{seconds} s: {covered}");
    }
    collector.take(&[sample(&blue(), 100, 50.0, 100.0)]).await;
    browser.open(&collector.page("?range=5m")).await;
    browser.until("a single sample is a point", &pixels("cpu", BLUE, 0.5, 0.8)).await;
    browser.close().await;
}

#[tokio::test]
async fn among_many_lines_no_peak_is_hidden() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    for number in 0..13 {
        let name = json!({ "color": "#777777", "service": "many", "instance": format!("many-{number}") });
        collector.take(&past(&name, 3000, |_| (5.0, 100.0))).await;
    }
    // One second of an hour.
    collector.take(&past(&blue(), 3000, |ago| (if ago == 1511 { 90.0 } else { 2.0 }, 10.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=1h")).await;
    browser.until("the peak is drawn", &pixels_above("cpu", BLUE, 0.3)).await;
    browser
        .until("its note says so", "return document.querySelector('#resolution').textContent.includes('maximum')")
        .await;
    browser.close().await;
}

#[tokio::test]
async fn a_range_of_the_past_has_its_own_figures_in_the_table() {
    let data = data();
    // Silent processes have no present figures.
    let patient = |settings: &mut Settings| settings.rules.silent = Duration::from_secs(600);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    collector.take(&past(&blue(), 1200, |ago| (10.0, if ago > 600 { 60.0 } else { 97.0 }))).await;
    let browser = Browser::start(Look::LIGHT).await;
    let now = Millis::now().0;
    browser.open(&collector.page(&format!("?from={}&to={}", now - 1_100_000, now - 700_000))).await;
    browser.until("it is the range's", &equals(&cell("orders-1", MEMORY), "'60.0'")).await;
    assert_eq!(browser.run(&cell("orders-1", MEMORY + 1)).await, json!("60.0"));
    browser.press(ESCAPE).await;
    browser.until("it is now's", &equals(&cell("orders-1", MEMORY), "'97.0'")).await;
    browser.close().await;
}

#[tokio::test]
async fn points_belong_together_up_to_the_silence_limit() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    assert_eq!(browser.run(include_str!("browser/connect.js")).await, json!([]));
    browser.close().await;
}

#[tokio::test]
async fn a_process_whose_clock_is_behind_says_so_in_its_row() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=5m")).await;
    let sending = async {
        let mut beat = interval(Duration::from_millis(500));
        loop {
            beat.tick().await;
            let mut sample = sample(&blue(), 5 * 3600, 50.0, 100.0);
            // As a program writes its local time that has not thought of time zones.
            let time = sample["timestamp"].as_str().expect("text").replace("+00:00", "");
            sample["timestamp"] = json!(time);
            collector.take(&[sample]).await;
        }
    };
    let says = format!("return (() => {{ {} }})().includes('its clock is 5 h behind')", cell("orders-1", STATE));
    tokio::select! {
        () = sending => {}
        _ = browser.until("it says so", &says) => {}
    }
    browser.close().await;
}

#[tokio::test]
async fn what_of_the_history_could_not_be_read_stands_at_the_foot() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    let shown = "return import('/notices.js').then((notices) => {
        notices.self({ history_damaged: 1, history_torn_bytes: 2, history_set_aside: ['/data/<b>x.damaged'], history_failed_writes: 2 });
        return document.querySelector('#self').innerText; })";
    let shown = browser.run(shown).await;
    let shown = shown.as_str().expect("text");
    assert!(shown.contains("1 place of the history could not be read, or is missing; kept as <b>x.damaged"), "{shown}");
    assert!(shown.contains("2 bytes at the ends of files were not written wholly, and are cut off"), "{shown}");
    assert!(shown.contains("2 writes to the disk failed"), "{shown}");
    browser.close().await;
}

#[tokio::test]
async fn after_a_clock_was_set_back_an_open_page_shows_what_comes() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=5m")).await;
    assert_eq!(browser.run(include_str!("browser/processes.js")).await, json!([]));
    browser.until("it has a figure", &cell("orders-1", CPU)).await;
    // The page has seen an hour of the future, as if its collector's clock had been there.
    let ahead = "const ahead = Date.now; Date.now = () => ahead() + 3_600_000; return true";
    browser.run(ahead).await;
    let none = pixels("cpu", BLUE, 0.8, 1.0).replace("return n", "return n === 0");
    browser.until("the window has moved away", &none).await;
    browser.run("Date.now = () => Date.prototype.getTime.call(new Date()); return true").await;
    browser.until("the line is drawn again", &pixels("cpu", BLUE, 0.8, 1.0)).await;
    browser.close().await;
}
