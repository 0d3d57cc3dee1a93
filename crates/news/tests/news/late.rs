//! The page says which step of which address ran out of which time.

use crate::common::{Reply, Site};
use crate::harness::eventually;
use crate::service::Served;
use crate::{file, links, site};
use std::net::TcpListener;
use std::time::Duration;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_late_shows_the_step_its_address_and_the_time() {
    let hangs = |path: &'static str| {
        Site::start(move |asked| match asked {
            _ if asked == path => {
                if path == "/drip" {
                    Reply::drip()
                } else {
                    Reply::hang()
                }
            }
            "/robots.txt" => Reply::status(404),
            _ => links(&["Good"]),
        })
    };
    let (robots, page, drip) = (hangs("/robots.txt"), hangs("/page"), hangs("/drip"));
    // The kernel accepts, and nobody speaks TLS.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let tls = format!("https://{}/", silent.local_addr().expect("an address"));
    let base = TempDir::new().expect("a directory");
    let text = site("robots", robots.url("/").as_str(), "")
        + &site("headers", page.url("/page").as_str(), "")
        + &site("body", drip.url("/drip").as_str(), "")
        + &site("TLS", &tls, "");
    let path = file(&base, &text);
    for (timeout, deadline, which) in [(2, 30, "timeout of 2s"), (30, 2, "deadline of 2s")] {
        let data = base.path().join(which);
        let news = Served::news(&data, &path, &[&robots, &page, &drip], |settings| {
            (settings.timeout, settings.deadline) = (Duration::from_secs(timeout), Duration::from_secs(deadline));
            settings.allow = switchboard_news::guard::Allow::parse(
                [robots.pair(), page.pair(), drip.pair(), tls[8..].trim_end_matches('/').to_owned()].iter(),
            )
            .expect("pairs");
        })
        .await;
        for name in ["robots", "headers", "body", "TLS"] {
            eventually(name, "failed".to_owned(), async || news.state(name).await.0).await;
        }
        let robots_text = news.state("robots").await.1;
        assert!(robots_text.starts_with(&format!("headers: {which} exceeded")), "{robots_text}");
        assert!(robots_text.contains("robots.txt"), "{robots_text}");
        for (name, url) in [("headers", page.url("/page")), ("body", drip.url("/drip"))] {
            assert_eq!(news.state(name).await.1, format!("{name}: {which} exceeded ({url})"));
        }
        let reason = news.state("TLS").await.1;
        assert!(reason.starts_with(&format!("TLS: {which} exceeded (https://")), "{reason}");
        assert!(news.get("/news").await.1.contains(&format!("body: {which} exceeded (")));
        news.stop().await;
    }
}
