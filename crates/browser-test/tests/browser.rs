//! The browser itself, on pages that need no server.

use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use switchboard_browser_test::{Browser, Look, PATIENCE, key};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

fn page(body: &str) -> String {
    format!("data:text/html,<title>Title</title>{body}")
}

/// The processes with this directory as their home, or in their arguments.
fn processes_of(directory: &Path) -> Vec<String> {
    let needle = directory.to_str().expect("text").as_bytes();
    let has = |file: PathBuf| {
        std::fs::read(file).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    };
    let all = std::fs::read_dir("/proc").expect("processes").flatten().map(|entry| entry.path());
    let found = all.filter(|process| has(process.join("environ")) || has(process.join("cmdline")));
    found.map(|process| process.display().to_string()).collect()
}

async fn until_gone(directory: &Path) {
    let gone = async {
        while directory.exists() || !processes_of(directory).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let gone = timeout(PATIENCE, gone).await;
    gone.unwrap_or_else(|_| panic!("{} is left, with {:?}", directory.display(), processes_of(directory)));
}

#[tokio::test]
async fn chromium_runs_in_its_sandbox_in_a_private_directory() {
    use std::os::unix::fs::MetadataExt;
    let browser = Browser::start(Look::LIGHT).await;
    let directory = browser.directory().to_owned();
    assert_eq!(std::fs::metadata(&directory).expect("a directory").mode() & 0o777, 0o700);
    assert!(directory.join("profile").is_dir());
    browser.open("chrome://sandbox").await;
    browser.until("the sandbox is on", "return document.body.innerText.includes('You are adequately sandboxed')").await;
    drop(browser);
    until_gone(&directory).await;
}

#[tokio::test]
async fn a_page_is_seen_in_light_in_dark_in_any_width_and_on_a_phone() {
    let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
    let looks = [(Look::LIGHT, 1280, false), (Look::DARK.width(777), 777, true), (Look::PHONE, 360, false)];
    for (look, width, is_dark) in looks {
        let browser = Browser::start(look).await;
        browser.open(&page("<meta name=viewport content='width=device-width'>")).await;
        assert_eq!(browser.run("return innerWidth").await, json!(width), "{look:?}");
        assert_eq!(browser.run(dark).await, json!(is_dark), "{look:?}");
        let png = browser.screenshot().await;
        assert_eq!(&png[1..4], b"PNG");
        assert_eq!(u32::from_be_bytes(png[16..20].try_into().expect("four bytes")), width, "{look:?}");
        browser.close().await;
    }
}

#[tokio::test]
async fn keys_and_pointers_reach_the_page() {
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&page("<div id=d style='width:200px;height:100px'></div><input id=i>")).await;
    browser
        .run(
            "window.seen = []; const see = (event) => seen.push(event.key ?? `${event.type} ${Math.round(event.offsetX)}`);
             for (const type of ['keydown', 'pointerdown', 'pointerup']) addEventListener(type, see);
             d.addEventListener('pointermove', (event) => { window.at = event.offsetX; });",
        )
        .await;
    browser.click("#i").await;
    browser.press("a").await;
    browser.press(key::ESCAPE).await;
    assert_eq!(browser.run("return [i.value, ...seen.slice(2)]").await, json!(["a", "a", "Escape"]));
    browser.drag("#d", 0.25, 0.5).await;
    assert_eq!(browser.run("return seen.slice(4)").await, json!(["pointerdown 50", "pointerup 100"]));
    browser.hover("#d", 0.75, 0.5).await;
    assert_eq!(browser.run("return Math.round(at)").await, json!(150));
    browser.close().await;
}

#[tokio::test]
async fn what_the_console_says_is_known_once() {
    let browser = Browser::start(Look::LIGHT).await;
    browser.open(&page("")).await;
    browser.run("console.error('on purpose')").await;
    let said = browser.console().await;
    assert!(said.len() == 1 && said[0].contains("on purpose"), "{said:?}");
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
async fn nothing_is_left_of_a_test_that_is_killed() {
    let mut test = tokio::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "starts_a_browser_and_waits", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts again");
    let mut lines = BufReader::new(test.stdout.take().expect("a pipe")).lines();
    let directory = async {
        loop {
            let line = lines.next_line().await.expect("text").expect("a directory");
            if let Some((_, directory)) = line.split_once("directory: ") {
                break PathBuf::from(directory);
            }
        }
    };
    let directory = timeout(PATIENCE, directory).await.expect("in time");
    assert!(directory.is_dir() && !processes_of(&directory).is_empty());
    test.kill().await.expect("killed");
    until_gone(&directory).await;
}

#[tokio::test]
#[ignore = "a part of the test above"]
async fn starts_a_browser_and_waits() {
    let browser = Browser::start(Look::LIGHT).await;
    println!("directory: {}", browser.directory().display());
    // Until the other one kills this process, or ends.
    let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
}
