//! Trees so large that memory or time would run out if anything were kept per entry.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod room;

use borg_core::{collect::LeftReason, run::WriteGrant};
use borg_host::workspace::{Config, Limits};
use room::{Room, all, run_key, write};
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

    // Entries beyond the count are not looked at, and what the parent has there stays.
    let room = Room::with(&[("a", "a\n"), ("z", "z\n")], Config { limits, ..Config::default() }).await;
    let (base, dir) = room.attempt(1).await;
    flood(&dir.workspace, 2, 600);
    fs::remove_file(dir.workspace.join("z")).unwrap();
    let collected = room.collect(1, &base, all()).await;
    assert!(room.text(&collected.commit, "z").await.is_some());
    assert!(
        collected.incomplete.iter().any(|why| why.contains("more than 1000 entries")),
        "{:?}",
        collected.incomplete
    );
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
