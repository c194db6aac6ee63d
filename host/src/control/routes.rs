//! The routes of the control socket. Each asks the engine first whether this person may.

use super::{
    follow,
    request::{Body, No, Person, Query, TaskPath},
    wire::{About, EventsQuery, IntentRequest, Served},
};
use crate::{
    engine::Reply,
    journal::{LedgerRow, TaskRow},
};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use borg_core::{
    intent::{Intent, Look},
    task::Task,
};
use serde::Deserialize;

/// Longest diff sent, in bytes.
const DIFF_BYTES: usize = 16 << 20;
/// Longest request taken, in bytes.
pub(super) const BODY_BYTES: usize = 1 << 20;
/// Most tasks listed at a time.
const TASKS: u32 = 10_000;

/// All routes; the connection's [`super::request::Peer`] says who asks.
pub(super) fn router(served: Served) -> Router {
    Router::new()
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
        .with_state(served)
}

async fn no_route(method: Method, uri: Uri) -> No {
    let remedy = "is the host of another version? `borg-host run` starts this one";
    No::new(StatusCode::NOT_FOUND, format!("there is no {method} {}", uri.path()), remedy)
}

impl Served {
    /// What the engine says to an intent.
    async fn ask(&self, Person(person): Person, intent: Intent, chat: Option<String>) -> Result<Reply, No> {
        self.desk.handle.intend(person, intent, chat).await.map_err(|error| {
            No::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string(), "start it again with `borg-host run`")
        })
    }

    /// Lets nobody pass to whom the engine refuses this look.
    async fn allow(&self, person: Person, look: Intent) -> Result<(), No> {
        match self.ask(person, look, None).await? {
            Reply::Refused { reason, remedy, .. } => Err(No::new(StatusCode::FORBIDDEN, reason, remedy)),
            Reply::Created { .. } | Reply::Done { .. } | Reply::Granted => Ok(()),
        }
    }

    async fn task(&self, TaskPath(id): TaskPath) -> Result<Task, No> {
        self.desk.task(id).await?.ok_or_else(|| No::no_task(id))
    }
}

async fn about(State(served): State<Served>, person: Person) -> Result<Json<About>, No> {
    served.allow(person, Intent::Look(Look::Status { task: None })).await?;
    Ok(Json(served.about))
}

async fn intend(
    State(served): State<Served>,
    person: Person,
    Body(request): Body<IntentRequest>,
) -> Result<Response, No> {
    // The policy files are edited where that is answered in words; a yes that changes nothing must not stand in the journal.
    if matches!(request.intent, Intent::Allow { .. }) {
        let remedy = "edit [people] in policies/people.toml, or say /allow in a chat";
        return Err(No::new(StatusCode::UNPROCESSABLE_ENTITY, "nobody is made known by this socket", remedy));
    }
    Ok(match served.ask(person, request.intent, request.chat).await? {
        reply @ Reply::Refused { .. } => (StatusCode::FORBIDDEN, Json(reply)).into_response(),
        reply @ (Reply::Created { .. } | Reply::Done { .. } | Reply::Granted) => Json(reply).into_response(),
    })
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
    person: Person,
    Query(page): Query<Page>,
) -> Result<Json<Vec<TaskRow>>, No> {
    served.allow(person, Intent::Look(Look::Tasks)).await?;
    Ok(Json(served.desk.tasks(page.limit.min(TASKS)).await?))
}

async fn task(State(served): State<Served>, person: Person, path: TaskPath) -> Result<Json<Task>, No> {
    served.allow(person, Intent::Look(Look::Status { task: Some(path.0) })).await?;
    Ok(Json(served.task(path).await?))
}

async fn diff(State(served): State<Served>, person: Person, path: TaskPath) -> Result<String, No> {
    served.allow(person, Intent::Look(Look::Diff { task: path.0 })).await?;
    let task = served.task(path).await?;
    match served.desk.diff(&task, DIFF_BYTES).await {
        Ok((text, true)) => Ok(text),
        // Whoever applies half a patch must fail, not succeed by half.
        Ok((_, false)) => {
            let remedy = format!("`git diff` in the repository, on the branch {}", task.spec.branch);
            Err(No::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the change is larger than {DIFF_BYTES} bytes"), remedy))
        }
        Err(reason) => Err(No::new(StatusCode::CONFLICT, reason, "ask again when it has begun")),
    }
}

async fn ledger(
    State(served): State<Served>,
    person: Person,
    TaskPath(id): TaskPath,
) -> Result<Json<Vec<LedgerRow>>, No> {
    served.allow(person, Intent::Look(Look::Status { task: Some(id) })).await?;
    Ok(Json(served.desk.ledger(id).await?))
}

async fn events(
    State(served): State<Served>,
    person: Person,
    Query(query): Query<EventsQuery>,
) -> Result<Response, No> {
    served.allow(person, Intent::Look(Look::Status { task: query.task })).await?;
    if let Some(id) = query.task {
        served.task(TaskPath(id)).await?;
    }
    Ok(follow::stream(served.desk, query))
}
