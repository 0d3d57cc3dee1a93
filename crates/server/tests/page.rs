//! The page at the broker's HTTP address, in a real Chromium.

mod common;

use common::{Client, Running};
use serde_json::json;
use switchboard_browser_test::{Browser, Look};
use switchboard_server::{Settings, Token, WebOptions};

const HOST: &str = "HTTP/1.1\r\nHost: localhost";
const NAMES: &str = "return [...document.querySelectorAll('#rows .name')].map((name) => name.textContent).join('|')";
/// Names as bytes, and as they are shown: a script, no text, a mark that turns the direction of writing, signs of addresses.
const HOSTILE: [(&[u8], &str); 4] = [
    (b"/queue/<script>alert(1)</script>", "/queue/<script>alert(1)</script>"),
    (b"/queue/\xff\x00%41\xc3\xa9", "/queue/%FF%00%2541é"),
    ("/queue/a\u{202e}b".as_bytes(), "/queue/a%E2%80%AEb"),
    (b"/queue/ a  b+%&c=d#e\"'", "/queue/ a  b+%&c=d#e\"'"),
];

async fn open(server: &Running, look: Look, query: &str) -> Browser {
    let browser = Browser::start(look).await;
    browser.open(&format!("http://{}/{query}", server.http)).await;
    live(&browser).await;
    browser
}

async fn live(browser: &Browser) {
    browser.until("the page is live", "return document.querySelector('#link').dataset.state === 'live'").await;
}

/// A condition on an element's text.
fn shows(selector: &str, condition: &str) -> String {
    format!("const text = document.querySelector({})?.textContent ?? ''; return {condition}", json!(selector))
}

/// Whether the names in the table are these, in this order.
fn names(wanted: &[&str]) -> String {
    format!("return (() => {{ {NAMES} }})() === {}", json!(wanted.join("|")))
}

fn cell(name: &str, column: usize) -> String {
    format!(
        "return [...document.querySelectorAll('#rows tr')].find((row) => row.querySelector('.name')?.textContent === {})\
         ?.children[{column}].textContent ?? ''",
        json!(name)
    )
}

async fn click_on(browser: &Browser, selector: &str, words: &str) {
    let found = format!(
        "[...document.querySelectorAll({})].find((each) => each.textContent.startsWith({}))",
        json!(selector),
        json!(words)
    );
    browser.until(words, &format!("return {found} !== undefined")).await;
    browser.run(&format!("{found}.click()")).await;
}

/// Types into the dialog that is open.
async fn write(browser: &Browser, selector: &str, words: &str) {
    let script = format!(
        "const field = document.querySelector({}); field.value = {}; field.dispatchEvent(new Event('input', {{ bubbles: true }}))",
        json!(selector),
        json!(words)
    );
    browser.run(&script).await;
}

async fn fill(client: &mut Client, name: &[u8], messages: usize) {
    for number in 0..messages {
        client.send(name).await;
        client.send(format!("message {number}").as_bytes()).await;
    }
    client.settle().await;
}

async fn depth(server: &Running, name: &str) -> serde_json::Value {
    let answer = server.http(&format!("GET /page/channel?name={name} {HOST}")).await;
    serde_json::from_str::<serde_json::Value>(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON")["depth"]
        .clone()
}

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
    browser.until("a part", &shows("#few", "text === '100 of 3,001 channels'")).await;
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
async fn a_queue_is_purged_when_its_name_is_typed_and_not_before() {
    let server = Running::start().await;
    let mut client = server.client("/null").await;
    let browser = open(&server, Look::LIGHT, "").await;
    for (bytes, shown) in HOSTILE {
        fill(&mut client, bytes, 3).await;
        click_on(&browser, ".name", shown).await;
        browser.until("its name", &shows("#detail-name", &format!("text === {}", json!(shown)))).await;
        browser.until("its depth", &shows(".figures dd", "text === '3'")).await;
        click_on(&browser, "#detail button", "Purge").await;
        write(&browser, "dialog input", &format!("{shown} ")).await;
        assert_eq!(browser.run("return document.querySelector('dialog .go').disabled").await, json!(true), "{shown}");
        browser.run("document.querySelector('dialog form').requestSubmit()").await;
        browser.until("the dialog is closed", "return !document.querySelector('dialog').open").await;
        assert!(browser.run(&shows("#detail", "!text.includes('Purged')")).await == json!(true), "{shown}");
        click_on(&browser, "#detail button", "Purge").await;
        write(&browser, "dialog input", shown).await;
        click_on(&browser, "dialog .go", "Purge").await;
        browser.until("it is purged", &shows("#detail", "text.includes('Purged 3 messages.')")).await;
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
    let address = browser.run("return document.querySelector('#rows th').textContent").await;
    write(&browser, "dialog input", address.as_str().expect("an address")).await;
    click_on(&browser, "dialog .go", "Kick").await;
    assert_eq!(first.end().await, b"");
    browser.until("it is gone", &shows("#empty", "text.includes('No connection matches')")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_when_the_broker_is_away_and_goes_on_when_it_is_back() {
    let server = Running::start().await;
    let address = server.http;
    let browser = open(&server, Look::LIGHT, "").await;
    server.stop().await;
    browser.until("it is away", &shows("#link", "text.includes('the broker is away')")).await;
    let server = Running::start_at(Settings::default(), &address.to_string()).await;
    let mut client = server.client("/null").await;
    fill(&mut client, b"/queue/back", 1).await;
    live(&browser).await;
    browser.until("its channels", &shows("#rows", "text.includes('/queue/back')")).await;
    // The console tells of the requests that nobody answered; the browser is dropped with them.
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_token_is_asked_for_the_page_needs_it_too() {
    let token = Token::new("0123456789abcdef").expect("a token");
    let web = WebOptions { token: Some(token), ..WebOptions::default() };
    let server = Running::start_with(Settings { web, ..Settings::default() }).await;
    for path in ["/page/channels", "/page/tail?name=/a", "/page/main.js", "/services.json", "/"] {
        let answer = server.http(&format!("GET {path} {HOST}")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
    }
    let refused = server.http(&format!("POST /page/publish?name=/a {HOST}\r\nContent-Length: 0")).await;
    assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/", server.http)).await;
    browser.until("it is asked for", &shows("body", "text.includes('access token')")).await;
    browser.open(&format!("http://{}/?token=0123456789abcdef", server.http)).await;
    live(&browser).await;
    assert_eq!(browser.run("return location.search").await, json!(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_leads_to_the_pages_of_the_services_that_run_and_nowhere_where_it_is_alone() {
    let web = WebOptions::default();
    let services = web.services.clone();
    let server = Running::start_with(Settings { web, ..Settings::default() }).await;
    services.set_page("broker", &[server.http]);
    let browser = open(&server, Look::LIGHT, "").await;
    let links = "const nav = document.querySelector('#services'); \
                 return nav.hidden ? '' : [...nav.children].map((link) => link.textContent + (link.ariaCurrent === null ? '' : ' here')).join()";
    assert_eq!(browser.run(links).await, json!(""));
    let monitor = "127.0.0.1:9".parse().expect("an address");
    services.set_page("monitor", &[monitor]);
    browser.reload().await;
    browser.until("both", &format!("return (() => {{ {links} }})() === 'Broker here,Monitor'")).await;
    let href = "return document.querySelector('#services a:last-child').href";
    assert_eq!(browser.run(href).await, json!("http://127.0.0.1:9/"));
    browser.open(&format!("http://localhost:{}/", server.http.port())).await;
    browser.until("by the same name", &format!("{href} === 'http://localhost:9/'")).await;
    let proxied = server.http("GET /services.json HTTP/1.1\r\nHost: localhost").await;
    assert!(proxied.ends_with("{\"services\":[]}"), "{proxied}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_the_page() {
    let server = Running::start().await;
    let mut readers = Vec::new();
    for pattern in ["/topic/prices/eur", "/topic/prices/*", "/topic/orders/>", "/queue/mail"] {
        readers.push(server.client(pattern).await);
    }
    let mut client = server.client("/null").await;
    fill(&mut client, b"/queue/reports", 1234).await;
    fill(&mut client, b"/queue/invoices", 12).await;
    for (name, look) in [("broker/light", Look::LIGHT), ("broker/dark", Look::DARK), ("broker/phone", Look::PHONE)] {
        let query = if look == Look::PHONE { "" } else { "?channel=/topic/prices/eur" };
        let browser = open(&server, look, query).await;
        if look != Look::PHONE {
            browser.click("#watch").await;
            browser.until("it looks on", &shows("#detail", "text.includes('Copies of what is published')")).await;
        }
        let begun = std::time::Instant::now();
        for number in 0..60 {
            for (channel, every) in
                [("/topic/prices/eur", 1), ("/topic/prices/usd", 2), ("/topic/orders/new", 5), ("/queue/mail", 3)]
            {
                if number % every == 0 {
                    let body = format!("{{\"order\": {number}, \"price\": 1.0{}}}", number * 7 % 90 + 10);
                    client.publish(channel, body.as_bytes()).await;
                }
            }
            tokio::time::sleep_until((begun + std::time::Duration::from_millis(250) * number).into()).await;
        }
        browser.picture(name).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_read_in_the_dark_and_on_a_phone() {
    let server = Running::start().await;
    let mut client = server.client("/topic/prices").await;
    fill(&mut client, &[b"/queue/".as_slice(), &[b'x'; 248]].concat(), 2).await;
    fill(&mut client, b"/queue/mail", 40).await;
    let wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
    for look in [Look::DARK, Look::PHONE, Look::LIGHT.width(900)] {
        for query in ["", "?view=connections", "?channel=/queue/mail"] {
            let browser = open(&server, look, query).await;
            assert_eq!(browser.run(wide).await, json!(0), "{look:?} {query} scrolls sideways");
            browser.close().await;
        }
    }
}
