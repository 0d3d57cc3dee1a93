//! Unmodified STOMP clients that nobody here wrote. `scripts/test` installs them.

#[path = "../common/mod.rs"]
mod common;

use common::Running;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::task::spawn_blocking;

/// Install root of `scripts/test`.
fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace.join(target)
}

fn script(name: &str) -> String {
    format!("{}/tests/strangers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Runs a client. Only a failing one takes as long as it may.
async fn passes(program: PathBuf, arguments: &[&str]) {
    let mut command = Command::new("timeout");
    command.arg("300").arg(program).args(arguments).stdin(Stdio::null());
    let output =
        spawn_blocking(move || command.output()).await.unwrap().expect("a client, as scripts/test installs it");
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.trim().ends_with("ok"), "{text}\n{errors}");
}

async fn stomp_py(version: &str) {
    let server = Running::start().await;
    for address in [server.stomp, server.native] {
        let (script, port) = (script("stomp_py.py"), address.port().to_string());
        let python = target().join("stomp-python/bin/python");
        passes(python, &[&script, version, "127.0.0.1", &port]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stomp_py_speaks_1_0() {
    stomp_py("1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stomp_py_speaks_1_1() {
    stomp_py("1.1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stomp_py_speaks_1_2() {
    stomp_py("1.2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stompjs_speaks_over_tcp() {
    let server = Running::start().await;
    let modules = target().join("stompjs").canonicalize().expect("modules, as scripts/test installs them");
    let port = server.stomp.port().to_string();
    passes("node".into(), &[&script("stompjs.mjs"), &modules.to_string_lossy(), "127.0.0.1", &port]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stompjs_speaks_over_web_socket() {
    let server = Running::start().await;
    let modules = target().join("stompjs").canonicalize().expect("modules, as scripts/test installs them");
    let url = format!("ws://{}/stomp", server.http);
    passes("node".into(), &[&script("stompjs.mjs"), &modules.to_string_lossy(), &url]).await;
}
