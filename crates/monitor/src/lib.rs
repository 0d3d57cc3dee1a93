//! Watches a handful of services live: each process's CPU and memory, once a second, as a line in a chart.
#![doc = include_str!("../README.md")]

mod time;
#[cfg_attr(not(feature = "report"), allow(dead_code, reason = "only reports of this process measure it"))]
mod usage;

#[cfg(feature = "report")]
pub mod own;
#[cfg(feature = "report")]
#[cfg_attr(not(feature = "agent"), allow(dead_code, reason = "only the agent looks at other processes"))]
mod process;
#[cfg(feature = "report")]
#[cfg_attr(not(feature = "agent"), allow(dead_code, reason = "only the agent waits for what it has reported"))]
pub mod report;

#[cfg(feature = "agent")]
pub mod agent;

pub use time::Millis;
pub use usage::Usage;

/// The longest text of a sample, in bytes.
#[cfg(any(feature = "report", feature = "rules"))]
const TEXT: usize = 128;

// Samples, the rules, the history: without I/O but the history's files.

#[cfg(feature = "rules")]
mod annotation;
#[cfg(feature = "rules")]
mod point;
#[cfg(feature = "rules")]
mod refusal;
#[cfg(feature = "rules")]
mod sample;

#[cfg(feature = "rules")]
#[cfg_attr(not(feature = "collector"), allow(dead_code, unused_imports, reason = "the collector uses the rest"))]
mod collector;
#[cfg(feature = "rules")]
#[cfg_attr(not(feature = "collector"), allow(dead_code, reason = "the collector uses the rest"))]
mod series;

#[cfg(feature = "rules")]
#[cfg_attr(not(feature = "collector"), allow(dead_code, unused_imports, reason = "the collector uses the rest"))]
mod history;

#[cfg(feature = "rules")]
#[doc(hidden)]
pub mod fuzzing;

// The collector: what is served of them.

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
pub use alerts::WebhookError;
#[cfg(feature = "rules")]
pub use annotation::{Annotation, AnnotationKind};
#[cfg(feature = "rules")]
pub use collector::{Rules, Source};
#[cfg(feature = "rules")]
pub use history::{HistorySettings, Unwritten};
#[cfg(feature = "collector")]
pub use monitor::{Monitor, StartError};
#[cfg(feature = "rules")]
pub use refusal::Refusal;
#[cfg(feature = "rules")]
pub use sample::Sample;
#[cfg(feature = "collector")]
pub use settings::{Pipe, Secret, Settings};
#[cfg(feature = "collector")]
pub use switchboard_web::{BindError, Options as WebOptions, Token};
