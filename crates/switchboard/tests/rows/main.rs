//! `switchboard rows`, with a PostgreSQL of its own, and without one.

#[path = "../common/mod.rs"]
mod common;
mod running;
mod words;

use common::{Program, poll, switchboard};
use running::{Rows, processes, text};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn a_private_postgresql_serves_rows_keeps_them_and_never_outlives_the_program() {
    let mut rows = Rows::start(&["rows"], "rows");
    rows.until_ready();
    assert_eq!(rows.ask("POST", "/patron", r#"{"name":"Ann"}"#), (201, r#"{"msg":"ok","id":1}"#.to_owned()));
    assert_eq!(rows.ask("GET", "/patron/1", "").1, r#"{"id":1,"name":"Ann","fav_dish":null}"#);
    assert!(!rows.postgres().is_empty());
    // Whatever ends it.
    rows.program.child.kill().expect("killed");
    rows.program.end();
    poll("PostgreSQL is gone", || rows.postgres().is_empty().then_some(()));
    // The written rows are there again.
    let ready = rows.directory.path().join("again.json");
    let mut command = switchboard(&["rows", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(rows.directory.path().join("data")).arg("--ready-file").arg(&ready).env_remove("DATABASE_URL");
    rows.program = Program::start(command.stderr(Stdio::null())).expect("it starts");
    let again: Value = poll("it listens", || serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok());
    rows.address = again["rows"][0].as_str().expect("an address").to_owned();
    rows.until_ready();
    assert_eq!(rows.ask("GET", "/patron/1", "").0, 200);
    rows.program.signal("-TERM");
    assert_eq!(rows.program.end().code(), Some(0));
    poll("PostgreSQL is gone", || rows.postgres().is_empty().then_some(()));
}

#[test]
fn up_serves_the_others_while_no_database_is_there() {
    let database = ["--set", "rows.database=postgres://nobody@127.0.0.1:1/none"];
    let rows = Rows::start(&[&UP[..], &database].concat(), "rows");
    assert_eq!(rows.ask("GET", "/patron/1", "").0, 503);
    assert_eq!(rows.ask("GET", "/healthz", "").0, 200);
    // Its status is no broker's.
    for command in [&["status"][..], &["status", "--json"], &["status", "--all"]] {
        let wrong = switchboard(&[command, &["--server", &rows.address]].concat()).output().expect("an end");
        assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
        let reason = "is the service of rows, not the broker's HTTP: the broker's HTTP is on port 25080 by default";
        assert!(String::from_utf8_lossy(&wrong.stderr).contains(reason) && wrong.stdout.is_empty(), "{wrong:?}");
    }
}

/// The program with these arguments, on a machine without PostgreSQL.
fn without_postgresql(args: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    match rustix::process::geteuid().is_root() {
        true => command.arg("-m"),
        // The right to mount, kept over the start of the shell.
        false => command.args(["-m", "--map-current-user", "--keep-caps"]),
    };
    let hide = "if [ -d /usr/lib/postgresql ]; then mount -t tmpfs none /usr/lib/postgresql || exit 9; fi; exec \"$@\"";
    command.args(["sh", "-c", hide, "sh"]).arg(env!("CARGO_BIN_EXE_switchboard")).args(args);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env_remove("DATABASE_URL").stdin(Stdio::null());
    command
}

/// Arguments that start everything but Chromium, each on a free port.
const UP: [&str; 11] = [
    "up",
    "--listen",
    "127.0.0.1:0",
    "--http",
    "127.0.0.1:0",
    "--set",
    "monitor.listen=",
    "--set",
    "news.listen=",
    "--set",
    "render.listen=",
];

#[test]
fn without_postgresql_rows_say_how_to_install_it_and_up_serves_the_others() {
    for (args, key) in [(&["rows"][..], "rows"), (&UP, "rows")] {
        let rows = Rows::run(&mut without_postgresql(args), key);
        let answer = poll("it says so", || {
            let (status, body) = rows.ask("GET", "/patron/1", "");
            assert_eq!(status, 503, "{body}");
            body.contains("not installed").then_some(body)
        });
        assert!(answer.contains("apt-get install postgresql") && answer.contains("--database"), "{answer}");
        assert_eq!(rows.ask("GET", "/healthz", "").0, 200);
    }
    for args in [&["rows", "demo"][..], &["rows", "scratch", "--", "true"]] {
        let output = without_postgresql(args).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains("apt-get install postgresql"), "{}", text(&output));
    }
}

#[test]
fn of_two_programs_over_one_data_directory_the_second_ends_alone_and_under_up_takes_over_in_the_end() {
    let mut first = Rows::start(&["rows"], "rows");
    first.until_ready();
    assert_eq!(first.ask("POST", "/patron", r#"{"name":"Ann"}"#).0, 201);
    let same = first.directory.path().join("data");
    let second = |args: &[&str]| {
        let mut command = switchboard(args);
        command.args(["--set", "rows.listen=127.0.0.1:0", "--data"]).arg(&same).env_remove("DATABASE_URL");
        command
    };
    let alone = second(&["rows"]).output().expect("an end");
    assert_eq!(alone.status.code(), Some(1), "{}", text(&alone));
    assert!(text(&alone).contains("another program keeps one"), "{}", text(&alone));
    let ready = first.directory.path().join("second.json");
    let mut command = second(&UP);
    let second = Program::start(command.arg("--ready-file").arg(&ready).stderr(Stdio::null())).expect("it starts");
    let until = |what: &str, wanted: &dyn Fn(&Value) -> Option<String>| {
        poll(what, || wanted(&serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok()?))
    };
    let reason = until("it says so", &|ready| Some(ready["down"]["rows"].as_str()?.to_owned()));
    assert!(reason.contains("another program keeps one"), "{reason}");
    assert_eq!(first.ask("GET", "/patron/1", "").0, 200, "the first goes on");
    first.program.signal("-TERM");
    first.program.end();
    first.program = second;
    first.address = until("it runs", &|ready| Some(ready["rows"][0].as_str()?.to_owned()));
    first.until_ready();
    assert_eq!(first.ask("GET", "/patron/1", "").0, 200);
}

#[test]
fn the_log_has_each_event_cut_and_at_debug_what_each_request_cost() {
    let rows = Rows::start(&["rows", "--log", "debug"], "rows");
    rows.until_ready();
    rows.logs("psql 'host=");
    let installed = rows.logs("installed the triggers");
    assert!(installed.contains("patron") && installed.contains("triggers remove"), "{installed}");
    assert_eq!(rows.ask("GET", "/patron/37", "").0, 404);
    rows.logs("id=37 Cache miss");
    assert!(rows.logs("get Elapsed: ").ends_with(" ms"));
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(2000));
    assert_eq!(rows.ask("POST", "/patron", &body).0, 201);
    let event = rows.logs(r#"Got DB event: {"table":"patron","id":1,"type":"INSERT""#);
    assert_eq!(event.split_once("event: ").expect("an event").1.len(), 500);
}

#[test]
fn up_touches_no_database_but_the_private_one_unless_its_settings_name_one() {
    let mut command = switchboard(&UP);
    let rows = Rows::run(command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"), "rows");
    rows.until_ready();
    assert_eq!(rows.ask("POST", "/patron", r#"{"name":"Ann"}"#).0, 201);
    assert!(!rows.postgres().is_empty());
}

#[test]
fn a_scratch_database_lives_as_long_as_its_command() {
    let script = "psql -qtAX -c 'CREATE TABLE t (n int)' -c 'INSERT INTO t VALUES (41 + 1)' -c 'SELECT n FROM t' \"$DATABASE_URL\" \
                  && psql -qtAX -c 'SELECT current_database()' && exit 7";
    let mut command = switchboard(&["rows", "scratch", "--", "sh", "-c", script]);
    let output = command.env_remove("DATABASE_URL").output().expect("it runs");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), lines.lines().next()), (Some(7), Some("42")), "{}", text(&output));
    assert!(lines.lines().nth(1).is_some_and(|name| name.starts_with("switchboard_scratch_")), "{lines}");
    let none = switchboard(&["rows", "scratch"]).env_remove("DATABASE_URL").output().expect("it runs");
    assert_eq!(none.status.code(), Some(2), "{}", text(&none));
    let nowhere =
        switchboard(&["rows", "scratch", "create", "x"]).env_remove("DATABASE_URL").output().expect("it runs");
    assert_eq!(nowhere.status.code(), Some(2), "{}", text(&nowhere));
}

#[test]
fn nothing_is_left_of_a_temporary_postgresql_after_its_program_was_killed() {
    // It ends with its standard input: the program that it belongs to cannot end it.
    let mut command = switchboard(&["rows", "scratch", "--", "sh", "-c", "echo \"$PGHOST\"; read line"]);
    command.env_remove("DATABASE_URL").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = command.spawn().expect("it starts");
    let input = program.stdin.take();
    let mut line = String::new();
    BufReader::new(program.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let directory = Path::new(line.trim());
    assert!(directory.join("data/postmaster.pid").exists(), "{line}");
    let mark = directory.parent().expect("its directory").to_owned();
    program.kill().expect("killed");
    program.wait().expect("it has ended");
    poll("the directory is gone", || (!mark.exists()).then_some(()));
    poll("PostgreSQL is gone", || {
        let is_ours = |command: &String| command.contains(&mark.display().to_string());
        (!processes().iter().any(is_ours)).then_some(())
    });
    drop(input);
}

#[test]
fn help_names_the_default_database_where_there_is_one() {
    let help = |args: &[&str]| {
        let output = switchboard(args).arg("--help").env_remove("DATABASE_URL").output().expect("it runs");
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<&str>>().join(" ")
    };
    for args in [&["rows"][..], &["rows", "demo"], &["rows", "scratch"]] {
        assert!(help(args).contains("[default: a private PostgreSQL]"), "{args:?}");
    }
    let needed: [&[&str]; 5] = [
        &["rows", "triggers", "print"],
        &["rows", "triggers", "install"],
        &["rows", "triggers", "remove"],
        &["rows", "scratch", "create"],
        &["rows", "scratch", "drop"],
    ];
    for args in needed {
        let help = help(args);
        assert!(help.contains("there is no default") && !help.contains("a private PostgreSQL"), "{args:?}: {help}");
    }
}

#[test]
fn triggers_are_printed_installed_and_removed_without_a_trace() {
    let program = env!("CARGO_BIN_EXE_switchboard");
    let find = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT count(*) FROM pg_proc WHERE proname LIKE 'switchboard%'";
    let script = format!(
        "set -e
         psql -qX -c 'CREATE TABLE patron (id int PRIMARY KEY)'
         {program} rows triggers print | grep -c 'CREATE TRIGGER'
         {program} rows triggers print | psql -qX
         {program} rows triggers install --table patron
         {program} rows triggers install
         psql -qtAX -c \"{find}\"
         {program} rows triggers install --json
         {program} rows triggers remove
         {program} rows triggers remove -j
         psql -qtAX -c \"{find}\"
         ! {program} rows triggers install --table none
         url=$({program} rows scratch create kept)
         psql -qtAX -c 'SELECT current_database()' \"$url\"
         {program} rows scratch drop kept
         {program} rows scratch create -j named | grep -c '\"database\":\"named\".*\"drop\":\"switchboard rows scratch drop.*\"url\":\"postgres'
         {program} rows scratch drop --json named
         url=$(env -u DATABASE_URL {program} rows scratch create --database \"$DATABASE_URL\" \"it's kept\" 2> told)
         psql -qtAX -c 'SELECT current_database()' \"$url\"
         unset DATABASE_URL
         eval \"$(sed -n 's|^To drop it: switchboard|{program}|p' told)\"
         ! psql -qX -c 'SELECT 1' \"it's kept\" 2>&1
         ! psql -qX -c 'SELECT 1' kept 2>&1
         ! {program} rows scratch drop --database \"$url\" postgres"
    );
    let mut command = switchboard(&["rows", "scratch", "--", "sh", "-c", &script]);
    let directory = tempfile::tempdir().expect("a directory");
    let output = command
        .current_dir(directory.path())
        .env_remove("DATABASE_URL")
        .env("PGOPTIONS", "-c client_min_messages=warning")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> =
        lines.lines().filter(|line| !line.contains("psql") && !line.contains("does not exist")).collect();
    assert_eq!(
        lines,
        [
            "2",
            "2",
            "1",
            "{\"installed\":[\"patron\"]}",
            "{\"removed\":[\"patron\"]}",
            "0",
            "0",
            "kept",
            "1",
            "{\"dropped\":\"named\"}",
            "it's kept"
        ],
        "{}",
        text(&output)
    );
    let none = switchboard(&["rows", "triggers", "print"]).env_remove("DATABASE_URL").output().expect("it runs");
    assert!(text(&none).contains("which database?") && none.status.code() == Some(2), "{}", text(&none));
}

#[test]
fn the_demonstration_shows_that_nothing_stale_is_served() {
    let mut command = switchboard(&["rows", "demo", "--instances", "3"]);
    let output = command.env_remove("DATABASE_URL").output().expect("it runs");
    let shown = text(&output);
    assert!(output.status.success(), "{shown}");
    for part in [
        "instance 3 holds Ann",
        "instance 3 reads Bob",
        "none was stale",
        "Every instance listens again",
        "0 cached rows were found",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn tables_of_a_file_have_keys_and_columns_that_are_left_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("switchboard.toml");
    let text_of = "[rows]\ntables = [\"other\"]\n[[rows.table]]\nname = \"account\"\nkey = [\"tenant\", \"number\"]\nleave-out = [\"password\"]\nevents = \"keys\"\n";
    std::fs::write(&file, text_of).expect("written");
    let output = switchboard(&["config", "--json", "--config"]).arg(&file).output().expect("it runs");
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    assert_eq!(settings["rows"]["tables"], json!(["other"]));
    let table = json!({ "name": "account", "key": ["tenant", "number"], "leave-out": ["password"], "events": "keys" });
    assert_eq!(settings["rows"]["table"], json!([table]));
    // The printed settings read as the same settings.
    let printed = switchboard(&["config", "--config"]).arg(&file).output().expect("it runs").stdout;
    std::fs::write(&file, printed).expect("written");
    let again = switchboard(&["config", "--json", "--config"]).arg(&file).output().expect("it runs");
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).expect("JSON"), settings);
    for wrong in [
        "[[rows.table]]\n",
        "[[rows.table]]\nname = 'a'\nhide = ['b']\n",
        "[rows]\ntable = 'a'\n",
        "[[rows.table]]\nname = 1\n",
        "[[rows.table]]\nname = 'a'\nevents = 'none'\n",
    ] {
        std::fs::write(&file, wrong).expect("written");
        let output = Command::new(env!("CARGO_BIN_EXE_switchboard"))
            .args(["config", "check"])
            .arg(&file)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", text(&output));
    }
}
