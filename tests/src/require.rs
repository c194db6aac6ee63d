//! What a test may need and the machine may lack: found, or skipped so that everybody sees it, or — under `--require-all` — failed.

use crate::process;
use std::{path::PathBuf, time::Duration};

/// Set by `cargo xtask test --require-all`: nothing may be skipped.
const REQUIRE_ALL: &str = "BORG_TEST_REQUIRE_ALL";

/// A setting of the test run.
#[expect(clippy::disallowed_methods, reason = "the one place where tests read their own settings")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says that a test does not run here.
///
/// # Panics
/// Under `--require-all`.
#[track_caller]
pub fn skip(what: &str) {
    assert!(setting(REQUIRE_ALL).is_none(), "{what}, and {REQUIRE_ALL} is set");
    eprintln!("skipped: {what}");
}

/// The real Claude Code program: `BORG_TEST_CLAUDE` names it.
#[track_caller]
pub fn claude() -> Option<PathBuf> {
    let found = setting("BORG_TEST_CLAUDE").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        skip("no Claude Code bundle (BORG_TEST_CLAUDE names the program)");
    }
    found
}

/// A Docker engine that answers, with an image of this name.
#[track_caller]
pub fn image(name: &str) -> bool {
    let mut docker = process::command("docker");
    docker.args(["image", "inspect", "--format", "{{.Id}}", name]);
    let there = process::run(docker, "", Duration::from_secs(20)).is_ok_and(|output| output.code == Some(0));
    if !there {
        skip(&format!("no Docker engine with the image {name}"));
    }
    there
}
