//! Subscribers that miss messages, and connections that publish.

use crate::asks::{click_on, fill, names, open, shows};
use crate::common::{Client, Running};
use serde_json::json;
use switchboard_broker::{Limits, OverflowPolicy};
use switchboard_browser_test::Look;
use switchboard_server::Settings;

const LOSSY: &str = "/topic/z/lossy";

/// A server with a topic that has dropped messages, and its subscriber, which reads nothing.
async fn with_a_slow_subscriber() -> (Running, Client, Client) {
    let limits = Limits { outbox: 100_000, policy: OverflowPolicy::DropNew, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let slow = server.client(LOSSY).await;
    let mut publisher = server.client("/topic/a").await;
    // More than the sockets of both ends take.
    for _ in 0..400 {
        publisher.publish(LOSSY, &[b'x'; 60_000]).await;
    }
    publisher.settle().await;
    (server, slow, publisher)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_has_dropped_messages_comes_first_and_is_marked_on_a_phone() {
    let (server, _slow, mut publisher) = with_a_slow_subscriber().await;
    fill(&mut publisher, b"/queue/b", 1).await;
    let browser = open(&server, Look::LIGHT.width(1400), "").await;
    browser.until("it is first", &names(&[LOSSY, "/queue/b", "/topic/a"])).await;
    click_on(&browser, "thead button", "Name").await;
    browser.until("by name alone", &names(&["/queue/b", "/topic/a", LOSSY])).await;
    browser.close().await;
    let browser = open(&server, Look::PHONE, "").await;
    let mark = "const mark = document.querySelector('#rows tr .marks > *');
        return mark !== null && mark.checkVisibility() && /^[0-9,]+ dropped$/.test(mark.textContent)";
    browser.until("how many", mark).await;
    let outside = "const box = document.querySelector('.scroll'); return box.scrollWidth - box.clientWidth";
    assert_eq!(browser.run(outside).await, json!(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_leads_to_its_subscribers_and_what_each_of_them_missed() {
    let (server, _slow, _publisher) = with_a_slow_subscriber().await;
    let _quick = server.client(LOSSY).await;
    let browser = open(&server, Look::LIGHT.width(1400), &format!("?channel={LOSSY}")).await;
    browser.until("how many it missed", &shows("#dropped-why", "/^[0-9,]+ to slow subscribers$/.test(text)")).await;
    click_on(&browser, "#detail button", "Show subscribers").await;
    browser.until("both", "return document.querySelectorAll('#rows tr').length === 2").await;
    let first = shows("#rows .reason", "/^slow: [0-9.]+ [KM]?i?B wait until its peer reads$/.test(text)");
    browser.until("the slow one is first", &first).await;
    let missed = "return [...document.querySelectorAll('#rows .warn.number')].map((cell) => cell.textContent !== '0')";
    assert_eq!(browser.run(missed).await, json!([true]));
    browser.run("history.back()").await;
    browser.until("its detail again", &shows("#detail-name", &format!("text === '{LOSSY}'"))).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_publishes_is_not_idle_and_rows_without_a_button_are_as_high() {
    let server = Running::start().await;
    let mut own = Client(server.connector.connect().await.expect("connected"));
    own.send(b"/topic/metrics").await;
    own.settle().await;
    let mut publisher = server.client("/null").await;
    let browser = open(&server, Look::LIGHT, "?view=connections").await;
    browser.until("it has not published", &shows("#rows", "text.includes('idle')")).await;
    publisher.publish("/topic/metrics", b"1").await;
    browser.until("it publishes", &shows("#rows", "text.includes('publishes')")).await;
    browser.until("it is idle again", &shows("#rows", "text.includes('idle')")).await;
    let heights = "return new Set([...document.querySelectorAll('#rows tr')].map((row) => row.offsetHeight)).size";
    assert_eq!(browser.run(heights).await, json!(1));
    assert_eq!(browser.run("return document.querySelectorAll('#rows tr').length").await, json!(2));
    browser.close().await;
}
