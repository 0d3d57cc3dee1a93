//! Turns that never end: where they do, a model says so by other means.

/// One message and a part of the next one.
pub(crate) const FLUSH: usize = 7;

#[derive(Debug)]
pub(crate) struct Slice {
    is_over: bool,
}

impl Slice {
    pub(crate) fn begin() -> Slice {
        Slice { is_over: false }
    }

    /// One that is over already.
    pub(crate) fn ended() -> Slice {
        Slice { is_over: true }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}
