//! `borg-host init`: writes what an installation starts from, and registers its folder for this user. What is there already stays, so that
//! it can be run again at any time; where it is not yet this user's, it is shown, and taken over only when somebody says so.

mod asked;
mod questions;
mod trust;

use self::asked::{Answers, Repository, SandboxKind};
pub use asked::Init;

use super::{
    neutral, out,
    policy::{self, Folder, SHIPPED},
    repo,
};
use anyhow::{Context, Result};
use borg_core::people::PersonId;
use borg_host::{
    environment::Environment,
    installation::{self, Registry, SETTINGS},
};
use std::{fs, io, path::Path, process::ExitCode};
use toml_edit::{Array, Item, Value};

const BORG_TOML: &str = include_str!("borg.toml");
const ENV_EXAMPLE: &str = include_str!("env.example");

impl Init {
    pub fn perform(self, environment: &Environment) -> Result<ExitCode> {
        let registry = Registry::of_user(environment)?;
        trust::take_over(&self, &registry)?;
        let answers = questions::ask(&self, environment)?;
        let failed = || format!("making {}", self.dir.display());
        fs::create_dir_all(self.dir.join("policies/pipelines")).with_context(failed)?;
        let dir = self.dir.canonicalize().with_context(failed)?;
        self.put(&dir.join(SETTINGS), BORG_TOML)?;
        self.put(&dir.join(".env.example"), ENV_EXAMPLE)?;
        let policies = dir.join("policies");
        for (name, text) in SHIPPED {
            self.put(&policies.join(name), text)?;
        }
        if let Some(owner) = &answers.owner {
            set_owner(&policies, owner)?;
        }
        set_executors(&policies, &answers)?;
        if let Some(Repository { url, name, check }) = &answers.repository {
            let (_, current) = Folder::read(&policies)?;
            if current.repos.contains_key(name) {
                out::line(format!("kept     repository {name}"))?;
            } else {
                repo::add(&policies, name, url, check.as_deref())?;
                out::line(format!("added    repository {name}"))?;
            }
        }
        installation::is_kept(&dir)?;
        registry.add(&dir)?;
        out::line(neutral::text(&format!("registered {} as yours", dir.display())))?;
        out::line("")?;
        out::line("next: `borg-host doctor` says what is still missing, and the command that mends it")?;
        Ok(ExitCode::SUCCESS)
    }

    /// Writes a file, unless it is there.
    fn put(&self, path: &Path, text: &str) -> Result<()> {
        let is_there = match fs::symlink_metadata(path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(error).with_context(|| format!("looking at {}", path.display())),
        };
        if is_there && !self.force {
            out::line(format!("kept     {}", path.display()))?;
            return Ok(());
        }
        policy::replace(path, text)?;
        out::line(format!("{} {}", if is_there { "replaced" } else { "wrote   " }, path.display()))?;
        Ok(())
    }
}

/// Adds an owner to whoever is there.
fn set_owner(policies: &Path, owner: &PersonId) -> Result<()> {
    let (folder, current) = Folder::read(policies)?;
    if current.people.contains_key(owner) {
        out::line(format!("kept     {owner} in policies/people.toml"))?;
        return Ok(());
    }
    folder.edit("people.toml", |document| {
        let people = document.entry("people").or_insert_with(toml_edit::table);
        let owners = people.as_table_like_mut().context("[people] is a table")?.entry("owner");
        let owners = owners.or_insert_with(|| Item::Value(Value::Array(Array::new())));
        owners.as_array_mut().context("`owner` is a list")?.push(owner.0.as_str());
        Ok(())
    })?;
    out::line(neutral::text(&format!("added    owner {owner}")))?;
    Ok(())
}

/// Sets the sandbox and where the credential comes from, where somebody said so.
fn set_executors(policies: &Path, answers: &Answers) -> Result<()> {
    let mut changes = Vec::new();
    if let Some(sandbox) = answers.sandbox {
        let word = match sandbox {
            SandboxKind::Docker => "docker",
            SandboxKind::Local => "local",
        };
        changes.push(("host.toml", vec!["host", "sandbox"], word.to_owned()));
    }
    if let Some(secret) = &answers.secret {
        changes.push(("executors.toml", vec!["secret", "claude", "from"], secret.clone()));
    }
    for (file, path, value) in changes {
        let (folder, _) = Folder::read(policies)?;
        folder.edit(file, |document| {
            let mut item = document.as_item_mut();
            for key in &path {
                item = item.get_mut(key).with_context(|| format!("policies/{file} has no `{}`", path.join(".")))?;
            }
            let item = item.as_value_mut().context("it is a value")?;
            let decor = item.decor().clone();
            *item = Value::from(&value);
            // Comments beside the value stay.
            *item.decor_mut() = decor;
            Ok(())
        })?;
        out::line(neutral::text(&format!("set      {} = \"{value}\"", path.join("."))))?;
    }
    Ok(())
}
