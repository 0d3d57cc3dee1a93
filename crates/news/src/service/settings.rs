//! Settings of the services.

use crate::board::Publish;
use crate::guard::Allow;
use crate::render::{Renderer, RendererSettings, SettingError, count, duration};
use std::path::PathBuf;
use std::time::Duration;

/// The renderer of sites' pages.
#[derive(Clone, Default)]
pub enum Rendering {
    /// Nobody: only feeds and plain pages are read.
    #[default]
    None,
    /// A Chromium of our own, with these settings.
    Own(RendererSettings),
    /// A Chromium that is shared with the rendering service.
    Shared(Renderer),
    /// A rendering service at this address, by Splash's contract.
    Remote(String),
}

impl std::fmt::Debug for Rendering {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rendering::None => f.write_str("None"),
            Rendering::Own(settings) => f.debug_tuple("Own").field(settings).finish(),
            Rendering::Shared(_) => f.write_str("Shared"),
            Rendering::Remote(address) => f.debug_tuple("Remote").field(address).finish(),
        }
    }
}

/// Settings of a [`News`](super::News).
#[derive(Clone, Debug)]
pub struct NewsSettings {
    /// Addresses of the page, as `HOST:PORT`. Port 0 takes a free one. Default: `127.0.0.1:8080`.
    pub listen: Vec<String>,
    /// Access and limits of its HTTP listeners.
    pub web: switchboard_web::Options,
    /// The directory of results.
    pub data: PathBuf,
    /// The sites file, which is followed; `None`: the example sites.
    pub sites: Option<PathBuf>,
    /// The renderer. Default: none.
    pub rendering: Rendering,
    /// Pairs of host and port that may be reached although they are not global. Default: none.
    pub allow: Allow,
    /// Contact of the operator: a URL or mail address, part of the `User-Agent`. Default: none.
    pub contact: Option<String>,
    /// The longest duration of an attempt to get one site's headlines, from 1 s to 10 min. Default: 60 s.
    pub deadline: Duration,
    /// The longest duration of one request, from 1 s to 10 min. Default: 15 s.
    pub timeout: Duration,
    /// The time between two page requests to an origin, from 0 to 1 h. Default: 1 s.
    pub delay: Duration,
    /// Maximum number of pages that listen for changes, from 1 to 100,000; never more than half of the connections. Default: 256.
    pub clients: usize,
    /// Receiver of new headlines and broken rules. Default: none.
    pub publish: Publish,
}

impl NewsSettings {
    /// Defaults, with results in this directory.
    #[must_use]
    pub fn new(data: PathBuf) -> NewsSettings {
        NewsSettings {
            listen: vec!["127.0.0.1:8080".into()],
            web: switchboard_web::Options::default(),
            data,
            sites: None,
            rendering: Rendering::None,
            allow: Allow::default(),
            contact: None,
            deadline: Duration::from_secs(60),
            timeout: Duration::from_secs(15),
            delay: Duration::from_secs(1),
            clients: 256,
            publish: Publish::default(),
        }
    }

    /// Checks each setting against its bounds.
    ///
    /// # Errors
    ///
    /// One is out of bounds; the error names it.
    pub fn check(&self) -> Result<(), SettingError> {
        duration("news.deadline", self.deadline, (1, 600), "from 1s to 10m")?;
        duration("news.timeout", self.timeout, (1, 600), "from 1s to 10m")?;
        duration("news.delay", self.delay, (0, 3600), "from 0 to 1h")?;
        count("news.clients", self.clients as u64, (1, 100_000), "from 1 to 100000")?;
        self.contact.as_deref().map_or(Ok(()), NewsSettings::check_contact)
    }

    /// Checks a text for [`NewsSettings::contact`].
    ///
    /// # Errors
    ///
    /// It is too long, or cannot stand in a header.
    pub fn check_contact(text: &str) -> Result<(), SettingError> {
        let is_header = text.len() <= 200 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let allowed = "at most 200 visible ASCII characters";
        let error = || SettingError { setting: "news.contact", value: format!("{text:?}"), allowed };
        if is_header { Ok(()) } else { Err(error()) }
    }
}

/// Settings of a [`RenderService`](super::RenderService).
#[derive(Clone)]
pub struct RenderServiceSettings {
    /// Its addresses, as `HOST:PORT`. Port 0 takes a free one. Default: `127.0.0.1:8050`.
    pub listen: Vec<String>,
    /// Access and limits of its HTTP listeners.
    pub web: switchboard_web::Options,
    /// The renderer.
    pub renderer: Renderer,
    /// The longest time-out that a request may ask for, from 1 s to 1 h. Default: 90 s, as Splash has it.
    pub max_timeout: Duration,
}

impl RenderServiceSettings {
    /// Defaults, with this renderer.
    #[must_use]
    pub fn new(renderer: Renderer) -> RenderServiceSettings {
        RenderServiceSettings {
            listen: vec!["127.0.0.1:8050".into()],
            web: switchboard_web::Options::default(),
            renderer,
            max_timeout: Duration::from_secs(90),
        }
    }

    /// Checks each setting against its bounds.
    ///
    /// # Errors
    ///
    /// One is out of bounds; the error names it.
    pub fn check(&self) -> Result<(), SettingError> {
        duration("render.max-timeout", self.max_timeout, (1, 3600), "from 1s to 1h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_allowed_at_its_bounds_and_refused_beyond_them() {
        type Set = fn(&mut NewsSettings, u64);
        let all: [(&str, Set, u64, u64); 4] = [
            ("news.deadline", |all, value| all.deadline = Duration::from_secs(value), 1, 600),
            ("news.timeout", |all, value| all.timeout = Duration::from_secs(value), 1, 600),
            ("news.delay", |all, value| all.delay = Duration::from_secs(value), 0, 3600),
            ("news.clients", |all, value| all.clients = value as usize, 1, 100_000),
        ];
        assert_eq!(NewsSettings::new("x".into()).check(), Ok(()));
        for (name, set, least, most) in all {
            for (value, is_allowed) in [(0, least == 0), (least, true), (most, true), (most + 1, false)] {
                let mut settings = NewsSettings::new("x".into());
                set(&mut settings, value);
                let checked = settings.check();
                assert_eq!(checked.is_ok(), is_allowed, "{name} {value}");
                assert!(checked.is_ok() || checked.is_err_and(|error| error.setting == name));
            }
        }
        for (contact, is_allowed) in
            [("x".repeat(200), true), ("x".repeat(201), false), ("a\r\nb".into(), false), ("é".into(), false)]
        {
            let mut settings = NewsSettings::new("x".into());
            settings.contact = Some(contact);
            assert_eq!(settings.check().is_ok(), is_allowed);
        }
        let renderer = Renderer::new(RendererSettings::new("x".into())).expect("a renderer");
        for (seconds, is_allowed) in [(0, false), (1, true), (3600, true), (3601, false)] {
            let mut settings = RenderServiceSettings::new(renderer.clone());
            settings.max_timeout = Duration::from_secs(seconds);
            assert_eq!(settings.check().is_ok(), is_allowed, "{seconds}");
        }
    }
}
