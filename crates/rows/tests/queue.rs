//! Listeners that are not read fill PostgreSQL's notification queue, and then every writer fails.
#![cfg(not(loom))]

mod common;

use common::{Server, connect, until};
use switchboard_rows::{Options, RowCache};

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
    assert!(cache.metrics().queue_usage >= 0.0 && cache.status().problem.is_none());
    cache.live().await;
    tokio::task::block_in_place(|| server.end());
}
