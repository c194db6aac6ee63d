//! `borg-host agent`: the programs of coding agents, brought by executors, verified, pinned in policy, and mounted read-only into sandboxes.

use super::{
    failure::{Code, problem},
    out, policy,
};
use anyhow::{Context, Result};
use borg_core::{
    bundle::{Libc, spell_pin},
    id::Digest,
    policy::{Policy, source::nearest},
};
use borg_host::{
    agents::{self, Agents, Npm, Source},
    policies::PolicyError,
    settings::Settings,
    spawn::Spawner,
};
use borg_plugins::{Brought, LoadError};
use clap::{Args, Subcommand, ValueEnum};
use policy::Folder;
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::ExitCode,
};
use toml_edit::{DocumentMut, Item, Value};

/// Coding agents, such as Claude Code
#[derive(Debug, Subcommand)]
pub enum Agent {
    Install(Install),
    List(List),
}

/// Install the program of an executor's agent, and pin it in policy
///
/// Which package it comes in is said by the `bundle.toml` in the executor's folder. One of npm is fetched with your own npm client, so that
/// registry, proxy and credentials are yours; any can be taken from a file. Either way it must have the integrity that stands there, and
/// none of its scripts are run. Then `[executor.NAME] bundle` of policy gets the digest of what was unpacked: another bundle does not run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host agent install claude-code
  borg-host agent install claude-code --from anthropic-ai-claude-code-linux-x64.tgz")]
pub struct Install {
    /// Name of the executor
    #[arg(value_name = "EXECUTOR")]
    name: String,
    /// Archive of the platform's package: as `npm pack` makes it, or as it was downloaded
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// What the images of its runs have; that of the shipped image is glibc
    #[arg(long, value_enum, default_value_t)]
    libc: LibcChoice,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LibcChoice {
    #[default]
    Glibc,
    Musl,
}

/// Executors that bring an agent, and whether it is installed and may run
#[derive(Debug, Args)]
pub struct List {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

impl Agent {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        match self {
            Agent::Install(install) => install.perform(settings).await,
            Agent::List(list) => list.perform(settings).await,
        }
    }
}

/// What executors bring, and policy where there is one.
struct Known {
    brought: Vec<Brought>,
    errors: Vec<LoadError>,
    policy: Option<Policy>,
}

impl Known {
    fn look(settings: &Settings) -> Result<Known> {
        let policy = match policy::load(settings) {
            Ok(policy) => Some(policy),
            Err(error) if is_absent(&error) => None,
            Err(error) => return Err(error),
        };
        let folders = settings.plugin_folders();
        let permits = policy.as_ref().map(|policy| policy.plugins.clone()).unwrap_or_default();
        let (brought, errors) = borg_plugins::brought(&folders.shipped, &folders.own, &permits);
        Ok(Known { brought, errors, policy })
    }

    fn find(&self, name: &str) -> Result<&Brought> {
        let found = self.brought.iter().find(|brought| brought.executor == name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.brought.iter().map(|brought| brought.executor.as_str()).collect();
            let known = match (nearest(name, names.iter().copied()), names.as_slice()) {
                (_, []) => {
                    "there is none that does: an executor's folder has a plugin.toml and a bundle.toml".to_owned()
                }
                (near, names) if near.is_empty() => format!("those that do: {}", names.join(", ")),
                (near, _) => near,
            };
            let mut message = format!("no executor `{name}` brings an agent");
            for error in &self.errors {
                message.push_str(&format!("\n  not read: {error}"));
            }
            problem(Code::Failed, message, known)
        })
    }

    fn pin(&self, executor: &str) -> Option<Digest> {
        self.policy.as_ref()?.executors.get(executor)?.bundle
    }
}

/// True where there is no policy folder at all.
fn is_absent(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<PolicyError>(),
        Some(PolicyError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound
    )
}

impl Install {
    async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let known = Known::look(settings)?;
        let brought = known.find(&self.name)?;
        let data = data_dir(settings)?;
        let source = match self.from {
            Some(file) => Source::File(file),
            None => Source::Npm(Npm {
                spawner: Spawner::start().context("starting the thread that starts children")?,
                path: settings.search_path().into(),
                home: settings
                    .home()
                    .context("HOME is not set, and npm needs it; or pass an archive with `--from FILE`")?,
            }),
        };
        let libc = match self.libc {
            LibcChoice::Glibc => Libc::Glibc,
            LibcChoice::Musl => Libc::Musl,
        };
        let bundle = agents::install(brought, libc, source, &data, |step| eprintln!("{step}")).await?;
        out::line(format!("{} {} in {}", bundle.executor, bundle.version, bundle.dir.display()))?;
        let line = format!("bundle = \"{}\"", spell_pin(&bundle.digest));
        let pinned = match known.policy {
            Some(_) => pin(&settings.policies(), &self.name, &bundle.digest)?,
            None => Pinned::Nowhere,
        };
        match pinned {
            Pinned::Already => eprintln!("policy pins it already: [executor.{}] {line}", self.name),
            Pinned::Written { path, before } => {
                let instead = before.map(|before| format!(", instead of {before}")).unwrap_or_default();
                eprintln!("pinned in {}: [executor.{}] {line}{instead}", path.display(), self.name);
            }
            Pinned::Nowhere => {
                eprintln!(
                    "not pinned: policy has no [executor.{0}]; where you grant it, write\n  [executor.{0}]\n  {line}",
                    self.name
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What became of the line of policy.
#[derive(Debug, PartialEq, Eq)]
enum Pinned {
    Already,
    Written {
        path: PathBuf,
        /// What stood there, as it was written.
        before: Option<String>,
    },
    /// No policy file has a section of this executor: a grant is nothing to be written unasked.
    Nowhere,
}

/// Writes `bundle` into the section of an executor, and leaves everything else as it is.
fn pin(policies: &Path, executor: &str, digest: &Digest) -> Result<Pinned> {
    let (folder, policy) = Folder::read(policies)?;
    if policy.executors.get(executor).is_some_and(|executor| executor.bundle == Some(*digest)) {
        return Ok(Pinned::Already);
    }
    let Some(file) = folder.holder("executor", executor) else { return Ok(Pinned::Nowhere) };
    let mut before = None;
    let path = folder.edit(&file, |document| {
        before = set(document, executor, digest);
        Ok(())
    })?;
    Ok(Pinned::Written { path, before })
}

/// Sets the line and gives what stood there; what stands beside it on its line stays.
fn set(document: &mut DocumentMut, executor: &str, digest: &Digest) -> Option<String> {
    let item = &mut document["executor"][executor]["bundle"];
    let mut fresh = Value::from(spell_pin(digest));
    let before = item.as_value().map(|value| {
        *fresh.decor_mut() = value.decor().clone();
        value.as_str().unwrap_or_default().to_owned()
    });
    *item = Item::Value(fresh);
    before
}

impl List {
    async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let known = Known::look(settings)?;
        let agents = Agents::new(&settings.data_dir());
        let mut rows = Vec::new();
        for brought in &known.brought {
            let (name, version) = (&brought.executor, &brought.recipe.version);
            let permitted = agents.permitted(name, known.pin(name), Some(brought)).await;
            if self.json {
                rows.push(serde_json::json!({
                    "name": name,
                    "bundle": brought.recipe.name,
                    "version": version,
                    "installed": permitted.as_ref().is_ok_and(|bundle| bundle.version == *version),
                    "runs": permitted.as_ref().ok().map(|bundle| &bundle.version),
                    "digest": permitted.as_ref().ok().map(|bundle| spell_pin(&bundle.digest)),
                    "refused": permitted.as_ref().err().map(ToString::to_string),
                }));
                continue;
            }
            out::line(match permitted {
                Ok(bundle) if bundle.version == *version => {
                    format!("{name} {version}  installed, {}", spell_pin(&bundle.digest))
                }
                Ok(bundle) => format!(
                    "{name} {version}  not installed; policy pins {}, {}: `borg-host agent install {name}` changes to this one",
                    bundle.version,
                    spell_pin(&bundle.digest)
                ),
                Err(agents::Refusal::NotInstalled { .. }) => {
                    format!("{name} {version}  not installed: `borg-host agent install {name}`")
                }
                Err(refusal) => format!("{name} {version}  does not run: {refusal}; {}", refusal.remedy()),
            })?;
        }
        if self.json {
            out::json(&rows)?;
        }
        for error in &known.errors {
            eprintln!("not read: {error}");
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The data directory, made for its owner alone where it is missing.
fn data_dir(settings: &Settings) -> Result<PathBuf> {
    let data = settings.data_dir();
    if !data.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data)
            .with_context(|| format!("creating {}", data.display()))?;
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# agents\n[executor.made] # ours\nimage = \"x\"\n\n[executor.other]\nimage = \"y\"\n";

    fn folder(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine.toml"), text).unwrap();
        dir
    }

    #[test]
    fn the_line_is_written_where_the_executor_is_granted_and_everything_else_stays() {
        let dir = folder(BEFORE);
        let path = dir.path().join("mine.toml");
        let (one, two) = (Digest::of_bytes(b"1"), Digest::of_bytes(b"2"));
        let written = |before| Pinned::Written { path: path.clone(), before };
        assert_eq!(pin(dir.path(), "made", &one).unwrap(), written(None));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, BEFORE.replace("\"x\"\n", &format!("\"x\"\nbundle = \"sha256:{one}\"\n")));
        assert_eq!(pin(dir.path(), "made", &one).unwrap(), Pinned::Already);

        let commented = text.replace(&format!("{one}\""), &format!("{one}\" # looked at"));
        fs::write(&path, &commented).unwrap();
        assert_eq!(pin(dir.path(), "made", &two).unwrap(), written(Some(format!("sha256:{one}"))));
        let after = commented.replace(&one.to_string(), &two.to_string());
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
    }

    #[test]
    fn nobody_is_granted_anything_by_an_installation() {
        let dir = folder(BEFORE);
        assert_eq!(pin(dir.path(), "third", &Digest::of_bytes(b"1")).unwrap(), Pinned::Nowhere);
        assert_eq!(fs::read_to_string(dir.path().join("mine.toml")).unwrap(), BEFORE);
    }

    #[test]
    fn a_section_on_one_line_gets_it_too_and_one_out_of_order_is_left_alone() {
        let dir = folder("executor.made = { image = \"x\" }\n");
        let digest = Digest::of_bytes(b"1");
        assert!(matches!(pin(dir.path(), "made", &digest).unwrap(), Pinned::Written { before: None, .. }));
        let (_, policy) = Folder::read(dir.path()).unwrap();
        assert_eq!(policy.executors["made"].bundle, Some(digest));
        let wrong = "[executor.made]\nbundle = 7\n";
        let dir = folder(wrong);
        assert!(pin(dir.path(), "made", &digest).is_err());
        assert_eq!(fs::read_to_string(dir.path().join("mine.toml")).unwrap(), wrong);
    }
}
