//! claude-code
