//! The ledger: a row for each request through the gateway.

use crate::kind::{Kind, Trial};
use borg_core::{id::TaskId, owner::Owner};
use borg_host::journal::{Batch, LedgerRow, Paid, Reads};
use serde_json::{Value, json};

/// Rows come alone where they cost nothing.
async fn record<K: Kind>(trial: &Trial<K>, at_ms: u64, owner: Owner, row: Value) {
    let row = LedgerRow { at_ms, owner, run: "t1-s0-a1-agent".into(), row };
    trial.commit(Batch { rows: vec![row], ..Batch::default() }).await.unwrap();
}

pub async fn requests_are_kept_by_owner_and_in_order<K: Kind>() {
    let trial = Trial::<K>::start().await;
    for (n, owner) in [(0, TaskId(1).into()), (1, TaskId(2).into()), (2, TaskId(1).into()), (3, Owner::Host)] {
        record(&trial, n, owner, json!({ "status": 200 + n })).await;
    }
    let trial = trial.again().await;
    let found = async |owner| {
        let rows = trial.journal.ledger(owner).await.unwrap();
        assert!(rows.iter().all(|row| row.owner == owner && row.run == "t1-s0-a1-agent"));
        rows.iter().map(|row| (row.at_ms, row.row["status"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(found(TaskId(1).into()).await, [(0, 200), (2, 202)]);
    assert_eq!(found(Owner::Host).await, [(3, 203)]);
    assert!(found(TaskId(9).into()).await.is_empty());
}

pub async fn it_is_read_from_its_end_and_page_by_page<K: Kind>() {
    let trial = Trial::<K>::start().await;
    for n in 1..=5 {
        let usage = json!({
            "input-tokens": n, "output-tokens": 0, "cache-read-tokens": 0, "cache-write-tokens": 0,
        });
        let row = match n {
            3 => json!({ "usage": null }),
            _ => json!({ "usage": usage, "cost-micros": n * 10, "host": "h", "model": format!("m{}", n % 2) }),
        };
        record(&trial, n, TaskId(1).into(), row).await;
    }
    let journal = &trial.journal;
    let figures = |page: &[Paid]| page.iter().map(|paid| (paid.at_ms, paid.cost.0)).collect::<Vec<_>>();
    let page = journal.paid(i64::MAX, 3).await.unwrap();
    assert_eq!(figures(&page), [(5, 50), (4, 40), (3, 0)]);
    assert_eq!(page[0].usage.input_tokens, 5);
    let page = journal.paid(page[2].id, 3).await.unwrap();
    assert_eq!(figures(&page), [(2, 20), (1, 10)]);
    assert!(journal.paid(page[1].id, 3).await.unwrap().is_empty());
    assert_eq!(journal.models(9).await.unwrap(), ["m0", "m1"]);
    assert_eq!(journal.models(1).await.unwrap(), ["m1"]);
}

pub async fn what_was_told_last_of_a_subscription_counts<K: Kind>() {
    let trial = Trial::<K>::start().await;
    assert_eq!(trial.journal.subscription().await.unwrap(), None);
    for (at_ms, row) in [
        (1, json!({ "subscription": { "status": "allowed" } })),
        (2, json!({ "subscription": { "status": "rejected" } })),
        (3, json!({ "subscription": {} })),
        (4, json!({})),
    ] {
        record(&trial, at_ms, TaskId(1).into(), row).await;
    }
    let found = trial.journal.subscription().await.unwrap().unwrap();
    assert_eq!((found.told_ms, found.told["status"].as_str()), (2, "rejected"));
}
