//! One site's headlines: by its feed, its page, or its rendered page, within a deadline.

use crate::extract::{self, Extraction, Headline, Step as RuleStep};
use crate::fetch::{FetchError, FetchReason, Fetched, Fetcher, Page, Validators};
use crate::progress::{Progress, Step};
use crate::render::{Backend, Rendered, Request};
use crate::site::{Mode, Site};
use crate::state::Source;
use std::sync::Arc;
use std::time::Duration;
use switchboard_driver::quantity::plural;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use url::Url;

/// Pages whose elements are looked at, at a time: each may take all of a core for 5 s.
const EXTRACTIONS: usize = 8;

/// A rendered page has this part of the deadline, so that pages that never load leave time for others in the queue.
const PAGE_SHARE: u32 = 3;

/// The part in whole milliseconds: an error shows it.
fn share(deadline: Duration) -> Duration {
    let millis = deadline.as_millis() / u128::from(PAGE_SHARE);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Knowledge of a site before it is asked again.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The source of the last headlines.
    pub source: Option<Source>,
    /// The version of that source.
    pub validators: Validators,
}

/// The outcome of asking a site.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Enough headlines.
    Found {
        /// In the order of the source.
        headlines: Vec<Headline>,
        /// Number of headlines before the rule's `limit`.
        total: usize,
        /// Their source.
        source: Source,
        /// Its version.
        validators: Validators,
    },
    /// The site says that nothing has changed.
    Unchanged,
    /// Something was fetched, and too few headlines are in it.
    Broken {
        /// The result in words.
        reason: String,
    },
    /// Nothing was fetched.
    Failed {
        /// Why, in words that name the address.
        reason: String,
        /// The least time until the next attempt, where the host asks for one.
        wait: Option<Duration>,
    },
}

/// One way that was tried, for `news test`.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Try {
    /// Which.
    pub source: Source,
    /// Its address.
    pub url: Url,
    /// The number of elements after each step of the rule.
    pub steps: Vec<RuleStep>,
    /// Why a step left nothing.
    pub hints: Vec<String>,
    /// The headlines.
    pub headlines: Vec<Headline>,
    /// Why nothing was fetched.
    pub error: Option<String>,
}

/// Asks sites. Clones share everything.
#[derive(Clone)]
pub struct Scraper {
    fetcher: Arc<Fetcher>,
    renderer: Option<Backend>,
    room: Arc<Semaphore>,
    deadline: Duration,
}

/// The result of one way.
enum Way {
    Found {
        headlines: Vec<Headline>,
        total: usize,
        validators: Validators,
    },
    Unchanged,
    Broken(String),
    Failed(String, Option<Duration>),
    /// The host does not answer, must not be asked, or asks to be left alone.
    OutOfReach(String, Option<Duration>),
}

impl Scraper {
    /// Asks by this fetcher, and by this renderer if there is one. `deadline` bounds each attempt.
    #[must_use]
    pub fn new(fetcher: Fetcher, renderer: Option<Backend>, deadline: Duration) -> Scraper {
        Scraper { fetcher: Arc::new(fetcher), renderer, room: Arc::new(Semaphore::new(EXTRACTIONS)), deadline }
    }

    /// The bound of each attempt.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns its fetcher.
    #[must_use]
    pub fn fetcher(&self) -> &Fetcher {
        &self.fetcher
    }

    /// Asks a site.
    pub async fn scrape(&self, site: &Arc<Site>, known: &Known) -> Outcome {
        self.tries(site, known).await.0
    }

    /// Asks a site, and says what was tried.
    pub async fn tries(&self, site: &Arc<Site>, known: &Known) -> (Outcome, Vec<Try>) {
        let mut tries = Vec::new();
        let progress = Progress::default();
        let outcome = match timeout(self.deadline, self.ask(site, known, &mut tries, &progress)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let (step, url) = progress.current();
                let url = url.as_ref().unwrap_or(&site.url);
                let reason = format!("{step}: deadline of {:?} exceeded ({url})", self.deadline);
                Outcome::Failed { reason, wait: None }
            }
        };
        (outcome, tries)
    }

    async fn ask(&self, site: &Arc<Site>, known: &Known, tries: &mut Vec<Try>, progress: &Progress) -> Outcome {
        let (mut broken, mut failed, mut wait) = (Vec::new(), Vec::new(), None);
        // Whether the page could not be had at all, so that a browser would get no further.
        let mut is_out_of_reach = false;
        let mut is_render_missing = false;
        for source in self.ways(site, known.source) {
            if source == Source::Render && is_out_of_reach {
                continue;
            }
            let none = Validators::default();
            let validators = if known.source == Some(source) { &known.validators } else { &none };
            match self.ask_by(site, source, validators, tries, progress).await {
                Way::Found { headlines, total, validators } => {
                    return Outcome::Found { headlines, total, source, validators };
                }
                Way::Unchanged => return Outcome::Unchanged,
                Way::Broken(reason) => broken.push(reason),
                Way::Failed(reason, asked) => {
                    failed.push(reason);
                    wait = wait.max(asked);
                    is_render_missing |= source == Source::Render;
                }
                Way::OutOfReach(reason, asked) => {
                    failed.push(reason);
                    wait = wait.max(asked);
                    is_out_of_reach |= source == Source::Fetch;
                }
            }
        }
        // A page that may show its headlines to a browser says nothing of the rule while there is none.
        if is_render_missing {
            failed.splice(0..0, broken.drain(..));
        }
        if broken.is_empty() {
            Outcome::Failed { reason: sentence(&failed), wait }
        } else {
            broken.extend(failed);
            Outcome::Broken { reason: sentence(&broken) }
        }
    }

    /// The ways of a site, the one that worked last first.
    fn ways(&self, site: &Site, last: Option<Source>) -> Vec<Source> {
        let mut ways = match site.mode {
            Mode::Feed => vec![Source::Feed],
            Mode::Fetch => vec![Source::Fetch],
            Mode::Render => vec![Source::Render],
            Mode::Auto => {
                let mut ways = vec![Source::Fetch];
                if site.feed.is_some() {
                    ways.insert(0, Source::Feed);
                }
                if self.renderer.is_some() {
                    ways.push(Source::Render);
                }
                ways
            }
        };
        ways.sort_by_key(|way| Some(*way) != last);
        ways
    }

    async fn ask_by(
        &self,
        site: &Arc<Site>,
        source: Source,
        known: &Validators,
        tries: &mut Vec<Try>,
        progress: &Progress,
    ) -> Way {
        let url = match (source, &site.feed) {
            (Source::Feed, Some(feed)) => feed.clone(),
            _ => site.url.clone(),
        };
        let mut tried =
            Try { source, url: url.clone(), steps: Vec::new(), hints: Vec::new(), headlines: Vec::new(), error: None };
        let way = match source {
            Source::Render => self.rendered(site, &mut tried, progress).await,
            _ => self.fetched(site, source, known, &mut tried, progress).await,
        };
        if let Way::Failed(reason, _) | Way::OutOfReach(reason, _) = &way {
            tried.error = Some(reason.clone());
        }
        tries.push(tried);
        way
    }

    async fn fetched(
        &self,
        site: &Arc<Site>,
        source: Source,
        known: &Validators,
        tried: &mut Try,
        progress: &Progress,
    ) -> Way {
        let page = match self.fetcher.fetch_in_steps(&tried.url, known, progress).await {
            Ok(Fetched::NotModified) => return Way::Unchanged,
            Ok(Fetched::Page(page)) => page,
            Err(error) => return failed(&error),
        };
        let Page { url, validators, .. } = &*page;
        let (url, validators) = (url.clone(), validators.clone());
        let (own, base) = (site.clone(), url.clone());
        progress.enter(Step::Extract, &url);
        let found = self
            .extract(move || {
                let text = page.text();
                if source == Source::Feed {
                    return extract::feed(&text, &base, &own.rule).map_err(|error| error.to_string());
                }
                extract::page(&text, &base, &own.rule).map_err(|error| error.to_string())
            })
            .await;
        judge(site, &url, found, validators, tried)
    }

    async fn rendered(&self, site: &Arc<Site>, tried: &mut Try, progress: &Progress) -> Way {
        let Some(renderer) = &self.renderer else {
            return Way::Failed(format!("it has to be rendered, and there is no renderer ({})", site.url), None);
        };
        let mut turn = match self.fetcher.turn(&site.url, progress).await {
            Ok(turn) => turn,
            Err(error) => return failed(&error),
        };
        let request = Request {
            timeout: self.deadline,
            page_timeout: Some(share(self.deadline)),
            wait_for: site.wait_for.clone(),
            agent: Some(self.fetcher.agent().to_owned()),
            progress: progress.clone(),
            ..Request::new(site.url.clone())
        };
        let result = renderer.render(&request).await;
        let wait = match &result {
            Ok(Rendered { status: Some(status @ (429 | 503)), retry_after, .. }) => {
                Some(turn.refuse(*status, retry_after.as_deref()))
            }
            Ok(Rendered { status: Some(0..400), .. }) => {
                turn.accept();
                None
            }
            _ => None,
        };
        drop(turn);
        let page = match result {
            Ok(page) => page,
            Err(error) => {
                let wait = error.retry_after();
                let text = error.to_string();
                let is_named = text.contains(site.url.as_str());
                return Way::Failed(if is_named { text } else { format!("{text} ({})", site.url) }, wait);
            }
        };
        if let Some(status) = page.status.filter(|status| *status >= 400) {
            return Way::Failed(format!("status {status} ({})", page.url), wait);
        }
        let (own, base, html) = (site.clone(), page.url.clone(), page.html);
        let extract = move || extract::page(&html, &base, &own.rule).map_err(|error| error.to_string());
        progress.enter(Step::Extract, &page.url);
        let found = self.extract(extract).await;
        judge(site, &page.url, found, Validators::default(), tried)
    }

    async fn extract(
        &self,
        work: impl FnOnce() -> Result<Extraction, String> + Send + 'static,
    ) -> Result<Extraction, String> {
        // Held by the work itself, which goes on when its caller gives up.
        let room = self.room.clone().acquire_owned().await.map_err(|error| error.to_string())?;
        let working = spawn_blocking(move || {
            let result = work();
            drop(room);
            result
        });
        working.await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// Reasons as one sentence. Each begins with the cause and ends with its address; a cause that several have is said once,
/// with all addresses.
fn sentence(reasons: &[String]) -> String {
    let mut causes: Vec<(&str, Vec<&str>)> = Vec::new();
    for reason in reasons {
        let end = reason.strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
        let (cause, address) = end.unwrap_or((reason, ""));
        let at = causes.iter().position(|(known, _)| *known == cause).unwrap_or_else(|| {
            causes.push((cause, Vec::new()));
            causes.len() - 1
        });
        if !address.is_empty() && !causes[at].1.contains(&address) {
            causes[at].1.push(address);
        }
    }
    let parts = causes.iter().map(|(cause, addresses)| match addresses.is_empty() {
        true => (*cause).to_owned(),
        false => format!("{cause} ({})", addresses.join(", ")),
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn failed(error: &FetchError) -> Way {
    match &error.reason {
        FetchReason::Busy { wait, .. } => Way::OutOfReach(error.to_string(), Some(*wait)),
        FetchReason::Robots | FetchReason::RobotsUnreadable(_) | FetchReason::Scheme => {
            Way::OutOfReach(error.to_string(), None)
        }
        reason if reason.is_out_of_reach() => Way::OutOfReach(error.to_string(), None),
        _ => Way::Failed(error.to_string(), None),
    }
}

fn judge(site: &Site, url: &Url, found: Result<Extraction, String>, validators: Validators, tried: &mut Try) -> Way {
    let Extraction { headlines, total, steps, hints } = match found {
        Ok(found) => found,
        Err(reason) => return Way::Broken(format!("{reason} ({url})")),
    };
    let count = headlines.len();
    let empty =
        steps.iter().find(|step| step.left == 0).map(|step| format!(", since the step {} left none", step.what));
    (tried.steps, tried.hints, tried.headlines) = (steps, hints, headlines.clone());
    if count < site.min_items {
        let (least, empty) = (site.min_items, empty.unwrap_or_default());
        let found = plural(count, "headline");
        return Way::Broken(format!("{found}, fewer than min_items = {least}{empty} ({url})"));
    }
    Way::Found { headlines, total, validators }
}

#[cfg(test)]
#[path = "scrape_tests.rs"]
mod tests;
