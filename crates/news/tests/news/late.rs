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
    for is_deadline in [false, true] {
        // So much time that each gets to its step, also on a busy machine.
        for seconds in [2, 8, 30] {
            let data = base.path().join(format!("{is_deadline} {seconds}"));
            let news = Served::news(&data, &path, &[], |settings| {
                let (short, long) = (Duration::from_secs(seconds), Duration::from_secs(120));
                (settings.timeout, settings.deadline) = if is_deadline { (long, short) } else { (short, long) };
                let own = tls[8..].trim_end_matches('/').to_owned();
                let pairs = [robots.pair(), page.pair(), drip.pair(), own];
                settings.allow = switchboard_news::guard::Allow::parse(pairs.iter()).expect("pairs");
            })
            .await;
            for name in ["robots", "headers", "body", "TLS"] {
                eventually(name, "failed".to_owned(), async || news.state(name).await.0).await;
            }
            let which = format!("{} of {seconds}s exceeded", if is_deadline { "deadline" } else { "timeout" });
            let reason = async |name: &str| news.state(name).await.1;
            let found = [reason("robots").await, reason("TLS").await, reason("headers").await, reason("body").await];
            let is_right = found[0].starts_with(&format!("headers: {which}"))
                && found[0].contains("robots.txt")
                && found[1].starts_with(&format!("TLS: {which} (https://"))
                && found[2] == format!("headers: {which} ({})", page.url("/page"))
                && found[3] == format!("body: {which} ({})", drip.url("/drip"))
                && news.get("/news").await.1.contains(&format!("body: {which} ("));
            news.stop().await;
            if is_right {
                break;
            }
            assert!(seconds < 30, "{found:#?}");
        }
    }
}
