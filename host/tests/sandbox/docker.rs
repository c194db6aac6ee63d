//! What only containers can promise: limits of memory, other people's images and containers, and a host that comes back.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::room::{IMAGE, Kind, Room, follow, setting, until};
use bollard::{
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, StartContainerOptions,
    },
};
use borg_core::{
    executor::EndCause,
    run::{ImageRef, SandboxSpec},
};
use borg_host::sandbox::{Error, image};
use std::{collections::HashMap, fs};

async fn room() -> Option<Room> {
    Room::new(Kind::Docker).await
}

/// The engine itself, behind the adapter's back.
fn engine() -> bollard::Docker {
    let socket = setting("DOCKER_HOST").unwrap_or_else(|| "/var/run/docker.sock".to_owned());
    bollard::Docker::connect_with_unix(&socket, 60, &bollard::ClientVersion { major_version: 1, minor_version: 41 })
        .unwrap()
}

/// The name the adapter gives the container of a run.
fn name(room: &Room, spec: &SandboxSpec) -> String {
    format!("borg-{}-{}", &room.installation[..12], spec.run)
}

/// A container of somebody, made behind the adapter's back.
async fn foreign(name: &str, labels: &[(&str, &str)], host_config: HostConfig) -> bollard::Docker {
    let engine = engine();
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(vec!["sleep".to_owned(), "1000".to_owned()]),
        labels: Some(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()),
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..host_config }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    engine.create_container(Some(options), body).await.unwrap();
    engine.start_container(name, None::<StartContainerOptions>).await.unwrap();
    engine
}

async fn remove(engine: &bollard::Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    engine.remove_container(name, Some(options)).await.unwrap();
}

async fn is_running(engine: &bollard::Docker, name: &str) -> Option<bool> {
    engine.inspect_container(name, None::<InspectContainerOptions>).await.ok()?.state?.running
}

/// An image of these Dockerfile lines on top of the base, removed with the value.
struct Image(String);

impl Image {
    async fn build(room: &Room, lines: &str) -> Image {
        let context = tempfile::tempdir().unwrap();
        fs::write(context.path().join("Dockerfile"), format!("ARG BASE_IMAGE\nFROM ${{BASE_IMAGE}}\n{lines}")).unwrap();
        let tag = format!("{}-{}:latest", room.installation, borg_core::id::Digest::of_bytes(lines.as_bytes()).short());
        let host = setting("DOCKER_HOST");
        let build = image::Build { host: host.as_deref(), context: Some(context.path()), tag: &tag, base: Some(IMAGE) };
        let mut progress = Vec::new();
        let id = image::build(build, |line| progress.push(line.to_owned())).await.unwrap();
        assert!(id.starts_with("sha256:") && progress.iter().any(|line| line.contains("FROM")), "{progress:?}");
        Image(tag)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let tag = std::mem::take(&mut self.0);
        let clean = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let options = RemoveImageOptionsBuilder::new().force(true).build();
            if let Err(error) = runtime.block_on(engine().remove_image(&tag, Some(options), None)) {
                eprintln!("{tag} stays behind: {error}");
            }
        };
        // The test's own runtime cannot be entered from here.
        drop(std::thread::spawn(clean).join());
    }
}

#[tokio::test]
async fn memory_is_limited_and_its_end_is_named() {
    let Some(room) = room().await else { return };
    // The process itself, and a child that its parent only sees failing.
    for script in ["exec perl -e '$x = \"x\" x 200_000_000; sleep 9'", "perl -e '$x = \"x\" x 200_000_000'; exit 2"] {
        let mut spec = room.sh(script);
        spec.limits.memory_bytes = 64 << 20;
        let ran = room.run(&spec).await;
        assert_eq!(ran.end.cause, EndCause::OutOfMemory, "{script}: {:?}", ran.end);
    }
}

/// An engine that follows a log may end it before the last lines of a process that ends at once: four at a time, so that it does.
#[tokio::test]
async fn what_ends_at_once_has_started_and_said_its_words() {
    let Some(room) = room().await else { return };
    for _ in 0..10 {
        let specs: Vec<SandboxSpec> = (0..4).map(|_| room.argv(["echo", "done"])).collect();
        let all = specs.iter().map(|spec| room.run(spec));
        for ran in futures_util::future::join_all(all).await {
            assert_eq!((ran.end.exit_code, ran.out().as_str()), (Some(0), "done\n"), "{:?}", ran.end);
        }
    }
}

#[tokio::test]
async fn tmp_counts_against_memory_or_disk_but_never_nothing() {
    let Some(room) = room().await else { return };
    let mut spec = room.sh("head -c 100000000 /dev/zero > /tmp/big; stat -c %s /tmp/big");
    spec.limits.memory_bytes = 64 << 20;
    let ran = room.run(&spec).await;
    let written: u64 = ran.out().trim().parse().unwrap();
    assert!(written <= 16 << 20, "{written}");
    let mut spec = room.sh("i=0; while true; do i=$((i+1)); head -c 1000000 /dev/zero > /tmp/$i || sleep 0.1; done");
    spec.exec = true;
    spec.limits.disk_bytes = 8 << 20;
    assert_eq!(room.run(&spec).await.end.cause, EndCause::DiskCap);
}

#[tokio::test]
async fn a_host_that_comes_back_finds_its_run_and_every_line() {
    let Some(room) = room().await else { return };
    let spec = room.sh("for i in $(seq 300); do echo line$i; test $i = 150 && while ! test -e /out/go; do sleep 0.05; done; done; exit 7");
    let dirs = room.dirs(spec.run);
    let first = room.start(&spec).await.unwrap();
    // The first host reads a part and dies.
    let (sender, mut receiver) = tokio::sync::mpsc::channel(8);
    let mut heard = Vec::new();
    {
        let following = room.sandbox.lines(spec.run, 0, sender);
        let some = async {
            while heard.len() < 100 {
                heard.push(receiver.recv().await.expect("it goes on"));
            }
        };
        tokio::select! { end = following => panic!("ended early: {end:?}"), () = some => {} }
    }
    drop(receiver);
    // The second finds it, and is asked to start it once more by a redone effect.
    let second = room.again().await;
    let found = second.find(spec.run).await.unwrap().unwrap();
    assert!(found.running && found.init_pid == Some(first.init_pid));
    assert_eq!(second.list().await.unwrap(), [(spec.run, true)]);
    let adopted = second.start(&spec, &dirs).await.unwrap();
    assert_eq!((adopted.init_pid, &adopted.attestation), (first.init_pid, &first.attestation));
    fs::write(dirs.out.join("go"), "").unwrap();
    let after = heard.last().unwrap().n;
    let (rest, end) = follow(&second, spec.run, after).await;
    heard.extend(rest);
    assert_eq!(heard.iter().map(|line| line.n).collect::<Vec<_>>(), (1..=302).collect::<Vec<_>>());
    let lines: Vec<&str> =
        heard.iter().map(|line| line.text.as_str()).filter(|text| text.starts_with("line")).collect();
    assert_eq!(lines, (1..=300).map(|i| format!("line{i}")).collect::<Vec<_>>());
    assert_eq!((end.cause, end.exit_code), (EndCause::Exited, Some(7)));
    // The third comes when all is over.
    let third = room.again().await;
    assert_eq!(third.start(&spec, &dirs).await.unwrap().attestation, first.attestation);
    let (lines, end) = follow(&third, spec.run, 300).await;
    assert_eq!((lines.len(), end.cause, end.exit_code), (2, EndCause::Exited, Some(7)));
    third.remove(spec.run).await.unwrap();
    assert_eq!(room.sandbox.find(spec.run).await.unwrap(), None);
}

#[tokio::test]
async fn a_run_is_adopted_though_it_moved_the_folder_of_a_pin() {
    let Some(room) = room().await else { return };
    let mut spec = room
        .sh("mv tests elsewhere; echo x > late.py; echo > /out/moved; while ! test -e /out/go; do sleep 0.05; done");
    spec.write.pinned = vec!["tests/test_a.py".into(), "late.py".into()];
    let dirs = room.dirs(spec.run);
    fs::create_dir(dirs.workspace.join("tests")).unwrap();
    fs::write(dirs.workspace.join("tests/test_a.py"), "pinned\n").unwrap();
    let first = room.start(&spec).await.unwrap();
    until("it moved the folder", || dirs.out.join("moved").exists()).await;
    assert!(dirs.workspace.join("elsewhere").exists() && dirs.workspace.join("late.py").exists());
    let next = room.again().await;
    let adopted = next.start(&spec, &dirs).await.unwrap();
    assert_eq!((adopted.init_pid, &adopted.attestation), (first.init_pid, &first.attestation));
    fs::write(dirs.out.join("go"), "").unwrap();
    assert_eq!(follow(&next, spec.run, 0).await.1.cause, EndCause::Exited);
    next.remove(spec.run).await.unwrap();
}

#[tokio::test]
async fn why_a_run_was_killed_survives_the_host() {
    let Some(room) = room().await else { return };
    let spec = room.sh("sleep 1000");
    room.start(&spec).await.unwrap();
    room.sandbox.kill(spec.run, EndCause::Capped).await.unwrap();
    let (_, end) = follow(&room.again().await, spec.run, 0).await;
    assert_eq!(end.cause, EndCause::Capped);
}

#[tokio::test]
async fn the_wall_limit_counts_from_the_start_not_from_the_adoption() {
    let Some(room) = room().await else { return };
    let mut spec = room.sh("sleep 1000");
    spec.limits.wall_ms = 4_000;
    let started = std::time::Instant::now();
    room.start(&spec).await.unwrap();
    until("time passes", || started.elapsed().as_millis() > 3_000).await;
    let (_, end) = follow(&room.again().await, spec.run, 0).await;
    assert_eq!(end.cause, EndCause::TimedOut);
    assert!(started.elapsed().as_millis() < 6_500, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_container_that_vanishes_is_lost_and_one_killed_by_others_is_told_so() {
    let Some(room) = room().await else { return };
    let spec = room.sh("sleep 1000");
    room.start(&spec).await.unwrap();
    let engine = engine();
    let container = name(&room, &spec);
    let ((), (_, end)) = tokio::join!(remove(&engine, &container), follow(&room.sandbox, spec.run, 0));
    assert!([EndCause::Lost, EndCause::KilledBySignal].contains(&end.cause), "{end:?}");
    assert_eq!(follow(&room.sandbox, spec.run, 0).await.1.cause, EndCause::Lost);
}

#[tokio::test]
async fn neighbours_are_not_touched() {
    let Some(room) = room().await else { return };
    let spec = room.sh("sleep 1000");
    let neighbour = room.neighbour("anotherinstallation").await;
    let dirs = room.dirs(spec.run);
    neighbour.start(&spec, &dirs).await.unwrap();
    // The same run key, another installation: not seen, not listed, not killed, not removed.
    assert_eq!(room.sandbox.find(spec.run).await.unwrap(), None);
    assert_eq!(room.sandbox.list().await.unwrap(), []);
    room.sandbox.kill(spec.run, EndCause::Cancelled).await.unwrap();
    room.sandbox.remove(spec.run).await.unwrap();
    assert!(neighbour.find(spec.run).await.unwrap().unwrap().running);
    neighbour.remove(spec.run).await.unwrap();
    // A container that merely has our name.
    let container = name(&room, &spec);
    let engine = foreign(&container, &[], HostConfig::default()).await;
    for error in [
        room.start(&spec).await.map(drop),
        room.sandbox.kill(spec.run, EndCause::Cancelled).await,
        room.sandbox.remove(spec.run).await,
        room.sandbox.find(spec.run).await.map(drop),
    ] {
        assert!(matches!(error, Err(Error::NameTaken(_))), "{error:?}");
    }
    assert_eq!(is_running(&engine, &container).await, Some(true));
    remove(&engine, &container).await;
}

#[tokio::test]
async fn what_is_not_as_planned_is_removed_not_used() {
    let Some(room) = room().await else { return };
    let spec = room.sh("sleep 1000");
    // Somebody made it in our name, with a door open.
    let container = name(&room, &spec);
    let labels = [("borg.installation", room.installation.as_str()), ("borg.run", &spec.run.to_string())];
    let open = HostConfig { cap_add: Some(vec!["NET_ADMIN".to_owned()]), ..HostConfig::default() };
    let engine = foreign(&container, &labels, open).await;
    let error = room.start(&spec).await.unwrap_err();
    let Error::Mismatch(differences) = error else { panic!("{error}") };
    for key in ["CapAdd", "ReadonlyRootfs", "Memory", "Entrypoint", "User", "not mounted"] {
        assert!(differences.iter().any(|line| line.contains(key)), "{key} is not in {differences:?}");
    }
    assert_eq!(is_running(&engine, &container).await, None, "it was removed");
}

#[tokio::test]
async fn a_container_that_was_never_started_is_made_anew() {
    let Some(room) = room().await else { return };
    let spec = room.sh("echo fresh");
    let labels = HashMap::from([("borg.installation".to_owned(), room.installation.clone())]);
    let cmd = Some(vec!["true".to_owned()]);
    let body = ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd,
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(&name(&room, &spec)).build();
    engine().create_container(Some(options), body).await.unwrap();
    assert_eq!(room.run(&spec).await.out(), "fresh\n");
}

#[tokio::test]
async fn a_hostile_image_changes_nothing() {
    let Some(room) = room().await else { return };
    let image = Image::build(
        &room,
        "ENV LD_PRELOAD=/evil.so NODE_OPTIONS=--require=/evil.js PYTHONSTARTUP=/evil.py TOKEN=leak\n\
         USER root\nVOLUME /data\nVOLUME /workspace\nHEALTHCHECK --interval=1s CMD touch /out/health\n\
         ENTRYPOINT [\"/bin/false\"]\nCMD [\"evil\"]\nSTOPSIGNAL SIGWINCH\nWORKDIR /root\nLABEL borg.run=t9-s9-a9-agent\n",
    )
    .await;
    let script = "env | cut -d= -f1 | sort | tr '\\n' ' '; id -u; (echo x > /data/probe) 2>/dev/null && echo volume; sleep 2.5; ls /out";
    let mut spec = room.sh(script);
    spec.image = ImageRef(image.0.clone());
    let ran = room.run(&spec).await;
    let uid = borg_host::sandbox::identity().0;
    assert_eq!(ran.out(), format!("HOME LANG PATH PWD TMPDIR {uid}\n"), "{}", ran.end.stderr_tail);
}

#[tokio::test]
async fn a_volume_in_the_wrong_place_is_refused() {
    let Some(room) = room().await else { return };
    for path in ["/workspace/src", "/opt", "/tmp/x"] {
        let image = Image::build(&room, &format!("VOLUME {path}\n")).await;
        let mut spec = room.sh("true");
        spec.image = ImageRef(image.0.clone());
        let error = room.start(&spec).await.unwrap_err();
        assert!(matches!(error, Error::ImageVolume { .. }) && error.to_string().contains(path), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_left_in_the_engine() {
    let Some(room) = room().await else { return };
    let image = Image::build(&room, "VOLUME /data\n").await;
    let mut spec = room.sh("true");
    spec.image = ImageRef(image.0.clone());
    let engine = engine();
    let volumes = || async {
        let all = engine.list_volumes(None::<bollard::query_parameters::ListVolumesOptions>).await.unwrap();
        all.volumes.unwrap_or_default().len()
    };
    let before = volumes().await;
    room.run(&spec).await;
    assert_eq!(volumes().await, before);
    let filters = HashMap::from([("label".to_owned(), vec![format!("borg.installation={}", room.installation)])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    assert!(engine.list_containers(Some(options)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_image_and_a_wrong_address_name_the_remedy() {
    let Some(room) = room().await else { return };
    let mut spec = room.sh("true");
    spec.image = ImageRef("borg-no-such-image:latest".to_owned());
    let error = room.start(&spec).await.unwrap_err();
    assert!(error.to_string().contains("borg-host image build"), "{error}");
    assert!(!image::is_present(setting("DOCKER_HOST").as_deref(), "borg-no-such-image").await.unwrap());
    let error = image::is_present(Some("tcp://127.0.0.1:2375"), IMAGE).await.unwrap_err();
    assert!(matches!(error, Error::BadEngineAddress(_)));
    let error = image::is_present(Some("unix:///no/such/socket"), IMAGE).await.unwrap_err();
    assert!(
        matches!(error, Error::NoEngine { .. }) && error.is_passing() && error.to_string().contains("DOCKER_HOST"),
        "{error}"
    );
}

#[tokio::test]
async fn sources_outside_the_run_are_not_mounted() {
    let Some(room) = room().await else { return };
    let spec = room.sh("true");
    let mut dirs = room.dirs(spec.run);
    fs::remove_dir(&dirs.out).unwrap();
    std::os::unix::fs::symlink("/etc", &dirs.out).unwrap();
    let error = room.sandbox.start(&spec, &dirs).await.unwrap_err();
    assert!(matches!(error, Error::Mount(_)), "{error}");
    let outside = tempfile::tempdir().unwrap();
    dirs = room.dirs(room.sh("true").run);
    dirs.home = outside.path().to_owned();
    let error = room.sandbox.start(&spec, &dirs).await.unwrap_err();
    assert!(matches!(error, Error::Mount(_)), "{error}");
    let owner = |path| std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap());
    assert_eq!(owner(outside.path()), owner(std::path::Path::new("/proc/self")), "it was not handed over");
    let elsewhere = tempfile::tempdir().unwrap();
    dirs = room.dirs(room.sh("true").run);
    dirs.agent = Some(elsewhere.path().to_owned());
    let error = room.sandbox.start(&spec, &dirs).await.unwrap_err();
    assert!(matches!(error, Error::Mount(_)), "{error}");
    assert_eq!(room.sandbox.list().await.unwrap(), []);
}
