//! Options and files of settings: right, wrong and without effect.

use crate::common::Broker;
use crate::{output, text};
use std::io::Write;
use std::process::Stdio;

#[test]
fn the_printed_config_is_a_config() {
    let first = output(&["config", "--set", "outbox=3MiB", "--memory", "1GiB", "--channel", "/topic/a,policy=block"]);
    assert!(first.status.success());
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("switchboard.toml");
    std::fs::write(&path, &first.stdout).expect("a file");
    let second = output(&["config", "--config", path.to_str().expect("text")]);
    assert_eq!(text(&first.stdout), text(&second.stdout));
    assert!(text(&second.stdout).contains("\noutbox = \"3MiB\"\n"));
}

#[test]
fn a_bad_config_is_one_clear_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    std::fs::write(&path, "[broker]\noutbocks = 5\n").expect("a file");
    let bad = output(&["up", "--config", path.to_str().expect("text")]);
    assert_eq!(bad.status.code(), Some(2));
    let error = text(&bad.stderr);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("bad.toml") && error.contains("`outbocks`") && error.contains("`outbox`"), "{error}");
}

#[test]
fn usage_errors_have_one_exit_code_and_the_real_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("bad.toml");
    std::fs::write(&file, "[broker]\nmemory = '12parsecs'\n").expect("written");
    let file = file.to_str().expect("text");
    let together = directory.path().join("together.toml");
    std::fs::write(&together, "[monitor]\nlisten = '127.0.0.1:8000'\n").expect("written");
    let together = together.to_str().expect("text");
    for (args, reason) in [
        (&["broker", "--memory", "-5"][..], "it must not be negative"),
        (&["broker", "--memory", "12parsecs"], "it must be a size"),
        (
            &["broker", "--memory=0"],
            "command line: memory = 0 is not allowed: it must be from 32772KiB (33MiB will do) to 1024TiB",
        ),
        (
            &["broker", "--memory", "9999999TiB"],
            "command line: memory = 9999999TiB is not allowed: it must be from 32772KiB (33MiB will do) to 1024TiB",
        ),
        (&["broker", "--data", "~/x"], "command line: data = ~/x is not allowed: ~ is known to shells alone"),
        (&["send", "/temp-queue/x", "hi"], "/temp-queue/x is a name within one STOMP connection"),
        (&["listen", "/temp-topic/x"], "/temp-topic/x is a name within one STOMP connection"),
        (&["queues", "--all", "-s", "localhost", "peek", "/queue/a"], "'--all'"),
        (&["agent", "--server", "ftp://x", "true"], "tcp://, ipc://, http:// or https://"),
        (&["broker", "--set", "handshake=0"], "it must be from 10ms to 1d"),
        (&["broker", "--set", "read-timeout=1ns"], "it must be 0, or from 10ms to "),
        (&["broker", "--listen", "127.0.0.1:99999"], "the port of 127.0.0.1:99999 must be from 0 to 65535"),
        (&["up", "--set", "monitor.listen=*:8088"], "0.0.0.0:8088 is every address"),
        (&["up", "--set", "monitor.listen=127.0.0.1:8000"], "monitor.listen and rows.listen cannot all listen at"),
        (
            &["config", "check", together],
            "together.toml: monitor.listen and rows.listen cannot all listen at 127.0.0.1:8000",
        ),
        (&["agent", "--backlog", "-1", "true"], "it must be from 1 to 1000000"),
        (&["agent", "--color", "notacolor", "true"], "it must be a color of CSS"),
        (&["bench", "--rate", "1e3"], "it must be a number above 0, up to 100000000"),
        (&["broker", "--set", "monitor.keep=99999999999d"], "it must be from 1m to 213503d"),
        (&["broker", "--set", "nope=1"], "there is no setting `nope`; `switchboard config` prints all"),
        (&["broker", "--set", "memmory=1"], "the nearest is `memory`"),
        (&["broker", "--set", "keep=1d"], "the nearest is `monitor.keep`"),
        (&["broker", "--config", file], "memory = 12parsecs is not allowed"),
        (&["monitor", "--set", "monitor.silent=-1s"], "it must not be negative"),
        (&["config", "check", file], "memory = 12parsecs is not allowed"),
        (&["send", "/topic/a", "--interval", "-1"], "it must not be negative"),
        (&["send", "/topic/a", "--size", "5GiB"], "it is too large"),
        (&["send", "", "hi"], "it is empty: a channel's name has from 1 to 1024 bytes"),
        (&["listen", ""], "it is empty: a channel's name has from 1 to 1024 bytes"),
        (&["queues", "purge", ""], "it is empty: a channel's name has from 1 to 1024 bytes"),
        (&["bench", "--size", "15"], "it must be 16 at least"),
        (&["bench", "--seconds", "0"], "it must be more than 0"),
        (&["up", "sb.toml"], "--config sb.toml"),
        (&["sb.toml"], "--config sb.toml"),
        (&["news", "my.toml"], "--sites my.toml"),
        (&["send", "/topic/a", "--count", "-1"], "it must not be negative"),
        (&["listen", "/topic/a", "--server", "ftp://x"], "ftp:// is not known"),
        (&["status", "--server", "host:0"], "from 1 to 65535"),
    ] {
        let refused = output(args);
        assert_eq!(refused.status.code(), Some(2), "{args:?}: {refused:?}");
        assert!(text(&refused.stderr).contains(reason), "{args:?}: {}", text(&refused.stderr));
    }
}

#[test]
fn a_configuration_that_is_right_is_said_to_be() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("good.toml");
    std::fs::write(&file, output(&["config", "--set", "outbox=16MiB"]).stdout).expect("written");
    let printed = std::fs::read_to_string(&file).expect("text");
    assert!(printed.contains("\noutbox = \"16MiB\"\n") && printed.contains("\n# memory = \"512MiB\"\n"), "{printed}");
    let file = file.to_str().expect("text");
    let answer = |args: &[&str]| -> (Option<i32>, serde_json::Value) {
        let checked = output(&[&["config", "check", "--json"], args].concat());
        (checked.status.code(), serde_json::from_slice(&checked.stdout).expect("JSON"))
    };
    let right = serde_json::json!({ "file": file, "right": true, "without_effect": [] });
    assert_eq!(answer(&[file]), (Some(0), right));
    let (code, wrong) = answer(&["/nowhere.toml"]);
    assert!(code == Some(2) && wrong["right"] == false && wrong["problem"].is_string(), "{wrong}");
    let checked = output(&["config", "check", file]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(text(&checked.stdout).contains("is right"), "{checked:?}");
}

#[test]
fn a_setting_without_effect_is_a_warning() {
    let mut broker = Broker::start(&["--set", "monitor.keep=1d"]);
    broker.log.find(&["WARN", "without effect: monitor.keep: the monitor is not started"]);
    broker.program.signal("-TERM");
    broker.program.end();
}

#[test]
fn a_file_that_is_a_pipe_is_refused_and_not_waited_for() {
    let base = tempfile::tempdir().expect("a directory");
    let fifo = base.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let fifo = fifo.to_str().expect("text");
    let ca = format!("monitor.webhook-ca={fifo}");
    let data = base.path().to_str().expect("text");
    let monitor = ["monitor", "--data", data, "--listen", "127.0.0.1:0", "--collect", "", "--set", &ca];
    for (args, code) in [
        (&["config", "check", fifo][..], 2),
        (&["broker", "--config", fifo], 2),
        (&["news", "check", fifo], 2),
        (&[&monitor[..], &["--set", "monitor.webhook=https://a.example/"]].concat(), 1),
    ] {
        let ended = output(args);
        let said = text(&ended.stderr);
        assert!(said.contains(fifo) && said.contains("it is no regular file"), "{args:?}: {said}");
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
    }
}

#[test]
fn a_file_that_is_longer_than_its_limit_is_refused_and_not_read_to_its_end() {
    let base = tempfile::tempdir().expect("a directory");
    let file = base.path().join("file");
    // A terabyte of nothing.
    std::fs::File::create(&file).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    let file = file.to_str().expect("text");
    let ca = format!("monitor.webhook-ca={file}");
    let data = base.path().to_str().expect("text");
    let monitor = ["monitor", "--data", data, "--listen", "127.0.0.1:0", "--collect", "", "--set", &ca];
    for (args, limit, code) in [
        (&["config", "check", file][..], 1 << 20, 2),
        (&["broker", "--config", file], 1 << 20, 2),
        (&["news", "check", file], 4 << 20, 2),
        (&[&monitor[..], &["--set", "monitor.webhook=https://a.example/"]].concat(), 4 << 20, 1),
    ] {
        let ended = output(args);
        let said = text(&ended.stderr);
        let reason = format!("it is longer than the limit of {limit} bytes");
        assert!(said.contains(file) && said.contains(&reason), "{args:?}: {said}");
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
    }
}

#[test]
fn a_configuration_on_the_standard_input_is_checked_up_to_the_same_limit() {
    let check = |name: &str, input_text: &[u8]| {
        let mut command = crate::common::switchboard(&["config", "check", name]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut input = child.stdin.take().expect("a pipe");
        // It may have ended at the limit.
        let _ = input.write_all(input_text);
        drop(input);
        let ended = child.wait_with_output().expect("an end");
        (ended.status.code(), text(&ended.stderr))
    };
    for name in ["-", "/dev/stdin"] {
        assert_eq!(check(name, b"log = 'info'\n"), (Some(0), String::new()));
        let (code, said) = check(name, b"log = 'info'\nlogg = 1\n");
        assert!(code == Some(2) && said.contains("standard input") && said.contains("logg"), "{said}");
        assert_eq!(check(name, &vec![b'#'; 1 << 20]).0, Some(0));
        let (code, said) = check(name, &vec![b'#'; (1 << 20) + 1]);
        assert!(code == Some(2) && said.contains("longer than the limit of 1048576 bytes"), "{said}");
    }
}

#[test]
fn a_configuration_has_at_most_a_mebibyte_and_is_a_regular_file() {
    let base = tempfile::tempdir().expect("a directory");
    let file = base.path().join("long.toml");
    for (length, code) in [((1 << 20) - 1, 0), (1 << 20, 0), ((1 << 20) + 1, 2)] {
        std::fs::write(&file, vec![b'#'; length]).expect("written");
        let ended = output(&["config", "check", file.to_str().expect("text")]);
        assert_eq!(ended.status.code(), Some(code), "{length}: {}", text(&ended.stderr));
    }
    let endless = output(&["config", "check", "/dev/zero"]);
    assert_eq!(endless.status.code(), Some(2));
    assert!(text(&endless.stderr).contains("it is no regular file"), "{}", text(&endless.stderr));
}

#[test]
fn a_value_of_the_environment_is_refused_with_the_variable_and_one_of_the_command_line_without() {
    for (args, variable, value) in [
        (&["status"][..], "SWITCHBOARD_URL", "ftp://x"),
        (&["queues", "peek", "/queue/a"], "SWITCHBOARD_URL", "ftp://x"),
        (&["agent", "true"], "SWITCHBOARD_URL", "ftp://x"),
        (&["broker"], "SWITCHBOARD_DATA", "~/x"),
        (&["rows"], "DATABASE_URL", "ftp://x"),
    ] {
        let refused = crate::switchboard(args).env(variable, value).output().expect("an end");
        let error = text(&refused.stderr);
        assert!(refused.status.code() == Some(2) && error.contains(variable), "{args:?}: {error}");
    }
    let given =
        crate::switchboard(&["status", "-s", "ftp://x"]).env("SWITCHBOARD_URL", "ftp://y").output().expect("an end");
    let error = text(&given.stderr);
    assert!(error.contains("ftp:// is not known") && !error.contains("SWITCHBOARD_URL"), "{error}");
}

#[test]
fn what_is_no_toml_is_refused_in_plain_words_with_the_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("bad.toml");
    for (bytes, reason) in [
        (&b"[broker]\nqueue = 99999999999999999999\n"[..], "line 2: 99999999999999999999 is too large"),
        (b"[broker]\nqueue = 9223372036854775808\n", "line 2: 9223372036854775808 is too large"),
        (b"[broker]\nqueue = 999999999999999999999999999999999999999999\n", "line 2: 99999999"),
        (b"[broker]\n\nqueue = 1\nqueue = 2\n", "line 4: queue is there twice"),
        (b"[broker]\n[monitor]\n[broker]\n", "line 3: "),
        (b"[broker]\n\xff\n", "line 2 is not UTF-8"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let checked = output(&["config", "check", path.to_str().expect("text")]);
        let error = text(&checked.stderr);
        assert!(checked.status.code() == Some(2) && error.contains(reason), "{}: {error}", bytes.escape_ascii());
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
