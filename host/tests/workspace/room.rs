//! A data directory, a source repository and a workspace in a temporary folder, shared by the `workspace_*` tests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_core::{
    collect::{Collected, CommitId, LeftReason},
    id::{RunKey, RunKind, TaskId},
    run::WriteGrant,
};
use borg_host::{
    git::{
        Git, Settings,
        mirror::{Mirror, MirrorLock},
        source::Source,
    },
    spawn::{Output, Spawner, Spec},
    workspace::{Attempt, Collect, Config, RunDir, Workspace},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

pub struct Room {
    pub spawner: Spawner,
    pub workspace: Workspace,
    pub git: Git,
    pub data: PathBuf,
    pub source: PathBuf,
    pub mirror: Mirror,
    tmp: tempfile::TempDir,
}

pub const TASK: TaskId = TaskId(7);

pub fn run_key(attempt: u32) -> RunKey {
    RunKey { owner: TASK.into(), place: 1, fence: attempt, kind: RunKind::Agent }
}

/// A grant of everything.
pub fn all() -> WriteGrant {
    WriteGrant { allow: vec!["**".into()], ..WriteGrant::default() }
}

impl Room {
    /// A source repository with these files in one commit on `main`.
    pub async fn new(files: &[(&str, &str)]) -> Room {
        Room::with(files, Config::default()).await
    }

    pub async fn with(files: &[(&str, &str)], config: Config) -> Room {
        Room::below(tempfile::tempdir().unwrap(), files, config).await
    }

    /// In memory where the machine has a place for that: for tests of large trees, which would measure the disk.
    pub async fn in_memory(files: &[(&str, &str)], config: Config) -> Room {
        let tmp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        Room::below(tmp, files, config).await
    }

    async fn below(tmp: tempfile::TempDir, files: &[(&str, &str)], config: Config) -> Room {
        let (data, source) = (tmp.path().join("data"), tmp.path().join("source"));
        fs::create_dir_all(&source).unwrap();
        let spawner = Spawner::start().unwrap();
        let git = Git::open(&data, spawner.clone(), Settings { launcher: launcher(), ..Settings::default() }).unwrap();
        let workspace = Workspace::open(&data, git.clone(), config).unwrap();
        let mirror = workspace.mirror("acme/shop");
        let room = Room { spawner, workspace, git, data, source, mirror, tmp };
        room.git_in(&room.source, &["init", "-q", "-b", "main"]).await;
        // So that the developer's Git commits bytes as they are, whatever `.gitattributes` says.
        write(&room.source.join(".git/info/attributes"), "* -text -ident -filter -working-tree-encoding\n");
        if !files.is_empty() {
            room.commit(files, "base").await;
        }
        room
    }

    pub fn tmp(&self) -> &Path {
        self.tmp.path()
    }

    /// Runs git as a developer would, with an explicit environment; the answer's text.
    pub async fn git_in(&self, dir: &Path, args: &[&str]) -> String {
        let output = self.try_git_in(dir, args).await;
        assert!(output.status.success(), "git {args:?}: {}", output.stderr);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub async fn try_git_in(&self, dir: &Path, args: &[&str]) -> Output {
        let env = [
            ("PATH", "/usr/bin:/bin"),
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "safe.directory"),
            ("GIT_CONFIG_VALUE_0", "*"),
            ("GIT_AUTHOR_NAME", "dev"),
            ("GIT_AUTHOR_EMAIL", "dev@example.org"),
            ("GIT_AUTHOR_DATE", "1700000000 +0000"),
            ("GIT_COMMITTER_NAME", "dev"),
            ("GIT_COMMITTER_EMAIL", "dev@example.org"),
            ("GIT_COMMITTER_DATE", "1700000000 +0000"),
        ];
        let spec = Spec {
            cwd: dir.to_owned(),
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
            ..Spec::new("/usr/bin/git").args(args.iter().copied())
        };
        self.spawner.run(spec).await.unwrap()
    }

    /// Makes a tree in the source from lines as `git ls-tree` prints them; its id.
    pub async fn make_tree(&self, lines: &str) -> String {
        let spec = Spec {
            cwd: self.source.clone(),
            stdin: borg_host::spawn::Stdin::Bytes(lines.into()),
            ..Spec::new("/usr/bin/git").arg("mktree")
        };
        let output = self.spawner.run(spec).await.unwrap();
        assert!(output.status.success(), "git mktree: {}", output.stderr);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes files into the source and commits them.
    pub async fn commit(&self, files: &[(&str, &str)], message: &str) -> CommitId {
        for (path, text) in files {
            write(&self.source.join(path), text);
        }
        self.git_in(&self.source, &["add", "-A"]).await;
        self.git_in(&self.source, &["commit", "-q", "--allow-empty", "-m", message]).await;
        CommitId(self.git_in(&self.source, &["rev-parse", "HEAD"]).await)
    }

    pub fn source_address(&self) -> Source {
        self.source.to_str().unwrap().parse().unwrap()
    }

    /// The right to write the mirror.
    pub async fn lock(&self) -> MirrorLock {
        self.git.lock(&self.mirror).await
    }

    /// Refreshes the mirror; the tip of `main`.
    pub async fn base(&self) -> CommitId {
        self.workspace.refresh(&self.lock().await, &self.source_address()).await.unwrap();
        self.workspace.resolve(&self.mirror, "main").await.unwrap()
    }

    /// Refreshes, and writes the tip into the work tree of an attempt.
    pub async fn attempt(&self, attempt: u32) -> (CommitId, RunDir) {
        let base = self.base().await;
        let dir = self.export(attempt, &base).await;
        (base, dir)
    }

    pub async fn export(&self, attempt: u32, commit: &CommitId) -> RunDir {
        let attempt = Attempt { run: run_key(attempt), commit: commit.clone(), lender: None };
        self.workspace.prepare(&self.lock().await, &attempt).await.unwrap()
    }

    pub fn order(&self, attempt: u32, parent: &CommitId, write: WriteGrant) -> Collect {
        Collect {
            run: run_key(attempt),
            parent: parent.clone(),
            ignores: parent.clone(),
            write,
            pinned_at: None,
            persona: "worker".into(),
            message: "Do the work\n".into(),
            time: 1_800_000_000,
            reference: format!("refs/borg/7/s1-a{attempt}"),
            artefacts: Vec::new(),
        }
    }

    pub async fn collect(&self, attempt: u32, parent: &CommitId, write: WriteGrant) -> Collected {
        self.workspace.collect(&self.lock().await, &self.order(attempt, parent, write)).await.unwrap()
    }

    /// Paths of a commit's tree.
    pub async fn paths(&self, commit: &CommitId) -> Vec<String> {
        let (list, whole) = self.workspace.list_tree(&self.mirror, commit, 1_000_000).await.unwrap();
        assert!(whole);
        list.into_iter().map(|entry| entry.path).collect()
    }

    pub async fn text(&self, commit: &CommitId, path: &str) -> Option<String> {
        let blob = self.workspace.read_file(&self.mirror, commit, path, 1 << 20).await.unwrap()?;
        Some(String::from_utf8(blob.bytes).unwrap())
    }
}

/// The `borg-init` binary, when it was built: Git then runs confined in these tests too.
pub fn launcher() -> Option<PathBuf> {
    let built = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("libexec/borg-init");
    built.is_file().then_some(built)
}

pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Rows as `(path, reason)`.
pub fn left(collected: &Collected) -> Vec<(&str, LeftReason)> {
    collected.left_behind.iter().map(|row| (row.path.as_str(), row.reason.clone())).collect()
}

pub fn is_root() -> bool {
    borg_host::spawn::User::current().is_root()
}
