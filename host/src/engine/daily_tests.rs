//! The daily caps in a whole engine: what is said, what is kept in the journal, and that an edited policy lets things go on.

use super::Reply;
use crate::{clock::now_ms, fixture::Fixture};
use borg_core::{
    budget::{MicroUsd, Spent},
    chat::{Addressed, Said},
    event::{Body, Event, Meanwhile},
    id::{Digest, RunKey, RunKind, TaskId},
    intent::{Intent, TaskRequest},
    people::{PersonId, Role},
    task::{Phase, Status},
};

const OWNER: &str = "console:1";

fn owner() -> PersonId {
    PersonId(OWNER.into())
}

async fn capped(fixture: &Fixture, host: u64) {
    let mut policy = (*fixture.handle.policy()).clone();
    policy.host.daily = Some(MicroUsd(host));
    policy.digest = Digest::of_bytes(&host.to_le_bytes());
    fixture.handle.policy_changed(Ok((policy, Vec::new()))).await.unwrap();
}

async fn pays(fixture: &Fixture, task: TaskId, spent: Spent) {
    let run = RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent };
    let body = Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None });
    fixture.handle.post(Event { at_ms: now_ms(), owner: task.into(), settles: None, body }).await.unwrap();
}

#[tokio::test]
async fn at_a_cap_a_new_task_is_parked_says_why_and_a_raised_cap_lets_it_go_on() {
    let fixture = Fixture::start(&[(OWNER, Role::Owner)], None).await;
    let desk = fixture.conversation.desk.clone();
    capped(&fixture, 1_000_000).await;
    let first = fixture.task(OWNER).await;
    fixture.until(first, Status::Blocked).await;
    let dollars = |micros| Spent { turns: 1, cost: MicroUsd(micros), ..Spent::default() };
    // What a subscription pays is told, and holds nothing back.
    pays(&fixture, first, Spent { notional: MicroUsd(9_000_000), ..dollars(9_000_000) }).await;
    assert_eq!(desk.shut(&owner(), now_ms()).await.unwrap(), None);
    pays(&fixture, first, dollars(1_250_000)).await;
    // Nobody is told in a chat here, and it is in the journal all the same.
    let request = || TaskRequest { title: "Add another".into(), ..TaskRequest::default() };
    let reply = fixture.handle.intend(owner(), Intent::Task(request()), None).await.unwrap();
    let Reply::Created { task, waits: Some(why), .. } = reply else { panic!("{reply:?}") };
    assert!(why.contains("$1.2500 of $1.0000") && why.contains("until 00:00 UTC"), "{why}");
    let parked = fixture.until(task, Status::Parked).await;
    assert!(matches!(&parked.phase, Phase::Parked { daily: true, reason, .. } if *reason == why), "{:?}", parked.phase);
    let shut = desk.shut(&owner(), now_ms()).await.unwrap().expect("used up");
    assert_eq!(shut.to_string(), why, "and so says the desk");
    let reply = fixture.handle.intend(owner(), Intent::Retry { task }, None).await.unwrap();
    assert!(matches!(&reply, Reply::Refused { reason, .. } if reason.contains("until 00:00 UTC")), "{reply:?}");
    // Whoever looks at the host sees it.
    for text in ["/status", "/stats", "/policy", "/pipeline"] {
        let said = Said {
            sender: "1".into(),
            chat: "1".into(),
            text: text.into(),
            addressed: Addressed::Command,
            reply_to: None,
            problem: None,
        };
        let told = fixture.conversation.reply("console", &said, None).await.unwrap();
        let told = format!("{:?}", told.parts);
        assert!(told.contains("money today, all tasks"), "{text}: {told}");
        assert!(told.contains("$1.2500 of $1.0000; nothing starts until 00:00 UTC"), "{text}: {told}");
    }
    // One that was blocked goes no further either.
    fixture.handle.intend(owner(), Intent::Retry { task: first }, None).await.unwrap();
    fixture.until(first, Status::Parked).await;
    // A cap that is raised too little changes nothing; a larger one lets both go on, as far as they come.
    capped(&fixture, 1_250_000).await;
    assert_eq!(desk.task(task).await.unwrap().unwrap().status(), Status::Parked);
    capped(&fixture, 5_000_000).await;
    for task in [first, task] {
        fixture.until(task, Status::Blocked).await;
    }
    let reply = fixture.handle.intend(owner(), Intent::Task(request()), None).await.unwrap();
    assert!(matches!(reply, Reply::Created { waits: None, .. }), "{reply:?}");
    fixture.stop().await;
}
