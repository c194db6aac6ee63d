//! How a command ends that did not do what it was asked: one message, one remedy, one exit code.

use super::{out::Unwritable, source, terminal};
use borg_host::{
    causes::chain,
    control::client::{NoHost, Refusal},
    installation::InstallationError,
    policies::PolicyError,
    sandbox,
    settings::SettingsError,
};
use std::{io, process::ExitCode};

/// What an exit code says to a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Failed = 1,
    Usage = 2,
    NoHost = 3,
    Config = 4,
}

/// A message of the command line's own, with what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    code: Code,
    message: String,
    remedy: String,
}

/// An error of the command line's own.
pub fn problem(code: Code, message: impl Into<String>, remedy: impl Into<String>) -> anyhow::Error {
    Problem { code, message: message.into(), remedy: remedy.into() }.into()
}

/// Tells what went wrong on standard error and gives the exit code for it.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if has_no_reader(error) {
        return ExitCode::SUCCESS;
    }
    let (code, message, remedy) = explain(error);
    eprintln!("error: {}", super::neutral::text(&message));
    if !remedy.is_empty() {
        eprintln!("  what to do: {}", super::neutral::text(&remedy));
    }
    ExitCode::from(code as u8)
}

/// True where all that went wrong is that nobody reads on.
fn has_no_reader(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<Unwritable>()).any(Unwritable::is_reader_gone)
}

/// Exit code, message, and what to do (empty where the message says it all).
pub fn explain(error: &anyhow::Error) -> (Code, String, String) {
    let message = chain(error.as_ref());
    if let Some(problem) = error.downcast_ref::<Problem>() {
        return (problem.code, problem.message.clone(), problem.remedy.clone());
    }
    if let Some(Refusal { reason, remedy }) = error.downcast_ref::<Refusal>() {
        return (Code::Failed, reason.clone(), remedy.spell(terminal::say));
    }
    if error.downcast_ref::<NoHost>().is_some() {
        return (Code::NoHost, message, "start it with `borg-host run`, in the folder of its borg.toml".into());
    }
    if let Some(error) = error.downcast_ref::<InstallationError>() {
        return (Code::Config, message, error.remedy());
    }
    if let Some(sandbox::Error::NoEngine { socket, .. }) = error.downcast_ref::<sandbox::Error>() {
        let message = format!("no Docker engine answers at {socket}, and policy says `sandbox = \"docker\"`");
        let remedy = "start it (`sudo systemctl start docker`), or set DOCKER_HOST to its `unix://` socket; without an engine, \
                      `sandbox = \"local\"` in policies/host.toml allows the weaker sandbox";
        return (Code::Failed, message, remedy.into());
    }
    match error.downcast_ref::<PolicyError>() {
        Some(PolicyError::Wrong(diagnostics, files)) => {
            let count = match diagnostics.len() {
                1 => "there is an error in policy; nothing of it takes effect".to_owned(),
                count => format!("there are {count} errors in policy; nothing of it takes effect"),
            };
            return (
                Code::Config,
                format!("{count}\n{}", source::render(diagnostics, files).trim_end()),
                String::new(),
            );
        }
        Some(PolicyError::Folder { .. } | PolicyError::File { .. }) => return (Code::Config, message, String::new()),
        None => {}
    }
    match error.downcast_ref::<SettingsError>() {
        Some(SettingsError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            (Code::Config, message, "`borg-host init` writes one; or name another with `--config FILE`".into())
        }
        Some(SettingsError::Read { .. } | SettingsError::Form { .. } | SettingsError::Value { .. }) => {
            (Code::Config, message, String::new())
        }
        None => (Code::Failed, message, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reader_of_ours_may_go_away() {
        let broken = io::ErrorKind::BrokenPipe;
        let ours = |kind| anyhow::Error::new(Unwritable::of(kind)).context("printing");
        assert!(has_no_reader(&ours(broken)));
        assert!(!has_no_reader(&ours(io::ErrorKind::StorageFull)));
        assert!(!has_no_reader(&anyhow::Error::new(io::Error::from(broken)).context("the host went away")));
    }
}
