//! `borg-host run`: the host, with a prompt where it was started in a terminal.

use super::{neutral, out};
use anyhow::{Context, Result};
use borg_core::people::Role;
use borg_host::{
    chats::{
        Conversation, console,
        telegram::{self, Telegram},
    },
    host::{self, Host, SandboxWish},
    settings::Settings,
    store::Store,
};
use clap::Args;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Run the host
///
/// In a terminal it listens to what is typed there (`/help` says to what); elsewhere it serves until SIGTERM or SIGINT. The first
/// Ctrl-C stops it in order: agents in containers go on and are taken up again by the next start. The second ends it at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host run
  borg-host run < /dev/null &               as a service
  RUST_LOG=info borg-host run               with a log on standard error")]
pub struct Run {}

impl Run {
    pub async fn perform(self, settings: Settings) -> Result<ExitCode> {
        let mut host = host::assemble(&settings, SandboxWish::ByPolicy).await?;
        banner(&host, &settings)?;
        let terminal = Terminal::remember();
        let conversation = host.conversation();
        let telegram = host.telegram.take();
        let attend = host.attend();
        // Before anybody can know that the host is ready, and so send it a signal.
        let signals = Signals::hear().context("listening for signals")?;
        let ended = host.run(until_stopped(conversation, telegram, attend, signals, &terminal)).await;
        terminal.restore();
        ended?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Wishes to stop, from the time they are listened for.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn hear() -> io::Result<Self> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Resolves when the person at the terminal is done, or a signal comes. From then on a further signal ends the process.
async fn until_stopped(
    conversation: Conversation,
    telegram: Option<Telegram>,
    attend: impl Future<Output = ()>,
    mut signals: Signals,
    terminal: &Terminal,
) {
    let uid = rustix::process::getuid().as_raw();
    let is_terminal = io::stdin().is_terminal();
    let talk = async move {
        if let Err(error) = console::converse(conversation, uid).await {
            tracing::error!(%error, "the console broke");
        }
        // An end of input is a wish to stop only where a person types.
        if !is_terminal {
            std::future::pending::<()>().await;
        }
    };
    let serve = async move {
        if let Some(telegram) = telegram
            && let Err(error) = telegram.run().await
        {
            tracing::error!(%error, "Telegram is not served any more: the journal failed");
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = talk => {}
        () = serve => {}
        () = attend => {}
        () = signals.next() => {}
    }
    // At a prompt Ctrl-C is a key; from here on it is a signal again.
    terminal.restore();
    eprintln!("stopping; containers go on and are taken up at the next start (Ctrl-C again ends at once)");
    tokio::spawn(async move {
        signals.next().await;
        std::process::exit(130);
    });
}

/// The terminal's settings as they were: a prompt that is cut off leaves them changed.
struct Terminal(Option<Termios>);

impl Terminal {
    fn remember() -> Self {
        Terminal(tcgetattr(io::stdin()).ok())
    }

    fn restore(&self) {
        if let Some(before) = &self.0 {
            // A terminal that is gone needs no settings.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
            // Prompts have pasted text marked; a shell does not expect that.
            let _ = write!(io::stdout().lock(), "\u{1b}[?2004l").and_then(|()| io::stdout().flush());
        }
    }
}

/// What a person should know at the start.
fn banner(host: &Host, settings: &Settings) -> Result<()> {
    let about = &host.about;
    let policy = &host.policy;
    out::line(format!("borg-host {}", about.version))?;
    out::line(format!("  data          {}", about.data_dir.display()))?;
    out::line(format!("  journal       {}", Store::file(&about.data_dir).display()))?;
    out::line(format!("  policies      {} ({})", settings.policies().display(), policy.digest.short()))?;
    let only = Some(&policy.repos).filter(|repos| repos.len() == 1).and_then(|repos| repos.keys().next());
    let repository = match policy.host.repository.as_ref().or(only) {
        Some(name) => name,
        None if policy.repos.is_empty() => "none; `borg-host repo add owner/name PATH` adds one",
        None => "none is the default; name one per task, or set PIPELINE_REPO",
    };
    out::line(format!("  repository    {repository}"))?;
    out::line(format!("  sandbox       {}", neutral::text(&about.sandbox)))?;
    let chats: Vec<&str> =
        policy.chats.iter().filter(|(_, chat)| chat.enabled).map(|(name, _)| name.as_str()).collect();
    let chats: Vec<&str> =
        chats.into_iter().filter(|name| *name != telegram::NAME || host.telegram.is_some()).collect();
    out::line(format!("  frontends     {}", chats.join(", ")))?;
    for role in [Role::Owner, Role::Admin, Role::Member, Role::Guest] {
        let people: Vec<&str> =
            policy.people.iter().filter(|(_, has)| **has == role).map(|(person, _)| person.0.as_str()).collect();
        if !people.is_empty() {
            out::line(format!("  {:<13} {}", format!("{role:?}").to_lowercase(), people.join(", ")))?;
        }
    }
    if !policy.people.values().any(|role| *role == Role::Owner) {
        out::line(
            "  owner         nobody: nobody may decide; `borg-host init --owner` or policies/people.toml names one",
        )?;
    }
    if let Some(telegram) = &host.telegram
        && let Some(code) = telegram.begin_pairing(policy)?
    {
        out::line(format!(
            "  Telegram      nobody there is an owner yet: send your bot `/start {code}` in a private chat"
        ))?;
    }
    for warning in &settings.warnings {
        out::line(format!("warning: {}", neutral::text(warning)))?;
    }
    for error in &host.plugin_errors {
        out::line(format!("warning: {}", neutral::text(&error.to_string())))?;
    }
    Ok(())
}
