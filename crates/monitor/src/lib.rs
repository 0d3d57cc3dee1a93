//! Watches a handful of services live: each process's CPU and memory, once a second, as a line in a chart.
#![doc = include_str!("../README.md")]

mod annotation;
mod point;
mod refusal;
mod sample;
mod time;

mod process;
pub mod report;
mod usage;

pub mod agent;
pub mod own;

mod collector;
mod series;

mod history;

mod settings;

mod feed;
mod pace;

mod hub;

mod alerts;
mod http;
mod source;

mod monitor;

#[doc(hidden)]
pub mod fuzzing;

pub use annotation::{Annotation, AnnotationKind};
pub use collector::{Rules, Source};
pub use history::HistorySettings;
pub use monitor::{Monitor, StartError};
pub use refusal::Refusal;
pub use sample::Sample;
pub use settings::Settings;
pub use switchboard_web::BindError;
pub use time::Millis;
pub use usage::Usage;
