//! An oracle over every operation: no read is staler than its mode allows, whatever is done to the connections, the
//! server and the table. Each safety part is switched off in turn, and must be missed.
//!
//! `ROWS_OPERATIONS` is the number of operations between two disturbances.
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;
mod gates;
mod history;
mod naive;
mod scene;
mod subject;
mod world;

use common::{Server, server};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;
use switchboard_rows::Events;
use world::{BOUND, Change, World, options};

const MOVE: Change<'_> = Change::Removes("UPDATE item SET id = -1 - id WHERE id >= 0");
const RETURN: Change<'_> = Change::Returns(
    "DELETE FROM item WHERE id >= 0; UPDATE item SET id = -1 - id, version = $version - 1 - id WHERE id < 0",
);
const TRUNCATE: Change<'_> = Change::Removes("TRUNCATE item");

/// Operations between two disturbances.
fn operations() -> u64 {
    std::env::var("ROWS_OPERATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(2_500)
}

/// One after the other: all of them share the machine.
static ONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn start(server: &'static Server) -> World {
    start_with(server, Events::Rows).await
}

async fn start_with(server: &'static Server, events: Events) -> World {
    let mut world = World::with(server, 3, &options(), false, events).await;
    world.start(4, 6).await;
    world
}

async fn check(world: &World, part: u64) {
    world.operations(operations() / part).await.unwrap_or_else(|why| panic!("{why}"));
}

async fn end(world: World) {
    check(&world, 2).await;
    println!("{} operations", world.history.operations());
    world.rest().await.unwrap_or_else(|why| panic!("{why}"));
}

/// Processes of the server's sessions by name.
pub(crate) async fn processes(world: &World, name: &str) -> Vec<Pid> {
    let find = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";
    let rows = world.scratch.sql.query(find, &[&name]).await.expect("it answers");
    rows.iter().map(|row| Pid::from_raw(row.get(0))).collect()
}

pub(crate) async fn terminate(world: &World, pattern: &str) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name LIKE $1 AND pid <> pg_backend_pid()";
    world.scratch.sql.query(end, &[&pattern]).await.expect("it answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_when_sessions_are_terminated() {
    let _one = ONE.lock().await;
    let world = start(server()).await;
    for pattern in ["switchboard rows feed", "switchboard rows marker", "switchboard rows", "switchboard%"] {
        check(&world, 4).await;
        terminate(&world, pattern).await;
    }
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_while_the_servers_processes_are_stopped() {
    let _one = ONE.lock().await;
    let world = start(server()).await;
    check(&world, 4).await;
    for name in ["switchboard rows feed", "switchboard rows marker", "switchboard rows"] {
        // Some of them: what is left has to go on.
        let stopped: Vec<Pid> = processes(&world, name).await.into_iter().take(2).collect();
        for process in &stopped {
            kill(*process, Signal::SIGSTOP).expect("stopped");
        }
        tokio::time::sleep(BOUND * 3).await;
        check(&world, 8).await;
        for process in &stopped {
            // A session that was given up has ended meanwhile.
            let _ = kill(*process, Signal::SIGCONT);
        }
        check(&world, 4).await;
    }
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_while_the_network_swallows_everything() {
    let _one = ONE.lock().await;
    let world = start(server()).await;
    check(&world, 2).await;
    world.proxies[0].swallow(true);
    tokio::time::sleep(BOUND * 3).await;
    check(&world, 2).await;
    world.proxies[0].swallow(false);
    check(&world, 4).await;
    world.proxies[1].cut();
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_while_answers_are_late_and_overtake_each_other() {
    let _one = ONE.lock().await;
    let world = start(server()).await;
    for (at, proxy) in world.proxies.iter().enumerate() {
        proxy.delay(Duration::from_millis([0, 15, 60][at]));
    }
    check(&world, 1).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_after_the_server_was_restarted_or_crashed() {
    let _one = ONE.lock().await;
    // Of its own: the other tests' one stays.
    let server: &'static Server = Box::leak(Box::new(Server::start(&[])));
    let world = start(server).await;
    for how in ["restart", "crash"] {
        check(&world, 4).await;
        tokio::task::block_in_place(|| server.again(how));
        for proxy in &world.proxies {
            proxy.target(server.socket_directory());
        }
        check(&world, 4).await;
    }
    end(world).await;
    tokio::task::block_in_place(|| server.end());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_after_every_row_was_written_at_once() {
    write_every_row(Events::Rows).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_with_events_of_keys_alone() {
    write_every_row(Events::Keys).await;
}

async fn write_every_row(events: Events) {
    let _one = ONE.lock().await;
    let world = start_with(server(), events).await;
    let rows = if operations() > 10_000 { 100_000 } else { 5_000 };
    world.scratch.run(&format!("INSERT INTO item SELECT -n - 1000000, 0 FROM generate_series(1, {rows}) n")).await;
    let update =
        "UPDATE item SET version = $version + id WHERE id >= 0; UPDATE item SET version = 1 WHERE id < -1000000";
    let whole = "UPDATE item SET version = CASE WHEN id < 0 THEN 2 ELSE $version + id END";
    for change in [Change::Updates(update), Change::Updates(whole)] {
        check(&world, 8).await;
        world.write_all(change).await;
    }
    world.scratch.run("DELETE FROM item WHERE id < -1000000").await;
    for change in [TRUNCATE, Change::Copies, MOVE, RETURN, Change::Removes("DELETE FROM item"), Change::Copies] {
        check(&world, 8).await;
        world.write_all(change).await;
    }
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_while_the_table_and_its_triggers_are_changed() {
    let _one = ONE.lock().await;
    let world = start(server()).await;
    for change in [
        "ALTER TABLE item DISABLE TRIGGER switchboard_rows",
        "ALTER TABLE item ENABLE ALWAYS TRIGGER switchboard_rows",
        "ALTER TABLE item DISABLE TRIGGER USER; UPDATE item SET pad = 'unseen';
         ALTER TABLE item ENABLE ALWAYS TRIGGER switchboard_rows; ALTER TABLE item ENABLE ALWAYS TRIGGER switchboard_rows_truncate",
        "ALTER TABLE item ENABLE REPLICA TRIGGER switchboard_rows",
        "ALTER TABLE item ENABLE ALWAYS TRIGGER switchboard_rows",
        "ALTER TABLE item ADD COLUMN extra int DEFAULT 5",
        "ALTER TABLE item DROP COLUMN extra",
        "DROP TRIGGER switchboard_rows ON item; DROP TRIGGER switchboard_rows_truncate ON item",
    ] {
        check(&world, 8).await;
        world.scratch.run(change).await;
    }
    check(&world, 8).await;
    let again = "DROP TABLE item; CREATE TABLE item (id int8 PRIMARY KEY, version int8, pad text)";
    world.write_all(Change::Removes(again)).await;
    end(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_stale_in_a_cache_of_eight_rows() {
    let _one = ONE.lock().await;
    let mut options = options();
    options.limits.rows = 8;
    options.limits.leases = 4;
    let mut world = World::new(server(), 3, &options, false).await;
    world.proxies[0].delay(Duration::from_millis(10));
    world.start(4, 6).await;
    check(&world, 1).await;
    world.write_all(TRUNCATE).await;
    end(world).await;
}
