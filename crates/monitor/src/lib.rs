//! Watches a handful of services live: each process's CPU and memory, once a second, as a line.
#![doc = include_str!("../README.md")]

mod mark;
mod point;
mod refusal;
mod sample;
mod time;

mod figures;
mod process;
pub mod report;

pub mod agent;
pub mod own;

mod collector;
mod line;

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

pub use alerts::WebhookError;
pub use collector::{Rules, Source};
pub use figures::Figures;
pub use history::HistorySettings;
pub use mark::{Mark, MarkKind};
pub use monitor::{Monitor, StartError};
pub use refusal::Refusal;
pub use sample::Sample;
pub use settings::{Secret, Settings};
pub use switchboard_web::BindError;
pub use time::Millis;
