//! Chromium's surroundings: names that are rebound, a machine without a sandbox, a Chromium of others.

use crate::common::{Reply, Site};
use crate::harness::{self, LIMIT, eventually};
use crate::{contents, html};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use switchboard_child::{Launch, User};
use switchboard_news::guard::{Allow, Guard, Resolver, Resolving};
use switchboard_news::render::{Browser, BrowserOptions, Endpoint, RenderError, Request};

/// A name that is global at the first look-up, and loopback from then on; another one that is both at once.
#[derive(Default)]
struct Rebinding(AtomicUsize);

impl Resolver for Rebinding {
    fn resolve<'a>(&'a self, name: &'a str, _: Duration) -> Resolving<'a> {
        let asked = self.0.fetch_add(1, Ordering::Relaxed);
        // Of TEST-NET-1, which answers nobody; and it is not global either, so nothing leaves this machine.
        let (global, loopback): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [127, 0, 0, 1].into());
        let found =
            if name.starts_with("both") { vec![global, loopback] } else { vec![[global, loopback][asked.min(1)]] };
        Box::pin(async move { Ok(found) })
    }
}

pub(crate) async fn a_name_that_is_rebound_reaches_nothing_private(_: &Browser, _: &Site) {
    let secret = Site::start(|_| Reply::html("secret"));
    let port = secret.port();
    let own = Site::start(move |_| {
        let tries: String = ["rebound.example", "both.example"]
            .iter()
            .map(|name| {
                let url = format!("http://{name}:{port}/");
                format!("<img src={url}><iframe src={url}></iframe><script>all.push(fetch('{url}', {{mode: 'no-cors'}}))</script>")
            })
            .collect();
        Reply::html(&format!(
            "<body><script>const all = []</script>{tries}{tries}<script>Promise.allSettled(all)\
             .then(() => document.body.append(document.createElement('tried')))</script>"
        ))
    });
    let resolver = Arc::new(Rebinding::default());
    let guard = Guard::with_resolver(Allow::parse([own.pair()]).expect("pairs"), LIMIT, resolver.clone());
    let base = harness::base();
    let options = BrowserOptions { start_timeout: LIMIT, ..BrowserOptions::new(guard, base.path().into()) };
    let browser = Browser::launch(&options).await.unwrap_or_else(|error| panic!("{error}"));
    let page = Request { images: true, wait_for: Some("tried".into()), ..Request::new(own.url("/")) };
    html(&browser, page).await;
    assert!(resolver.0.load(Ordering::Relaxed) >= 2, "the names were not looked up");
    assert!(secret.paths().is_empty(), "{:?}", secret.paths());
}

/// A program that runs Chromium where it can have no sandbox: as the root of a namespace without further ones.
fn without_a_sandbox(base: &Path) -> std::path::PathBuf {
    let program = base.join("chromium-without-a-sandbox");
    let script = "#!/bin/sh\nexec unshare --user --map-root-user \
                  sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec chromium \"$@\"' chromium \"$@\"\n";
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("a mode");
    program
}

pub(crate) async fn without_a_sandbox_it_refuses_unless_it_is_told(_: &Browser, site: &Site) {
    let base = harness::base();
    let guard = Guard::new(Allow::parse([site.pair()]).expect("pairs"), LIMIT);
    let mut options = BrowserOptions {
        program: without_a_sandbox(base.path()),
        start_timeout: LIMIT,
        ..BrowserOptions::new(guard, base.path().join("run"))
    };
    std::fs::create_dir(&options.directory).expect("a directory");
    std::fs::set_permissions(&options.directory, PermissionsExt::from_mode(0o711)).expect("a mode");
    let error = Browser::launch(&options).await.err().expect("no sandbox");
    assert!(matches!(error, RenderError::Sandbox(_)) && error.to_string().contains("--no-sandbox"), "{error}");
    options.sandbox = false;
    let browser = Browser::launch(&options).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(contents(&browser, site.url("/plain"), "p").await.contains("Plain headline"));
}

pub(crate) async fn a_chromium_of_others_is_used_and_its_pages_pass_the_guard(_: &Browser, site: &Site) {
    let secret = Site::start(|_| Reply::html("secret"));
    let base = harness::base();
    let user = if User::is_root() { User::named("nobody").expect("a user") } else { User::current() };
    let mut launch = Launch::new(base.path(), user).expect("a directory");
    let home = launch.directory().to_owned();
    for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        launch.env(variable, &home);
    }
    launch.stderr(std::process::Stdio::null());
    let profile = format!("--user-data-dir={}", home.display());
    let arguments = ["--headless", "--remote-debugging-port=0", "--disable-gpu", "--disable-dev-shm-usage", &profile];
    let child = launch.spawn("chromium", arguments).expect("it starts");
    let file = home.join("DevToolsActivePort");
    eventually("it has a port", true, async || {
        std::fs::read_to_string(&file).is_ok_and(|text| text.lines().count() > 1)
    })
    .await;
    let text = std::fs::read_to_string(&file).expect("a port");
    let (port, path) = text.split_once('\n').expect("two lines");
    let guard = Guard::new(Allow::parse([site.pair()]).expect("pairs"), LIMIT);
    let options = BrowserOptions { start_timeout: LIMIT, ..BrowserOptions::new(guard, base.path().into()) };
    for address in [format!("http://127.0.0.1:{port}"), format!("ws://127.0.0.1:{port}{}", path.trim())] {
        let endpoint: Endpoint = address.parse().unwrap_or_else(|error| panic!("{error}"));
        let browser = Browser::connect(&endpoint, &options).await.unwrap_or_else(|error| panic!("{error}"));
        assert!(browser.version().starts_with("Chrome/") && browser.id().is_none(), "{}", browser.version());
        assert!(contents(&browser, site.url("/late"), "b").await.contains("Late headline"));
        // 72 MiB as a message.
        let wide = Request { timeout: LIMIT * 3, ..Request::new(site.url("/giant/wide/12582912")) };
        let page = browser.render(&wide).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(page.html.matches('語').count(), 12 << 20);
        let url = format!("http://127.0.0.1:{}/", secret.port()).parse().expect("a URL");
        let refused = browser.render(&Request { timeout: LIMIT, ..Request::new(url) }).await.expect_err("private");
        assert!(refused.to_string().contains("refused"), "{refused}");
        eventually("its contexts are disposed of", Some(0), async || browser.contexts().await).await;
        drop(browser);
    }
    assert!(secret.paths().is_empty() && child.exit().is_none(), "it goes on");
}
