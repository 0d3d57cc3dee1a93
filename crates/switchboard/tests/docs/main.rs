//! The documents and the program say the same: links, pictures, settings, options, metrics, HTTP addresses, programs.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod commands;
mod files;
mod links;
mod metrics;
mod settings;
mod stomp;
mod text;
