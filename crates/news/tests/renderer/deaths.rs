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
    for (starts, kind, signal) in [(2, "zygote", "-KILL"), (3, "", "-STOP")] {
        plain(&renderer, &site).await;
        let (id, _) = renderer.browser().await.expect("it runs");
        let meant = if kind.is_empty() { vec![id] } else { of_kind(id, kind) };
        assert!(!meant.is_empty(), "{kind}");
        send(signal, &meant);
        // Callers in a hurry, too, find out.
        let brief = Request { timeout: Duration::from_secs(4), ..request(&site, "/") };
        eventually("a page", None, async || renderer.render(&brief).await.err()).await;
        assert_eq!(renderer.status().await.starts, starts, "{kind}");
    }
    eventually("the old ones are gone", 1, async || std::fs::read_dir(base.path()).expect("a directory").count()).await;
}

/// The processes of a browser of this kind.
fn of_kind(browser: u32, kind: &str) -> Vec<u32> {
    let line = |id| std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let is_meant = |id: &u32| line(*id).split(['\0', ' ']).any(|part| part.strip_prefix("--type=") == Some(kind));
    family(browser).into_iter().map(|process| process.id).filter(is_meant).collect()
}

/// One of them may have ended with another.
fn send(signal: &str, processes: &[u32]) {
    for process in processes {
        let _ = Command::new("kill").args([signal, &process.to_string()]).status().expect("kill");
    }
}

pub(crate) async fn the_processes_of_a_page_end_with_it() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    let (one, hangs) = (renderer.clone(), request(&site, "/hang"));
    let page = tokio::spawn(async move { one.render(&hangs).await });
    asked(&site, "/hang", 1).await;
    let (id, _) = renderer.browser().await.expect("it runs");
    let processes = of_kind(id, "renderer");
    assert!(!processes.is_empty());
    // They hear nobody's request to end.
    send("-STOP", &processes);
    page.abort();
    let _ = page.await;
    let left = async || of_kind(id, "renderer").into_iter().filter(|id| processes.contains(id)).count();
    eventually("none of its processes", 0, left).await;
    eventually("no page", 0, async || renderer.status().await.pages).await;
    plain(&renderer, &site).await;
    assert_eq!(renderer.status().await.starts, 1);
}
