//! A Chromium that ends again and again.

use crate::common::Site;
use crate::harness::{self, LIMIT};
use crate::{answer, asked, renderer, request};
use std::process::Command;
use std::time::Duration;
use switchboard_news::render::RenderError;

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
