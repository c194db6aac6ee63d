//! Which files steer the tests, and what of the base a check runs with.
//!
//! A check runs on the head's tree with the harness of the base, so that a change is not what decides whether it passes:
//!
//! * Files that are harness as a whole ([`is_whole`]) come from the base, and are taken out where it has none.
//! * Manifests that hold both the build's needs and the runners' keys ([`Manifest`]) stay the change's, but for what steers a runner:
//!   those keys come from the base, and are taken out where it has none. What the build needs (workspace, targets, dependencies of every
//!   kind, `type`, `build-system`) is the change's and is shown ([`mixed_changes`]).
//! * What else steers a runner (a module that shadows one the runner imports, a script that the test command runs) stays where it is
//!   and is a finding ([`steering`]): taken out silently, it would only be tested otherwise than it is delivered.
//!
//! Wherever the harness made a difference the tests run once more with the change's own (`check/pair.rs`), and each path is told
//! ([`told`]). A stage that writes tests brings its harness with them: what it committed counts as the base's from then on.
//!
//! What code under test does inside the runner's own process is out of reach here. The seam for what could be done about it is the
//! tree a check runs on: tests that must fail could be planted there, beside those of the base, and be missed where they do not.

mod cargo;
mod commands;
mod manifest;
mod modules;
mod overlaid;
mod package;
mod pyproject;
mod recipes;
mod runs;
mod sections;
mod shown;
mod sides;
mod steering;
mod steps;
mod tables;
mod told;
mod variables;
mod whole;

pub use manifest::{Manifest, Merged};
pub use overlaid::{Cause, Overlaid};
pub use runs::{Runs, runs};
pub use shown::mixed_changes;
pub use sides::Sides;
pub use steering::{Places, Steering, steering};
pub use told::{OWN_ONLY, RULE, own_only, told};
pub(crate) use whole::is_test_folder;
pub use whole::{is_bare, is_test_package, is_whole};

#[cfg(test)]
mod tests;
