//! A machine without a network.

use super::{Run, poll_long};
use serde_json::Value;
use std::process::Command;

const EXAMPLES: &str = include_str!("../../../news/examples/sites.toml");
/// The shortest interval: this site is asked again while the test runs.
const OFTEN: &str = "\n[[site]]\nname = \"Often\"\nurl = \"https://often.example/\"\nmode = \"fetch\"\nttl = \"10s\"\n";
const NAMES: [&str; 3] = ["CNN", "Al Jazeera", "Often"];
/// Set for the run inside the namespace.
const INSIDE: &str = "SWITCHBOARD_TEST_OFFLINE";

/// Runs itself once more in a network namespace that has nothing but loopback.
#[test]
fn up_without_a_network_serves_its_pages_says_why_each_site_failed_and_logs_that_once() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let name = "offline::up_without_a_network_serves_its_pages_says_why_each_site_failed_and_logs_that_once";
    let script = "ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture";
    let program = std::env::current_exe().expect("a program");
    let run = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "sh", "-c", script])
        .arg(program)
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .expect("unshare (apt-get install util-linux)");
    let text = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    // A name that no test has would pass.
    assert!(run.status.success() && text.contains("1 passed"), "{text}");
}

fn inside() {
    let run = Run::up(&format!("{EXAMPLES}{OFTEN}"), &[]);
    let sites = || -> Vec<Value> {
        let page: Value = serde_json::from_str(&run.get("news", "/news.json")).expect("JSON");
        page["sites"].as_array().expect("a list").clone()
    };
    let failed = poll_long("each site has failed", || {
        let sites = sites();
        sites.iter().all(|site| site["state"] == "failed").then_some(sites)
    });
    for (site, host) in failed.iter().zip(["edition.cnn.com", "www.aljazeera.com", "often.example"]) {
        let reason = site["reason"].as_str().expect("a reason");
        assert!(reason.contains(&format!("cannot find the address of {host}")), "{reason}");
    }
    let first = failed[2]["tried"].clone();
    poll_long("the last one is asked again", || (sites()[2]["tried"] != first).then_some(()));
    let page = run.get("news", "/news");
    for name in NAMES {
        assert!(page.contains(name), "{name} is not on the page");
        let logged = run.log.all().iter().filter(|line| line.contains(&format!("{name}: "))).count();
        assert_eq!(logged, 1, "{name}: {:#?}", run.log.all());
    }
    // The rest of the program does not notice.
    let ready = run.get("http", "/readyz");
    assert!(ready.contains("news: running") && ready.contains("render: running"), "{ready}");
    run.stop();
}
