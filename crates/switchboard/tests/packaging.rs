//! Packaging of the program: units, default configuration, image.

mod common;

use common::switchboard;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn systemd_analyze(args: &[&str]) -> Output {
    let output = Command::new("systemd-analyze").args(args).output();
    output.expect("systemd-analyze is missing; install it: apt-get install systemd")
}

/// The units, and the exposure of `systemd-analyze security` that each may have, times ten.
const UNITS: [(&str, u32); 2] = [("switchboard.service", 15), ("switchboard-render.service", 25)];

/// The values of a unit's setting.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_finds_no_fault_in_the_units() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, _) in UNITS {
        let unit = read(&format!("packaging/systemd/{name}"));
        // Installed by the package only.
        let unit = unit.replace("/usr/bin/switchboard", env!("CARGO_BIN_EXE_switchboard"));
        let path = directory.path().join(name);
        std::fs::write(&path, unit).expect("written");
        let output = systemd_analyze(&["verify", "--man=no", path.to_str().expect("text")]);
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
    }
}

#[test]
fn the_units_are_no_more_exposed_than_they_have_to_be() {
    for (name, allowed) in UNITS {
        let path = root().join("packaging/systemd").join(name);
        let threshold = format!("--threshold={allowed}");
        let output = systemd_analyze(&["security", "--offline=true", &threshold, path.to_str().expect("text")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn the_units_start_what_their_configurations_describe() {
    for (name, _) in UNITS {
        let unit = read(&format!("packaging/systemd/{name}"));
        let start = values(&unit, "ExecStart")[0];
        let config = start.strip_prefix("/usr/bin/switchboard up --config /etc/switchboard/").expect(start);
        assert!(root().join("packaging/etc").join(config).exists(), "{start}");
        assert_eq!(values(&unit, "Type"), ["notify"]);
        assert_eq!(values(&unit, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
        // The users that the package makes, and their data.
        let user = values(&unit, "User")[0];
        assert_eq!(values(&unit, "StateDirectory"), [user]);
        assert_eq!(user, name.trim_end_matches(".service"));
        let users = read("packaging/debian/switchboard.sysusers");
        assert!(users.lines().any(|line| line.split_whitespace().nth(1) == Some(user)), "{user}: {users}");
    }
}

#[test]
fn every_deviation_of_the_rendering_unit_has_its_reason() {
    let (strict, render) = UNITS.map(|(name, _)| read(&format!("packaging/systemd/{name}"))).into();
    let sandbox = |unit: &str, key: &str| values(unit, key).join(" ");
    for key in
        strict.lines().filter_map(|line| line.split_once('=')).map(|(key, _)| key).filter(|key| !key.starts_with('#'))
    {
        let same = sandbox(&strict, key) == sandbox(&render, key);
        let reasoned = [
            "RestrictNamespaces",
            "MemoryDenyWriteExecute",
            "ProcSubset",
            "SystemCallFilter",
            "RestrictAddressFamilies",
        ];
        let of_its_own = ["Description", "After", "ExecStart", "User", "Group", "StateDirectory", "OOMScoreAdjust"];
        assert!(same || reasoned.contains(&key) || of_its_own.contains(&key), "{key}");
        if !same && reasoned.contains(&key) {
            let first = render.lines().position(|line| line.starts_with(&format!("{key}="))).expect(key);
            assert!(render.lines().nth(first - 1).expect("a line").starts_with('#'), "{key} has no comment");
        }
    }
}

#[test]
fn the_configurations_are_right_and_set_nothing_in_vain() {
    for file in ["switchboard.toml", "render.toml", "container.toml"] {
        let path = root().join("packaging/etc").join(file);
        let output = switchboard(&["config", "check"]).arg(&path).output().expect("the program starts");
        assert!(output.status.success(), "{file}: {output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{file}");
    }
}

#[test]
fn the_defaults_that_the_configurations_show_are_the_programs() {
    let shown = switchboard(&["config"]).output().expect("the program starts");
    let shown = String::from_utf8(shown.stdout).expect("text");
    let examples = ["database", "sites", "broker"];
    for file in ["switchboard.toml", "render.toml"] {
        let text = read(&format!("packaging/etc/{file}"));
        for line in text.lines().filter(|line| line.starts_with("# ") && line.contains(" = ")) {
            let key = line.trim_start_matches("# ").split(" = ").next().expect("a key");
            assert!(shown.lines().any(|other| other == line) || examples.contains(&key), "{file}: {line}");
        }
    }
}

/// The instructions of the Dockerfile, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').expect(line)).map(|(name, rest)| (name.to_owned(), rest.to_owned())).collect()
}

fn of<'a>(instructions: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(is, _)| is == name).map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn what_the_image_is_built_from_is_there_and_is_sent() {
    let ignore = read(".dockerignore");
    let sent: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut copied = 0;
    for copy in of(&instructions(), "COPY").iter().filter(|copy| !copy.contains("--from=")) {
        let words: Vec<&str> = copy.split_whitespace().collect();
        let (_, sources) = words.split_last().expect("a destination");
        for source in sources {
            assert!(root().join(source).exists(), "COPY {source}");
            let first = source.split('/').next().expect("a name");
            assert!(sent.contains(&first), "{source} is not sent: .dockerignore");
            copied += 1;
        }
    }
    assert!(copied >= 8, "only {copied} sources were found");
    // Every member of the workspace, without which cargo does not begin.
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    for member in manifest["workspace"]["members"].as_array().expect("a list") {
        let first = member.as_str().expect("text").split('/').next().expect("a name");
        assert!(sent.contains(&first), "{member} is not sent");
    }
}

#[test]
fn the_image_runs_without_privileges_and_keeps_its_data_in_a_volume() {
    let instructions = instructions();
    let last = instructions.iter().rposition(|(name, _)| name == "FROM").expect("a stage");
    let (build, image) = instructions.split_at(last);
    // The user as a number: an orchestrator checks that it is not root.
    assert_eq!(of(image, "USER"), ["65532:65532"]);
    assert!(of(image, "RUN").is_empty(), "there is no shell to run it");
    let config: toml::Table = read("packaging/etc/container.toml").parse().expect("TOML");
    let data = config["data"].as_str().expect("a path");
    assert_eq!(of(image, "VOLUME"), [data]);
    let owned = format!("--chown=65532:65532 /data {data}");
    assert!(of(image, "COPY").iter().any(|copy| copy.ends_with(&owned)), "the volume belongs to the user");
    // Both stages have the same C library, and the compiler is the one that the workspace asks for.
    let manifest: toml::Table = read("Cargo.toml").parse().expect("a manifest");
    let version = manifest["workspace"]["package"]["rust-version"].as_str().expect("a version");
    assert_eq!(of(build, "FROM"), [format!("rust:{version}-bookworm AS build")]);
    assert_eq!(of(image, "FROM"), ["gcr.io/distroless/cc-debian12:nonroot"]);
}

#[test]
fn the_image_exposes_the_ports_that_its_configuration_listens_at() {
    let config: toml::Table = read("packaging/etc/container.toml").parse().expect("TOML");
    let mut ports: Vec<String> = Vec::new();
    for table in config.values().filter_map(toml::Value::as_table) {
        let addresses = table.values().flat_map(|value| match value {
            toml::Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        });
        let addresses = addresses.map(|address| address.as_str().expect("an address").to_owned());
        ports.extend(addresses.map(|address| address.rsplit_once(':').expect("a port").1.to_owned()));
    }
    let instructions = instructions();
    let mut exposed: Vec<&str> = of(&instructions, "EXPOSE")[0].split_whitespace().collect();
    ports.sort();
    exposed.sort_unstable();
    assert_eq!(exposed, ports);
}

#[test]
fn the_line_that_runs_the_image_publishes_every_exposed_port_on_loopback() {
    let text = read("Dockerfile");
    let comments = text.lines().map_while(|line| line.strip_prefix('#')).collect::<Vec<_>>().join(" ");
    let run = comments.split_once("docker run ").expect("a command").1;
    let words: Vec<&str> = run.split_whitespace().collect();
    let mut published: Vec<&str> = words.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1]).collect();
    let instructions = instructions();
    let exposed = of(&instructions, "EXPOSE")[0].split_whitespace();
    let mut expected: Vec<String> = exposed.map(|port| format!("127.0.0.1:{port}:{port}")).collect();
    published.sort_unstable();
    expected.sort_unstable();
    assert_eq!(published, expected);
    assert_eq!(words.last(), Some(&"switchboard"), "the image's name comes last");
}

#[test]
fn the_commands_of_the_image_are_commands_of_the_program() {
    let instructions = instructions();
    let words = |text: &str| -> Vec<String> { serde_json::from_str(text).expect("a JSON list") };
    assert_eq!(words(of(&instructions, "ENTRYPOINT")[0]), ["/usr/bin/switchboard"]);
    let health = of(&instructions, "HEALTHCHECK")[0].split_once("CMD ").expect("a command").1;
    let copied = of(&instructions, "COPY");
    for command in [words(of(&instructions, "CMD")[0]), words(health)[1..].to_vec()] {
        let parsed = switchboard(&[command[0].as_str(), "--help"]).output().expect("the program starts");
        assert!(parsed.status.success(), "{command:?}");
        if let Some(file) = command.iter().skip_while(|word| *word != "--config").nth(1) {
            assert!(copied.iter().any(|copy| copy.ends_with(&format!(" {file}"))), "{file}");
        }
    }
}
