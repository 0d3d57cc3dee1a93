//! A collector that goes silent without closing its connections, and a real Chromium.

mod browser;

use browser::{Browser, CPU, Collector, Look, STATE, Sender, blue, cell, differs, equals};
use switchboard_browser_test::Relay;

#[tokio::test]
async fn a_page_whose_collector_goes_silent_says_for_how_long_and_goes_on_by_itself() {
    let data = tempfile::tempdir().expect("a directory");
    let collector = Collector::start(data.path()).await;
    let _sender = Sender::start(collector.address, vec![blue()]);
    let relay = Relay::start(collector.address).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/", relay.address())).await;
    browser.until("it reports", &equals(&cell("orders-1", STATE), "'live'")).await;
    browser.notices_silence(&relay).await;
    let shown = browser.until("it has a figure", &cell("orders-1", CPU)).await;
    browser.until("the figure changes", &differs(&cell("orders-1", CPU), &shown)).await;
    relay.go_silent();
    browser.until("nobody knows who lives", &equals(&cell("orders-1", STATE), "'unknown'")).await;
    relay.resume();
    browser.until("it lives", &equals(&cell("orders-1", STATE), "'live'")).await;
}
