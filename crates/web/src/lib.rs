//! What every listener and page of Switchboard shares: how addresses are bound, and which requests are
//! answered.
//!
//! Nothing here has a password: what protects a page on loopback is that no other site, open in the same
//! browser, can read it or act on it. That is [`Guard`].

mod bind;
mod guard;

pub use bind::{BindError, bind_all};
pub use guard::{Guard, guard};
