//! Trees so large that memory or time would run out if anything were kept per entry.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, all, left, run_key, write};
use borg_core::{
    collect::{CommitId, LeftReason},
    run::WriteGrant,
};
use borg_host::workspace::{Attempt, Config, Limits, Workspace};
use std::{fs, path::Path};

/// Bytes of this process' memory that are in use, from `/proc/self/status`.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Hard links are cheaper to make than files and mean the same to a walker.
fn flood(top: &Path, folders: usize, files: usize) {
    for folder in 0..folders {
        let dir = top.join(format!("d{folder:04}"));
        fs::create_dir(&dir).unwrap();
        let first = dir.join("f00000");
        fs::write(&first, "x\n").unwrap();
        for file in 1..files {
            fs::hard_link(&first, dir.join(format!("f{file:05}"))).unwrap();
        }
    }
}

#[tokio::test]
async fn a_hundred_thousand_files_are_collected() {
    let config = Config { limits: Limits { changed_files: 200_000, ..Limits::default() }, ..Config::default() };
    let room = Room::in_memory(&[("a", "a\n")], config).await;
    let (base, dir) = room.attempt(1).await;
    flood(&dir.workspace, 20, 5_000);
    let collected = room.collect(1, &base, all()).await;
    assert_eq!((collected.changed.len(), collected.left_behind.len(), collected.incomplete.len()), (100_000, 0, 0));
    let again = room.export(2, &collected.commit).await;
    assert_eq!(fs::read_to_string(again.workspace.join("d0019/f04999")).unwrap(), "x\n");
    assert_eq!(room.collect(2, &collected.commit, all()).await.changed, [""; 0]);
    room.workspace.discard(run_key(1)).await.unwrap();
    room.workspace.discard(run_key(2)).await.unwrap();
    assert!(!dir.root.exists());
}

#[tokio::test]
async fn a_million_entries_stay_in_bounded_memory() {
    let room = Room::in_memory(&[("a", "a\n")], Config::default()).await;
    let (base, dir) = room.attempt(1).await;
    flood(&dir.workspace, 50, 20_000);
    write(&dir.workspace.join("zz"), "last\n");
    let before = peak_memory();
    let grant = WriteGrant { allow: vec!["zz".into()], ..WriteGrant::default() };
    let collected = room.collect(1, &base, grant).await;
    assert_eq!(collected.changed, ["zz"]);
    assert_eq!(collected.left_behind.iter().map(|row| row.count).sum::<u64>(), 1_000_000);
    assert!(
        collected.left_behind.len() <= 256
            && collected.left_behind.iter().all(|row| row.reason == LeftReason::NotGranted)
    );
    let grown = peak_memory() - before;
    assert!(grown < 64 << 20, "{grown} bytes more");
    room.workspace.discard(run_key(1)).await.unwrap();
}

#[tokio::test]
async fn limits_are_told_and_nothing_vanishes() {
    let limits =
        Limits { entries: 1000, changed_files: 10, changed_bytes: 4096, file_bytes: 2048, ..Limits::default() };
    let room = Room::with(&[("a", "a\n"), ("b", "b\n"), ("z", "z\n")], Config { limits, ..Config::default() }).await;
    let (base, dir) = room.attempt(1).await;
    // Too large by itself, in memory and out of it; the parent's content stays.
    fs::write(dir.workspace.join("a"), vec![b'x'; 3000]).unwrap();
    fs::write(dir.workspace.join("b"), vec![b'x'; 5 << 20]).unwrap();
    for n in 0..3 {
        fs::write(dir.workspace.join(format!("m{n}")), vec![b'x'; 1500]).unwrap();
    }
    for n in 0..20 {
        write(&dir.workspace.join(format!("n/{n:02}")), "n\n");
    }
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed.len(), 10);
    assert_eq!(room.text(&collected.commit, "a").await.as_deref(), Some("a\n"));
    assert_eq!(room.text(&collected.commit, "b").await.as_deref(), Some("b\n"));
    let over: u64 = collected.left_behind.iter().map(|row| row.count).sum();
    assert_eq!(over, 2 + 1 + 12);
    assert!(collected.left_behind.iter().all(|row| row.reason == LeftReason::OverLimit));
    assert_eq!(collected.incomplete.len(), 1);

    // A folder of too many entries is not looked at, and what the parent has there stays: it is listed in no order.
    let room =
        Room::with(&[("a", "a\n"), ("d0001/in", "in\n"), ("z", "z\n")], Config { limits, ..Config::default() }).await;
    let (base, dir) = room.attempt(1).await;
    fs::remove_dir_all(dir.workspace.join("d0001")).unwrap();
    flood(&dir.workspace, 2, 600);
    fs::remove_file(dir.workspace.join("z")).unwrap();
    let grant = WriteGrant { deny: vec!["d0000/**".into()], ..all() };
    let collected = room.collect(1, &base, grant).await;
    assert_eq!(collected.changed, ["z"]);
    assert_eq!(room.text(&collected.commit, "d0001/in").await.as_deref(), Some("in\n"));
    assert!(left(&collected).contains(&("d0001", LeftReason::OverLimit)), "{:?}", collected.left_behind);
    assert_eq!(collected.incomplete.len(), 1);

    // And so it is with the top.
    flood(&dir.workspace.join("d0000"), 1, 2);
    for n in 0..1000 {
        fs::create_dir(dir.workspace.join(format!("e{n}"))).unwrap();
    }
    let mut order = room.order(1, &base, all());
    order.reference = "refs/borg/7/again".into();
    let collected = room.workspace.collect(&room.lock().await, &order).await.unwrap();
    assert_eq!(collected.commit, base);
    assert!(collected.incomplete[0].contains("more than 1000 entries"), "{:?}", collected.incomplete);
}

#[tokio::test]
async fn many_long_names_and_sparse_files_cost_the_host_little() {
    let limits = Limits { name_bytes: 2_000, read_bytes: 3 << 20, ..Limits::default() };
    let room = Room::with(&[("a", "a\n"), ("b", "b\n"), ("c", "c\n")], Config { limits, ..Config::default() }).await;
    let (base, dir) = room.attempt(1).await;
    for n in 0..20 {
        write(&dir.workspace.join(format!("long/{n:0200}")), "x\n");
    }
    for name in ["b", "c", "long/new"] {
        fs::File::create(dir.workspace.join(name)).unwrap().set_len(2 << 20).unwrap();
    }
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed.len(), 1 + 9, "{:?}", collected.changed);
    let over: u64 = collected.left_behind.iter().map(|row| row.count).sum();
    assert_eq!((over, collected.incomplete.len()), (2 + 11, 1), "{:?}", collected.left_behind);
    assert_eq!(room.text(&collected.commit, "c").await.as_deref(), Some("c\n"));
}

#[tokio::test]
async fn a_change_of_much_text_is_surveyed_in_bounded_memory() {
    let room = Room::new(&[("a", "a\n")]).await;
    let (base, dir) = room.attempt(1).await;
    let text = "x = 1\n".repeat(150_000);
    for n in 0..200 {
        write(&dir.workspace.join(format!("m{n}.py")), &format!("# {n}\n{text}"));
    }
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed.len(), 200);
    let before = peak_memory();
    let limits = borg_core::survey::Limits::default();
    let survey = room.workspace.survey(&room.mirror, &base, &collected.commit, limits).await.unwrap();
    let grown = peak_memory() - before;
    assert!(grown < 160 << 20, "{grown} bytes more");
    assert!(survey.incomplete.iter().any(|why| why.contains("bytes of text")), "{:?}", survey.incomplete);
}

/// Gives the source's `main` a tree in which each of `levels` folders holds `wide` of the next.
async fn bomb(room: &Room, levels: usize, wide: usize, content: &str) {
    let file = room.tmp().join("content");
    fs::write(&file, content).unwrap();
    let mut id = room.git_in(&room.source, &["hash-object", "-w", file.to_str().unwrap()]).await;
    for level in 0..levels {
        let kind = if level == 0 { "100644 blob" } else { "040000 tree" };
        let lines: String = (0..wide).map(|n| format!("{kind} {id}\t{n:04}\n")).collect();
        id = room.make_tree(&lines).await;
    }
    let commit = room.git_in(&room.source, &["commit-tree", &id, "-m", "bomb"]).await;
    room.git_in(&room.source, &["update-ref", "refs/heads/main", &commit]).await;
}

#[tokio::test]
async fn a_tree_that_some_small_objects_make_endless_fills_neither_disk_nor_time() {
    let room = Room::new(&[("a", "a\n")]).await;
    bomb(&room, 12, 10, "x\n").await;
    let base = room.base().await;
    let started = std::time::Instant::now();
    let limits = Limits { entries: 1000, ..Limits::default() };
    let small = Workspace::open(&room.data, room.git.clone(), Config { limits, ..Config::default() });
    let attempt = |commit: &_| Attempt { run: run_key(1), commit: CommitId::clone(commit), lender: None };
    let told = small.unwrap().prepare(&room.lock().await, &attempt(&base)).await.unwrap_err().to_string();
    assert!(told.contains("more than a work tree may have"), "{told}");
    let (list, whole) = room.workspace.list_tree(&room.mirror, &base, 100).await.unwrap();
    assert_eq!((list.len(), whole), (100, false));
    let limit = borg_tests::busy::allowing(std::time::Duration::from_secs(20));
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());

    bomb(&room, 1, 100, &"x".repeat(100_000)).await;
    let base = room.base().await;
    let limits = Limits { tree_bytes: 5_000_000, ..Limits::default() };
    let small = Workspace::open(&room.data, room.git.clone(), Config { limits, ..Config::default() });
    let told = small.unwrap().prepare(&room.lock().await, &attempt(&base)).await.unwrap_err().to_string();
    assert!(told.contains("than a work tree may hold"), "{told}");
    room.workspace.prepare(&room.lock().await, &attempt(&base)).await.unwrap();
}

#[tokio::test]
async fn ignore_files_without_end_are_not_all_obeyed() {
    let room = Room::new(&[("a", "a\n")]).await;
    // One blob, a thousand paths.
    let file = room.tmp().join("content");
    fs::write(&file, "*.log\n".repeat(1000)).unwrap();
    let blob = room.git_in(&room.source, &["hash-object", "-w", file.to_str().unwrap()]).await;
    let inner = room.make_tree(&format!("100644 blob {blob}\t.gitignore\n")).await;
    let lines: String = (0..1000).map(|n| format!("040000 tree {inner}\td{n:04}\n")).collect();
    let tree = room.make_tree(&lines).await;
    let commit = room.git_in(&room.source, &["commit-tree", &tree, "-m", "ignores"]).await;
    room.git_in(&room.source, &["update-ref", "refs/heads/main", &commit]).await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("d0000/x.log"), "x\n");
    write(&dir.workspace.join("d0999/x.log"), "x\n");
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed, ["d0999/x.log"]);
    assert!(collected.incomplete[0].contains("is not obeyed, and none after it"), "{:?}", collected.incomplete);
}

#[tokio::test]
async fn large_files_are_streamed() {
    let room = Room::new(&[("big", "small\n"), ("same", "small\n")]).await;
    let big: Vec<u8> = (0..20 << 20).map(|n: u32| (n % 251) as u8).collect();
    fs::write(room.source.join("same"), &big).unwrap();
    room.commit(&[], "big").await;
    let (base, dir) = room.attempt(1).await;
    assert_eq!(fs::read(dir.workspace.join("same")).unwrap(), big);
    fs::write(dir.workspace.join("big"), &big).unwrap();
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed, ["big"]);
    let blob = room.workspace.read_file(&room.mirror, &collected.commit, "big", 1 << 10).await.unwrap().unwrap();
    assert_eq!((&blob.bytes[..], blob.complete), (&big[..1 << 10], false));
    let again = room.export(2, &collected.commit).await;
    assert_eq!(fs::read(again.workspace.join("big")).unwrap(), big);
}

#[tokio::test]
async fn many_small_packs_become_few_and_nothing_is_lost() {
    let room = Room::with(&[("a", "a\n")], Config { packs: 5, ..Config::default() }).await;
    let packs = || {
        let entries = fs::read_dir(room.mirror.dir.join("objects/pack")).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "pack")).count()
    };
    let mut parent = room.base().await;
    let mut commits = vec![parent.clone()];
    let mut most = 0;
    for attempt in 1..=12 {
        let dir = room.export(attempt, &parent).await;
        write(&dir.workspace.join(format!("f{attempt}")), "x\n");
        parent = room.collect(attempt, &parent, all()).await.commit;
        commits.push(parent.clone());
        most = most.max(packs());
        room.workspace.consolidate(&room.lock().await).await.unwrap();
    }
    assert!((6..9).contains(&most) && packs() <= 6, "{most}, then {}", packs());
    room.git_in(&room.mirror.dir, &["fsck", "--strict", "--full"]).await;
    for commit in &commits {
        assert!(room.workspace.has_commit(&room.mirror, commit).await.unwrap(), "{commit}");
    }
    assert_eq!(room.paths(&parent).await.len(), 13);
}
