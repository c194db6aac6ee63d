//! Compiles in the digest of the `borg-init` this host belongs to, as `cargo xtask build` left it beside the program.
//!
//! Without it the program builds all the same, and says at its start what is missing.

use std::{env, fs, path::Path};

#[expect(clippy::disallowed_methods, reason = "a build script is told everything by variables")]
fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    // TARGET/PROFILE/build/PACKAGE-HASH/out
    let profile = Path::new(&out).ancestors().nth(3).expect("cargo's folder of build scripts lies three levels deep");
    let file = profile.join("libexec/borg-init.sha256");
    println!("cargo::rerun-if-changed={}", file.display());
    if let Ok(digest) = fs::read_to_string(&file) {
        println!("cargo::rustc-env=BORG_INIT_SHA256={}", digest.trim());
    }
}
