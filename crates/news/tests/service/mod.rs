//! Services on free ports, asked over real HTTP.
#![allow(dead_code)] // Each test program uses a part.

use crate::common::Site;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use switchboard_http_client::{Answer, Client, HeaderName, Method, Options};
use switchboard_news::board::{Message, Publish};
use switchboard_news::guard::Allow;
use switchboard_news::service::{News, NewsSettings};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A service that runs until this is dropped or stopped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) told: Arc<Mutex<Vec<Message>>>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
    client: Client,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.running.abort();
    }
}

pub(crate) fn client() -> Client {
    let options = Options { timeout: Duration::from_secs(120), answer_limit: 64 << 20, ..Options::default() };
    Client::new(&options).expect("a client")
}

impl Served {
    /// Takes over what listens already.
    pub(crate) fn new(
        address: SocketAddr,
        told: Arc<Mutex<Vec<Message>>>,
        stop: oneshot::Sender<()>,
        running: JoinHandle<()>,
    ) -> Served {
        Served { address, told, stop: Some(stop), running, client: client() }
    }

    /// The page of these sites, with a file for them.
    pub(crate) async fn news(
        base: &Path,
        file: &Path,
        sites: &[&Site],
        change: impl FnOnce(&mut NewsSettings),
    ) -> Served {
        let told = Arc::<Mutex<Vec<Message>>>::default();
        let taken = told.clone();
        let mut settings = NewsSettings::new(base.join("data"));
        settings.listen = vec!["127.0.0.1:0".into()];
        settings.sites = Some(file.to_owned());
        settings.allow = Allow::parse(sites.iter().map(|site| site.pair())).expect("pairs");
        settings.delay = Duration::ZERO;
        settings.publish = Publish::new(move |message| taken.lock().expect("no panic").push(message));
        change(&mut settings);
        let news = News::bind(settings).await.unwrap_or_else(|error| panic!("{error}"));
        let address = news.http_addresses()[0];
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(news.run(async move { drop(stopped.await) }));
        Served::new(address, told, stop, running)
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.running).await.expect("no panic");
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, headers: &[(HeaderName, &str)], body: &str) -> Answer {
        let url = format!("http://{}{path}", self.address).parse().expect("an address");
        self.client.send(method, &url, headers, body.to_owned()).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask(Method::GET, path, &[], "").await;
        (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
    }

    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    /// State and reason of a site.
    pub(crate) async fn state(&self, name: &str) -> (String, String) {
        let page = self.json("/news.json").await;
        let sites = page["sites"].as_array().expect("sites");
        let site = sites.iter().find(|site| site["name"] == name).unwrap_or_else(|| panic!("no {name}: {page}"));
        let text = |key: &str| site[key].as_str().unwrap_or_default().to_owned();
        (text("state"), text("reason"))
    }

    pub(crate) async fn titles(&self, path: &str) -> Vec<String> {
        let page = self.json(path).await;
        let headlines = page["headlines"].as_array().expect("headlines");
        headlines.iter().map(|headline| headline["title"].as_str().expect("a title").to_owned()).collect()
    }
}
