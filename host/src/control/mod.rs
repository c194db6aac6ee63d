//! The control socket: how every other command talks to the running host. HTTP and JSON on a Unix socket below the data directory,
//! 0600, and the peer's uid (told by the kernel) is the person: `console:<uid>`.

pub mod client;
mod follow;

use crate::engine::{Desk, Reply, desk::StoreError};
use axum::{
    Json, Router,
    extract::{
        ConnectInfo, DefaultBodyLimit, Path, Query, State,
        connect_info::Connected,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::IncomingStream,
};
use borg_core::{id::TaskId, intent::Intent, policy::PersonId};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{self, PathBuf},
};
use tokio::net::UnixListener;

/// Longest diff sent, in bytes.
const DIFF_BYTES: usize = 16 << 20;
/// Longest request taken.
const BODY_BYTES: usize = 1 << 20;
/// Longest path of a Unix socket (`sun_path`, unix(7)).
const SOCKET_PATH_BYTES: usize = 107;

/// What the socket serves from.
#[derive(Clone)]
pub struct Served {
    pub desk: Desk,
    pub about: About,
}

/// `GET /v1/host`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    pub version: String,
    pub installation: String,
    pub sandbox: String,
    pub data_dir: PathBuf,
}

/// `POST /v1/intents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntentRequest {
    pub intent: Intent,
    /// Chat that hears of what comes of it.
    pub chat: Option<String>,
}

/// `GET /v1/events`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EventsQuery {
    /// Sequence number to go on after.
    #[serde(default)]
    pub after: u64,
    pub task: Option<TaskId>,
    /// Waits for more; ends when the task needs nobody but a person, or has ended.
    #[serde(default)]
    pub follow: bool,
}

/// Where the socket lies.
pub fn socket_path(data_dir: &path::Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Who is at the other end, by the kernel's word.
#[derive(Clone, Copy, Debug)]
struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Peer { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

/// Binds the socket; the data directory is locked, so a stale one is nobody's. Nobody else can connect before it is private: it gets
/// its name only then.
pub fn bind(data_dir: &path::Path) -> io::Result<UnixListener> {
    let path = socket_path(data_dir);
    if path.as_os_str().len() > SOCKET_PATH_BYTES {
        let reason = format!(
            "the path {} is too long for a socket ({SOCKET_PATH_BYTES} bytes at most): choose a data directory with a shorter one",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let fresh = data_dir.join("control.new");
    for stale in [&path, &fresh] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(fresh, path)?;
    Ok(listener)
}

/// Serves until the listener fails.
pub async fn serve(listener: UnixListener, served: Served) -> io::Result<()> {
    let routes = Router::new()
        .route("/v1/host", get(about))
        .route("/v1/intents", post(intend))
        .route("/v1/tasks", get(tasks))
        .route("/v1/tasks/{id}", get(task))
        .route("/v1/tasks/{id}/diff", get(diff))
        .route("/v1/tasks/{id}/ledger", get(ledger))
        .route("/v1/events", get(events))
        .fallback(no_route)
        .method_not_allowed_fallback(no_route)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(served);
    axum::serve(listener, routes.into_make_service_with_connect_info::<Peer>()).await
}

async fn no_route(method: Method, uri: Uri) -> Response {
    let remedy = "is the host of another version? `borg-host run` starts this one";
    no(StatusCode::NOT_FOUND, format!("there is no {method} {}", uri.path()), remedy)
}

/// A request that cannot be read, in the form of every answer.
fn unreadable(status: StatusCode, why: &str) -> Response {
    no(status, format!("the request cannot be read: {why}"), "is the host of another version? restart it")
}

/// A refusal in the form of every answer.
fn no(status: StatusCode, reason: impl Into<String>, remedy: impl Into<String>) -> Response {
    let reply = Reply::Refused { reason: reason.into(), remedy: remedy.into(), stranger: false };
    (status, Json(reply)).into_response()
}

/// Asks the engine whether this person may; the answer when they may not.
async fn allowed(served: &Served, peer: Peer, intent: Intent) -> Result<Reply, Box<Response>> {
    let Some(uid) = peer.uid else {
        return Err(Box::new(no(StatusCode::FORBIDDEN, "the kernel does not say who you are", "")));
    };
    match served.desk.handle.intend(PersonId(format!("console:{uid}")), intent, None).await {
        Ok(Reply::Refused { reason, remedy, .. }) => Err(Box::new(no(StatusCode::FORBIDDEN, reason, remedy))),
        Ok(reply) => Ok(reply),
        Err(error) => {
            Err(Box::new(no(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), "start it again with `borg-host run`")))
        }
    }
}

async fn about(State(served): State<Served>, ConnectInfo(peer): ConnectInfo<Peer>) -> Response {
    match allowed(&served, peer, Intent::Status { task: None }).await {
        Ok(_) => Json(served.about).into_response(),
        Err(no) => *no,
    }
}

async fn intend(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Result<Json<IntentRequest>, JsonRejection>,
) -> Response {
    let Json(request) = match request {
        Ok(request) => request,
        Err(error) => return unreadable(error.status(), &error.body_text()),
    };
    let Some(uid) = peer.uid else { return no(StatusCode::FORBIDDEN, "the kernel does not say who you are", "") };
    match served.desk.handle.intend(PersonId(format!("console:{uid}")), request.intent, request.chat).await {
        Ok(reply @ Reply::Refused { .. }) => (StatusCode::FORBIDDEN, Json(reply)).into_response(),
        Ok(reply) => Json(reply).into_response(),
        Err(error) => no(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), "start it again with `borg-host run`"),
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default = "ten")]
    limit: u32,
}

fn ten() -> u32 {
    10
}

async fn tasks(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    page: Result<Query<Page>, QueryRejection>,
) -> Response {
    let Query(page) = match page {
        Ok(page) => page,
        Err(error) => return unreadable(error.status(), &error.body_text()),
    };
    match allowed(&served, peer, Intent::Tasks).await {
        Ok(_) => match served.desk.tasks(page.limit.min(10_000)).await {
            Ok(rows) => Json(rows).into_response(),
            Err(error) => broken(&error),
        },
        Err(no) => *no,
    }
}

async fn task(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    id: Result<Path<u64>, PathRejection>,
) -> Response {
    let id = match id {
        Ok(Path(id)) => TaskId(id),
        Err(error) => return unreadable(error.status(), &error.body_text()),
    };
    if let Err(no) = allowed(&served, peer, Intent::Status { task: Some(id) }).await {
        return *no;
    }
    match served.desk.task(id).await {
        Ok(Some(task)) => Json(task).into_response(),
        Ok(None) => unknown(id),
        Err(error) => broken(&error),
    }
}

async fn diff(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    id: Result<Path<u64>, PathRejection>,
) -> Response {
    let id = match id {
        Ok(Path(id)) => TaskId(id),
        Err(error) => return unreadable(error.status(), &error.body_text()),
    };
    if let Err(no) = allowed(&served, peer, Intent::Diff { task: id }).await {
        return *no;
    }
    match served.desk.task(id).await {
        Ok(Some(task)) => match served.desk.diff(&task, DIFF_BYTES).await {
            Ok((text, true)) => text.into_response(),
            // Whoever applies half a patch must fail, not succeed by half.
            Ok((_, false)) => {
                let remedy = format!("`git diff` in the repository, on the branch {}", task.spec.branch);
                no(StatusCode::PAYLOAD_TOO_LARGE, format!("the change is larger than {DIFF_BYTES} bytes"), remedy)
            }
            Err(reason) => no(StatusCode::CONFLICT, reason, "ask again when it has begun"),
        },
        Ok(None) => unknown(id),
        Err(error) => broken(&error),
    }
}

async fn ledger(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    id: Result<Path<u64>, PathRejection>,
) -> Response {
    let id = match id {
        Ok(Path(id)) => TaskId(id),
        Err(error) => return unreadable(error.status(), &error.body_text()),
    };
    if let Err(no) = allowed(&served, peer, Intent::Status { task: Some(id) }).await {
        return *no;
    }
    match served.desk.ledger(id).await {
        Ok(rows) => Json(rows).into_response(),
        Err(error) => broken(&error),
    }
}

async fn events(
    State(served): State<Served>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Response {
    let Query(query) = match query {
        Ok(query) => query,
        Err(error) => return unreadable(error.status(), &error.body_text()),
    };
    if let Err(no) = allowed(&served, peer, Intent::Status { task: query.task }).await {
        return *no;
    }
    if let Some(id) = query.task {
        match served.desk.task(id).await {
            Ok(Some(_)) => {}
            Ok(None) => return unknown(id),
            Err(error) => return broken(&error),
        }
    }
    follow::stream(served.desk, query)
}

/// The journal cannot be read.
fn broken(error: &StoreError) -> Response {
    no(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "`borg-host doctor` looks at the journal")
}

fn unknown(id: TaskId) -> Response {
    no(StatusCode::NOT_FOUND, format!("there is no task #{id}"), "`borg-host task list` shows the newest")
}

#[cfg(test)]
mod tests;
