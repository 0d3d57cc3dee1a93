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
use switchboard_browser_test::{Browser, LINKS_TOP, Look, TOP_OF_LINKS};
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
async fn pictures_are_taken_in_light_in_dark_and_on_a_phone() {
    let sites = Sites::start();
    let news = sites.serve().await;
    for (look, picture) in [(Look::LIGHT, "news/light"), (Look::DARK, "news/dark"), (Look::PHONE, "news/phone")] {
        let browser = Browser::start(look).await;
        browser.open(&format!("http://{}/news", news.address)).await;
        browser.until("all headlines", &format!("{COUNT} === 5")).await;
        browser.until("the reason", "return document.querySelector('.reason') !== null").await;
        let fits = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.run(fits).await, json!(true), "{look:?}");
        if look == Look::PHONE {
            assert_eq!(browser.run(TOP_OF_LINKS).await, json!(LINKS_TOP));
        }
        browser.picture(picture).await;
        browser.close().await;
    }
}
