//! Lines, events and the table of the page, at the widths and numbers at which they were unclear.

mod browser;

use browser::{Browser, CPU, Collector, Look, STATE, cell, equals, past, plot};
use serde_json::{Value, json};
use std::time::Duration;
use switchboard_monitor::Settings;

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// A process that has reported once counts as live for the whole test.
fn patient(settings: &mut Settings) {
    settings.rules.silent = Duration::from_secs(600);
}

/// The stroke and the dashes of each line, by its name.
const STYLES: &str = "return Object.fromEntries([...document.querySelectorAll('#rows tr')].map((row) => {
    const line = row.querySelector('line');
    return [row.querySelector('th').textContent, `${line.getAttribute('stroke')} ${line.getAttribute('stroke-dasharray')}`];
}))";

fn rows(number: usize) -> String {
    format!("return document.querySelectorAll('#rows tr').length === {number}")
}

#[tokio::test]
async fn lines_of_one_color_differ_in_their_dashes_however_many_there_are() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    for number in 0..13 {
        let name = json!({ "color": "teal", "service": "s", "instance": format!("s-{number}") });
        collector.take(&past(&name, 3, |_| (5.0, 50.0))).await;
    }
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("all are there", &rows(13)).await;
    let styles = browser.run(STYLES).await;
    let styles: std::collections::BTreeSet<String> =
        styles.as_object().expect("rows").values().map(Value::to_string).collect();
    assert_eq!(styles.len(), 13, "{styles:?}");
    let all = "return import('/color.js').then(({ dashOf }) =>
        new Set(Array.from({ length: 200 }, (_, at) => JSON.stringify(dashOf(at)))).size)";
    assert_eq!(browser.run(all).await, json!(200));
    browser.close().await;
}

#[tokio::test]
async fn a_line_keeps_its_color_when_others_come_and_end_and_whatever_is_shown() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    // Agents take their color from the palette, by chance: here all of them the same.
    let name = |instance: &str| json!({ "color": "#1f77b4", "service": "s", "instance": instance });
    for (instance, seconds) in [("first", 60), ("second", 50), ("third", 40)] {
        collector.take(&past(&name(instance), seconds, |_| (5.0, 50.0))).await;
    }
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("three", &rows(3)).await;
    let before = browser.run(STYLES).await;
    let mut end = past(&name("first"), 20, |_| (5.0, 50.0)).remove(0);
    end["timestamp"] = json!(switchboard_monitor::Millis::now().to_string());
    end["ended"] = json!(0);
    collector.take(&[end]).await;
    collector.until("first", |process| process["state"] == "gone").await;
    for instance in ["a", "z"] {
        collector.take(&past(&name(instance), 1, |_| (5.0, 50.0))).await;
    }
    for query in ["", "?filter=second", "?range=5m"] {
        browser.open(&collector.page(query)).await;
        let number = if query == "?filter=second" { 1 } else { 5 };
        browser.until("they are there", &rows(number)).await;
        let after = browser.run(STYLES).await;
        for (instance, style) in after.as_object().expect("rows") {
            let known = before.get(instance).unwrap_or(style);
            assert_eq!(style, known, "{instance} {query:?}");
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn many_events_of_one_service_are_one_line_that_can_be_opened() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    let with_pid = |instance: &str, pid: u32| json!({ "service": "s", "instance": instance, "pid": pid });
    let restarts = |instance: &str, number: u32| {
        let samples = past(&with_pid(instance, 0), number + 1, |_| (5.0, 50.0));
        samples.into_iter().zip(0..).map(|(mut sample, pid)| {
            sample["pid"] = json!(pid + 1);
            sample
        })
    };
    collector.take(&restarts("s-1", 3).collect::<Vec<_>>()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    let lines = "return [document.querySelectorAll('#events > li').length, document.querySelectorAll('#events details').length]";
    browser.until("each of few", &format!("return (() => {{ {lines} }})().join() === '3,0'")).await;
    collector.take(&restarts("s-2", 1).collect::<Vec<_>>()).await;
    browser.reload().await;
    browser.until("one line", &format!("return (() => {{ {lines} }})().join() === '1,1'")).await;
    let summary = "return /^s 4 restarts since \\d\\d:/.test(document.querySelector('#events summary').textContent)";
    assert_eq!(browser.run(summary).await, json!(true));
    browser.click("#events summary").await;
    let shown =
        "return [...document.querySelectorAll('#events details li')].filter((line) => line.checkVisibility()).length";
    browser.until("each of them", &format!("{shown} === 4")).await;
    browser.close().await;
}

#[tokio::test]
async fn the_state_and_all_figures_are_inside_at_900_with_long_names() {
    let data = data();
    let silent = |settings: &mut Settings| settings.rules.silent = Duration::from_secs(3);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), silent).await;
    let name = json!({ "service": "s".repeat(128), "instance": "i".repeat(128), "version": "v".repeat(128) });
    collector.take(&past(&name, 5, |_| (512.5, 12_345.0))).await;
    let browser = Browser::start(Look::LIGHT.width(900)).await;
    browser.open(&collector.page("")).await;
    let row = "i".repeat(128);
    browser.until("it is silent", &format!("return (() => {{ {} }})().startsWith('silent')", cell(&row, STATE))).await;
    let fits = "const box = document.querySelector('.scroll'); return box.scrollWidth <= box.clientWidth";
    assert_eq!(browser.run(fits).await, json!(true));
    browser.close().await;
}

#[tokio::test]
async fn on_a_phone_five_minutes_have_several_labels_and_the_grouping_says_what_it_is() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    collector.take(&past(&json!({ "service": "s", "instance": "s-1" }), 290, |_| (5.0, 50.0))).await;
    let browser = Browser::start(Look::PHONE.width(390)).await;
    // Texts of a chart are pixels: they are noted when they are drawn.
    browser
        .before_each_page(
            "const fill = CanvasRenderingContext2D.prototype.fillText; window.labels = new Set();
             CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
                 labels.add(text); return fill.call(this, text, ...at); };",
        )
        .await;
    let now = switchboard_monitor::Millis::now().0;
    browser.open(&collector.page(&format!("?from={}&to={now}", now - 300_000))).await;
    browser.until("a figure", &equals(&cell("s-1", CPU), "'5.0'")).await;
    let times = "return [...labels].filter((label) => /^\\d\\d:\\d\\d$/.test(label)).length";
    browser.until("labels", &format!("return (() => {{ {times} }})() >= 2")).await;
    let label = "return parseFloat(getComputedStyle(document.querySelector('.group')).fontSize) >= 12";
    assert_eq!(browser.run(label).await, json!(true));
    browser.close().await;
}

#[tokio::test]
async fn the_values_at_the_cursor_are_inside_on_a_phone_and_have_the_dashes_of_their_lines() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    for number in 0..9 {
        let instance = format!("billing-of-the-northern-and-southern-branches-{number}");
        let name = json!({ "color": "teal", "service": "s", "instance": instance });
        collector.take(&past(&name, 240, |_| (5.0, 50.0))).await;
    }
    let now = switchboard_monitor::Millis::now().0;
    for width in [390, 320] {
        let browser = Browser::start(Look::PHONE.width(width)).await;
        browser.open(&collector.page(&format!("?from={}&to={now}", now - 200_000))).await;
        browser.until("all are there", &rows(9)).await;
        for part in [0.3, 0.49, 0.51, 0.9] {
            browser.swipe(&plot("cpu"), part, part).await;
            browser.until("the list", "return document.querySelector('#cpu .legend li') !== null").await;
            let outside = "const { left, right } = document.querySelector('#cpu .legend').getBoundingClientRect();
                return [document.documentElement.scrollWidth <= innerWidth, left >= 0, right <= innerWidth]";
            assert_eq!(browser.run(outside).await, json!([true, true, true]), "{width}: the cursor at {part}");
        }
        let dashes = "const of = (selector) => [...document.querySelectorAll(selector)].map((line) => line.getAttribute('stroke-dasharray'));
            const [list, all] = [of('#cpu .legend line'), of('#rows .toggle line')];
            return list.length === 9 && new Set(list).size === 9 && list.every((dash) => all.includes(dash))";
        assert_eq!(browser.run(dashes).await, json!(true));
        browser.close().await;
    }
}

#[tokio::test]
async fn the_line_that_is_meant_is_the_nearest_one_in_the_chart_under_the_pointer() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    // At one height there is one of them in the upper chart, and the other one in the lower chart.
    for (instance, cpu, memory) in [("busy", 80.0, 10.0), ("large", 10.0, 80.0)] {
        collector.take(&past(&json!({ "service": "s", "instance": instance }), 580, |_| (cpu, memory))).await;
    }
    let now = switchboard_monitor::Millis::now().0;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page(&format!("?from={}&to={now}", now - 200_000))).await;
    browser.until("both are there", &rows(2)).await;
    let meant = "[document.querySelector('#rows [data-focus=\"true\"] th')?.textContent,
        ...[...document.querySelectorAll('.readout')].map((words) => words.textContent.split(' ')[0]),
        ...[...document.querySelectorAll('.legend [data-meant=\"true\"] span')].map((name) => name.textContent)].join()";
    // A range that has moved is drawn in the next frame.
    let moves = "window.drawn = false; document.querySelector('#earlier').click();
        requestAnimationFrame(() => requestAnimationFrame(() => { window.drawn = true; }))";
    for (chart, name) in [("cpu", "busy"), ("mem", "large")] {
        browser.hover(&plot(chart), 0.5, 0.2).await;
        let all = format!("return {meant} === '{}'", [name; 5].join(","));
        browser.until("it is named everywhere", &all).await;
        browser.run(moves).await;
        browser.until("drawn anew", "return window.drawn").await;
        assert_eq!(browser.run(&all).await, json!(true), "{:?}", browser.run(&format!("return {meant}")).await);
    }
    browser.close().await;
}

#[tokio::test]
async fn the_values_at_the_cursor_are_inside_of_their_chart_and_narrow_however_long_the_names_are() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    for number in 0..20 {
        let name = json!({ "service": "s", "instance": format!("{number}-{}", "n".repeat(70)) });
        collector.take(&past(&name, 240, |_| (f64::from(number), 50.0))).await;
    }
    let now = switchboard_monitor::Millis::now().0;
    let browser = Browser::start(Look::LIGHT.height(700)).await;
    browser.open(&collector.page(&format!("?from={}&to={now}", now - 200_000))).await;
    browser.until("all are there", &rows(20)).await;
    browser.hover(&plot("cpu"), 0.5, 0.1).await;
    browser.until("the list", "return document.querySelector('#cpu .legend li') !== null").await;
    let inside = "const [list, box] = ['#cpu .legend', '#cpu'].map((part) => document.querySelector(part).getBoundingClientRect());
        return [list.bottom <= box.bottom, list.width <= 200]";
    assert_eq!(browser.run(inside).await, json!([true, true]));
    let last = "return document.querySelector('#cpu .legend li:last-child').textContent";
    assert_eq!(browser.run(last).await, json!("and 13 more"), "170 pixels have eight rows");
    browser.close().await;
}
