//! Rows that need attention, and rows that are no user's.

use crate::asks::{click_on, fill, names, open, shows, write};
use crate::common::{Client, Running};
use serde_json::json;
use switchboard_broker::Limits;
use switchboard_browser_test::Look;
use switchboard_server::Settings;
use tokio::net::TcpStream;

/// A name that fills its column.
const FULL: &str = "/queue/invoices-of-the-northern-and-southern-branches";

/// A server with a full queue, and the publisher that it has paused.
async fn with_a_full_queue() -> (Running, Client) {
    let limits = Limits { queue: 100, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let mut publisher = Client(TcpStream::connect(server.native).await.expect("connected"));
    publisher.send(b"/null").await;
    publisher.publish(FULL, &[b'a'; 90]).await;
    publisher.publish(FULL, &[b'b'; 90]).await;
    (server, publisher)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_pause_is_whole_at_every_width() {
    let (server, _publisher) = with_a_full_queue().await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(server.client("/topic/prices/of/everything/that/is/sold/anywhere").await);
    }
    for look in [Look::LIGHT.width(1400), Look::LIGHT.width(900), Look::PHONE] {
        let browser = open(&server, look, "?view=connections").await;
        browser.until("the reason", &shows("#rows", "text.includes('is at its bound of 100 bytes')")).await;
        let cut = "return [...document.querySelectorAll('#rows .reason')]
            .filter((cell) => cell.scrollWidth > cell.clientWidth || cell.scrollHeight > cell.clientHeight).length";
        assert_eq!(browser.run(cut).await, json!(0), "{look:?}");
        let wider = "const row = document.querySelector('#rows tr');
            return row.querySelector('.reason').offsetWidth > row.querySelector('.address').offsetWidth";
        assert_eq!(browser.run(wider).await, json!(true), "{look:?}");
        let outside = "const box = document.querySelector('.scroll'); return box.scrollWidth - box.clientWidth";
        assert_eq!(browser.run(outside).await, json!(0), "{look:?}");
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_and_a_full_one_are_marked_on_a_phone() {
    let (server, _publisher) = with_a_full_queue().await;
    let mut client = server.client("/topic/a").await;
    fill(&mut client, b"/queue/b", 1).await;
    let paused = server.http("POST /queues/pause?name=/queue/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0").await;
    assert!(paused.starts_with("HTTP/1.1 200"), "{paused}");
    let marks = "const row = (start) => [...document.querySelectorAll('#rows tr')]
            .find((row) => row.querySelector('.name').textContent.startsWith(start));
        const marks = (start) => [...row(start).querySelectorAll('.marks > *')]
            .filter((mark) => mark.offsetWidth > 0).map((mark) => mark.textContent).join();
        return row('/topic') ? ['/queue/inv', '/queue/b', '/topic'].map(marks).join(' | ') : ''";
    let browser = open(&server, Look::PHONE, "").await;
    browser.until("both", &format!("return (() => {{ {marks} }})() === '1 publisher paused | paused | '")).await;
    let outside = "const box = document.querySelector('.scroll'); return box.scrollWidth - box.clientWidth";
    assert_eq!(browser.run(outside).await, json!(0));
    browser.close().await;
    let browser = open(&server, Look::LIGHT.width(1400), "").await;
    browser.until("columns say it", &format!("return (() => {{ {marks} }})() === ' |  | '")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_those_that_only_send_is_no_channel_until_somebody_publishes_there() {
    let server = Running::start().await;
    let mut sender = server.client("/null").await;
    let _reader = server.client("/topic/a").await;
    let browser = open(&server, Look::LIGHT, "").await;
    browser.until("one channel", &names(&["/topic/a"])).await;
    browser.until("and its number", &shows("#channel-count", "text === '1'")).await;
    browser.click("#show-connections").await;
    browser.until("it only sends", &shows("#rows", "text.includes('idle')")).await;
    assert_eq!(browser.run(&shows("#rows", "text.includes('/null')")).await, json!(false));
    sender.publish("/null", b"to all senders").await;
    assert_eq!(sender.receive().await, b"to all senders");
    browser.click("#show-channels").await;
    browser.until("a channel as others", &names(&["/null", "/topic/a"])).await;
    browser.until("and its number", &shows("#channel-count", "text === '2'")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_and_connections_of_the_program_itself_are_not_taken_for_the_users() {
    let server = Running::start().await;
    let mut own = Client(server.connector.connect().await.expect("connected"));
    own.send(b"/topic/metrics").await;
    own.settle().await;
    let hint = "return document.querySelector('#empty-how').checkVisibility()";
    let browser = open(&server, Look::LIGHT, "").await;
    browser.until("its channel", &names(&["/topic/metrics"])).await;
    browser.until("it says how to begin", hint).await;
    browser.click("#show-connections").await;
    browser.until("it is marked", &shows("#rows th", "text === 'test (own)'")).await;
    let kicks =
        "return [...document.querySelectorAll('#rows button')].filter((button) => button.checkVisibility()).length";
    assert_eq!(browser.run(kicks).await, json!(0), "nobody is offered to kick it");
    let _other = server.client("/topic/metrics").await;
    browser.until("another one can be kicked", &format!("{kicks} === 1")).await;
    browser.click("#show-channels").await;
    browser.until("somebody has begun", &format!("return !(() => {{ {hint} }})()")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_was_forgotten_and_comes_again_says_since_when_it_counts() {
    let server = Running::start().await;
    let mut client = server.client("/topic/a").await;
    fill(&mut client, b"/queue/idle", 3).await;
    let browser = open(&server, Look::LIGHT, "?channel=/queue/idle").await;
    browser.until("its depth", &shows(".figures dd", "text === '3'")).await;
    click_on(&browser, "#detail button", "Purge").await;
    write(&browser, "#typed", "/queue/idle").await;
    click_on(&browser, "dialog .go", "Purge").await;
    browser.until("it is purged", &shows("#detail", "text.includes('Purged 3 messages.')")).await;
    fill(&mut client, b"/queue/idle", 1).await;
    browser.until("its depth", &shows(".figures dd", "text === '1'")).await;
    let since = "/its figures count anew since \\d\\d:\\d\\d:\\d\\d\\./.test(text)";
    browser.until("since when", &shows("#detail", since)).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_gone_says_what_is_left_of_it_and_cannot_be_kicked() {
    let (server, publisher) = with_a_full_queue().await;
    let browser = open(&server, Look::LIGHT, "?view=connections").await;
    browser.until("it is paused", &shows("#rows", "text.includes('paused: queue')")).await;
    let kick = "return document.querySelectorAll('#rows button:not([hidden])').length";
    assert_eq!(browser.run(kick).await, json!(1));
    socket2::SockRef::from(&publisher.0).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(publisher);
    browser
        .until(
            "it is gone",
            &shows("#rows .reason", "text.startsWith('gone: 1 of its messages waits for room: queue')"),
        )
        .await;
    assert_eq!(browser.run(kick).await, json!(0));
    browser.until("it is counted", &shows("#paused", "text === '1 gone, with messages left'")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_are_whole_in_a_narrow_window() {
    let (server, _publisher) = with_a_full_queue().await;
    let browser = open(&server, Look::PHONE.width(320), "").await;
    browser.until("the mark", &shows("#rows .marks", "text === '1 publisher paused'")).await;
    let cut = "return [...document.querySelectorAll('#rows .marks > *')].filter((mark) => {
        const [own, cell] = [mark, mark.closest('th')].map((part) => part.getBoundingClientRect());
        return own.right > cell.right || own.bottom > cell.bottom || mark.scrollWidth > mark.clientWidth;
    }).length";
    assert_eq!(browser.run(cut).await, json!(0));
    browser.close().await;
}
