//! The page of headlines, in a real Chromium.

mod common;
mod harness;
mod service;

use common::{Reply, Site};
use serde_json::json;
use service::Served;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use switchboard_browser_test::{Browser, Look, Relay, TOP_OF_LINKS};
use tempfile::TempDir;

const TITLES: [&str; 6] = [
    "Harbor bridge opens after two years of repairs",
    "Rust 1.95 makes builds a third faster",
    "Council votes for trams",
    "A comet that can be seen without a telescope",
    "Bakers ask for cheaper flour",
    "Library stays open at night",
];

/// Two sites, of which the first shows one headline more with each step.
struct Sites {
    base: TempDir,
    one: Site,
    two: Site,
    step: Arc<AtomicUsize>,
}

impl Sites {
    fn start() -> Sites {
        let step = Arc::new(AtomicUsize::new(3));
        let shown = step.clone();
        let page = |titles: &[&str]| {
            let items: String =
                titles.iter().enumerate().map(|(at, title)| format!("<li><a href=/{at}>{title}</a></li>")).collect();
            Reply::html(&items)
        };
        let one = Site::start(move |path| {
            if path == "/robots.txt" { Reply::status(404) } else { page(&TITLES[..shown.load(Ordering::SeqCst)]) }
        });
        let two = Site::start(move |path| if path == "/robots.txt" { Reply::status(404) } else { page(&TITLES[4..]) });
        Sites { base: TempDir::new().expect("a directory"), one, two, step }
    }

    fn file(&self) -> PathBuf {
        let path = self.base.path().join("sites.toml");
        let site = |name: &str, site: &Site, color: &str| {
            format!(
                "[[site]]\nname = {name:?}\nurl = \"{}\"\nmode = \"fetch\"\ncolor = {color:?}\nttl = \"10s\"\n",
                site.url("/")
            )
        };
        let text = site("The Daily Example", &self.one, "#1f77b4") + &site("Town Crier", &self.two, "#c2410c");
        // One that the guard refuses, with a color that is none.
        let gone =
            "[[site]]\nname = \"Parish Notes\"\nurl = \"http://127.0.0.1:1/\"\nmode = \"fetch\"\ncolor = \"blu\"\n";
        std::fs::write(&path, text + gone).expect("written");
        path
    }

    async fn serve(&self) -> Served {
        Served::news(self.base.path(), &self.file(), &[&self.one, &self.two], |_| {}).await
    }
}

const COUNT: &str = "return document.querySelectorAll('.headline').length";

#[tokio::test(flavor = "multi_thread")]
async fn a_headline_that_comes_is_shown_without_a_reload() {
    let sites = Sites::start();
    let news = sites.serve().await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/news", news.address)).await;
    browser.until("it is live", "return document.querySelector('#link').dataset.state === 'live'").await;
    browser.until("all headlines", &format!("{COUNT} === 5")).await;
    browser.run("window.same = true").await;
    sites.step.store(4, Ordering::SeqCst);
    let shown = format!("return document.querySelector('#content').innerText.includes('{}')", TITLES[3]);
    browser.until("the new one", &shown).await;
    assert_eq!(browser.run("return window.same ?? false").await, json!(true), "it is the same page");
    browser.close().await;
}

/// Pictures for the documentation, by `scripts/screenshots`.
#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_taken_at_every_width_in_light_and_in_dark() {
    let sites = Sites::start();
    let web = switchboard_web::Options::default();
    let services = web.services.clone();
    let news =
        Served::news(sites.base.path(), &sites.file(), &[&sites.one, &sites.two], |settings| settings.web = web).await;
    Look::pages("news", news.address).for_each(|(name, address)| services.set_page(name, &[address]));
    for (picture, look) in Look::PICTURES {
        let browser = Browser::start(look).await;
        browser.open(&format!("http://{}/news", news.address)).await;
        browser.until("all headlines", &format!("{COUNT} === 5")).await;
        browser.until("the reason", "return document.querySelector('.reason') !== null").await;
        browser.until("the links", "return !document.querySelector('#services').hidden").await;
        assert_eq!(browser.run("return document.title").await, json!("Switchboard news"), "as on the other pages");
        let fits = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.run(fits).await, json!(true), "{look:?}");
        assert_eq!(browser.run(TOP_OF_LINKS).await, json!(look.links_top()), "{picture}");
        browser.picture(&format!("news/{picture}")).await;
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sites_are_folded_on_a_phone_until_somebody_opens_them() {
    let sites = Sites::start();
    let file = sites.file();
    let mut text = std::fs::read_to_string(&file).expect("sites");
    let shown = "const sites = [...document.querySelectorAll('.site')];
        return `${sites.length} ${sites.filter((site) => site.checkVisibility()).length}`";
    let is = |wanted: &str| format!("return (() => {{ {shown} }})() === '{wanted}'");
    for number in [4, 5] {
        // The guard refuses their address, so each of them says why.
        if number == 5 {
            text += "[[site]]\nname = \"Five\"\nurl = \"http://127.0.0.1:1/\"\nmode = \"fetch\"\n";
        } else {
            text += "[[site]]\nname = \"Four\"\nurl = \"http://127.0.0.1:1/\"\nmode = \"fetch\"\n";
        }
        std::fs::write(&file, &text).expect("written");
        let news = Served::news(sites.base.path(), &file, &[&sites.one, &sites.two], |_| {}).await;
        let address = format!("http://{}/news", news.address);
        let browser = Browser::start(Look::LIGHT).await;
        browser.open(&address).await;
        browser.until("all where there is room", &is(&format!("{number} {number}"))).await;
        browser.close().await;
        let browser = Browser::start(Look::PHONE).await;
        browser.open(&address).await;
        browser.until("few are shown", &is(&format!("{number} {}", if number > 4 { 0 } else { number }))).await;
        browser.until("all headlines", &format!("{COUNT} === 5")).await;
        if number > 4 {
            let summary = "return document.querySelector('.fold summary').textContent";
            browser.until("the states", &format!("{summary} === '5 sites: 3 failed, 2 fresh'")).await;
            browser.click(".fold summary").await;
            browser.until("all are shown", &is("5 5")).await;
            sites.step.store(4, Ordering::SeqCst);
            browser.until("a new headline", &format!("{COUNT} === 6")).await;
            assert_eq!(browser.run(shown).await, json!("5 5"), "they stay open");
        }
        browser.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_finds_nothing_names_the_step_as_it_stands_in_the_file() {
    let plain = Site::start(|_| Reply::html("<p>nothing"));
    let base = TempDir::new().expect("a directory");
    let file = base.path().join("sites.toml");
    let text = format!(
        "[[site]]\nname = \"Plain\"\nurl = \"{}\"\nmode = \"fetch\"\nitem = \"article.none\"\n",
        plain.url("/")
    );
    std::fs::write(&file, text).expect("written");
    let news = Served::news(base.path(), &file, &[&plain], |_| {}).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/news", news.address)).await;
    let reason = "return document.querySelector('.reason')?.textContent ?? ''";
    let wanted = json!(", since the step item = \"article.none\" left none (");
    browser.until("why", &format!("return (() => {{ {reason} }})().includes({wanted})")).await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_service_goes_silent_says_for_how_long_and_goes_on_by_itself() {
    let sites = Sites::start();
    let news = sites.serve().await;
    let relay = Relay::start(news.address).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/news", relay.address())).await;
    browser.until("all headlines", &format!("{COUNT} === 5")).await;
    browser.notices_silence(&relay).await;
    sites.step.store(4, Ordering::SeqCst);
    browser.until("a headline that has come", &format!("{COUNT} === 6")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_with_a_long_name_leaves_the_form_in_one_line() {
    let sites = Sites::start();
    let file = sites.file();
    let text = std::fs::read_to_string(&file).expect("sites");
    let long = "The Weekly Gazette of the Northern and Southern Counties, with Supplements";
    std::fs::write(&file, text.replace("Town Crier", long)).expect("written");
    let news = Served::news(sites.base.path(), &file, &[&sites.one, &sites.two], |_| {}).await;
    let browser = Browser::start(Look::LIGHT.width(900)).await;
    browser.open(&format!("http://{}/news", news.address)).await;
    let listed =
        format!("return [...document.querySelectorAll('option')].some((site) => site.textContent === {})", json!(long));
    browser.until("the site", &listed).await;
    let lines = "return new Set([...document.querySelectorAll('form > :not([hidden])')].map((part) => {
        const { top, bottom } = part.getBoundingClientRect();
        return Math.round((top + bottom) / 40);
    })).size";
    assert_eq!(browser.run(lines).await, json!(1));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_applies_when_it_changes_and_the_address_keeps_it() {
    let sites = Sites::start();
    let news = sites.serve().await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/news", news.address)).await;
    browser.until("all headlines", &format!("{COUNT} === 5")).await;
    browser.run("window.same = true").await;
    let set = |field: &str, value: &str| {
        format!(
            "const field = document.querySelector('[name={field}]'); field.value = '{value}';
             field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
        )
    };
    browser.run(&set("site", "Town Crier")).await;
    browser.until("those of one site", &format!("{COUNT} === 2")).await;
    browser.run(&set("site", "")).await;
    browser.until("all again", &format!("{COUNT} === 5")).await;
    browser.run(&set("q", "TRAMS")).await;
    browser.until("one that matches", &format!("{COUNT} === 1")).await;
    browser.run("document.querySelector('form').requestSubmit()").await;
    assert_eq!(browser.run("return [window.same, location.search.includes('q=TRAMS')]").await, json!([true, true]));
    assert_eq!(browser.run("return document.querySelector('form button').checkVisibility()").await, json!(false));
    browser.reload().await;
    browser.until("the same", &format!("{COUNT} === 1")).await;
    assert_eq!(browser.run("return document.querySelector('[name=q]').value").await, json!("TRAMS"));
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_sites_have_all_failed_is_not_said_to_be_live() {
    let base = TempDir::new().expect("a directory");
    let file = base.path().join("sites.toml");
    let site = |name: &str| format!("[[site]]\nname = {name:?}\nurl = \"http://127.0.0.1:1/\"\nmode = \"fetch\"\n");
    std::fs::write(&file, site("One") + &site("Two")).expect("written");
    let news = Served::news(base.path(), &file, &[], |_| {}).await;
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&format!("http://{}/news", news.address)).await;
    browser.until("it says so", "return document.querySelector('#link').textContent === 'all sites have failed'").await;
    browser.close().await;
}
