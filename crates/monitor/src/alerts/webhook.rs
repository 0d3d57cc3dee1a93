//! Alerts to a webhook, over HTTP. Its address is a secret: it is never logged.

use super::body::{self, Format};
use super::group::{Group, Notice, Pace};
use super::{Alert, count, ended, until};
use crate::Settings;
use crate::hub::Hub;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use switchboard_driver::quantity::plural;
use switchboard_http_client::{Answer, Client, Method, Options, StatusCode, Trust, TrustError, Url, UrlError, header};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

/// The pause before a notice is tried again, and the longest it grows to.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The longest pause that a server may ask for.
const LONGEST_REQUESTED: Duration = Duration::from_secs(300);
/// A notice that cannot be delivered for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(3600);
/// Time limit of the last attempt when the monitor stops.
const LAST: Duration = Duration::from_secs(2);
/// Bytes of a notice that a line of the log has.
const LOGGED: usize = 1000;
/// The largest `alert-interval` and `alert-repeat`.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Why alerts cannot be posted anywhere. It never contains the address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// An address is none.
    #[error("{name} cannot be used: {source}")]
    Address {
        /// Which one.
        name: String,
        /// Why not.
        source: UrlError,
    },
    /// There are no certificates to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A pause is too long.
    #[error("monitor.{setting} is over the limit of 1 day")]
    Pause {
        /// Which setting.
        setting: &'static str,
    },
}

/// A place that alerts are posted to.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// In the log: the address is a secret.
    name: String,
    url: Url,
    format: Format,
    client: Client,
    pace: Pace,
}

/// The result of a notice.
enum Outcome {
    Delivered,
    /// It may be tried again, after this time if the server has said so.
    Failed(String, Option<Duration>),
    /// The server will never take it.
    Refused(String),
}

/// Attempts that have failed in a row.
#[derive(Debug, Default)]
struct Failing {
    attempts: u32,
    since: Option<Instant>,
    /// Not before this time.
    again: Option<Instant>,
}

impl Webhook {
    /// All of the settings, checked.
    pub(crate) fn all(settings: &Settings) -> Result<Vec<Webhook>, WebhookError> {
        for (setting, pause) in [("alert-interval", settings.alert_interval), ("alert-repeat", settings.alert_repeat)] {
            if pause > LONGEST {
                return Err(WebhookError::Pause { setting });
            }
        }
        let mut urls = Vec::new();
        for (at, address) in settings.webhook.iter().enumerate() {
            let name = if settings.webhook.len() == 1 { "the webhook".into() } else { format!("webhook {}", at + 1) };
            match address.reveal().parse::<Url>() {
                Ok(url) => urls.push((name, url)),
                Err(source) => return Err(WebhookError::Address { name, source }),
            }
        }
        if urls.is_empty() {
            return Ok(Vec::new());
        }
        let https = urls.iter().any(|(_, url)| url.is_https());
        let client = Client::new(&Options { trust: trust(https, settings.webhook_ca.clone()), ..Options::default() })?;
        let pace = Pace { interval: settings.alert_interval, repeat: settings.alert_repeat };
        let webhook = |(name, url): (String, Url)| {
            let format = Format::of(url.host());
            Webhook { name, url, format, client: client.clone(), pace }
        };
        Ok(urls.into_iter().map(webhook).collect())
    }

    /// Delivers until everything ends.
    pub(super) async fn run(self, hub: Arc<Hub>, mut alerts: mpsc::Receiver<Alert>, mut ending: watch::Receiver<bool>) {
        let mut group = Group::new(self.pace);
        let mut failing = Failing::default();
        loop {
            // In this order `None`, nothing to wait for, is the least.
            let due = group.next().map(|next| Some(next).max(failing.again).unwrap_or(next));
            tokio::select! {
                biased;
                () = ended(&mut ending) => break,
                () = until(due) => {
                    let Some(notice) = group.take(Instant::now()) else { continue };
                    let outcome = self.post_and_listen(&notice, &mut alerts, &mut group, &mut ending).await;
                    self.settle(&hub, notice, outcome, &mut group, &mut failing);
                }
                alert = alerts.recv() => match alert {
                    Some(alert) => group.push(alert),
                    None => break,
                },
            }
        }
        while let Some(alert) = alerts.recv().await {
            group.push(alert);
        }
        if let Some(notice) = group.take_all() {
            self.post_at_the_end(&hub, &notice, &failing).await;
        }
    }

    /// Posts while alerts come in, so that a slow server holds up no queue.
    async fn post_and_listen(
        &self,
        notice: &Notice,
        alerts: &mut mpsc::Receiver<Alert>,
        group: &mut Group,
        ending: &mut watch::Receiver<bool>,
    ) -> Outcome {
        let mut posting = std::pin::pin!(self.post(notice));
        loop {
            tokio::select! {
                outcome = &mut posting => return outcome,
                Some(alert) = alerts.recv() => group.push(alert),
                () = ended(ending) => {
                    let stopped = |_| Outcome::Failed("the monitor stops".into(), None);
                    return timeout(LAST, posting).await.unwrap_or_else(stopped);
                }
            }
        }
    }

    async fn post(&self, notice: &Notice) -> Outcome {
        let body = self.format.body(notice).to_string();
        let headers = [(header::CONTENT_TYPE, "application/json")];
        match self.client.send(Method::POST, &self.url, &headers, body).await {
            Ok(answer) => judge(&answer),
            Err(error) => Outcome::Failed(error.to_string(), None),
        }
    }

    fn settle(&self, hub: &Hub, notice: Notice, outcome: Outcome, group: &mut Group, failing: &mut Failing) {
        let (name, now) = (&self.name, Instant::now());
        match outcome {
            Outcome::Delivered => {
                count(&hub.delivered, notice.alerts());
                if failing.attempts > 0 {
                    tracing::info!("{name} takes alerts again");
                }
                *failing = Failing::default();
            }
            Outcome::Refused(problem) => {
                *failing = Failing::default();
                self.give_up(hub, &notice, &problem);
            }
            Outcome::Failed(problem, pause) => {
                let since = *failing.since.get_or_insert(now);
                if now.saturating_duration_since(since) >= GIVE_UP {
                    // The next notice has an hour again, at the slow pace.
                    failing.since = None;
                    self.give_up(hub, &notice, &problem);
                } else {
                    if failing.attempts == 0 && !*hub.ending.borrow() {
                        tracing::warn!("{name} failed; it is tried again for 1 h: {problem}");
                    }
                    group.put_back(notice);
                }
                let grown = FIRST_PAUSE.saturating_mul(1 << failing.attempts.min(16)).min(LONGEST_PAUSE);
                failing.attempts += 1;
                failing.again = Some(now + pause.unwrap_or_default().min(LONGEST_REQUESTED).max(grown));
            }
        }
    }

    /// One attempt more, unless the last has failed.
    async fn post_at_the_end(&self, hub: &Hub, notice: &Notice, failing: &Failing) {
        let mut problem = String::from("it failed before");
        if failing.attempts == 0 {
            match timeout(LAST, self.post(notice)).await {
                Ok(Outcome::Delivered) => return count(&hub.delivered, notice.alerts()),
                Ok(Outcome::Failed(why, _) | Outcome::Refused(why)) => problem = why,
                Err(_) => problem = format!("no answer within {LAST:?}"),
            }
        }
        self.give_up(hub, notice, &problem);
    }

    fn give_up(&self, hub: &Hub, notice: &Notice, problem: &str) {
        count(&hub.undelivered, notice.alerts());
        let (name, text) = (&self.name, shortened(&body::text(notice)));
        tracing::error!("{name} did not get {} ({problem}): {text}", body::alerts(notice.alerts()));
    }
}

/// The first lines of a notice, and the number of the others: a failing webhook would fill the log with many KiB a line.
fn shortened(text: &str) -> String {
    let mut end = text.len().min(LOGGED);
    end = text.floor_char_boundary(end);
    // Whole lines, an alert each, if the first one fits.
    if end < text.len() {
        end = text[..end].rfind('\n').unwrap_or(end);
    }
    let left = text[end..].trim_start_matches('\n');
    let more = match left.lines().count() {
        0 => String::new(),
        lines => format!(" ... and {} more", plural(lines, "line")),
    };
    format!("{}{more}", text[..end].escape_debug())
}

fn trust(https: bool, ca: Option<PathBuf>) -> Trust {
    match (https, ca) {
        (false, _) => Trust::Nobody,
        (true, None) => Trust::System,
        (true, Some(path)) => Trust::SystemAnd(path),
    }
}

fn judge(answer: &Answer) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        return Outcome::Delivered;
    }
    let problem = format!("it answered {status}");
    if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
        return Outcome::Failed(problem, answer.retry_after());
    }
    Outcome::Refused(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_stay_away_is_taken_in_seconds_and_as_a_date() {
        let asked = |value: &str| {
            let headers = [(header::RETRY_AFTER, value.parse().expect("a value"))].into_iter().collect();
            let answer =
                Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body: Vec::new().into(), cut: None };
            match judge(&answer) {
                Outcome::Failed(_, pause) => pause,
                _ => panic!("it may be tried again"),
            }
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert!(asked("Tue, 31 Dec 2999 23:59:59 GMT").is_some_and(|pause| pause > LONGEST_REQUESTED));
        assert_eq!(asked("Fri, 27 Nov 2020 02:05:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn many_alerts_that_were_not_delivered_are_cut_in_the_log_with_their_count() {
        let notice = |lines: usize| vec!["x".repeat(99); lines].join("\n");
        let whole = notice(10);
        assert_eq!(whole.len(), LOGGED - 1);
        assert_eq!(shortened(&whole), whole.escape_debug().to_string());
        assert_eq!(shortened(&format!("{whole}y")), format!("{whole}y").escape_debug().to_string());
        let longer = shortened(&format!("{whole}yy"));
        assert_eq!(longer, format!("{} ... and 1 line more", notice(9).escape_debug()));
        let many = shortened(&notice(255));
        assert_eq!(many, format!("{} ... and 245 lines more", notice(10).escape_debug()));
        assert!(shortened(&"\u{e9}".repeat(LOGGED)).ends_with(" ... and 1 line more"));
    }
}
