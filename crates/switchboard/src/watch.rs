//! Output that is repeated until interrupted.

use crate::display;
use crate::escape::escape;
use crate::output::{self, note};
use anyhow::Result;
use clap::Args;
use std::io::IsTerminal;
use std::time::Duration;
use tokio::time::sleep;

/// Time between two looks, unless told.
const PERIOD: Duration = Duration::from_secs(1);
/// Shortest and longest time between two looks.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(86_400);

#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// Look again and again, until interrupted; a broker that restarts is waited for.
    #[arg(long, short = 'w')]
    watch: bool,
    /// Time between two looks, from 100ms to 1d; implies --watch [default: 1s].
    #[arg(long, short = 'i', allow_hyphen_values = true, value_name = "DURATION", value_parser = interval)]
    interval: Option<Duration>,
}

impl Watch {
    pub(crate) fn is_on(&self) -> bool {
        self.watch || self.interval.is_some()
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    match crate::cli::duration(text)? {
        time if (SHORTEST..=LONGEST).contains(&time) => Ok(time),
        _ => Err("it must be from 100ms to 1d".to_owned()),
    }
}

/// Prints a text, once or again and again: on a screen over what was there, unless it is JSON. `text` is asked with whether
/// it is for a screen.
pub(crate) async fn show(args: &Watch, json: bool, text: impl AsyncFn(bool) -> Result<String>) -> Result<()> {
    let is_screen = std::io::stdout().is_terminal();
    let has_cursor = display::has_cursor();
    let mut last = text(is_screen).await?;
    let mut is_away = false;
    loop {
        if args.is_on() && is_screen && has_cursor && !json {
            output::write(screen(&last).as_bytes())?;
        } else if !is_away {
            output::write(last.as_bytes())?;
        }
        if !args.is_on() {
            return Ok(());
        }
        sleep(args.interval.unwrap_or(PERIOD)).await;
        match text(is_screen).await {
            Ok(text) => (last, is_away) = (text, false),
            Err(error) if is_screen && has_cursor && !json => {
                let rest = last.split_once('\n').map_or("", |(_, rest)| rest);
                last = format!("The broker is away, asking again: {}\n{rest}", escape(&error.to_string()));
            }
            Err(error) if !is_away => {
                note(format_args!("The broker is away, asking again: {}", escape(&error.to_string())));
                is_away = true;
            }
            Err(_) => {}
        }
    }
}

/// Draws over what was there: home, each line up to its end, and nothing below.
fn screen(text: &str) -> String {
    format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}
