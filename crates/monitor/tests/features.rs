//! Dependencies of a program that only reports itself.

use std::process::Command;

/// The crates that are linked with these features beside the default ones.
fn linked(features: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .args(["--package", "switchboard-monitor", "--no-default-features"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("text");
    names.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
}

#[test]
fn who_only_reports_links_neither_a_server_nor_the_page() {
    let collector = ["axum", "rust-embed", "switchboard-web", "switchboard-client", "crc32fast"];
    let reporting = linked(&["--features", "report"]);
    assert!(reporting.iter().any(|name| name == "switchboard-sockets"), "{reporting:?}");
    for name in collector.iter().chain(&["signal-hook"]) {
        assert!(!reporting.iter().any(|linked| linked == name), "{name} is linked");
    }
    let all = linked(&["--all-features"]);
    for name in collector {
        assert!(all.iter().any(|linked| linked == name), "{name} is not linked: the test looks for a wrong name");
    }
}
