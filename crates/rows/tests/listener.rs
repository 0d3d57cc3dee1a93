//! Notifications of many channels over one connection, and every gap.
#![cfg(not(loom))]

mod common;

use common::proxy::Proxy;
use common::{PATIENCE, Scratch, server, until};
use std::time::Duration;
use switchboard_rows::{Change, ChangeListener, Error, Subscription};

async fn next(subscription: &mut Subscription) -> Change {
    let change = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
    change.expect("the listener lives")
}

/// As [`next`], past what was sent while the connection was lost: it may come before, behind, or not at all.
async fn next_but_gap(subscription: &mut Subscription) -> Change {
    loop {
        match next(subscription).await {
            Change::Notification { payload, .. } if &*payload == "in the gap" => {}
            other => return other,
        }
    }
}

/// The text of the next notification.
async fn text(subscription: &mut Subscription) -> String {
    match next(subscription).await {
        Change::Notification { payload, .. } => payload.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn sessions(scratch: &Scratch) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'switchboard rows feed'";
    scratch.sql.query_one(count, &[]).await.expect("it answers").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_channels_share_one_connection_and_keep_their_order() {
    let scratch = server().scratch().await;
    let listener = ChangeListener::connect(scratch.database(), 1000).await.expect("it connects");
    let names: Vec<String> = (0..40).map(|number| format!("chan \"{number}'")).collect();
    let mut subscriptions = Vec::new();
    for name in &names {
        subscriptions.push(listener.listen(name).await.expect("it listens"));
    }
    let mut second = listener.listen(&names[7]).await.expect("it listens");
    for round in 0..5 {
        for (at, name) in names.iter().enumerate() {
            let payload = format!("{at} {round}");
            scratch.sql.query_one("SELECT pg_notify($1, $2)", &[name, &payload]).await.expect("sent");
        }
    }
    for (at, subscription) in subscriptions.iter_mut().enumerate() {
        for round in 0..5 {
            assert_eq!(text(subscription).await, format!("{at} {round}"));
        }
    }
    assert_eq!(text(&mut second).await, "7 0");
    assert_eq!(sessions(&scratch).await, 1);
    drop((subscriptions, second, listener));
    until("the connection ends", async || (sessions(&scratch).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_told_before_what_follows_it() {
    let scratch = server().scratch().await;
    let listener = ChangeListener::connect(scratch.database(), 10).await.expect("it connects");
    let mut both = [listener.listen("a").await.expect("it listens"), listener.listen("b").await.expect("it listens")];
    for round in 0..3 {
        scratch.run(&format!("NOTIFY a, 'before {round}'; NOTIFY b, 'before {round}'")).await;
        for subscription in &mut both {
            assert_eq!(text(subscription).await, format!("before {round}"));
        }
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE datname = current_database() AND application_name = 'switchboard rows feed'; NOTIFY a, 'in the gap'";
        scratch.run(end).await;
        for subscription in &mut both {
            assert!(matches!(next_but_gap(subscription).await, Change::Lost { .. }));
            assert_eq!(next_but_gap(subscription).await, Change::Listening);
        }
        scratch.run(&format!("NOTIFY a, 'after {round}'; NOTIFY b, 'after {round}'")).await;
        for subscription in &mut both {
            let Change::Notification { payload, .. } = next_but_gap(subscription).await else {
                panic!("a notification")
            };
            assert_eq!(&*payload, format!("after {round}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_is_told_how_much_it_missed_and_holds_up_nobody() {
    let scratch = server().scratch().await;
    let listener = ChangeListener::connect(scratch.database(), 4).await.expect("it connects");
    let mut slow = listener.listen("a").await.expect("it listens");
    let mut other = listener.listen("b").await.expect("it listens");
    scratch.run("SELECT pg_notify('a', n::text) FROM generate_series(1, 10) n; NOTIFY b, 'last'").await;
    assert_eq!(text(&mut other).await, "last");
    assert_eq!(next(&mut slow).await, Change::Missed(6));
    for number in 7..=10 {
        assert_eq!(text(&mut slow).await, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_brings_nothing_is_a_gap() {
    let scratch = server().scratch().await;
    let proxy = Proxy::start(server().socket_directory()).await;
    let database = proxy.address("app", scratch.scratch.name()).parse().expect("an address");
    let listener = ChangeListener::connect(&database, 10).await.expect("it connects");
    let mut subscription = listener.listen("a").await.expect("it listens");
    proxy.swallow(true);
    assert!(matches!(next(&mut subscription).await, Change::Lost { .. }));
    proxy.swallow(false);
    proxy.cut();
    assert_eq!(next(&mut subscription).await, Change::Listening);
    scratch.run("NOTIFY a, 'back'").await;
    assert_eq!(text(&mut subscription).await, "back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_postgresql_would_cut_is_refused() {
    let scratch = server().scratch().await;
    let listener = ChangeListener::connect(scratch.database(), 0).await.expect("it connects");
    assert_eq!(listener.capacity(), 1);
    for name in [String::new(), "x".repeat(64), "a\0b".to_owned()] {
        assert!(matches!(listener.listen(&name).await, Err(Error::Refused { .. })), "{name:?}");
    }
    let longest = "x".repeat(63);
    let mut subscription = listener.listen(&longest).await.expect("it listens");
    scratch.run(&format!("NOTIFY {longest}, 'heard'")).await;
    assert_eq!(text(&mut subscription).await, "heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_nobody_hears_is_left() {
    let scratch = server().scratch().await;
    let listener = ChangeListener::connect(scratch.database(), 10).await.expect("it connects");
    drop(listener.listen("a").await.expect("it listens"));
    scratch.run("NOTIFY a").await;
    let mut again = listener.listen("a").await.expect("it listens");
    scratch.run("NOTIFY a, 'heard'").await;
    // The first one may have come as late as the second listener.
    let heard = tokio::time::timeout(Duration::from_secs(60), async { while text(&mut again).await != "heard" {} });
    heard.await.expect("in time");
}
