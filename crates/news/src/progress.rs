//! The step that an attempt is in, so that a time-out can name the step and its address.

use crate::render::RenderStep;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use switchboard_http_client::Steps;
use url::Url;

/// A step of asking a site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Other requests to the host, and the delay between them.
    #[default]
    Turn,
    /// A request over HTTP: robots.txt, a feed or a page.
    Request(switchboard_http_client::Step),
    /// The page is rendered.
    Render(RenderStep),
    /// Headlines are looked for.
    Extract,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Turn => f.write_str("turn of its host"),
            Step::Request(step) => step.fmt(f),
            Step::Render(step) => step.fmt(f),
            Step::Extract => f.write_str("extract"),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    step: Step,
    url: Option<Url>,
    /// Of a request that is being sent.
    steps: Option<Steps>,
}

/// The step of one attempt, for a caller that ends it by a deadline of its own. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<State>>);

impl Progress {
    /// The step that the attempt is in, or ended in, and the address that it concerns.
    #[must_use]
    pub fn current(&self) -> (Step, Option<Url>) {
        let state = self.0.lock();
        let step = state.steps.as_ref().map_or(state.step, |steps| Step::Request(steps.current()));
        (step, state.url.clone())
    }

    pub(crate) fn enter(&self, step: Step, url: &Url) {
        *self.0.lock() = State { step, url: Some(url.clone()), steps: None };
    }

    /// Begins a request.
    pub(crate) fn request(&self, url: &Url) -> Steps {
        let steps = Steps::default();
        *self.0.lock() = State { step: Step::Turn, url: Some(url.clone()), steps: Some(steps.clone()) };
        steps
    }

    /// The step of rendering; [`RenderStep::Queue`] before the first.
    pub(crate) fn render_step(&self) -> RenderStep {
        match self.current().0 {
            Step::Render(step) => step,
            _ => RenderStep::Queue,
        }
    }
}
