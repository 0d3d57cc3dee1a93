//! All sites side by side: when each is asked, and what is shown of it.

mod entry;
mod publish;
mod view;
mod watch;

pub use publish::{Message, Publish, Topic};
pub use view::{Item, SiteState, SiteView, View};
pub(crate) use watch::{read, words};

use crate::scrape::Scraper;
use crate::site::{Faulty, Listed, Site};
use crate::state::{Record, Store};
use entry::{Entry, Running};
use jiff::Timestamp;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::timeout;

/// The sites of one page. Clones share them; with the last one their tasks end.
#[derive(Clone)]
pub struct Board(Arc<Shared>);

struct Shared {
    scraper: Scraper,
    store: Store,
    publish: Publish,
    sites: Mutex<Sites>,
    version: channel::Sender<u64>,
    /// The newest view, and of which version it is.
    view: Mutex<Option<(u64, Arc<View>)>>,
    _watching: Mutex<Option<AbortOnDrop>>,
}

#[derive(Default)]
struct Sites {
    rows: Vec<Row>,
    /// The error in the sites file, if it has one.
    problem: Option<String>,
}

/// A site on the board.
enum Row {
    /// It is asked again and again.
    Running(Running),
    /// Its table in the sites file has a fault. What is known of it stays on the page.
    Faulty { site: Faulty, record: Option<Box<Record>> },
}

impl Row {
    fn name(&self) -> &str {
        match self {
            Row::Running(running) => &running.entry.site.name,
            Row::Faulty { site, .. } => &site.name,
        }
    }

    fn into_record(self) -> Option<Record> {
        match self {
            Row::Running(running) => Some(running.entry.record.lock().clone()),
            Row::Faulty { record, .. } => record.map(|record| *record),
        }
    }

    fn view(&self) -> SiteView {
        match self {
            Row::Running(running) => running.entry.view(),
            Row::Faulty { site, record } => SiteView::faulty(site, record.as_deref()),
        }
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Board {
    /// Begins to ask these sites. What the store knows of them is shown at once. To be used inside a tokio runtime.
    #[must_use]
    pub fn start(scraper: Scraper, store: Store, publish: Publish, sites: Vec<Listed>) -> Board {
        let board = Board(Arc::new(Shared {
            scraper,
            store,
            publish,
            sites: Mutex::default(),
            version: channel::Sender::new(0),
            view: Mutex::default(),
            _watching: Mutex::default(),
        }));
        board.replace(sites);
        board
    }

    /// Follows a sites file: a change of it is in force within seconds. A file with problems changes nothing but the
    /// problem that is shown.
    pub fn watch(&self, file: PathBuf, read: String) {
        let watching = tokio::spawn(watch::run(Arc::downgrade(&self.0), file, read));
        *self.0._watching.lock() = Some(AbortOnDrop(watching));
    }

    /// Changes the sites. One that is the same goes on undisturbed; one that has changed keeps its headlines. What is wrong
    /// in a site's table is logged.
    pub fn replace(&self, sites: Vec<Listed>) {
        for problem in sites.iter().flat_map(Listed::problems) {
            tracing::warn!("sites file: {problem}");
        }
        let mut current = self.0.sites.lock();
        let mut before = std::mem::take(&mut current.rows);
        for listed in sites {
            let has_own_name = !matches!(&listed, Listed::Faulty(site) if !site.has_own_name);
            let at = before.iter().position(|row| row.name() == listed.name()).filter(|_| has_own_name);
            let old = at.map(|at| before.remove(at));
            let row = match listed {
                Listed::Usable(site) => self.row(*site, old),
                Listed::Faulty(site) => {
                    let known = || self.0.store.load(&site.name).filter(|_| has_own_name);
                    let record = old.and_then(Row::into_record).or_else(known).map(Box::new);
                    Row::Faulty { site, record }
                }
            };
            current.rows.push(row);
        }
        drop(current);
        self.0.changed();
    }

    fn row(&self, site: Site, old: Option<Row>) -> Row {
        if let Some(Row::Running(same)) = &old
            && same.entry.identity == entry::identity(&site)
            && let Some(row) = old
        {
            return row;
        }
        let record = old.and_then(Row::into_record).or_else(|| self.0.store.load(&site.name));
        let record = record.map_or_else(|| Record::new(&site), |record| record.for_site(&site));
        let entry = Arc::new(Entry::new(site, record));
        Row::Running(Running::start(Arc::downgrade(&self.0), entry))
    }

    /// Says what is wrong in the sites file; `None`: nothing.
    pub fn set_problem(&self, problem: Option<String>) {
        self.0.set_problem(problem);
    }

    /// Counts changes of what is shown.
    #[must_use]
    pub fn changes(&self) -> channel::Receiver<u64> {
        self.0.version.subscribe()
    }

    /// The state that is shown.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        let version = *self.0.version.borrow();
        let mut view = self.0.view.lock();
        if let Some((_, known)) = view.as_ref().filter(|(known, _)| *known == version) {
            return known.clone();
        }
        let sites = self.0.sites.lock();
        let entries = sites.rows.iter().map(Row::view).collect();
        let new = Arc::new(View::new(version, entries, sites.problem.clone()));
        *view = Some((version, new.clone()));
        new
    }

    /// Asks all sites now, except those that were asked within the last 10 s, and waits for them, at most as long as an
    /// attempt may take. One that is being asked already is not asked again: its attempt is waited for.
    pub async fn refresh(&self) {
        let running = |row: &Row| match row {
            Row::Running(running) => Some(running.entry.clone()),
            Row::Faulty { .. } => None,
        };
        let entries: Vec<Arc<Entry>> = self.0.sites.lock().rows.iter().filter_map(running).collect();
        let now = Timestamp::now();
        let asked: Vec<_> = entries.iter().filter_map(|entry| entry.ask(now)).collect();
        let all = async {
            for attempt in asked {
                attempt.done().await;
            }
        };
        let _ = timeout(self.0.scraper.deadline() + Duration::from_secs(1), all).await;
    }
}

impl Shared {
    fn changed(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn set_problem(&self, problem: Option<String>) {
        let before = std::mem::replace(&mut self.sites.lock().problem, problem.clone());
        if before != problem {
            self.changed();
        }
    }
}
