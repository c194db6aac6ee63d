//! One request: a place among those of its run, its way, and then what that way does with it.
//!
//! A request is a task of its own, not part of its connection: a client that goes away must not take the ledger row of
//! what it tried, or the usage of what it asked for, with it.

use crate::{
    entry::{Answer, Entry, Stop},
    exchange,
    head::{self, Asked},
    prompt,
    refusal::quoted,
    run::{Counted, Run},
    way::Way,
};
use hyper::{Request, body::Incoming};
use std::sync::Arc;

/// Serves one request to its end, the ledger row included.
pub(crate) async fn serve(
    run: Arc<Run>,
    (peer, waited_for): (i32, Counted),
    request: Request<Incoming>,
    mut answer: Answer,
) {
    let (parts, body) = request.into_parts();
    let mut entry = Entry::open(&run, peer);
    entry.waited_for = Some(waited_for);
    entry.row.method = quoted(parts.method.as_str());
    entry.row.path = quoted(parts.uri.path_and_query().map_or(parts.uri.path(), |both| both.as_str()));
    let slot = tokio::select! {
        slot = run.slots.acquire() => slot,
        () = answer.closed() => return entry.stop(Stop::Gone, answer).await,
    };
    // The semaphore is never closed; a request without a slot would be one too many.
    let Ok(slot) = slot else { return };
    match head::asked(&parts, &run.ways) {
        Ok(Asked::Model(model, route)) => {
            entry.take(Way::Model(Arc::clone(&model)));
            match prompt::check(&mut entry, (model, route), parts, body).await {
                Ok(ready) => exchange::serve(entry, ready, answer, slot).await,
                Err(refusal) => entry.stop(Stop::Refused(refusal), answer).await,
            }
        }
        Err(refusal) => entry.stop(Stop::Refused(refusal), answer).await,
    }
}
