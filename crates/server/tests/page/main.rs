//! The page at the broker's HTTP address, in a real Chromium.

mod asks;
mod attention;
#[path = "../common/mod.rs"]
mod common;
mod detail;
mod look;
mod misses;
mod orders;
mod silence;

use asks::{HOST, cell, click_on, depth, fill, names, open, shows, write};
use common::Running;
use serde_json::json;
use switchboard_browser_test::Look;

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_gets_the_page_and_a_program_the_list() {
    let server = Running::start().await;
    let list = server.http(&format!("GET / {HOST}\r\nAccept: */*")).await;
    assert!(list.contains("text/plain") && list.contains("POST /kick") && list.contains("vary: accept"), "{list}");
    let page = server.http(&format!("GET / {HOST}\r\nAccept: text/html,*/*;q=0.8")).await;
    assert!(page.contains("text/html") && page.contains("<!doctype html>"), "{page}");
    assert!(page.contains("script-src 'self'") && page.contains("frame-ancestors 'none'"), "{page}");
    let outside = server.http(&format!("GET /page/../Cargo.toml {HOST}")).await;
    assert!(outside.starts_with("HTTP/1.1 404"), "{outside}");
    let foreign = server
        .http(&format!("POST /page/publish?name=/a {HOST}\r\nOrigin: http://evil.example\r\nContent-Length: 0"))
        .await;
    assert!(foreign.starts_with("HTTP/1.1 403"), "{foreign}");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_live_and_the_table_is_sorted_and_filtered() {
    let server = Running::start().await;
    let mut client = server.client("/topic/prices").await;
    fill(&mut client, b"/queue/job-2", 5).await;
    fill(&mut client, b"/queue/job-10", 7).await;
    let browser = open(&server, Look::LIGHT, "").await;
    browser.until("as people count", &names(&["/queue/job-2", "/queue/job-10", "/topic/prices"])).await;
    fill(&mut client, b"/queue/job-2", 4).await;
    browser.until("it has more now", &format!("return (() => {{ {} }})() === '9'", cell("/queue/job-2", 2))).await;
    click_on(&browser, "thead button", "Depth").await;
    browser.until("the deepest first", &names(&["/queue/job-2", "/queue/job-10", "/topic/prices"])).await;
    click_on(&browser, "thead button", "Depth").await;
    browser.until("the deepest last", &names(&["/topic/prices", "/queue/job-10", "/queue/job-2"])).await;
    write(&browser, "#filter", "JOB").await;
    browser.until("those that match", &names(&["/queue/job-10", "/queue/job-2"])).await;
    browser.until("and how many", &shows("#few", "text === '2 channels match'")).await;
    browser.reload().await;
    browser.until("the address keeps it", &names(&["/queue/job-10", "/queue/job-2"])).await;
    write(&browser, "#filter", "none of these").await;
    browser.until("it says so", &shows("#empty", "text.includes('No channel matches the filter')")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_channels_the_server_finds_those_that_are_asked_for() {
    const QUEUES: usize = 3000;
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    for number in 0..QUEUES {
        client.publish(&format!("/queue/{number}"), b"1").await;
    }
    fill(&mut client, b"/queue/2999", 3).await;
    let browser = open(&server, Look::LIGHT, "?sort=-depth").await;
    browser.until("a part", &shows("#few", "text === '100 of 3,000 channels'")).await;
    browser.until("the deepest first", &shows("#rows .name", "text === '/queue/2999'")).await;
    browser.click("#more").await;
    browser.until("more", "return document.querySelectorAll('#rows tr').length === 200").await;
    write(&browser, "#filter", "/queue/1234").await;
    browser.until("one", &names(&["/queue/1234"])).await;
    let most = server.http(&format!("GET /page/channels?limit=18446744073709551615 {HOST}")).await;
    assert_eq!(most.matches("\"name\"").count(), 1000);
    for wrong in ["sort=nothing", "limit=-1"] {
        let answer = server.http(&format!("GET /page/channels?{wrong} {HOST}")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{wrong}: {answer}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_shows_what_is_published_and_takes_nothing() {
    let server = Running::start().await;
    let mut publisher = server.client("/null").await;
    let mut subscriber = server.client("/topic/news").await;
    let browser = open(&server, Look::LIGHT, "").await;
    click_on(&browser, ".name", "/topic/news").await;
    browser.click("#watch").await;
    browser.until("it looks on", &shows("#detail", "text.includes('Copies of what is published')")).await;
    publisher.publish("/topic/news", b"<i>first</i> light").await;
    publisher.publish("/topic/news", b"\xff\x00").await;
    publisher.publish("/topic/other", b"not this").await;
    browser.until("the message", &shows("#tail", "text.includes('<i>first</i> light')")).await;
    browser.until("bytes", &shows("#tail .hex", "text === 'ff 00'")).await;
    assert_eq!(subscriber.receive().await, b"<i>first</i> light");
    let status = server.http(&format!("GET /status {HOST}")).await;
    assert!(status.contains("\"subscriptions\":2}"), "a tail is no subscription: {status}");
    assert_eq!(browser.run("return document.querySelectorAll('#tail i').length").await, json!(0));
    assert_eq!(browser.run(&shows("#tail", "text.includes('not this')")).await, json!(false));
    // Nothing is held for it either.
    publisher.publish("/queue/q", b"1").await;
    publisher.settle().await;
    assert_eq!(depth(&server, "/queue/q").await, 1);
    browser.click("#watch").await;
    publisher.publish("/topic/news", b"unseen").await;
    assert_eq!(subscriber.receive().await, b"\xff\x00");
    assert_eq!(subscriber.receive().await, b"unseen");
    assert_eq!(browser.run(&shows("#tail", "text.includes('unseen')")).await, json!(false));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tails_have_a_limit_and_one_that_is_left_makes_room() {
    let server = Running::start().await;
    let ask = format!("GET /page/tail?name=/a {HOST}");
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(server.begin(&ask).await);
    }
    let refused = server.http(&ask).await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("16 channels"), "{refused}");
    open.pop();
    // The broker notices when it next writes, or when the connection ends.
    let again = tokio::time::timeout(common::PATIENCE, async {
        while server.begin(&ask).await.0.starts_with("HTTP/1.1 503") {
            tokio::task::yield_now().await;
        }
    });
    again.await.expect("there is room again");
    let nameless = server.http(&format!("GET /page/tail?name= {HOST}")).await;
    assert!(nameless.starts_with("HTTP/1.1 400"), "{nameless}");
}
