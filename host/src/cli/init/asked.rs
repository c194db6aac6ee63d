//! What `init` is told: by flags, and by whoever answers its questions.

use crate::cli::failure::{Code, problem};
use anyhow::Result;
use borg_core::people::PersonId;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Write borg.toml, policies/ and .env.example, name the first owner, and register the folder as yours
///
/// On a terminal it asks what a new installation needs; with --yes it takes the defaults. Files that are there already are left alone, so it may be
/// run again: to add an owner or a repository, or to get files that a newer version brings.
///
/// Other commands read a folder only once it is registered for you, or when its borg.toml is named with --config. Where settings,
/// policies, plugins or data lie in a folder that is not, what they set is shown and you are asked; nobody is asked with --yes, and
/// it is refused then without --trust.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host init
  borg-host init --yes --owner console:1000 --repository ~/shop --name acme/shop --check \"make test\"
  borg-host init --yes --trust              registers what was set up before, as it is")]
pub struct Init {
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// Ask nothing; take the defaults for what no flag says
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Take over what lies in the folder already, without being asked
    #[arg(long)]
    pub(super) trust: bool,
    /// Write files afresh that are there already; what was in them is lost
    #[arg(long)]
    pub(super) force: bool,
    /// First owner, as frontend:id; else you, at this machine's console
    #[arg(long, value_name = "PERSON")]
    pub(super) owner: Option<String>,
    /// A repository tasks may work on: a path on this machine
    #[arg(long, value_name = "PATH")]
    pub(super) repository: Option<String>,
    /// Name people use for that repository; else local/FOLDER
    #[arg(long, value_name = "OWNER/NAME", requires = "repository")]
    pub(super) name: Option<String>,
    /// Its test command
    #[arg(long, value_name = "COMMAND", requires = "repository")]
    pub(super) check: Option<String>,
    /// Where agents run; `local` is weaker and needs no Docker engine
    #[arg(long, value_enum)]
    pub(super) sandbox: Option<SandboxKind>,
    /// Where Claude's credential comes from: stored:claude, claude-credentials, env:NAME or file:PATH
    #[arg(long, value_name = "SOURCE")]
    pub(super) secret: Option<String>,
}

/// What to write, once everything is known.
pub(super) struct Answers {
    /// None where the policy that is there has its owners.
    pub(super) owner: Option<PersonId>,
    pub(super) repository: Option<Repository>,
    pub(super) sandbox: Option<SandboxKind>,
    pub(super) secret: Option<String>,
}

pub(super) struct Repository {
    pub(super) url: String,
    pub(super) name: String,
    pub(super) check: Option<String>,
}

/// A person as policy names them.
pub(super) fn person(text: &str) -> Result<PersonId> {
    match text.split_once(':') {
        Some((frontend, id)) if !frontend.is_empty() && !id.is_empty() => Ok(PersonId(text.to_owned())),
        Some(_) | None => {
            let remedy = "write frontend:id, as in `console:1000` for the Unix user with id 1000";
            Err(problem(Code::Usage, format!("`{text}` is no person"), remedy))
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SandboxKind {
    Docker,
    Local,
}
