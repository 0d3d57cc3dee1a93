use std::fmt;

/// A step of rendering a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RenderStep {
    /// Other pages are being rendered.
    Queue,
    /// Chromium is being started.
    Start,
    /// An empty page is being opened.
    Open,
    /// The page and what it loads before its `load` event.
    Navigation,
    /// [`Request::wait`](super::Request::wait).
    Wait,
    /// [`Request::wait_for`](super::Request::wait_for).
    WaitForSelector,
    /// The screenshot is being taken.
    Screenshot,
    /// The page's elements are being written as HTML.
    Serialize,
    /// A rendering service elsewhere has the page, and does not name its step.
    Service,
}

impl RenderStep {
    const ALL: [RenderStep; 9] = [
        RenderStep::Queue,
        RenderStep::Start,
        RenderStep::Open,
        RenderStep::Navigation,
        RenderStep::Wait,
        RenderStep::WaitForSelector,
        RenderStep::Screenshot,
        RenderStep::Serialize,
        RenderStep::Service,
    ];

    /// The step of this name, which [`RenderStep::name`] gives.
    pub(crate) fn named(name: &str) -> Option<RenderStep> {
        RenderStep::ALL.into_iter().find(|step| step.name() == name)
    }

    /// Its name: `navigation`, for example.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            RenderStep::Queue => "queue",
            RenderStep::Start => "start of Chromium",
            RenderStep::Open => "open",
            RenderStep::Navigation => "navigation",
            RenderStep::Wait => "wait",
            RenderStep::WaitForSelector => "wait for selector",
            RenderStep::Screenshot => "screenshot",
            RenderStep::Serialize => "serialize",
            RenderStep::Service => "rendering service",
        }
    }
}

impl fmt::Display for RenderStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "render: {}", self.name())
    }
}
