//! The demo's folder: a real Git repository with a feature missing, and an installation of its own beside it.

use super::shop::Shop;
use crate::cli::{
    failure::{Code, problem},
    inline,
    policy::SHIPPED,
};
use anyhow::{Context, Result};
use borg_host::{
    environment::Environment,
    spawn::{Spawner, Spec},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use toml_edit::{Array, DocumentMut};
use zeroize::Zeroizing;

/// What the demo takes over of the caller's environment: the rest would make it another demo on each machine.
const KEPT: [&str; 4] = ["HOME", "PATH", "DOCKER_HOST", "BORG_PLUGINS"];

/// Where a demo lies.
pub struct Place {
    pub root: PathBuf,
    program: PathBuf,
}

impl Place {
    /// Makes the folder, with nothing in it. It stays until somebody removes it.
    pub fn make(dir: Option<&Path>) -> Result<Place> {
        let root = match dir {
            Some(dir) => {
                fs::create_dir(dir).with_context(|| format!("creating {}; it must not exist yet", dir.display()))?;
                dir.to_owned()
            }
            None => {
                tempfile::Builder::new().prefix("borg-demo-").tempdir().context("making a temporary folder")?.keep()
            }
        };
        let program = std::env::current_exe().context("finding the program itself")?;
        Ok(Place { root: root.canonicalize().context("finding the demo's folder")?, program })
    }

    /// Puts a shop and the installation for it there, in the place of an earlier one.
    pub async fn furnish(&self, shop: &Shop, environment: &Environment) -> Result<()> {
        let repository = self.repository();
        if repository.exists() {
            fs::remove_dir_all(&repository).with_context(|| format!("removing {}", repository.display()))?;
        }
        self.policies(shop)?;
        for (name, text) in shop.files {
            write(&repository.join(name), text)?;
        }
        self.commit(environment).await
    }

    pub fn repository(&self) -> PathBuf {
        self.root.join("shop")
    }

    /// A command line that looks into this demo.
    pub fn command(&self, command: &str) -> String {
        format!("{} --config {} {command}", self.program.display(), self.root.join("borg.toml").display())
    }

    /// The environment of the demo's host.
    pub fn environment(&self, all: &Environment) -> Result<Environment> {
        let mut kept: Environment =
            KEPT.iter().filter_map(|name| Some(((*name).to_owned(), all.get(*name)?.clone()))).collect();
        if let Some(folders) = kept.get_mut("BORG_PLUGINS") {
            // They were meant from where the caller stands.
            let absolute = folders.split(':').map(std::path::absolute).collect::<std::io::Result<Vec<_>>>()?;
            let absolute: Vec<String> = absolute.iter().map(|folder| folder.display().to_string()).collect();
            *folders = Zeroizing::new(absolute.join(":"));
        }
        Ok(kept)
    }

    /// The shipped policies with the scripted executor everywhere, this repository, and this person as owner.
    fn policies(&self, shop: &Shop) -> Result<()> {
        write(&self.root.join("borg.toml"), "# The demo's own installation; all settings have their defaults.\n")?;
        for (name, text) in SHIPPED {
            let text = match name {
                "personas.toml" => text.replace("executor = \"claude-code\"", "executor = \"scripted\""),
                "people.toml" => text.replace("owner = []", &format!("owner = [\"{}\"]", inline::me())),
                "repos.toml" => {
                    let mut table = toml::Table::new();
                    table.insert("url".into(), self.repository().display().to_string().into());
                    table.insert("check".into(), shop.check.into());
                    format!("{text}\n[repo.\"demo/shop\"]\n{table}")
                }
                "host.toml" => match &shop.toolchain {
                    Some(toolchain) => local(text, toolchain)?,
                    None => text.to_owned(),
                },
                _ => text.to_owned(),
            };
            write(&self.root.join("policies").join(name), &text)?;
        }
        Ok(())
    }

    /// Makes a repository of the files, with one commit.
    async fn commit(&self, environment: &Environment) -> Result<()> {
        let spawner = Spawner::start().context("starting the thread that starts children")?;
        let author = ["-c", "user.name=Demo", "-c", "user.email=demo@borg.invalid"];
        let commit = [&author[..], &["commit", "--quiet", "--message", "A small shop"]].concat();
        for args in [&["init", "--quiet", "--initial-branch=main"][..], &["add", "--all"], &commit] {
            let mut spec = Spec::new("git").args(args.iter().copied());
            // The caller's own Git configuration has no say in it.
            spec.env = vec![
                ("PATH".into(), environment.get("PATH").map(|path| path.as_str()).unwrap_or("/usr/bin:/bin").into()),
                ("HOME".into(), self.root.clone().into()),
                ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ];
            spec.cwd = self.repository();
            let git = |why: String| {
                problem(
                    Code::Failed,
                    format!("git could not make the demo's repository: {why}"),
                    "`sudo apt-get install git`, if it is missing",
                )
            };
            let output = spawner.run(spec).await.map_err(|error| git(error.to_string()))?;
            if !output.is_whole() {
                return Err(git(output.stderr.trim().to_owned()));
            }
        }
        Ok(())
    }
}

/// The shipped `host.toml` for the local sandbox, with a toolchain that tests may read.
fn local(text: &str, toolchain: &Path) -> Result<String> {
    let mut policy: DocumentMut = text.parse().context("reading the shipped host.toml")?;
    policy["host"]["sandbox"] = toml_edit::value("local");
    policy["checks"]["host-paths"] = toml_edit::value(Array::from_iter([toolchain.display().to_string()]));
    Ok(policy.to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("writing {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).with_context(failed)?;
    fs::write(path, text).with_context(failed)
}
