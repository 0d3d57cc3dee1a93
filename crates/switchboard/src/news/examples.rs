//! Examples of the actions of `switchboard news`, for their `--help`.

pub(super) const TEST: &str = "\
Examples:
  switchboard news test CNN
  switchboard news test CNN --sites sites.toml --json";

pub(super) const CHECK: &str = "\
Examples:
  switchboard news check sites.toml
  switchboard news check --config switchboard.toml --json";

pub(super) const SUGGEST: &str = "\
Examples:
  switchboard news suggest https://news.example/
  switchboard news suggest news.example > sites.toml";

pub(super) const SITES: &str = "\
Examples:
  switchboard news examples > sites.toml";
