//! The demo: builds what is needed, makes the base image where an engine lacks it, and hands over to `borg-host demo`.

use crate::{build, sh};
use anyhow::Result;

/// Image the shipped policies name.
pub const IMAGE: &str = "borg-base:latest";

/// What of Docker there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    None,
    WithoutImage,
    Ready,
}

pub fn engine() -> Engine {
    match has_image(IMAGE) {
        None => Engine::None,
        Some(true) => Engine::Ready,
        Some(false) => Engine::WithoutImage,
    }
}

/// Whether the engine has an image; none where no engine answers.
pub fn has_image(name: &str) -> Option<bool> {
    let answers = sh::succeeds(sh::command("docker").args(["version", "--format", "{{.Server.APIVersion}}"]));
    answers.then(|| sh::succeeds(sh::command("docker").args(["image", "inspect", name])))
}

pub fn run() -> Result<()> {
    let built = build::all()?;
    match engine() {
        Engine::Ready => {}
        Engine::None => eprintln!("no Docker engine answers: the demo runs in the local sandbox"),
        Engine::WithoutImage => {
            // Without the image the demo still runs, in the weaker sandbox, and says so.
            if let Err(error) = sh::run(sh::host(&built.host).args(["image", "build"])) {
                eprintln!("{error:#}: the demo runs in the local sandbox");
            }
        }
    }
    sh::run(sh::host(&built.host).arg("demo"))
}
