//! A coherent cache of database rows. The README says what works, and what is missing.

pub mod cache;
