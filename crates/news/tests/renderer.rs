//! One Chromium for many callers: its bounds, its replacement, and what it leaves behind. The real Chromium, in its sandbox.

mod common;
#[path = "renderer/deaths.rs"]
mod deaths;
mod harness;

use common::{Reply, Site};
use deaths::{
    one_that_dies_with_each_page_is_started_less_and_less_often, one_that_opens_no_page_is_replaced,
    the_processes_of_a_page_end_with_it,
};
use harness::{LIMIT, Run, eventually};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use switchboard_news::guard::Allow;
use switchboard_news::render::{RenderError, RenderStep, Rendered, Renderer, RendererSettings, Request, family};

/// Time between two looks at what Chromium does by itself.
const LOOK: Duration = Duration::from_millis(20);
/// Time in which an idle Chromium takes a tenth of a second of the processor at most.
const WINDOW: Duration = Duration::from_secs(5);

/// The first argument of this program as one that is killed.
const VICTIM: &str = "--victim";

fn answer(path: &str) -> Reply {
    match path {
        "/hang" => Reply::hang(),
        "/late" => Reply::html("<script>setTimeout(() => document.write('<p>Late'), 1500)</script>"),
        "/hungry" => Reply::html(
            "<script>const all = []; const eat = () => { all.push(new Uint8Array(16 << 20).fill(1)); setTimeout(eat, 5); }; eat()</script>",
        ),
        "/workers" => Reply::html(
            "<script>const code = URL.createObjectURL(new Blob(['postMessage(1); close()'])); let done = 0;
            for (let n = 0; n < 30; n++) new Worker(code).onmessage = () => { if (++done === 30) document.body.append(document.createElement('hr')); }
            </script><p>Plain headline",
        ),
        _ => Reply::html("<p>Plain headline</p>"),
    }
}

fn renderer(site: &Site, base: &Path, change: impl FnOnce(&mut RendererSettings)) -> Renderer {
    let mut settings = RendererSettings::new(base.into());
    settings.allow = Allow::parse([site.pair()]).expect("pairs");
    settings.start_timeout = LIMIT;
    change(&mut settings);
    Renderer::new(settings).unwrap_or_else(|error| panic!("{error}"))
}

fn request(site: &Site, path: &str) -> Request {
    Request { timeout: LIMIT, ..Request::new(site.url(path)) }
}

async fn plain(renderer: &Renderer, site: &Site) -> Rendered {
    let page = renderer.render(&request(site, "/")).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(page.html.contains("Plain headline"));
    page
}

/// Waits until a page is being loaded.
async fn asked(site: &Site, path: &str, times: usize) {
    let count = async || site.paths().iter().filter(|asked| *asked == path).count() >= times;
    eventually("the page is asked for", true, count).await;
}

async fn what_finds_no_room_is_refused_with_a_time() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |settings| (settings.pages, settings.queue) = (1, 1));
    let (one, hangs) = (renderer.clone(), request(&site, "/hang"));
    let first = tokio::spawn(async move { one.render(&hangs).await });
    asked(&site, "/hang", 1).await;
    let brief = Request { timeout: Duration::from_secs(2), ..request(&site, "/") };
    let waits = renderer.render(&brief);
    let refused = async {
        eventually("one waits", 1, async || renderer.status().await.queue).await;
        renderer.render(&request(&site, "/")).await.expect_err("no room")
    };
    let (late, refused) = tokio::join!(waits, refused);
    let RenderError::Busy { pages: 1, queue: 1, retry_after, .. } = &refused else { panic!("{refused}") };
    assert!((Duration::from_secs(1)..=Duration::from_secs(60)).contains(retry_after));
    assert!(refused.to_string().contains(site.url("/").as_str()), "{refused}");
    // The time in the queue is a part of its own.
    assert!(matches!(late, Err(RenderError::Timeout { step: RenderStep::Queue, .. })), "{late:?}");
    first.abort();
    let _ = first.await;
    plain(&renderer, &site).await;
    assert_eq!((renderer.status().await.queue, renderer.status().await.pages), (0, 0));
}

async fn each_of_many_workers_has_its_turn() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    let all = Request { wait_for: Some("hr".to_owned()), ..request(&site, "/workers") };
    renderer.render(&all).await.unwrap_or_else(|error| panic!("{error}"));
}

async fn chromium_is_replaced_after_its_pages() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |settings| settings.recycle_pages = 2);
    for (pages, starts) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3)] {
        plain(&renderer, &site).await;
        assert_eq!(renderer.status().await.starts, starts, "{pages}");
    }
    eventually("the old ones are gone", 1, async || std::fs::read_dir(base.path()).expect("a directory").count()).await;
}

async fn chromium_is_replaced_at_its_age_and_for_its_memory_while_its_pages_end_well() {
    let (site, base) = (Site::start(answer), harness::base());
    for by_age in [true, false] {
        let renderer = renderer(&site, base.path(), |settings| {
            // It takes more from its start on.
            if by_age { settings.recycle_age = Duration::from_secs(1) } else { settings.memory = 64 << 20 }
        });
        let long = Request { wait: Duration::from_secs(3), ..request(&site, "/") };
        let short = async {
            asked(&site, "/", 1).await;
            eventually("a new one", 2, async || {
                plain(&renderer, &site).await;
                renderer.status().await.starts.min(2)
            })
            .await;
        };
        let (page, ()) = tokio::join!(renderer.render(&long), short);
        assert!(page.unwrap_or_else(|error| panic!("{by_age}: {error}")).html.contains("Plain"));
    }
}

async fn chromium_ends_without_work_and_comes_back_with_it() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |settings| settings.idle = Duration::from_secs(1));
    for starts in [1, 2] {
        plain(&renderer, &site).await;
        assert_eq!(renderer.status().await.starts, starts);
        eventually("it ends", None, async || renderer.status().await.browser).await;
        eventually("nothing is left", 0, async || std::fs::read_dir(base.path()).expect("a directory").count()).await;
    }
}

async fn its_death_fails_the_page_and_the_next_one_gets_a_new_one() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    for starts in [1, 2] {
        let kill = async {
            asked(&site, "/hang", starts).await;
            let (id, contexts) = renderer.browser().await.expect("it runs");
            assert_eq!(contexts, 1);
            assert!(Command::new("kill").args(["-9", &id.to_string()]).status().expect("kill").success());
        };
        let hangs = request(&site, "/hang");
        let (error, ()) = tokio::join!(renderer.render(&hangs), kill);
        let error = error.expect_err("it is dead");
        assert!(matches!(error, RenderError::Gone { .. }) && error.retry_after().is_some(), "{error}");
        plain(&renderer, &site).await;
        // The page after the death is rendered by the next one.
        assert_eq!(renderer.status().await.starts as usize, starts + 1);
    }
}

async fn a_page_that_takes_too_much_memory_is_ended_and_nothing_else() {
    let (site, base) = (Site::start(answer), harness::base());
    // Chromium's first process takes more than the smaller limit, too.
    for limit in [256, 24] {
        let renderer = renderer(&site, base.path(), |settings| settings.page_memory = limit << 20);
        let hungry = Request { wait_for: Some("never".into()), ..request(&site, "/hungry") };
        let error = renderer.render(&hungry).await.expect_err("too much").to_string();
        assert!(error.contains(&format!("{limit} MiB")) && error.contains("/hungry"), "{error}");
        let (id, _) = renderer.browser().await.expect("it runs");
        assert!(family(id).iter().any(|process| process.memory > 24 << 20));
        if limit > 24 {
            plain(&renderer, &site).await;
        }
        assert_eq!(renderer.status().await.starts, 1);
    }
}

async fn callers_in_a_hurry_do_not_keep_it_from_starting() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    let brief = Request { timeout: Duration::from_millis(50), ..request(&site, "/") };
    eventually("it starts", true, async || {
        let _ = renderer.render(&brief).await;
        renderer.status().await.browser.is_some()
    })
    .await;
    assert_eq!(renderer.status().await.starts, 1);
}

async fn one_that_is_killed_while_it_starts_may_be_asked_again() {
    let (site, base, programs) = (Site::start(answer), harness::base(), harness::base());
    for (signal, is_killed) in [(9, true), (15, true), (6, false)] {
        let program = programs.path().join(format!("killed-by-{signal}"));
        std::fs::write(&program, format!("#!/bin/sh\nkill -{signal} $$\n")).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("a mode");
        let renderer = renderer(&site, base.path(), |settings| settings.program.clone_from(&program));
        let error = renderer.render(&request(&site, "/")).await.expect_err("it is dead");
        assert_eq!(matches!(error, RenderError::Killed { signal: by } if by == signal), is_killed, "{error}");
        assert_eq!(error.retry_after().is_some(), is_killed, "{error}");
        assert!(!error.to_string().contains("apt-get"), "{error}");
    }
}

async fn one_that_always_ends_is_started_less_and_less_often() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |settings| settings.program = "false".into());
    let end = Instant::now() + LIMIT;
    let error = loop {
        match renderer.render(&request(&site, "/")).await.expect_err("it ends at once") {
            RenderError::Start(_) => assert!(Instant::now() < end, "no pause"),
            error => break error,
        }
    };
    let RenderError::Restarting { wait, .. } = &error else { panic!("{error}") };
    assert!(*wait > Duration::from_secs(1), "{wait:?}");
    assert!((3..=8).contains(&renderer.status().await.starts), "{:?}", renderer.status().await);
}

/// Waits until a value stays the same for 50 looks, and returns it.
async fn settled<T: PartialEq + std::fmt::Debug>(mut look: impl FnMut() -> T) -> T {
    let end = Instant::now() + LIMIT;
    let (mut value, mut same) = (look(), 0);
    while same < 50 {
        tokio::time::sleep(LOOK).await;
        let now = look();
        assert!(Instant::now() < end, "it does not settle: {now:?} after {value:?}");
        same = if now == value { same + 1 } else { 0 };
        value = now;
    }
    value
}

/// 100, or as many as the environment says.
async fn many_pages_leave_no_context_file_or_process() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |settings| settings.recycle_pages = 1_000_000);
    let count = std::env::var("SWITCHBOARD_RENDERS").map_or(100, |text| text.parse().expect("a number"));
    let files = || std::fs::read_dir("/proc/self/fd").expect("files").count();
    for _ in 0..8 {
        plain(&renderer, &site).await;
    }
    let (id, _) = renderer.browser().await.expect("it runs");
    let of_browser = || {
        let files = |id: u32| std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
        let all = family(id);
        (all.len(), files(id))
    };
    let quiet = async || renderer.browser().await.expect("it runs").1;
    eventually("no context", 0, quiet).await;
    // A process of a page that is over ends by itself.
    let (ours, theirs) = settled(|| (files(), of_browser())).await;
    let begun = Instant::now();
    for number in 0..count {
        if number % 25 == 0 && number > 0 {
            // Unlike print!, this is seen at once, and whatever the test's outcome.
            let now = (renderer.browser().await.expect("it runs").1, files(), of_browser());
            eprintln!("{number} of {count} pages after {:.0?}: contexts, files, Chromium's: {now:?}", begun.elapsed());
        }
        if number % 10 == 9 {
            // Given up on the way.
            let brief = Request { timeout: Duration::from_millis(10 + number % 300), ..request(&site, "/hang") };
            renderer.render(&brief).await.expect_err("it hangs");
        } else {
            plain(&renderer, &site).await;
        }
    }
    eventually("no context", 0, quiet).await;
    // A few of Chromium's own come and go; a leak has one a page.
    let few = 10;
    eventually("our files", true, async || files() <= ours + few).await;
    eventually("its processes and files", true, async || {
        let (processes, files) = of_browser();
        processes <= theirs.0 + few && files <= theirs.1 + few
    })
    .await;
    assert_eq!(renderer.status().await.starts, 1);
    println!(
        "{count} pages in {:.0?}: files {ours} -> {}, its processes and files {theirs:?} -> {:?}",
        begun.elapsed(),
        files(),
        of_browser()
    );
}

async fn one_that_idles_takes_next_to_no_processor() {
    let (site, base) = (Site::start(answer), harness::base());
    let renderer = renderer(&site, base.path(), |_| {});
    plain(&renderer, &site).await;
    let (id, _) = renderer.browser().await.expect("it runs");
    eventually("no context", 0, async || renderer.browser().await.expect("it runs").1).await;
    // Hundredths of a second that its processes have taken.
    let taken = || -> u64 { family(id).iter().map(|process| processor(process.id)).sum() };
    let end = Instant::now() + LIMIT;
    let (mut begun, mut before) = (Instant::now(), taken());
    while begun.elapsed() < WINDOW {
        tokio::time::sleep(LOOK).await;
        // A process that ends takes its share with it.
        let used = taken().saturating_sub(before);
        if used > 10 {
            assert!(Instant::now() < end, "{used} hundredths of a second in {:?}", begun.elapsed());
            (begun, before) = (Instant::now(), taken());
        }
    }
}

fn processor(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

async fn nothing_is_left_when_this_program_is_killed() {
    let (site, base) = (Site::start(answer), harness::base());
    let program = std::env::current_exe().expect("a program");
    let arguments = [VICTIM.to_owned(), base.path().display().to_string(), site.pair(), site.url("/hang").to_string()];
    let mut victim = Command::new(program).args(arguments).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(victim.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    let id: u32 = line.trim().parse().unwrap_or_else(|_| panic!("{line:?}"));
    asked(&site, "/hang", 1).await;
    let all = family(id);
    assert!(all.len() > 3, "{all:?}");
    victim.kill().expect("killed");
    victim.wait().expect("gone");
    let killed = Instant::now();
    let alive = || all.iter().filter(|process| is_alive(process.id)).count();
    eventually("no process", 0, async || alive()).await;
    eventually("no directory", 0, async || std::fs::read_dir(base.path()).expect("a directory").count()).await;
    println!("gone {:?} after the kill", killed.elapsed());
}

/// Whether it runs: one that ended and was not waited for does not.
fn is_alive(id: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

async fn victim(arguments: &[String]) {
    let [base, pair, url] = arguments else { panic!("BASE PAIR URL") };
    let mut settings = RendererSettings::new(base.into());
    settings.allow = Allow::parse([pair]).expect("a pair");
    let renderer = Renderer::new(settings).expect("settings");
    let request = Request { timeout: LIMIT * 10, ..Request::new(url.parse().expect("a URL")) };
    let say = async {
        loop {
            if let Some((id, 1)) = renderer.browser().await {
                println!("{id}");
                return std::future::pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        page = renderer.render(&request) => panic!("{page:?}"),
        () = say => {}
    }
}

async fn all() -> ExitCode {
    let mut run = Run::from_arguments();
    macro_rules! test {
        ($($name:ident)*) => { $(run.test(stringify!($name), $name()).await;)* };
    }
    test!(
        what_finds_no_room_is_refused_with_a_time
        chromium_is_replaced_after_its_pages
        chromium_is_replaced_at_its_age_and_for_its_memory_while_its_pages_end_well
        chromium_ends_without_work_and_comes_back_with_it
        its_death_fails_the_page_and_the_next_one_gets_a_new_one
        a_page_that_takes_too_much_memory_is_ended_and_nothing_else
        callers_in_a_hurry_do_not_keep_it_from_starting
        one_that_is_killed_while_it_starts_may_be_asked_again
        one_that_always_ends_is_started_less_and_less_often
        one_that_dies_with_each_page_is_started_less_and_less_often
        one_that_opens_no_page_is_replaced
        the_processes_of_a_page_end_with_it
        each_of_many_workers_has_its_turn
        many_pages_leave_no_context_file_or_process
        one_that_idles_takes_next_to_no_processor
        nothing_is_left_when_this_program_is_killed
    );
    run.end()
}

fn main() -> ExitCode {
    switchboard_child::init();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == VICTIM) {
        runtime.block_on(victim(&arguments[1..]));
        return ExitCode::FAILURE;
    }
    runtime.block_on(all())
}
