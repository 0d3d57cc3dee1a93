//! A broker that goes silent without closing its connections.

use crate::asks::{cell, live, shows};
use crate::common::Running;
use switchboard_browser_test::{Browser, Look, Relay};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_broker_goes_silent_says_for_how_long_and_goes_on_by_itself() {
    let server = Running::start().await;
    let mut client = server.client("/topic/prices").await;
    let relay = Relay::start(server.http).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/?channel=/topic/prices", relay.address())).await;
    live(&browser).await;
    browser.click("#watch").await;
    browser.until("it looks on", &shows("#detail", "text.includes('Copies of what is published')")).await;
    browser.notices_silence(&relay).await;
    browser.until("it looks on again", &shows("#detail", "text.includes('Copies of what is published')")).await;
    client.publish("/topic/prices", b"1.09").await;
    browser.until("the message", &shows("#tail", "text.includes('1.09')")).await;
    browser.until("its figures", &format!("return (() => {{ {} }})() !== '0'", cell("/topic/prices", 4))).await;
}
