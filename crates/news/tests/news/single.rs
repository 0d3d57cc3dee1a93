//! The commands that ask a site without a service.

use crate::common::{Reply, Site};
use crate::{file, site};
use std::path::Path;
use std::time::Duration;
use switchboard_news::commands;
use switchboard_news::service::NewsSettings;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_a_site_says_what_each_step_left() {
    let one = Site::start(|_| Reply::html("<table><tr><td><a href=/1>First</a></table>"));
    let base = TempDir::new().expect("a directory");
    let text =
        site("Good", one.url("/").as_str(), "") + &site("Bad", one.url("/").as_str(), "item = \"table > tr > td a\"");
    let settings = settings(base.path(), &file(&base, &text), &one);
    let good = commands::test(&settings, "Good").await.expect("a report");
    assert!(good.is_good() && good.to_string().contains("- First"), "{good}");
    let bad = commands::test(&settings, "Bad").await.expect("a report");
    assert!(!bad.is_good() && bad.to_string().contains("hint:") && bad.to_string().contains("tbody"), "{bad}");
    let none = commands::test(&settings, "None").await.expect_err("no such site").to_string();
    assert!(none.contains("\"Good\", \"Bad\""), "{none}");
    let (_, tables) = commands::suggest(&settings, &one.url("/")).await.expect("proposals");
    assert!(tables.contains("announces no feed"), "{tables}");
}

#[tokio::test]
async fn the_hosts_of_the_examples_are_known_before_they_are_asked() {
    let base = TempDir::new().expect("a directory");
    let mut settings = NewsSettings::new(base.path().into());
    settings.listen = vec!["127.0.0.1:0".into()];
    let news = switchboard_news::service::News::bind(settings).await.unwrap_or_else(|error| panic!("{error}"));
    let hosts = news.hosts();
    for host in ["edition.cnn.com", "www.aljazeera.com"] {
        assert!(hosts.iter().any(|known| known == host), "{hosts:?}");
    }
    assert!(hosts.is_sorted() && news.sites_file().is_none());
}

fn settings(base: &Path, file: &Path, one: &Site) -> NewsSettings {
    let mut settings = NewsSettings::new(base.join("data"));
    settings.sites = Some(file.to_owned());
    settings.allow = switchboard_news::guard::Allow::parse([one.pair()]).expect("a pair");
    settings.delay = Duration::ZERO;
    settings
}
