//! How values of settings are written.

use super::size::{parse_count, parse_duration, parse_size, show_duration, show_size};
use crate::log::LogFormat;
use std::fmt::Display;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;
use switchboard_broker::OverflowPolicy;
use switchboard_monitor::Secret;
use switchboard_web::{Hosts, Token};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// How values of one kind are written.
pub(super) trait Kind {
    type Value;
    const ALLOWED: &'static str;
    /// `None` when the text is not [`Kind::ALLOWED`].
    fn parse(text: &str) -> Option<Self::Value>;
    /// The error is the reason, as a sentence without its end.
    fn read(text: &str) -> Result<Self::Value, String> {
        Self::parse(text).ok_or_else(|| format!("it must be {}", Self::ALLOWED))
    }
    fn show(value: &Self::Value) -> String;
}

pub(super) struct Size;
pub(super) struct SystemBuffer;
pub(super) struct SizeOrZero;
pub(super) struct Span;
pub(super) struct Count<T>(PhantomData<T>);
pub(super) struct Positive<T>(PhantomData<T>);
pub(super) struct Addresses;
pub(super) struct Names;
pub(super) struct Optional;
pub(super) struct AccessToken;
pub(super) struct Flag;
pub(super) struct OptionalPath;
pub(super) struct Webhooks;
pub(super) struct Growth;
pub(super) struct Format;
pub(super) struct Text;
pub(super) struct Bytes;
pub(super) struct Policy;
pub(super) struct Level;

impl Kind for Size {
    type Value = usize;
    const ALLOWED: &'static str = "a size of at least 1 byte, such as \"8MiB\", \"64 KiB\" or 123";
    fn parse(text: &str) -> Option<usize> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<usize, String> {
        match parse_size(text)? {
            0 => Err(format!("it must be {}", Self::ALLOWED)),
            bytes => Ok(bytes),
        }
    }
    fn show(&bytes: &usize) -> String {
        let text = show_size(bytes);
        // A plain number is an integer in TOML; one that TOML's i64 cannot hold is quoted.
        if text.parse::<i64>().is_ok() { text } else { quote(&text) }
    }
}

impl Kind for SizeOrZero {
    type Value = usize;
    const ALLOWED: &'static str = "a size such as \"8MiB\", \"64 KiB\" or 123, or 0";
    fn parse(text: &str) -> Option<usize> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<usize, String> {
        parse_size(text)
    }
    fn show(bytes: &usize) -> String {
        Size::show(bytes)
    }
}

impl Kind for SystemBuffer {
    type Value = usize;
    // The system takes a C `int`, and doubles it.
    const ALLOWED: &'static str = "0, or a size of at most 1GiB, such as \"64KiB\"";
    fn parse(text: &str) -> Option<usize> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<usize, String> {
        match parse_size(text)? {
            bytes if bytes <= 1 << 30 => Ok(bytes),
            _ => Err(format!("it must be {}", Self::ALLOWED)),
        }
    }
    fn show(bytes: &usize) -> String {
        Size::show(bytes)
    }
}

impl Kind for Span {
    type Value = Duration;
    const ALLOWED: &'static str = "a duration such as \"50ms\", \"10s\" or 2 (seconds)";
    fn parse(text: &str) -> Option<Duration> {
        parse_duration(text).ok()
    }
    fn read(text: &str) -> Result<Duration, String> {
        parse_duration(text)
    }
    fn show(duration: &Duration) -> String {
        quote(&show_duration(*duration))
    }
}

impl<T: TryFrom<u64> + Display> Kind for Count<T> {
    type Value = T;
    const ALLOWED: &'static str = "a whole number, 0 or more";
    fn parse(text: &str) -> Option<T> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<T, String> {
        let number = parse_count(text)?;
        T::try_from(number).map_err(|_| format!("it is too large: at most {}", largest::<T>()))
    }
    fn show(number: &T) -> String {
        number.to_string()
    }
}

/// The largest number of this type, which is unsigned.
fn largest<T: TryFrom<u64>>() -> u64 {
    if T::try_from(u64::MAX).is_ok() { u64::MAX } else { u32::MAX.into() }
}

impl<T: TryFrom<u64> + Display> Kind for Positive<T> {
    type Value = T;
    const ALLOWED: &'static str = "a whole number, 1 or more";
    fn parse(text: &str) -> Option<T> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<T, String> {
        match parse_count(text)? {
            0 => Err(format!("it must be {}", Self::ALLOWED)),
            _ => Count::read(text),
        }
    }
    fn show(number: &T) -> String {
        number.to_string()
    }
}

impl Kind for Growth {
    type Value = f64;
    const ALLOWED: &'static str = "a number from 1 to 1000000";
    fn parse(text: &str) -> Option<f64> {
        text.trim().parse().ok().filter(|number| (1.0..=1e6).contains(number))
    }
    fn show(number: &f64) -> String {
        number.to_string()
    }
}

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

impl Kind for Addresses {
    type Value = Vec<String>;
    const ALLOWED: &'static str = "HOST:PORT, or a list of them, such as [\"127.0.0.1:25000\", \"[::1]:25000\"]";
    fn parse(text: &str) -> Option<Vec<String>> {
        text.split(',').map(str::trim).filter(|address| !address.is_empty()).map(address).collect()
    }
    fn show(addresses: &Vec<String>) -> String {
        let quoted: Vec<String> = addresses.iter().map(|address| quote(address)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Kind for Names {
    type Value = Hosts;
    const ALLOWED: &'static str = "a name, or a list of them, such as [\"monitor.example\"]";
    fn parse(text: &str) -> Option<Hosts> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Option<Vec<String>> =
            names.map(|name| (!name.contains([':', '/', ' '])).then(|| name.to_owned())).collect();
        names.map(|names| Hosts::new(&names))
    }
    fn show(hosts: &Hosts) -> String {
        Addresses::show(&hosts.names())
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
    fn show(path: &Option<PathBuf>) -> String {
        quote(&path.as_deref().map(Path::to_string_lossy).unwrap_or_default())
    }
}

/// What is wrong with an address says the monitor when it starts, without the address.
impl Kind for Webhooks {
    type Value = Vec<Secret>;
    const ALLOWED: &'static str = "an address, or a list of them";
    fn parse(text: &str) -> Option<Vec<Secret>> {
        // A comma may be a part of an address; before the next one it is none.
        let mut addresses: Vec<String> = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            match addresses.last_mut() {
                Some(last) if !part.contains("://") => *last += &format!(",{part}"),
                _ => addresses.push(part.trim().to_owned()),
            }
        }
        Some(addresses.into_iter().map(Secret::from).collect())
    }
    fn show(addresses: &Vec<Secret>) -> String {
        let quoted: Vec<String> = addresses.iter().map(|address| quote(address.reveal())).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl Kind for Text {
    type Value = String;
    const ALLOWED: &'static str = "a text";
    fn parse(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }
    fn show(text: &String) -> String {
        quote(text)
    }
}

impl Kind for Bytes {
    type Value = u64;
    const ALLOWED: &'static str = Size::ALLOWED;
    fn parse(text: &str) -> Option<u64> {
        Size::parse(text).and_then(|bytes| u64::try_from(bytes).ok())
    }
    fn show(&bytes: &u64) -> String {
        Size::show(&usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// The form only: whether the host has an address is found out when it is listened on.
fn address(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    // `::1:25000` could be read in two ways.
    let clear = !host.contains(':') || host.starts_with('[') && host.ends_with(']');
    (clear && !host.is_empty()).then(|| text.to_owned())
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
