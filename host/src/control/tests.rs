//! The socket as its clients meet it: real routes over a real socket, and a real engine behind them.

use super::{
    client::{Client, NoHost, Refusal},
    routes::BODY_BYTES,
    *,
};
use crate::{engine::Reply, fixture::Fixture};
use borg_core::{
    event::{Body, Said},
    id::TaskId,
    intent::{Intent, TaskRequest},
    people::Role,
    task::Status,
};
use std::os::unix::fs::FileTypeExt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::mpsc,
    task::JoinHandle,
};

fn me() -> String {
    format!("console:{}", rustix::process::getuid().as_raw())
}

async fn serving(role: Option<Role>) -> (Fixture, Client, JoinHandle<io::Result<()>>) {
    let me = me();
    let people: Vec<_> = role.iter().map(|role| (me.as_str(), *role)).collect();
    let fixture = Fixture::start(&people, None).await;
    let listener = bind(fixture.dir.path()).unwrap();
    let about = About {
        version: "1".into(),
        installation: "i".into(),
        sandbox: "s".into(),
        data_dir: fixture.dir.path().to_owned(),
    };
    let served = Served { desk: fixture.conversation.desk.clone(), about };
    let client = Client::new(fixture.dir.path());
    (fixture, client, tokio::spawn(serve(listener, served)))
}

/// Status and body of a request written by hand.
async fn raw(fixture: &Fixture, request: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket_path(fixture.dir.path())).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn request(line: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nhost: borg\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn the_socket_is_this_users_only_from_its_first_moment() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("control.sock"), "left by a host that was killed").unwrap();
    fs::write(dir.path().join("control.new"), "so was this").unwrap();
    let _listener = bind(dir.path()).unwrap();
    let found = fs::metadata(socket_path(dir.path())).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert!(!dir.path().join("control.new").exists());
    UnixStream::connect(socket_path(dir.path())).await.unwrap();
    if !rustix::process::getuid().is_root() {
        return;
    }
    // Another user, in a directory that lets everybody pass.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = socket_path(dir.path());
    let stranger = std::thread::spawn(move || {
        // This thread only; the thread ends with the identity.
        // SAFETY: raw calls that change the calling thread's ids, which nobody else uses.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) }, 0);
        std::os::unix::net::UnixStream::connect(path).unwrap_err().kind()
    });
    assert_eq!(stranger.join().unwrap(), io::ErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    fs::create_dir(&deep).unwrap();
    let error = bind(&deep).unwrap_err().to_string();
    assert!(error.contains("107") && error.contains("shorter"), "{error}");
}

#[tokio::test]
async fn without_a_host_a_client_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::new(dir.path());
    assert!(client.get::<About>("/v1/host").await.unwrap_err().is::<NoHost>());
    drop(bind(dir.path()).unwrap());
    assert!(client.get::<About>("/v1/host").await.unwrap_err().is::<NoHost>(), "the socket of a host that is gone");
    assert!(!client.is_there().await);
}

#[tokio::test]
async fn what_is_asked_is_answered_and_durable() {
    let (fixture, client, server) = serving(Some(Role::Owner)).await;
    assert_eq!(client.get::<About>("/v1/host").await.unwrap().version, "1");
    let intent = Intent::Task(TaskRequest { title: "Add a discount".into(), ..TaskRequest::default() });
    let reply = client.intend(&IntentRequest { intent, chat: None }).await.unwrap();
    assert!(matches!(reply, Reply::Created { task: TaskId(1), .. }), "{reply:?}");
    let rows: serde_json::Value = client.get("/v1/tasks").await.unwrap();
    assert_eq!(rows[0]["title"], "Add a discount");
    let task: borg_core::task::Task = client.get("/v1/tasks/1").await.unwrap();
    assert_eq!(task.spec.by.0, me());
    assert_eq!(client.text("/v1/tasks/1/ledger").await.unwrap(), "[]");
    fixture.until(TaskId(1), Status::Blocked).await;
    server.abort();
    fixture.stop().await;
}

#[tokio::test]
async fn a_no_is_json_with_a_reason_and_a_remedy() {
    let (fixture, client, server) = serving(None).await;
    let paths = ["/v1/host", "/v1/tasks", "/v1/tasks/1", "/v1/tasks/1/diff", "/v1/tasks/1/ledger", "/v1/events"];
    for path in paths {
        let (status, body) = raw(&fixture, &request(&format!("GET {path}"), "")).await;
        let reply: Reply = serde_json::from_str(&body).unwrap();
        assert!(
            matches!(&reply, Reply::Refused { remedy, .. } if status == 403 && remedy.spell(borg_core::intent::spell).contains("people.toml")),
            "{path}: {status} {body}"
        );
        assert!(client.text(path).await.unwrap_err().is::<Refusal>());
    }
    let (status, body) =
        raw(&fixture, &request("POST /v1/intents", r#"{"intent":{"intent":"pause"},"chat":null}"#)).await;
    assert_eq!(status, 403, "{body}");
    server.abort();
    fixture.stop().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_told_in_the_same_form() {
    let (fixture, _, server) = serving(Some(Role::Owner)).await;
    let large = format!("{{\"intent\":\"{}\"}}", "x".repeat(BODY_BYTES));
    for (line, body, status) in [
        ("GET /v1/nothing", "", 404),
        ("DELETE /v1/tasks", "", 404),
        ("GET /v1/tasks/one", "", 400),
        ("GET /v1/tasks/99", "", 404),
        ("GET /v1/tasks/99/diff", "", 404),
        ("GET /v1/tasks?limit=-1", "", 400),
        ("GET /v1/events?task=99&follow=true", "", 404),
        ("POST /v1/intents", "{", 400),
        ("POST /v1/intents", r#"{"intent":{"intent":"rule-the-world"}}"#, 422),
        ("POST /v1/intents", r#"{"intent":{"intent":"allow","person":"telegram:7","role":"owner"}}"#, 422),
        ("POST /v1/intents", large.as_str(), 413),
    ] {
        let (found, text) = raw(&fixture, &request(line, body)).await;
        assert_eq!(found, status, "{line}: {text}");
        let reply: Reply = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"));
        assert!(
            matches!(&reply, Reply::Refused { reason, remedy, .. } if !reason.is_empty() && !remedy.is_empty()),
            "{line}: {text}"
        );
    }
    let events = fixture.conversation.desk.events(0, None, 100).await.unwrap();
    assert!(
        !events.iter().any(|entry| matches!(entry.event.body, Body::Said(Said::PersonAllowed { .. }))),
        "nobody was let in"
    );
    server.abort();
    fixture.stop().await;
}

/// Follows on a task of its own; gives the kinds of events as they come.
fn follow(client: Client, query: EventsQuery) -> (mpsc::UnboundedReceiver<String>, JoinHandle<()>) {
    let (send, kinds) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let line = |line: &str| {
            let entry: serde_json::Value = serde_json::from_str(line)?;
            send.send(entry["body"]["kind"].as_str().unwrap_or_default().to_owned())?;
            Ok(())
        };
        client.events(&query, line).await.unwrap();
    });
    (kinds, task)
}

#[tokio::test]
async fn followers_see_everything_and_are_let_go_when_the_task_rests() {
    let (fixture, _, server) = serving(Some(Role::Owner)).await;
    let client = || Client::new(fixture.dir.path());
    let everything = EventsQuery { follow: true, ..EventsQuery::default() };
    let (mut all, whole) = follow(client(), everything);
    assert_eq!(all.recv().await.unwrap(), "host-started");
    let id = fixture.task(&me()).await;
    let of_task = EventsQuery { follow: true, task: Some(id), after: 0 };
    let (first, first_end) = follow(client(), of_task.clone());
    let (second, second_end) = follow(client(), of_task.clone());
    first_end.await.unwrap();
    second_end.await.unwrap();
    assert_eq!(fixture.conversation.desk.task(id).await.unwrap().unwrap().status(), Status::Blocked);
    for mut kinds in [first, second] {
        let seen: Vec<String> = std::iter::from_fn(|| kinds.try_recv().ok()).collect();
        assert_eq!(seen[..2], ["task-created", "prepare-failed"], "{seen:?}");
    }
    // One that comes later, and one that only looks.
    for query in [of_task.clone(), EventsQuery { follow: false, ..of_task }] {
        let (mut kinds, end) = follow(client(), query);
        end.await.unwrap();
        assert_eq!(kinds.recv().await.unwrap(), "task-created");
    }
    while all.recv().await.unwrap() != "prepare-failed" {}
    // Whoever follows the host is let go when the host ends.
    fixture.stop().await;
    whole.await.unwrap();
    server.abort();
}
