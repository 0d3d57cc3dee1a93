//! Pages after their scripts have run, in the system's Chromium.

mod request;
mod step;

mod browser;
pub(crate) mod cdp;
mod context;
mod endpoint;
mod failure;
mod health;
mod messages;
mod page;
mod screenshot;
mod workers;

mod orphans;
mod processes;
mod renderer;
mod running;
mod settings;

mod backend;
mod remote;

pub use backend::Backend;
pub use browser::{Browser, BrowserOptions};
pub use endpoint::{Endpoint, EndpointError};
pub use processes::{Process, family};
pub use remote::{Remote, RemoteError};
pub use renderer::{Renderer, RendererStatus};
pub use request::{MAX_AREA, MAX_SIDE, RenderError, Rendered, Request, Screenshot, Viewport};
pub use settings::{RendererSettings, SettingError};
pub(crate) use settings::{count, duration};
pub use step::RenderStep;
