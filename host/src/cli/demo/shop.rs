//! The demo's repository: a shop in Python, or in Rust where only the local sandbox is at hand and the machine has no Python.

use crate::cli::failure::{Code, problem};
use anyhow::{Context, Result};
use borg_host::{
    environment::Environment,
    spawn::{Spawner, Spec},
};
use std::path::PathBuf;

/// A small program with a feature missing, and how it is tested.
pub struct Shop {
    /// Path in the repository and content.
    pub files: &'static [(&'static str, &'static str)],
    /// The test command.
    pub check: &'static str,
    /// Directory of the machine that tests must be able to read.
    pub toolchain: Option<PathBuf>,
}

impl Shop {
    pub fn python() -> Shop {
        Shop { files: &PYTHON, check: "python3 -m unittest discover -v", toolchain: None }
    }

    /// Needs a toolchain of this machine.
    pub async fn rust(environment: &Environment) -> Result<Shop> {
        let toolchain = sysroot(environment).await?.ok_or_else(|| {
            problem(
                Code::Failed,
                "the demo's tests need python3 or Rust, and this machine has neither for the local sandbox",
                "install python3, or start a Docker engine and run `borg-host image build`",
            )
        })?;
        Ok(Shop { files: &RUST, check: "cargo test --offline", toolchain: Some(toolchain) })
    }
}

/// Where the Rust toolchain lies that a person would use here.
async fn sysroot(environment: &Environment) -> Result<Option<PathBuf>> {
    let spawner = Spawner::start().context("starting the thread that starts children")?;
    let mut spec = Spec::new("rustc").args(["--print", "sysroot"]);
    let kept = ["PATH", "HOME", "RUSTUP_HOME", "CARGO_HOME", "RUSTUP_TOOLCHAIN"];
    spec.env =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), environment.get(*name)?.as_str().into()))).collect();
    let Ok(output) = spawner.run(spec).await else { return Ok(None) };
    let found = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    Ok((output.is_whole() && found.join("bin/cargo").exists()).then_some(found))
}

const PYTHON: [(&str, &str); 5] = [
    ("README.md", include_str!("python/README.md")),
    ("shop.py", include_str!("python/shop.py")),
    ("tests/__init__.py", include_str!("python/tests/__init__.py")),
    ("tests/test_shop.py", include_str!("python/tests/test_shop.py")),
    (".borg/script.toml", include_str!("python/script.toml")),
];

const RUST: [(&str, &str); 7] = [
    (".gitignore", "/target\n"),
    ("README.md", include_str!("rust/README.md")),
    // Under another name here, or Cargo would take the folder for a package of this workspace.
    ("Cargo.toml", include_str!("rust/Cargo.toml.txt")),
    ("Cargo.lock", include_str!("rust/Cargo.lock.txt")),
    ("src/lib.rs", include_str!("rust/src/lib.rs")),
    ("tests/shop.rs", include_str!("rust/tests/shop.rs")),
    (".borg/script.toml", include_str!("rust/script.toml")),
];
