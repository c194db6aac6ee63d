//! Work trees that an agent made to run something, to read something from outside, or to have something vanish unseen.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, all, is_root, left, run_key, write};
use borg_core::{
    check::harness::{Cause, Overlaid},
    collect::LeftReason,
    run::WriteGrant,
};
use borg_host::workspace::HarnessFrom;
use rustix::fs::{FileType, Mode, mknodat};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt, fs::symlink},
    path::Path,
};

const FILES: &[(&str, &str)] =
    &[("src/a.py", "a\n"), ("src/b.py", "b\n"), ("keep/x", "x\n"), ("keep/y", "y\n"), (".gitignore", "*.log\n")];

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A program that leaves a trace when anybody runs it.
fn trap(room: &Room) -> (std::path::PathBuf, String) {
    let canary = room.tmp().join("canary");
    let program = room.tmp().join("trap.sh");
    fs::write(&program, format!("#!/bin/sh\necho run >> {}\ncat\n", canary.display())).unwrap();
    chmod(&program, 0o755);
    (canary, program.display().to_string())
}

#[tokio::test]
async fn nested_repositories_run_nothing() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let (canary, program) = trap(&room);
    for nested in ["nested", "src", "keep/deep"] {
        let nested = dir.workspace.join(nested);
        fs::create_dir_all(&nested).unwrap();
        room.git_in(&nested, &["init", "-q"]).await;
        write(&nested.join(".gitattributes"), "* filter=evil diff=evil ident working-tree-encoding=UTF-16 eol=crlf\n");
        write(&nested.join("payload.txt"), "$Id$ payload\r\n");
        for (name, value) in [
            ("core.fsmonitor", program.as_str()),
            ("filter.evil.clean", &program),
            ("filter.evil.process", &program),
            ("filter.evil.required", "true"),
            ("diff.evil.textconv", &program),
            ("core.sshCommand", &program),
            ("core.pager", &program),
        ] {
            room.git_in(&nested, &["config", name, value]).await;
        }
        for hook in ["pre-commit", "post-index-change", "reference-transaction"] {
            fs::copy(&program, nested.join(".git/hooks").join(hook)).unwrap();
        }
    }
    // The trap works: anybody who runs Git there falls into it.
    room.try_git_in(&dir.workspace.join("nested"), &["status"]).await;
    assert!(canary.exists());
    fs::remove_file(&canary).unwrap();

    let collected = room.collect(1, &base, all()).await;
    assert!(!canary.exists(), "something of the agent's was run");
    let lookalikes: Vec<_> = left(&collected).into_iter().filter(|(_, why)| *why == LeftReason::GitLookalike).collect();
    assert_eq!(lookalikes.len(), 3, "{lookalikes:?}");
    assert!(collected.changed.contains(&"nested/payload.txt".to_owned()));
    // Attributes changed no byte.
    assert_eq!(room.text(&collected.commit, "nested/payload.txt").await.unwrap(), "$Id$ payload\r\n");
    // And the next attempt gets the same bytes.
    let again = room.export(2, &collected.commit).await;
    assert_eq!(fs::read(again.workspace.join("nested/payload.txt")).unwrap(), b"$Id$ payload\r\n");
    assert!(!canary.exists());
}

#[tokio::test]
async fn git_lookalikes_are_not_entered_and_told() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let names = [".GIT", ".git ", ".git.", "git~1", ".g\u{200c}it", ".git::$INDEX_ALLOCATION", "x\\.git"];
    for name in names {
        write(&dir.workspace.join("evil").join(name).join("config"), "[core]\n\tfsmonitor = evil\n");
    }
    write(&dir.workspace.join("worktree/.git"), "gitdir: /etc\n");
    symlink("/etc", dir.workspace.join(".GiT")).unwrap();
    // The comfort `.git` of the host itself is expected and never read, whatever it holds now.
    write(&dir.workspace.join(".git/hooks/post-checkout"), "#!/bin/sh\n");
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.commit, base);
    assert_eq!(
        left(&collected),
        [
            (".GiT", LeftReason::GitLookalike),
            ("evil/", LeftReason::GitLookalike),
            ("worktree/.git", LeftReason::GitLookalike)
        ]
    );
    assert_eq!(collected.left_behind[1].count, names.len() as u64);
}

#[tokio::test]
async fn links_are_taken_as_links() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let secret = room.tmp().join("secret");
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join("key"), "sk-secret").unwrap();
    symlink(&secret, dir.workspace.join("out-dir")).unwrap();
    symlink(secret.join("key"), dir.workspace.join("out-file")).unwrap();
    symlink("/proc/self/environ", dir.workspace.join("proc")).unwrap();
    fs::remove_dir_all(dir.workspace.join("keep")).unwrap();
    symlink(&secret, dir.workspace.join("keep")).unwrap();
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed, ["keep", "keep/x", "keep/y", "out-dir", "out-file", "proc"]);
    assert_eq!(
        room.paths(&collected.commit).await,
        [".gitignore", "keep", "out-dir", "out-file", "proc", "src/a.py", "src/b.py"]
    );
    let found = room.try_git_in(&room.mirror.dir, &["grep", "-c", "sk-secret", &collected.commit.0]).await;
    assert_eq!(found.status.code(), Some(1), "content from outside");
}

#[tokio::test]
async fn what_is_no_file_is_told_and_never_waited_for() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let fifo = |path: &Path| mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    fifo(&dir.workspace.join("pipe"));
    // A tracked file replaced by a pipe keeps its content.
    fs::remove_file(dir.workspace.join("src/a.py")).unwrap();
    fifo(&dir.workspace.join("src/a.py"));
    let _socket = std::os::unix::net::UnixListener::bind(dir.workspace.join("sock")).unwrap();
    let mut expected = vec!["pipe", "sock", "src/a.py"];
    if is_root()
        && mknodat(
            rustix::fs::CWD,
            dir.workspace.join("null"),
            FileType::CharacterDevice,
            Mode::RWXU,
            rustix::fs::makedev(1, 3),
        )
        .is_ok()
    {
        expected.insert(0, "./");
        expected.retain(|path| path.contains('/'));
    } else {
        expected = vec!["./", "src/a.py"];
    }
    // An ignored one is litter like any other.
    fifo(&dir.workspace.join("x.log"));
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.commit, base);
    assert!(left(&collected).iter().all(|(_, why)| *why == LeftReason::NotAFile), "{:?}", collected.left_behind);
    assert_eq!(left(&collected).iter().map(|(path, _)| *path).collect::<Vec<_>>(), expected);
    assert_eq!(collected.incomplete.len(), 1, "{:?}", collected.incomplete);
}

#[tokio::test]
async fn mode_bits_decide_what_is_unreadable() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("src/a.py"), "changed\n");
    chmod(&dir.workspace.join("src/a.py"), 0);
    write(&dir.workspace.join("new"), "new\n");
    chmod(&dir.workspace.join("new"), 0o044);
    write(&dir.workspace.join("keep/z"), "z\n");
    chmod(&dir.workspace.join("keep"), 0);
    write(&dir.workspace.join("plain"), "plain\n");
    chmod(&dir.workspace.join("plain"), 0o4711);
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed, ["plain"]);
    assert_eq!(
        left(&collected),
        [("./", LeftReason::Unreadable), ("src/a.py", LeftReason::Unreadable)],
        "nothing vanished silently"
    );
    assert_eq!(collected.incomplete.len(), 1);
    // The unreadable folder's files are still those of the parent.
    assert_eq!(room.text(&collected.commit, "keep/x").await.unwrap(), "x\n");
    let (list, _) = room.workspace.list_tree(&room.mirror, &collected.commit, 100).await.unwrap();
    assert_eq!(list.iter().find(|entry| entry.path == "plain").unwrap().mode, 0o100755);
    // Such a directory can be removed.
    room.workspace.discard(run_key(1)).await.unwrap();
    assert!(!dir.root.exists());
}

#[tokio::test]
async fn strange_names_are_kept() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let names: [&[u8]; 8] =
        [b"\xff\xfe.py", b"new\nline", b"tab\tquote\"back\\slash", b"-rf", b" ", b"\x01", "ü".as_bytes(), b"a b "];
    for name in names {
        fs::write(dir.workspace.join("src").join(OsStr::from_bytes(name)), name).unwrap();
    }
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed.len(), names.len());
    assert!(collected.changed.contains(&"src/\\xff\\xfe.py".to_owned()), "{:?}", collected.changed);
    assert_eq!((collected.left_behind.len(), collected.incomplete.len()), (0, 0));
    let again = room.export(2, &collected.commit).await;
    for name in names {
        assert_eq!(fs::read(again.workspace.join("src").join(OsStr::from_bytes(name))).unwrap(), name);
    }
    assert_eq!(room.collect(2, &collected.commit, all()).await.changed, [""; 0]);
}

#[tokio::test]
async fn harness_in_a_folder_whose_name_is_no_text_does_not_reach_a_check() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let folder = dir.workspace.join(OsStr::from_bytes(b"src/\xff"));
    write(&folder.join("conftest.py"), "evil");
    write(&folder.join("code.py"), "code");
    let collected = room.collect(1, &base, all()).await;
    let from = HarnessFrom { base: &base, accepted: &[], command: "pytest" };
    let checked =
        room.workspace.with_harness_of(&room.lock().await, from, &collected.commit, run_key(1)).await.unwrap();
    let expected = [".gitignore", "keep/x", "keep/y", "src/a.py", "src/b.py", "src/\\xff/code.py"];
    assert_eq!(room.paths(&checked.commit).await, expected);
    // What is taken out is told.
    let told = [Overlaid { path: "src/\\xff/conftest.py".into(), cause: Cause::TakenOut }];
    assert_eq!(checked.overlaid, told);
}

#[tokio::test]
async fn a_folder_that_is_ignored_still_shows_its_tracked_files() {
    let room = Room::new(&[("dist/kept.js", "old\n"), ("node_modules/pinned/a.js", "old\n"), ("x", "x\n")]).await;
    let base = room.commit(&[(".gitignore", "dist/\n")], "ignore").await;
    let (_, dir) = room.attempt(1).await;
    write(&dir.workspace.join("dist/kept.js"), "new\n");
    write(&dir.workspace.join("dist/made.js"), "made\n");
    write(&dir.workspace.join("dist/deep/made.js"), "made\n");
    fs::remove_file(dir.workspace.join("node_modules/pinned/a.js")).unwrap();
    write(&dir.workspace.join("node_modules/other/b.js"), "b\n");
    // The agent's own ignore file hides nothing.
    write(&dir.workspace.join(".gitignore"), "*\n");
    write(&dir.workspace.join("hidden.py"), "hidden\n");
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed, [".gitignore", "dist/kept.js", "hidden.py", "node_modules/pinned/a.js"]);
    assert_eq!(collected.left_behind, []);
}

#[tokio::test]
async fn out_gives_only_plain_declared_files() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let secret = room.tmp().join("secret");
    fs::write(&secret, "sk-secret").unwrap();
    symlink(&secret, dir.out.join("link.md")).unwrap();
    fs::hard_link(&secret, dir.out.join("hard.md")).unwrap();
    mknodat(rustix::fs::CWD, dir.out.join("fifo.md"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(dir.out.join("big.md"), vec![b'x'; (8 << 20) + 1]).unwrap();
    fs::write(dir.out.join("full.md"), vec![b'x'; 8 << 20]).unwrap();
    fs::write(dir.out.join("locked.md"), "x").unwrap();
    chmod(&dir.out.join("locked.md"), 0);
    fs::create_dir(dir.out.join("folder.md")).unwrap();
    fs::write(dir.out.join("stray.txt"), "x").unwrap();
    let declared =
        ["link.md", "hard.md", "fifo.md", "big.md", "full.md", "locked.md", "folder.md", "../secret", "absent.md"];
    let mut order = room.order(1, &base, WriteGrant::default());
    order.artefacts = declared.map(str::to_owned).to_vec();
    let collected = room.workspace.collect(&room.lock().await, &order).await.unwrap();
    assert_eq!(collected.artefacts.iter().map(|artefact| artefact.name.as_str()).collect::<Vec<_>>(), ["full.md"]);
    let rows = left(&collected);
    assert_eq!(
        rows,
        [
            ("/out/", LeftReason::NotAFile),
            ("/out/big.md", LeftReason::OverLimit),
            ("/out/locked.md", LeftReason::Unreadable),
            ("/out/stray.txt", LeftReason::NotGranted)
        ]
    );
    let stored =
        fs::read_dir(room.data.join("artefacts")).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    assert!(stored.into_iter().all(|bytes| !bytes.starts_with(b"sk-")));
}

#[tokio::test]
async fn a_used_directory_is_removed_without_following_links() {
    let room = Room::new(FILES).await;
    let (_, dir) = room.attempt(1).await;
    let outside = room.tmp().join("outside");
    write(&outside.join("precious"), "precious");
    symlink(&outside, dir.workspace.join("link")).unwrap();
    symlink(&outside, dir.workspace.join("src/link")).unwrap();
    // Deeper than any path may be, with doors shut on the way, by the only means an agent has: relative steps.
    let mut folder = rustix::fs::open(&dir.workspace, rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, "d", rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    }
    drop(folder);
    write(&dir.workspace.join("shut/.borg-removed-0/x/y"), "x");
    chmod(&dir.workspace.join("shut/.borg-removed-0"), 0);
    chmod(&dir.workspace.join("shut"), 0);
    room.workspace.discard(run_key(1)).await.unwrap();
    assert!(!dir.root.exists());
    assert_eq!(fs::read_to_string(outside.join("precious")).unwrap(), "precious");
    room.workspace.discard(run_key(1)).await.unwrap();
}

#[tokio::test]
async fn a_tree_too_deep_is_told() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    let mut folder = rustix::fs::open(&dir.workspace, rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    for _ in 0..600 {
        rustix::fs::mkdirat(&folder, "d", Mode::RWXU).unwrap();
        folder = rustix::fs::openat(&folder, "d", rustix::fs::OFlags::RDONLY, Mode::empty()).unwrap();
    }
    drop(folder);
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.left_behind.len(), 1);
    assert_eq!(collected.left_behind[0].reason, LeftReason::OverLimit);
    assert_eq!(collected.incomplete.len(), 1);
}
