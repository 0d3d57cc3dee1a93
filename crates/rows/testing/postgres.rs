//! A throw-away PostgreSQL for the tests: `switchboard-rows-postgres DIRECTORY [SETTING=VALUE...]`.
//!
//! Prints `socket PATH` and `process NUMBER`, and ends with its standard input, and removes the directory. The lines
//! `restart` and `crash` stop it, fast or by SIGKILL, and start it again; then it prints both lines once more.
//! `ROWS_BINARIES` is the directory of other binaries than the machine's.

#[cfg(not(loom))]
fn main() {
    use std::io::BufRead;
    use switchboard_rows::{PostgresOptions, PrivatePostgres};

    switchboard_child::init();
    let mut arguments = std::env::args().skip(1);
    let base = std::path::PathBuf::from(arguments.next().expect("a directory"));
    let mut options = PostgresOptions::new(base.join("data"));
    options.sockets = base.join("s");
    // Nothing has to survive the machine.
    options.settings =
        ["fsync=off", "synchronous_commit=on", "max_connections=200", "shared_buffers=32MB", "max_wal_size=256MB"]
            .map(str::to_owned)
            .into();
    options.settings.extend(arguments);
    if let Some(binaries) = std::env::var_os("ROWS_BINARIES") {
        options.binaries = Some(copied(std::path::Path::new(&binaries), &base));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let start = || {
        let postgres = runtime.block_on(PrivatePostgres::start(&options)).unwrap_or_else(|error| panic!("{error}"));
        println!("socket {}\nprocess {}", postgres.socket_directory().display(), postgres.id());
        postgres
    };
    let mut postgres = Some(start());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let running = postgres.take().expect("it runs");
        if line == "crash" {
            let process = i32::try_from(running.id()).expect("a process number");
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::Signal::SIGKILL)
                .expect("killed");
        }
        running.stop();
        postgres = Some(start());
    }
    if let Some(postgres) = postgres {
        postgres.stop();
    }
    let _ = std::fs::remove_dir_all(&base);
}

/// Copies an installation to where PostgreSQL's user can enter: it may lie in a home directory. Of a Python wheel the
/// libraries lie beside the package, and are found from there.
#[cfg(not(loom))]
fn copied(binaries: &std::path::Path, base: &std::path::Path) -> std::path::PathBuf {
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let copying = std::process::Command::new("cp").arg("-rT").args([from, to]).status();
        assert!(copying.expect("coreutils").success());
    };
    let installation = binaries.parent().expect("a directory above");
    let package = base.join("package");
    std::fs::create_dir(&package).expect("created");
    copy(installation, &package.join("installation"));
    let beside = installation.parent().and_then(std::path::Path::parent).expect("directories above");
    for entry in std::fs::read_dir(beside).expect("a directory").flatten() {
        if entry.file_name().to_string_lossy().ends_with(".libs") {
            copy(&entry.path(), &base.join(entry.file_name()));
        }
    }
    package.join("installation").join(binaries.file_name().expect("a name"))
}

#[cfg(loom)]
fn main() {}
