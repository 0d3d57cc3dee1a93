//! Grammars of the settings' values.

mod addresses;
mod numbers;
mod rows;

pub(super) use addresses::{Addresses, BrokerUrl, Cdp, Endpoint, Names, Pairs, Renderer, Webhooks, twice};
pub(super) use numbers::{Bytes, Count, Growth, Positive, Size, Span};
pub(super) use rows::{DatabaseUrl, Origins, Refreshed, Tables};

use super::bounds::Bounds;
use crate::log::LogFormat;
use std::path::{Path, PathBuf};
use switchboard_broker::{OverflowPolicy, QueueOverflow};
use switchboard_news::service::NewsSettings;
use switchboard_web::Token;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// The grammar of one kind of values.
pub(super) trait Kind {
    type Value;
    const ALLOWED: &'static str;
    /// No message repeats such a value.
    const IS_SECRET: bool = false;
    /// `None` when the text is not [`Kind::ALLOWED`].
    fn parse(text: &str) -> Option<Self::Value>;
    /// The error is the reason, as a sentence without its end.
    fn read(text: &str) -> Result<Self::Value, String> {
        Self::parse(text).ok_or_else(|| format!("it must be {}", Self::ALLOWED))
    }
    fn show(value: &Self::Value) -> String;
    /// The bounds of a setting that has none of its own. Only values with an order have bounds.
    fn bounds() -> Option<Bounds> {
        None
    }
    /// The value in the unit of its bounds.
    fn amount(_value: &Self::Value) -> u64 {
        0
    }
}

pub(super) struct Optional;
pub(super) struct AccessToken;
pub(super) struct Flag;
pub(super) struct OptionalPath;
pub(super) struct Program;
pub(super) struct Contact;
pub(super) struct Format;
pub(super) struct Topic;
pub(super) struct Topics;
pub(super) struct Policy;
pub(super) struct Overflow;
pub(super) struct Level;

impl Kind for Format {
    type Value = LogFormat;
    const ALLOWED: &'static str = "text or json";
    fn parse(text: &str) -> Option<LogFormat> {
        LogFormat::ALL.into_iter().find(|format| format.name() == text.trim())
    }
    fn show(format: &LogFormat) -> String {
        quote(format.name())
    }
}

impl Kind for Optional {
    type Value = Option<String>;
    const ALLOWED: &'static str = "a text; an empty one for none";
    fn parse(text: &str) -> Option<Option<String>> {
        Some((!text.is_empty()).then(|| text.to_owned()))
    }
    fn show(text: &Option<String>) -> String {
        quote(text.as_deref().unwrap_or(""))
    }
}

impl Kind for AccessToken {
    type Value = Option<Token>;
    const ALLOWED: &'static str = "16 to 255 visible ASCII characters, without blanks; an empty text for none";
    const IS_SECRET: bool = true;
    fn parse(text: &str) -> Option<Option<Token>> {
        if text.is_empty() { Some(None) } else { Token::new(text).ok().map(Some) }
    }
    fn show(token: &Option<Token>) -> String {
        quote(token.as_ref().map_or("", Token::as_str))
    }
}

impl Kind for Flag {
    type Value = bool;
    const ALLOWED: &'static str = "true or false";
    fn parse(text: &str) -> Option<bool> {
        text.trim().parse().ok()
    }
    fn show(flag: &bool) -> String {
        flag.to_string()
    }
}

impl Kind for OptionalPath {
    type Value = Option<PathBuf>;
    const ALLOWED: &'static str = "a path; an empty one for none";
    fn parse(text: &str) -> Option<Option<PathBuf>> {
        Some((!text.is_empty()).then(|| text.into()))
    }
    fn read(text: &str) -> Result<Option<PathBuf>, String> {
        no_home(text)?;
        Ok((!text.is_empty()).then(|| text.into()))
    }
    fn show(path: &Option<PathBuf>) -> String {
        quote(&path.as_deref().map(Path::to_string_lossy).unwrap_or_default())
    }
}

/// Fails for a path that a shell would have changed, and nobody has.
fn no_home(text: &str) -> Result<(), String> {
    if text == "~" || text.starts_with("~/") {
        return Err("~ is known to shells alone: write the home directory in its place".to_owned());
    }
    Ok(())
}

/// The names of queues begin with a slash: one without it is hardly meant for a topic.
fn is_topic(text: &str) -> bool {
    !text.is_empty() && !text.starts_with("/queue") && text != "queue" && !text.starts_with("queue/")
}

impl Kind for Topic {
    type Value = String;
    const ALLOWED: &'static str = "a topic's name, such as \"/topic/metrics\", without wildcards: it is published to";
    fn parse(text: &str) -> Option<String> {
        let has_wildcard = text.split('/').any(|level| ["*", ">"].contains(&level));
        (is_topic(text) && !has_wildcard).then(|| text.to_owned())
    }
    fn show(text: &String) -> String {
        quote(text)
    }
}

impl Kind for Topics {
    type Value = String;
    const ALLOWED: &'static str = "a topic's name or a pattern, such as \"/topic/metrics\"";
    fn parse(text: &str) -> Option<String> {
        is_topic(text).then(|| text.to_owned())
    }
    fn show(text: &String) -> String {
        quote(text)
    }
}

impl Kind for Program {
    type Value = PathBuf;
    const ALLOWED: &'static str = "a program's name or path";
    fn parse(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| text.into())
    }
    fn read(text: &str) -> Result<PathBuf, String> {
        no_home(text)?;
        Self::parse(text).ok_or_else(|| format!("it must be {}", Self::ALLOWED))
    }
    fn show(path: &PathBuf) -> String {
        quote(&path.to_string_lossy())
    }
}

impl Kind for Contact {
    type Value = Option<String>;
    const ALLOWED: &'static str = "at most 200 visible ASCII characters; an empty text for none";
    fn parse(text: &str) -> Option<Option<String>> {
        NewsSettings::check_contact(text).ok()?;
        Optional::parse(text)
    }
    fn show(text: &Option<String>) -> String {
        Optional::show(text)
    }
}

const POLICIES: [(&str, OverflowPolicy); 4] = [
    ("drop-new", OverflowPolicy::DropNew),
    ("drop-old", OverflowPolicy::DropOld),
    ("disconnect", OverflowPolicy::Disconnect),
    ("block", OverflowPolicy::Block),
];

impl Kind for Policy {
    type Value = OverflowPolicy;
    const ALLOWED: &'static str = "drop-new, drop-old, disconnect or block";
    fn parse(text: &str) -> Option<OverflowPolicy> {
        POLICIES.iter().find(|(name, _)| *name == text.trim()).map(|(_, policy)| *policy)
    }
    fn show(policy: &OverflowPolicy) -> String {
        let name = POLICIES.iter().find(|(_, known)| known == policy).map_or("", |(name, _)| name);
        quote(name)
    }
}

const OVERFLOWS: [(&str, QueueOverflow); 3] =
    [("throttle", QueueOverflow::Throttle), ("reject", QueueOverflow::Reject), ("drop-old", QueueOverflow::DropOld)];

impl Kind for Overflow {
    type Value = QueueOverflow;
    const ALLOWED: &'static str = "throttle, reject or drop-old";
    fn parse(text: &str) -> Option<QueueOverflow> {
        OVERFLOWS.iter().find(|(name, _)| *name == text.trim()).map(|(_, overflow)| *overflow)
    }
    fn show(overflow: &QueueOverflow) -> String {
        let name = OVERFLOWS.iter().find(|(_, known)| known == overflow).map_or("", |(name, _)| name);
        quote(name)
    }
}

impl Kind for Level {
    type Value = String;
    const ALLOWED: &'static str =
        "off, error, warn, info, debug or trace, or directives such as \"info,switchboard_server=debug\"";
    fn parse(text: &str) -> Option<String> {
        // A misspelt level would otherwise be taken for a target's name.
        let known = text.split(',').all(|part| part.contains('=') || part.trim().parse::<LevelFilter>().is_ok());
        (known && !text.is_empty() && EnvFilter::try_new(text).is_ok()).then(|| text.to_owned())
    }
    fn show(level: &String) -> String {
        quote(level)
    }
}

/// A string as TOML.
pub(super) fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}
