//! One change from the source to a branch of the source, and everything that may be done twice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, TASK, all, left, run_key, write};
use borg_core::{collect::LeftReason, facts::FileStatus, run::WriteGrant, survey};
use borg_host::{
    forge::branch::{self, Delivered, Delivery},
    workspace::{Attempt, Collect},
};
use std::{fs, os::unix::fs::PermissionsExt};

const FILES: &[(&str, &str)] = &[
    ("README.md", "# shop\r\n"),
    (".gitattributes", "* text=auto eol=lf\n*.txt ident working-tree-encoding=UTF-16 filter=evil\n"),
    (".gitignore", "*.log\n/dist/\n"),
    ("src/lib.py", "def total():\n    return 0\n"),
    ("notes.txt", "$Id$ plain\r\n"),
    ("old/gone.txt", "gone\n"),
];

#[tokio::test]
async fn a_change_goes_from_source_to_branch() {
    let room = Room::new(FILES).await;
    fs::write(room.source.join("tool.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(room.source.join("tool.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("src/lib.py", room.source.join("link")).unwrap();
    room.commit(&[], "tool and link").await;
    let (base, dir) = room.attempt(1).await;

    // Bytes of the commit, without any conversion.
    for path in ["README.md", "notes.txt"] {
        let blob = room.workspace.read_file(&room.mirror, &base, path, 1 << 20).await.unwrap().unwrap();
        assert_eq!(fs::read(dir.workspace.join(path)).unwrap(), blob.bytes, "{path}");
    }
    assert_eq!(fs::read_link(dir.workspace.join("link")).unwrap().to_str(), Some("src/lib.py"));
    assert_eq!(dir.workspace.join("tool.sh").metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(dir.workspace.join("src/lib.py").metadata().unwrap().permissions().mode() & 0o777, 0o644);

    write(&dir.workspace.join("src/lib.py"), "def total():\n    return 1\n");
    write(&dir.workspace.join("src/new.py"), "x = 1\n");
    write(&dir.workspace.join("notes.txt"), "$Id$ new\r\n");
    write(&dir.workspace.join("debug.log"), "noise");
    write(&dir.workspace.join("dist/out.bin"), "noise");
    write(&dir.workspace.join("src/__pycache__/a.pyc"), "noise");
    fs::remove_dir_all(dir.workspace.join("old")).unwrap();
    write(&dir.out.join("spec.md"), "the spec");
    let mut order = room.order(1, &base, all());
    order.artefacts = vec!["spec.md".into(), "missing.md".into()];
    let collected = room.workspace.collect(&room.lock().await, &order).await.unwrap();
    assert_eq!(collected.changed, ["notes.txt", "old/gone.txt", "src/lib.py", "src/new.py"]);
    assert_eq!(collected.left_behind, []);
    assert_eq!(collected.incomplete, [""; 0]);
    assert_eq!(room.text(&collected.commit, "notes.txt").await.unwrap(), "$Id$ new\r\n");
    let [artefact] = &collected.artefacts[..] else { panic!("{:?}", collected.artefacts) };
    assert_eq!((artefact.name.as_str(), artefact.bytes), ("spec.md", 8));
    assert_eq!(room.workspace.read_artefact(artefact.digest).await.unwrap(), b"the spec");

    let log = room.git_in(&room.mirror.dir, &["log", "-1", "--format=%an|%cn|%ct|%s|%P", &collected.commit.0]).await;
    assert_eq!(log, format!("worker|borg|1800000000|Do the work|{base}"));
    room.git_in(&room.mirror.dir, &["fsck", "--strict", "--full"]).await;

    let survey =
        room.workspace.survey(&room.mirror, &base, &collected.commit, survey::Limits::default()).await.unwrap();
    assert_eq!(survey.incomplete, [""; 0]);
    let file = survey.files.iter().find(|file| file.path == "src/lib.py").unwrap();
    assert_eq!(file.status, FileStatus::Modified);
    assert!(file.head_text.as_deref().is_some_and(|text| text.contains("return 1")));

    let delivery =
        Delivery { target: room.source_address(), branch: "borg/7/total".into(), commit: collected.commit.clone() };
    assert_eq!(branch::deliver(&room.git, &room.lock().await, &delivery).await.unwrap(), Delivered::Pushed);
    assert_eq!(branch::deliver(&room.git, &room.lock().await, &delivery).await.unwrap(), Delivered::AlreadyThere);
    assert_eq!(room.git_in(&room.source, &["rev-parse", "borg/7/total"]).await, collected.commit.0);
    assert_eq!(room.git_in(&room.mirror.dir, &["rev-parse", "refs/heads/borg/7/total"]).await, collected.commit.0);

    // Another commit under the same name is told, not forced.
    let other = Delivery { commit: base.clone(), ..delivery.clone() };
    let told = branch::deliver(&room.git, &room.lock().await, &other).await.unwrap_err().to_string();
    assert!(told.contains(&collected.commit.0) && told.contains(&base.0), "{told}");
    room.git_in(&room.mirror.dir, &["update-ref", "-d", "refs/heads/borg/7/total"]).await;
    let told = branch::deliver(&room.git, &room.lock().await, &other).await.unwrap_err().to_string();
    assert!(told.contains(&collected.commit.0), "{told}");
    assert_eq!(room.git_in(&room.source, &["rev-parse", "borg/7/total"]).await, collected.commit.0);

    // A refresh keeps what is ours, though the source may lack it.
    room.git_in(&room.source, &["branch", "-D", "borg/7/total"]).await;
    room.base().await;
    assert!(room.workspace.read_ref(&room.mirror, "refs/borg/7/s1-a1").await.unwrap().is_some());
}

#[tokio::test]
async fn the_same_work_in_a_later_attempt_is_a_commit_of_its_own() {
    let room = Room::new(FILES).await;
    let base = room.base().await;
    let mut commits = Vec::new();
    for attempt in 1..=2 {
        let dir = room.export(attempt, &base).await;
        write(&dir.workspace.join("src/lib.py"), "changed\n");
        // Trees and blobs of the second are known: its commit is the only new object.
        let order = Collect { time: 1_800_000_000 + i64::from(attempt), ..room.order(attempt, &base, all()) };
        commits.push(room.workspace.collect(&room.lock().await, &order).await.unwrap().commit);
    }
    assert_ne!(commits[0], commits[1]);
    for commit in &commits {
        assert_eq!(room.text(commit, "src/lib.py").await.unwrap(), "changed\n");
    }
}

#[tokio::test]
async fn a_redone_collection_gives_the_same_commit() {
    let room = Room::new(FILES).await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("src/lib.py"), "changed\n");
    for n in 0..300 {
        write(&dir.workspace.join(format!("gen/f{n}")), &format!("{n}\n"));
    }
    let first = room.collect(1, &base, all()).await;
    let again = room.collect(1, &base, all()).await;
    assert_eq!(first, again);

    // The same work in another data directory.
    let other = Room::new(FILES).await;
    let (base, dir) = other.attempt(1).await;
    for n in (0..300).rev() {
        write(&dir.workspace.join(format!("gen/f{n}")), &format!("{n}\n"));
    }
    write(&dir.workspace.join("src/lib.py"), "changed\n");
    assert_eq!(other.collect(1, &base, all()).await, first);

    // Anything else at that ref is not overwritten.
    write(&dir.workspace.join("src/lib.py"), "changed again\n");
    let told =
        other.workspace.collect(&other.lock().await, &other.order(1, &base, all())).await.unwrap_err().to_string();
    assert!(told.contains("refs/borg/7/s1-a1") && told.contains(&first.commit.0), "{told}");
}

#[tokio::test]
async fn nothing_changed_is_the_parent() {
    let room = Room::new(FILES).await;
    let (base, _) = room.attempt(1).await;
    let collected = room.collect(1, &base, WriteGrant::default()).await;
    assert_eq!((collected.commit, collected.changed.len(), collected.left_behind.len()), (base.clone(), 0, 0));
    assert_eq!(room.workspace.read_ref(&room.mirror, "refs/borg/7/s1-a1").await.unwrap(), Some(base));
}

#[tokio::test]
async fn what_is_not_granted_stays_behind() {
    let room = Room::new(&[("src/a.py", "a\n"), ("src/b.py", "b\n"), ("ci.yml", "ci\n"), ("docs/x.md", "x\n")]).await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("src/a.py"), "changed\n");
    write(&dir.workspace.join("docs/new.md"), "new\n");
    write(&dir.workspace.join("ci.yml"), "evil\n");
    write(&dir.workspace.join("loot/one"), "1");
    write(&dir.workspace.join("loot/two"), "2");
    fs::remove_file(dir.workspace.join("src/b.py")).unwrap();
    let grant =
        WriteGrant { allow: vec!["docs/**".into(), "ci.yml".into()], deny: vec!["ci.yml".into()], pinned: vec![] };
    let collected = room.collect(1, &base, grant).await;
    assert_eq!(collected.changed, ["docs/new.md"]);
    assert_eq!(
        left(&collected),
        [("ci.yml", LeftReason::Protected), ("loot/", LeftReason::NotGranted), ("src/", LeftReason::NotGranted)]
    );
    assert_eq!(collected.left_behind[1].count, 2);
    assert_eq!(room.text(&collected.commit, "src/a.py").await.unwrap(), "a\n");
    assert_eq!(room.text(&collected.commit, "src/b.py").await.unwrap(), "b\n");
    assert_eq!(room.text(&collected.commit, "ci.yml").await.unwrap(), "ci\n");
}

#[tokio::test]
async fn the_comfort_git_works_and_lends_nothing_else() {
    let room = Room::new(FILES).await;
    room.git_in(&room.source, &["checkout", "-q", "-b", "secret"]).await;
    let secret = room.commit(&[("secret.txt", "hidden\n")], "secret").await;
    room.git_in(&room.source, &["checkout", "-q", "main"]).await;
    let base = room.base().await;
    let lender = room.workspace.lend(TASK.into(), &room.lock().await, ("main", &base), &base).await.unwrap();
    let attempt = Attempt { run: run_key(1), commit: base.clone(), lender: Some(lender.clone()) };
    let dir = room.workspace.prepare(&room.lock().await, &attempt).await.unwrap();
    assert_eq!(room.git_in(&dir.workspace, &["rev-parse", "HEAD"]).await, base.0);
    assert_eq!(
        room.git_in(&dir.workspace, &["-c", "core.attributesFile=/dev/null", "status", "--porcelain", "README.md"])
            .await,
        ""
    );
    write(&dir.workspace.join("src/lib.py"), "edited\n");
    assert!(room.git_in(&dir.workspace, &["diff"]).await.contains("+edited"));
    assert!(!room.try_git_in(&dir.workspace, &["cat-file", "-e", &secret.0]).await.status.success());
    assert!(!room.try_git_in(&lender, &["cat-file", "-e", &secret.0]).await.status.success());

    // A later stage: its parent is in the lender too.
    let collected = room.collect(1, &base, all()).await;
    assert_eq!(collected.changed, ["src/lib.py"]);
    assert_eq!(collected.left_behind, []);
    let lender =
        room.workspace.lend(TASK.into(), &room.lock().await, ("main", &base), &collected.commit).await.unwrap();
    let attempt = Attempt { run: run_key(2), commit: collected.commit.clone(), lender: Some(lender.clone()) };
    let dir = room.workspace.prepare(&room.lock().await, &attempt).await.unwrap();
    assert!(room.git_in(&dir.workspace, &["log", "-1", "--format=%an"]).await.contains("worker"));
    room.workspace.forget_owner(&TASK.to_string()).await.unwrap();
    room.workspace.discard(run_key(2)).await.unwrap();
    assert!(!lender.exists() && !dir.root.exists());
}

#[tokio::test]
async fn a_sha256_repository_is_served_alike() {
    let room = Room::new(&[]).await;
    fs::remove_dir_all(room.source.join(".git")).unwrap();
    room.git_in(&room.source, &["init", "-q", "-b", "main", "--object-format=sha256"]).await;
    room.commit(&[("a", "a\n"), ("b", "b\n")], "base").await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("a"), "changed\n");
    let collected = room.collect(1, &base, all()).await;
    assert_eq!((collected.commit.0.len(), &collected.changed[..]), (64, &["a".to_owned()][..]));
    let delivery = Delivery { target: room.source_address(), branch: "borg/7/a".into(), commit: collected.commit };
    assert_eq!(branch::deliver(&room.git, &room.lock().await, &delivery).await.unwrap(), Delivered::Pushed);
}
