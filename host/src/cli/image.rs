//! `borg-host image`: the image that agents and checks run in where a repository names none of its own.

use super::{neutral, out};
use anyhow::Result;
use borg_host::{
    sandbox::image::{self, BASE_TAG, Build},
    settings::Settings,
};
use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Makes a base where no registry is in reach.
const MAKE_BASE: &str = include_str!("../../../container/base/make-base.sh");

/// The image agents and checks run in
#[derive(Debug, Subcommand)]
pub enum Image {
    Build(BuildImage),
    /// Print the script that makes a base with debootstrap, for machines that reach no registry
    #[command(after_help = "\
Example:
  borg-host image base-script > make-base.sh
  borg-host image build --base \"$(sudo sh make-base.sh)\"")]
    BaseScript,
}

/// Build the base image with the Docker engine: git, python3, make, a C compiler, and no agent
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host image build
  borg-host image build --base my-registry.example/debian:bookworm-slim")]
pub struct BuildImage {
    /// Image to start from, instead of debian:bookworm-slim
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Folder with a Dockerfile of your own, instead of the shipped one
    #[arg(long, value_name = "DIR")]
    context: Option<PathBuf>,
    /// Name of the new image; policy names it
    #[arg(long, value_name = "NAME", default_value = BASE_TAG)]
    tag: String,
}

impl Image {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        match self {
            Image::Build(build) => build.perform(settings).await,
            Image::BaseScript => {
                out::line(MAKE_BASE.trim_end())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl BuildImage {
    async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let host = settings.docker_host();
        let build = Build {
            host: host.as_deref(),
            context: self.context.as_deref(),
            tag: &self.tag,
            base: self.base.as_deref(),
        };
        let id = image::build(build, |line| eprintln!("{}", neutral::text(line))).await?;
        out::line(format!("built {} ({id})", self.tag))?;
        Ok(ExitCode::SUCCESS)
    }
}
