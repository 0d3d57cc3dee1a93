//! The login, in a real Chromium, under an address that is not loopback if this machine has one: there a browser sends other
//! headers.

mod browser;

use browser::{Browser, CPU, Collector, Look, cell};
use serde_json::json;
use switchboard_monitor::{Settings, Token};
use switchboard_web::reachable;

const SECRET: &str = "s3cret+&%=?#/token";

#[tokio::test]
async fn a_browser_logs_in_through_the_form_and_its_page_lives() {
    let data = tempfile::tempdir().expect("a directory");
    let change = |settings: &mut Settings| {
        settings.web.token = Some(Token::new(SECRET).expect("a token"));
        settings.report_as = Some("switchboard".into());
    };
    let collector = Collector::start_with("0.0.0.0:0", data.path(), change).await;
    let address = *reachable(collector.address).last().expect("an address");
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{address}/?range=5m")).await;
    let fill = |token: &str| format!("document.querySelector('[name=token]').value = {}; return true", json!(token));
    browser.run(&fill("not the token at all")).await;
    browser.click("button").await;
    browser
        .until("it says that the token is wrong", "return document.body.textContent.includes('not the access token')")
        .await;
    browser.run(&fill(SECRET)).await;
    browser.click("button").await;
    browser.until("its own line is there, live", &cell("switchboard", CPU)).await;
    assert_eq!(browser.run("return location.pathname + location.search").await, json!("/?range=5m"));
    assert_eq!(browser.run("return document.cookie").await, json!(""));
    // Not closed as others are: its console has the two answers that refused it.
}

#[tokio::test]
async fn a_shared_address_with_the_token_opens_the_page_without_it() {
    let data = tempfile::tempdir().expect("a directory");
    let change = |settings: &mut Settings| {
        settings.web.token = Some(Token::new(SECRET).expect("a token"));
        settings.report_as = Some("switchboard".into());
    };
    let collector = Collector::start_with("0.0.0.0:0", data.path(), change).await;
    let address = *reachable(collector.address).last().expect("an address");
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{address}/?range=15m&token=s3cret%2B%26%25%3D%3F%23%2Ftoken&filter=switch")).await;
    browser.until("its own line is there, live", &cell("switchboard", CPU)).await;
    let shown = browser.run("return location.search").await;
    assert!(
        shown.as_str().is_some_and(|shown| shown.contains("range=15m")
            && shown.contains("filter=switch")
            && !shown.contains("token")),
        "{shown}"
    );
    browser.close().await;
}
