use nix::unistd::{Uid, User};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use tempfile::TempDir;

/// Starts of a driver before it counts as broken.
const STARTS: usize = 5;
const INSTALL: &str = "install it: apt-get install chromium chromium-driver";

/// Runs its arguments in a process group, and ends the group and removes the directory when its input is closed: by us, or by
/// the kernel when we are killed. A process may write a last file while the directory is being removed.
const GUARD: &str = r#"
    setsid "$@" &
    exec >&-
    read -r _
    kill -s KILL -- "-$!"
    wait
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf -- "$HOME" 2>/dev/null && break
        sleep 0.1
    done
"#;

/// A chromedriver, with all that it starts.
pub(crate) struct Driver {
    guard: Child,
    input: Option<ChildStdin>,
    port: u16,
    directory: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.guard.wait();
    }
}

impl Driver {
    pub(crate) fn start() -> Driver {
        // It takes a port that is free on one kind of loopback, and ends if another driver has it on the other kind.
        let driver = (0..STARTS).find_map(|_| Driver::try_start());
        driver.unwrap_or_else(|| panic!("chromedriver does not start; if it is missing, {INSTALL}"))
    }

    fn try_start() -> Option<Driver> {
        let mut command = Command::new("sh");
        let directory = private_directory(&mut command);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(["-c", GUARD, "sh", "chromedriver", "--port=0"])
            .env_clear()
            .env("PATH", path)
            .env("HOME", directory.path())
            .env("TMPDIR", directory.path())
            .current_dir(directory.path())
            // A signal for the terminal's group is not for the guard: it acts when we have ended.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut guard = command.spawn().expect("sh starts");
        let input = guard.stdin.take();
        let mut lines = BufReader::new(guard.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        // The driver must not find its output closed.
        std::thread::spawn(move || lines.for_each(drop));
        // Without a port, its drop cleans up.
        let driver = Driver { guard, input, port: port.unwrap_or_default(), directory };
        port.map(|_| driver)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The private directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// A directory of the user that the command will run as.
fn private_directory(command: &mut Command) -> TempDir {
    let mut directory = tempfile::Builder::new();
    directory.prefix("switchboard-browser-").permissions(Permissions::from_mode(0o700));
    if !Uid::effective().is_root() {
        return directory.tempdir().expect("a directory");
    }
    // Root's own may be closed to others.
    let directory = directory.tempdir_in("/tmp").expect("a directory");
    let nobody = User::from_name("nobody").expect("users can be looked up").expect("there is a user nobody");
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    chown(directory.path(), Some(uid), Some(gid)).expect("root may give a directory away");
    command.uid(uid).gid(gid);
    directory
}
