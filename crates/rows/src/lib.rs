//! A coherent row cache over PostgreSQL. The README says what is here already.

pub mod cache;
