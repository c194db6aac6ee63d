//! An installation before it starts: the shipped policies, changed where a test wants it, `borg.toml`, and an environment.

use super::Host;
use crate::{messages_api::MessagesApi, repo::Repo, require};
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use toml::{Table, Value};

/// Text that each shipped persona's system prompt holds: marks for scripts of the model API.
pub struct Texts;

impl Texts {
    pub const MANAGER: &str = "You are the Manager.";
    pub const QA: &str = "You are QA.";
    pub const WORKER: &str = "You are the Worker.";
    pub const ANSWERER: &str = "You answer questions about a repository.";
}

/// What an installation is made of; [`Setup::start`] writes it down and starts it.
pub struct Setup {
    program: PathBuf,
    dir: TempDir,
    policy: Table,
    pipelines: Vec<(String, String)>,
    settings: Table,
    env: Vec<(String, String)>,
}

impl Setup {
    /// The shipped policies, with the person who runs the test as owner; none when the program is not built.
    #[track_caller]
    pub fn new() -> Option<Self> {
        let program = require::host()?;
        Some(Self::with(program).expect("the shipped policies can be read"))
    }

    fn with(program: PathBuf) -> Result<Self> {
        let shipped = checkout().join("policies");
        let mut setup = Self {
            program,
            dir: tempfile::Builder::new().prefix("borg-test-").tempdir()?,
            policy: Table::new(),
            pipelines: files(&shipped.join("pipelines"))?,
            // What comes by the clock is seen by tests that ask for it.
            settings: Table::from_iter([("digest-time-utc".to_owned(), "off".into())]),
            env: vec![("BORG_PLUGINS".into(), require::plugins().display().to_string())],
        };
        for (name, text) in files(&shipped)? {
            merge(&mut setup.policy, text.parse().with_context(|| format!("in policies/{name}"))?);
        }
        let me = format!("console:{}", nix::unistd::getuid());
        let people = Table::from_iter([("owner".to_owned(), Value::Array(vec![me.into()]))]);
        setup.policy.insert("people".into(), Value::Table(people));
        Ok(setup)
    }

    /// Where everything of the installation will lie.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Lays TOML over the policy: tables are merged, anything else is replaced.
    pub fn policy(mut self, text: &str) -> Result<Self> {
        merge(&mut self.policy, text.parse()?);
        Ok(self)
    }

    /// Adds or replaces a pipeline.
    pub fn pipeline(mut self, name: &str, text: &str) -> Self {
        let file = format!("{name}.toml");
        self.pipelines.retain(|(other, _)| *other != file);
        self.pipelines.push((file, text.into()));
        self
    }

    /// Lays TOML over `borg.toml`.
    pub fn settings(mut self, text: &str) -> Result<Self> {
        merge(&mut self.settings, text.parse()?);
        Ok(self)
    }

    /// Writes a file beside `borg.toml`.
    pub fn file(self, path: &str, text: &str) -> Result<Self> {
        let to = self.dir.path().join(path);
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        fs::write(to, text)?;
        Ok(self)
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Grants a repository under a name, with its test command.
    pub fn repository(self, name: &str, repo: &Repo, check: Option<&str>) -> Result<Self> {
        let mut grant = Table::from_iter([("url".to_owned(), Value::from(repo.path().display().to_string()))]);
        grant.extend(check.map(|check| ("check".to_owned(), Value::from(check))));
        let repos = Table::from_iter([(name.to_owned(), Value::Table(grant))]);
        let mut policy = self;
        merge(&mut policy.policy, Table::from_iter([("repo".to_owned(), Value::Table(repos))]));
        Ok(policy)
    }

    /// Gives every persona this executor.
    pub fn executor(mut self, name: &str) -> Self {
        if let Some(Value::Table(personas)) = self.policy.get_mut("persona") {
            for persona in personas.iter_mut().filter_map(|(_, persona)| persona.as_table_mut()) {
                persona.insert("executor".into(), name.into());
            }
        }
        self
    }

    /// Points the gateway at a stand-in, with its key as the host's secret in a file.
    pub fn model_api(self, api: &MessagesApi, key: &str) -> Result<Self> {
        let file = self.dir.path().join("model-key");
        fs::write(&file, key)?;
        let secret = format!("[secret.claude]\nfrom = {}", Value::from(format!("file:{}", file.display())));
        Ok(self.policy(&secret)?.env("ANTHROPIC_BASE_URL", &api.url()))
    }

    /// Installs the agent bundle that a program belongs to, as `agent install` laid it out (`NAME/VERSION/bin/PROGRAM`).
    ///
    /// Files are linked where the file system allows it: a bundle is hundreds of megabytes.
    pub fn agent(self, program: &Path) -> Result<Self> {
        let version = program.parent().and_then(Path::parent).context("a bundle's programs lie in bin/")?;
        let name = version.parent().context("a bundle lies below its agent's name")?;
        let place = |path: &Path| Some(Path::new(path.file_name()?).to_owned());
        let (version_name, agent_name) = place(version).zip(place(name)).context("a bundle's folders have names")?;
        link_tree(version, &self.dir.path().join("data/agents").join(agent_name).join(version_name))?;
        Ok(self)
    }

    /// Writes everything down without starting it.
    pub fn write(self) -> Result<Host> {
        let at = |name: &str| self.dir.path().join(name);
        for folder in ["home", "data", "policies/pipelines"] {
            fs::create_dir_all(at(folder))?;
        }
        fs::write(at("borg.toml"), self.settings.to_string())?;
        fs::write(at("policies/policy.toml"), self.policy.to_string())?;
        for (name, text) in &self.pipelines {
            fs::write(at("policies/pipelines").join(name), text)?;
        }
        Ok(Host { program: self.program, env: self.env, child: None, dir: self.dir })
    }

    pub fn start(self) -> Result<Host> {
        let mut host = self.write()?;
        host.start()?;
        Ok(host)
    }
}

/// The checkout these tests were built from.
fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies below the checkout")
}

fn link_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_tree(&entry.path(), &target)?;
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Name and text of the TOML files of a folder, sorted.
fn files(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.push((name, fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            // `[[example]]` of several files add up.
            (Some(Value::Array(old)), Value::Array(new)) if new.iter().all(Value::is_table) => old.extend(new),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_changes_what_it_names_and_no_more() {
        let mut policy: Table = "[a]\nx = 1\ny = [1, 2]\n[a.b]\nz = 3\n[[e]]\nn = 1".parse().unwrap();
        merge(&mut policy, "[a]\ny = [3]\n[a.b]\nw = 4\n[c]\n[[e]]\nn = 2".parse().unwrap());
        let wanted: Table =
            "[a]\nx = 1\ny = [3]\n[a.b]\nz = 3\nw = 4\n[c]\n[[e]]\nn = 1\n[[e]]\nn = 2".parse().unwrap();
        assert_eq!(policy, wanted);
    }
}
