//! `[rows]` and `[[rows.table]]`.

use super::kinds::quote;
use super::settings::Settings;
use super::{not_allowed, plain, unknown};
use anyhow::{Result, anyhow};
use std::fmt::Write;
use std::path::PathBuf;
use switchboard_rows::http::RowsSettings;
use switchboard_rows::{Events, TableSpec};

const KEYS: [&str; 4] = ["name", "key", "leave-out", "events"];

/// The table `[rows]`.
#[derive(Clone)]
pub(crate) struct Rows {
    /// Its `tables`, `data` and `web` are filled in at the start.
    pub(crate) service: RowsSettings,
    /// Tables by their primary keys.
    pub(crate) names: Vec<String>,
    /// One for each `[[rows.table]]`.
    pub(crate) tables: Vec<TableSpec>,
}

impl Default for Rows {
    fn default() -> Rows {
        Rows { service: RowsSettings::new(PathBuf::new()), names: vec!["patron".to_owned()], tables: Vec::new() }
    }
}

impl Settings {
    /// Returns the service's settings. The default table yields to those of `[[rows.table]]`.
    pub(crate) fn rows_settings(&self) -> RowsSettings {
        let Rows { service, names, tables } = &self.rows;
        let is_default = *names == Rows::default().names;
        let named = names.iter().filter(|_| tables.is_empty() || !is_default).map(TableSpec::from);
        let tables = tables.iter().cloned().chain(named).collect();
        RowsSettings { tables, web: self.web.clone(), ..service.clone() }
    }
}

/// Reads the tables of a configuration file.
pub(super) fn read(value: &toml::Value) -> Result<Vec<TableSpec>> {
    let wrong = || anyhow!("table: must be [[rows.table]] tables");
    value.as_array().ok_or_else(wrong)?.iter().map(|table| read_one(table.as_table().ok_or_else(wrong)?)).collect()
}

fn read_one(table: &toml::Table) -> Result<TableSpec> {
    let mut spec = TableSpec::from("");
    for (key, value) in table {
        match key.as_str() {
            "name" => {
                let name = plain(value).filter(|_| value.is_str()).filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| not_allowed(key, &value.to_string(), "NAME or SCHEMA.NAME"))?;
                let named = TableSpec::from(name.as_str());
                (spec.schema, spec.name) = (named.schema, named.name);
            }
            "key" => spec.key = Some(columns(key, value)?).filter(|columns| !columns.is_empty()),
            "leave-out" => spec.hidden = columns(key, value)?,
            "events" => {
                spec.events = match value.as_str() {
                    Some("rows") => Events::Rows,
                    Some("keys") => Events::Keys,
                    _ => return Err(not_allowed(key, &value.to_string(), "\"rows\" or \"keys\"")),
                }
            }
            _ => return Err(unknown("key", key, KEYS)),
        }
    }
    if spec.name.is_empty() {
        return Err(not_allowed("name", "\"\"", "a table's name"));
    }
    Ok(spec)
}

/// Columns, which may have any name.
fn columns(key: &str, value: &toml::Value) -> Result<Vec<String>> {
    let names = match value {
        toml::Value::String(name) => Some(vec![name.clone()]),
        toml::Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    names.ok_or_else(|| not_allowed(key, &value.to_string(), "a list of columns"))
}

/// Prints the tables, as a configuration file has them.
pub(super) fn print(text: &mut String, tables: &[TableSpec]) {
    text.push_str(
        "\n# A table with another key than its primary key, or without some of its columns. Default: none. For example:\n\
         #\n# [[rows.table]]\n# name = \"account\"\n# key = [\"tenant\", \"number\"]\n# leave-out = [\"password\"]\n# events = \"keys\"\n",
    );
    for table in tables {
        let schema = table.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
        let _ = write!(text, "\n[[rows.table]]\nname = {}\n", quote(&format!("{schema}{}", table.name)));
        let list = |names: &[String]| names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ");
        if let Some(key) = &table.key {
            let _ = writeln!(text, "key = [{}]", list(key));
        }
        if !table.hidden.is_empty() {
            let _ = writeln!(text, "leave-out = [{}]", list(&table.hidden));
        }
        if table.events == Events::Keys {
            text.push_str("events = \"keys\"\n");
        }
    }
}
