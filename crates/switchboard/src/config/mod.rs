//! The settings in force: defaults, then the file, then the command line.

mod bounds;
#[cfg(test)]
mod bounds_tests;
mod check;
mod file;
mod kinds;
mod rows;
mod rules;
mod settings;
#[cfg(test)]
mod tests;
mod without_effect;

pub(crate) use settings::{News, Settings, TABLES};
pub(crate) use without_effect::Started;

use crate::data;
use crate::output::UsageError;
use anyhow::{Context, Result, anyhow};
use kinds::Kind;
use rules::Rule;
use settings::Setting;
use std::fmt::Write;
use switchboard_broker::ChannelRule;
use switchboard_web::Token;

impl Settings {
    /// Sets one setting from text: `KEY` is one of the whole program's or the broker's (or `hosts`, `token`, `metrics-open` of
    /// all HTTP), `TABLE.KEY` one of another table.
    pub(crate) fn set(&mut self, key: &str, text: &str) -> Result<()> {
        match key.split_once('.') {
            Some((table, key)) if is_table(table) => self.set_in(table, key, text),
            // The broker has no setting of these names.
            _ if matches!(key, "hosts" | "token" | "metrics-open") => self.set_in("http", key, text),
            _ if is_of_program(key) => self.set_in("", key, text),
            _ => self.set_in("broker", key, text),
        }
    }

    /// Sets what `--set KEY=VALUE` says, each.
    pub(crate) fn set_pairs(&mut self, pairs: &[String]) -> Result<()> {
        for pair in pairs {
            let (key, value) =
                pair.split_once('=').ok_or_else(|| anyhow!("--set {pair} is not allowed: it must be KEY=VALUE"))?;
            let value = list(value.trim()).unwrap_or_else(|| value.trim().to_owned());
            self.set(key.trim(), &value).context("--set")?;
        }
        Ok(())
    }

    /// Sets one setting, as [`Settings::set`], by an option of the command line or the variable that stands for it.
    pub(crate) fn set_option(&mut self, key: &str, text: &str) -> Result<()> {
        let variable = ["SWITCHBOARD_DATA", "DATABASE_URL"][usize::from(key == "rows.database")];
        let has_variable = matches!(key, "data" | "rows.database") && std::env::var(variable).as_deref() == Ok(text);
        self.set(key, text).context(if has_variable { variable } else { "command line" })
    }

    fn set_value(&mut self, table: &str, key: &str, value: &toml::Value) -> Result<()> {
        let has_empty = |items: &Vec<toml::Value>| items.iter().any(|item| item.as_str() == Some(""));
        if value.as_array().is_some_and(has_empty) {
            return Err(refused(key, &value.to_string(), "an item of the list is empty; an empty list is []"));
        }
        self.set_in(table, key, &plain(value).unwrap_or_else(|| value.to_string()))
    }

    fn set_in(&mut self, table: &str, key: &str, text: &str) -> Result<()> {
        let settings: &[Setting] = TABLES.iter().find(|(name, _)| *name == table).map_or(&[], |(_, settings)| settings);
        let Some(setting) = settings.iter().find(|setting| setting.key == key) else {
            return Err(unknown_setting(table, key));
        };
        let shown = if setting.is_secret && !text.is_empty() { "..." } else { text };
        (setting.parse)(self, text).map_err(|reason| {
            let is_of_memory = (table, key) == ("broker", "memory") && reason.contains(" to 1024TiB");
            refused(key, shown, &if is_of_memory { check::memory_bounds(self.least_memory()) } else { reason })
        })
    }

    /// Puts a rule of the form `MATCH[,KEY=VALUE]...` at this place.
    pub(crate) fn add_rule(&mut self, at: usize, text: &str) -> Result<()> {
        self.rules.insert(at, Rule::parse(text)?);
        Ok(())
    }

    /// All settings, as a configuration file that says the same again.
    pub(crate) fn print(&self) -> String {
        let defaults = Settings::default();
        let mut text = String::from(
            "# Switchboard's settings. Defaults are commented out. Each setting can also be given on the command line:\n\
             # those of the whole program and of [broker] as --set KEY=VALUE, the others as --set TABLE.KEY=VALUE.\n",
        );
        for (table, settings) in TABLES {
            if !table.is_empty() {
                let _ = write!(text, "\n[{table}]\n");
            }
            for setting in settings {
                let (value, default) = ((setting.show)(self), (setting.show)(&defaults));
                let _ = writeln!(text, "\n# {}", setting.about);
                // A default is no decision: a later version may have a better one.
                let mark = if value == default { "# " } else { "" };
                let _ = writeln!(text, "{mark}{} = {value}", setting.key);
            }
        }
        rows::print(&mut text, &self.rows.tables);
        text.push_str(
            "\n# What differs for the channels that a pattern matches (`*` one level, `>` the rest);\n\
             # the first rule that matches is in force. Default: none. For example:\n\
             #\n# [[channel]]\n# match = \"/topic/jobs/>\"\n# policy = \"block\"\n# buffer-unsubscribed = 10\n# queue = \"1MiB\"\n",
        );
        self.rules.iter().for_each(|rule| rule.print(&mut text));
        text
    }

    /// All settings as `{KEY: VALUE, TABLE: {KEY: VALUE}}`, and the rules as they are in a file. It is for looking, as a log
    /// is: a secret is "...". The file that [`Settings::print`] gives is to be used, and has them.
    pub(crate) fn json(&self) -> serde_json::Value {
        // Values are shown as TOML, so one form serves both.
        let mut all = serde_json::Map::new();
        for (table, settings) in TABLES {
            let text: String =
                settings.iter().map(|setting| format!("{} = {}\n", setting.key, (setting.show)(self))).collect();
            let values = text.parse::<toml::Table>().ok().and_then(|values| serde_json::to_value(values).ok());
            let mut values = values.unwrap_or_default();
            for setting in settings.iter().filter(|setting| setting.is_secret) {
                values.get_mut(setting.key).into_iter().for_each(hide);
            }
            match values {
                serde_json::Value::Object(values) if table.is_empty() => all.extend(values),
                values => _ = all.insert(table.to_owned(), values),
            }
        }
        let printed = self.print().parse::<toml::Table>().unwrap_or_default();
        let tables = printed.get("rows").and_then(|rows| rows.get("table"));
        if let Some(rows) = all.get_mut("rows") {
            rows["table"] =
                tables.and_then(|tables| serde_json::to_value(tables).ok()).unwrap_or_else(|| serde_json::json!([]));
        }
        let rules = printed.get("channel").and_then(|rules| serde_json::to_value(rules).ok());
        all.insert("channel".to_owned(), rules.unwrap_or_else(|| serde_json::json!([])));
        all.into()
    }

    /// Returns true if a setting differs from its default by somebody's choice.
    fn chose(&self, table: &str, setting: &Setting) -> bool {
        let is_derived = table == "broker" && self.derived.contains(&setting.key);
        !is_derived && (setting.show)(self) != (setting.show)(&Settings::default())
    }

    /// The settings in which two differ by somebody's choice, as `--set` names them.
    pub(crate) fn differences(&self, other: &Settings) -> Vec<String> {
        let mut names = Vec::new();
        for (table, settings) in TABLES {
            let changed = settings.iter().filter(|setting| (setting.show)(self) != (setting.show)(other));
            let is_chosen = |setting: &&Setting| self.chose(table, setting) || other.chose(table, setting);
            names.extend(changed.filter(is_chosen).map(|setting| full_name(table, setting)));
        }
        if self.rows.tables != other.rows.tables {
            names.push("[[rows.table]]".to_owned());
        }
        if self.rules != other.rules {
            names.push("[[channel]]".to_owned());
        }
        names
    }

    /// Gives every service the same HTTP options: the token of the environment if the settings have none, and one file
    /// for the token that is made otherwise.
    pub(crate) fn share_web(&mut self) -> Result<()> {
        if self.web.token.is_none() {
            self.web.token = Token::from_environment().context(switchboard_web::ENVIRONMENT).map_err(UsageError::of)?;
        }
        // Without a directory a token can only come from settings or environment, and the error says so.
        self.web.token_file = data::directory(self.data.as_deref()).ok().map(|data| data.join("token"));
        let socket_origins = std::mem::take(&mut self.server.web.socket_origins);
        self.server.web = switchboard_web::Options { socket_origins, ..self.web.clone() };
        self.monitor.web = self.web.clone();
        self.news.service.web = self.web.clone();
        Ok(())
    }

    /// Returns the channel rules, as the server takes them.
    pub(crate) fn channel_rules(&self) -> Vec<ChannelRule> {
        self.rules.iter().map(Rule::channel_rule).collect()
    }

    /// Returns the server's settings.
    pub(crate) fn into_server(self) -> switchboard_server::Settings {
        let rules = self.channel_rules();
        switchboard_server::Settings { rules, ..self.server }
    }
}

/// Replaces a secret, or each of a list of them.
fn hide(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(values) => values.iter_mut().for_each(hide),
        serde_json::Value::String(text) if !text.is_empty() => "...".clone_into(text),
        _ => {}
    }
}

fn is_table(name: &str) -> bool {
    !name.is_empty() && TABLES.iter().any(|(table, _)| *table == name)
}

/// Returns true for a key that stands in no table.
fn is_of_program(key: &str) -> bool {
    TABLES.iter().any(|(table, settings)| table.is_empty() && settings.iter().any(|setting| setting.key == key))
}

/// The name of a setting for `--set`.
fn full_name(table: &str, setting: &Setting) -> String {
    match table {
        "" | "broker" => setting.key.to_owned(),
        _ => format!("{table}.{}", setting.key),
    }
}

/// Why a key at the top of the file is none.
fn misplaced(key: &str, value: &toml::Value) -> anyhow::Error {
    if let Some((table, _)) = TABLES.iter().find(|(_, settings)| settings.iter().any(|setting| setting.key == key)) {
        return anyhow!("`{key}` belongs under [{table}]");
    }
    if value.is_table() || value.as_array().is_some_and(|items| items.iter().any(toml::Value::is_table)) {
        return unknown("table", key, tables().chain(["channel"]));
    }
    let known = TABLES.iter().flat_map(|(_, settings)| *settings).map(|setting| setting.key);
    let tables: Vec<String> = tables().map(|table| format!("[{table}]")).collect();
    unknown("setting", key, known).context(format!("`{key}` stands outside of {} and [[channel]]", tables.join(", ")))
}

/// The tables of a configuration file that have settings.
fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(table, _)| *table).filter(|table| !table.is_empty())
}

fn kind<K: Kind>(key: &str, text: &str) -> Result<K::Value> {
    bounds::read::<K>(text, K::bounds()).map_err(|reason| refused(key, text, &reason))
}

/// A TOML value as it would be written on the command line, so that one reader serves both.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(_) | toml::Value::Float(_) => Some(value.to_string()),
        toml::Value::Array(items) => {
            let items: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}

/// A list as a configuration file has it, `["a", "b"]`, as the text of one: `a,b`. An address in brackets is none.
fn list(text: &str) -> Option<String> {
    let parsed: toml::Table = text.starts_with('[').then(|| format!("list = {text}").parse().ok())??;
    plain(parsed.get("list").filter(|value| value.is_array())?)
}

fn not_allowed(key: &str, value: &str, allowed: &str) -> anyhow::Error {
    refused(key, value, &format!("it must be {allowed}"))
}

fn refused(key: &str, value: &str, reason: &str) -> anyhow::Error {
    anyhow!("{key} = {value} is not allowed: {reason}")
}

/// Similarity from which on one name counts as a typing error of the other, from 0 to 1.
const ALIKE: f64 = 0.88;

/// An unknown name, with the nearest known one if that is near.
fn unknown<'a>(what: &str, key: &str, known: impl IntoIterator<Item = &'a str>) -> anyhow::Error {
    let nearest = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(key, known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, nearest)) => anyhow!("there is no {what} `{key}`; the nearest is `{nearest}`"),
        None => anyhow!("there is no {what} `{key}`; `switchboard config` prints all"),
    }
}

/// An unknown setting of a table. One of another table, or one that is nearly so called, is named.
fn unknown_setting(table: &str, key: &str) -> anyhow::Error {
    if is_of_program(key) {
        return anyhow!("`{key}` is of the whole program: it stands before the first table");
    }
    let own = TABLES.iter().filter(|(name, _)| *name == table).flat_map(|(_, settings)| *settings);
    let own: Vec<&str> = own.map(|setting| setting.key).collect();
    let near_own = own.iter().any(|known| strsim::jaro_winkler(key, known) >= ALIKE);
    let others = || TABLES.iter().flat_map(|(table, settings)| settings.iter().map(move |setting| (*table, setting)));
    let alike = |setting: &Setting| strsim::jaro_winkler(key, setting.key);
    match others().filter(|(_, setting)| alike(setting) >= ALIKE).max_by(|a, b| alike(a.1).total_cmp(&alike(b.1))) {
        Some((other, setting)) if !near_own => {
            anyhow!("there is no setting `{key}` in [{table}]; the nearest is `{}`", full_name(other, setting))
        }
        _ => unknown("setting", key, own),
    }
}
