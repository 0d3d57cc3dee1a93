//! A person's use of the page, in a real Chromium.

mod browser;

use browser::{
    BLUE, Browser, CPU, Collector, LIVE, Look, MEMORY, STATE, Sender, blue, cell, differs, equals, orange, past,
    pixels, plot,
};
use serde_json::{Value, json};
use std::time::Duration;
use switchboard_monitor::Settings;

fn data() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

/// Silent processes have no present figures, and a busy machine takes its time.
fn patient(settings: &mut Settings) {
    settings.rules.silent = Duration::from_secs(600);
}

fn named(instance: &str) -> Value {
    json!({ "service": "orders", "instance": instance })
}

/// The names in the table, from the first row on.
const NAMES: &str = "return [...document.querySelectorAll('#rows th')].map((name) => name.textContent).join()";

fn heading(column: usize) -> String {
    format!("thead th:nth-child({column}) button")
}

#[tokio::test]
async fn the_table_is_sorted_by_a_click_and_the_address_keeps_that() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    for (name, cpu, mem) in [("a-1", 5.0, 300.0), ("a-2", 50.0, 100.0), ("a-10", 20.0, 200.0)] {
        collector.take(&past(&named(name), 5, |_| (cpu, mem))).await;
    }
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("by name at first", &equals(NAMES, "'a-1,a-2,a-10'")).await;
    let sorted = "return document.querySelector('thead th[aria-sort=descending]')?.textContent ?? ''";
    for (column, wanted) in [(CPU + 1, "'a-2,a-10,a-1'"), (MEMORY + 1, "'a-1,a-10,a-2'")] {
        browser.click(&heading(column)).await;
        browser.until("the greatest first", &equals(NAMES, wanted)).await;
        browser.reload().await;
        browser.until("it stays so", &equals(NAMES, wanted)).await;
    }
    browser.until("it says so", &equals(sorted, "'Memory MB'")).await;
    browser.click(&heading(MEMORY + 1)).await;
    browser.until("the least first", &equals(NAMES, "'a-2,a-10,a-1'")).await;
    browser.click(&heading(MEMORY + 1)).await;
    browser.until("as at first", &equals(NAMES, "'a-1,a-2,a-10'")).await;
    assert_eq!(browser.run("return location.search").await, json!(""));
    browser.close().await;
}

#[tokio::test]
async fn the_table_has_the_values_under_the_cursor() {
    let data = data();
    // Not patient: points that are farther apart do not belong together.
    let collector = Collector::start(data.path()).await;
    let now = switchboard_monitor::Millis::now().0;
    collector.take(&past(&blue(), 580, |ago| (if ago > 300 { 80.0 } else { 20.0 }, 100.0))).await;
    collector.take(&past(&orange(), 200, |_| (10.0, 50.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    // The history keeps figures of this size to a part of a percent.
    let begins = |digit: &str| format!("return (() => {{ {} }})().startsWith('{digit}')", cell("orders-1", CPU));
    browser.open(&collector.page(&format!("?from={}&to={now}", now - 600_000))).await;
    browser.until("the range's last", &begins("2")).await;
    browser.hover(&plot("cpu"), 0.25, 0.5).await;
    browser.until("there", &begins("8")).await;
    assert_eq!(browser.run(&cell("orders-1", MEMORY)).await, json!("100"));
    assert_eq!(browser.run(&cell("orders-2", CPU)).await, json!("–"), "it was not there");
    let beside =
        |kind: &str| format!("return document.querySelector('#{kind} .legend').innerText.replaceAll('\\n', ' ')");
    browser
        .until("beside the cursor", &format!("return (() => {{ {} }})().startsWith('orders-1 8')", beside("cpu")))
        .await;
    assert_eq!(browser.run(&beside("mem")).await, json!("orders-1 100"), "one that was not there is not listed");
    browser.until("when that was", "return document.querySelector('#at').textContent.startsWith('at ')").await;
    browser.hover("h1", 0.5, 0.5).await;
    browser.until("the last ones again", &begins("2")).await;
    assert_eq!(browser.run("return document.querySelectorAll('.legend:not([hidden])').length").await, json!(0));
    assert_eq!(browser.run("return document.querySelector('#at').textContent").await, json!(""));
    browser.close().await;
}

#[tokio::test]
async fn a_filter_that_nothing_matches_says_so_and_events_are_filtered_too() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    let with_pid = |name: Value, pid: u32| {
        let mut name = name;
        name["pid"] = json!(pid);
        name
    };
    collector.take(&past(&with_pid(blue(), 1), 60, |_| (50.0, 100.0))[..30]).await;
    collector.take(&past(&with_pid(blue(), 2), 25, |_| (50.0, 100.0))).await;
    collector.take(&past(&orange(), 25, |_| (50.0, 100.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    let events = "return document.querySelector('#events').innerText";
    browser.until("the restart is told", &format!("{events}.includes('orders-1')")).await;
    let filter = |text: &str| {
        format!(
            "const f = document.querySelector('#filter'); f.value = '{text}'; f.dispatchEvent(new Event('input')); return true"
        )
    };
    browser.run(&filter("orders-2")).await;
    browser.until("its events are none", &equals(events, "'None.'")).await;
    browser.run(&filter("nobody")).await;
    let few = "return document.querySelector('#few').textContent";
    browser.until("it says so", &equals(few, "'No process matches the filter.'")).await;
    let charts = "return [...document.querySelectorAll('.plot canvas')].filter((chart) => chart.checkVisibility() && chart.clientWidth > 400).length";
    assert_eq!(browser.run(charts).await, json!(0), "charts of nothing");
    browser.run(&filter("")).await;
    browser.until("they are there again, in their width", &equals(charts, "2")).await;
    browser.close().await;
}

#[tokio::test]
async fn at_first_as_much_is_shown_as_there_is_and_a_zoom_of_what_is_live_stays_live() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    // Several heights: at one of them a pixel has the color of the line alone.
    collector.take(&past(&blue(), 540, |ago| (40.0 + f64::from(ago / 5 % 9), 100.0))).await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("its line begins at the left", &pixels("cpu", BLUE, 0.07, 0.15)).await;
    let chosen = "return document.querySelector('#ranges [aria-pressed=true]')?.textContent ?? 'none'";
    browser.until("no range is as long as that", &equals(chosen, "'none'")).await;
    browser.press("+").await;
    browser.until("a shorter range", "return location.search === '?range=5m'").await;
    browser.until("it is live", LIVE).await;
    browser.press("-").await;
    browser.until("a longer range", "return location.search === '?range=15m'").await;
    browser.until("it is marked", &equals(chosen, "'15m'")).await;
    browser.until("the past is empty", &pixels("cpu", BLUE, 0.07, 0.3).replace("return n", "return n === 0")).await;
    browser.until("it is live", LIVE).await;
    browser.open(&collector.page("?range=5m")).await;
    browser.until("it is live", LIVE).await;
    browser.press("+").await;
    let ends = "const q = new URLSearchParams(location.search); return [q.get('to') - q.get('from'), Date.now() - q.get('to')]";
    browser.until("a range that ends now", "return location.search.includes('to=')").await;
    let ends: Vec<f64> = serde_json::from_value(browser.run(ends).await).expect("two numbers");
    assert!((ends[0] - 150_000.0).abs() < 2.0, "{ends:?}");
    browser.close().await;
}

#[tokio::test]
async fn many_alarms_are_one_line_and_can_be_dismissed_until_there_is_another_one() {
    let data = data();
    let silent = Duration::from_secs(3);
    let collector = Collector::start_with("127.0.0.1:0", data.path(), |settings| settings.rules.silent = silent).await;
    for number in 0..9 {
        collector.take(&past(&named(&format!("many-{number}")), 3, |_| (5.0, 50.0))).await;
    }
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    let lines = "return document.querySelectorAll('#alarms li').length";
    browser.until("all are silent", "return document.querySelector('#alarms').innerText.includes('9 processes')").await;
    assert_eq!(browser.run(lines).await, json!(1));
    browser.click("#alarms li button").await;
    browser.until("each is named", &equals(lines, "10")).await;
    browser.click("#alarms li:first-child button:last-child").await;
    browser.until("they are dismissed", &equals(lines, "0")).await;
    browser.until("their number stays", "return document.title.startsWith('(9)')").await;
    collector.take(&past(&named("another"), 3, |_| (5.0, 50.0))).await;
    browser
        .until("another one is told", "return document.querySelector('#alarms').innerText.includes('another')")
        .await;
    assert_eq!(browser.run(lines).await, json!(1));
    browser.close().await;
}

#[tokio::test]
async fn one_that_lives_has_a_solid_line_in_a_color_of_its_own() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    // As agents choose them: from the palette, by chance.
    let colored = |instance: &str| json!({ "color": "#1f77b4", "service": "s", "instance": instance });
    let mut ended = colored("ended");
    ended["ended"] = json!(0);
    collector.take(&past(&ended, 1, |_| (1.0, 1.0))).await;
    let _sender = Sender::start(collector.address, vec![colored("one"), colored("two")]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    let strokes = "const of = (name) => [...document.querySelectorAll('#rows tr')]
            .find((row) => row.querySelector('th').textContent === name)?.querySelector('line');
        const [one, two] = [of('one'), of('two')];
        return one && two && [one, two].every((line) => line.getAttribute('stroke-dasharray') === '')
            && one.getAttribute('stroke') !== two.getAttribute('stroke')";
    browser.until("both are solid, and differ", strokes).await;
    browser.close().await;
}

#[tokio::test]
async fn an_axis_ends_with_a_tick_above_the_highest_value() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    let wrong = "return import('/charts.js').then(({ scale }) => [0, 0.003, 0.1, 1, 9.4, 9.6, 99, 136, 1000, 98765].filter((high) => {
        const { most, ticks } = scale(high);
        const step = ticks[1];
        const even = ticks.every((tick, at) => Math.abs(tick - at * step) < 1e-9 * most);
        return !(ticks[0] === 0 && ticks.at(-1) === most && most > high && (high === 0 || most <= 2 * high) && even && ticks.length <= 6);
    }))";
    assert_eq!(browser.run(wrong).await, json!([]));
    browser.close().await;
}

#[tokio::test]
async fn long_texts_of_a_sender_are_cut_and_whole_in_a_tooltip() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let (service, version) = ("s".repeat(128), "v".repeat(128));
    let name = json!({ "service": service, "instance": "i".repeat(128), "version": version });
    collector.take(&past(&name, 5, |_| (5.0, 50.0))).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("there is a row", "return document.querySelectorAll('#rows tr').length === 1").await;
    let titles = "return [...document.querySelectorAll('#rows td.text')].map((cell) => cell.title)";
    assert_eq!(browser.run(titles).await, json!([service, version]));
    let fits = "const box = document.querySelector('.scroll'); return box.scrollWidth <= box.clientWidth";
    assert_eq!(browser.run(fits).await, json!(true));
    browser.close().await;
}

#[tokio::test]
async fn under_the_pointer_nothing_moves() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue(), orange()]);
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("there are two", &cell("orders-2", CPU)).await;
    let top = "return document.querySelector('#processes').getBoundingClientRect().top";
    let before = browser.run(top).await;
    browser.hover(&plot("cpu"), 0.9, 0.5).await;
    browser.until("it says what is there", "return document.querySelector('#cpu-readout').textContent !== ''").await;
    assert_eq!(browser.run(&differs(top, &before)).await, json!(false));
    browser.close().await;
}

#[tokio::test]
async fn the_page_has_the_colors_of_the_common_theme_and_its_own_rules_come_after() {
    let data = data();
    let collector = Collector::start(data.path()).await;
    for (look, back) in [(Look::LIGHT, "rgb(247, 248, 249)"), (Look::DARK, "rgb(17, 23, 26)")] {
        let browser = Browser::start(look).await;
        browser.open(&collector.page("")).await;
        let of_body = |property: &str| format!("return getComputedStyle(document.body).{property}");
        browser.until("the theme's color", &equals(&of_body("backgroundColor"), &format!("'{back}'"))).await;
        assert_eq!(browser.run(&of_body("maxWidth")).await, json!("1440px"));
        let sheets = "return [...document.styleSheets].map((sheet) => sheet.href.split('/').pop()).join()";
        assert_eq!(browser.run(sheets).await, json!("uPlot.min.css,theme.css,style.css"));
        browser.close().await;
    }
}

#[tokio::test]
async fn after_a_restart_of_the_collector_what_is_not_known_is_not_0() {
    let data = data();
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    collector.take(&past(&blue(), 60, |_| (50.0, 100.0))).await;
    collector.stop().await;
    let collector = Collector::start_with("127.0.0.1:0", data.path(), patient).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&collector.page("")).await;
    browser.until("it lives", &equals(&cell("orders-1", STATE), "'live'")).await;
    assert_eq!(browser.run(&cell("orders-1", CPU)).await, json!("–"));
    browser.close().await;
}
