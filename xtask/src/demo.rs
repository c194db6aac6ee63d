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
    if !sh::succeeds(sh::command("docker").args(["version", "--format", "{{.Server.APIVersion}}"])) {
        Engine::None
    } else if sh::succeeds(sh::command("docker").args(["image", "inspect", IMAGE])) {
        Engine::Ready
    } else {
        Engine::WithoutImage
    }
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
