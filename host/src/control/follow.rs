//! The journal as a stream: what is there, then what comes, one JSON entry per line.

use super::EventsQuery;
use crate::{
    engine::Desk,
    journal::{JournalError, Recorded},
};
use axum::{body::Body, http::header, response::Response};
use borg_core::id::TaskId;
use futures_util::stream;
use std::collections::VecDeque;
use tokio::sync::watch;

/// Entries read from the journal at a time.
const PAGE: u32 = 256;

struct Cursor {
    desk: Desk,
    committed: watch::Receiver<u64>,
    query: EventsQuery,
    ready: VecDeque<Recorded>,
    /// The task waits for nothing but a person, or has ended: one last look, then the end.
    last: bool,
}

/// Streams entries; ends at the newest one, or where `follow` is asked for, when the task rests.
pub(super) fn stream(desk: Desk, query: EventsQuery) -> Response {
    let committed = desk.committed();
    let cursor = Cursor { desk, committed, query, ready: VecDeque::new(), last: false };
    let lines = stream::try_unfold(cursor, |mut cursor| async move {
        match cursor.next().await.map_err(std::io::Error::other)? {
            Some(entry) => {
                let mut line = serde_json::to_vec(&entry)?;
                line.push(b'\n');
                Ok::<_, std::io::Error>(Some((line, cursor)))
            }
            None => Ok(None),
        }
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/x-ndjson"));
    response
}

impl Cursor {
    async fn next(&mut self) -> Result<Option<Recorded>, JournalError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.query.after = entry.seq;
                return Ok(Some(entry));
            }
            // Marked before looking, so that an entry committed meanwhile wakes the wait below.
            self.committed.mark_unchanged();
            let (after, task) = (self.query.after, self.query.task);
            self.ready = self.desk.events(after, task, PAGE).await?.into();
            if !self.ready.is_empty() {
                continue;
            }
            if !self.query.follow || self.last {
                return Ok(None);
            }
            if let Some(task) = task
                && self.rests(task).await?
            {
                self.last = true;
                continue;
            }
            if self.committed.changed().await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn rests(&self, task: TaskId) -> Result<bool, JournalError> {
        Ok(self.desk.task(task).await?.is_none_or(|task| task.phase.rests()))
    }
}
