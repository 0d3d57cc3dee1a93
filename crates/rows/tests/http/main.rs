//! The service over real HTTP, with a real PostgreSQL.
#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;

mod bulk;
mod defaults;
mod edges;
mod events;
mod lists;
mod one;
mod policy;
mod requests;
mod single;

use common::service::Service;
use common::{Scratch, server};

/// A service of an empty table `patron`.
async fn patrons() -> (Scratch, Service) {
    let scratch = server().scratch().await;
    let service = Service::start(&address(&scratch), |_| ()).await.live().await;
    (scratch, service)
}

fn address(scratch: &Scratch) -> String {
    server().address("app", scratch.scratch.name())
}
