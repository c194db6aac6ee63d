//! What a test may need and the machine may lack: found, or skipped so that everybody sees it, or — under `--require-all` — failed.

use crate::process;
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

/// Set by `cargo xtask test --require-all`: nothing may be skipped.
const REQUIRE_ALL: &str = "BORG_TEST_REQUIRE_ALL";

/// File to which each skipped test adds a line, so that the runner can tell in the end what did not run and why.
const SKIPPED: &str = "BORG_TEST_SKIPPED";

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
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("skipped: {test}: {what}");
    if let Some(path) = setting(SKIPPED) {
        let mut file =
            File::options().append(true).create(true).open(path).expect("the runner names a file that can be written");
        // One write, so that lines of tests running at once stay whole.
        file.write_all(format!("{test}: {what}\n").as_bytes()).expect("the runner's file can be written");
    }
}

/// The program under test: `BORG_HOST_BIN`, or what `cargo xtask build` left in the default place.
#[track_caller]
pub fn host() -> Option<PathBuf> {
    let built = target().join("debug/borg-host");
    let program = setting("BORG_HOST_BIN").map_or(built, PathBuf::from);
    // `libexec/borg-init` beside it and the plugins tell that it was built whole.
    let whole =
        program.is_file() && program.with_file_name("libexec").join("borg-init").is_file() && plugins().is_dir();
    if !whole {
        skip("borg-host is not built as a whole (`cargo xtask build`)");
    }
    whole.then_some(program)
}

/// The plugins as built: `BORG_PLUGINS`, or where `cargo xtask build` puts them.
pub fn plugins() -> PathBuf {
    setting("BORG_PLUGINS").map_or_else(|| target().join("plugins"), PathBuf::from)
}

/// Plugins that nobody gets unasked.
pub fn plugin_examples() -> PathBuf {
    setting("BORG_PLUGIN_EXAMPLES").map_or_else(|| target().join("plugins-examples"), PathBuf::from)
}

fn target() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target")
}

/// The real Claude Code program: `BORG_TEST_CLAUDE` names it.
#[track_caller]
pub fn claude() -> Option<PathBuf> {
    let found = setting("BORG_TEST_CLAUDE").map(PathBuf::from).filter(|path| path.is_file());
    if found.is_none() {
        skip("no Claude Code bundle");
    }
    found
}

/// The same, laid out as `borg-host agent install` does: what a host can mount.
#[track_caller]
pub fn claude_bundle() -> Option<PathBuf> {
    let program = claude()?;
    let whole = program.parent().and_then(Path::parent).is_some_and(|bundle| bundle.join("bundle.json").is_file());
    if !whole {
        skip("BORG_TEST_CLAUDE names a program outside of a bundle (`borg-host agent install claude-code`)");
    }
    whole.then_some(program)
}

/// Python as the local sandbox shows it.
#[track_caller]
pub fn python() -> bool {
    let there = ["/usr/bin/python3", "/usr/local/bin/python3"].iter().any(|path| Path::new(path).exists());
    if !there {
        skip("no python3 for the local sandbox");
    }
    there
}

/// A Docker engine that answers, with an image of this name.
#[track_caller]
pub fn image(name: &str) -> bool {
    let there = has_image(name);
    if !there {
        skip(&format!("no Docker engine with the image {name}"));
    }
    there
}

/// Whether there is such an engine and image, for tests that have another way.
pub fn has_image(name: &str) -> bool {
    let mut docker = process::command("docker");
    docker.args(["image", "inspect", "--format", "{{.Id}}", name]);
    process::run(docker, "", Duration::from_secs(20)).is_ok_and(|output| output.code == Some(0))
}
