//! The service: tables of a database as a JSON API, with a page on which one can try it.
//!
//! | path | |
//! |---|---|
//! | `/TABLE/KEY` | one row, from the cache |
//! | `/TABLE` | many rows, from the database: filters, order and pages |
//! | `/events` | changes, as Server-Sent Events |
//! | `/openapi.json` `/metrics` `/status` `/healthz` `/readyz` | the service itself |

mod settings;

mod answer;
mod errors;
mod headers;
mod path;
mod profile;
mod state;

mod backend;
mod metrics;

mod bulk;
mod cors;
mod events;
mod files;
mod list;
mod one;
mod openapi;
mod status;

mod router;
mod service;

pub use service::{RowsService, StartError};
pub use settings::{RowsSettings, SettingError, is_origin};
