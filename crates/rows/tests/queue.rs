//! Listeners that are not read fill PostgreSQL's notification queue, and then every writer fails.
#![cfg(not(loom))]

mod common;

use common::{Server, connect, is_cached, until};
use switchboard_rows::{Options, RowCache, Source};

/// A session under a feed's name that nobody reads, as a stopped process has one.
async fn stopped_feed(server: &Server, user: &str) -> (tokio_postgres::Client, tokio::net::UnixStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket =
        tokio::net::UnixStream::connect(server.socket_directory().join(".s.PGSQL.5432")).await.expect("it accepts");
    let mut parameters = Vec::new();
    for part in ["user", user, "database", "postgres", "application_name", "switchboard rows feed", ""] {
        parameters.extend_from_slice(part.as_bytes());
        parameters.push(0);
    }
    let length = u32::try_from(parameters.len() + 8).expect("short");
    let start = [&length.to_be_bytes()[..], &196_608_u32.to_be_bytes(), &parameters].concat();
    socket.write_all(&start).await.expect("sent");
    let listen = b"LISTEN chan_t\0";
    let length = u32::try_from(listen.len() + 4).expect("short");
    socket.write_all(&[&b"Q"[..], &length.to_be_bytes(), listen].concat()).await.expect("sent");
    // It listens once the answer has come.
    let mut answer = Vec::new();
    while !answer.windows(7).any(|window| window == b"LISTEN\0") {
        assert!(socket.read_buf(&mut answer).await.expect("an answer") > 0, "{}", String::from_utf8_lossy(&answer));
    }
    (connect(&server.address(user, "postgres")).await, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_of_the_service_that_are_not_read_are_ended_and_no_others() {
    let server = tokio::task::block_in_place(|| Server::start(&[]));
    server.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app; CREATE ROLE other LOGIN");
    let (sql, _socket) = stopped_feed(&server, "app").await;
    let (_other, _other_socket) = stopped_feed(&server, "other").await;
    sql.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.expect("created");
    // From the first page on that is in use.
    let options = Options { queue_limit: 0.0, ..Options::default() };
    let cache = RowCache::connect_with(&server.database(), ["t"], options).await.expect("it connects");
    let feeds = async |user: &str| {
        let find =
            "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND application_name = 'switchboard rows feed'";
        sql.query_one(find, &[&user]).await.expect("it answers").get::<_, i64>(0)
    };
    assert_eq!((feeds("app").await, feeds("other").await), (2, 1));
    until("the stopped one is ended", async || {
        // More than the socket takes.
        let notify = "SELECT pg_notify('chan_t', n || repeat('x', 7900)) FROM generate_series(1, 200) n";
        sql.batch_execute(notify).await.expect("sent");
        (cache.metrics().listeners_ended > 0).then_some(())
    })
    .await;
    until("it is gone", async || (feeds("app").await == 1).then_some(())).await;
    assert_eq!(feeds("other").await, 1, "another role's is not ours");
    // Its own feed may have been late as well, and comes back.
    is_cached(&cache).await;
    tokio::task::block_in_place(|| server.end());
}

/// The smallest queue that PostgreSQL takes, half a megabyte. Before version 17 it is 8 GB.
const SMALL: &str = "max_notify_queue_pages=64";
/// A sixteenth of it.
const NOTIFY: &str = "SELECT pg_notify('chan_t', n || repeat('x', 7900)) FROM generate_series(1, 4) n";

#[tokio::test(flavor = "multi_thread")]
async fn no_commit_fails_where_a_listener_of_the_service_is_not_read() {
    let server = tokio::task::block_in_place(|| Server::start_newest(&[SMALL]));
    server.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app");
    let (sql, _socket) = stopped_feed(&server, "app").await;
    sql.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text)").await.expect("created");
    let cache = RowCache::connect(&server.database(), ["t"]).await.expect("it connects");
    for number in 0.. {
        assert!(number < 1000, "nobody was ended");
        sql.batch_execute(NOTIFY).await.expect("the queue has room");
        // A marker, which looks at the queue.
        cache.get_strong("t", 1).await.expect("read");
        if cache.metrics().listeners_ended > 0 {
            break;
        }
    }
    for _ in 0..100 {
        sql.batch_execute(NOTIFY).await.expect("the queue has room again");
        cache.get_strong("t", 1).await.expect("read");
    }
    tokio::task::block_in_place(|| server.end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_another_programs_listener_has_filled_fails_writers_and_makes_no_read_stale() {
    let server = tokio::task::block_in_place(|| Server::start_newest(&[SMALL]));
    server.run_sql("postgres", "GRANT CREATE ON SCHEMA public TO app; CREATE ROLE other LOGIN");
    let (_other, _socket) = stopped_feed(&server, "other").await;
    let sql = connect(&server.address("app", "postgres")).await;
    sql.batch_execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        .await
        .expect("created");
    let cache = RowCache::connect(&server.database(), ["t"]).await.expect("it connects");
    assert!(cache.get_strong("t", 1).await.expect("read").is_some());
    let mut sent = 0;
    let error = loop {
        match sql.batch_execute(NOTIFY).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000, "the queue does not fill");
    };
    let code = |error: &tokio_postgres::Error| error.code().map(|code| code.code().to_owned());
    assert_eq!(code(&error).as_deref(), Some("54000"), "{error:?}");
    let write = sql.batch_execute("UPDATE t SET v = 'b'").await.expect_err("its event has no room");
    assert_eq!(code(&write).as_deref(), Some("54000"), "{write:?}");
    // A write without an event: no marker passes either, so nothing is served that it would make stale.
    let unseen = "ALTER TABLE t DISABLE TRIGGER USER; UPDATE t SET v = 'c'";
    sql.batch_execute(unseen).await.expect("it notifies nobody");
    let read = cache.read_strong("t", 1).await.expect("the database answers");
    assert_eq!((read.source, read.row.as_deref()), (Source::Bypass, Some(&br#"{"id":1,"v":"c"}"#[..])));
    until("rows are not served from the cache any more", async || {
        let read = cache.read("t", 1).await.expect("the database answers");
        (read.source == Source::Bypass).then_some(())
    })
    .await;
    let metrics = cache.metrics();
    assert!(metrics.markers_failed > 0 && metrics.queue_usage > 0.5, "{metrics:?}");
    assert_eq!(metrics.listeners_ended, 0, "it is not ours");
    server.run_sql("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'other'");
    let enable = "ALTER TABLE t ENABLE ALWAYS TRIGGER switchboard_rows; ALTER TABLE t ENABLE ALWAYS TRIGGER switchboard_rows_truncate";
    sql.batch_execute(enable).await.expect("altered");
    until("writes pass again", async || sql.batch_execute("UPDATE t SET v = 'd'").await.ok()).await;
    is_cached(&cache).await;
    assert_eq!(cache.get_strong("t", 1).await.expect("read").as_deref(), Some(&br#"{"id":1,"v":"d"}"#[..]));
    tokio::task::block_in_place(|| server.end());
}
