//! HTTP addresses: what is routed is documented, and the reverse.

use super::files::{documents, files, read};
use super::text::{code_lines, spans};

/// A service: the folder of its routes, its port, and the documents that list its addresses.
struct Service {
    sources: &'static str,
    ports: &'static [&'static str],
    pages: &'static [&'static str],
}

const SERVICES: [Service; 4] = [
    Service { sources: "crates/server/src", ports: &["25080"], pages: &["docs/http.md", "docs/stomp.md"] },
    Service { sources: "crates/monitor/src", ports: &["8088"], pages: &["docs/monitor/README.md"] },
    Service { sources: "crates/rows/src", ports: &["8000"], pages: &["docs/rows.md"] },
    Service {
        sources: "crates/news/src",
        ports: &["8080", "8050"],
        pages: &["docs/news.md", "docs/render.md", "crates/news/README.md"],
    },
];

/// Beginnings of names that are no addresses: channels and files.
const OTHERS: [&str; 15] = [
    "/topic",
    "/queue",
    "/temp",
    "/Queue",
    "/switchboard",
    "/exchange",
    "/amq",
    "/null",
    "/var/",
    "/etc/",
    "/usr/",
    "/run/",
    "/proc",
    "/root",
    "/srv/",
];

/// Returns the paths that a router's source names, except files of pages and what only a page asks for.
fn routed(source: &str) -> Vec<String> {
    let calls = source.split(".route(").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    let paths = calls.filter_map(|rest| rest.split('"').next()).filter(|path| !is_file(path) && !path.contains("{*"));
    paths.map(|path| path.replace("{table}", "TABLE").replace("{key}", "KEY")).collect()
}

/// Returns true for the broker's addresses that begin as names of queues do.
fn is_of_queues(path: &str) -> bool {
    path == "/queues" || path.starts_with("/queues/")
}

fn is_file(path: &str) -> bool {
    path.starts_with("/page/") || [".css", ".js", ".svg", ".png"].iter().any(|end| path.ends_with(end))
}

impl Service {
    fn routes(&self) -> Vec<String> {
        let sources = files(&format!("{}/*.rs", self.sources)).into_iter().filter(|file| !file.ends_with("tests.rs"));
        let mut routes: Vec<String> = sources.flat_map(|file| routed(&read(&file))).collect();
        // Answered by the fallback.
        routes.push("/".to_owned());
        routes
    }
}

/// Returns the addresses in a document's code: the path, and the port where it is given.
fn addresses(text: &str) -> Vec<(Option<String>, String)> {
    let mut addresses = Vec::new();
    let code: Vec<String> = code_lines(text).into_iter().chain(spans(text).into_iter().map(str::to_owned)).collect();
    for word in code.iter().flat_map(|code| code.split([' ', '\'', '"', '(', ')', ',', ';'])) {
        let (port, path) = match word.split_once("://127.0.0.1:") {
            Some((_, rest)) => {
                let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
                (Some(rest[..end].to_owned()), &rest[end..])
            }
            None => (None, word),
        };
        let path = path.split(['?', '#']).next().expect("a part").trim_end_matches(['.', ':']);
        let is_path = path.starts_with('/') && path.len() > 1 && !path.starts_with("//");
        let is_other = OTHERS.iter().any(|other| path.starts_with(other)) && !is_of_queues(path);
        if is_path && !is_other && !is_file(path) {
            addresses.push((port, path.to_owned()));
        }
    }
    addresses
}

/// Returns true if a route answers the path. The tables of rows have any name, except as the only part of a path of
/// other services.
fn is_routed(path: &str, routes: &[String]) -> bool {
    let is_table = path.starts_with("/patron") || path.starts_with("/TABLE") || path.starts_with("/pair");
    let is_group = path.ends_with('/') && routes.iter().any(|route| route.starts_with(path));
    is_group || routes.iter().any(|route| route == path) || is_table && routes.iter().any(|route| route == "/TABLE")
}

#[test]
fn every_route_is_documented() {
    let mut found = 0;
    for service in SERVICES {
        let pages: Vec<String> = service.pages.iter().map(|page| read(page)).collect();
        let documented: Vec<String> =
            pages.iter().flat_map(|page| addresses(page)).map(|(_, path)| path).chain(["/".to_owned()]).collect();
        for route in service.routes() {
            assert!(documented.contains(&route), "{:?} do not say what {route} is", service.pages);
            found += 1;
        }
    }
    assert!(found > 30, "{found}");
}

#[test]
fn every_address_of_the_documents_is_routed() {
    let services: Vec<(Service, Vec<String>)> = SERVICES
        .into_iter()
        .map(|service| {
            let routes = service.routes();
            (service, routes)
        })
        .collect();
    let (mut found, mut wrong) = (0, Vec::new());
    for (file, text) in
        documents().iter().filter(|(file, _)| file == "README.md" || file.starts_with("docs/") || file == "SECURITY.md")
    {
        for (port, path) in addresses(text) {
            let mut fitting = services.iter().filter(|(service, _)| match &port {
                Some(port) => service.ports.contains(&&**port),
                None => true,
            });
            if !fitting.any(|(_, routes)| is_routed(&path, routes)) {
                wrong.push(format!("{file}: nothing answers {path}, port {port:?}"));
            }
            found += 1;
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(found > 60, "{found}");
}

#[test]
fn addresses_and_routes_are_found() {
    let source =
        ".route(\"/a\", get(b))\n    .route(\n \"/{table}/{key}\", c).route(\"/x.css\", d).route(\"/{*rest}\", e)";
    assert_eq!(routed(source), ["/a", "/TABLE/KEY"]);
    let text = "`GET /a?b=1`, `/topic/x` `/queue/a` `/queues/x` /no\n\n    curl 'http://127.0.0.1:8050/render.html?url=https://a.example/b'\n";
    let address = |port: Option<&str>, path: &str| (port.map(str::to_owned), path.to_owned());
    assert_eq!(
        addresses(text),
        [address(Some("8050"), "/render.html"), address(None, "/a"), address(None, "/queues/x")]
    );
    assert!(is_routed("/patron/1", &["/TABLE".to_owned()]) && !is_routed("/patron/1", &["/a".to_owned()]));
}
