//! Git repositories made for a test: files in, commits out, and afterwards a look at what became of them.

use crate::process::{self, Output};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// A repository with a work tree of its own, on branch `main`.
pub struct Repo {
    dir: TempDir,
}

impl Repo {
    /// An empty repository: no commit yet.
    pub fn new() -> Result<Self> {
        let repo = Self { dir: tempfile::Builder::new().prefix("borg-test-").tempdir()? };
        fs::create_dir(repo.path())?;
        repo.git(&["init", "--quiet", "--initial-branch=main", "."])?;
        Ok(repo)
    }

    /// A repository whose only commit holds the files of a folder.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let repo = Self::new()?;
        copy_tree(folder, &repo.path()).with_context(|| format!("copying {}", folder.display()))?;
        repo.commit("Base")
    }

    pub fn path(&self) -> PathBuf {
        // A level below the temporary directory, whose own mode keeps other users out.
        self.dir.path().join("repo")
    }

    /// Writes a file into the work tree.
    pub fn file(self, path: &str, text: &str) -> Result<Self> {
        let to = self.path().join(path);
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        fs::write(to, text)?;
        Ok(self)
    }

    /// Writes a file that can be run.
    pub fn program(self, path: &str, text: &str) -> Result<Self> {
        let repo = self.file(path, text)?;
        fs::set_permissions(repo.path().join(path), fs::Permissions::from_mode(0o755))?;
        Ok(repo)
    }

    /// Removes a file or folder of the work tree.
    pub fn without(self, path: &str) -> Result<Self> {
        self.git(&["rm", "-r", "--quiet", path])?;
        Ok(self)
    }

    /// Commits the work tree as it is, with a fixed identity and date.
    pub fn commit(self, message: &str) -> Result<Self> {
        self.git(&["add", "--all", "--force"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        Ok(self)
    }

    /// Runs Git in the repository, apart from the machine's configuration.
    ///
    /// # Errors
    /// When it fails, with what it printed.
    pub fn git(&self, args: &[&str]) -> Result<String> {
        let mut git = git();
        git.current_dir(self.path()).args(args);
        let output = process::run(git, "", LIMIT)?;
        anyhow::ensure!(output.code == Some(0), "git {}: {}", args.join(" "), output.stderr);
        Ok(output.stdout)
    }

    /// Branches but `main`, sorted.
    pub fn branches(&self) -> Result<Vec<String>> {
        let listed = self.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/"])?;
        Ok(listed.lines().filter(|branch| *branch != "main").map(str::to_owned).collect())
    }

    /// Object id of a branch's commit.
    pub fn head(&self, branch: &str) -> Result<String> {
        Ok(self.git(&["rev-parse", "--verify", &format!("refs/heads/{branch}")])?.trim().to_owned())
    }

    /// What differs between `main` and a branch: path to `A`, `M`, `D` or `T`.
    pub fn changes(&self, branch: &str) -> Result<BTreeMap<String, char>> {
        let diff = self.git(&["diff", "--no-renames", "--name-status", "main", branch])?;
        let rows = diff.lines().filter_map(|line| line.split_once('\t'));
        Ok(rows.filter_map(|(status, path)| Some((path.to_owned(), status.chars().next()?))).collect())
    }

    /// Author and subject of each commit that a branch adds, oldest first.
    pub fn commits(&self, branch: &str) -> Result<Vec<(String, String)>> {
        let log = self.git(&["log", "--reverse", "--format=%an%x09%s", &format!("main..{branch}")])?;
        Ok(log
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(who, what)| (who.to_owned(), what.to_owned()))
            .collect())
    }

    /// A file on a branch.
    pub fn show(&self, branch: &str, path: &str) -> Result<String> {
        self.git(&["show", &format!("{branch}:{path}")])
    }
}

/// Git with an identity and a date of its own, and without the machine's configuration.
fn git() -> Command {
    let mut git = process::command("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        git.env(format!("GIT_{role}_NAME"), "Test").env(format!("GIT_{role}_EMAIL"), "test@example.org");
        git.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
    }
    git
}

/// Clones a path to look at it as anybody else would; the output tells how that went.
pub fn clone(from: &Path, to: &Path) -> Result<Output> {
    let mut clone = git();
    clone.arg("clone").arg("--quiet").arg(from).arg(to);
    process::run(clone, "", LIMIT)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_commit() {
        let make = || {
            Repo::new()
                .unwrap()
                .file("a/b.txt", "x\n")
                .unwrap()
                .program("run", "#!/bin/sh\n")
                .unwrap()
                .commit("one")
                .unwrap()
        };
        let (one, two) = (make(), make());
        assert_eq!(one.head("main").unwrap(), two.head("main").unwrap());
        assert!(one.git(&["ls-tree", "main", "run"]).unwrap().starts_with("100755"));
        let again = Repo::from_folder(&one.path().join("a")).unwrap();
        assert_eq!(again.show("main", "b.txt").unwrap(), "x\n");
    }

    #[test]
    fn a_branch_tells_what_it_changes_and_who_did() {
        let repo = Repo::new().unwrap().file("old", "1").unwrap().file("kept", "1").unwrap().commit("base").unwrap();
        repo.git(&["switch", "--quiet", "--create", "borg/1/x"]).unwrap();
        let repo =
            repo.without("old").unwrap().file("kept", "2").unwrap().file("new", "1").unwrap().commit("work").unwrap();
        assert_eq!(repo.branches().unwrap(), ["borg/1/x"]);
        let wanted = [("kept", 'M'), ("new", 'A'), ("old", 'D')].map(|(path, status)| (path.to_owned(), status));
        assert_eq!(repo.changes("borg/1/x").unwrap(), BTreeMap::from(wanted));
        assert_eq!(repo.commits("borg/1/x").unwrap(), [("Test".to_owned(), "work".to_owned())]);
    }
}
