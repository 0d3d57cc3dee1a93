//! Examples of the actions of `switchboard rows`, for their `--help`.

pub(super) const TRIGGERS: &str = "\
Examples:
  switchboard rows triggers print --table patron
  switchboard rows triggers install --database postgres://owner@localhost/shop
  switchboard rows triggers remove --database postgres://owner@localhost/shop";

pub(super) const PRINT: &str = "\
Examples:
  switchboard rows triggers print --table patron --table sales.item
  switchboard rows triggers print --config switchboard.toml > triggers.sql";

pub(super) const INSTALL: &str = "\
Examples:
  switchboard rows triggers install --database postgres://owner@localhost/shop
  switchboard rows triggers install --config switchboard.toml";

pub(super) const REMOVE: &str = "\
Examples:
  switchboard rows triggers remove --database postgres://owner@localhost/shop
  switchboard rows triggers remove --config switchboard.toml --json";

pub(super) const SCRATCH: &str = "\
Examples:
  switchboard rows scratch -- pytest        DATABASE_URL leads to its database
  switchboard rows scratch create trial --database postgres://localhost/postgres
  switchboard rows scratch drop trial --database postgres://localhost/postgres";

pub(super) const CREATE: &str = "\
Examples:
  switchboard rows scratch create trial --database postgres://localhost/postgres";

pub(super) const DROP: &str = "\
Examples:
  switchboard rows scratch drop trial --database postgres://localhost/postgres";

pub(super) const DEMO: &str = "\
Examples:
  switchboard rows demo                     with a PostgreSQL of its own
  switchboard rows demo --instances 5 --database postgres://app@localhost/shop";
