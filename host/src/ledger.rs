//! The gateway's rows on their way into the journal: one row per request, and the spending as an event; both in one transaction, so that no
//! kill parts them.

use crate::{
    clock::now_ms,
    engine::handle::Handle,
    journal::{Batch, Journal, JournalError, LedgerRow, patiently},
};
use borg_core::{
    budget::{Hold, MicroUsd, Spent, Usage},
    event::{Body, Event, Meanwhile},
    id::RunKey,
};
use borg_gateway::{
    BoxFuture, Fate, Held, Ledger, LedgerError, Row,
    provider::{self, ProviderName},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// What the journal keeps of a request, as JSON. Rows of any earlier host are read as this; what one did not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Request {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub method: String,
    pub path: String,
    pub model: String,
    pub status: u16,
    /// What became of it, as text: `refused: field at /tools/0`.
    #[serde(rename = "verdict")]
    pub fate: Option<Fate>,
    pub usage: Option<Usage>,
    pub cost_micros: u64,
    pub notional: bool,
    pub estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<BTreeMap<String, String>>,
    /// Whoever spoke through init's bridge is init's claim; init itself is the kernel's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_pid: Option<i32>,
}

impl From<Row> for Request {
    fn from(row: Row) -> Request {
        Request {
            host: Some(row.host),
            method: row.method,
            path: row.path,
            model: row.model,
            status: row.status,
            fate: Some(row.fate),
            usage: row.usage,
            cost_micros: row.cost.0,
            notional: row.notional,
            estimated: row.estimated,
            bytes_in: Some(row.bytes_in),
            bytes_out: Some(row.bytes_out),
            duration_ms: Some(row.duration_ms),
            subscription: Some(row.subscription),
            peer_pid: Some(row.peer_pid),
        }
    }
}

impl Request {
    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("names, numbers and texts are JSON")
    }
}

/// Writes rows and tells the engine what was spent.
pub struct JournalLedger {
    pub journal: Arc<dyn Journal>,
    pub handle: Handle,
}

impl Ledger for JournalLedger {
    fn record(&self, row: Row) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let failed = |error: &dyn std::error::Error| LedgerError(error.to_string());
            let (run, held, estimated, cost) = (row.run, row.held, row.estimated, row.cost);
            let usage = row.usage.unwrap_or_default();
            let notional = if row.notional { row.cost } else { MicroUsd(0) };
            let request = Request::from(row).json();
            let stored = LedgerRow { at_ms: now_ms(), owner: run.owner, run: run.to_string(), row: request };
            let is_free = usage == Usage::default() && cost.0 == 0;
            if !is_free || held.is_some() {
                let turns = if is_free { 0 } else { 1 };
                let spent = Spent { turns, usage, cost, notional, wall_ms: 0 };
                let body = Body::Meanwhile(Meanwhile::Metered { run, spent, estimated, request: held });
                let event = Event { at_ms: now_ms(), owner: run.owner, settles: None, body };
                return self.handle.post_with_row(event, stored).await.map_err(|error| failed(&error));
            }
            let batch = Arc::new(Batch { rows: vec![stored], ..Batch::default() });
            let tell = |error: &JournalError| {
                tracing::error!(%error, run = %batch.rows[0].run, "a request waits until it can be recorded");
            };
            patiently(|| self.journal.commit(batch.clone()), tell).await.map(drop).map_err(|error| failed(&error))
        })
    }

    fn hold(&self, held: Held) -> BoxFuture<'_, Result<(), LedgerError>> {
        Box::pin(async move {
            let Held { run, request, model, most } = held;
            let body = Body::Meanwhile(Meanwhile::Held { run, hold: Hold { request, model, most } });
            let event = Event { at_ms: now_ms(), owner: run.owner, settles: None, body };
            self.handle.post(event).await.map_err(|error| LedgerError(error.to_string()))
        })
    }
}

/// The row of a request whose answer an earlier process never heard: it is taken to have cost what was held for it.
pub fn unheard(run: RunKey, hold: &Hold) -> LedgerRow {
    let request = Request {
        method: "POST".into(),
        // A hold names neither provider nor path; there is one of both that uses anything.
        path: provider::named(ProviderName::default()).routes()[0].into(),
        model: hold.model.clone(),
        fate: Some(Fate::Failed("the host ended before the answer came".into())),
        usage: Some(hold.most.usage),
        cost_micros: hold.most.cost.0,
        notional: !hold.most.notional.is_none(),
        estimated: true,
        ..Request::default()
    };
    LedgerRow { at_ms: now_ms(), owner: run.owner, run: run.to_string(), row: request.json() }
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

    fn row(run: RunKey, fate: Fate, usage: Option<Usage>, cost: MicroUsd) -> Row {
        Row {
            run,
            host: "api.example".into(),
            method: "POST".into(),
            path: "/a".into(),
            model: "claude-opus-4".into(),
            status: 200,
            fate,
            usage,
            cost,
            notional: false,
            estimated: false,
            bytes_in: 10,
            bytes_out: 20,
            duration_ms: 30,
            subscription: [("status".to_owned(), "allowed".to_owned())].into(),
            held: None,
            peer_pid: 40,
        }
    }

    /// Rows word for word as hosts wrote them, before and after they told of subscriptions.
    #[test]
    fn rows_of_earlier_hosts_are_read() {
        let read = |text: &str| serde_json::from_str::<Request>(text).unwrap();
        let first = read(
            r#"{"host":"api.example","method":"POST","path":"/a","model":"m","status":403,"verdict":"refused: field at /tools/0",
            "usage":null,"cost-micros":0,"estimated":false,"bytes-in":10,"bytes-out":20,"duration-ms":30,"peer-pid":40}"#,
        );
        let pointer = Some("/tools/0".to_owned());
        assert_eq!(first.fate, Some(Fate::Refused { rule: Rule::Field, pointer }));
        assert_eq!((first.status, first.notional, first.subscription), (403, false, None));
        let unheard = read(
            r#"{"method":"POST","path":"/a","model":"m","status":0,"verdict":"failed: the host ended before the answer came",
            "usage":{"input-tokens":1,"output-tokens":2,"cache-read-tokens":3,"cache-write-tokens":4},"cost-micros":5,"notional":true,
            "estimated":true}"#,
        );
        assert_eq!(unheard.fate, Some(Fate::Failed("the host ended before the answer came".into())));
        assert_eq!((unheard.cost_micros, unheard.usage.map(|usage| usage.total())), (5, Some(10)));
        assert_eq!(read(&unheard.json().to_string()), unheard);
        assert!(unheard.json().get("host").is_none(), "nothing is added to what was told");
    }

    #[tokio::test]
    async fn every_request_is_a_row_and_spending_is_an_event_too() {
        let fixture = Fixture::start(&[("console:1", borg_core::people::Role::Owner)], None).await;
        let task = fixture.task("console:1").await;
        fixture.until(task, Status::Blocked).await;
        let desk = fixture.conversation.desk.clone();
        let ledger = JournalLedger { journal: fixture.store.clone(), handle: fixture.handle.clone() };
        let run = RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent };
        let usage = Usage { input_tokens: 5, ..Usage::default() };
        let rule = Rule::Header;
        for row in [
            row(run, Fate::Allowed, Some(usage), MicroUsd(7)),
            row(run, Fate::Refused { rule, pointer: Some("/tools/0".into()) }, None, MicroUsd(0)),
            row(run, Fate::Capped(Cap::Turns), None, MicroUsd(0)),
            row(run, Fate::Failed("went away".into()), None, MicroUsd(9)),
        ] {
            ledger.record(row).await.unwrap();
        }
        let rows = desk.ledger(task).await.unwrap();
        let verdicts: Vec<&str> = rows.iter().filter_map(|row| row.row["verdict"].as_str()).collect();
        let refused = format!("refused: {rule} at /tools/0");
        assert_eq!(verdicts, ["allowed", refused.as_str(), &format!("capped: {}", Cap::Turns), "failed: went away"]);
        let first = serde_json::from_value::<Request>(rows[0].row.clone()).unwrap();
        assert_eq!(first, row(run, Fate::Allowed, Some(usage), MicroUsd(7)).into());
        assert_eq!(desk.subscription().await.unwrap().unwrap().told["status"], "allowed");
        // Durable and counted when `record` returns, whatever the task does now.
        let spent = desk.task(task).await.unwrap().unwrap().spent;
        assert_eq!((spent.cost, spent.usage.input_tokens), (MicroUsd(16), 5));
        fixture.stop().await;
        let row = row(run, Fate::Allowed, Some(usage), MicroUsd(7));
        assert!(ledger.record(row).await.is_err(), "without an engine nothing is counted, so nothing may go out");
    }

    #[tokio::test]
    async fn what_is_booked_while_the_host_stops_is_still_taken() {
        let fixture = Fixture::start(&[("console:1", borg_core::people::Role::Owner)], None).await;
        let task = fixture.task("console:1").await;
        fixture.until(task, Status::Blocked).await;
        let desk = fixture.conversation.desk.clone();
        let ledger = JournalLedger { journal: fixture.store.clone(), handle: fixture.handle.clone() };
        let run = RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent };
        let usage = Usage { input_tokens: 5, ..Usage::default() };
        // Behind the wish to stop in the engine's queue.
        let stopping = fixture.handle.clone();
        let booked = ledger.record(row(run, Fate::Allowed, Some(usage), MicroUsd(7)));
        let ((), booked) = tokio::join!(stopping.stop(), booked);
        booked.unwrap();
        let spent = desk.task(task).await.unwrap().unwrap().spent;
        assert_eq!((spent.cost, desk.ledger(task).await.unwrap().len()), (MicroUsd(7), 1));
        fixture.stop().await;
    }

    /// What may be spent on a request whose answer is still out.
    fn held(task: borg_core::id::TaskId, request: u64) -> Held {
        let usage = Usage { input_tokens: 1000, ..Usage::default() };
        let most = Spent { turns: 1, usage, cost: MicroUsd(5_000), ..Spent::default() };
        Held {
            run: RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent },
            request,
            model: "claude-opus-4-8".into(),
            most,
        }
    }

    #[tokio::test]
    async fn what_a_request_may_cost_is_held_until_its_row_comes_also_after_the_end() {
        let fixture = Fixture::start(&[("console:1", borg_core::people::Role::Owner)], None).await;
        let task = fixture.task("console:1").await;
        fixture.until(task, Status::Blocked).await;
        let desk = fixture.conversation.desk.clone();
        let ledger = JournalLedger { journal: fixture.store.clone(), handle: fixture.handle.clone() };
        for request in 1..=3 {
            ledger.hold(held(task, request)).await.unwrap();
        }
        let state = |task| {
            let desk = desk.clone();
            async move { desk.task(task).await.unwrap().unwrap() }
        };
        assert_eq!((state(task).await.holds.len(), state(task).await.spent.cost), (3, MicroUsd(0)));
        let settle = |request, cost| {
            let run = held(task, request).run;
            let usage = (cost > 0).then(|| Usage { input_tokens: cost, ..Usage::default() });
            Row { held: Some(request), ..row(run, Fate::Allowed, usage, MicroUsd(cost)) }
        };
        ledger.record(settle(1, 7)).await.unwrap();
        assert_eq!((state(task).await.holds.len(), state(task).await.spent.cost), (2, MicroUsd(7)));
        let cancel = borg_core::intent::Intent::Cancel { task };
        fixture.handle.intend(borg_core::people::PersonId("console:1".into()), cancel, None).await.unwrap();
        fixture.until(task, Status::Cancelled).await;
        // One costs something, the other failed at the provider's.
        ledger.record(settle(2, 11)).await.unwrap();
        ledger.record(settle(3, 0)).await.unwrap();
        let ended = state(task).await;
        assert_eq!((ended.holds.len(), ended.spent.cost, ended.spent.turns), (0, MicroUsd(18), 2));
        assert_eq!(ended.status(), Status::Cancelled);
        assert_eq!(metered(&desk, task).await, 18, "the journal says the same");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn what_an_earlier_process_held_is_spent_once_it_is_gone() {
        let owner = [("console:1", borg_core::people::Role::Owner)];
        let fixture = Fixture::start(&owner, None).await;
        let (live, ended) = (fixture.task("console:1").await, fixture.task("console:1").await);
        fixture.until(live, Status::Blocked).await;
        fixture.until(ended, Status::Blocked).await;
        let desk = fixture.conversation.desk.clone();
        let ledger = JournalLedger { journal: fixture.store.clone(), handle: fixture.handle.clone() };
        for task in [live, ended] {
            ledger.hold(held(task, 1)).await.unwrap();
        }
        let cancel = borg_core::intent::Intent::Cancel { task: ended };
        fixture.handle.intend(borg_core::people::PersonId("console:1".into()), cancel, None).await.unwrap();
        fixture.until(ended, Status::Cancelled).await;
        drop((desk, ledger));
        let dir = fixture.stop_and_leave().await;
        let fixture = Fixture::start_in(dir, &owner, None).await;
        let desk = fixture.conversation.desk.clone();
        // It answers nobody before what it found is booked.
        fixture.is_up().await;
        for task in [live, ended] {
            let state = desk.task(task).await.unwrap().unwrap();
            assert_eq!((state.holds.len(), state.spent.cost), (0, MicroUsd(5_000)), "{task}");
            assert_eq!(metered(&desk, task).await, 5_000);
            let rows = desk.ledger(task).await.unwrap();
            assert!(
                matches!(&rows[..], [row] if row.row["cost-micros"] == 5_000 && row.row["estimated"] == true),
                "{rows:?}"
            );
        }
        // Once: the next process finds nothing.
        let fixture = Fixture::start_in(fixture.stop_and_leave().await, &owner, None).await;
        fixture.is_up().await;
        assert_eq!(metered(&fixture.conversation.desk, live).await, 5_000);
        fixture.stop().await;
    }

    /// What the journal's events say a task has spent.
    async fn metered(desk: &crate::engine::Desk, task: borg_core::id::TaskId) -> u64 {
        let spent = |body| if let Body::Meanwhile(Meanwhile::Metered { spent, .. }) = body { spent.cost.0 } else { 0 };
        desk.events(0, Some(task), 1000).await.unwrap().into_iter().map(|entry| spent(entry.event.body)).sum()
    }
}
