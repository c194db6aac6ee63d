//! The command line: one file per command, this one for what they share. What a command means is the library's; here are words, forms
//! of output and exit codes.

mod agent;
mod ask;
mod asked;
mod config;
mod control;
mod demo;
mod doctor;
mod failure;
mod image;
mod init;
mod inline;
mod out;
mod parts;
mod policy;
mod repo;
mod run;
mod secret;
mod source;
mod task;
mod terminal;

use borg_core::intent::Intent;
use borg_host::{
    environment::{self, Environment},
    installation::{Installation, InstallationError, Registry},
    neutral,
    settings::Settings,
};
use clap::{Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

const EXAMPLES: &str = "\
First steps:
  borg-host init                            writes borg.toml and policies/ here, and registers the folder as yours
  borg-host repo add acme/shop ~/shop       lets tasks work on a repository
  borg-host doctor                          says what is still missing, and the command that mends it
  borg-host run                             starts the host, with a prompt where a terminal is
  borg-host task add \"Add a discount\" -f    asks for a change and follows it, from another terminal

Or see it work on a small repository of its own, without any key:
  borg-host demo

Exit codes:
  0  done
  1  refused, or it failed: the message says why and what to do
  2  the command line is wrong
  3  no host is running on this data directory
  4  settings or policy are wrong; nothing was changed";

/// A host for autonomous coding agents.
///
/// A person asks for a change; personas write the spec, the tests and the code, each in a sealed sandbox; the host runs the tests,
/// judges the change by rules, and delivers a branch.
#[derive(Debug, Parser)]
#[command(name = "borg-host", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    /// Settings file, which you trust and what lies beside it: `policies/`, `plugins/`, `.env`, `data/`. Without it, the folder you are
    /// in counts if `init` has registered it for you
    #[arg(long, global = true, value_name = "FILE", help_heading = "Where things are")]
    config: Option<PathBuf>,
    /// Data directory, instead of the one in the settings
    #[arg(long, global = true, value_name = "DIR", help_heading = "Where things are")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Run(run::Run),
    #[command(subcommand)]
    Task(task::Task),
    Ask(ask::Ask),
    /// Start nothing new; what runs goes on
    Pause,
    /// Start things again
    Resume,
    #[command(subcommand)]
    Repo(repo::Repo),
    #[command(subcommand)]
    Secret(secret::Secret),
    #[command(subcommand)]
    Image(image::Image),
    #[command(subcommand)]
    Agent(agent::Agent),
    Config(config::Config),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    #[command(hide = true)]
    CompilePlugin {
        wasm: PathBuf,
        out: PathBuf,
    },
}

impl Command {
    /// True for commands that run the engine in this process, or read secrets otherwise.
    fn holds_secrets(&self) -> bool {
        match self {
            Command::Run(_) | Command::Ask(_) | Command::Secret(_) | Command::Doctor(_) | Command::Demo(_) => true,
            Command::Init(_)
            | Command::Task(_)
            | Command::Pause
            | Command::Resume
            | Command::Repo(_)
            | Command::Image(_)
            | Command::Agent(_)
            | Command::Config(_)
            | Command::CompilePlugin { .. } => false,
        }
    }
}

impl Command {
    /// True where a command can do without an installation, in a folder that has nothing of one: what it needs was said elsewhere.
    fn needs_none(&self, why: &InstallationError, data: Option<&Path>) -> bool {
        let InstallationError::Unregistered { lies, .. } = why else { return false };
        match self {
            Command::Image(_) => lies.is_empty(),
            Command::Agent(_) => lies.is_empty() && data.is_some(),
            Command::Init(_)
            | Command::Run(_)
            | Command::Task(_)
            | Command::Ask(_)
            | Command::Pause
            | Command::Resume
            | Command::Repo(_)
            | Command::Secret(_)
            | Command::Config(_)
            | Command::Doctor(_)
            | Command::Demo(_)
            | Command::CompilePlugin { .. } => false,
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell when the terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match perform(cli) {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}

fn perform(cli: Cli) -> anyhow::Result<ExitCode> {
    if let Command::CompilePlugin { wasm, out } = &cli.command {
        borg_plugins::compile(wasm, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    if cli.command.holds_secrets() {
        environment::hide().map_err(|error| anyhow::anyhow!("this process cannot be hidden from others: {error}"))?;
    }
    let environment = environment::read()?;
    out::log(environment.get("RUST_LOG").map(|filter| filter.as_str()));
    let runtime = tokio::runtime::Runtime::new()?;
    let ended = runtime.block_on(dispatch(cli, environment));
    // Threads that wait for somebody to type are not waited for.
    runtime.shutdown_background();
    ended
}

async fn dispatch(cli: Cli, environment: Environment) -> anyhow::Result<ExitCode> {
    // These two have settings of their own making; a broken borg.toml must not keep anybody from them.
    let command = match cli.command {
        Command::Init(init) => return init.perform(&environment),
        Command::Demo(demo) => return demo.perform(&environment).await,
        command => command,
    };
    let data = cli.data.as_deref().map(std::path::absolute).transpose()?;
    let settings = match installation(cli.config.as_deref(), &environment) {
        Ok(installation) => Settings::load(&installation, data.as_deref(), environment)?,
        Err(error) if command.needs_none(&error, data.as_deref()) => {
            Settings::of_environment(data.as_deref(), environment)?
        }
        Err(error) => {
            // It tells what is wrong with the folder, as with all else.
            let Command::Doctor(doctor) = command else { return Err(error.into()) };
            return doctor.without_installation(error).await;
        }
    };
    match command {
        Command::Run(run) => run.perform(settings).await,
        Command::Task(task) => task.perform(&settings).await,
        Command::Ask(ask) => ask.perform(settings).await,
        Command::Pause => control::intend_and_tell(&settings, Intent::Pause).await,
        Command::Resume => control::intend_and_tell(&settings, Intent::Resume).await,
        Command::Repo(repo) => repo.perform(&settings).await,
        Command::Secret(secret) => secret.perform(&settings).await,
        Command::Image(image) => image.perform(&settings).await,
        Command::Agent(agent) => agent.perform(&settings).await,
        Command::Config(config) => config.perform(&settings),
        Command::Doctor(doctor) => doctor.perform(&settings).await,
        Command::Init(_) | Command::Demo(_) | Command::CompilePlugin { .. } => unreachable!("performed before"),
    }
}

/// The installation that is meant: the one that was named, or else the one in this folder, and no other.
fn installation(config: Option<&Path>, environment: &Environment) -> Result<Installation, InstallationError> {
    match config {
        Some(file) => Installation::named(file),
        None => Installation::registered(Path::new("."), &Registry::of_user(environment)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
