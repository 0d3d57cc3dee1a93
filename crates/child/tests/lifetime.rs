//! Nothing of a child is left, whatever ends it.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(25);

/// A shell that leaves children everywhere: in its group, in a session of their own, deaf to signals, orphaned.
const FAMILY: &str = "\
    sleep 1000 & \
    (trap '' TERM INT HUP; sleep 1000; sleep 1000) & \
    setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' & \
    (setsid sleep 1000 &) ; \
    touch made; echo ready; wait";

/// The host program and what it has said.
struct Host {
    process: Child,
    lines: Receiver<String>,
    /// Lines that were not asked for yet: the command prints into the same pipe.
    unread: VecDeque<String>,
    child: String,
    guardian: String,
    directory: PathBuf,
}

impl Host {
    fn start(base: &Path, command: &[&str]) -> Host {
        Host::start_as(base, "-", command)
    }

    fn start_as(base: &Path, user: &str, command: &[&str]) -> Host {
        Host::run(&mut host(base, user, command))
    }

    fn run(command: &mut Command) -> Host {
        let mut process = command.stdin(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let [child, guardian] = <[String; 2]>::default();
        let unread = VecDeque::new();
        let mut host = Host { process, lines, unread, child, guardian, directory: PathBuf::new() };
        host.child = host.value("child ");
        host.guardian = host.value("guardian ");
        host.directory = PathBuf::from(host.value("directory "));
        host
    }

    /// The rest of the first line that begins so; those before it stay unread.
    fn value(&mut self, key: &str) -> String {
        if let Some(at) = self.unread.iter().position(|line| line.starts_with(key)) {
            return self.unread.remove(at).expect("a line")[key.len()..].to_owned();
        }
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("{error} before {key:?}: {:?}", self.unread));
            assert!(!line.starts_with("error"), "{line}");
            match line.strip_prefix(key) {
                Some(value) => return value.to_owned(),
                None => self.unread.push_back(line),
            }
        }
    }

    fn until(&mut self, wanted: &str) {
        assert_eq!(self.value(wanted), "");
    }

    fn say(&mut self, line: &str) {
        self.process.stdin.as_mut().expect("a pipe").write_all(format!("{line}\n").as_bytes()).expect("written");
    }

    fn marked(&self) -> Vec<String> {
        let mark = self.directory.parent().and_then(Path::file_name).expect("a name");
        marked(&mark.to_string_lossy())
    }

    fn is_gone(&self) {
        poll("no process and no directory is left", || {
            let workplace = self.directory.parent().expect("a workplace");
            (self.marked().is_empty() && !workplace.exists() && !is_alive(&self.guardian)).then_some(())
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Every process that carries this mark of a child.
fn marked(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let processes = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let has_mark = |process: &String| {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).split('\0').any(|entry| entry == format!("SWITCHBOARD_CHILD={mark}"))
    };
    processes.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(has_mark).collect()
}

fn host(base: &Path, user: &str, command: &[&str]) -> Command {
    let mut host = Command::new(env!("CARGO_BIN_EXE_switchboard-child-host"));
    // The child's output comes through the same pipe.
    host.arg(base).arg(user).args(command).stdout(Stdio::piped()).stdin(Stdio::null());
    host
}

fn family(base: &Path) -> Host {
    let mut host = Host::start(base, &["sh", "-c", FAMILY]);
    host.until("ready");
    assert!(host.directory.join("made").exists(), "it works in its directory");
    // One that is just being started has no environment yet.
    poll("the whole family carries the mark", || (host.marked().len() >= 6).then_some(()));
    host
}

fn signal(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().expect("kill").success());
}

/// Whether it runs; a zombie does not.
fn is_alive(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn base() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

#[test]
fn a_family_is_gone_after_we_are_killed() {
    let base = base();
    let mut host = family(base.path());
    host.process.kill().expect("a process");
    host.is_gone();
}

#[test]
fn a_family_is_gone_after_we_are_killed_while_the_guardian_starts() {
    let base = base();
    let workplace = base.path().join("child-of-the-killed");
    fs::create_dir_all(workplace.join("run")).expect("made");
    fs::write(workplace.join("lock"), "").expect("written");
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    // Nobody reads what the guardian says, from its first word on.
    drop(ours);
    let mut guardian = Command::new(env!("CARGO_BIN_EXE_switchboard-child-host"));
    guardian.arg("--switchboard-guardian").arg(&workplace).args(["-", "-", "15", "sh", "-c", FAMILY]);
    let output = guardian.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).status().expect("it starts");
    assert!(output.success(), "{output}");
    assert!(!workplace.exists(), "the guardian removes the directory");
    assert!(marked("child-of-the-killed").is_empty(), "no process of the family is left");
}

#[test]
fn a_family_is_gone_after_the_command_is_killed() {
    let base = base();
    let mut host = family(base.path());
    signal("-KILL", &host.child);
    host.say("wait");
    host.until("ended: Some(Signal(9))");
    host.is_gone();
}

#[test]
fn a_family_is_gone_after_the_guardian_is_killed() {
    let base = base();
    let mut host = family(base.path());
    signal("-KILL", &host.guardian);
    host.say("wait");
    host.until("ended: Some(Unknown)");
    host.is_gone();
}

#[test]
fn a_family_is_gone_after_it_was_asked_to_end() {
    let base = base();
    let mut host = family(base.path());
    host.say("stop");
    host.until("ended: Signal(15)");
    host.is_gone();
}

#[test]
fn a_family_is_gone_after_the_child_is_dropped() {
    let base = base();
    let mut host = family(base.path());
    host.say("drop");
    host.is_gone();
}

#[test]
fn the_output_of_a_command_has_no_writer_besides_the_command() {
    let base = base();
    let host = family(base.path());
    // Its reader would see the end only once the guardian has cleaned up.
    let output = fs::read_link(format!("/proc/{}/fd/1", host.guardian)).expect("a descriptor");
    assert_eq!(output, Path::new("/dev/null"));
    assert_ne!(fs::read_link(format!("/proc/{}/fd/1", host.child)).expect("a descriptor"), output);
}

#[test]
fn a_command_that_ignores_every_signal_is_killed() {
    let base = base();
    let mut host =
        Host::start(base.path(), &["sh", "-c", "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done"]);
    host.until("ready");
    host.say("stop");
    host.until("ended: Unknown");
    host.is_gone();
}

#[test]
fn a_stopped_command_is_killed() {
    let base = base();
    let mut host = Host::start(base.path(), &["sh", "-c", "echo ready; kill -STOP $$; sleep 1000"]);
    host.until("ready");
    host.process.kill().expect("a process");
    host.is_gone();
}

#[test]
fn how_a_command_ends_by_itself_is_known() {
    let base = base();
    for (script, ended) in
        [("exit 0", "Some(Code(0))"), ("exit 7", "Some(Code(7))"), ("kill -INT $$", "Some(Signal(2))")]
    {
        let mut host = Host::start(base.path(), &["sh", "-c", script]);
        host.say("wait");
        host.until(&format!("ended: {ended}"));
        host.is_gone();
    }
}

#[test]
fn what_our_parent_ignores_ends_the_command_all_the_same() {
    let base = base();
    let host = host(base.path(), "-", &["sh", "-c", "grep SigIgn /proc/self/status"]);
    // As nohup and a shell's background do.
    let mut deaf = Command::new("sh");
    deaf.args(["-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh"]).arg(host.get_program()).args(host.get_args());
    let mut host = Host::run(deaf.stdout(Stdio::piped()));
    let ignored = u64::from_str_radix(host.value("SigIgn:").trim(), 16).expect("a mask");
    // SIGHUP, SIGINT and SIGQUIT are 1, 2 and 3.
    assert_eq!(ignored & 0b111, 0, "{ignored:b}");
    host.is_gone();
}

#[test]
fn what_was_left_by_us_and_our_guardian_is_swept_at_the_next_start() {
    let base = base();
    let mut host = family(base.path());
    // Both at once, so that neither can do anything for the other.
    let both = format!("kill -KILL {} {}", host.process.id(), host.guardian);
    assert!(Command::new("sh").args(["-c", &both]).status().expect("sh").success());
    let _ = host.process.wait();
    // Its lock goes with it.
    poll("the guardian is dead", || (!is_alive(&host.guardian)).then_some(()));
    assert!(host.directory.exists());
    let mut next = Host::start(base.path(), &["sh", "-c", "echo ready; sleep 1000"]);
    next.until("ready");
    host.is_gone();
    assert!(next.directory.exists(), "only what was abandoned is swept");
}

#[test]
fn programs_that_start_side_by_side_sweep_nothing_of_each_other() {
    let base = base();
    let hosts = std::thread::scope(|scope| {
        let starts =
            [(); 8].map(|()| scope.spawn(|| Host::start(base.path(), &["sh", "-c", "echo ready; sleep 1000"])));
        starts.map(|start| start.join().expect("it starts"))
    });
    for mut host in hosts {
        host.until("ready");
        assert!(host.directory.is_dir());
        host.process.kill().expect("a process");
        host.is_gone();
    }
}

#[test]
fn a_command_is_asked_to_end_by_the_signal_that_was_chosen() {
    let base = base();
    let script = "trap 'echo INT > \"$0\"; exit' INT; trap 'echo TERM > \"$0\"; exit' TERM; echo ready; \
                  while :; do sleep 0.1; done";
    for (signal, name) in [(None, "TERM"), (Some("2"), "INT"), (Some("15"), "TERM")] {
        let told = base.path().join("told");
        let mut command = host(base.path(), "-", &["sh", "-c", script, told.to_str().expect("text")]);
        command.envs(signal.map(|signal| ("END_SIGNAL", signal)));
        let mut host = Host::run(&mut command);
        host.until("ready");
        host.process.kill().expect("a process");
        host.is_gone();
        assert_eq!(fs::read_to_string(&told).expect("it was asked").trim(), name);
        fs::remove_file(told).expect("removed");
    }
}

#[test]
fn a_command_that_is_not_there_is_an_error_and_leaves_nothing() {
    let base = base();
    let mut host = Host::start(base.path(), &["/no/such/program"]);
    host.say("wait");
    host.until("ended: Some(Code(127))");
    host.is_gone();
    assert_eq!(fs::read_dir(base.path()).expect("a directory").count(), 0);
}

#[test]
fn a_base_that_cannot_be_written_to_is_an_error_that_names_it() {
    let output = host(Path::new("/proc/no-such-directory"), "-", &["true"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("error: cannot make a private directory in /proc/no-such-directory"), "{text}");
}

#[test]
fn root_starts_commands_as_another_user_in_a_directory_of_theirs() {
    if !nix::unistd::Uid::effective().is_root() {
        let output = host(base().path(), "nobody", &["true"]).output().expect("it runs");
        assert!(String::from_utf8_lossy(&output.stdout).contains("error: "), "only root may");
        return;
    }
    let base = base();
    // So that others can pass.
    fs::set_permissions(base.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permissions");
    let mut host = Host::start_as(base.path(), "nobody", &["sh", "-c", "touch mine; id -un; id -G; sleep 1000"]);
    host.until("nobody");
    host.until(&nix::unistd::User::from_name("nobody").expect("a user").expect("nobody").gid.to_string());
    host.process.kill().expect("a process");
    host.is_gone();
}

#[test]
fn a_child_does_not_answer_the_service_manager_in_our_place() {
    let base = tempfile::tempdir().expect("a directory");
    let mut command = host(base.path(), "-", &["sh", "-c", "env; echo whole; read never"]);
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        command.env(name, "1");
    }
    let mut host = Host::run(command.env("KEPT", "1"));
    host.until("whole");
    let told = |name: &&String| ["NOTIFY", "WATCHDOG", "LISTEN"].iter().any(|prefix| name.starts_with(prefix));
    assert_eq!(host.unread.iter().filter(told).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(host.unread.contains(&"KEPT=1".to_owned()), "{:?}", host.unread);
}
