//! A configuration file, and where its faults are.

use super::rules::Rule;
use super::settings::Settings;
use super::{is_of_program, is_table, misplaced, plain, rows};
use anyhow::{Context, Result, anyhow, bail};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Bytes of a configuration file, at most.
const MAX_FILE: u64 = 1 << 20;

impl Settings {
    /// Takes over what a configuration file says: a regular one, of at most 1 MiB bytes.
    pub(crate) fn read_file(&mut self, path: &Path) -> Result<()> {
        let text =
            switchboard_driver::read_text(path, MAX_FILE).with_context(|| format!("cannot read {}", path.display()))?;
        self.read(&text, &path.display().to_string())
    }

    /// Takes over what a configuration on the standard input says, of at most 1 MiB bytes.
    pub(crate) fn read_input(&mut self) -> Result<()> {
        let mut bytes = Vec::new();
        std::io::stdin().take(MAX_FILE + 1).read_to_end(&mut bytes).context("cannot read the standard input")?;
        if bytes.len() as u64 > MAX_FILE {
            bail!("cannot read the standard input: it is longer than the limit of {MAX_FILE} bytes");
        }
        self.read(&switchboard_driver::text_of(bytes).context("cannot read the standard input")?, "standard input")
    }

    /// Takes over what `text` says. An error names every fault with `source` and its line, in the order of the file.
    pub(super) fn read(&mut self, text: &str, source: &str) -> Result<()> {
        let file: toml::Table = text.parse().map_err(|error| anyhow!("{source}, {}", no_toml(text, &error)))?;
        let lines = Lines::of(text);
        let mut faults = Vec::new();
        for (key, value) in &file {
            match (key.as_str(), value) {
                (name, toml::Value::Table(table)) if is_table(name) => {
                    for (key, value) in table {
                        let fault = if (name, key.as_str()) == ("rows", "table") {
                            let tables = rows::read(value).map(|tables| self.rows.tables = tables);
                            tables.context("[[rows.table]]")
                        } else {
                            self.set_value(name, key, value).with_context(|| format!("[{name}]"))
                        };
                        faults.extend(fault.err().map(|error| (lines.of_key(name, key), error)));
                    }
                }
                ("channel", toml::Value::Array(rules)) => {
                    for (at, rule) in rules.iter().enumerate() {
                        let fault = self.read_rule(rule).err();
                        faults.extend(fault.map(|error| (lines.of_rule(at), error)));
                    }
                }
                (key, value) => {
                    let fault = self.read_outside(key, value).err();
                    faults.extend(fault.map(|error| (lines.of_key("", key), error)));
                }
            }
        }
        faults.sort_by_key(|(line, _)| *line);
        let faults: Vec<String> =
            faults.iter().map(|(line, error)| format!("{source}, line {line}: {error:#}")).collect();
        if faults.is_empty() { Ok(()) } else { Err(anyhow!("{}", faults.join("\n"))) }
    }

    fn read_rule(&mut self, rule: &toml::Value) -> Result<()> {
        let rule = rule.as_table().ok_or_else(|| anyhow!("channel: must be [[channel]] tables"))?;
        let parts = rule.iter().map(|(key, value)| (key.as_str(), plain(value).unwrap_or_else(|| value.to_string())));
        self.rules.push(Rule::read(parts).context("[[channel]]")?);
        Ok(())
    }

    /// Reads what stands outside of the tables.
    fn read_outside(&mut self, key: &str, value: &toml::Value) -> Result<()> {
        match key {
            name if is_table(name) => Err(anyhow!("{name}: must be a [{name}] table")),
            "channel" => Err(anyhow!("channel: must be [[channel]] tables")),
            key if is_of_program(key) => self.set_value("", key, value),
            _ => Err(misplaced(key, value)),
        }
    }
}

/// The lines of the keys of a file.
#[derive(Default)]
struct Lines {
    /// By table, which is empty outside of the tables, and key.
    keys: HashMap<(String, String), usize>,
    /// First keys of the `[[channel]]` tables.
    rules: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Lines {
        let mut lines = Lines::default();
        let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        let Ok(file) = DeTable::parse(text) else { return lines };
        for (name, value) in file.get_ref() {
            let table = name.get_ref().to_string();
            lines.keys.insert((String::new(), table.clone()), line(name.span().start));
            match value.get_ref() {
                DeValue::Table(keys) => lines.keys.extend(
                    keys.keys().map(|key| ((table.clone(), key.get_ref().to_string()), line(key.span().start))),
                ),
                DeValue::Array(rules) if table == "channel" => {
                    let first = |rule: &DeValue<'_>| {
                        let keys = rule.as_table().into_iter().flat_map(|rule| rule.keys());
                        keys.map(|key| line(key.span().start)).min()
                    };
                    lines.rules.extend(
                        rules.iter().map(|rule| first(rule.get_ref()).unwrap_or_else(|| line(rule.span().start))),
                    );
                }
                _ => {}
            }
        }
        lines
    }

    fn of_key(&self, table: &str, key: &str) -> usize {
        self.keys.get(&(table.to_owned(), key.to_owned())).copied().unwrap_or(1)
    }

    fn of_rule(&self, at: usize) -> usize {
        self.rules.get(at).copied().unwrap_or(1)
    }
}

/// The place and the reason of an error in TOML: in words of our own where those of the parser name no remedy.
fn no_toml(text: &str, error: &toml::de::Error) -> String {
    let span = error.span().unwrap_or_default();
    let line = text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
    let part = text.get(span).and_then(|part| part.lines().next()).unwrap_or_default().trim();
    let is_number = part.starts_with(|c: char| c.is_ascii_digit() || "+-".contains(c));
    let problem = error.message().trim_end();
    let reason = if problem.contains("duplicate key") {
        format!("{part} is there twice: a key stands once in its table, and a [table] once in a file")
    } else if is_number && ["large", "overflow", "integer"].iter().any(|word| problem.contains(word)) {
        format!("{part} is too large: a number is at most {}", i64::MAX)
    } else {
        problem.replace('\n', ", ")
    };
    format!("line {line}: {reason}")
}
