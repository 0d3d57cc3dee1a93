//! The renderer: a Chromium of our own, or a service elsewhere.

use super::{Remote, RenderError, Rendered, Renderer, Request};

/// A renderer here or elsewhere.
#[derive(Clone)]
pub enum Backend {
    /// A Chromium of our own.
    Local(Renderer),
    /// A rendering service.
    Remote(Box<Remote>),
}

impl Backend {
    /// Renders a page.
    ///
    /// # Errors
    ///
    /// It cannot be rendered. The error names the page, unless Chromium cannot be started.
    pub async fn render(&self, request: &Request) -> Result<Rendered, RenderError> {
        match self {
            Backend::Local(renderer) => renderer.render(request).await,
            Backend::Remote(remote) => remote.render(request).await,
        }
    }
}
