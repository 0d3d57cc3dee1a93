#![doc = include_str!("../README.md")]

#[cfg_attr(not(feature = "service"), allow(dead_code, reason = "only the renderer speaks to a browser"))]
mod devtools;
pub mod extract;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod json;
pub mod site;

#[cfg(feature = "service")]
pub mod board;
#[cfg(feature = "service")]
pub mod commands;
#[cfg(feature = "service")]
pub mod guard;
#[cfg(feature = "service")]
pub mod progress;
#[cfg(feature = "service")]
pub mod render;
#[cfg(feature = "service")]
pub mod scrape;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "service")]
pub mod state;
