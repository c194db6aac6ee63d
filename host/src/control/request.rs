//! What a handler is given of a request, read before the handler runs, and the one form of every refusal: a part that cannot be read
//! is answered in it too.

use crate::{engine::Reply, journal::JournalError};
use axum::{
    Json,
    extract::{
        ConnectInfo, FromRequest, FromRequestParts, Path, Request,
        connect_info::Connected,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
    serve::IncomingStream,
};
use borg_core::{id::TaskId, people::PersonId, remedy::Advice};
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;

/// A refusal: why, and what helps.
pub(super) struct No {
    status: StatusCode,
    reason: String,
    remedy: Advice,
}

impl No {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>, remedy: impl Into<Advice>) -> Self {
        No { status, reason: reason.into(), remedy: remedy.into() }
    }

    pub(super) fn no_task(id: TaskId) -> Self {
        No::new(StatusCode::NOT_FOUND, format!("there is no task #{id}"), "`borg-host task list` shows the newest")
    }

    fn unreadable(status: StatusCode, why: &str) -> Self {
        let remedy = "is the host of another version? restart it";
        No::new(status, format!("the request cannot be read: {why}"), remedy)
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let reply = Reply::Refused { reason: self.reason, remedy: self.remedy, stranger: false };
        (self.status, Json(reply)).into_response()
    }
}

/// The journal cannot be read.
impl From<JournalError> for No {
    fn from(error: JournalError) -> Self {
        No::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), "`borg-host doctor` looks at the journal")
    }
}

impl From<JsonRejection> for No {
    fn from(error: JsonRejection) -> Self {
        No::unreadable(error.status(), &error.body_text())
    }
}

impl From<PathRejection> for No {
    fn from(error: PathRejection) -> Self {
        No::unreadable(error.status(), &error.body_text())
    }
}

impl From<QueryRejection> for No {
    fn from(error: QueryRejection) -> Self {
        No::unreadable(error.status(), &error.body_text())
    }
}

/// Who is at the other end of a connection, by the kernel's word.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        Peer { uid: stream.io().peer_cred().ok().map(|peer| peer.uid()) }
    }
}

/// Who asks: `console:<uid>` of the peer.
pub(super) struct Person(pub PersonId);

impl<S: Send + Sync> FromRequestParts<S> for Person {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, No> {
        match parts.extensions.get::<ConnectInfo<Peer>>() {
            Some(ConnectInfo(Peer { uid: Some(uid) })) => Ok(Person(PersonId(format!("console:{uid}")))),
            Some(ConnectInfo(Peer { uid: None })) | None => {
                let remedy = "connect to the control socket itself, as `borg-host` does";
                Err(No::new(StatusCode::FORBIDDEN, "the kernel does not say who you are", remedy))
            }
        }
    }
}

/// The task a path names: `/v1/tasks/{id}` and below.
pub(super) struct TaskPath(pub TaskId);

impl<S: Send + Sync> FromRequestParts<S> for TaskPath {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, No> {
        let Path(id) = Path::<u64>::from_request_parts(parts, state).await?;
        Ok(TaskPath(TaskId(id)))
    }
}

/// What stands after the `?`.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = No;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, No> {
        let axum::extract::Query(query) = axum::extract::Query::<T>::from_request_parts(parts, state).await?;
        Ok(Query(query))
    }
}

/// A body of JSON.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = No;

    async fn from_request(request: Request, state: &S) -> Result<Self, No> {
        let Json(body) = Json::<T>::from_request(request, state).await?;
        Ok(Body(body))
    }
}
