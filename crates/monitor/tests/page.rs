//! The page, in a real Chromium.

mod browser;

use browser::{
    BLUE, Browser, CPU, Collector, ESCAPE, LEFT, LIVE, Look, MEMORY, RIGHT, STATE, Sender, TOP_OF_LINKS, UP, blue,
    cell, differs, equals, orange, past, pixels, plot, sample,
};
use serde_json::{Value, json};
use std::time::Duration;
use switchboard_monitor::Settings;

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

#[tokio::test]
async fn the_first_look_says_how_to_send_and_the_first_sample_replaces_that() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("it says how", "return !document.querySelector('#empty').hidden").await;
    let command = browser.run("return document.querySelector('#first-post').textContent").await;
    assert!(command.as_str().is_some_and(|command| command.contains(&collector.page("api/samples"))), "{command}");
    let command = browser.run("return document.querySelector('#first-command').textContent").await;
    let wanted = format!("switchboard agent -s {} sleep 600", collector.page("").trim_end_matches('/'));
    assert_eq!(command, json!(wanted), "it reports to this page's collector");
    let _sender = Sender::start(collector.address, vec![blue()]);
    browser.until("there is a row", &cell("orders-1", CPU)).await;
    browser.until("the charts are there", "return document.querySelector('#empty').hidden").await;
    let asked = "return performance.getEntriesByType('resource').filter((each) => !each.name.startsWith(location.origin)).length";
    assert_eq!(browser.run(asked).await, json!(0), "it needs no server but its own");
    browser.close().await;
}

#[tokio::test]
async fn a_collector_that_has_only_itself_to_show_says_how_to_send() {
    let data = data();
    let own = |settings: &mut Settings| settings.report_as = Some("switchboard".into());
    let collector = Collector::start_with("127.0.0.1:0", data.path(), own).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("it has a line", &cell("switchboard", CPU)).await;
    browser.until("it says since when it is up", &cell("switchboard", UP)).await;
    let known = collector.get("/api/processes").await;
    assert!(known["processes"][0]["color"].as_str().is_some_and(|color| color.starts_with('#')), "{known}");
    browser.until("it says how", "return !document.querySelector('#empty').hidden").await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    browser.until("somebody else reports", "return document.querySelector('#empty').hidden").await;
    browser.close().await;
}

#[tokio::test]
async fn lines_move() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=5m")).await;
    let first = browser.until("the line is drawn", &pixels("cpu", BLUE, 0.8, 1.0)).await;
    // A line that moves and grows covers more.
    let more = pixels("cpu", BLUE, 0.8, 1.0).replace("return n", &format!("return n > {first} + 3"));
    browser.until("the line grows", &more).await;
    let shown = browser.until("it has a figure", &cell("orders-1", CPU)).await;
    browser.until("the figure changes", &differs(&cell("orders-1", CPU), &shown)).await;
    browser.close().await;
}

#[tokio::test]
async fn opened_late_it_shows_the_past_hour_at_once_and_again_after_a_reload() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    collector.take(&past(&blue(), 3500, |ago| (40.0 + f64::from(ago % 60), 100.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    for _ in 0..2 {
        for (from, to) in [(0.1, 0.2), (0.45, 0.55), (0.9, 0.97)] {
            browser.until("the hour is there", &pixels("cpu", BLUE, from, to)).await;
            browser.until("the hour is there", &pixels("mem", BLUE, from, to)).await;
        }
        browser.reload().await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_restart_of_the_collector_is_survived() {
    let data = data();
    // An address of its own: no other test's connection can have taken the port meanwhile.
    let collector = Collector::start_with("127.26.26.26:0", data.path(), |_| {}).await;
    let address = collector.address.to_string();
    collector.take(&past(&blue(), 1800, |_| (50.0, 100.0))).await;
    let sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("it is live", LIVE).await;
    browser.until("the past is there", &pixels("cpu", BLUE, 0.55, 0.7)).await;
    collector.stop().await;
    browser.until("it says so", "return document.querySelector('#link').dataset.state === 'away'").await;
    drop(sender);
    let collector = Collector::start_with(&address, data.path(), |_| {}).await;
    browser.until("it is live again", LIVE).await;
    browser.until("it is silent", &equals(&cell("orders-1", CPU), "'–'")).await;
    collector.take(&[sample(&blue(), 0, 77.7, 123.0)]).await;
    browser.until("what comes is shown", &equals(&cell("orders-1", CPU), "'77.7'")).await;
    assert_ne!(browser.run(&pixels("cpu", BLUE, 0.55, 0.7)).await, json!(0), "the past is still there");
    // A connection that is refused is the browser's to tell, and all that it may tell.
    for line in browser.console().await {
        assert!(line.contains("net::ERR_"), "{line}");
    }
    browser.close().await;
}

#[tokio::test]
async fn dragging_zooms_and_the_address_keeps_it_and_back_returns() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    collector.take(&past(&blue(), 3500, |ago| (40.0 + f64::from(ago % 60), 100.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("the line is drawn", &pixels("cpu", BLUE, 0.2, 0.9)).await;
    browser.drag(&plot("cpu"), 0.25, 0.5).await;
    browser.until("the address has it", "return location.search.includes('from=')").await;
    let span = "const q = new URLSearchParams(location.search); return (q.get('to') - q.get('from')) / 60000";
    let minutes = browser.run(span).await.as_f64().expect("a number");
    assert!((14.0..16.0).contains(&minutes), "a quarter of an hour, not {minutes} minutes");
    browser.until("it says so", "return document.querySelector('#link').dataset.state === 'past'").await;
    browser.until("the part is drawn", &pixels("cpu", BLUE, 0.1, 0.9)).await;
    browser.reload().await;
    browser.until("it is the same part", "return document.querySelector('#link').dataset.state === 'past'").await;
    assert_eq!(browser.run(span).await.as_f64(), Some(minutes));
    browser.back().await;
    browser.until("it is live again", LIVE).await;
    browser.close().await;
}

#[tokio::test]
async fn the_keyboard_pauses_zooms_pans_and_returns() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("there is a row", &cell("orders-1", CPU)).await;
    browser.until("it is live", LIVE).await;
    browser.press(" ").await;
    browser.until("it is paused", "return document.querySelector('#link').textContent === 'paused'").await;
    let address = browser.run("return location.search").await;
    // Usage go on, the window does not.
    let shown = browser.run(&cell("orders-1", CPU)).await;
    browser.until("the figure changes", &differs(&cell("orders-1", CPU), &shown)).await;
    assert_eq!(browser.run("return location.search").await, address);
    browser.press("+").await;
    browser.until("it is zoomed", "return !location.search.includes('paused')").await;
    let from = "return Number(new URLSearchParams(location.search).get('from'))";
    let zoomed = browser.run(from).await;
    browser.press(LEFT).await;
    browser.until("it is earlier", &format!("{from} < {zoomed}")).await;
    browser.press(RIGHT).await;
    browser.until("it is where it was", &format!("{from} === {zoomed}")).await;
    browser.press(ESCAPE).await;
    browser.until("Escape returns", LIVE).await;
    browser.close().await;
}

#[tokio::test]
async fn a_hostile_name_does_nothing() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let hostile = r#""><script>window.hit = 1</script><img src=x onerror=window.hit=1>"#;
    let names = vec![
        json!({ "color": hostile }),
        json!({ "color": "red; background: url(//127.0.0.1:1/x)", "service": hostile, "instance": "b" }),
        json!({ "color": "url(http://127.0.0.1:1/x)", "service": "s", "instance": hostile, "version": hostile }),
        json!({ "color": "var(--bad)", "service": "__proto__", "instance": "constructor" }),
    ];
    let _sender = Sender::start(collector.address, names);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("it is text", &cell(hostile, CPU)).await;
    browser.until("all are there", "return document.querySelectorAll('#rows tr').length === 4").await;
    browser.open(&collector.page("?group=service&filter=%22%3E%3Cscript%3E&hide=%22%3E%3Cscript%3E")).await;
    browser
        .until("it is grouped", "return document.querySelector('#rows tr th')?.textContent.includes('<script>')")
        .await;
    assert_eq!(browser.run("return window.hit ?? null").await, Value::Null);
    assert_eq!(browser.run("return document.querySelectorAll('main script, main img').length").await, json!(0));
    browser.close().await;
}

#[tokio::test]
async fn a_hidden_line_and_a_group_stay_so_in_the_address() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue(), orange()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=5m")).await;
    browser.until("the line is drawn", &pixels("cpu", BLUE, 0.8, 1.0)).await;
    browser.until("there are two", &cell("orders-2", CPU)).await;
    browser.click("button[aria-label='Draw orders-1']").await;
    browser.until("it is gone", &pixels("cpu", BLUE, 0.1, 1.0).replace("return n", "return n === 0")).await;
    browser.reload().await;
    let hidden = "return document.querySelector(\"button[aria-label='Draw orders-1']\")?.getAttribute('aria-pressed') === 'false'";
    browser.until("it stays hidden", hidden).await;
    browser
        .run("const s = document.querySelector('#group'); s.value = 'service'; s.dispatchEvent(new Event('change'))")
        .await;
    browser.until("there is one line", "return document.querySelector('#rows').innerText.includes('orders (2)')").await;
    browser.reload().await;
    browser.until("there is one line", "return document.querySelector('#rows').innerText.includes('orders (2)')").await;
    browser.close().await;
}

#[tokio::test]
async fn of_too_many_lines_those_that_use_most_are_drawn_and_another_one_with_its_past_when_there_is_room() {
    let data = data();
    // Silent processes use nothing.
    let silent = Duration::from_secs(600);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), |settings| settings.rules.silent = silent).await;
    for number in 0..40 {
        let name = json!({ "color": "#777777", "service": "many", "instance": format!("many-{number}") });
        collector.take(&past(&name, 5, |_| (90.0, 100.0))).await;
    }
    collector.take(&past(&blue(), 800, |ago| (1.0 + f64::from(ago % 3), 10.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=15m")).await;
    browser.until("it says so", "return document.querySelector('#few').textContent.startsWith('40 of 41 ')").await;
    browser.until("they are drawn", &pixels("cpu", [119, 119, 119], 0.9, 1.0)).await;
    assert_eq!(browser.run(&pixels("cpu", BLUE, 0.1, 1.0)).await, json!(0));
    browser.click("button[aria-label='Draw many-7']").await;
    browser.until("the other one is drawn", &pixels("cpu", BLUE, 0.2, 0.5)).await;
    browser.close().await;
}

#[tokio::test]
async fn columns_keep_what_they_are_told() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    assert_eq!(browser.run(include_str!("browser/columns.js")).await, json!([]));
    browser.close().await;
}

#[tokio::test]
async fn a_silent_process_raises_an_alarm_and_is_drawn() {
    let data = data();
    let silent = Duration::from_secs(2);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), |settings| settings.rules.silent = silent).await;
    let sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("?range=5m")).await;
    browser.until("there is a row", &cell("orders-1", CPU)).await;
    drop(sender);
    browser.until("there is an alarm", "return document.querySelector('#alarms').innerText.includes('orders-1')").await;
    browser
        .until("the row says so", &format!("return (() => {{ {} }})().startsWith('silent')", cell("orders-1", STATE)))
        .await;
    browser.until("it is an event", "return document.querySelector('#events').innerText.includes('orders-1')").await;
    // The color of alarms.
    browser.until("it is drawn", &pixels("cpu", [179, 38, 30], 0.7, 1.0)).await;
    browser.close().await;
}

#[tokio::test]
async fn a_restart_and_a_leak_are_told_and_drawn() {
    let data = data();
    // On a busy machine they would be silent before anybody looks.
    let patient = |settings: &mut Settings| settings.rules.silent = Duration::from_secs(600);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    let named = |name: Value, pid: u32| {
        let mut name = name;
        name["pid"] = json!(pid);
        name
    };
    // A leak is judged over hours.
    const LONG: u32 = 6 * 3600;
    let mut leaking = past(&orange(), LONG, |ago| (10.0, 100.0 + f64::from(LONG - ago) / 60.0));
    // The newest is the last.
    leaking.reverse();
    leaking = leaking.into_iter().step_by(5).collect();
    leaking.reverse();
    collector.take(&leaking).await;
    let old = past(&named(blue(), 1), 900, |_| (30.0, 60.0));
    collector.take(&old[..600]).await;
    collector.take(&past(&named(blue(), 2), 290, |_| (30.0, 60.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser
        .until("the leak is an alarm", "return document.querySelector('#alarms').innerText.includes('orders-2')")
        .await;
    browser
        .until("its row says so", &format!("return (() => {{ {} }})().startsWith('leaks 60')", cell("orders-2", STATE)))
        .await;
    browser.until("it is drawn", &pixels("mem", [179, 38, 30], 0.7, 1.0)).await;
    browser
        .until("the restart is told", "return document.querySelector('#events').innerText.includes('restarted')")
        .await;
    // Its line, dashed from top to bottom, is where the line of the process is not.
    let above = pixels("cpu", BLUE, 0.85, 1.0).replace("c.height * 1)", "c.height / 4)");
    browser.until("it is drawn", &above).await;
    browser.close().await;
}

#[tokio::test]
async fn the_table_is_one_for_screen_readers_and_does_not_chatter() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue(), orange()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("there are two", &cell("orders-2", MEMORY)).await;
    let well = "const table = document.querySelector('#processes');
        return table.caption.textContent.includes('2 processes')
            && [...table.querySelectorAll('thead th')].every((head) => head.scope === 'col' && head.textContent)
            && [...table.querySelectorAll('tbody tr')].every((row) => row.querySelector('th').scope === 'row')
            && !table.closest('[aria-live], [role=status], [role=alert], [role=log]')
            && [...document.querySelectorAll('button, select, input')].every((part) =>
                part.textContent.trim() || part.labels?.length || part.getAttribute('aria-label'))";
    assert_eq!(browser.run(well).await, json!(true));
    browser.close().await;
}

#[tokio::test]
async fn a_phone_needs_no_scrolling_sideways_and_a_swipe_pans() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let long = json!({ "color": "teal", "service": "x".repeat(128), "instance": "y".repeat(128) });
    let _sender = Sender::start(collector.address, vec![blue(), long]);
    let browser = Browser::start(Look::PHONE).await;
    browser.open(&collector.page("")).await;
    browser.until("there is a row", &cell("orders-1", CPU)).await;
    let widths = browser.run("return [document.documentElement.scrollWidth, innerWidth]").await;
    assert_eq!(widths, json!([360, 360]));
    assert_eq!(browser.run(TOP_OF_LINKS).await, json!(Look::PHONE.links_top()));
    browser.swipe(&plot("cpu"), 0.3, 0.7).await;
    browser.until("a swipe leads to the past", "return document.querySelector('#link').dataset.state === 'past'").await;
    browser.close().await;
}

/// Pictures for the documentation, by `scripts/screenshots`.
#[tokio::test]
async fn pictures_can_be_taken_at_every_width_in_light_and_in_dark() {
    let names =
        [("orders-1", "orders", "#1f77b4"), ("orders-2", "orders", "#c2410c"), ("mailer-1", "mailer", "#2a9d3f")];
    let names = names.map(|(instance, service, color)| {
        json!({ "color": color, "service": service, "instance": instance, "version": "1.4.2" })
    });
    let figures = |at: usize, ago: u32| {
        let (at, t) = (at as f64, f64::from(ago));
        let noise = f64::from(ago.wrapping_mul(2_654_435_761) >> 16) / 65_536.0;
        let cpu = 18.0 + 17.0 * at + (9.0 + at) * (t / (180.0 + 70.0 * at)).sin() + 6.0 * noise * noise;
        let leak = if at == 1.0 { (3550.0 - t) / 90.0 } else { 0.0 };
        (cpu, 90.0 + 45.0 * at + 4.0 * (t / 400.0).sin() + leak)
    };
    let data = data();
    // Between two pictures a busy machine takes longer than a silence.
    let patient = |settings: &mut Settings| settings.rules.silent = Duration::from_secs(600);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    for (at, name) in names.iter().enumerate() {
        collector.take(&past(name, 3550, |ago| figures(at, ago))).await;
    }
    // The one in the pictures has received nothing that was an hour old.
    collector.stop().await;
    let services = switchboard_monitor::WebOptions::default();
    let shown = services.services.clone();
    let with_links = |settings: &mut Settings| {
        patient(settings);
        settings.web = services;
    };
    let collector = Collector::start_with("127.0.0.1:0", data.path(), with_links).await;
    Look::pages("monitor", collector.address).for_each(|(name, address)| shown.set_page(name, &[address]));
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    for (picture, look) in Look::PICTURES {
        let browser = Browser::start(look).await;
        browser.open(&collector.page("")).await;
        browser.until("it is live", LIVE).await;
        // As late as it arrives: the start of a browser is no part of the lag that the page tells.
        let now: Vec<Value> =
            names.iter().enumerate().map(|(at, name)| sample(name, 0, figures(at, 0).0, figures(at, 0).1)).collect();
        collector.take(&now).await;
        browser.until("there is a row", &equals(&cell("mailer-1", STATE), "'live'")).await;
        browser.until("it has figures", &differs(&cell("mailer-1", CPU), &json!("–"))).await;
        browser.until("the line is drawn", &pixels("cpu", BLUE, 0.1, 0.9)).await;
        browser.until("the strip is there", "return document.querySelector('#self').textContent !== ''").await;
        assert_eq!(browser.run(wide).await, json!(0), "{look:?} scrolls sideways");
        assert_eq!(browser.run(TOP_OF_LINKS).await, json!(look.links_top()), "{picture}");
        browser.picture(&format!("monitor/{picture}")).await;
        browser.close().await;
    }
}
