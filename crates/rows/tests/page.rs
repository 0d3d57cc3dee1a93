//! The page, in a real Chromium.
#![cfg(not(loom))]

mod common;

use common::server;
use common::service::Service;
use serde_json::json;
use switchboard_browser_test::{Browser, Look, Relay, TOP_OF_LINKS};
use switchboard_web::Options as WebOptions;

async fn patrons() -> (common::Scratch, Service) {
    let scratch = server().scratch().await;
    let service = Service::start(&server().address("app", scratch.scratch.name()), |_| ()).await.live().await;
    (scratch, service)
}

/// A condition on an element's text.
fn shows(selector: &str, condition: &str) -> String {
    format!("const text = document.querySelector('{selector}')?.textContent ?? ''; return {condition}")
}

async fn open(service: &Service, look: Look) -> Browser {
    let browser = Browser::start(look).await;
    browser.open(&format!("http://{}/", service.address)).await;
    browser.until("the page is live", &shows("#link", "text === 'live'")).await;
    browser
}

/// Fills the form in and sends it.
async fn send(browser: &Browser, method: &str, path: &str, body: &str) {
    let fill = format!(
        "const set = (id, value) => {{ const field = document.getElementById(id); field.value = value; \
         field.dispatchEvent(new Event('change', {{ bubbles: true }})); }}; \
         set('method', '{method}'); set('path', '{path}'); document.getElementById('body').value = {}; \
         document.getElementById('status-code').textContent = ''; document.getElementById('send').click();",
        json!(body)
    );
    browser.run(&fill).await;
    browser.until("there is an answer", &shows("#status-code", "text !== ''")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_can_try_the_api_and_watch_the_cache() {
    let (scratch, service) = patrons().await;
    let browser = open(&service, Look::LIGHT).await;
    browser
        .until("the table is listed", &shows("#tables", "text.includes('patron') && text.includes('fav_dish')"))
        .await;
    send(&browser, "POST", "/patron", r#"{"name": "<b>Ann</b>"}"#).await;
    browser.until("the row is made", &shows("#answer-body", "text.includes('\"msg\": \"ok\"')")).await;
    browser.until("its event is there", &shows("#events", "text.includes('INSERT patron 1')")).await;
    // Values of the database are text, never markup.
    assert_eq!(browser.run("return document.querySelectorAll('#events b, #answer b').length").await, json!(0));
    send(&browser, "GET", "/patron/1", "").await;
    browser.until("the row came from the cache", "document.getElementById('send').click(); return document.getElementById('cache-state').textContent === 'hit'").await;
    browser.until("hits are counted", &shows("#hits", "Number(text.replaceAll(',', '')) > 0")).await;
    browser.until("the age is shown", &shows("#age", "/^[0-9]+ ms$/.test(text)")).await;
    scratch.run("UPDATE patron SET name = 'Bob'").await;
    browser.until("a change by somebody else is there", &shows("#events", "text.includes('UPDATE patron 1')")).await;
    browser.run("document.getElementById('repeat').click()").await;
    browser.until("the row is read again and again", &shows("#answer-body", "text.includes('Bob')")).await;
    browser.run("document.getElementById('repeat').click()").await;
    let choose = |method: &str| {
        format!(
            "const field = document.getElementById('method'); field.value = '{method}'; \
             field.dispatchEvent(new Event('change', {{ bubbles: true }})); return document.getElementById('path').value"
        )
    };
    let paths = ["POST", "PUT", "POST", "GET"].map(&choose);
    for (choice, path) in paths.iter().zip(["/patron", "/patron/1", "/patron", "/patron/1"]) {
        assert_eq!(browser.run(choice).await, json!(path), "a new row goes to the table, another to its own path");
    }
    // A change of rows is sent once, also if reads were repeated before.
    browser.run("document.getElementById('repeat').click()").await;
    browser.run(&choose("PATCH")).await;
    let repeats = "const button = document.getElementById('repeat'); return [button.hidden, button.ariaPressed]";
    assert_eq!(browser.run(repeats).await, json!([true, "false"]));
    browser.run(&choose("GET")).await;
    assert_eq!(browser.run(repeats).await, json!([false, "false"]));
    send(&browser, "GET", "/none", "").await;
    browser.until("an error says why", &shows("#answer-body", "text.includes('there is no table none here')")).await;
    let asked = "return performance.getEntriesByType('resource').filter((each) => !each.name.startsWith(location.origin)).length";
    assert_eq!(browser.run(asked).await, json!(0), "it needs no server but its own");
    let errors = browser.console().await;
    assert!(errors.iter().all(|error| error.contains("404")), "{errors:?}");
    browser.close().await;
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_at_every_width_can_be_read_in_light_and_in_dark() {
    let scratch = server().scratch().await;
    let web = WebOptions::default();
    let services = web.services.clone();
    let database = server().address("app", scratch.scratch.name());
    let service = Service::start(&database, |settings| settings.web = web).await.live().await;
    Look::pages("rows", service.address).for_each(|(name, address)| services.set_page(name, &[address]));
    scratch
        .run("INSERT INTO patron (name, fav_dish) VALUES ('Ann', 'Chili'), ('Bob', repeat('very long ', 300))")
        .await;
    for (name, look) in Look::PICTURES {
        let browser = open(&service, look).await;
        send(&browser, "GET", "/patron/2", "").await;
        scratch.run("UPDATE patron SET name = name WHERE id = 2").await;
        browser.until("the event is there", &shows("#events", "text.includes('UPDATE patron 2')")).await;
        let wide =
            browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
        assert_eq!(wide, json!(0), "{name} scrolls sideways");
        assert_eq!(browser.run("return document.title").await, json!("Switchboard rows"), "as on the other pages");
        browser.until("the links", "return !document.querySelector('#services').hidden").await;
        let words =
            "return [...document.querySelectorAll('#figures .why')].filter((why) => why.offsetHeight > 0).length";
        assert_eq!(browser.run(words).await, json!(8), "{name}: each figure is explained");
        assert_eq!(browser.run(TOP_OF_LINKS).await, json!(look.links_top()), "{name}");
        browser.reload().await;
        browser.until("the page is live", &shows("#link", "text === 'live'")).await;
        send(&browser, "GET", "/patron/1", "").await;
        scratch.run("UPDATE patron SET name = name WHERE id = 1").await;
        browser.until("the event is there", &shows("#events", "text.includes('UPDATE patron 1')")).await;
        browser.until("the links", "return !document.querySelector('#services').hidden").await;
        browser.picture(&format!("rows/{name}")).await;
        browser.close().await;
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_when_the_database_or_the_service_is_away() {
    let service = Service::start("postgres://nobody@127.0.0.1:1/none", |_| ()).await;
    let browser = Browser::start(Look::LIGHT).await;
    let keep =
        "window.EventSource = class extends EventSource { constructor(path) { super(path); window.stream = this; } }";
    browser.before_each_page(keep).await;
    browser.open(&format!("http://{}/", service.address)).await;
    browser.until("it has no database", &shows("#link", "text === 'no database'")).await;
    browser.until("it says why", &shows("#problem", "text.includes('not available')")).await;
    let once = "return [document.body.innerText.split('not available').length - 1, document.querySelectorAll('#tables a').length]";
    assert_eq!(browser.run(once).await, json!([1, 1]), "once, not for each table again");
    assert_eq!(browser.run("return document.querySelector('#age').textContent").await, json!("–"));
    browser.run("stream.dispatchEvent(new Event('gap'))").await;
    assert_eq!(browser.run("return document.querySelectorAll('#events li').length").await, json!(0), "no gap yet");
    service.end().await;
    browser.until("nobody answers", &shows("#link", "text === 'the service does not answer'")).await;
    // It asks a service that is not there, which the console tells; it is dropped with the browser.
    drop(browser);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_service_goes_silent_says_for_how_long_and_goes_on_by_itself() {
    let (scratch, service) = patrons().await;
    let relay = Relay::start(service.address).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/", relay.address())).await;
    browser.notices_silence(&relay).await;
    let listed = shows("#events", "text.includes('changes may have been missed here')");
    assert_eq!(browser.run(&listed).await, json!(true), "its stream was another one meanwhile");
    // The stream is opened again, and nobody sees when: until it is, changes reach nobody.
    let inserts = async {
        loop {
            scratch.run("INSERT INTO patron (name) VALUES ('Ann')").await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    let change = shows("#events", "text.includes('INSERT patron')");
    tokio::select! {
        () = inserts => unreachable!(),
        _ = browser.until("a change is there", &change) => {}
    }
}
