//! Policy for tests.

use borg_core::policy::{Policy, parse, source::SourceFile};

/// The policy that one file says; its errors fail the test.
pub fn of(text: &str) -> Policy {
    match parse::parse(&[SourceFile { name: "test.toml".into(), text: text.to_owned() }]) {
        Ok(policy) => policy,
        Err(errors) => panic!("{errors:?}"),
    }
}
