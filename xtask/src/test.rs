//! The full suite: format, lints, every test, and in the end what did not run and why.
//!
//! A test that lacks something says so in the file named by `BORG_TEST_SKIPPED`; under `--require-all` it fails instead.

use crate::{
    build::{self, Built},
    demo::{self, Engine, IMAGE},
    sh,
};
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Image with all the runners, for the suite of planted cheats.
const RUNNERS: &str = "borg-test-runners:latest";

pub fn run(require_all: bool) -> Result<()> {
    sh::run(sh::cargo().args(["fmt", "--all", "--check"]))?;
    let built = build::all()?;
    sh::run(sh::cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    sh::run(sh::cargo().args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;

    let mut missing = Vec::new();
    // What is named in a manifest and used nowhere is built, and trusted, for nothing.
    match sh::succeeds(sh::cargo().args(["machete", "--version"])) {
        true => sh::run(sh::cargo().args(["machete", "--skip-target-dir"]))?,
        false => missing.push("no cargo-machete: `cargo install --locked cargo-machete`".to_owned()),
    }
    match demo::engine() {
        Engine::Ready => {}
        Engine::None => missing.push("no Docker engine answers: install docker.io and start dockerd".to_owned()),
        Engine::WithoutImage => missing.push(format!("the image {IMAGE} is missing: run `borg-host image build`")),
    }
    if demo::has_image(RUNNERS) == Some(false) {
        missing.push(format!("the image {RUNNERS} is missing: run `sudo tests/image/make.sh`"));
    }
    let claude = claude(&built).inspect_err(|error| missing.push(format!("no Claude Code program: {error:#}"))).ok();
    if require_all && !missing.is_empty() {
        bail!("--require-all, but:\n  {}", missing.join("\n  "));
    }

    let skipped = sh::target().join("skipped-tests.txt");
    fs::write(&skipped, "")?;
    let mut tests = suite();
    tests
        .env("BORG_HOST_BIN", &built.host)
        .env("BORG_PLUGINS", &built.plugins)
        .env("BORG_PLUGIN_EXAMPLES", &built.examples);
    tests.env("BORG_TEST_SKIPPED", &skipped).env("BORG_INIT_STATIC", build::init_of(&built.host));
    tests.env("BORG_INIT", build::init_of(&built.host));
    if let Some(claude) = &claude {
        tests.env("BORG_TEST_CLAUDE", claude);
    }
    if require_all {
        tests.env("BORG_TEST_REQUIRE_ALL", "1");
    }
    // Those in docs first, so that the summary of the suite is what one sees last.
    let result =
        sh::run(sh::cargo().args(["test", "--workspace", "--doc", "--quiet"])).and_then(|()| sh::run(&mut tests));
    tell_skipped(&fs::read_to_string(&skipped)?, &missing);
    result
}

/// All tests but those in docs, which nextest does not run.
fn suite() -> Command {
    let mut tests = sh::cargo();
    if sh::succeeds(sh::cargo().args(["nextest", "--version"])) {
        tests.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        eprintln!(
            "cargo-nextest is missing: the slower `cargo test` runs instead (`cargo install --locked cargo-nextest`)"
        );
        tests.args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    tests
}

/// The real Claude Code: what `BORG_TEST_CLAUDE` names, else what the host itself installs through the operator's npm client.
fn claude(built: &Built) -> Result<PathBuf> {
    if let Some(named) = sh::setting("BORG_TEST_CLAUDE") {
        let path = sh::root().join(named);
        return if path.is_file() {
            Ok(path)
        } else {
            bail!("BORG_TEST_CLAUDE names {}, which is no file", path.display())
        };
    }
    let data = sh::target().join("test-agents");
    fs::create_dir_all(&data)?;
    // Does nothing when the pinned version is there already.
    sh::run(sh::host(&built.host).arg("--data").arg(&data).args(["agent", "install", "claude-code"]))?;
    newest_claude(&data).with_context(|| format!("`agent install` left no program below {}", data.display()))
}

/// The program below a data directory; of several versions, the one installed last.
fn newest_claude(data: &Path) -> Option<PathBuf> {
    let versions = fs::read_dir(data.join("agents/claude-code")).ok()?;
    let programs = versions.flatten().map(|version| version.path().join("bin/claude")).filter(|path| path.is_file());
    programs.max_by_key(|path| path.metadata().and_then(|metadata| metadata.modified()).ok())
}

fn tell_skipped(tests: &str, missing: &[String]) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (test, reason) in tests.lines().filter_map(|line| line.split_once(": ")) {
        by_reason.entry(reason).or_default().push(test);
    }
    if by_reason.is_empty() && missing.is_empty() {
        eprintln!("nothing was skipped");
        return;
    }
    missing.iter().for_each(|what| eprintln!("missing: {what}"));
    for (reason, tests) in by_reason {
        eprintln!("skipped ({reason}):");
        tests.iter().for_each(|test| eprintln!("  {test}"));
    }
}
