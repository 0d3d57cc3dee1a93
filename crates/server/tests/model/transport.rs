use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) acknowledged: u64,
    pub(crate) is_unanswered: bool,
    pub(crate) silence: Duration,
}
