//! security-review
