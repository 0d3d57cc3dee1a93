//! `switchboard news` and `switchboard render`: the page of headlines, and the rendering service.

mod args;
mod commands;
mod examples;
mod publish;
mod start;

pub(crate) use args::{NewsArgs, RenderArgs};
pub(crate) use commands::run;
pub(crate) use start::{Page, Renderers, bind_page, bind_render};

use crate::up::{self, Chosen};
use anyhow::Result;
use std::path::Path;

pub(crate) const EXAMPLES: &str = "\
Examples:
  switchboard news                                page at http://127.0.0.1:8080
  switchboard news examples > sites.toml          the example sites
  switchboard news --sites sites.toml --server localhost
  switchboard news check sites.toml
  switchboard news test CNN --sites sites.toml    what its rule finds
  switchboard news suggest https://news.example/  a rule to begin with";

pub(crate) const RENDER_EXAMPLES: &str = "\
Examples:
  switchboard render  http://127.0.0.1:8050/render.html?url=...
  switchboard render --allow wiki.example:80 --set render.pages=8";

/// Renders pages until a signal ends it.
pub(crate) fn render(args: RenderArgs) -> Result<()> {
    up::run(Chosen::Render, args.ready_file().map(Path::to_owned), move || args.settings())
}
