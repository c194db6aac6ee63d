//! The gateway's rows on their way into the journal: one row per request, and the spending as an event.

use crate::{
    clock::now_ms,
    engine::Handle,
    store::{LedgerRow, Store},
};
use borg_core::{
    budget::{Spent, Usage},
    event::{Body, Event},
};
use borg_gateway::{BoxFuture, Ledger, LedgerError, Row, Verdict};

/// Writes rows and tells the engine what was spent.
pub struct JournalLedger {
    pub store: Store,
    pub handle: Handle,
}

impl Ledger for JournalLedger {
    fn record(&self, row: Row) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let failed = |error: &dyn std::error::Error| LedgerError(error.to_string());
            let verdict = match &row.verdict {
                Verdict::Allowed => "allowed".to_owned(),
                Verdict::Refused { rule, pointer } => match pointer {
                    Some(pointer) => format!("refused: {rule} at {pointer}"),
                    None => format!("refused: {rule}"),
                },
                Verdict::Capped(cap) => format!("capped: {cap}"),
                Verdict::Failed(why) => format!("failed: {why}"),
            };
            let stored = LedgerRow {
                at_ms: now_ms(),
                task: row.run.task,
                run: row.run.to_string(),
                row: serde_json::json!({
                    "host": row.host, "method": row.method, "path": row.path, "model": row.model, "status": row.status,
                    "verdict": verdict, "usage": row.usage, "cost-micros": row.cost.0, "estimated": row.estimated,
                    "bytes-in": row.bytes_in, "bytes-out": row.bytes_out, "duration-ms": row.duration_ms,
                    // Whoever spoke through init's bridge is init's claim; init itself is the kernel's word.
                    "peer-pid": row.peer_pid,
                }),
            };
            self.store.run(move |journal| journal.record_request(&stored)).await.map_err(|error| failed(&error))?;
            let usage = row.usage.unwrap_or_default();
            if usage == Usage::default() && row.cost.0 == 0 {
                return Ok(());
            }
            let spent = Spent { turns: 1, usage, cost: row.cost, wall_ms: 0 };
            let body = Body::Metered { run: row.run, spent, estimated: row.estimated };
            let event = Event { at_ms: now_ms(), task: Some(row.run.task), settles: None, body };
            self.handle.post(event).await.map_err(|error| failed(&error))
        })
    }
}
