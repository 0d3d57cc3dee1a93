//! `Accept-Profile` and `Content-Profile`: the schema that a client means.

use super::errors::Refusal;
use crate::query::Relation;
use axum::http::{HeaderMap, HeaderName, StatusCode};

const PROFILES: [HeaderName; 2] =
    [HeaderName::from_static("accept-profile"), HeaderName::from_static("content-profile")];

/// Returns true if the client names a schema.
pub(super) fn is_named(headers: &HeaderMap) -> bool {
    PROFILES.iter().any(|name| headers.contains_key(name))
}

/// Refuses another schema than the table's: a table of this name in that schema is not the one that is served.
pub(super) fn check(headers: &HeaderMap, relation: &Relation) -> Result<(), Refusal> {
    let mut named = PROFILES.into_iter().flat_map(|name| headers.get_all(name));
    let other = named.find(|schema| schema.as_bytes() != relation.schema.as_bytes());
    let Some(other) = other else { return Ok(()) };
    let (name, schema) = (&relation.name, &relation.schema);
    let message = format!("table {name} is served of the schema {schema}, not of {}", other.to_str().unwrap_or("?"));
    let refusal = Refusal::new(StatusCode::NOT_ACCEPTABLE, "PGRST106", message);
    Err(refusal.with_hint(format!("leave the profile out, or give {schema}; rows.tables says which schema is served")))
}
