//! A Chromium that ends again and again.

use crate::common::Site;
use crate::harness::{self, LIMIT, eventually};
use crate::{answer, asked, plain, renderer, request};
use std::process::Command;
use std::time::Duration;
use switchboard_news::render::{RenderError, Request, family};

pub(crate) async fn one_that_dies_with_each_page_is_started_less_and_less_often() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    let hangs = request(&site, "/hang");
    let mut deaths = 0;
    let (reason, wait) = loop {
        let kill = async {
            asked(&site, "/hang", deaths + 1).await;
            let (id, _) = renderer.browser().await.expect("it runs");
            assert!(Command::new("kill").args(["-9", &id.to_string()]).status().expect("kill").success());
            std::future::pending::<()>().await;
        };
        let error = tokio::select! {
            page = renderer.render(&hangs) => page.expect_err("it is dead"),
            () = kill => unreachable!("it waits for ever"),
        };
        match error {
            RenderError::Gone { .. } => deaths += 1,
            RenderError::Restarting { reason, wait } => break (reason, wait),
            error => panic!("{error}"),
        }
        assert!(deaths < 10, "no pause");
    };
    assert!(wait > Duration::from_secs(1) && wait < LIMIT && reason.contains("ended"), "{wait:?}: {reason}");
    assert_eq!((renderer.status().await.starts as usize, deaths > 2), (deaths, true));
}

pub(crate) async fn one_that_opens_no_page_is_replaced() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    // A browser without the processes that start others, and one that answers nothing.
    for (starts, kind, signal) in [(2, "--type=zygote", "-KILL"), (3, "", "-STOP")] {
        plain(&renderer, &site).await;
        let (id, _) = renderer.browser().await.expect("it runs");
        let is_meant = |process: u32| {
            let line = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
            if kind.is_empty() { process == id } else { line.split(['\0', ' ']).any(|part| part == kind) }
        };
        let meant: Vec<u32> = family(id).iter().map(|process| process.id).filter(|id| is_meant(*id)).collect();
        assert!(!meant.is_empty(), "{kind}");
        for process in meant {
            // One may have ended with another.
            let _ = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill");
        }
        // Callers in a hurry, too, find out.
        let brief = Request { timeout: Duration::from_secs(4), ..request(&site, "/") };
        eventually("a page", None, async || renderer.render(&brief).await.err()).await;
        assert_eq!(renderer.status().await.starts, starts, "{kind}");
    }
    eventually("the old ones are gone", 1, async || std::fs::read_dir(base.path()).expect("a directory").count()).await;
}
