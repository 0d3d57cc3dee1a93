//! The page's looks, links and access.

use crate::asks::{HOST, fill, live, open, shows};
use crate::common::Running;
use serde_json::json;
use switchboard_browser_test::{Browser, Look, TOP_OF_LINKS};
use switchboard_server::{Settings, Token, WebOptions};

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
    let web = WebOptions::default();
    let services = web.services.clone();
    let server = Running::start_with(Settings { web, ..Settings::default() }).await;
    Look::pages("broker", server.http).for_each(|(name, address)| services.set_page(name, &[address]));
    let mut readers = Vec::new();
    for pattern in ["/topic/prices/eur", "/topic/prices/*", "/topic/orders/>", "/queue/mail"] {
        readers.push(server.client(pattern).await);
    }
    let mut client = server.client("/null").await;
    fill(&mut client, b"/queue/reports", 1234).await;
    fill(&mut client, b"/queue/invoices", 12).await;
    for (name, look) in Look::PICTURES {
        // In a narrow window the detail would hide the table.
        let is_wide = matches!(name, "light" | "dark");
        let (query, look) = if is_wide { ("?channel=/topic/prices/eur", look) } else { ("", look.height(900)) };
        let browser = open(&server, look, query).await;
        if is_wide {
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
        browser.picture(&format!("broker/{name}")).await;
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
            assert_eq!(browser.run(TOP_OF_LINKS).await, json!(look.links_top()), "{look:?} {query}");
            if look == Look::PHONE && query == "?view=connections" {
                let cut = "return [...document.querySelectorAll('#rows .text:not(.mid)')].filter((cell) => cell.scrollWidth > cell.clientWidth).length";
                assert_eq!(browser.run(cut).await, json!(0), "it is cut what a connection waits for");
            }
            browser.close().await;
        }
    }
}
