//! One channel beside the table: its keys, its orders and its room.

use crate::asks::{click_on, fill, open, shows};
use crate::common::Running;
use serde_json::json;
use switchboard_browser_test::Look;
use switchboard_browser_test::key::{ENTER, ESCAPE};

const HAS_FOCUS: &str = "return document.activeElement.textContent";

#[tokio::test(flavor = "multi_thread")]
async fn enter_opens_a_channel_and_closing_it_returns_to_its_row() {
    let server = Running::start().await;
    let mut client = server.client("/topic/a").await;
    fill(&mut client, b"/queue/b", 1).await;
    for look in [Look::LIGHT.width(1400), Look::PHONE] {
        let browser = open(&server, look, "").await;
        for name in ["/queue/b", "/topic/a"] {
            let focus = format!(
                "const name = [...document.querySelectorAll('#rows .name')].find((name) => name.textContent === '{name}');
                 name?.focus(); return name !== undefined"
            );
            browser.until("its row", &focus).await;
            // The first key closes from the detail's button, which has the focus, the other one from anywhere.
            for key in [ENTER, ESCAPE] {
                browser.press(ENTER).await;
                browser.until("it is open", &shows("#detail-name", &format!("text === '{name}'"))).await;
                browser.press(key).await;
                browser.until("it is closed", "return document.querySelector('#detail').hidden").await;
                assert_eq!(browser.run(HAS_FOCUS).await, json!(name), "{look:?}");
            }
        }
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_takes_no_orders_and_errors_name_no_address() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    let browser = open(&server, Look::LIGHT, "?channel=/queue/none").await;
    let enabled =
        "return [...document.querySelectorAll('.actions button')].map((order) => order.checkVisibility()).join()";
    let is = |wanted: &str| format!("return (() => {{ {enabled} }})() === '{wanted}'");
    browser.until("nothing can be done", &is("false,false,false,false")).await;
    browser.click("#peek").await;
    browser.until("it says why", &shows("#detail", "text.includes('there is no queue /queue/none: ')")).await;
    assert_eq!(browser.run(&shows("#detail", r"/\/(queues|page|status)\b|GET|POST/.test(text)")).await, json!(false));
    fill(&mut client, b"/queue/none", 1).await;
    browser.until("it is there", &is("true,true,true,false")).await;
    // The console tells of the look at what was not there; the browser is dropped with it.
}

#[tokio::test(flavor = "multi_thread")]
async fn the_detail_alone_scrolls_and_publishing_is_not_below_its_end() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    for number in 0..30 {
        let body = format!("{{\n{}\"number\": {number}\n}}", "  \"field\": \"value\",\n".repeat(20));
        client.publish("/queue/orders", body.as_bytes()).await;
    }
    client.settle().await;
    let browser = open(&server, Look::LIGHT.width(1400).height(900), "?channel=/queue/orders").await;
    let bars = "return [document.querySelector('#detail'), ...document.querySelectorAll('#detail *')].filter((part) =>
        ['auto', 'scroll'].includes(getComputedStyle(part).overflowY) && part.scrollHeight > part.clientHeight && part.tagName !== 'TEXTAREA')
        .map((part) => part.id).join()";
    let publish = "const [form, detail] = ['#detail form', '#detail'].map((part) => document.querySelector(part).getBoundingClientRect());
        return form.bottom <= detail.bottom && form.bottom <= innerHeight";
    browser.click("#watch").await;
    browser.until("it looks on", &shows("#detail", "text.includes('Copies of what is published')")).await;
    for number in 0..9 {
        client.publish("/queue/orders", format!("watched {number}\n{}", "line\n".repeat(20)).as_bytes()).await;
    }
    browser.until("the messages", &shows("#tail", "text.includes('watched 8')")).await;
    assert_eq!(browser.run(bars).await, json!("detail"));
    assert_eq!(browser.run(publish).await, json!(true), "watching");
    browser.click("#peek").await;
    browser.until("the first 20", "return document.querySelectorAll('#waiting li').length === 20").await;
    assert_eq!(browser.run(bars).await, json!("detail"));
    assert_eq!(browser.run("return document.querySelector('#detail').scrollTop").await, json!(0));
    assert_eq!(browser.run(publish).await, json!(true), "looking");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_more_rows_than_are_shown_at_most_the_foot_says_how_to_find_the_others() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    for number in 0..1041 {
        client.publish(&format!("/queue/{number}"), b"1").await;
    }
    client.settle().await;
    let browser = open(&server, Look::LIGHT, "").await;
    for rows in 1..=10 {
        let shown = format!("return document.querySelectorAll('#rows tr').length === {}", rows * 100);
        browser.until("so many rows", &shown).await;
        assert_eq!(browser.run(&shows("#cut", "text === ''")).await, json!(rows < 10));
        if rows < 10 {
            click_on(&browser, "#more", "Show more").await;
        }
    }
    browser.until("how to go on", &shows("#cut", "text === '1,000 of 1,041; filter for the others'")).await;
    assert_eq!(browser.run("return document.querySelector('#more').hidden").await, json!(true));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buttons_stand_before_the_messages_and_those_that_wait_say_when_that_was() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    fill(&mut client, b"/queue/orders", 40).await;
    let browser = open(&server, Look::LIGHT.width(1400).height(900), "?channel=/queue/orders").await;
    browser.click("#peek").await;
    browser.until("the first 20", "return document.querySelectorAll('#waiting li').length === 20").await;
    let when = "/Messages that waited at \\d\\d:\\d\\d:\\d\\d; they stay where they are\\./.test(text)";
    assert_eq!(browser.run(&shows("#detail", when)).await, json!(true));
    let before = "const [watch, list] = ['#watch', '#waiting'].map((part) => document.querySelector(part).getBoundingClientRect());
        return watch.bottom <= list.top";
    assert_eq!(browser.run(before).await, json!(true));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sparklines_begin_at_the_left_with_the_first_figures() {
    let server = Running::start().await;
    let _client = server.client("/topic/a").await;
    let browser = open(&server, Look::LIGHT, "").await;
    let begins = "return document.querySelector('#rows .in')?.getAttribute('points').startsWith('0,') ?? false";
    browser.until("a line", begins).await;
    browser.close().await;
}
