//! Operations on queues and connections, and publishing by hand.

use crate::asks::{HOST, cell, click_on, depth, fill, live, open, shows, write};
use crate::common::Running;
use serde_json::json;
use switchboard_broker::{Limits, QueueOverflow};
use switchboard_browser_test::Look;
use switchboard_server::Settings;

/// Names as bytes, and as they are shown: a script, no text, a mark that turns the direction of writing, signs of addresses.
const HOSTILE: [(&[u8], &str); 4] = [
    (b"/queue/<script>alert(1)</script>", "/queue/<script>alert(1)</script>"),
    (b"/queue/\xff\x00%41\xc3\xa9", "/queue/%FF%00%2541é"),
    ("/queue/a\u{202e}b".as_bytes(), "/queue/a%E2%80%AEb"),
    (b"/queue/ a  b+%&c=d#e\"'", "/queue/ a  b+%&c=d#e\"'"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_published_by_hand() {
    let server = Running::start().await;
    let mut subscriber = server.client("/topic/hello").await;
    let browser = open(&server, Look::LIGHT, "").await;
    click_on(&browser, ".name", "/topic/hello").await;
    write(&browser, "#body", "grün\n2").await;
    click_on(&browser, "#detail button", "Publish").await;
    assert_eq!(subscriber.receive().await, "grün\n2".as_bytes());
    browser.until("it says so", &shows("#detail", "text.includes('Published.')")).await;
    browser.click("#publish-to").await;
    write(&browser, "dialog input", "/queue/new one").await;
    write(&browser, "dialog textarea", "").await;
    click_on(&browser, "dialog .go", "Publish").await;
    browser.until("it is shown", &shows("#detail-name", "text === '/queue/new one'")).await;
    assert_eq!(depth(&server, "/queue/new+one").await, 1);
    let longest = Settings::default().limits.channel_name;
    let body = |name: &str| format!("POST /page/publish?name={name} {HOST}\r\nContent-Length: 0");
    for (name, status) in [
        ("", 400),
        ("/null", 400),
        ("/switchboard/echo", 400),
        (&"x".repeat(longest), 200),
        (&"x".repeat(longest + 1), 400),
    ] {
        let answer = server.http(&body(name)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{name}: {answer}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_gets_is_said_to_be_dropped_and_its_topic_is_named() {
    let limits = Limits { buffer_unsubscribed: 0, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let _subscriber = server.client("/topic/heard").await;
    let publish = |name: &str| format!("POST /page/publish?name={name} {HOST}\r\nContent-Length: 0");
    for (name, subscribers, dropped) in [("/topic/heard", 1, false), ("/topic/heart", 0, true), ("/queue/a", 0, false)]
    {
        let answer = server.http(&publish(name)).await;
        let wanted = json!({ "published": 1, "subscribers": subscribers, "dropped": dropped }).to_string();
        assert!(answer.ends_with(&wanted), "{name}: {answer}");
    }
    let browser = open(&server, Look::LIGHT, "").await;
    let by_hand = async |name: &str, said: &str| {
        browser.click("#publish-to").await;
        write(&browser, "dialog input", name).await;
        click_on(&browser, "dialog .go", "Publish").await;
        browser.until(name, &shows("#detail-name", &format!("text === {}", json!(name)))).await;
        browser.until(said, &shows("#detail .state[role=status]", &format!("text === {}", json!(said)))).await;
    };
    by_hand("/topic/heard", "Published.").await;
    by_hand("/topic/heart", "Published. Nobody subscribes: the message was dropped.").await;
    click_on(&browser, "#detail button", "Publish").await;
    browser.until("its topic is named", &shows("#unheard", "text === 'had no subscriber: /topic/heart (3)'")).await;
    let status = server.http(&format!("GET /status {HOST}")).await;
    assert!(status.contains(r#""unheard":[{"dropped":3,"name":"/topic/heart"}]"#), "{status}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_a_full_queue_rejects_is_not_said_to_be_published() {
    let limits = Limits { queue_messages: 1, overflow: QueueOverflow::Reject, ..Limits::default() };
    let server = Running::start_with(Settings { limits, ..Settings::default() }).await;
    let browser = open(&server, Look::LIGHT, "?channel=/queue/a").await;
    for (body, said) in [("first", "Published."), ("second", "the broker has not taken the message: ")] {
        write(&browser, "#body", body).await;
        click_on(&browser, "#detail button", "Publish").await;
        browser.until(said, &shows("#detail .state[role=status]", &format!("text.startsWith({})", json!(said)))).await;
    }
    let why = shows("#detail", "text.includes('/queue/a: the queue is at its bound of 1 message ')");
    assert_eq!(browser.run(&why).await, json!(true));
    assert_eq!(depth(&server, "/queue/a").await, 1);
    // The console tells of what was refused; the browser is dropped with it.
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_purged_when_its_name_is_typed_and_not_before() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    let browser = open(&server, Look::LIGHT, "").await;
    for (bytes, shown) in HOSTILE {
        fill(&mut client, bytes, 3).await;
        click_on(&browser, ".name", shown).await;
        browser.until("its name", &shows("#detail-name", &format!("text === {}", json!(shown)))).await;
        browser.until("its depth", &shows(".figures dd", "text === '3'")).await;
        browser.click("#peek").await;
        browser.until("they are shown", "return document.querySelectorAll('#waiting li').length === 3").await;
        click_on(&browser, "#detail button", "Purge").await;
        write(&browser, "#typed", &format!("{shown} ")).await;
        assert_eq!(browser.run("return document.querySelector('dialog .go').disabled").await, json!(true), "{shown}");
        browser.run("document.querySelector('dialog form').requestSubmit()").await;
        browser.until("the dialog is closed", "return !document.querySelector('dialog').open").await;
        assert!(browser.run(&shows("#detail", "!text.includes('Purged')")).await == json!(true), "{shown}");
        click_on(&browser, "#detail button", "Purge").await;
        write(&browser, "#typed", shown).await;
        click_on(&browser, "dialog .go", "Purge").await;
        browser.until("it is purged", &shows("#detail", "text.includes('Purged 3 messages.')")).await;
        browser.until("none is shown any more", "return document.querySelectorAll('#waiting li').length === 0").await;
        assert_eq!(
            browser.run(&shows("#detail", "/Nothing waited at \\d\\d:\\d\\d:\\d\\d\\./.test(text)")).await,
            json!(true)
        );
        browser.reload().await;
        live(&browser).await;
        browser
            .until("the address keeps any name", &shows("#detail-name", &format!("text === {}", json!(shown))))
            .await;
    }
    assert_eq!(browser.run("return document.querySelectorAll('main script').length").await, json!(0));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_show_what_they_wait_for_and_can_be_kicked() {
    let server = Running::start().await;
    let mut first = server.client("/topic/first").await;
    let _second = server.client("/topic/second").await;
    let browser = open(&server, Look::LIGHT, "?view=connections").await;
    browser.until("both", "return document.querySelectorAll('#rows tr').length === 2").await;
    browser.until("they wait", &shows("#rows", "text.includes('waits for messages')")).await;
    write(&browser, "#filter", "/topic/first").await;
    browser.until("one", "return document.querySelectorAll('#rows tr').length === 1").await;
    click_on(&browser, "#rows button", "Kick").await;
    browser.until("what to type", &shows("dialog", "text.includes('Type the address above')")).await;
    let address = browser.run("return document.querySelector('#rows th').textContent").await;
    write(&browser, "#typed", address.as_str().expect("an address")).await;
    click_on(&browser, "dialog .go", "Kick").await;
    assert_eq!(first.end().await, b"");
    browser.until("it is gone", &shows("#empty", "text.includes('No connection matches')")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_looked_at_moved_paused_and_resumed() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    fill(&mut client, b"/queue/from", 23).await;
    client.publish("/queue/odd", b"\xff\x00").await;
    client.settle().await;
    let browser = open(&server, Look::LIGHT, "?channel=/queue/from").await;
    browser.until("its depth", &shows(".figures dd", "text === '23'")).await;
    browser.click("#peek").await;
    browser.until("the first 20", "return document.querySelectorAll('#waiting li').length === 20").await;
    browser.until("in order", &shows("#waiting li pre", "text === 'message 0'")).await;
    click_on(&browser, "#detail button", "Next 20").await;
    browser.until("the others", "return document.querySelectorAll('#waiting li').length === 3").await;
    assert_eq!(depth(&server, "/queue/from").await, 23, "a look takes nothing");

    browser.click("#pause").await;
    write(&browser, "#typed", "/queue/from").await;
    click_on(&browser, "dialog .go", "Pause").await;
    browser.until("it is paused", &shows("#detail", "text.includes('its consumers get nothing')")).await;
    let mut consumer = server.client("/queue/from").await;
    consumer.settle().await;
    assert_eq!(depth(&server, "/queue/from").await, 23);

    click_on(&browser, "#detail button", "Move").await;
    write(&browser, "#to", "/queue/t%6F").await;
    write(&browser, "#typed", "/queue/from").await;
    click_on(&browser, "dialog .go", "Move").await;
    browser.until("it says so", &shows("#detail", "text.includes('Moved 23 messages.')")).await;
    browser.until("they are there", &format!("return (() => {{ {} }})() === '23'", cell("/queue/to", 2))).await;
    browser.until("none is shown", "return document.querySelectorAll('#waiting li').length === 0").await;

    client.publish("/queue/from", b"the last").await;
    client.settle().await;
    browser.until("it resumes", &shows("#pause", "text === 'Resume'")).await;
    browser.click("#pause").await;
    assert_eq!(consumer.receive().await, b"the last");

    click_on(&browser, ".name", "/queue/odd").await;
    browser.click("#peek").await;
    browser.until("bytes", &shows("#waiting .hex", "text === 'ff 00'")).await;
    click_on(&browser, "#detail button", "Move").await;
    write(&browser, "#to", "/topic/none").await;
    write(&browser, "#typed", "/queue/odd").await;
    click_on(&browser, "dialog .go", "Move").await;
    browser.until("it says why not", &shows("#detail", "text.includes('can be moved to a queue only')")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_on_that_is_refused_is_explained_in_the_words_of_the_refusal() {
    let server = Running::start().await;
    let _subscriber = server.client("/topic/a").await;
    let mut others = Vec::new();
    for _ in 0..16 {
        others.push(server.begin(&format!("GET /page/tail?name=/topic/b {HOST}")).await);
    }
    let browser = open(&server, Look::LIGHT, "?channel=/topic/a").await;
    browser.click("#watch").await;
    browser.until("it is explained", &shows("#detail", "text.includes('16 channels are looked at already')")).await;
    let why = |path: &str| format!("return import('/page/api.js').then((api) => api.refusal('/page/tail{path}'))");
    assert_eq!(browser.run(&why("")).await, json!("which channel? GET /page/tail?name=NAME"));
    // The console tells of what was refused; the browser is dropped with it.
}
