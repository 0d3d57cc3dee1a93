use crate::{Options, TableSpec};
use std::collections::HashSet;
use std::path::PathBuf;
use switchboard_web::Options as WebOptions;

/// Names of paths that are the service's own, so that no table can have them.
const OWN: [&str; 14] = [
    "events",
    "openapi.json",
    "metrics",
    "status",
    "healthz",
    "readyz",
    "rows.js",
    "rows.css",
    "live.js",
    "services.js",
    "services.json",
    "theme.css",
    "icon.svg",
    "",
];

/// Settings of the service.
#[derive(Clone, Debug)]
pub struct RowsSettings {
    /// Addresses to listen at, as `HOST:PORT`.
    pub listen: Vec<String>,
    /// The database's address. Without one, a private PostgreSQL is started.
    pub database: Option<String>,
    /// The directory of a private PostgreSQL's rows.
    pub data: PathBuf,
    /// The tables.
    pub tables: Vec<TableSpec>,
    /// Options of the cache.
    pub options: Options,
    /// Other sites whose pages may use the API, as `https://HOST`; `*` is every site.
    pub origins: Vec<String>,
    /// No request may write.
    pub read_only: bool,
    /// Bytes of a request's body; from 1 to 1 GiB.
    pub body: usize,
    /// Rows of one list; from 1 to 1,000,000. The rest is a further page.
    pub list_rows: u64,
    /// Bytes of one list, beyond which no further row is added; from 1 KiB to 1 GiB.
    pub list_bytes: usize,
    /// Clients that listen for changes; more get 503.
    pub event_clients: usize,
    /// Access and limits of its HTTP listeners.
    pub web: WebOptions,
}

/// A setting is out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value} is not allowed: {reason}")]
pub struct SettingError {
    setting: &'static str,
    value: String,
    reason: String,
}

impl RowsSettings {
    /// The usual ones, with the table `patron` and private rows in `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> RowsSettings {
        RowsSettings {
            listen: vec!["127.0.0.1:8000".to_owned()],
            database: None,
            data: data.into(),
            tables: vec![TableSpec::from("patron")],
            options: Options { create_demo_table: true, ..Options::default() },
            origins: Vec::new(),
            read_only: false,
            body: 1 << 20,
            list_rows: 1000,
            list_bytes: 8 << 20,
            event_clients: 64,
            web: WebOptions::default(),
        }
    }

    /// Checks what no type can.
    ///
    /// # Errors
    /// The first setting that is not allowed.
    pub fn check(&self) -> Result<(), SettingError> {
        let wrong =
            |setting, value: &str, reason: String| Err(SettingError { setting, value: value.to_owned(), reason });
        if self.tables.is_empty() {
            return wrong("rows.tables", "", "at least one table is needed".to_owned());
        }
        let mut names = HashSet::new();
        for table in &self.tables {
            if OWN.contains(&table.name.as_str()) {
                return wrong("rows.tables", &table.name, "it is a path of the service".to_owned());
            }
            if !names.insert(table.name.as_str()) {
                let reason = "it is given twice; a path has a table's name without its schema";
                return wrong("rows.tables", &table.name, reason.to_owned());
            }
        }
        for (setting, value, least, most) in [
            ("rows.body", self.body as u64, 1, 1 << 30),
            ("rows.list-rows", self.list_rows, 1, 1_000_000),
            ("rows.list-bytes", self.list_bytes as u64, 1 << 10, 1 << 30),
            ("rows.event-clients", self.event_clients as u64, 1, 100_000),
        ] {
            if !(least..=most).contains(&value) {
                return wrong(setting, &value.to_string(), format!("it must be from {least} to {most}"));
            }
        }
        for origin in &self.origins {
            if !is_origin(origin) {
                return wrong("rows.origins", origin, "it must be *, or like https://app.example".to_owned());
            }
        }
        Ok(())
    }
}

/// Returns true for `*`, and for a scheme and a host, with or without a port.
#[must_use]
pub fn is_origin(origin: &str) -> bool {
    let is_site = |rest: &str| !rest.is_empty() && !rest.contains(['/', ' ', '*', ',', '?', '#']);
    origin == "*" || ["https://", "http://"].iter().any(|scheme| origin.strip_prefix(scheme).is_some_and(is_site))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_allowed_at_its_bounds_and_refused_beyond_them() {
        type Set = fn(&mut RowsSettings, u64);
        let limits: [(&str, Set, u64, u64); 4] = [
            ("rows.body", |settings, value| settings.body = value as usize, 1, 1 << 30),
            ("rows.list-rows", |settings, value| settings.list_rows = value, 1, 1_000_000),
            ("rows.list-bytes", |settings, value| settings.list_bytes = value as usize, 1 << 10, 1 << 30),
            ("rows.event-clients", |settings, value| settings.event_clients = value as usize, 1, 100_000),
        ];
        for (name, set, least, most) in limits {
            for (value, allowed) in
                [(0, false), (least - 1, false), (least, true), (most, true), (most + 1, false), (u64::MAX, false)]
            {
                let mut settings = RowsSettings::new("/x");
                set(&mut settings, value);
                assert_eq!(settings.check().is_ok(), allowed, "{name} {value}");
            }
        }
    }

    #[test]
    fn a_table_cannot_be_called_as_a_path_of_the_service() {
        for name in OWN {
            // Not read from a text, where a dot ends the schema's name.
            let table = TableSpec { schema: None, name: name.to_owned(), ..TableSpec::from("t") };
            let settings = RowsSettings { tables: vec![table], ..RowsSettings::new("/x") };
            assert!(settings.check().is_err(), "{name}");
        }
        assert!(RowsSettings { tables: Vec::new(), ..RowsSettings::new("/x") }.check().is_err());
    }

    #[test]
    fn a_table_is_given_once() {
        for (tables, is_allowed) in [
            (&["patron", "patron"][..], false),
            (&["sales.patron", "sales.patron"], false),
            (&["patron", "a", "sales.patron"], false),
            (&["a.b", "c.b"], false),
            (&["a.b", "a.c", "b"], false),
            (&["patron", "Patron", "sales.item", "b"], true),
        ] {
            let settings =
                RowsSettings { tables: tables.iter().map(|&name| name.into()).collect(), ..RowsSettings::new("/x") };
            let checked = settings.check();
            assert_eq!(checked.is_ok(), is_allowed, "{tables:?}");
            assert!(checked.err().is_none_or(|error| error.to_string().contains("given twice")), "{tables:?}");
        }
    }

    #[test]
    fn an_origin_is_a_site() {
        for origin in ["*", "https://app.example", "http://localhost:3000", "http://[::1]:1"] {
            assert!(is_origin(origin), "{origin}");
        }
        for origin in ["", "app.example", "https://", "https://a/", "ftp://a", "https://*.example", "null"] {
            assert!(!is_origin(origin), "{origin}");
        }
    }
}
