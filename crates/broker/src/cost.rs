//! What the memory budget charges beside packed bytes: the overhead of every entry, rounded up.
//!
//! The figures are those of 64-bit machines and glibc's allocator. A test with a counting allocator
//! compares them with what is really allocated.

/// An idle connection, with what the driver keeps for it.
pub(crate) const CONNECTION: usize = 4096;
