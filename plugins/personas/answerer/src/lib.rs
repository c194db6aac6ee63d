//! answerer
