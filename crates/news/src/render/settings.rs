//! Settings of a renderer, with their bounds.

use super::endpoint::Endpoint;
use crate::guard::Allow;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of a [`Renderer`](super::Renderer).
#[derive(Clone, Debug)]
pub struct RendererSettings {
    /// Chromium's program. Default: `chromium`.
    pub program: PathBuf,
    /// A Chromium that runs already, instead of one that is started. Default: none.
    pub endpoint: Option<Endpoint>,
    /// The parent of its private directories. It must be ours alone to write to, and another user must be able to enter
    /// it: as root, Chromium runs as one.
    pub directory: PathBuf,
    /// Pairs of host and port that pages may reach although they are not global. Default: none.
    pub allow: Allow,
    /// Whether Chromium runs in its sandbox. Default: yes.
    pub sandbox: bool,
    /// Pages that are rendered at a time, from 1 to 64. Default: 10.
    pub pages: usize,
    /// Pages that may wait for their turn, from 0 to 10,000. Default: 32.
    pub queue: usize,
    /// Pages after which Chromium is replaced, from 1 to 1,000,000. Default: 500.
    pub recycle_pages: u32,
    /// Age at which Chromium is replaced, from 1 s to 7 days. Default: 1 h.
    pub recycle_age: Duration,
    /// Memory of all of Chromium's processes together, in bytes, from 64 MiB to 1 TiB; with more it is replaced.
    /// Default: 2 GiB.
    pub memory: u64,
    /// Memory of one of Chromium's processes that render pages, in bytes, from 16 MiB to 1 TiB; one with more is ended.
    /// Default: 1 GiB.
    pub page_memory: u64,
    /// Time without work after which Chromium is ended, from 1 s to 1 day. Default: 60 s.
    pub idle: Duration,
    /// Time for Chromium to start, from 1 s to 10 min. Default: 30 s.
    pub start_timeout: Duration,
}

/// A setting out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value} is not allowed: it must be {allowed}")]
pub struct SettingError {
    /// Which.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// The allowed values.
    pub allowed: &'static str,
}

impl RendererSettings {
    /// Defaults, with this directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> RendererSettings {
        RendererSettings {
            program: "chromium".into(),
            endpoint: None,
            directory,
            allow: Allow::default(),
            sandbox: true,
            pages: 10,
            queue: 32,
            recycle_pages: 500,
            recycle_age: Duration::from_secs(3600),
            memory: 2 << 30,
            page_memory: 1 << 30,
            idle: Duration::from_secs(60),
            start_timeout: Duration::from_secs(30),
        }
    }

    /// Checks each setting against its bounds.
    ///
    /// # Errors
    ///
    /// One is out of bounds; the error names it.
    pub fn check(&self) -> Result<(), SettingError> {
        count("render.pages", self.pages as u64, (1, 64), "from 1 to 64")?;
        count("render.queue", self.queue as u64, (0, 10_000), "from 0 to 10000")?;
        count("render.recycle-pages", self.recycle_pages.into(), (1, 1_000_000), "from 1 to 1000000")?;
        count("render.memory", self.memory, (64 << 20, 1 << 40), "from 64MiB to 1TiB")?;
        count("render.page-memory", self.page_memory, (16 << 20, 1 << 40), "from 16MiB to 1TiB")?;
        let day = 86_400;
        duration("render.recycle-age", self.recycle_age, (1, 7 * day), "from 1s to 7d")?;
        duration("render.idle", self.idle, (1, day), "from 1s to 1d")?;
        duration("render.start-timeout", self.start_timeout, (1, 600), "from 1s to 10m")
    }
}

pub(crate) fn count(
    setting: &'static str,
    value: u64,
    (least, most): (u64, u64),
    allowed: &'static str,
) -> Result<(), SettingError> {
    let error = || SettingError { setting, value: value.to_string(), allowed };
    if (least..=most).contains(&value) { Ok(()) } else { Err(error()) }
}

/// Bounds in seconds.
pub(crate) fn duration(
    setting: &'static str,
    value: Duration,
    (least, most): (u64, u64),
    allowed: &'static str,
) -> Result<(), SettingError> {
    let is_good = (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&value);
    if is_good { Ok(()) } else { Err(SettingError { setting, value: format!("{value:?}"), allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_allowed_at_its_bounds_and_refused_beyond_them() {
        type Set = fn(&mut RendererSettings, u64);
        let day = 86_400;
        let all: [(&str, Set, u64, u64); 8] = [
            ("render.pages", |all, value| all.pages = value as usize, 1, 64),
            ("render.queue", |all, value| all.queue = value as usize, 0, 10_000),
            ("render.recycle-pages", |all, value| all.recycle_pages = value as u32, 1, 1_000_000),
            ("render.memory", |all, value| all.memory = value, 64 << 20, 1 << 40),
            ("render.page-memory", |all, value| all.page_memory = value, 16 << 20, 1 << 40),
            ("render.recycle-age", |all, value| all.recycle_age = Duration::from_secs(value), 1, 7 * day),
            ("render.idle", |all, value| all.idle = Duration::from_secs(value), 1, day),
            ("render.start-timeout", |all, value| all.start_timeout = Duration::from_secs(value), 1, 600),
        ];
        assert_eq!(RendererSettings::new("x".into()).check(), Ok(()));
        for (name, set, least, most) in all {
            for (value, is_allowed) in
                [(0, least == 0), (least.saturating_sub(1), least == 0), (least, true), (most, true), (most + 1, false)]
            {
                let mut settings = RendererSettings::new("x".into());
                set(&mut settings, value);
                let checked = settings.check();
                assert_eq!(checked.is_ok(), is_allowed, "{name} {value}");
                if let Err(error) = checked {
                    assert!(error.to_string().starts_with(name), "{error}");
                }
            }
        }
    }
}
