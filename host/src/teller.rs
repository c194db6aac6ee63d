//! Each event of the journal in words, for `task log`, `/audit` and everything that follows a task. The words of notices are the core's;
//! these are for somebody who wants to know exactly what happened.

mod replay;

use crate::{
    journal::{JournalError, Reads},
    neutral, policies,
};
use borg_core::{
    approval::names,
    asked::NewTask,
    denial::DenialNote,
    event::{Answer, Body, ChatEvent, Event, HostEvent, Meanwhile, Said},
    executor::{AgentEvent, EndCause, OutcomeStatus, RunEnd},
    id::RunKey,
    list::few,
    people::role_word,
    persona::Acceptance,
    policy::{HostPolicy, Policy, source::SourceFile},
    remedy::Dialect,
    step::Policies,
    task::Task,
    words::{self, LINE},
};
use replay::{Meaning, Replay};
use std::{collections::BTreeMap, sync::Arc};

/// Paths named in one line; the rest is counted.
const PATHS_SHOWN: usize = 5;
/// Longest line, in characters.
const LINE_WHOLE: usize = 1000;

/// What a line of the log is about, so that a reader in a hurry can leave some out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Something a person waits for.
    Step,
    /// What an agent does, as it does it.
    Action,
    /// Bookkeeping.
    Detail,
}

/// Tells events of one task in their order.
#[derive(Clone, Debug)]
pub struct Teller {
    /// How its readers say what helps.
    dialect: Dialect,
    /// The stages of its pipeline by name, learnt from its first event.
    stages: Vec<String>,
    /// Agents started so far, by stage: people count those, and not the journal's fences.
    tries: BTreeMap<u32, u32>,
    /// What sandboxes had to do without, as told already.
    missing: Vec<String>,
    /// Knows why things went as they did; none where the task's policies are not known any more.
    replay: Option<Replay>,
}

impl Teller {
    /// Tells reasons, too: policies are the one the task was made under, and in force the one it ran under at last.
    pub fn new(policies: Option<Policies>, dialect: Dialect) -> Self {
        Teller {
            dialect,
            stages: Vec::new(),
            tries: BTreeMap::new(),
            missing: Vec::new(),
            replay: policies.map(|policies| Replay::new(policies, dialect)),
        }
    }

    /// Tells the events of a task in a journal, with reasons where its policies are known still.
    pub async fn of(task: &Task, journal: &dyn Reads, dialect: Dialect) -> Result<Self, JournalError> {
        Ok(Teller::new(policies_of(task, journal).await?, dialect))
    }

    /// Lines for one event: mostly one, none for bare bookkeeping, one per action of an agent.
    pub fn tell(&mut self, event: &Event) -> Vec<(Weight, String)> {
        if let Body::Said(Said::TaskCreated { task }) = &event.body {
            self.stages = task.pipeline.stages.iter().map(|stage| stage.name.clone()).collect();
        }
        if let Body::Meanwhile(Meanwhile::RunStarted { run, .. }) = &event.body {
            *self.tries.entry(run.place).or_default() += 1;
        }
        let meaning = self.replay.as_mut().map(|replay| replay.follow(event)).unwrap_or_default();
        if let Body::Meanwhile(Meanwhile::Progressed { run, events, .. }) = &event.body {
            let events: Vec<AgentEvent> = serde_json::from_str(&events.text).unwrap_or_default();
            let at = self.at(run);
            let line = |text: String| (Weight::Action, format!("{at}:   {}", neutral::line(&text, LINE_WHOLE)));
            return events.iter().filter_map(words::action).map(line).collect();
        }
        let (weight, text) = self.words(&event.body, &meaning);
        if let Body::Meanwhile(Meanwhile::RunStarted { attestation, .. }) = &event.body {
            self.missing.clone_from(&attestation.missing);
        }
        let stop = match meaning.stop {
            // The word alone, where the reason stands above already.
            Some((status, reason)) if text.contains(&reason) => status.to_string(),
            Some((status, reason)) => format!("{status}: {reason}"),
            None => String::new(),
        };
        let lines = [(weight, text), (Weight::Step, stop)];
        let lines = lines.into_iter().filter(|(_, text)| !text.is_empty());
        lines.map(|(weight, text)| (weight, neutral::line(&text, LINE_WHOLE))).collect()
    }

    /// Stage of a run, and which try it is where that is not the first.
    fn at(&self, run: &RunKey) -> String {
        let stage = self.stages.get(run.place as usize).map_or_else(|| format!("stage {}", run.place), Clone::clone);
        match self.tries.get(&run.place) {
            Some(tries @ 2..) => format!("{stage} (try {tries})"),
            Some(_) | None => stage,
        }
    }

    fn words(&self, body: &Body, meaning: &Meaning) -> (Weight, String) {
        use Weight::{Detail, Step};
        match body {
            Body::Host(HostEvent::HostStarted { version, sandbox }) => {
                (Detail, format!("the host {version} started; sandbox: {sandbox}"))
            }
            Body::Host(HostEvent::PolicyLoaded { digest }) => (Detail, format!("policy {} loaded", digest.short())),
            Body::Host(HostEvent::PolicyRefused { reason }) => {
                (Step, format!("a policy edit does not take effect: {reason}"))
            }
            Body::Said(Said::Paused { by }) => (Step, format!("{by} paused everything")),
            Body::Said(Said::Resumed { by }) => (Step, format!("{by} resumed everything")),
            Body::Chat(ChatEvent::ChatRegistered { chat, registration }) => {
                let about = registration.repository.as_ref().map(|name| format!(" for {name}")).unwrap_or_default();
                (Step, format!("{} registered {chat}{about}", registration.by))
            }
            Body::Chat(ChatEvent::ChatForgotten { chat, by: Some(by) }) => (Step, format!("{by} unregistered {chat}")),
            Body::Chat(ChatEvent::ChatForgotten { chat, by: None }) => {
                (Step, format!("{chat} does not have us any more"))
            }
            Body::Chat(ChatEvent::ChatMoved { from, to }) => (Step, format!("{from} goes on as {to}")),
            Body::Said(Said::PersonAllowed { by, person, role }) => {
                (Step, format!("{by} made {person} {}", role_word(*role)))
            }
            Body::Host(HostEvent::UpdatePassedOver { update, what }) => {
                (Detail, format!("{update} is passed over: {what}"))
            }
            Body::Host(HostEvent::PluginMisbehaved { plugin, digest, what }) => {
                (Step, format!("the component {plugin} ({}) misbehaves: {what}", digest.short()))
            }
            Body::Host(HostEvent::PersonDenied { by, what, reason }) => {
                (Step, format!("{by} was refused {what}: {reason}"))
            }
            Body::Said(Said::TaskCreated { task }) => (Step, created(task)),
            Body::Answer(Answer::Prepared { branch, commit, check, warnings }) => {
                let check = check.as_deref().map(|check| format!("; tests: `{check}`")).unwrap_or_default();
                let warnings: String = warnings.iter().map(|warning| format!("; {warning}")).collect();
                (Step, format!("prepared: from {branch} at {}{check}{warnings}", commit.short()))
            }
            // Where it is known that this stopped the task, that says it all.
            Body::Answer(Answer::PrepareFailed { .. }) | Body::Answer(Answer::DeliverFailed { .. })
                if meaning.stop.is_some() =>
            {
                (Detail, String::new())
            }
            Body::Answer(Answer::PrepareFailed { reason, remedy }) => {
                (Step, format!("cannot start: {reason}. {}", remedy.spell(self.dialect)))
            }
            Body::Answer(Answer::Briefed { grant, .. }) => {
                let write = match grant.write().allow.as_slice() {
                    [] => "nothing in the workspace".to_owned(),
                    globs => globs.join(" "),
                };
                (Detail, format!("briefed: tools {}; may write {write}", grant.tools().join(" ")))
            }
            Body::Answer(Answer::BriefRefused { reason }) => (Step, format!("the persona refuses the task: {reason}")),
            Body::Meanwhile(Meanwhile::RunStarted { run, executor, attestation, .. }) => {
                let missing = match attestation.missing.as_slice() {
                    [] => String::new(),
                    missing if missing == self.missing => String::new(),
                    missing => format!("; what it cannot offer here: {}", missing.join("; ")),
                };
                let sandbox = &attestation.sandbox;
                (Step, format!("{}: {executor} works in the {sandbox} sandbox{missing}", self.at(run)))
            }
            Body::Meanwhile(Meanwhile::Progressed { .. }) => (Detail, String::new()),
            Body::Meanwhile(Meanwhile::Denied { run, denial, .. }) => {
                (Step, format!("{}: denied: {}", self.at(run), denied(denial)))
            }
            Body::Meanwhile(Meanwhile::Held { run, hold }) => {
                let most = hold.most.cost;
                (Detail, format!("{}: a request was left before its answer; it may cost {most}", self.at(run)))
            }
            Body::Meanwhile(Meanwhile::Metered { run, spent, estimated, request: _ }) => {
                let estimated = if *estimated { " (estimated)" } else { "" };
                let (tokens, cost) = (words::tokens(&spent.usage), words::money(spent.cost, spent.notional));
                (Detail, format!("{}: a request of {tokens}, {cost}{estimated}", self.at(run)))
            }
            Body::Answer(Answer::RunEnded { start_error: Some(failure), run, .. }) => (
                Step,
                format!(
                    "{}: could not start: {}. {}",
                    self.at(run),
                    failure.reason,
                    failure.remedy.spell(self.dialect)
                ),
            ),
            Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms, start_error: None }) => {
                let status = match outcome.status {
                    OutcomeStatus::Completed => "finished",
                    OutcomeStatus::Failed => "failed",
                    OutcomeStatus::Transient => "was interrupted",
                    OutcomeStatus::Auth => "was not let in by its provider",
                    OutcomeStatus::RateLimited => "was held back by its provider",
                    OutcomeStatus::Capped => "reached its cap",
                };
                let said = match (outcome.status, neutral::line(&outcome.message, LINE)) {
                    // Its last words stand above already.
                    (OutcomeStatus::Completed, _) => String::new(),
                    (_, said) if said.is_empty() => String::new(),
                    (_, said) => format!(": {said}"),
                };
                let wall = words::duration(*wall_ms);
                (Step, format!("{}: the agent {status} after {wall}{}{said}", self.at(run), ended(end)))
            }
            Body::Answer(Answer::Collected { run, collected }) => {
                let mut text = match collected.changed.as_slice() {
                    [] => format!("{}: nothing changed", self.at(run)),
                    changed => {
                        format!(
                            "{}: commit {} changes {}",
                            self.at(run),
                            collected.commit.short(),
                            few(changed, PATHS_SHOWN, "")
                        )
                    }
                };
                for artefact in &collected.artefacts {
                    text.push_str(&format!("; {} ({} bytes)", artefact.name, artefact.bytes));
                }
                for left in &collected.left_behind {
                    let why = words::reason_left(&left.reason);
                    text.push_str(&format!("; left behind {} ({why}, {})", left.path, left.count));
                }
                for gap in &collected.incomplete {
                    text.push_str(&format!("; incomplete: {gap}"));
                }
                (Step, text)
            }
            Body::Answer(Answer::CollectFailed { run, reason }) => {
                (Step, format!("{}: its work could not be taken: {reason}", self.at(run)))
            }
            Body::Answer(Answer::Accepted { acceptance }) => match acceptance {
                Acceptance::Accept => (Detail, "the persona accepts the result".into()),
                Acceptance::Retry(why) => (Step, format!("the persona wants it again: {why}")),
                Acceptance::Fail(why) => (Step, format!("the persona gives up: {why}")),
            },
            Body::Said(Said::Noted { by, text }) => (Step, format!("{by} notes: {}", neutral::line(&text.text, LINE))),
            Body::Answer(Answer::Asked { question }) => {
                (Step, format!("the agent asks: {}", neutral::line(&question.text, LINE)))
            }
            Body::Said(Said::Answered { by, text }) => {
                (Step, format!("{by} answers: {}", neutral::line(&text.text, LINE)))
            }
            Body::Answer(Answer::Checked { run, check }) => {
                let report = &check.report;
                let failed = report.failed.len() + report.errored.len();
                let tests = format!("{} passed, {failed} failed", report.passed.len());
                let fault = match (&check.sandbox_error, &meaning.check, report.faults.first()) {
                    (Some(error), _, _) => format!("; the sandbox failed: {error}"),
                    (None, Some(judgement), _) => replay::judged(judgement),
                    (None, None, Some(fault)) => format!("; does not build: {}", fault.message),
                    (None, None, None) => String::new(),
                };
                let what = run.kind.as_str();
                let wall = words::duration(check.wall_ms);
                let own = check.own.as_ref().map(|own| {
                    let failed = own.report.failed.len() + own.report.errored.len();
                    let (passed, ended) = (own.report.passed.len(), ended(&own.end));
                    format!(" with the base's harness; {passed} passed, {failed} failed{ended} with the change's own")
                });
                let (own, ended) = (own.unwrap_or_default(), ended(&check.end));
                (Step, format!("{}: tests ({what}): {tests}{ended}{own} in {wall}{fault}", self.at(run)))
            }
            Body::Answer(Answer::Judged { findings, failures, incomplete, .. }) => {
                let mut text = match findings.len() {
                    0 => "judged: no findings".to_owned(),
                    count => format!("judged: {count} finding(s)"),
                };
                findings.iter().for_each(|finding| text.push_str(&format!("; {}", words::finding_line(finding))));
                failures.iter().for_each(|failure| {
                    text.push_str(&format!("; rule {} gave no answer: {}", failure.rule, failure.why))
                });
                incomplete.iter().for_each(|gap| text.push_str(&format!("; not looked at: {gap}")));
                (Step, text)
            }
            Body::Said(Said::Approved { by, digest, note }) => {
                (Step, format!("{by} approved change {}{}", digest.short(), after(note)))
            }
            Body::Said(Said::Rejected { by, digest, note }) => {
                (Step, format!("{by} rejected change {}{}", digest.short(), after(note)))
            }
            Body::Said(Said::CancelRequested { by }) => (Step, format!("{by} cancelled it")),
            Body::Said(Said::Unblocked { by }) => (Step, format!("{by} sent it on its way again")),
            Body::Answer(Answer::Delivered { branch, commit, pushed_to, answer }) => match (pushed_to, answer) {
                (Some(place), _) => (Step, format!("delivered: branch {branch} at {} in {place}", commit.short())),
                (None, Some(answer)) => (Step, format!("answered: {}", neutral::line(&answer.text, LINE))),
                (None, None) => (Step, "answered".into()),
            },
            Body::Answer(Answer::DeliverFailed { reason, remedy }) => {
                (Step, format!("could not be delivered: {reason}. {}", remedy.spell(self.dialect)))
            }
            Body::Answer(Answer::PluginFailed { plugin, reason }) => {
                (Step, format!("plugin {plugin} failed: {reason}"))
            }
            Body::Answer(Answer::TellFailed { reason }) => (Detail, format!("a notice could not be shown: {reason}")),
            Body::Answer(Answer::Stopped { run, cause }) => {
                (Detail, format!("{}: told to end ({})", self.at(run), cause_words(*cause)))
            }
            Body::Answer(Answer::Forgotten { .. }) | Body::Answer(Answer::Told { .. }) => (Detail, String::new()),
            Body::Meanwhile(Meanwhile::Delayed { reason, remedy }) => {
                (Step, format!("waits: {reason}; {}", remedy.spell(self.dialect)))
            }
            Body::Meanwhile(Meanwhile::DeadlinePassed) => (Detail, "goes on after its wait".into()),
        }
    }
}

/// The policy a task was made under, and as the one in force that it runs under now; none where this program knows them no more.
async fn policies_of(task: &Task, journal: &dyn Reads) -> Result<Option<Policies>, JournalError> {
    let first = journal.events(0, Some(task.id()), 1).await?;
    let Some(Body::Said(Said::TaskCreated { task: made })) = first.first().map(|entry| &entry.event.body) else {
        return Ok(None);
    };
    let (now, before) = (journal.policy(task.spec.policy).await?, journal.policy(made.policy).await?);
    let known = |sources: Option<Vec<SourceFile>>| sources.as_deref().and_then(policies::parse).map(without_caps);
    let (Some(now), Some(before)) = (known(now), known(before)) else { return Ok(None) };
    let mut policies = Policies::new(Arc::new(now));
    policies.remember(Arc::new(before));
    Ok(Some(policies))
}

/// What a day cost, and what its caps held back, is not among the events of one task.
fn without_caps(policy: Policy) -> Policy {
    Policy { host: HostPolicy { daily: None, ..policy.host }, people_daily: None, ..policy }
}

fn created(task: &NewTask) -> String {
    let stages: Vec<&str> = task.pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
    let pipeline = format!("pipeline {} ({})", task.pipeline.name, stages.join(" → "));
    let again = task.retry_of.map(|old| format!(", again after #{old}")).unwrap_or_default();
    let before = match task.asked_before.as_slice() {
        [] => String::new(),
        [only] if *only == task.by => String::new(),
        people => format!(", who goes on from what {} asked for", names(people)),
    };
    format!("#{} {} on {}, {pipeline}, asked for by {}{before}{again}", task.id, task.title, task.repository, task.by)
}

fn denied(denial: &DenialNote) -> String {
    let remedy = if denial.remedy.is_empty() { String::new() } else { format!("; to allow it: {}", denial.remedy) };
    format!("{} ({}){remedy}", denial.what, denial.rule)
}

/// How a process ended, where that is not simply by itself with code 0.
fn ended(end: &RunEnd) -> String {
    match (end.cause, end.exit_code) {
        (EndCause::Exited, Some(0) | None) => String::new(),
        (EndCause::Exited, Some(code)) => format!(" (exit {code})"),
        (cause, _) => format!(" ({})", cause_words(cause)),
    }
}

fn cause_words(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Exited => "ended by itself",
        EndCause::KilledBySignal => "killed by a signal",
        EndCause::TimedOut => "ran out of time",
        EndCause::Silent => "was silent for too long",
        EndCause::OutOfMemory => "ran out of memory",
        EndCause::OutputCap => "printed too much",
        EndCause::DiskCap => "wrote too much",
        EndCause::Capped => "reached its budget",
        EndCause::Cancelled => "cancelled",
        EndCause::Lost => "its sandbox vanished",
    }
}

fn after(note: &str) -> String {
    if note.trim().is_empty() { String::new() } else { format!(": {note}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{
        budget::MicroUsd,
        check::{Report, Runner},
        collect::CommitId,
        effect::Order,
        evidence::CheckRun,
        id::{Digest, EffectKey, RunKind, TaskId},
        intent,
        kept::Kept,
        owner::Owner,
        people::PersonId,
        policy::{parse, source::SourceFile},
        step::{self, State},
        task::Status,
    };
    use std::{collections::BTreeSet, path::Path};

    fn plain() -> Teller {
        Teller::new(None, intent::spell)
    }

    fn event(body: Body) -> Event {
        Event { at_ms: 0, owner: TaskId(1).into(), settles: None, body }
    }

    fn progressed(events: &[AgentEvent]) -> Event {
        let run = RunKey { owner: TaskId(1).into(), place: 0, fence: 2, kind: RunKind::Agent };
        let events = Kept::new(serde_json::to_string(events).expect("plain data"));
        event(Body::Meanwhile(Meanwhile::Progressed { run, line: 1, state: String::new(), events, turns: 0 }))
    }

    #[test]
    fn an_agent_cannot_forge_a_line_or_steer_the_terminal() {
        let said = "fine\n2026-01-01 00:00:00Z  delivered: branch main\u{1b}[2J\u{202e}";
        let tool =
            AgentEvent::ToolUse { id: "1".into(), tool: "Read\r\n".into(), detail: "\u{9b}31m".into(), path: None };
        let lines = plain().tell(&progressed(&[AgentEvent::Said { text: said.into() }, tool]));
        let lines: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(
            lines,
            [
                "stage 0:   “fine 2026-01-01 00:00:00Z delivered: branch main^[[2J<U+202E>”",
                "stage 0:   Read <U+009B>31m",
            ]
        );
        let failed = Body::Answer(Answer::PrepareFailed { reason: "one\ntwo\u{7}".into(), remedy: "three".into() });
        assert_eq!(plain().tell(&event(failed)), [(Weight::Step, "cannot start: one two^G. three".to_owned())]);
    }

    #[test]
    fn bookkeeping_has_no_line() {
        let run = RunKey { owner: TaskId(1).into(), place: 0, fence: 1, kind: RunKind::Agent };
        assert!(plain().tell(&event(Body::Answer(Answer::Forgotten { run }))).is_empty());
        assert!(plain().tell(&progressed(&[AgentEvent::Session { id: "s".into() }])).is_empty());
    }

    /// A task whose effects are performed by hand.
    struct Made {
        teller: Teller,
        engine: State,
        policies: Policies,
        owed: Option<EffectKey>,
    }

    impl Made {
        fn new() -> Made {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
            let mut files = policies::sources(&shipped).expect("the shipped policies are there");
            files.push(SourceFile {
                name: "policies/x.toml".into(),
                text: "[repo.\"acme/shop\"]\nurl = \"/srv/shop\"\n".into(),
            });
            let policy = parse::parse(&files).expect("the shipped policies are good");
            let task = NewTask {
                id: TaskId(1),
                title: "Add a discount".into(),
                description: Kept::new(""),
                repository: "acme/shop".into(),
                pipeline: policy.pipelines["feature"].clone(),
                by: PersonId("console:1".into()),
                chat: None,
                budget_asked: false,
                budget_name: "default".into(),
                budget: policy.budgets["default"],
                policy: policy.digest,
                retry_of: None,
                continues: None,
                asked_before: Vec::new(),
                branch: "borg/1/add-a-discount".into(),
            };
            let policies = Policies::new(Arc::new(policy));
            let teller = Teller::new(Some(policies.clone()), intent::spell);
            let mut made = Made { teller, engine: State::default(), policies, owed: None };
            made.answer(Body::Said(Said::TaskCreated { task: Box::new(task) }));
            let commit = CommitId("0123456789abcdef".into());
            let (branch, check) = ("main".into(), Some("make test".into()));
            made.answer(Body::Answer(Answer::Prepared { branch, commit, check, warnings: Vec::new() }));
            made
        }

        /// Settles what is owed by this event; gives what is told of it.
        fn answer(&mut self, body: Body) -> String {
            let event = Event { settles: self.owed.take(), ..event(body) };
            let step::Stepped { state, effects, .. } =
                step::step(std::mem::take(&mut self.engine), &event, &self.policies);
            self.engine = state;
            let owed = effects.into_iter().filter(|effect| !matches!(effect.order, Order::Forget(_)));
            self.owed = owed.map(|effect| effect.key).next();
            self.teller.tell(&event).into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
        }

        fn check(&mut self, kind: RunKind, code: i32, report: Report) -> String {
            let check = CheckRun {
                end: RunEnd { cause: EndCause::Exited, exit_code: Some(code), stderr_tail: String::new() },
                report,
                output: Kept::new("a long tale"),
                test_files: Vec::new(),
                names: Vec::new(),
                removed: BTreeSet::new(),
                image_id: None,
                wall_ms: 2_000,
                sandbox_error: None,
                overlaid: Vec::new(),
                own: None,
            };
            let run = RunKey { owner: TaskId(1).into(), place: 0, fence: 1, kind };
            self.answer(Body::Answer(Answer::Checked { run, check: Box::new(check) }))
        }
    }

    fn report(passed: &[&str], failed: &[&str], complete: bool) -> Report {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let runner = Some(Runner::Unittest);
        Report { runner, passed: ids(passed), failed: ids(failed), complete, lists_passed: true, ..Report::default() }
    }

    #[test]
    fn a_run_of_the_tests_is_told_with_what_it_meant() {
        let mut made = Made::new();
        assert_eq!(
            made.check(RunKind::Baseline, 1, report(&["a"], &["b"], true)),
            "spec: tests (baseline): 1 passed, 1 failed (exit 1) in 2 s; to be run again: it counts when it is so twice"
        );
        assert_eq!(
            made.check(RunKind::Recheck, 1, report(&["a"], &["b"], true)),
            "spec: tests (recheck): 1 passed, 1 failed (exit 1) in 2 s; red, and that does not do: failed: b\n\
             blocked: the tests are red before anything changed: failed: b. What to do: make the tests of the base branch pass, \
             then /retry 1"
        );
    }

    #[test]
    fn exit_code_0_is_told_with_why_it_was_not_green() {
        let mut made = Made::new();
        made.check(RunKind::Baseline, 0, report(&["a"], &[], false));
        let told = made.check(RunKind::Recheck, 0, report(&["a"], &[], false));
        assert!(
            told.contains("red, and that does not do: the test command ended with code 0 without its closing summary"),
            "{told}"
        );
        let mut green = Made::new();
        let told = green.check(RunKind::Baseline, 0, report(&["a"], &[], true));
        assert!(told.ends_with("in 2 s; green, as it must be: all tests passed"), "{told}");
    }

    #[test]
    fn a_check_that_could_not_be_made_is_told_with_its_cause_and_the_remedy() {
        let told = Made::new().check(RunKind::Baseline, 127, Report::default());
        assert_eq!(
            told,
            "spec: tests (baseline): 0 passed, 0 failed (exit 127) in 2 s; could not be run: the test command was not found (127): \
             is the runner in the image?\n\
             blocked: the tests could not be run: the test command was not found (127): is the runner in the image? \
             What to do: mend the test command or its image, then /retry 1"
        );
    }

    /// What held it back is no event of its own.
    #[test]
    fn a_task_that_a_daily_cap_held_back_is_told_to_its_end() {
        let mut made = Made::new();
        let plain = (**made.policies.current()).clone();
        let host = HostPolicy { daily: Some(MicroUsd(1)), ..plain.host.clone() };
        let capped = Policy { host, digest: Digest::of_bytes(b"capped"), ..plain.clone() };
        made.policies.load(Arc::new(capped));
        made.engine.day.pay(TaskId(9), None, MicroUsd(2), 0);
        made.check(RunKind::Baseline, 0, report(&["a"], &[], true));
        assert_eq!(made.engine.tasks[&TaskId(1)].status(), Status::Parked);
        made.policies.load(Arc::new(plain));
        let event = Event {
            owner: Owner::Host,
            ..event(Body::Host(HostEvent::PolicyLoaded { digest: Digest::of_bytes(b"plain") }))
        };
        let step::Stepped { state, effects, .. } = step::step(std::mem::take(&mut made.engine), &event, &made.policies);
        made.engine = state;
        made.owed = effects.into_iter().map(|effect| effect.key).next();
        assert_eq!(made.owed, Some(EffectKey("t1-s0-a3-brief".into())), "not the one it would have owed");
        let told = made.answer(Body::Answer(Answer::BriefRefused { reason: "no title".into() }));
        assert_eq!(told, "the persona refuses the task: no title\nfailed: the persona refused: no title");
    }

    #[test]
    fn how_it_ended_is_told() {
        let mut made = Made::new();
        made.check(RunKind::Baseline, 0, report(&["a"], &[], true));
        let told = made.answer(Body::Answer(Answer::BriefRefused { reason: "no title".into() }));
        assert_eq!(told, "the persona refuses the task: no title\nfailed: the persona refused: no title");
    }
}
