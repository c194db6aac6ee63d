//! Plugins that attack their host: the guests of `tests/guests/`, built when a test wants one.

use crate::{process, require};
use anyhow::{Context, Result};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Building one takes seconds; waiting for another build, minutes.
const LIMIT: Duration = Duration::from_secs(300);

/// The component of a guest, as its sources are now.
pub fn component(name: &str) -> Result<PathBuf> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = checkout.join("target");
    let mut cargo = process::command(env!("CARGO"));
    cargo.current_dir(&checkout);
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        cargo.envs(require::setting(name).map(|value| (name, value)));
    }
    cargo.args(["build", "--quiet", "--target", "wasm32-wasip2", "--profile", "guest", "--package", name]);
    cargo.arg("--target-dir").arg(&target);
    let built = process::run(cargo, "", LIMIT)?;
    anyhow::ensure!(built.code == Some(0), "{}", built.stderr);
    target.join("wasm32-wasip2/guest").join(format!("{name}.wasm")).canonicalize().context("the guest was built")
}
