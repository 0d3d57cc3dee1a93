//! `switchboard news` and its commands.

use super::args::{Action, Fetching, NewsArgs};
use super::start::{Renderers, page_settings};
use crate::config::Settings;
use crate::escape::escape_message;
use crate::output::{self, UsageError};
use crate::up::{self, Chosen};
use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use switchboard_driver::quantity::plural;
use switchboard_news::commands::{CheckError, TestError, check, suggest, test};
use switchboard_news::service::{self, NewsSettings};

/// Serves the page until a signal ends it, or does what was asked for.
pub(crate) fn run(args: NewsArgs) -> Result<ExitCode> {
    match &args.action {
        None => up::run(Chosen::News, args.ready_file().map(Path::to_owned), move || args.settings())
            .map(|()| ExitCode::SUCCESS),
        Some(Action::Test { site, json, fetching }) => crate::block_on(async {
            let tested = test(&prepared(fetching).await?, site).await;
            let report = tested.map_err(|error| match error {
                TestError::NoSuchSite { .. } => UsageError::of(error.into()),
                error => error.into(),
            })?;
            if *json { output::write_json(report.json()) } else { print(&report.to_string()) }?;
            Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }),
        Some(Action::Check { file, config, json }) => check_file(file.as_deref(), config.as_deref(), *json),
        Some(Action::Suggest { url, json, fetching }) => crate::block_on(async {
            if url.is_assumed {
                output::note(format_args!("No scheme was given: {} is asked.", url.url));
            }
            let (found, text) =
                suggest(&prepared(fetching).await?, &url.url).await.map_err(|reason| anyhow!(reason))?;
            if *json {
                let feeds: Vec<Value> =
                    found.feeds.iter().map(|(title, feed)| json!({ "title": title, "url": feed })).collect();
                output::write_json(json!({ "url": url.url, "feeds": feeds, "links": found.links }))?;
            } else {
                print(text.trim_end())?;
            }
            Ok(ExitCode::SUCCESS)
        }),
        Some(Action::Examples) => output::write(service::EXAMPLES.as_bytes()).map(|()| ExitCode::SUCCESS),
    }
}

/// The page's settings, with what renders.
async fn prepared(fetching: &Fetching) -> Result<NewsSettings> {
    let settings = fetching.settings()?;
    page_settings(&settings, &Renderers::default()).await
}

fn check_file(file: Option<&Path>, config: Option<&Path>, json: bool) -> Result<ExitCode> {
    let mut settings = Settings::default();
    if let Some(config) = config {
        settings.read_file(config).map_err(UsageError::of)?;
    }
    let none =
        || UsageError::of(anyhow!("there is no sites file; `switchboard news examples` prints one to begin with"));
    let file = file.or(settings.news.service.sites.as_deref()).ok_or_else(none)?;
    match check(file) {
        Ok(count) if json => {
            output::write_json(json!({ "file": file.display().to_string(), "right": true, "sites": count }))?;
            Ok(ExitCode::SUCCESS)
        }
        Ok(count) => {
            print(&format!("{} is right: {}.", file.display(), plural(count, "site")))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(CheckError::Unreadable(reason)) => Err(UsageError::of(anyhow!(reason))),
        Err(CheckError::Faults(faults)) if json => {
            output::write_json(json!({ "file": file.display().to_string(), "right": false, "faults": faults }))?;
            Ok(ExitCode::FAILURE)
        }
        Err(CheckError::Faults(faults)) => {
            for fault in faults {
                output::note(format_args!("{}", escape_message(format!("{}: {fault}", file.display()).as_bytes())));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Text of strangers, on a terminal maybe.
fn print(text: &str) -> Result<()> {
    output::write(format!("{}\n", escape_message(text.as_bytes())).as_bytes())
}
