//! Watches a handful of services live: each process's CPU and memory, once a second, as a line in a chart.
#![doc = include_str!("../README.md")]

mod time;

#[cfg_attr(not(feature = "agent"), allow(dead_code, reason = "only the agent looks at other processes"))]
mod process;
mod usage;

pub mod own;
#[cfg_attr(not(feature = "agent"), allow(dead_code, reason = "only the agent waits for what it has reported"))]
pub mod report;

#[cfg(feature = "agent")]
pub mod agent;

pub use time::Millis;
pub use usage::Usage;

// The collector: what a sample is, the rules, the history, and what is served of them.

#[cfg(feature = "collector")]
mod annotation;
#[cfg(feature = "collector")]
mod point;
#[cfg(feature = "collector")]
mod refusal;
#[cfg(feature = "collector")]
mod sample;

#[cfg(feature = "collector")]
mod collector;
#[cfg(feature = "collector")]
mod series;

#[cfg(feature = "collector")]
mod history;

#[cfg(feature = "collector")]
mod settings;

#[cfg(feature = "collector")]
mod feed;
#[cfg(feature = "collector")]
mod pace;

#[cfg(feature = "collector")]
mod hub;

#[cfg(feature = "collector")]
mod alerts;
#[cfg(feature = "collector")]
mod http;
#[cfg(feature = "collector")]
mod source;

#[cfg(feature = "collector")]
mod monitor;

#[cfg(feature = "collector")]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(feature = "collector")]
pub use alerts::WebhookError;
#[cfg(feature = "collector")]
pub use annotation::{Annotation, AnnotationKind};
#[cfg(feature = "collector")]
pub use collector::{Rules, Source};
#[cfg(feature = "collector")]
pub use history::HistorySettings;
#[cfg(feature = "collector")]
pub use monitor::{Monitor, StartError};
#[cfg(feature = "collector")]
pub use refusal::Refusal;
#[cfg(feature = "collector")]
pub use sample::Sample;
#[cfg(feature = "collector")]
pub use settings::{Pipe, Secret, Settings};
#[cfg(feature = "collector")]
pub use switchboard_web::{BindError, Options as WebOptions, Token};
