//! What `init` asks a person at a terminal, and what it takes without asking.

use super::asked::{Answers, Init, Repository, person};
use crate::cli::{
    failure::{self, Code, problem},
    neutral, repo,
};
use anyhow::{Context, Result};
use borg_core::{
    intent::is_repository_name,
    policy::{parse::secret_source, source::SourceFile},
};
use borg_host::{environment::Environment, policies};
use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

/// Everything `init` needs to know. What cannot be is refused here, before anything is written.
pub(super) fn ask(init: &Init, environment: &Environment) -> Result<Answers> {
    // What stands in policy already is not asked for once more.
    let policies = init.dir.join("policies");
    let is_new = init.force || !policies.exists();
    let asks = is_new && is_asking(init);
    let home = environment.get("HOME").map(|home| Path::new(home.as_str()));
    let me = format!("console:{}", rustix::process::getuid().as_raw());
    if asks {
        eprintln!("Return takes what stands in brackets; Ctrl-C leaves everything as it is.");
    }
    let owner = match (&init.owner, asks) {
        (Some(owner), _) => Some(person(owner)?),
        (None, true) => Some(question("Who is the owner? A person is frontend:id", &me, person)?),
        (None, false) if !is_new && has_owner(&policies)? => None,
        (None, false) => Some(person(&me)?),
    };
    let url = match (&init.repository, asks) {
        (Some(url), _) => Some(repo::found(url)?),
        (None, true) => {
            question("Which repository may tasks work on? A path; empty for none yet", "", |typed| match typed {
                "" => Ok(None),
                typed => repo::found(&at_home(typed, home)).map(Some),
            })?
        }
        (None, false) => None,
    };
    let repository = match url {
        Some(url) => Some(repository(init, url, asks)?),
        None => None,
    };
    let secret = match (&init.secret, asks) {
        (None, true) => {
            let default = match home.is_some_and(|home| home.join(".claude/.credentials.json").exists()) {
                true => "claude-credentials",
                false => "stored:claude",
            };
            let forms = "stored:claude, claude-credentials, env:NAME or file:PATH";
            Some(question(&format!("Where does Claude's credential come from? {forms}"), default, source)?)
        }
        (Some(given), _) => Some(source(given)?),
        (None, false) => None,
    };
    Ok(Answers { owner, repository, sandbox: init.sandbox, secret })
}

/// True where there is somebody to ask, and they did not say otherwise.
pub(super) fn is_asking(init: &Init) -> bool {
    !init.yes && io::stdin().is_terminal()
}

/// True where a policy file names an owner; whether policy as a whole is in order is seen later.
fn has_owner(policies: &Path) -> Result<bool> {
    let names = |file: &SourceFile| {
        let document = file.text.parse::<toml_edit::DocumentMut>().ok()?;
        Some(!document.get("people")?.get("owner")?.as_array()?.is_empty())
    };
    Ok(policies::sources(policies)?.iter().any(|file| names(file).unwrap_or_default()))
}

fn repository(init: &Init, url: String, asks: bool) -> Result<Repository> {
    let default = named_after(&url);
    let name = match (&init.name, asks) {
        (Some(name), _) => repo::named(name)?,
        (None, true) => question("What is it called? owner/name", &default, repo::named)?,
        (None, false) => default,
    };
    let check = match (&init.check, asks) {
        (None, true) => question("What runs its tests? Empty for `make test`", "", |typed| Ok(typed.to_owned()))
            .map(|check| Some(check).filter(|check| !check.is_empty()))?,
        (check, _) => check.clone(),
    };
    Ok(Repository { url, name, check })
}

/// Where a credential comes from, as policy writes it.
fn source(text: &str) -> Result<String> {
    match secret_source(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(problem(
            Code::Usage,
            // What was given may be the credential itself.
            "that is no place a credential comes from",
            "write stored:NAME, claude-credentials, env:NAME or file:PATH; never the credential itself",
        )),
    }
}

/// `~/shop` as a shell would have it: none has seen what is typed here.
fn at_home(typed: &str, home: Option<&Path>) -> String {
    match (typed.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below).display().to_string(),
        (Some(_) | None, _) => typed.to_owned(),
    }
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

/// Asks until the answer is one that can be.
pub(super) fn question<T>(question: &str, default: &str, answer: impl Fn(&str) -> Result<T>) -> Result<T> {
    loop {
        match answer(&line(question, default)?) {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                let (_, message, remedy) = failure::explain(&error);
                let remedy = if remedy.is_empty() { remedy } else { format!(": {remedy}") };
                eprintln!("  {}", neutral::text(&format!("{message}{remedy}")));
            }
        }
    }
}

fn line(question: &str, default: &str) -> Result<String> {
    let mut err = io::stderr().lock();
    match default {
        "" => write!(err, "{question}: ")?,
        default => write!(err, "{question} [{default}]: ")?,
    }
    err.flush()?;
    let mut answer = String::new();
    if io::stdin().read_line(&mut answer).context("reading the answer")? == 0 {
        // Silence is no consent.
        writeln!(err)?;
        let remedy = "run it again, or take the defaults with `borg-host init --yes`";
        return Err(problem(Code::Failed, "the answers ended early; nothing was written", remedy));
    }
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

    #[test]
    fn a_path_below_home_is_found_without_a_shell() {
        let home = Some(Path::new("/home/ada"));
        for (typed, path) in [("~/shop", "/home/ada/shop"), ("/srv/~/x", "/srv/~/x"), ("~ada/shop", "~ada/shop")] {
            assert_eq!(at_home(typed, home), path);
        }
        assert_eq!(at_home("~/shop", None), "~/shop");
    }
}
