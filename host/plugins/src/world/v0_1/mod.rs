//! Contract 0.1.0, `wit/0.1.0/`: the records that were otherwise then, each made from the newest one's. What is not here is as it was.
//!
//! A component that was built from that text shows whether a record is still of its shape: when it is loaded, and in
//! `tests/compat/0.1.0`.

pub(super) mod chat;
pub(super) mod executor;
pub(super) mod rule;
