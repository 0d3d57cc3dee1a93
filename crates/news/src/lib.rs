#![doc = include_str!("../README.md")]

pub mod extract;
pub mod fetch;
pub mod guard;
pub mod render;
pub mod site;
