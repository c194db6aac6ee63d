//! `borg-host secret`: values go in by standard input or a hidden prompt, and never come out again.

use super::{
    failure::{Code, problem},
    neutral, out, policy,
};
use anyhow::{Context, Result};
use borg_core::policy::SecretSource;
use borg_gateway::{SecretError, Secrets};
use borg_host::{
    chats::telegram,
    secrets::{self, SecretStore},
    settings::Settings,
};
use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Serialize;
use std::{
    io::{self, BufRead, IsTerminal, Read, Write},
    process::ExitCode,
};
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

/// Longest secret that is taken, in bytes.
const LIMIT: u64 = 64 << 10;

/// Credentials the gateway adds on the way out
#[derive(Debug, Subcommand)]
pub enum Secret {
    Set(Set),
    List(List),
}

/// Keep a secret below the data directory, readable by you only
///
/// The value is typed at a prompt that does not show it, or read from standard input. It is never an argument: arguments are visible to
/// everybody on this machine. Policy says which secret goes where, by `from = "stored:NAME"`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host secret set claude
  pass show anthropic | borg-host secret set claude")]
pub struct Set {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    name: String,
    /// Caught here, so that it is not repeated in an error message.
    #[arg(hide = true, num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    value: Vec<String>,
}

/// Which secrets policy names, where they come from, and whether they are there
#[derive(Debug, Args)]
pub struct List {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// One secret, without its value.
#[derive(Debug, Serialize)]
pub struct Row {
    pub name: String,
    /// As policy writes it; none for one that is stored but not named in policy.
    pub from: Option<String>,
    pub present: bool,
    /// Why it is not there.
    pub why: Option<String>,
}

impl Secret {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        match self {
            Secret::Set(set) => set.perform(settings).await,
            Secret::List(list) => list.perform(settings).await,
        }
    }
}

impl Set {
    async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        if !self.value.is_empty() {
            let remedy =
                format!("`borg-host secret set {}` alone asks for it; change the value that was just shown", self.name);
            return Err(problem(
                Code::Usage,
                "a secret is never an argument: everybody on this machine can see those",
                remedy,
            ));
        }
        let value = if io::stdin().is_terminal() { prompt(&self.name).await? } else { piped()? };
        if value.trim().is_empty() {
            let remedy = format!("type it, or pipe it in: `… | borg-host secret set {}`", self.name);
            return Err(problem(Code::Usage, "the secret is empty", remedy));
        }
        if value.trim().chars().any(char::is_control) {
            return Err(problem(Code::Usage, "the secret has more than one line", "give the value alone"));
        }
        let data = settings.data_dir();
        secrets::store(&data, &self.name, &value).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => problem(Code::Usage, format!("`{}`: {error}", self.name), "as in `claude`"),
            _ => anyhow::Error::new(error).context(format!("storing it below {}", data.display())),
        })?;
        out::line(format!("stored {}", self.name))?;
        let named = policy::load(settings).is_ok_and(|policy| {
            policy.secrets.values().any(|source| *source == SecretSource::Stored(self.name.clone()))
        });
        if self.name == telegram::NAME {
            out::line("the next `borg-host run` talks to Telegram with it")?;
        } else if !named {
            out::line(format!("policy does not use it yet: [secret.{0}] from = \"stored:{0}\"", self.name))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn piped() -> Result<Zeroizing<String>> {
    let mut value = Zeroizing::new(String::new());
    io::stdin().lock().take(LIMIT).read_to_string(&mut value).context("reading the secret from standard input")?;
    Ok(value)
}

/// Asks at the terminal without showing what is typed. A signal leaves the terminal as it was.
async fn prompt(name: &str) -> Result<Zeroizing<String>> {
    let before = tcgetattr(io::stdin()).context("asking the terminal")?;
    let mut hidden = before.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    eprint!("{name}: ");
    io::stderr().flush()?;
    tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).context("hiding what is typed")?;
    let read = tokio::task::spawn_blocking(|| {
        let mut value = Zeroizing::new(String::new());
        io::stdin().lock().take(LIMIT).read_line(&mut value).map(|_| value)
    });
    let read = tokio::select! {
        read = read => Some(read),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    tcsetattr(io::stdin(), OptionalActions::Now, &before).context("showing again what is typed")?;
    eprintln!();
    match read {
        Some(read) => read.context("waiting for the secret")?.context("reading the secret"),
        None => Err(problem(Code::Failed, "nothing was stored", "")),
    }
}

impl List {
    async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let rows = rows(settings).await?;
        if self.json {
            out::json(&rows)?;
        } else if rows.is_empty() {
            out::line("policy names no secret")?;
        }
        for row in rows.iter().filter(|_| !self.json) {
            let state = match (&row.from, &row.why) {
                (None, _) if row.name == telegram::NAME => "stored: the bot's token".to_owned(),
                (None, _) => "stored, but policy does not use it".to_owned(),
                (Some(from), None) => format!("{from}: there"),
                (Some(from), Some(why)) => format!("{from}: {why}"),
            };
            out::line(neutral::text(&format!("{}  {state}", row.name)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All secrets that policy names or that are stored.
pub async fn rows(settings: &Settings) -> Result<Vec<Row>> {
    let policy = policy::load(settings)?;
    let data = settings.data_dir();
    let store = SecretStore::new(&data, settings.home(), settings.environment.clone(), &policy);
    let mut rows = Vec::new();
    for (name, source) in &policy.secrets {
        let why = match store.get(name).await {
            Ok(_) => None,
            Err(SecretError::Unreadable { why, .. }) => Some(why),
            Err(error) => Some(error.to_string()),
        };
        rows.push(Row { name: name.clone(), from: Some(spelled(source)), present: why.is_none(), why });
    }
    for name in secrets::stored(&data) {
        if !policy.secrets.values().any(|source| *source == SecretSource::Stored(name.clone())) {
            rows.push(Row { name, from: None, present: true, why: None });
        }
    }
    Ok(rows)
}

/// As policy files write it.
pub fn spelled(source: &SecretSource) -> String {
    match source {
        SecretSource::ClaudeCredentials { path: None } => "claude-credentials".into(),
        SecretSource::ClaudeCredentials { path: Some(path) } => format!("claude-credentials:{path}"),
        SecretSource::Env(name) => format!("env:{name}"),
        SecretSource::File(path) => format!("file:{path}"),
        SecretSource::Stored(name) => format!("stored:{name}"),
    }
}
