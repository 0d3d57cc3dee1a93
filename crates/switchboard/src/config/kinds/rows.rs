//! Values of `[rows]`: a database, tables, other sites.

use super::{Addresses, Kind, quote};
use switchboard_rows::http::is_origin;
use switchboard_rows::{Database, Refresh};

pub(in crate::config) struct DatabaseUrl;
pub(in crate::config) struct Tables;
pub(in crate::config) struct Refreshed;
pub(in crate::config) struct Origins;

impl Kind for DatabaseUrl {
    type Value = Option<String>;
    const ALLOWED: &'static str = "postgres://USER@HOST/NAME; an empty text for a private PostgreSQL";
    /// It may have a password.
    const IS_SECRET: bool = true;
    fn parse(text: &str) -> Option<Option<String>> {
        Self::read(text).ok()
    }
    fn read(text: &str) -> Result<Option<String>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let check = text.parse::<Database>();
        check.map(|_| Some(text.to_owned())).map_err(|error| format!("it must be {}: {error}", Self::ALLOWED))
    }
    fn show(text: &Option<String>) -> String {
        quote(text.as_deref().unwrap_or(""))
    }
}

/// The longest name that PostgreSQL has, and its schema's.
const NAME: usize = 63 + 1 + 63;

impl Kind for Tables {
    type Value = Vec<String>;
    const ALLOWED: &'static str = "NAME or SCHEMA.NAME, or a list of them, such as [\"patron\", \"sales.item\"]";
    fn parse(text: &str) -> Option<Vec<String>> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let is_name = |name: &str| {
            name.len() <= NAME && name.split('.').count() <= 2 && name.split('.').all(|part| !part.is_empty())
        };
        names.map(|name| is_name(name).then(|| name.to_owned())).collect()
    }
    fn show(names: &Vec<String>) -> String {
        Addresses::show(names)
    }
}

const REFRESHES: [(&str, Refresh); 3] =
    [("off", Refresh::Off), ("cached", Refresh::Cached), ("written", Refresh::Written)];

impl Kind for Refreshed {
    type Value = Refresh;
    const ALLOWED: &'static str = "off, cached or written";
    fn parse(text: &str) -> Option<Refresh> {
        REFRESHES.iter().find(|(name, _)| *name == text.trim()).map(|(_, refresh)| *refresh)
    }
    fn show(refresh: &Refresh) -> String {
        let name = REFRESHES.iter().find(|(_, known)| known == refresh).map_or("", |(name, _)| name);
        quote(name)
    }
}

impl Kind for Origins {
    type Value = Vec<String>;
    const ALLOWED: &'static str = "https://HOST or *, or a list of them, such as [\"https://app.example\"]";
    fn parse(text: &str) -> Option<Vec<String>> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        origins.map(|origin| is_origin(origin).then(|| origin.to_owned())).collect()
    }
    fn show(origins: &Vec<String>) -> String {
        Addresses::show(origins)
    }
}
