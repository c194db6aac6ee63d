//! Who may come in, and how a door ends.

use crate::support::{BODY, Piece, STREAM, World, access, at, own_pid, parse, post, send, sse_head};
use borg_gateway::{BaseError, Error, Fate, Gateway, Rule};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::{
    io::{Read, Write},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{fs::PermissionsExt, net::UnixStream as StdStream},
    },
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Notify,
};

/// Where the other half of [`a_child_of_the_admitted_process_is_refused`] finds the socket.
const SOCKET: &str = "BORG_GATEWAY_TEST_SOCKET";

fn peer_refusal() -> Fate {
    Fate::Refused { rule: Rule::Peer, pointer: None }
}

#[tokio::test]
async fn another_process_is_refused_and_recorded() {
    let world = World::unadmitted(|_| {}, |_| {}).await;
    world.door.admit(own_pid() + 1);
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, answer.rule().as_str()), (403, "peer"));
    assert!(answer.message().ends_with("use the address in ANTHROPIC_BASE_URL."), "{answer:?}");
    let row = world.book.rows().pop().unwrap();
    assert_eq!((row.fate, row.peer_pid), (peer_refusal(), own_pid()));
    assert!(world.upstream.got().is_empty());
}

#[tokio::test]
async fn a_child_of_the_admitted_process_is_refused() {
    let world = World::new().await;
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "door::child_half", "--nocapture"])
        .env_clear()
        .env(SOCKET, &world.socket)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = child.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("HTTP/1.1 403") && text.contains("\"rule\":\"peer\""), "{text}");
    let row = world.book.rows().pop().unwrap();
    assert_eq!(row.fate, peer_refusal());
    assert!(row.peer_pid != own_pid() && row.peer_pid > 0);
    assert!(world.upstream.got().is_empty());
}

/// Does nothing unless it was started by [`a_child_of_the_admitted_process_is_refused`].
#[test]
fn child_half() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let mut stream = StdStream::connect(socket).unwrap();
    // The refusal may come before everything is written.
    let _ = stream.write_all(post("/v1/messages", "", BODY).as_bytes());
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    println!("{}", String::from_utf8_lossy(&text));
}

#[tokio::test]
async fn before_admission_everybody_waits_and_not_for_ever() {
    let world = World::unadmitted(|_| {}, |_| {}).await;
    let socket = world.socket.clone();
    let early = tokio::spawn(async move { send(&socket, post("/v1/messages", "", BODY).as_bytes()).await });
    // Connected and written, but nothing may come of it until somebody is admitted.
    tokio::task::yield_now().await;
    assert!(world.upstream.got().is_empty());
    world.door.admit(own_pid());
    assert_eq!(early.await.unwrap().status, 200);

    let world = World::unadmitted(|limits| limits.admit_time = Duration::from_millis(50), |_| {}).await;
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, answer.rule().as_str()), (403, "peer"));
    assert_eq!(world.door.spent().wall_ms, 0, "wall time starts with admission");
}

#[tokio::test]
async fn connections_are_limited() {
    let world = World::with(|limits| limits.connections = 2, |_| {}).await;
    let idle: Vec<UnixStream> =
        [UnixStream::connect(&world.socket).await.unwrap(), UnixStream::connect(&world.socket).await.unwrap()].into();
    let mut third = UnixStream::connect(&world.socket).await.unwrap();
    third.write_all(post("/v1/messages", "", BODY).as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(100), third.read(&mut byte)).await;
    assert!(early.is_err(), "the third connection was served");
    drop(idle);
    assert_eq!(third.read(&mut byte).await.unwrap(), 1);
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let world = World::with(|limits| limits.head_time = Duration::from_millis(50), |_| {}).await;
    let mut stream = UnixStream::connect(&world.socket).await.unwrap();
    stream.write_all(b"POST /v1/mess").await.unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    assert_ne!(parse(&text).status, 200);
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let world = World::with(|limits| limits.body_time = Duration::from_millis(50), |_| {}).await;
    let mut stream = UnixStream::connect(&world.socket).await.unwrap();
    let request = post("/v1/messages", "", BODY);
    stream.write_all(&request.as_bytes()[..request.len() - 5]).await.unwrap();
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    assert_eq!(parse(&text).rule(), "body");
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let world = World::new().await;
    let mut stream = UnixStream::connect(&world.socket).await.unwrap();
    let request = post("/v1/messages", "", BODY).replace("connection: close\r\n", "");
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n0\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0);
        }
        assert_eq!(parse(&text).status, 200);
    }
    assert_eq!(world.book.rows().len(), 3);
}

#[tokio::test]
async fn closing_cuts_what_lives_and_settles_it() {
    let world = World::new().await;
    let go = Arc::new(Notify::new());
    let head = [sse_head(STREAM.len()), STREAM[..400].to_vec()].concat();
    world.upstream.reply([Piece::Bytes(head), Piece::Pause(go.clone()), Piece::Bytes(STREAM[400..].to_vec())]);
    let mut live = UnixStream::connect(&world.socket).await.unwrap();
    live.write_all(post("/v1/messages", "", BODY).as_bytes()).await.unwrap();
    let idle = UnixStream::connect(&world.socket).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("message_start") {
        assert_ne!(live.read_buf(&mut text).await.unwrap(), 0, "the answer has begun");
    }
    world.door.close().await;
    let _ = live.read_to_end(&mut text).await;
    assert!(parse(&text).cut);
    assert!(!world.socket.exists());
    assert!(UnixStream::connect(&world.socket).await.is_err());
    let mut nothing = Vec::new();
    let mut idle = idle;
    assert_eq!(idle.read_to_end(&mut nothing).await.unwrap_or(0), 0);
    go.notify_one();
    let spent = world.door.settled().await;
    assert_eq!((spent.turns, spent.usage.output_tokens), (1, 97));
    let row = world.book.rows().pop().unwrap();
    assert!(!row.estimated, "{row:?}");
    world.door.close().await;
}

#[tokio::test]
async fn dropping_the_door_shuts_it() {
    let world = World::new().await;
    let (socket, door) = (world.socket.clone(), world.door);
    drop(door);
    assert!(UnixStream::connect(&socket).await.is_err());
}

#[tokio::test]
async fn sockets_are_replaced_and_other_files_are_not() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let open = |path: std::path::PathBuf| {
        let gateway = world.gateway.clone();
        async move { gateway.open(access(&path)).await }
    };
    // A stale one, as after a crash.
    let path = dir.path().join("run.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let door = open(path.clone()).await.unwrap();
    door.admit(own_pid());
    assert_eq!(send(&path, post("/v1/messages", "", BODY).as_bytes()).await.status, 200);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);

    let file = dir.path().join("file");
    std::fs::write(&file, "mine").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link] {
        assert!(matches!(open(path.clone()).await, Err(Error::NotASocket(_))));
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    assert!(matches!(open(dir.path().join("x".repeat(100))).await, Err(Error::LongPath { .. })));
    assert!(matches!(open(dir.path().join("no/where")).await, Err(Error::Listen { .. })));
}

/// Whoever waits for a socket connects as soon as it is there: at no moment may it be there and be closed to them, or be away in between.
#[tokio::test]
async fn a_socket_is_open_to_others_from_its_first_moment() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.sock");
    for state in ["none", "left by a killed host", "left halfway by a killed host"] {
        match state {
            "none" => {}
            "left by a killed host" => drop(std::os::unix::net::UnixListener::bind(&path).unwrap()),
            _ => drop(std::os::unix::net::UnixListener::bind(dir.path().join("gateway.soc~")).unwrap()),
        }
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let all = WatchFlags::CREATE | WatchFlags::ATTRIB | WatchFlags::MOVE | WatchFlags::DELETE;
        inotify::add_watch(&watch, dir.path(), all).unwrap();
        let door = world.gateway.open(access(&path)).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666, "{state}");
        assert_eq!(happened(&watch, "gateway.sock"), [ReadFlags::MOVED_TO], "{state}");
        door.close().await;
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{state}");
    }
}

/// What happened to a file of that name, in order.
fn happened(watch: &OwnedFd, name: &str) -> Vec<ReadFlags> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut seen = Vec::new();
    while let Ok(event) = reader.next() {
        if event.file_name().is_some_and(|file| file.to_bytes() == name.as_bytes()) {
            seen.push(event.events());
        }
    }
    seen
}

#[tokio::test]
async fn a_door_that_shuts_late_leaves_the_socket_of_the_next() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.sock");
    let earlier = world.gateway.open(access(&path)).await.unwrap();
    let later = world.gateway.open(access(&path)).await.unwrap();
    later.admit(own_pid());
    earlier.close().await;
    assert_eq!(send(&path, post("/v1/messages", "", BODY).as_bytes()).await.status, 200);
    later.close().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn settings_that_would_leak_are_refused() {
    let world = World::new().await;
    for base in [
        "http://api.anthropic.com",
        "http://localhost",
        "http://127.0.0.1.evil.example",
        "ftp://x",
        "/v1",
        "http://u:p@127.0.0.1",
        "http://127.0.0.1/?x",
    ] {
        let config = borg_gateway::Config { endpoints: vec![at(&base.parse().unwrap())], ..Default::default() };
        let made = Gateway::new(config, world.keys.clone(), world.book.clone());
        assert!(matches!(made.err(), Some(Error::Base(_))), "{base}");
    }
}

#[tokio::test]
async fn the_default_is_https_with_the_systems_authorities() {
    let world = World::new().await;
    // A machine without certificates is told so; anything else would be a fault of ours.
    match Gateway::new(borg_gateway::Config::default(), world.keys.clone(), world.book.clone()) {
        Ok(_) | Err(Error::Base(BaseError::Roots(_))) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_base_with_a_path_is_kept() {
    let world = World::new().await;
    let base = format!("{}m/text/", world.upstream.base).parse().unwrap();
    let config = borg_gateway::Config { endpoints: vec![at(&base)], ..Default::default() };
    let gateway = Gateway::new(config, world.keys.clone(), world.book.clone()).unwrap();
    let socket = world.socket.with_extension("path");
    let door = gateway.open(access(&socket)).await.unwrap();
    door.admit(own_pid());
    assert_eq!(send(&socket, post("/v1/messages?beta=true", "", BODY).as_bytes()).await.status, 200);
    assert_eq!(world.upstream.got()[0].line, "POST /m/text/v1/messages?beta=true HTTP/1.1");
}
