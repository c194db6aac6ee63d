//! Quarantines that hold something bad, and hosts that die between two steps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::{Room, all, run_key, write};
use borg_core::collect::CommitId;
use borg_host::{
    spawn::{Spec, Stdin},
    workspace::{Config, Error, Quarantine, Workspace},
};
use std::{fs, io::Write, path::PathBuf, time::Duration};

/// Puts a stream of our choice into a quarantine, as a broken import would.
async fn import(room: &Room, quarantine: &Quarantine, stream: &str) {
    let spec = Spec {
        stdin: Stdin::Bytes(stream.into()),
        cwd: quarantine.dir().to_owned(),
        ..Spec::new("/usr/bin/git").args(["-c", "fastimport.unpackLimit=0", "fast-import", "--quiet"])
    };
    let output = room.spawner.run(spec).await.unwrap();
    assert!(output.status.success(), "{}", output.stderr);
}

fn commit(path: &str, data: &str) -> String {
    let path = path.replace('"', "\\\"");
    format!(
        "commit refs/heads/x\ncommitter a <a@b> 1 +0000\ndata 1\nm\nM 100644 inline \"{path}\"\ndata {}\n{data}\n",
        data.len()
    )
}

fn packs(room: &Room) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(room.mirror.dir.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[tokio::test]
async fn what_git_would_not_accept_never_reaches_the_mirror() {
    let room = Room::new(&[("a", "a\n")]).await;
    room.base().await;
    let before = packs(&room);
    let evil_module = "[submodule \"../../x\"]\n\tpath = x\n\turl = -u./payload\n";
    for stream in [
        commit(".git/config", "[core]\n"),
        commit("sub/.GIT/hooks/x", "x"),
        commit("git~1", "x"),
        commit(".gitmodules", evil_module),
    ] {
        let quarantine = room.workspace.quarantine(run_key(1), &room.mirror).await.unwrap();
        import(&room, &quarantine, &stream).await;
        let told = room.workspace.admit(quarantine).await.unwrap_err();
        assert!(matches!(told, Error::Refused(_)), "{stream}: {told}");
        assert_eq!(packs(&room), before);
    }
    // A tree that names an object nobody has.
    let lost = room.tmp().join("lost");
    fs::write(&lost, "lost\n").unwrap();
    let blob = room.git_in(&room.source, &["hash-object", "-w", lost.to_str().unwrap()]).await;
    let quarantine = room.workspace.quarantine(run_key(1), &room.mirror).await.unwrap();
    let alternates = quarantine.dir().join("objects/info/alternates");
    let honest = fs::read(&alternates).unwrap();
    fs::write(&alternates, format!("{}\n", room.source.join(".git/objects").display())).unwrap();
    let stream = format!("commit refs/heads/x\ncommitter a <a@b> 1 +0000\ndata 1\nm\nM 100644 {blob} x\n");
    import(&room, &quarantine, &stream).await;
    fs::write(&alternates, honest).unwrap();
    assert!(matches!(room.workspace.admit(quarantine).await, Err(Error::Refused(_))));
    assert_eq!(packs(&room), before);

    // The harness itself is able to pass.
    let quarantine = room.workspace.quarantine(run_key(1), &room.mirror).await.unwrap();
    import(&room, &quarantine, &commit("fine", "x")).await;
    room.workspace.admit(quarantine).await.unwrap();
    assert!(packs(&room).len() > before.len());
}

#[tokio::test]
async fn a_damaged_pack_never_reaches_the_mirror() {
    let room = Room::new(&[("a", "a\n")]).await;
    room.base().await;
    let before = packs(&room);
    let quarantine = room.workspace.quarantine(run_key(1), &room.mirror).await.unwrap();
    import(&room, &quarantine, &commit("b", &"b\n".repeat(1000))).await;
    let pack = fs::read_dir(quarantine.dir().join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let pack = pack.into_iter().find(|path| path.extension().is_some_and(|end| end == "pack")).unwrap();
    let mut bytes = fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::remove_file(&pack).unwrap();
    fs::write(&pack, bytes).unwrap();
    assert!(matches!(room.workspace.admit(quarantine).await, Err(Error::Refused(_))));
    assert_eq!(packs(&room), before);
}

#[tokio::test]
async fn an_evil_module_file_is_refused_in_words() {
    let room = Room::new(&[("a", "a\n")]).await;
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join(".gitmodules"), "[submodule \"../../x\"]\n\tpath = x\n\turl = -u./payload\n");
    let told = room.workspace.collect(&room.lock().await, &room.order(1, &base, all())).await.unwrap_err();
    assert!(matches!(&told, Error::Refused(why) if why.contains("gitmodules")), "{told}");
    assert_eq!(room.workspace.read_ref(&room.mirror, "refs/borg/7/s1-a1").await.unwrap(), None);
}

/// A host that dies anywhere leaves the mirror whole; the same order, given again, ends as if nothing had happened.
#[tokio::test]
async fn a_collection_cut_off_anywhere_can_be_redone() {
    let files: Vec<_> = (0..200).map(|n| (format!("d{}/f{n}", n % 7), format!("{n}\n").repeat(200))).collect();
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let room = Room::new(&files).await;
    let (base, dir) = room.attempt(1).await;
    for (path, _) in &files {
        let mut file = fs::OpenOptions::new().append(true).open(dir.workspace.join(path)).unwrap();
        file.write_all(b"changed\n").unwrap();
    }
    let mut order = room.order(1, &base, all());
    let whole = {
        order.reference = "refs/borg/7/reference".into();
        room.workspace.collect(&room.lock().await, &order).await.unwrap()
    };
    let started = std::time::Instant::now();
    room.workspace.collect(&room.lock().await, &order).await.unwrap();
    let usual = started.elapsed();
    for cut in 0..20 {
        order.reference = format!("refs/borg/7/cut{cut}");
        // Dropping the future kills Git's processes, as the host's death would.
        let _ = tokio::time::timeout(
            usual * cut / 18 + Duration::from_millis(1),
            room.workspace.collect(&room.lock().await, &order),
        )
        .await;
        room.git_in(&room.mirror.dir, &["fsck", "--strict"]).await;
        let redone = room.workspace.collect(&room.lock().await, &order).await.unwrap();
        assert_eq!(redone, whole, "cut {cut}");
    }
    // A Git process that was cut off may have been writing while its quarantine was removed.
    room.workspace.discard(order.run).await.unwrap();
    assert_eq!(fs::read_dir(room.data.join("quarantine")).unwrap().count(), 0, "quarantines pile up");
    assert!(room.workspace.has_commit(&room.mirror, &whole.commit).await.unwrap());
    assert!(!room.workspace.has_commit(&room.mirror, &CommitId("1".repeat(40))).await.unwrap());
}

#[tokio::test]
async fn a_half_made_mirror_and_a_half_made_run_are_made_anew() {
    let room = Room::new(&[("a", "a\n")]).await;
    fs::create_dir_all(room.mirror.dir.with_extension("new").join("objects")).unwrap();
    let (base, dir) = room.attempt(1).await;
    write(&dir.workspace.join("junk"), "junk");
    let again = room.export(1, &base).await;
    assert_eq!(again, dir);
    assert!(!again.workspace.join("junk").exists());
    // Locks of Git processes that died with the host are removed when the next one starts.
    let stale = room.mirror.dir.join("refs/borg/7/s1-a1.lock");
    write(&stale, "");
    let others = ["objects/pack/tmp_pack_x", "overlay-t7-s1-a1-check.index", "overlay-t7-s1-a1-check.index.lock"];
    let others = others.map(|name| room.mirror.dir.join(name));
    let others = others.into_iter().chain([room.data.join("artefacts/.part-x")]).collect::<Vec<_>>();
    others.iter().for_each(|path| write(path, ""));
    Workspace::open(&room.data, room.git.clone(), Config::default()).unwrap();
    for path in others.iter().chain([&stale]) {
        assert!(!path.exists(), "{}", path.display());
    }
    room.collect(1, &base, all()).await;
    let names: Vec<_> = again.root.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[tokio::test]
async fn a_lock_that_a_killed_call_left_does_not_stop_a_ref() {
    let room = Room::new(&[("a", "a\n")]).await;
    let base = room.base().await;
    let name = "refs/borg/7/s9-a1";
    write(&room.mirror.dir.join(format!("{name}.lock")), "");
    room.workspace.set_ref(&room.lock().await, name, &base, None).await.unwrap();
    assert_eq!(room.workspace.read_ref(&room.mirror, name).await.unwrap(), Some(base));
}
