//! Databases for a test, and that none of them stays.
#![cfg(not(loom))]

mod common;

use common::{connect, server, until};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use switchboard_rows::{Database, ScratchDatabase};

async fn exists(name: &str) -> bool {
    let sql = connect(&server().address("app", "postgres")).await;
    let find = "SELECT count(*) FROM pg_database WHERE datname = $1";
    sql.query_one(find, &[&name]).await.expect("it answers").get::<_, i64>(0) == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_dropped_in_the_end_with_whoever_is_connected() {
    let scratch = ScratchDatabase::create(&server().database()).await.expect("created");
    let name = scratch.name().to_owned();
    let inside = connect(&server().address("app", &name)).await;
    inside.batch_execute("CREATE TABLE t (id int)").await.expect("created");
    let other = ScratchDatabase::create(&server().database()).await.expect("created");
    assert!(exists(&name).await, "one that somebody keeps is not swept");
    drop(scratch);
    assert!(!exists(&name).await && exists(other.name()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_dropped_on_a_panic() {
    let task = tokio::spawn(async {
        let scratch = ScratchDatabase::create(&server().database()).await.expect("created");
        std::panic::resume_unwind(Box::new(scratch.name().to_owned()));
    });
    let name = task.await.expect_err("it panics").into_panic().downcast::<String>().expect("a name");
    assert!(!exists(&name).await);
}

#[test]
fn it_is_dropped_by_a_runtime_that_ends() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let name = runtime.block_on(async {
        let scratch = ScratchDatabase::create(&server().database()).await.expect("created");
        let name = scratch.name().to_owned();
        tokio::spawn(async move {
            let _scratch = scratch;
            std::future::pending::<()>().await;
        });
        name
    });
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    assert!(!runtime.block_on(exists(&name)));
}

#[test]
fn a_name_has_1_to_63_bytes_and_is_not_like_those_that_are_dropped_by_themselves() {
    for (name, is_good) in [
        ("", false),
        ("x", true),
        (&*"x".repeat(63), true),
        (&*"x".repeat(64), false),
        (&*"ü".repeat(32), false),
        ("it's \"kept\"", true),
        ("a\0b", false),
        ("switchboard_scratch_x", false),
        ("switchboard_scratch", true),
    ] {
        assert_eq!(ScratchDatabase::check_name(name).is_ok(), is_good, "{name:?}");
    }
}

const ADDRESS: &str = "ROWS_SCRATCH_ADDRESS";
const END: &str = "ROWS_SCRATCH_END";

/// Runs in a process of its own, below.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of other tests"]
async fn a_program_that_keeps_a_database() {
    let address: Database = std::env::var(ADDRESS).expect("set by the test").parse().expect("an address");
    let scratch = ScratchDatabase::create(&address).await.expect("created");
    println!("made {}", scratch.name());
    if std::env::var(END).as_deref() == Ok("exit") {
        std::process::exit(0);
    }
    std::future::pending::<()>().await;
}

/// Starts the program, and waits for its database.
fn program(end: &str) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "--nocapture", "a_program_that_keeps_a_database"]);
    command.env(ADDRESS, server().address("app", "postgres")).env(END, end).stdout(Stdio::piped());
    let mut process = command.spawn().expect("it starts");
    let lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
    let name = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("made ")?.1.to_owned()));
    (process, name.expect("it makes one"))
}

async fn is_swept(name: &str) {
    until("the next one sweeps it", async || {
        // The server has to notice first that the program is gone.
        drop(ScratchDatabase::create(&server().database()).await.expect("created"));
        (!exists(name).await).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_leaves_that_exits_early_is_swept() {
    let (mut process, name) = tokio::task::block_in_place(|| program("exit"));
    process.wait().expect("it exits");
    is_swept(&name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_program_leaves_is_swept_and_not_before() {
    let (mut process, name) = tokio::task::block_in_place(|| program("kill"));
    drop(ScratchDatabase::create(&server().database()).await.expect("created"));
    assert!(exists(&name).await, "its program lives");
    process.kill().expect("killed");
    process.wait().expect("it ends");
    is_swept(&name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_of_others_are_left_alone() {
    let role = format!("other_{:x}", fastrand::u32(..));
    let name = format!("switchboard_scratch_{role}");
    server().run_sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    server().run_sql("postgres", &format!("CREATE DATABASE {name} OWNER {role}"));
    drop(ScratchDatabase::create(&server().database()).await.expect("created"));
    assert!(exists(&name).await);
    server().run_sql("postgres", &format!("DROP DATABASE {name}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_kept_from_another_database_is_left_alone() {
    let maker = server().database();
    let name = format!("maker_{:x}", fastrand::u32(..));
    server().run_sql("postgres", &format!("CREATE DATABASE {name} OWNER app"));
    let kept = ScratchDatabase::create(&maker).await.expect("created");
    drop(ScratchDatabase::create(&maker.with_name(&name)).await.expect("created"));
    assert!(exists(kept.name()).await, "its keeper lives");
    drop(kept);
    server().run_sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_databases_is_told() {
    let role = format!("poor_{:x}", fastrand::u32(..));
    server().run_sql("postgres", &format!("CREATE ROLE {role} LOGIN"));
    let maker: Database = server().address(&role, "postgres").parse().expect("an address");
    let error = ScratchDatabase::create(&maker).await.expect_err("refused");
    assert!(error.to_string().contains("permission denied to create database"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_kept_stays_until_it_is_removed_and_no_other_is_removed() {
    let maker = server().database();
    let name = format!("kept \"{:x}", fastrand::u32(..));
    let database = ScratchDatabase::keep(&maker, &name).await.expect("created");
    assert_eq!(database.name(), Some(name.as_str()));
    assert!(ScratchDatabase::keep(&maker, &name).await.is_err(), "it is there already");
    drop(ScratchDatabase::create(&maker).await.expect("created"));
    assert!(exists(&name).await, "it is not swept");
    ScratchDatabase::remove(&maker, &name).await.expect("removed");
    assert!(!exists(&name).await);
    assert!(ScratchDatabase::remove(&maker, &name).await.is_err(), "it is gone");
    let precious = format!("precious_{:x}", fastrand::u32(..));
    server().run_sql("postgres", &format!("CREATE DATABASE {precious} OWNER app"));
    assert!(ScratchDatabase::remove(&maker, &precious).await.is_err());
    assert!(exists(&precious).await);
    for name in ["", "switchboard_scratch_x", &"x".repeat(64)] {
        assert!(ScratchDatabase::keep(&maker, name).await.is_err(), "{name}");
    }
}
