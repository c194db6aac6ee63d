//! Follows a task by its events, the way the engine did. What a test run meant and why a task stopped are not events: they follow from
//! them, and from the policies the task ran under.

use crate::neutral;
use borg_core::{
    check::Both,
    event::{Answer, Body, Event, Said},
    facts::CheckOutcome,
    id::EffectKey,
    intent::{Intent, Look},
    people::{PersonId, Role},
    policy::{OwnChanges, Policy},
    remedy::Dialect,
    step::{self, Policies, State},
    task::{AfterCollect, Doing, Phase, Position, Running, Status, Task},
    words,
};
use std::sync::Arc;

/// A task as it was after each of its events.
#[derive(Clone, Debug)]
pub struct Replay {
    state: State,
    policies: Policies,
    dialect: Dialect,
}

/// What an event meant, beside what it says itself.
#[derive(Debug, Default)]
pub struct Meaning {
    /// Of a run of the test command.
    pub check: Option<Both>,
    /// Where the task stands now and why, when it has stopped for a time or for good.
    pub stop: Option<(Status, String)>,
}

impl Replay {
    /// Starts before the first event; the policies are the one the task was made under, and in force the one it ran under at last.
    pub fn new(policies: Policies, dialect: Dialect) -> Self {
        Replay { state: State::default(), policies, dialect }
    }

    pub fn follow(&mut self, event: &Event) -> Meaning {
        let Some(id) = event.owner.task() else { return Meaning::default() };
        if let Some(task) = self.state.tasks.get_mut(&id) {
            catch_up(task, event);
        }
        let before = self.state.tasks.get(&id).map(Task::status);
        let cut = self.state.tasks.get(&id).is_some_and(|task| is_cut_short(task, event));
        let check = match (&event.body, self.state.tasks.get(&id)) {
            // Its own words are the whole reason then.
            (Body::Answer(Answer::Checked { check, .. }), Some(task)) if check.sandbox_error.is_none() => {
                step::judgement(task, check)
            }
            _ => None,
        };
        // Effects are the engine's; here they have been performed long ago.
        let policies = match &event.body {
            Body::Said(Said::Approved { by, .. }) => &entitling(by, &self.policies),
            _ => &self.policies,
        };
        self.state = step::step(std::mem::take(&mut self.state), event, policies).state;
        let stop = self.state.tasks.get(&id).filter(|task| Some(task.status()) != before);
        let stop = stop.and_then(|task| standstill(task, event.at_ms, self.dialect));
        let waits =
            || (Status::Parked, "A daily cap was used up. It goes on when the day ends or the cap is raised".into());
        Meaning { check, stop: stop.or_else(|| cut.then(waits)) }
    }
}

/// Policies by which somebody may decide: the engine notes approvals that count and no others, and which policy was in force then is not
/// known here.
fn entitling(by: &PersonId, policies: &Policies) -> Policies {
    let mut policy = Policy::clone(policies.current());
    policy.people.insert(by.clone(), Role::Owner);
    policy.own_changes = OwnChanges::Allow;
    let mut policies = policies.clone();
    policies.load(Arc::new(policy));
    policies
}

/// Begins the try of a stage that this event is about, where the one before was held back by a daily cap before its agent could begin: such a
/// try leaves no event.
fn catch_up(task: &mut Task, event: &Event) {
    let (Some(EffectKey(key)), Some(at)) = (&event.settles, task.phase.position()) else { return };
    let stage = format!("t{}-s{}-a", task.id(), at.stage);
    let attempt = key.strip_prefix(&stage).and_then(|rest| rest.strip_suffix("-brief"));
    let attempt = attempt.and_then(|attempt| attempt.parse::<u32>().ok());
    if let Some(attempt) = attempt.filter(|attempt| *attempt > at.attempt) {
        let at = Position { attempt, ..at.clone() };
        task.phase = Phase::Running(Running { at, doing: Doing::Briefing, stopping: None });
    }
}

/// True for the collection of a run that was stopped because a daily cap was used up.
fn is_cut_short(task: &Task, event: &Event) -> bool {
    let waits = matches!(
        &task.phase,
        Phase::Running(Running { doing: Doing::Collecting { after: AfterCollect::Wait, .. }, stopping: None, .. })
    );
    waits && matches!(event.body, Body::Answer(Answer::Collected { .. }))
}

/// What a test run meant, to stand after its figures.
pub fn judged(both: &Both) -> String {
    let (outcome, reason) = (both.counted().outcome.words(), neutral::line(&both.reason(), 800));
    match (both.again(), both.met(), both.counted().outcome) {
        // Which tests, and why, the second run tells.
        (true, _, _) => "; to be run again: it counts when it is so twice".into(),
        (false, true, _) => format!("; {outcome}, as it must be: {reason}"),
        (false, false, CheckOutcome::CheckError) => format!("; {outcome}: {reason}"),
        (false, false, CheckOutcome::Red | CheckOutcome::BuildRed | CheckOutcome::Green | CheckOutcome::NotRun) => {
            format!("; {outcome}, and that does not do: {reason}")
        }
    }
}

/// Where a task stands still, and why; none while it goes on.
fn standstill(task: &Task, now_ms: u64, dialect: Dialect) -> Option<(Status, String)> {
    let id = task.id();
    let why = match &task.phase {
        Phase::Queued { .. } | Phase::Running(_) | Phase::Approved { .. } => return None,
        Phase::Parked { until_ms, reason, .. } => {
            let wait = words::duration(until_ms.saturating_sub(now_ms));
            format!("{} It goes on by itself in {wait}", sentence(reason))
        }
        Phase::Blocked { reason, remedy, .. } => format!("{} What to do: {}", sentence(reason), remedy.spell(dialect)),
        Phase::NeedsReview { review, .. } => format!(
            "{} What to do: {}, then {} or {}{}",
            sentence(&review.ruling.reasons.join("; ")),
            dialect(&Intent::Look(Look::Diff { task: id })),
            dialect(&Intent::Approve { task: id, change: None, note: String::new() }),
            dialect(&Intent::Reject { task: id, change: None, note: String::new() }),
            words::who_decides(task).map(|names| format!(". Who decides: {names}")).unwrap_or_default()
        ),
        Phase::Ended { reason, .. } => headline(reason).to_owned(),
    };
    Some((task.status(), why))
}

/// A reason without the output that follows it.
fn headline(reason: &str) -> &str {
    reason.split("\n\n").next().unwrap_or(reason).trim_end_matches('.')
}

/// The same, closed: more follows.
fn sentence(reason: &str) -> String {
    let headline = headline(reason);
    if headline.ends_with(['?', '!']) { headline.to_owned() } else { format!("{headline}.") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{
        approval::Review,
        collect::CommitId,
        id::{Digest, TaskId},
        policy::parse,
        task::Position,
        verdict::{Ruling, Verdict},
    };

    #[test]
    fn an_approval_that_the_journal_has_counted_whatever_policy_says_today() {
        let golden = include_str!("../../core/tests/golden/events-v4.jsonl");
        let events = golden.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
        let created =
            events.into_iter().find(|event| matches!(event.body, Body::Said(Said::TaskCreated { .. }))).unwrap();
        let (policies, id) = (Policies::new(Arc::new(parse::parse(&[]).unwrap())), created.owner.task().unwrap());
        let mut replay = Replay::new(policies, borg_core::intent::spell);
        replay.follow(&created);
        let task = replay.state.tasks.get_mut(&id).unwrap();
        let ruling = Ruling { verdict: Verdict::Block, reasons: vec!["look".into()] };
        let (digest, head) = (Digest([7; 32]), CommitId("a".repeat(40)));
        let review = Review { ruling, findings: Vec::new(), head, digest };
        task.phase = Phase::NeedsReview { at: Position { stage: 1, ..Position::default() }, review };
        // Nobody is known to this policy, and it was their own change.
        let approved = Body::Said(Said::Approved { by: task.spec.by.clone(), digest, note: String::new() });
        replay.follow(&Event { at_ms: 0, owner: TaskId(12).into(), settles: None, body: approved });
        let task = &replay.state.tasks[&id];
        assert!(task.decision.as_ref().is_some_and(|decision| decision.approved), "{:?}", task.phase);
        assert!(matches!(task.phase, Phase::Approved { .. } | Phase::Running(_)), "{:?}", task.phase);
    }
}
