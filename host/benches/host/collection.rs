//! Collecting a work tree of 10,000 files as one checked commit, over `git add` of the same files.
//!
//! Ours compares with the parent commit's tree, streams into a quarantine, has Git check what it wrote and moves it into the mirror;
//! `git add` only writes objects and an index, and trusts what it reads.

use crate::{init, scratch};
use anyhow::{Result, ensure};
use borg_core::{
    collect::CommitId,
    id::{RunKey, RunKind, TaskId},
    run::WriteGrant,
};
use borg_host::{
    git::{Git, Settings, mirror::Mirror},
    spawn::Spawner,
    workspace::{Attempt, Collect, Config, Workspace},
};
use borg_tests::{
    measure::{Row, compare, timed},
    repo::Repo,
};
use std::{cell::Cell, fs, ops::Range, path::Path, time::Instant};
use tempfile::TempDir;

const ROUNDS: usize = 5;
const FILES: usize = 10_000;
const CHANGED: usize = 10;

pub async fn measure() -> Result<()> {
    let empty = Room::new(Repo::new()?.file("README", "a repository\n")?.commit("Base")?).await?;
    let new = compare(
        ROUNDS,
        async || empty.collect(|tree| write_files(tree, 0..FILES, "one")).await,
        async || {
            let repo = Repo::new()?;
            write_files(&repo.path(), 0..FILES, "one")?;
            add(&repo)
        },
    );
    println!("{}", Row::times("collection of 10,000 new files as a checked commit, over `git add`", new.await?));

    let (repo, full) = (full()?, Room::new(full()?).await?);
    // A text that no round before had.
    let mut texts = 0..;
    let mut text = || texts.next().unwrap_or_default().to_string();
    let changed = compare(
        ROUNDS,
        async || full.collect(|tree| write_files(tree, 0..CHANGED, "two")).await,
        async || {
            write_files(&repo.path(), 0..CHANGED, &text())?;
            add(&repo)
        },
    );
    println!("{}", Row::times("collection of 10,000 files, ten of them changed, over `git add`", changed.await?));
    Ok(())
}

/// A repository with all files committed.
fn full() -> Result<Repo> {
    let repo = Repo::new()?;
    // Git would pack so many objects in the background, and be measured doing so.
    repo.git(&["config", "gc.auto", "0"])?;
    write_files(&repo.path(), 0..FILES, "one")?;
    repo.commit("Base")
}

/// Writes files, 100 to a folder, each with a text of its own.
fn write_files(top: &Path, numbers: Range<usize>, text: &str) -> Result<()> {
    for n in numbers {
        let folder = top.join(format!("d{:03}", n / 100));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("file{n}.py")), format!("# {text}\nvalue = {n}\n"))?;
    }
    Ok(())
}

/// Seconds that `git add` of everything takes.
fn add(repo: &Repo) -> Result<f64> {
    let start = Instant::now();
    repo.git(&["add", "--all"])?;
    Ok(start.elapsed().as_secs_f64())
}

/// A workspace with one mirrored repository.
struct Room {
    workspace: Workspace,
    mirror: Mirror,
    base: CommitId,
    next: Cell<u32>,
    _source: Repo,
    _dir: TempDir,
}

impl Room {
    async fn new(source: Repo) -> Result<Self> {
        let dir = scratch()?;
        let settings = Settings { launcher: Some(init(dir.path())?.path), ..Settings::default() };
        let git = Git::open(dir.path(), Spawner::start()?, settings)?;
        let workspace = Workspace::open(dir.path(), git, Config::default())?;
        let mirror = workspace.mirror("bench/files");
        workspace.refresh(&workspace.git().lock(&mirror).await, &source.path().display().to_string().parse()?).await?;
        let base = workspace.resolve(&mirror, "main").await?;
        Ok(Room { workspace, mirror, base, next: Cell::new(1), _source: source, _dir: dir })
    }

    /// Seconds that collection takes of what `change` leaves in a new attempt's work tree.
    async fn collect(&self, change: impl Fn(&Path) -> Result<()>) -> Result<f64> {
        let attempt = self.next.replace(self.next.get() + 1);
        let run = RunKey { owner: TaskId(1).into(), place: 0, fence: attempt, kind: RunKind::Agent };
        let from = Attempt { run, commit: self.base.clone(), lender: None };
        let dirs = self.workspace.prepare(&self.workspace.git().lock(&self.mirror).await, &from).await?;
        change(&dirs.workspace)?;
        let order = Collect {
            run,
            parent: self.base.clone(),
            ignores: self.base.clone(),
            write: WriteGrant { allow: vec!["**".into()], ..WriteGrant::default() },
            pinned_at: None,
            persona: "worker".into(),
            message: "Work\n".into(),
            // Another commit each time: what is there already would not be written.
            time: 1_700_000_000 + i64::from(attempt),
            reference: format!("refs/borg/1/s0-a{attempt}"),
            artefacts: Vec::new(),
        };
        let (collected, seconds) =
            timed(self.workspace.collect(&self.workspace.git().lock(&self.mirror).await, &order)).await;
        let collected = collected?;
        ensure!(collected.left_behind.is_empty() && !collected.changed.is_empty(), "not all was taken: {collected:?}");
        Ok(seconds)
    }
}
