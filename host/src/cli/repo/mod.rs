//! `borg-host repo`: which repositories tasks may work on. Edits `policies/repos.toml`, which a running host notices by itself.

mod check;

pub use check::report;

use super::{
    failure::{Code, problem},
    neutral, out,
    policy::{self, Folder},
};
use anyhow::{Context, Result};
use borg_core::{intent::is_repository_name, policy::Policy};
use borg_host::{git::source::Source, settings::Settings};
use clap::{Args, Subcommand};
use std::{path::Path, process::ExitCode};
use toml_edit::{DocumentMut, Item, Table};

/// File that new repositories go to.
const FILE: &str = "repos.toml";

/// Which repositories tasks may work on
#[derive(Debug, Subcommand)]
pub enum Repo {
    Add(Add),
    /// The repositories policy names
    List(List),
    Check(check::Check),
    /// Take a repository out of policy; the repository itself, tasks and branches stay
    Remove(Remove),
}

/// Let tasks work on a repository
///
/// The repository is looked at first: it must be here, be a Git repository of its own, and have a commit.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host repo add acme/shop ~/shop
  borg-host repo add acme/shop file:///srv/git/shop.git --check \"make test\" --base main")]
pub struct Add {
    /// Name people use for it: owner/name
    #[arg(value_name = "OWNER/NAME")]
    name: String,
    /// Where it is: a path on this machine, or a file:// URL
    #[arg(value_name = "PATH")]
    url: String,
    /// Test command, run with `sh -c` at the root of a clean checkout; else `make test` where its Makefile has that target
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,
    /// Branch tasks start from; else its default branch
    #[arg(long, value_name = "BRANCH")]
    base: Option<String>,
    /// Image its tests and agents run in; else the one policy names
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
}

#[derive(Debug, Args)]
pub struct List {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct Remove {
    /// Name of the repository
    #[arg(value_name = "OWNER/NAME")]
    name: String,
}

impl Repo {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        match self {
            Repo::Add(add) => add.perform(settings),
            Repo::List(list) => list.perform(&policy::load(settings)?),
            Repo::Check(check) => check.perform(settings).await,
            Repo::Remove(remove) => remove.perform(settings),
        }
    }
}

impl Add {
    fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let (folder, policy) = Folder::read(&settings.policies())?;
        self.write(&folder, &policy)?;
        out::line(format!("added {}; `borg-host repo check {}` looks at it more closely", self.name, self.name))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Looks at the repository and adds it to policy.
    fn write(&self, folder: &Folder, policy: &Policy) -> Result<()> {
        let name = &self.name;
        named(name)?;
        if policy.repos.contains_key(name) {
            let file = folder.holder("repo", name).unwrap_or_else(|| FILE.to_owned());
            let remedy = format!("edit [repo.\"{name}\"] in policies/{file}, or `borg-host repo remove {name}` first");
            return Err(problem(Code::Failed, format!("there is a repository `{name}` already"), remedy));
        }
        let url = found(&self.url)?;
        folder.edit(FILE, |document| {
            insert(
                document,
                name,
                &[
                    ("url", Some(&url)),
                    ("base", self.base.as_ref()),
                    ("image", self.image.as_ref()),
                    ("check", self.check.as_ref()),
                ],
            );
            Ok(())
        })?;
        Ok(())
    }
}

/// Adds a repository to policy, as `repo add` does; for `init`.
pub fn add(policies: &Path, name: &str, url: &str, check: Option<&str>) -> Result<()> {
    let (folder, policy) = Folder::read(policies)?;
    let check = check.map(str::to_owned);
    Add { name: name.to_owned(), url: url.to_owned(), check, base: None, image: None }.write(&folder, &policy)
}

/// A name that a repository may have.
pub fn named(name: &str) -> Result<String> {
    if is_repository_name(name) {
        return Ok(name.to_owned());
    }
    let remedy = "write owner/name with letters, digits, `-`, `_` and `.`, as in `acme/shop`";
    Err(problem(Code::Usage, format!("`{name}` is no name for a repository"), remedy))
}

/// The address of a repository that is there and has a commit, as policy keeps it.
pub fn found(typed: &str) -> Result<String> {
    let url = address(typed)?;
    if let check::Head::Unborn { branch } = &check::look(&url)?.head {
        let remedy = "make a first commit there, then add it again";
        return Err(problem(Code::Failed, format!("{url} is empty: its branch {branch} has no commit"), remedy));
    }
    Ok(url)
}

/// The address as policy keeps it: paths are absolute, since the host runs elsewhere than the person who typed them.
fn address(typed: &str) -> Result<String> {
    let is_address = typed.contains("://") || (typed.contains(':') && !Path::new(typed).exists());
    let url = match is_address {
        true => typed.to_owned(),
        false => {
            let real = Path::new(typed).canonicalize();
            let real = real.map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => problem(
                    Code::Failed,
                    format!("there is no repository at {typed}"),
                    "check the path; `git clone` makes a copy here of one elsewhere",
                ),
                _ => anyhow::Error::new(error).context(format!("looking at {typed}")),
            })?;
            real.into_os_string().into_string().ok().context("the path is not UTF-8, and policy files are")?
        }
    };
    url.parse::<Source>()?;
    Ok(url)
}

fn insert(document: &mut DocumentMut, name: &str, values: &[(&str, Option<&String>)]) {
    let mut table = Table::new();
    for (key, value) in values.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
        table.insert(key, toml_edit::value(value));
    }
    // What stands at the end of the file stays above what is added to it.
    let end = document.trailing().as_str().unwrap_or_default().trim_end_matches('\n').to_owned();
    document.set_trailing("");
    table.decor_mut().set_prefix(if end.is_empty() { "\n".to_owned() } else { format!("{end}\n\n") });
    let repos = document.entry("repo").or_insert_with(|| {
        let mut repos = Table::new();
        // Only its repositories have headings of their own.
        repos.set_implicit(true);
        Item::Table(repos)
    });
    if let Some(repos) = repos.as_table_like_mut() {
        repos.insert(name, Item::Table(table));
    }
}

/// Takes a repository out of a document. Comments right above it go with it; those further up stay.
fn take_out(document: &mut DocumentMut, name: &str) -> Result<()> {
    let repos = document.get_mut("repo").and_then(Item::as_table_like_mut).context("the section is there")?;
    let removed = repos.remove(name).context("the section is there")?;
    let Some(removed) = removed.as_table() else { return Ok(()) };
    let above = removed.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default();
    let kept = above.rfind("\n\n").map_or("", |end| above[..end].trim_end_matches('\n'));
    if kept.trim().is_empty() {
        return Ok(());
    }
    let later = |table: &Table| table.position() > removed.position();
    let tables = repos.iter_mut().filter_map(|(_, item)| item.as_table_mut()).filter(|table| later(table));
    match tables.min_by_key(|table| table.position()) {
        Some(next) => {
            let below = next.decor().prefix().and_then(|prefix| prefix.as_str()).unwrap_or_default().to_owned();
            next.decor_mut().set_prefix(format!("{kept}\n{below}"));
        }
        None => {
            let below = document.trailing().as_str().unwrap_or_default().to_owned();
            document.set_trailing(format!("{kept}\n{below}"));
        }
    }
    Ok(())
}

impl List {
    fn perform(self, policy: &Policy) -> Result<ExitCode> {
        if self.json {
            let row = |(name, repo): (&String, &borg_core::policy::RepoPolicy)| serde_json::json!({ "name": name, "url": repo.url, "base": repo.base, "image": repo.image, "check": repo.check });
            out::json(&policy.repos.iter().map(row).collect::<Vec<_>>())?;
        } else if policy.repos.is_empty() {
            out::line("no repositories yet; `borg-host repo add owner/name PATH` adds one")?;
        } else {
            for (name, repo) in &policy.repos {
                let check = repo.check.as_deref().map(|check| format!("  tests: {check}")).unwrap_or_default();
                let base = repo.base.as_deref().map(|base| format!("  base: {base}")).unwrap_or_default();
                out::line(neutral::text(&format!("{name}  {}{base}{check}", repo.url)))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Remove {
    fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let (folder, policy) = Folder::read(&settings.policies())?;
        let Some(file) = folder.holder("repo", &self.name) else {
            return Err(policy::unknown_repository(&self.name, &policy));
        };
        folder.edit(&file, |document| take_out(document, &self.name))?;
        out::line(format!("removed {} from policies/{file}", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn added(text: &str, name: &str) -> DocumentMut {
        let mut document: DocumentMut = text.parse().unwrap();
        insert(&mut document, name, &[("url", Some(&"/c".to_owned())), ("check", None)]);
        document.to_string().parse().unwrap()
    }

    #[test]
    fn an_edit_keeps_what_people_wrote() {
        for text in [
            "# ours\n\n[repo.\"a/b\"]  # the shop\nurl = \"/a\"   # local\n\n# the end\n",
            "# only a comment\n",
            "[repo.\"a/b\"]\nurl = '/a'\n",
            "",
        ] {
            let mut document = added(text, "c/d");
            let edited = document.to_string();
            assert!(edited.starts_with(text), "{edited}");
            assert!(edited.ends_with("\n[repo.\"c/d\"]\nurl = \"/c\"\n"), "{edited}");
            assert!(!edited.contains("[repo]\n"), "{edited}");
            take_out(&mut document, "c/d").unwrap();
            assert_eq!(document.to_string(), text);
        }
    }

    #[test]
    fn a_removed_repository_takes_only_its_own_comment() {
        let mut document: DocumentMut =
            "# the head\n\n# the shop\n[repo.\"a/b\"]\nurl = \"/a\"\n\n# the garden\n[repo.\"c/d\"]\nurl = \"/c\"\n"
                .parse()
                .unwrap();
        take_out(&mut document, "a/b").unwrap();
        assert_eq!(document.to_string(), "# the head\n\n# the garden\n[repo.\"c/d\"]\nurl = \"/c\"\n");
        take_out(&mut document, "c/d").unwrap();
        assert_eq!(document.to_string(), "# the head\n");
    }
}
