//! Clients that nobody here wrote: PyPI's postgrest and npm's @supabase/postgrest-js; and schemathesis, which makes
//! requests of the OpenAPI document. `scripts/test` installs them below the target directory.
#![cfg(not(loom))]

mod common;

use common::server;
use common::service::Service;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Seconds. Generous: the machine may be busy.
const PATIENCE: &str = "180";

/// The directory where `scripts/test` installs the clients.
fn target() -> PathBuf {
    // The test is in target/debug/deps, or deeper in a cross build.
    let test = std::env::current_exe().expect("this test has a path");
    let target = test.ancestors().find(|path| path.join("postgrest").exists());
    target.expect("scripts/test installs the clients").to_owned()
}

/// Runs a program, which is ended if it takes too long.
async fn run(program: impl Into<PathBuf>, arguments: Vec<OsString>) -> String {
    let program = program.into();
    let running = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", PATIENCE]).arg(&program).args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
        let output = command.output().expect("coreutils are installed");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let hint = "scripts/test installs the clients";
        assert!(output.status.success(), "{}: {}: {hint}\n{text}", program.display(), output.status);
        text
    });
    running.await.expect("it succeeds")
}

async fn service() -> (common::Scratch, Service) {
    let scratch = server().scratch().await;
    let service = Service::start(&server().address("app", scratch.scratch.name()), |_| ()).await.live().await;
    (scratch, service)
}

fn script(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "clients", name].iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn postgrest_of_python_reads_and_writes() {
    let (_scratch, service) = service().await;
    let arguments = vec!["-B".into(), script("client.py").into(), format!("http://{}", service.address).into()];
    assert!(run(target().join("postgrest/bin/python"), arguments).await.contains("done"));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgrest_of_javascript_reads_and_writes() {
    let (_scratch, service) = service().await;
    let modules = target().join("postgrest-js").into();
    let arguments = vec![script("client.mjs").into(), format!("http://{}", service.address).into(), modules];
    assert!(run("node", arguments).await.contains("done"));
    service.end().await;
}

/// Keys of both kinds, and a column of every kind that JSON knows.
const KINDS: &str = "CREATE TABLE pair (a text, b int, n numeric, t timestamptz DEFAULT now(), j jsonb, \
    f bool NOT NULL DEFAULT false, l text[], r real, d date, u uuid, x bytea, g int GENERATED ALWAYS AS (b / 2) STORED, \
    PRIMARY KEY (a, b)); INSERT INTO pair (a, b) VALUES ('a', 1)";

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_against_the_openapi_document() {
    let scratch = server().scratch().await;
    scratch.run(KINDS).await;
    let address = server().address("app", scratch.scratch.name());
    let service = Service::start(&address, |settings| settings.tables.push("pair".into())).await.live().await;
    // Values that a type takes are more and fewer than a schema can say: PostgreSQL makes a text of a number, and a
    // timestamp has many forms.
    let excluded = "positive_data_acceptance,negative_data_rejection";
    let document = format!("http://{}/openapi.json", service.address);
    let arguments = ["run", &document, "--max-time", "45", "--checks", "all", "--exclude-checks", excluded];
    let options = ["--no-color", "--generation-database", "none", "--suppress-health-check", "all"];
    let said = run(target().join("schemathesis/bin/st"), arguments.iter().chain(&options).map(Into::into).collect());
    let said = said.await;
    // A document without operations is fine, too.
    assert!(said.contains("Selected: 16/16") && said.contains("Tested: 16"), "{said}");
    service.end().await;
}
