#![doc = include_str!("../README.md")]

pub mod board;
pub mod commands;
pub mod extract;
pub mod fetch;
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
pub mod render;
pub mod scrape;
pub mod service;
pub mod site;
pub mod state;
