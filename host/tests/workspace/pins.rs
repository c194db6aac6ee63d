//! Files pinned by an earlier stage: whatever an agent does to them or to the folders above, the commit has them as they were.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, all, left, write};
use borg_core::{
    collect::{Collected, CommitId, LeftReason},
    run::WriteGrant,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const FILES: &[(&str, &str)] =
    &[("src/a.py", "a\n"), ("tests/unit/test_a.py", "assert a\n"), ("tests/util.py", "u\n"), ("z", "z\n")];
const PIN: &str = "tests/unit/test_a.py";

fn pinned() -> WriteGrant {
    WriteGrant { pinned: vec![PIN.into()], ..all() }
}

/// Lets an agent do something, collects, and checks the promise.
async fn after(act: impl FnOnce(&Path)) -> (Room, CommitId, Collected) {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    act(&dir.workspace);
    let collected = room.collect(1, &base, pinned()).await;
    assert_eq!(room.text(&collected.commit, PIN).await.as_deref(), Some("assert a\n"));
    assert!(!collected.changed.iter().any(|path| path == PIN), "{:?}", collected.changed);
    room.git_in(&room.mirror.dir, &["fsck", "--strict"]).await;
    (room, base, collected)
}

#[tokio::test]
async fn edited_removed_or_made_executable() {
    let (_, base, collected) = after(|top| write(&top.join(PIN), "assert True\n")).await;
    assert_eq!((left(&collected), &collected.commit), (vec![(PIN, LeftReason::Pinned)], &base));
    let (_, base, collected) = after(|top| fs::remove_file(top.join(PIN)).unwrap()).await;
    assert_eq!((left(&collected), &collected.commit), (vec![(PIN, LeftReason::Pinned)], &base));
    let (_, base, collected) =
        after(|top| fs::set_permissions(top.join(PIN), fs::Permissions::from_mode(0o755)).unwrap()).await;
    assert_eq!((left(&collected), &collected.commit), (vec![(PIN, LeftReason::Pinned)], &base));
}

#[tokio::test]
async fn the_folder_above_renamed() {
    let (room, _, collected) = after(|top| fs::rename(top.join("tests"), top.join("tests2")).unwrap()).await;
    assert_eq!(left(&collected), [(PIN, LeftReason::Pinned)]);
    assert_eq!(collected.changed, ["tests/util.py", "tests2/unit/test_a.py", "tests2/util.py"]);
    assert_eq!(room.paths(&collected.commit).await, ["src/a.py", PIN, "tests2/unit/test_a.py", "tests2/util.py", "z"]);
}

#[tokio::test]
async fn the_folder_above_replaced_by_a_file_or_a_link() {
    let (room, _, collected) = after(|top| {
        fs::remove_dir_all(top.join("tests")).unwrap();
        write(&top.join("tests"), "not a folder");
        // Sorts between `tests` and what is below it.
        write(&top.join("tests-x"), "x");
    })
    .await;
    assert_eq!(left(&collected), [("tests", LeftReason::Pinned), (PIN, LeftReason::Pinned)]);
    assert_eq!(room.paths(&collected.commit).await, ["src/a.py", "tests-x", PIN, "z"]);
    assert_eq!(collected.changed, ["tests-x", "tests/util.py"]);

    let (room, _, collected) = after(|top| {
        fs::remove_dir_all(top.join("tests/unit")).unwrap();
        std::os::unix::fs::symlink("/etc", top.join("tests/unit")).unwrap();
    })
    .await;
    assert_eq!(left(&collected), [("tests/unit", LeftReason::Pinned), (PIN, LeftReason::Pinned)]);
    assert_eq!(room.paths(&collected.commit).await, ["src/a.py", PIN, "tests/util.py", "z"]);
}

#[tokio::test]
async fn the_file_replaced_by_a_folder() {
    let (_, base, collected) = after(|top| {
        fs::remove_file(top.join(PIN)).unwrap();
        write(&top.join(PIN).join("conftest.py"), "evil");
    })
    .await;
    assert_eq!(left(&collected), [(PIN, LeftReason::Pinned), ("tests/unit/test_a.py/conftest.py", LeftReason::Pinned)]);
    assert_eq!(collected.commit, base);
}

#[tokio::test]
async fn hidden_behind_a_shut_folder() {
    let (_, base, collected) =
        after(|top| fs::set_permissions(top.join("tests"), fs::Permissions::from_mode(0o000)).unwrap()).await;
    assert_eq!((left(&collected), &collected.commit), (vec![("tests", LeftReason::Unreadable)], &base));
}

#[tokio::test]
async fn the_pinning_commit_outranks_the_parent() {
    let room = Room::new(FILES).await;
    let good = room.base().await;
    room.commit(&[(PIN, "assert True\n"), ("src/a.py", "later\n")], "later").await;
    let (parent, dir) = room.attempt(1).await;
    write(&dir.workspace.join("z"), "zz\n");
    let mut order = room.order(1, &parent, pinned());
    order.pinned_at = Some(good.clone());
    let collected = room.workspace.collect(&room.lock().await, &order).await.unwrap();
    assert_eq!(room.text(&collected.commit, PIN).await.as_deref(), Some("assert a\n"));
    assert_eq!(room.text(&collected.commit, "src/a.py").await.as_deref(), Some("later\n"));

    // Removed in the parent: still restored.
    fs::remove_dir_all(room.source.join("tests")).unwrap();
    room.commit(&[], "no tests").await;
    let (parent, _) = room.attempt(2).await;
    let mut order = room.order(2, &parent, pinned());
    order.pinned_at = Some(good);
    let collected = room.workspace.collect(&room.lock().await, &order).await.unwrap();
    assert_eq!(room.text(&collected.commit, PIN).await.as_deref(), Some("assert a\n"));
    let mut order = room.order(2, &parent, pinned());
    order.pinned_at = Some(parent);
    let told = room.workspace.collect(&room.lock().await, &order).await.unwrap_err().to_string();
    assert!(told.contains(PIN), "{told}");
}

#[tokio::test]
async fn a_folder_whose_removal_is_not_granted_outlives_a_file_of_its_name() {
    let room = Room::new(&[("a/x", "x\n"), ("a/y", "y\n"), ("a.txt", "t\n"), ("b", "b\n"), ("c/d", "d\n")]).await;
    let (base, dir) = room.attempt(1).await;
    fs::remove_dir_all(dir.workspace.join("a")).unwrap();
    write(&dir.workspace.join("a"), "file");
    fs::remove_file(dir.workspace.join("b")).unwrap();
    write(&dir.workspace.join("b/in"), "in");
    fs::remove_dir_all(dir.workspace.join("c")).unwrap();
    write(&dir.workspace.join("c"), "c");
    let grant = WriteGrant {
        allow: vec!["a".into(), "a/y".into(), "b/*".into(), "c".into(), "c/d".into()],
        deny: vec![],
        pinned: vec![],
    };
    let collected = room.collect(1, &base, grant).await;
    assert_eq!(room.paths(&collected.commit).await, ["a.txt", "a/x", "b", "c"]);
    assert_eq!(collected.changed, ["a/y", "c", "c/d"]);
    assert_eq!(
        left(&collected),
        [("./", LeftReason::NotGranted), ("a/x", LeftReason::NotGranted), ("b/in", LeftReason::NotGranted)]
    );
}

#[tokio::test]
async fn all_that_stood_in_a_replaced_folder_is_kept() {
    let files =
        [("tests/a.py", "a\n"), ("tests/b.py", "b\n"), ("tests/data/c", "c\n"), ("tests/z.py", "z\n"), ("u", "u\n")];
    for pinned in
        [vec![], vec!["tests/a.py".to_owned(), "tests/b.py".into(), "tests/data/c".into(), "tests/z.py".into()]]
    {
        for is_link in [false, true] {
            let room = Room::new(&files).await;
            let (base, dir) = room.attempt(1).await;
            let tests = dir.workspace.join("tests");
            fs::remove_dir_all(&tests).unwrap();
            match is_link {
                false => write(&tests, "not a folder"),
                true => std::os::unix::fs::symlink("/etc", &tests).unwrap(),
            }
            let deny = if pinned.is_empty() { vec!["tests/**".to_owned()] } else { vec![] };
            let collected = room.collect(1, &base, WriteGrant { deny, pinned: pinned.clone(), ..all() }).await;
            let kept = files.map(|(path, _)| path);
            assert_eq!(room.paths(&collected.commit).await, kept, "pinned: {pinned:?}, link: {is_link}");
            assert_eq!(collected.changed, [""; 0]);
            assert_eq!(collected.left_behind.iter().map(|row| row.count).sum::<u64>(), 5);
        }
    }
}
