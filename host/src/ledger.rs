//! The gateway's rows on their way into the journal: one row per request, and the spending as an event.

use crate::{
    clock::now_ms,
    engine::Handle,
    store::{LedgerRow, Store},
};
use borg_core::{
    budget::{MicroUsd, Spent, Usage},
    event::{Body, Event},
};
use borg_gateway::{BoxFuture, Ledger, LedgerError, Row, Verdict};
use std::time::Duration;

/// Pause between two tries to write a row.
const PAUSE: Duration = Duration::from_secs(2);

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
                    "verdict": verdict, "usage": row.usage, "cost-micros": row.cost.0, "notional": row.notional, "estimated": row.estimated,
                    "bytes-in": row.bytes_in, "bytes-out": row.bytes_out, "duration-ms": row.duration_ms,
                    "subscription": row.subscription,
                    // Whoever spoke through init's bridge is init's claim; init itself is the kernel's word.
                    "peer-pid": row.peer_pid,
                }),
            };
            loop {
                let row = stored.clone();
                match self.store.run(move |journal| journal.record_request(&row)).await {
                    Ok(()) => break,
                    // As with events: nothing goes on before there is room, and nothing is lost.
                    Err(error) if error.is_passing() => {
                        tracing::error!(%error, run = %stored.run, "a request waits until it can be recorded");
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(error) => return Err(failed(&error)),
                }
            }
            let usage = row.usage.unwrap_or_default();
            if usage == Usage::default() && row.cost.0 == 0 {
                return Ok(());
            }
            let notional = if row.notional { row.cost } else { MicroUsd(0) };
            let spent = Spent { turns: 1, usage, cost: row.cost, notional, wall_ms: 0 };
            let body = Body::Metered { run: row.run, spent, estimated: row.estimated };
            let event = Event { at_ms: now_ms(), task: Some(row.run.task), settles: None, body };
            self.handle.post(event).await.map_err(|error| failed(&error))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use borg_core::{
        budget::Cap,
        id::{RunKey, RunKind},
        task::Status,
    };
    use borg_gateway::Rule;

    fn row(run: RunKey, verdict: Verdict, usage: Option<Usage>, cost: MicroUsd) -> Row {
        Row {
            run,
            host: "api.anthropic.com".into(),
            method: "POST".into(),
            path: "/v1/messages".into(),
            model: "claude-opus-4".into(),
            status: 200,
            verdict,
            usage,
            cost,
            notional: false,
            estimated: false,
            bytes_in: 10,
            bytes_out: 20,
            duration_ms: 30,
            subscription: [("status".to_owned(), "allowed".to_owned())].into(),
            peer_pid: 40,
        }
    }

    #[tokio::test]
    async fn every_request_is_a_row_and_spending_is_an_event_too() {
        let fixture = Fixture::start(&[("console:1", borg_core::policy::Role::Owner)], None).await;
        let task = fixture.task("console:1").await;
        fixture.until(task, Status::Blocked).await;
        let desk = fixture.conversation.desk.clone();
        let ledger = JournalLedger { store: desk.store.clone(), handle: fixture.handle.clone() };
        let run = RunKey { task, stage: 0, attempt: 1, kind: RunKind::Agent };
        let usage = Usage { input_tokens: 5, ..Usage::default() };
        let rule = Rule::Header;
        for row in [
            row(run, Verdict::Allowed, Some(usage), MicroUsd(7)),
            row(run, Verdict::Refused { rule, pointer: Some("/tools/0".into()) }, None, MicroUsd(0)),
            row(run, Verdict::Capped(Cap::Turns), None, MicroUsd(0)),
            row(run, Verdict::Failed("went away".into()), None, MicroUsd(9)),
        ] {
            ledger.record(row).await.unwrap();
        }
        let rows = desk.ledger(task).await.unwrap();
        let verdicts: Vec<&str> = rows.iter().filter_map(|row| row.row["verdict"].as_str()).collect();
        let refused = format!("refused: {rule} at /tools/0");
        assert_eq!(verdicts, ["allowed", refused.as_str(), &format!("capped: {}", Cap::Turns), "failed: went away"]);
        assert_eq!(desk.subscription().await.unwrap().unwrap().told["status"], "allowed");
        // Durable and counted when `record` returns, whatever the task does now.
        let spent = desk.task(task).await.unwrap().unwrap().spent;
        assert_eq!((spent.cost, spent.usage.input_tokens), (MicroUsd(16), 5));
        fixture.stop().await;
        let row = row(run, Verdict::Allowed, Some(usage), MicroUsd(7));
        assert!(ledger.record(row).await.is_err(), "without an engine nothing is counted, so nothing may go out");
    }
}
