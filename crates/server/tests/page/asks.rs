//! Helpers of the page's tests.

use crate::common::{Client, Running};
use serde_json::json;
use switchboard_browser_test::{Browser, Look};

pub(crate) const HOST: &str = "HTTP/1.1\r\nHost: localhost";
const NAMES: &str = "return [...document.querySelectorAll('#rows .name')].map((name) => name.textContent).join('|')";

pub(crate) async fn open(server: &Running, look: Look, query: &str) -> Browser {
    let browser = Browser::start(look).await;
    browser.open(&format!("http://{}/{query}", server.http)).await;
    live(&browser).await;
    browser
}

pub(crate) async fn live(browser: &Browser) {
    browser.until("the page is live", "return document.querySelector('#link').dataset.state === 'live'").await;
}

/// A condition on an element's text.
pub(crate) fn shows(selector: &str, condition: &str) -> String {
    format!("const text = document.querySelector({})?.textContent ?? ''; return {condition}", json!(selector))
}

/// Whether the names in the table are these, in this order.
pub(crate) fn names(wanted: &[&str]) -> String {
    format!("return (() => {{ {NAMES} }})() === {}", json!(wanted.join("|")))
}

pub(crate) fn cell(name: &str, column: usize) -> String {
    format!(
        "return [...document.querySelectorAll('#rows tr')].find((row) => row.querySelector('.name')?.textContent === {})\
         ?.children[{column}].textContent ?? ''",
        json!(name)
    )
}

pub(crate) async fn click_on(browser: &Browser, selector: &str, words: &str) {
    let found = format!(
        "[...document.querySelectorAll({})].find((each) => each.textContent.startsWith({}))",
        json!(selector),
        json!(words)
    );
    browser.until(words, &format!("return {found} !== undefined")).await;
    browser.run(&format!("{found}.click()")).await;
}

/// Types into the dialog that is open.
pub(crate) async fn write(browser: &Browser, selector: &str, words: &str) {
    let script = format!(
        "const field = document.querySelector({}); field.value = {}; field.dispatchEvent(new Event('input', {{ bubbles: true }}))",
        json!(selector),
        json!(words)
    );
    browser.run(&script).await;
}

pub(crate) async fn fill(client: &mut Client, name: &[u8], messages: usize) {
    for number in 0..messages {
        client.send(name).await;
        client.send(format!("message {number}").as_bytes()).await;
    }
    client.settle().await;
}

pub(crate) async fn depth(server: &Running, name: &str) -> serde_json::Value {
    let answer = server.http(&format!("GET /page/channel?name={name} {HOST}")).await;
    serde_json::from_str::<serde_json::Value>(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")["depth"]
        .clone()
}
