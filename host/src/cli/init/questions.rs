//! What `init` asks a person at a terminal, and what it takes without asking.

use super::{Answers, Init, Repository, person};
use anyhow::{Context, Result};
use borg_core::intent::is_repository_name;
use borg_host::environment::Environment;
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

/// Everything `init` needs to know.
pub(super) fn ask(init: &Init, environment: &Environment) -> Result<Answers> {
    let asks = !init.yes && io::stdin().is_terminal();
    let me = format!("console:{}", rustix::process::getuid().as_raw());
    let owner = match (&init.owner, asks) {
        (Some(owner), _) => owner.clone(),
        (None, true) => line("Who is the owner? A person is frontend:id", &me)?,
        (None, false) => me,
    };
    let owner = person(&owner)?;
    let url = match (&init.repository, asks) {
        (Some(url), _) => Some(url.clone()),
        (None, true) => Some(line("Which repository may tasks work on? A path; empty for none yet", "")?),
        (None, false) => None,
    };
    let repository = match url.filter(|url| !url.is_empty()) {
        Some(url) => Some(repository(init, url, asks)?),
        None => None,
    };
    let secret = match (&init.secret, asks) {
        (None, true) => {
            let home = environment.get("HOME").map(|home| Path::new(home.as_str()).join(".claude/.credentials.json"));
            let default = if home.is_some_and(|file| file.exists()) { "claude-credentials" } else { "stored:claude" };
            Some(line(
                "Where does Claude's credential come from? stored:claude, claude-credentials, env:NAME or file:PATH",
                default,
            )?)
        }
        (given, _) => given.clone(),
    };
    Ok(Answers { owner, repository, sandbox: init.sandbox, secret })
}

fn repository(init: &Init, url: String, asks: bool) -> Result<Repository> {
    let default = named_after(&url);
    let name = match (&init.name, asks) {
        (Some(name), _) => name.clone(),
        (None, true) => line("What is it called? owner/name", &default)?,
        (None, false) => default,
    };
    let check = match (&init.check, asks) {
        (None, true) => Some(line("What runs its tests? Empty for `make test`", "")?).filter(|check| !check.is_empty()),
        (check, _) => check.clone(),
    };
    Ok(Repository { url, name, check })
}

/// `local/FOLDER`, as far as the folder's name allows it.
fn named_after(url: &str) -> String {
    let path = Path::new(url.trim_end_matches('/'));
    let folder = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = folder.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let plain: String =
        folder.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    let name = format!("local/{}", plain.trim_matches(['-', '.']));
    if is_repository_name(&name) { name } else { "local/repository".into() }
}

fn line(question: &str, default: &str) -> Result<String> {
    let mut err = io::stderr().lock();
    match default {
        "" => write!(err, "{question}: ")?,
        default => write!(err, "{question} [{default}]: ")?,
    }
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("reading the answer")?;
    Ok(match answer.trim() {
        "" => default.to_owned(),
        answer => answer.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_named_after_its_folder() {
        for (url, name) in [
            ("/nowhere/shop", "local/shop"),
            ("/nowhere/my shop/", "local/my-shop"),
            ("/srv/shop.git", "local/shop"),
            ("/", "local/repository"),
        ] {
            assert_eq!(named_after(url), name);
        }
    }
}
