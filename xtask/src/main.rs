//! `cargo xtask`: what cargo alone does not do. Builds the parts for their targets and puts them where the host looks, runs the demo,
//! the tests and the benches, checks the tree. It never installs system packages nor starts daemons: it names what is missing.

mod bench;
mod build;
mod circles;
mod demo;
mod licences;
mod sh;
mod test;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, demo, test and measure borg")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the plugins, borg-init and borg-host, and lay them out below target/
    Build,
    /// Build, then take a small repository through the feature pipeline with the scripted agent
    Demo,
    /// Format, lint and test everything; say what was skipped
    Test {
        /// Fail instead of skipping where an engine, an image or an agent is missing
        #[arg(long)]
        require_all: bool,
    },
    /// Measure, and write the table in docs/performance.md
    Bench,
    /// Check the rules of the house that no lint holds
    Tidy,
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Build => build::all().map(drop),
        Task::Demo => demo::run(),
        Task::Test { require_all } => test::run(require_all),
        Task::Bench => bench::run(),
        Task::Tidy => tidy::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
