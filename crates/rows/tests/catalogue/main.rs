//! Everything that the catalogue says about a table: names, types, keys and rights, and their changes.
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod changes;
mod names;
mod rights;
mod seq;
mod unstored;
mod witness;

use common::patron::{scratch, value};
