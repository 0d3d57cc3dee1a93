//! The place of the data directory.

mod common;

use common::{BROKER_AND_MONITOR, Program, poll, switchboard};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// `up` on free ports, without anything of this environment.
fn up(ready: &Path) -> Command {
    let mut command =
        switchboard(&["up", "--listen", "127.0.0.1:0", "--http", "", "--set", "monitor.listen=127.0.0.1:0"]);
    command
        .args(BROKER_AND_MONITOR)
        .args(["--set", "monitor.collect=", "--ready-file"])
        .arg(ready)
        .env_clear()
        .stderr(Stdio::null());
    command
}

/// Runs `up`, and returns its ready file.
fn ready(command: &mut Command, path: &Path) -> (Program, Value) {
    let program = Program::start(command).expect("it starts");
    let text = poll("it is ready", || fs::read_to_string(path).ok());
    (program, serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn a_ready_file_replaces_nothing_but_a_file() {
    let base = tempfile::tempdir().expect("a directory");
    let (fifo, link, target) = (base.path().join("fifo"), base.path().join("link"), base.path().join("target"));
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    fs::write(&target, "kept").expect("a file");
    symlink(&target, &link).expect("a link");
    for path in [&fifo, &link, &base.path().to_owned()] {
        let before = fs::symlink_metadata(path).expect("it is there").file_type();
        let refused = up(path).stderr(Stdio::piped()).output().expect("it ends");
        let error = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(2) && error.contains("it is no regular file"), "{error}");
        assert_eq!(fs::symlink_metadata(path).expect("it is there").file_type(), before);
    }
    assert_eq!(fs::read_to_string(&target).expect("a file"), "kept");
}

#[test]
fn each_way_to_name_it_is_obeyed() {
    let base = tempfile::tempdir().expect("a directory");
    let path = base.path().join("ready.json");
    for (name, within) in [
        ("SWITCHBOARD_DATA", ""),
        ("STATE_DIRECTORY", ""),
        ("XDG_STATE_HOME", "switchboard"),
        ("HOME", ".local/state/switchboard"),
    ] {
        let directory = base.path().join(name);
        let (_program, ready) = ready(up(&path).env(name, &directory), &path);
        assert!(ready["monitor"][0].is_string(), "{name}: {ready}");
        let folder = directory.join(within).join("monitor");
        assert_eq!(fs::metadata(&folder).expect(name).permissions().mode() & 0o777, 0o700);
        fs::remove_file(&path).expect("the ready file");
    }
}

#[test]
fn without_a_place_the_broker_runs_and_the_monitor_says_why_not() {
    let base = tempfile::tempdir().expect("a directory");
    let path = base.path().join("ready.json");
    let (_program, ready) = ready(&mut up(&path), &path);
    assert!(ready["native"][0].is_string(), "{ready}");
    let reason = ready["down"]["monitor"].as_str().expect("a reason");
    assert!(reason.contains("--data DIR or SWITCHBOARD_DATA"), "{reason}");
}

#[test]
fn what_others_have_prepared_is_neither_used_nor_changed() {
    let base = tempfile::tempdir().expect("a directory");
    let path = base.path().join("ready.json");
    let data = base.path().join("data");
    let precious = base.path().join("precious");
    fs::write(&precious, "precious").expect("written");
    fs::create_dir_all(data.join("monitor")).expect("a directory");
    fs::write(data.join("token"), "0123456789abcdef0123456789abcdef").expect("written");
    symlink(&precious, data.join("monitor/lock")).expect("a link");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o777)).expect("permissions");
    let (_program, ready) = ready(up(&path).env("SWITCHBOARD_DATA", &data), &path);
    let reason = ready["down"]["monitor"].as_str().expect("a reason");
    assert!(reason.contains("can be written to by others"), "{reason}");
    assert_eq!(fs::read_to_string(&precious).expect("the file"), "precious");
}

#[test]
fn two_processes_do_not_share_it() {
    let base = tempfile::tempdir().expect("a directory");
    let data = base.path().join("data");
    let (first, second) = (base.path().join("first.json"), base.path().join("second.json"));
    let (_program, told) = ready(up(&first).env("SWITCHBOARD_DATA", &data), &first);
    assert!(told["down"].is_null(), "{told}");
    let (_other, told) = ready(up(&second).env("SWITCHBOARD_DATA", &data), &second);
    let reason = told["down"]["monitor"].as_str().expect("a reason");
    assert!(reason.contains("another Switchboard uses "), "{reason}");
}
