//! A page reaches nothing but what it may, and harms nothing beside it.

use crate::common::{Reply, Site};
use crate::harness::{self, LIMIT, eventually};
use crate::{answer, contents, error, html};
use std::time::Duration;
use switchboard_news::guard::{Allow, Guard};
use switchboard_news::render::{Browser, BrowserOptions, RenderError, Request, family};

pub(crate) async fn nothing_private_is_reached(browser: &Browser, site: &Site) {
    let secret = Site::start(|_| Reply::html("secret"));
    let port = secret.port();
    for host in ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/").parse().expect("a URL");
        let error = error(browser, Request { timeout: LIMIT, ..Request::new(url) }).await;
        assert!(error.to_string().contains("refused"), "{host}: {error}");
    }
    let url = site.url(&format!("/to/{port}"));
    assert!(error(browser, Request { timeout: LIMIT, ..Request::new(url) }).await.to_string().contains("refused"));
    // Of a tunnel the browser learns that it failed; its page says why all the same, behind a redirect too.
    for url in [format!("https://127.0.0.1:{port}/").parse().expect("a URL"), site.url(&format!("/tls/{port}"))] {
        let error = error(browser, Request { timeout: LIMIT, ..Request::new(url) }).await.to_string();
        assert!(error.contains(&format!("it is permitted by --allow 127.0.0.1:{port},")), "{error}");
    }
    html(
        browser,
        Request { images: true, wait_for: Some("tried".into()), ..Request::new(site.url(&format!("/sub/{port}"))) },
    )
    .await;
    for url in ["file:///etc/passwd", "data:text/html,x", "chrome://version/", "about:blank", "javascript:1"] {
        let url: url::Url = url.parse().expect("a URL");
        assert_eq!(error(browser, Request::new(url.clone())).await, RenderError::Scheme(url));
    }
    assert!(secret.paths().is_empty(), "{:?}", secret.paths());
    assert!(!site.paths().is_empty());
}

pub(crate) async fn only_allowed_domains_are_reached_by_frames_and_workers_too(browser: &Browser, site: &Site) {
    let other = Site::start(answer);
    let limited = |domain: &str, path: String| Request {
        allowed_domains: vec![domain.to_owned()],
        wait_for: Some("tried".into()),
        images: true,
        timeout: LIMIT,
        ..Request::new(site.url(&path))
    };
    // Not allowed by its pair either, so this is about the page's own host first.
    let refused = error(browser, limited("other.example", "/plain".into())).await;
    assert!(refused.to_string().contains("allowed domains"), "{refused}");
    html(browser, limited("127.0.0.1", format!("/sub/{}", other.port()))).await;
    assert!(other.paths().is_empty());
    let before = site.paths().len();
    let framed = Request { wait_for: Some("p".into()), ..limited("127.0.0.1", "/frames".into()) };
    let framed = Request { wait: Duration::from_millis(300), ..framed };
    html(browser, framed).await;
    assert!(site.paths()[before..].iter().any(|path| path == "/from-worker"), "{:?}", site.paths());
}

/// Headers may hold a password for the host of the page.
pub(crate) async fn headers_go_to_no_frame_and_to_no_redirect(browser: &Browser, site: &Site) {
    for path in ["/with-frame", "/moved"] {
        let before = site.heads().len();
        let headers = vec![("X-Own".to_owned(), "yes".to_owned())];
        html(browser, Request { headers, ..Request::new(site.url(path)) }).await;
        let heads = site.heads().split_off(before);
        let has_header = |path: &str| {
            let head = heads.iter().find(|head| head.starts_with(&format!("GET {path} "))).expect("a request");
            head.to_lowercase().contains("x-own: yes")
        };
        assert_eq!((has_header(path), has_header("/framed")), (true, false), "{path}");
    }
}

pub(crate) async fn no_local_page_is_reached_from_a_page(browser: &Browser, site: &Site) {
    let page = html(browser, Request { wait: Duration::from_millis(200), ..Request::new(site.url("/local")) }).await;
    assert!(page.contains("Local") && !page.contains("root:"), "{page}");
    for path in ["/to-file", "/to-data"] {
        error(browser, Request { timeout: LIMIT, ..Request::new(site.url(path)) }).await;
    }
}

pub(crate) async fn web_rtc_and_quic_send_nothing_beside_the_proxy(browser: &Browser, _: &Site) {
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let (stun, turn) = (udp.local_addr().expect("an address").port(), tcp.local_addr().expect("an address").port());
    let page = format!(
        "<body><script>const c = new RTCPeerConnection({{ iceServers: [{{ urls: 'stun:127.0.0.1:{stun}' }}, \
         {{ urls: 'turn:127.0.0.1:{turn}?transport=tcp', username: 'a', credential: 'b' }}] }});
         let found = 0; c.onicecandidate = e => {{ if (e.candidate?.candidate) {{ found++; }} }};
         c.onicegatheringstatechange = () => {{ if (c.iceGatheringState === 'complete') {{
         const p = document.createElement('gathered'); p.textContent = 'candidates: ' + found; document.body.append(p); }} }};
         c.createDataChannel('x'); onload = () => c.createOffer().then(o => c.setLocalDescription(o))</script>"
    );
    let own = Site::start(move |path| match path {
        "/" => Reply::html(&page).header("Alt-Svc", "h3=\":443\""),
        _ => Reply::html("<p>Plain").header("Alt-Svc", "h3=\":443\""),
    });
    let guard = Guard::new(Allow::parse([own.pair()]).expect("pairs"), LIMIT);
    let base = harness::base();
    let second = Browser::launch(&BrowserOptions::new(guard, base.path().into())).await.expect("a browser");
    for _ in 0..2 {
        html(&second, Request::new(own.url("/plain"))).await;
    }
    assert_eq!((udp_sockets(&second), udp_sockets(browser)), (0, 0), "QUIC needs a UDP socket");
    let request = Request { wait_for: Some("gathered".into()), ..Request::new(own.url("/")) };
    let page = html(&second, request).await;
    assert!(page.contains("candidates: 0<"), "{page}");
    udp.set_nonblocking(true).expect("a mode");
    tcp.set_nonblocking(true).expect("a mode");
    assert!(udp.recv(&mut [0; 1]).is_err() && tcp.accept().is_err(), "something came beside the proxy");
}

pub(crate) async fn every_page_is_rendered_in_the_sandbox(browser: &Browser, site: &Site) {
    // A page's process ends with its page: it is looked at while it is open.
    let open = Request { wait: Duration::from_secs(3), ..Request::new(site.url("/plain")) };
    // A process that has just begun has no page yet, and enters the sandbox before it gets one.
    let has_begun = async || {
        let ids = family(id(browser)).into_iter().map(|process| process.id);
        let renderers: Vec<_> = ids.filter(|&id| is_renderer(&about(id, "cmdline"))).collect();
        !renderers.is_empty() && renderers.iter().all(|&id| field(&about(id, "status"), "Seccomp:") == "2")
    };
    let looks = async {
        eventually("a page has a process, in the sandbox", true, has_begun).await;
        look_at_sandboxes(browser);
    };
    tokio::join!(html(browser, open), looks);
}

/// Chromium's own pages, and processes in reserve, would cost more than the page.
pub(crate) async fn a_page_is_the_only_one_that_has_a_process(browser: &Browser, site: &Site) {
    let renderers = || {
        let lines = family(id(browser)).into_iter().map(|process| about(process.id, "cmdline"));
        lines.filter(|line| is_renderer(line)).collect::<Vec<_>>()
    };
    eventually("the pages before have ended", 0, async || renderers().len()).await;
    // It loads until the looks are over.
    let before = site.paths().len();
    let open = Request { timeout: LIMIT * 10, ..Request::new(site.url("/hang")) };
    let looks = async {
        eventually("the page is asked for", true, async || site.paths().len() > before).await;
        eventually("it has a process", false, async || renderers().is_empty()).await;
        for _ in 0..50 {
            assert!(renderers().len() <= 1, "{:#?}", renderers());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        page = browser.render(&open) => panic!("{page:?}"),
        () = looks => {}
    }
}

/// A file about a process; empty once it has ended.
fn about(process: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default()
}

fn is_renderer(line: &str) -> bool {
    line.contains("--type=renderer")
}

fn field(status: &str, name: &str) -> String {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

fn look_at_sandboxes(browser: &Browser) {
    let own = |file: &str| std::fs::read_link(format!("/proc/self/ns/{file}")).expect("a namespace");
    let mut renderers = 0;
    for process in family(id(browser)) {
        let line = about(process.id, "cmdline");
        assert!(!line.contains("no-sandbox"), "{line}");
        let status = about(process.id, "status");
        let field = |name: &str| field(&status, name);
        if !field("Uid:").is_empty() {
            assert!(!field("Uid:").starts_with("0\t"), "root: {line}");
        }
        if !is_renderer(&line) {
            continue;
        }
        renderers += 1;
        assert_eq!(
            (field("Seccomp:").as_str(), field("CapEff:").as_str(), field("NoNewPrivs:").as_str()),
            ("2", "0000000000000000", "1")
        );
        for space in ["user", "pid", "net"] {
            let link = std::fs::read_link(format!("/proc/{}/ns/{space}", process.id)).expect("a namespace");
            assert_ne!(link, own(space), "{space}");
        }
    }
    assert!(renderers > 0);
}

pub(crate) async fn the_crash_of_a_tab_is_an_error_at_once_and_others_go_on(browser: &Browser, site: &Site) {
    let before = site.paths().len();
    let crash = async {
        eventually("the page is asked for", true, async || site.paths().len() > before).await;
        for process in family(id(browser)) {
            if is_renderer(&about(process.id, "cmdline")) {
                let _ = std::process::Command::new("kill").args(["-9", &process.id.to_string()]).status();
            }
        }
    };
    let hangs = Request { timeout: LIMIT * 10, ..Request::new(site.url("/busy")) };
    let ((), error) = tokio::join!(crash, error(browser, hangs));
    assert!(error.to_string().contains("crashed"), "{error}");
    assert!(contents(browser, site.url("/plain"), "p").await.contains("Plain headline"));
}

fn id(browser: &Browser) -> u32 {
    browser.id().expect("it was started")
}

/// UDP sockets of a process and its descendants.
fn udp_sockets(browser: &Browser) -> usize {
    let known: Vec<String> = ["/proc/net/udp", "/proc/net/udp6"]
        .iter()
        .flat_map(|file| {
            std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|line| Some(format!("socket:[{}]", line.split_whitespace().nth(9)?)))
        .collect();
    let files = family(id(browser))
        .into_iter()
        .flat_map(|process| std::fs::read_dir(format!("/proc/{}/fd", process.id)).into_iter().flatten().flatten());
    let names = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    names.filter(|name| known.iter().any(|known| name.to_string_lossy() == *known)).count()
}
