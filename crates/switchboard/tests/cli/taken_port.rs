//! A port that another program has.

use crate::{output, text};
use std::net::TcpListener;

#[test]
fn a_port_that_is_taken_is_named_with_the_option_that_chooses_another() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = tempfile::tempdir().expect("a directory");
    let data = data.path().to_str().expect("text");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let native = other.local_addr().expect("an address").to_string();
    for (args, option) in [
        (vec!["broker", "--listen", &address, "--http", "127.0.0.1:0"], "--listen HOST:PORT"),
        (vec!["monitor", "--listen", &address, "--collect", ""], "--listen HOST:PORT"),
        (vec!["rows", "--listen", &address], "--listen HOST:PORT"),
        (vec!["news", "--listen", &address], "--listen HOST:PORT"),
        (vec!["render", "--listen", &address], "--listen HOST:PORT"),
    ] {
        let refused = output(&[&args[..], &["--log", "off", "--data", data]].concat());
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        let error = text(&refused.stderr);
        assert!(error.contains(&address) && error.contains(option) && !error.contains("--set"), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let services = ["monitor", "rows", "news", "render"].map(|service| (service, format!("{service}.listen")));
    for (service, list) in &services {
        let mut settings = vec!["up".to_owned(), "--data".to_owned(), data.to_owned()];
        // Nothing else could start: the program ends.
        for key in ["listen", "http"].into_iter().chain(services.iter().map(|(_, list)| &**list)) {
            let value = if key == list {
                &*address
            } else if key == "listen" {
                &*native
            } else {
                ""
            };
            settings.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        settings.extend(["--set".to_owned(), "monitor.collect=".to_owned()]);
        let refused = output(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        let error = text(&refused.stderr);
        assert!(error.contains(&format!("--set {list}=HOST:PORT")), "{service}: {error}");
    }
}
