//! `borg-host agent`: the programs of coding agents, pinned, verified, and mounted read-only into sandboxes.

use super::out;
use anyhow::{Context, Result};
use borg_host::{
    agents::{self, Npm, Source},
    host,
    settings::Settings,
    spawn::Spawner,
};
use clap::{Args, Subcommand};
use std::{fs, os::unix::fs::DirBuilderExt, path::PathBuf, process::ExitCode};

/// Coding agents, such as Claude Code
#[derive(Debug, Subcommand)]
pub enum Agent {
    Install(Install),
    List(List),
}

/// Install an agent's program in the version this host knows
///
/// It is fetched with your own npm client, so that registry, proxy and credentials are yours, or taken from a file. Either way it must
/// have the pinned SHA-512, and none of its scripts are run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host agent install claude-code
  borg-host agent install claude-code --from anthropic-ai-claude-code-linux-x64.tgz")]
pub struct Install {
    /// Name of the agent
    #[arg(value_name = "AGENT")]
    name: String,
    /// Tarball of the platform's package, as `npm pack` makes it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Agents this host knows, and whether they are installed
#[derive(Debug, Args)]
pub struct List {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

impl Agent {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        match self {
            Agent::Install(install) => install.perform(settings).await,
            Agent::List(list) => list.perform(settings),
        }
    }
}

impl Install {
    async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let data = data_dir(settings)?;
        let source = match self.from {
            Some(file) => Source::File(file),
            None => Source::Npm(Npm {
                spawner: Spawner::start().context("starting the thread that starts children")?,
                path: settings.search_path().into(),
                home: settings
                    .home()
                    .context("HOME is not set, and npm needs it; or pass a tarball with `--from FILE`")?,
            }),
        };
        let bundle = agents::install(&self.name, source, &data, |step| eprintln!("{step}")).await?;
        out::line(format!("{} {} in {}", bundle.name, bundle.version, bundle.dir.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let bundles = host::bundles(&settings.data_dir());
        if self.json {
            let row = |(name, version, installed): &(String, String, bool)| serde_json::json!({ "name": name, "version": version, "installed": installed });
            out::json(&bundles.iter().map(row).collect::<Vec<_>>())?;
            return Ok(ExitCode::SUCCESS);
        }
        for (name, version, installed) in bundles {
            let state = match installed {
                true => "installed".to_owned(),
                false => format!("not installed: `borg-host agent install {name}`"),
            };
            out::line(format!("{name} {version}  {state}"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The data directory, made for its owner alone where it is missing.
fn data_dir(settings: &Settings) -> Result<PathBuf> {
    let data = settings.data_dir();
    if !data.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data)
            .with_context(|| format!("creating {}", data.display()))?;
    }
    Ok(data)
}
