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

/// Two tables that schemathesis asks for.
async fn kinds() -> (common::Scratch, Service) {
    let scratch = server().scratch().await;
    scratch.run(KINDS).await;
    let address = server().address("app", scratch.scratch.name());
    let service = Service::start(&address, |settings| settings.tables.push("pair".into())).await.live().await;
    (scratch, service)
}

fn schemathesis(service: &Service, arguments: &[&str]) -> (PathBuf, Vec<OsString>) {
    let document = format!("http://{}/openapi.json", service.address);
    let options = ["--no-color", "--generation-database", "none", "--suppress-health-check", "all"];
    let all = ["run", &document].into_iter().chain(arguments.iter().copied()).chain(options);
    (target().join("schemathesis/bin/st"), all.map(Into::into).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing_against_the_openapi_document() {
    let (_scratch, service) = kinds().await;
    // Of these two the first has a test of its own below. The second takes a value of another type for one that must be
    // refused. JSON Schema describes what a client may rely on; no sentence of OpenAPI makes a server refuse the rest, and
    // PostgreSQL makes a text of a number or of an object, as it does for PostgREST.
    let excluded = "positive_data_acceptance,negative_data_rejection";
    let (program, arguments) =
        schemathesis(&service, &["--max-time", "45", "--checks", "all", "--exclude-checks", excluded]);
    let said = run(program, arguments).await;
    // A document without operations is fine, too.
    assert!(said.contains("Selected: 16/16") && said.contains("Tested: 16"), "{said}");
    service.end().await;
}

/// Refusals of requests that the schema allows, by the beginnings of their codes. OpenAPI has no words for their rules:
///
/// - `PGRST129`: a server must not do what `If-Match` is against, and may say 412 (RFC 9110, 13.1.1).
/// - `21000`: a change of many rows needs one of many parameters, whichever it is.
/// - `PGRST100`, `PGRST102`: a filter has an operator; all objects of an array set the same columns.
/// - `22`, `23`, SQL's classes of data exceptions and of constraints: a value has its type's form and size, a key as many
///   values as columns, and a row no key of another one.
const REFUSALS: [&str; 6] = ["PGRST129", "21000", "PGRST100", "PGRST102", "22", "23"];

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_is_refused_what_the_schema_allows_by_rules_alone_that_openapi_cannot_say() {
    let (_scratch, service) = kinds().await;
    let report = tempfile::NamedTempFile::new().expect("a file");
    let path = report.path().to_str().expect("a path");
    let options = ["--max-time", "20", "--checks", "positive_data_acceptance", "--continue-on-failure"];
    let (program, arguments) = schemathesis(&service, &options);
    // It ends with 1 where it was refused something, which `run` takes for a failure.
    let command = "\"$@\" > \"$0\" 2>&1; [ $? -le 1 ]";
    let all = ["-c".into(), command.into(), path.into(), program.into()].into_iter().chain(arguments).collect();
    run("sh", all).await;
    let said = std::fs::read_to_string(report.path()).expect("it said something");
    assert!(said.contains("Selected: 16/16") && said.contains("Tested: 16"), "{said}");
    let codes = said.split("{\"code\":\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    let others: Vec<&str> = codes.filter(|code| !REFUSALS.iter().any(|known| code.starts_with(known))).collect();
    assert!(others.is_empty(), "{others:?}: {said}");
    service.end().await;
}
