//! Pages after their scripts have run, in the system's Chromium.

mod browser;
mod cdp;
mod page;

pub use browser::{Browser, BrowserOptions};
pub use page::{RenderError, Rendered, Request};
