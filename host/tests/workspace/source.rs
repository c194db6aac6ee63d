//! Sources: hostile repositories that want to run something when fetched from or pushed to, and repositories that are no use.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, all, is_root, launcher, write};
use borg_host::{
    forge::branch::{self, Delivered, Delivery},
    git::{Git, Settings, source::Source},
    spawn::User,
    workspace::{Config, Error, Workspace},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

const FILES: &[(&str, &str)] = &[("a.py", "a\n"), ("b.py", "b\n")];

fn trap(room: &Room) -> (PathBuf, String) {
    let canary = room.tmp().join("canary");
    let program = room.tmp().join("trap.sh");
    fs::write(&program, format!("#!/bin/sh\necho \"$0\" >> {}\n", canary.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (canary, program.display().to_string())
}

/// Sets every trap in the source that a served repository has.
async fn arm(room: &Room) -> PathBuf {
    let (canary, program) = trap(room);
    for hook in [
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
        "proc-receive",
        "push-to-checkout",
        "pre-auto-gc",
        "post-index-change",
        "post-checkout",
    ] {
        fs::create_dir_all(room.source.join(".git/hooks")).unwrap();
        fs::copy(&program, room.source.join(".git/hooks").join(hook)).unwrap();
    }
    let hooks = room.source.join(".git/hooks").display().to_string();
    for (name, value) in [
        ("core.hooksPath", hooks.as_str()),
        ("core.fsmonitor", &program),
        ("core.alternateRefsCommand", &program),
        ("core.sshCommand", &program),
        ("core.gitProxy", &program),
        ("core.pager", &program),
        ("core.editor", &program),
        ("uploadpack.packObjectsHook", &program),
        ("receive.denyCurrentBranch", "updateInstead"),
        ("receive.autogc", "true"),
        ("gc.auto", "1"),
        ("gc.autoDetach", "false"),
        ("maintenance.auto", "true"),
        ("gpg.program", &program),
        ("diff.external", &program),
        ("filter.evil.clean", &program),
        ("filter.evil.smudge", &program),
        ("alias.upload-pack", &format!("!{program}")),
        ("credential.helper", &program),
        ("trace2.normalTarget", "/tmp/nowhere/at/all"),
    ] {
        room.git_in(&room.source, &["config", name, value]).await;
    }
    canary
}

#[tokio::test]
async fn a_hostile_source_runs_nothing_when_fetched_or_pushed() {
    let room = Room::new(FILES).await;
    write(&room.source.join(".gitmodules"), "[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c 'touch /tmp/pwned'\n");
    write(&room.source.join(".gitattributes"), "* filter=evil\n");
    room.commit(&[], "modules").await;
    let commit = room.git_in(&room.source, &["rev-parse", "HEAD"]).await;
    room.git_in(&room.source, &["update-index", "--add", "--cacheinfo", &format!("160000,{commit},s")]).await;
    room.git_in(&room.source, &["commit", "-q", "-m", "submodule"]).await;
    let canary = arm(&room).await;
    // The traps work on whoever pushes the usual way.
    room.try_git_in(&room.source, &["push", "-q", &room.source.display().to_string(), "HEAD:refs/heads/side"]).await;
    assert!(canary.exists());
    fs::remove_file(&canary).unwrap();

    let (base, dir) = room.attempt(1).await;
    assert!(dir.workspace.join("s").read_dir().unwrap().next().is_none());
    for (most, named) in [(10, vec!["s".to_owned()]), (0, Vec::new())] {
        assert_eq!(room.workspace.submodules(&room.mirror, &base, most).await.unwrap(), (named, 1));
    }
    write(&dir.workspace.join("a.py"), "changed\n");
    let collected = room.collect(1, &base, all()).await;
    // The submodule is neither lost nor taken for a removal.
    assert_eq!(collected.changed, ["a.py"]);
    assert_eq!(collected.left_behind, []);
    let delivery =
        Delivery { target: room.source_address(), branch: "borg/7/a".into(), commit: collected.commit.clone() };
    assert_eq!(branch::deliver(&room.git, &room.lock().await, &delivery).await.unwrap(), Delivered::Pushed);
    // Even when the branch is the one checked out, nothing touches the developer's files.
    room.git_in(&room.source, &["symbolic-ref", "HEAD", "refs/heads/borg/7/b"]).await;
    let told =
        branch::deliver(&room.git, &room.lock().await, &Delivery { branch: "borg/7/b".into(), ..delivery }).await;
    assert!(told.is_ok() || told.unwrap_err().to_string().contains("refused"));
    assert_eq!(fs::read_to_string(room.source.join("a.py")).unwrap(), "a\n");
    assert!(!canary.exists(), "ran: {}", fs::read_to_string(&canary).unwrap());
}

#[tokio::test]
async fn a_target_that_borrows_objects_runs_nothing() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("a.py"), "changed\n");
    let collected = room.collect(1, &base, all()).await;
    let canary = arm(&room).await;
    write(&room.source.join(".git/objects/info/alternates"), "/etc\n");
    let delivery = Delivery { target: room.source_address(), branch: "borg/7/a".into(), commit: collected.commit };
    let told = branch::deliver(&room.git, &room.lock().await, &delivery).await.unwrap_err().to_string();
    assert!(told.contains("borrows") && told.contains("git repack"), "{told}");
    assert!(!canary.exists());
}

#[tokio::test]
async fn a_partial_clone_fetches_nothing_by_itself() {
    let room = Room::new(FILES).await;
    let (canary, program) = trap(&room);
    let blob = room.git_in(&room.source, &["rev-parse", "HEAD:a.py"]).await;
    fs::remove_file(room.source.join(".git/objects").join(&blob[..2]).join(&blob[2..])).unwrap();
    for (name, value) in [
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "evil"),
        ("remote.evil.url", "/tmp"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.uploadpack", &program),
    ] {
        room.git_in(&room.source, &["config", name, value]).await;
    }
    room.try_git_in(&room.source, &["cat-file", "-p", &blob]).await;
    assert!(canary.exists(), "the trap works");
    fs::remove_file(&canary).unwrap();
    assert!(room.workspace.refresh(&room.lock().await, &room.source_address()).await.is_err());
    assert!(!canary.exists());
    write(&room.source.join(".git/objects/pack/x.promisor"), "");
    let told = room.workspace.refresh(&room.lock().await, &room.source_address()).await.unwrap_err().to_string();
    assert!(told.contains("partial clone"), "{told}");
}

#[tokio::test]
async fn a_tree_with_evil_names_is_refused() {
    let room = Room::new(FILES).await;
    let blob = room.git_in(&room.source, &["rev-parse", "HEAD:a.py"]).await;
    for evil in [".git", "..", ".GIT", "git~1"] {
        let list = room.tmp().join("list");
        fs::write(&list, format!("100644 blob {blob}\t{evil}\0")).unwrap();
        let tree = mktree(&room, &list).await;
        let commit = room.git_in(&room.source, &["commit-tree", &tree, "-m", "evil"]).await;
        room.git_in(&room.source, &["update-ref", "refs/heads/main", &commit]).await;
        let told = room.workspace.refresh(&room.lock().await, &room.source_address()).await.unwrap_err();
        assert!(matches!(told, Error::Git(_)), "{evil}: {told}");
        assert!(room.workspace.resolve(&room.mirror, "main").await.is_err(), "{evil} is in the mirror");
    }
}

async fn mktree(room: &Room, list: &Path) -> String {
    let spec = borg_host::spawn::Spec {
        stdin: borg_host::spawn::Stdin::Bytes(fs::read(list).unwrap()),
        cwd: room.source.clone(),
        ..borg_host::spawn::Spec::new("/usr/bin/git").args(["mktree", "-z"])
    };
    let output = room.spawner.run(spec).await.unwrap();
    assert!(output.status.success(), "{}", output.stderr);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_source_over_the_limits_is_refused() {
    let room = Room::new(FILES).await;
    // Bytes that do not compress (xorshift).
    let mut state = 88_172_645_463_325_252_u64;
    let noise: Vec<u8> = (0..1 << 20)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect();
    fs::write(room.source.join("noise"), noise).unwrap();
    room.commit(&[], "noise").await;
    let settings = Settings { launcher: launcher(), max_file_bytes: 64 << 10, ..Settings::default() };
    let git = Git::open(&room.data, room.spawner.clone(), settings).unwrap();
    let small = Workspace::open(&room.data, git, Config::default()).unwrap();
    assert!(small.refresh(&room.lock().await, &room.source_address()).await.is_err());
    let settings = Settings { launcher: launcher(), timeout: Duration::ZERO, ..Settings::default() };
    let git = Git::open(&room.data, room.spawner.clone(), settings).unwrap();
    let hasty = Workspace::open(&room.data, git, Config::default()).unwrap();
    let told = hasty.refresh(&room.lock().await, &room.source_address()).await.unwrap_err().to_string();
    assert!(told.contains("longer than 0 s"), "{told}");
    room.base().await;
}

#[tokio::test]
async fn git_is_held_to_its_repository() {
    if launcher().is_none() {
        eprintln!("skipped: git_is_held_to_its_repository: borg-init is not built (`cargo xtask build`)");
        return;
    }
    let room = Room::new(FILES).await;
    room.base().await;
    assert!(room.git.is_confined());
    let secret = room.tmp().join("secret");
    fs::write(&secret, "sk-secret").unwrap();
    let read = room.git.on(&room.mirror.dir, "hash-object").arg(&secret);
    assert!(!room.git.attempt(read).await.unwrap().status.success());
    let read = room.git.on(&room.mirror.dir, "hash-object").arg(&secret).reads(&secret);
    assert!(room.git.attempt(read).await.unwrap().status.success(), "the grant works");
    let bundle = room.tmp().join("out.bundle");
    let write = room.git.on(&room.mirror.dir, "bundle").args([
        "create".into(),
        bundle.clone().into_os_string(),
        "--all".into(),
    ]);
    assert!(!room.git.attempt(write).await.unwrap().status.success());
    assert!(!bundle.exists());
}

#[tokio::test]
async fn a_small_pack_that_unfolds_does_not_take_the_memory_of_the_machine() {
    if launcher().is_none() {
        eprintln!(
            "skipped: a_small_pack_that_unfolds_does_not_take_the_memory_of_the_machine: borg-init is not built (`cargo xtask build`)"
        );
        return;
    }
    let room = Room::new(FILES).await;
    fs::write(room.source.join("zeros"), vec![0; 100 << 20]).unwrap();
    room.commit(&[], "zeros").await;
    room.git_in(&room.source, &["repack", "-adq"]).await;
    let settings = Settings { launcher: launcher(), max_memory_bytes: 48 << 20, ..Settings::default() };
    let git = Git::open(&room.data, room.spawner.clone(), settings).unwrap();
    let small = Workspace::open(&room.data, git, Config::default()).unwrap();
    let told = small.refresh(&room.lock().await, &room.source_address()).await.unwrap_err().to_string();
    assert!(told.to_lowercase().contains("out of memory"), "{told}");
    room.base().await;
}

#[tokio::test]
async fn what_a_module_file_would_run_is_refused_at_the_fetch() {
    let room = Room::new(FILES).await;
    write(
        &room.source.join(".gitmodules"),
        "[submodule \"s\"]\n\tpath = s\n\turl = /s\n\tupdate = !touch /tmp/pwned\n",
    );
    room.commit(&[], "modules").await;
    let told = room.workspace.refresh(&room.lock().await, &room.source_address()).await.unwrap_err().to_string();
    assert!(told.contains("gitmodulesUpdate"), "{told}");
}

#[tokio::test]
async fn a_repository_is_served_as_its_owner() {
    if !is_root() {
        eprintln!("skipped: a_repository_is_served_as_its_owner: only root can act as another user");
        return;
    }
    let mut room = Room::new(FILES).await;
    // Our own programs may lie where nobody else gets to.
    let closed = room.tmp().join("closed");
    fs::create_dir(&closed).unwrap();
    if let Some(built) = launcher() {
        let program = closed.join("borg-init");
        fs::copy(built, &program).unwrap();
        room.git =
            Git::open(&room.data, room.spawner.clone(), Settings { launcher: Some(program), ..Settings::default() })
                .unwrap();
        room.workspace = Workspace::open(&room.data, room.git.clone(), Config::default()).unwrap();
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let owner = User { uid: 23456, gid: 23456 };
    let mut waiting = vec![room.source.clone()];
    while let Some(path) = waiting.pop() {
        chown(&path, Some(owner.uid), Some(owner.gid)).unwrap();
        if path.is_dir() {
            waiting.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    fs::set_permissions(&room.source, fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(room.tmp(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&room.data, fs::Permissions::from_mode(0o700)).unwrap();
    // Root's file in the middle: served as root it would be read.
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("a.py"), "changed\n");
    let collected = room.collect(1, &base, all()).await;
    let delivery = Delivery { target: room.source_address(), branch: "borg/7/a".into(), commit: collected.commit };
    assert_eq!(branch::deliver(&room.git, &room.lock().await, &delivery).await.unwrap(), Delivered::Pushed);
    assert_eq!(room.source.join(".git/refs/heads/borg/7/a").metadata().unwrap().uid(), owner.uid);

    fs::set_permissions(room.source.join(".git/refs/heads/main"), fs::Permissions::from_mode(0o600)).unwrap();
    chown(room.source.join(".git/refs/heads/main"), Some(0), Some(0)).unwrap();
    let served = room.workspace.refresh(&room.lock().await, &room.source_address()).await;
    assert!(!served.is_ok_and(|found| found.branches.contains(&"main".to_owned())), "read as root");
}

#[tokio::test]
async fn each_useless_source_is_told_apart() {
    let room = Room::new(&[]).await;
    let refresh = async |path: &Path| {
        let source: Source = path.to_str().unwrap().parse().unwrap();
        room.workspace.refresh(&room.lock().await, &source).await.unwrap_err().to_string()
    };
    assert!(refresh(&room.source).await.contains("no commit yet"));
    assert!(refresh(Path::new("/nonexistent/repo")).await.contains("no repository at"));
    let plain = room.tmp().join("plain");
    write(&plain.join("file"), "x");
    assert!(refresh(&plain).await.contains("not a git repository"));
    assert!(refresh(&plain.join("file")).await.contains("no repository at"));
    write(&plain.join(".git"), "gitdir: /elsewhere/.git/worktrees/plain\n");
    assert!(refresh(&plain).await.contains("/elsewhere/.git/worktrees/plain"));
    assert!(!room.mirror.dir.exists(), "no half-made mirror");
    let no_mirror = room.workspace.resolve(&room.mirror, "main").await.unwrap_err().to_string();
    assert!(no_mirror.contains("refresh it first"), "{no_mirror}");

    room.commit(FILES, "base").await;
    let linked = room.tmp().join("linked");
    fs::create_dir_all(linked.join(".git")).unwrap();
    fs::copy(room.source.join(".git/HEAD"), linked.join(".git/HEAD")).unwrap();
    symlink(room.source.join(".git/objects"), linked.join(".git/objects")).unwrap();
    symlink(room.source.join(".git/refs"), linked.join(".git/refs")).unwrap();
    assert!(refresh(&linked).await.contains("not a git repository"));

    room.base().await;
    let missing = room.workspace.resolve(&room.mirror, "nope").await.unwrap_err().to_string();
    assert!(missing.contains("no branch `nope`") && missing.contains("main"), "{missing}");
    for bad in ["-x", "a..b", "a b", "", "a/", "@{-1}", "x.lock"] {
        assert!(matches!(room.workspace.resolve(&room.mirror, bad).await, Err(Error::BadRef(_))), "{bad}");
    }
    room.git_in(&room.source, &["checkout", "-q", "--detach"]).await;
    let found = room.workspace.refresh(&room.lock().await, &room.source_address()).await.unwrap();
    assert_eq!(found.default_branch, None);
    let told = room.workspace.default_branch(&room.mirror, &found).unwrap_err().to_string();
    assert!(told.contains("set `base`") && told.contains("main"), "{told}");
}

#[tokio::test]
async fn a_branch_that_is_gone_is_gone_and_a_moved_one_moves() {
    let room = Room::new(FILES).await;
    room.git_in(&room.source, &["branch", "side"]).await;
    let first = room.base().await;
    assert!(room.workspace.resolve(&room.mirror, "side").await.is_ok());
    room.git_in(&room.source, &["branch", "-D", "side"]).await;
    room.git_in(&room.source, &["commit", "-q", "--amend", "-m", "rewritten"]).await;
    assert_ne!(room.base().await, first);
    assert!(room.workspace.resolve(&room.mirror, "side").await.is_err());
}
