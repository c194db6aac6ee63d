//! `/status` without a number: the host as it is at this moment, each thing in a line.

use crate::{
    clock::{now_ms, utc},
    engine::Desk,
    journal::{JournalError, Subscription},
};
use borg_core::{
    chat::Part,
    list::few,
    people::PersonId,
    policy::{Policy, StageWork},
    task::{Status, Task},
    words::{self, Figures},
};
use std::collections::{BTreeMap, BTreeSet};

/// Tasks shown; `/tasks` lists more.
const TASKS_SHOWN: usize = 10;
/// Names shown in one line.
const NAMES_SHOWN: usize = 5;

pub(super) async fn of_host(desk: &Desk, person: &PersonId) -> Result<Vec<Part>, JournalError> {
    let now = now_ms();
    let mut parts = Vec::new();
    if let Some((started_ms, version)) = desk.started().await? {
        parts.extend(words::ping(&version, now.saturating_sub(started_ms)));
    }
    let live = desk.live_tasks().await?;
    let mut figures = Figures::default();
    live.iter().for_each(|task| figures.live(task.status()));
    parts.push(Part::field("tasks in progress", live.len().to_string()));
    if !live.is_empty() {
        parts.push(Part::field("queue", figures.now()));
    }
    if desk.is_paused().await? {
        parts.push(Part::field("paused", "nothing new starts; /resume ends that"));
    }
    // What is at work stands before what waits.
    let (at_work, waiting): (Vec<_>, Vec<_>) = live.iter().rev().partition(|task| task.status() == Status::Running);
    parts.extend(at_work.into_iter().chain(waiting).take(TASKS_SHOWN).map(|task| Part::Item(line(task))));
    if live.len() > TASKS_SHOWN {
        parts.push(Part::Item(format!("and {} more", live.len() - TASKS_SHOWN)));
    }
    let policy = desk.handle.policy();
    parts.extend(
        models(&policy)
            .into_iter()
            .map(|(executor, models)| Part::field(format!("model of {executor}"), few(&models, NAMES_SHOWN, ""))),
    );
    parts.extend(words::today(&desk.day().await?, &policy, Some(person), now));
    if let Some(known) = desk.subscription().await? {
        parts.extend(subscription(&known));
    }
    let chats: Vec<String> = desk.chats().await?.into_keys().collect();
    if !chats.is_empty() {
        parts.push(Part::field("chats", few(&chats, NAMES_SHOWN, "")));
    }
    parts.push(Part::field("policy", policy.digest.short()));
    let none = "none; `borg-host repo add owner/name PATH` adds one";
    parts.push(Part::field("repositories", few(policy.repos.keys(), NAMES_SHOWN, none)));
    Ok(parts)
}

/// Where a task stands; of one whose agent is at work, whose turn it is.
fn line(task: &Task) -> String {
    let stage = task.agent_run().and_then(|agent| task.spec.pipeline.stages.get(agent.run.place as usize));
    let doing = match stage.map(|stage| (&stage.work, &stage.name)) {
        Some((StageWork::Persona { persona, .. }, stage)) => format!("{persona} at {stage}"),
        Some((StageWork::Judge { .. } | StageWork::Deliver { .. }, stage)) => stage.clone(),
        None => task.status().to_string(),
    };
    format!("#{} {}: {doing}", task.id(), task.spec.title)
}

/// Models that personas work with, by executor.
fn models(policy: &Policy) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut models: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for persona in policy.personas.values() {
        let Some(executor) = policy.executors.get(&persona.executor) else { continue };
        let model = persona.model.as_ref().or(executor.model.as_ref());
        models.entry(&persona.executor).or_default().insert(model.map_or("its own choice", String::as_str));
    }
    models
}

/// What the provider said of the subscription: how it stands, then each window.
fn subscription(Subscription { told_ms, told }: &Subscription) -> Vec<Part> {
    let reset = |name: &str| {
        let seconds: u64 = told.get(name)?.parse().ok()?;
        Some(format!("begins anew at {}", utc(seconds.checked_mul(1_000)?)))
    };
    let mut parts = Vec::new();
    if let Some(status) = told.get("status") {
        let reset = reset("reset").map(|reset| format!(", {reset}")).unwrap_or_default();
        parts.push(Part::field("subscription", format!("{status}{reset} (as of {})", utc(*told_ms))));
    }
    for window in ["5h", "7d"] {
        let used = told.get(&format!("{window}-utilization")).and_then(|used| used.parse::<f64>().ok());
        let used = used.filter(|used| used.is_finite()).map(|used| format!("{:.0} % used", used * 100.0));
        let status = told.get(&format!("{window}-status")).filter(|status| *status != "allowed").cloned();
        let all: Vec<String> = [used, status, reset(&format!("{window}-reset"))].into_iter().flatten().collect();
        if !all.is_empty() {
            parts.push(Part::field(format!("{window} window"), all.join(", ")));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use borg_core::{
        intent::Intent,
        people::{PersonId, Role},
    };

    fn lines(parts: &[Part]) -> Vec<String> {
        let line = |part: &Part| match part {
            Part::Field { label, value } => format!("{label}: {value}"),
            Part::Heading(text) | Part::Text(text) | Part::Item(text) | Part::Diff(text) => text.clone(),
            Part::Code { text, .. } => text.clone(),
        };
        parts.iter().map(line).collect()
    }

    #[tokio::test]
    async fn it_tells_what_there_is_and_nothing_else() {
        let fixture = Fixture::start(&[("telegram:4", Role::Owner)], None).await;
        let desk = &fixture.conversation.desk;
        // An engine that answers has noted its start.
        fixture.is_up().await;
        let by = PersonId("telegram:4".into());
        let told = lines(&of_host(desk, &by).await.unwrap());
        assert!(told[0].starts_with("borg-host test is up for") && told[1] == "tasks in progress: 0", "{told:?}");
        let labels = ["chats: ", "paused: ", "queue: ", "subscription: ", "5h window: "];
        assert!(told.iter().all(|line| labels.iter().all(|label| !line.starts_with(label))), "{told:?}");
        let task = fixture.task("telegram:4").await;
        fixture.until(task, Status::Blocked).await;
        for (intent, chat) in [(Intent::Pause, None), (Intent::Register { repository: None }, Some("telegram:-7"))] {
            fixture.handle.intend(by.clone(), intent, chat.map(str::to_owned)).await.unwrap();
        }
        let told = lines(&of_host(desk, &by).await.unwrap());
        for line in [
            "tasks in progress: 1",
            "queue: 0 queued, 0 running, 0 going on later, 1 waiting for a person",
            "#1 Add a discount: blocked",
            "paused: nothing new starts; /resume ends that",
            "chats: telegram:-7",
            "repositories: acme/shop",
            "model of claude-code: its own choice",
        ] {
            assert!(told.iter().any(|told| told == line), "{line}: {told:?}");
        }
        assert!(told.iter().all(|line| line.chars().count() < 100), "{told:?}");
        fixture.stop().await;
    }

    #[test]
    fn windows_are_told_as_far_as_they_are_known() {
        let told = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            lines(&subscription(&Subscription { told_ms: 1_769_876_000_000, told: pairs.collect() }))
        };
        let all = told(&[
            ("status", "allowed"),
            ("reset", "1769880600"),
            ("5h-utilization", "0.42"),
            ("5h-status", "allowed"),
            ("5h-reset", "1769880600"),
            ("7d-utilization", "1"),
            ("7d-status", "rejected"),
        ]);
        let want = [
            "subscription: allowed, begins anew at 2026-01-31 17:30:00Z (as of 2026-01-31 16:13:20Z)",
            "5h window: 42 % used, begins anew at 2026-01-31 17:30:00Z",
            "7d window: 100 % used, rejected",
        ];
        assert_eq!(all, want);
        let none: [String; 0] = [];
        assert_eq!(told(&[]), none);
        assert_eq!(
            told(&[("5h-utilization", "much"), ("5h-reset", "soon"), ("7d-reset", "99999999999999999999")]),
            none
        );
    }
}
