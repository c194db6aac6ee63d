//! test-integrity
