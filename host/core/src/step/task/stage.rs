//! Moving along the pipeline: starting a task, a stage, an attempt.

use super::Turn;
use crate::{
    approval::ApprovedChange,
    budget::Spent,
    collect::CommitId,
    effect::{Accepted, BriefOrder, CheckOrder, DeliverOrder, InFile, JudgeOrder, Order, PrepareOrder},
    facts::{CheckOutcome, TestEvidence},
    id::{RunKey, RunKind},
    persona::{QUESTION_FILE, Work},
    policy::{Expect, StageWork, Via},
    record::StageRecord,
    remedy::Advice,
    task::{Base, Doing, Ending, Phase, Position, Resume},
};
use std::collections::BTreeSet;

/// So many attempts in a row that failed in the same way end a stage, however many it has left.
const STUCK: u32 = 3;

impl Turn<'_> {
    /// A queued task gets a slot and its repository.
    pub(super) fn start(&mut self) {
        let Phase::Queued { at } = &self.task.phase else { return };
        let mut at = at.clone();
        at.attempt += 1;
        let resume = at.resume.take();
        if self.task.base.is_none() || (self.needs_check() && self.task.baseline.is_none()) {
            let order = Order::Prepare(PrepareOrder {
                repository: self.task.spec.repository.clone(),
                needs_check: self.needs_check(),
                executors: self.executors(),
                commits: self
                    .task
                    .spec
                    .continues
                    .iter()
                    .flat_map(|from| [from.base.clone(), from.head.clone()])
                    .collect(),
            });
            self.owe(at, Doing::Preparing, order);
            self.tell_progress("preparing");
            return;
        }
        match resume {
            Some(Resume::Collect { agent, after }) => self.collect_run(at, *agent, after),
            Some(Resume::Accept(record)) => self.ask_persona(at, record),
            Some(Resume::Check(record)) => self.check_stage(at, record),
            None => self.begin(at),
        }
    }

    pub(super) fn prepared(&mut self, branch: &str, commit: &CommitId, check: Option<&str>) {
        let Some(running) = self.running() else { return };
        let at = running.at.clone();
        let (base, head) = match &self.task.spec.continues {
            Some(from) => (from.base.clone(), from.head.clone()),
            None => (commit.clone(), commit.clone()),
        };
        self.task.base =
            Some(Base { branch: branch.to_owned(), commit: base.clone(), check: check.map(str::to_owned) });
        self.task.head = Some(head);
        if !self.needs_check() {
            self.begin(at);
        } else if let Some(order) = self.check_order(&at, RunKind::Baseline, &base, Vec::new()) {
            self.owe(at, Doing::Baseline { first: None }, order);
            self.tell_progress("running the tests of the base");
        } else {
            let repository = self.task.spec.repository.clone();
            let remedy = Advice::default()
                .edit("policies/repos.toml", &format!("[repo.\"{repository}\"]"), "check = \"make test\"")
                .words(" (or what runs its tests), or a `test` target to its Makefile; then ")
                .act(self.retry());
            self.block(&format!("no test command is known for {repository}"), remedy);
        }
    }

    /// Starts the stage at this position.
    pub(super) fn begin(&mut self, at: Position) {
        let Some(stage) = self.task.spec.pipeline.stages.get(at.stage as usize).cloned() else {
            self.end(Ending::Completed, "every stage is done");
            return;
        };
        match stage.work {
            StageWork::Persona { persona, .. } => {
                if let Some(cap) = self.task.budget_at(&at, self.policy).reached(&self.task.stage_spent) {
                    self.end(Ending::Capped, &format!("the budget for {cap} is used up"));
                    return;
                }
                if let Some(shut) = self.shut {
                    self.park_for_day(at, &shut);
                    return;
                }
                let order = Order::Brief(Box::new(BriefOrder {
                    persona,
                    work: self.work(&at),
                    artefacts: self.artefacts(),
                    records: self.task.records.clone(),
                }));
                self.owe(at, Doing::Briefing, order);
                self.tell_progress(&stage.name);
            }
            StageWork::Judge { rules } => {
                let (Some(base), Some(head)) = (self.task.base.clone(), self.task.head.clone()) else {
                    self.end(Ending::Failed, "there is nothing to judge");
                    return;
                };
                if self.nothing_to_judge() {
                    self.end(Ending::Completed, "no changes");
                    return;
                }
                let order = Order::Judge(Box::new(JudgeOrder {
                    repository: self.task.spec.repository.clone(),
                    base: base.commit,
                    head,
                    rules,
                    commits: self.task.commits(),
                    evidence: self.evidence(),
                    incomplete: self.task.incomplete(),
                    check: base.check,
                    accepted: self.tests_since_untouched(),
                }));
                self.owe(at, Doing::Judging, order);
                self.tell_progress("judging");
            }
            StageWork::Deliver { via: Via::Branch } => {
                // Reached only by way of a verdict; see `deliver`.
                self.block(
                    "nothing judged this change",
                    "put a stage with `rules` before the one with `via = \"branch\"`, then start the task anew",
                );
            }
            StageWork::Deliver { via: Via::Reply } => {
                let Some(head) = self.task.head.clone() else {
                    self.end(Ending::Failed, "there is nothing to answer with");
                    return;
                };
                let order = self.deliver_order(&at, head);
                self.owe(at, Doing::Delivering { change: None }, order);
            }
            StageWork::Deliver { via: Via::None } => self.end(Ending::Completed, "the pipeline delivers nothing"),
        }
    }

    /// Delivers a change that may leave the host, by the stage at this position.
    pub(super) fn deliver(&mut self, at: Position, change: ApprovedChange, person: bool) {
        let order = self.deliver_order(&at, change.head().clone());
        if person {
            let key = self.key_for(&at, "deliver");
            self.also(key.0, order);
            self.enter(Phase::Approved { at, change });
        } else {
            self.owe(at, Doing::Delivering { change: Some(change) }, order);
        }
    }

    fn deliver_order(&self, at: &Position, commit: CommitId) -> Order {
        let via = self.via(at);
        let answer = match via {
            Via::Reply => self.answer_file(),
            Via::Branch | Via::None => None,
        };
        Order::Deliver(DeliverOrder {
            via,
            answer,
            branch: self.task.spec.branch.clone(),
            commit,
            repository: self.task.spec.repository.clone(),
        })
    }

    /// The file that holds the answer: the first that the last stage was to write, where it did.
    fn answer_file(&self) -> Option<InFile> {
        let record = self.task.records.last()?;
        let stage = self.task.spec.pipeline.stages.iter().find(|stage| stage.name == record.stage)?;
        let StageWork::Persona { produces, .. } = &stage.work else { return None };
        let written = produces.iter().find_map(|name| record.artefacts.iter().find(|made| made.name == *name))?;
        Some(InFile { name: written.name.clone(), digest: written.digest })
    }

    /// How the stage at this position delivers; a pipeline that ends with its judge delivers nothing.
    pub(super) fn via(&self, at: &Position) -> Via {
        match self.task.spec.pipeline.stages.get(at.stage as usize).map(|stage| &stage.work) {
            Some(StageWork::Deliver { via }) => *via,
            Some(StageWork::Persona { .. } | StageWork::Judge { .. }) | None => Via::None,
        }
    }

    /// A stage is done: its commit is the new head.
    pub(super) fn stage_done(&mut self, record: StageRecord, evidence: Option<TestEvidence>) {
        let Some(running) = self.running() else { return };
        let next = Position { stage: running.at.stage + 1, attempt: 1, ..Position::default() };
        self.keep(record);
        self.task.stage_spent = Spent::default();
        self.task.evidence.extend(evidence);
        self.begin(next);
    }

    /// An attempt was not good enough: another one, or the end. `left` is what it left behind, where that was collected.
    pub(super) fn attempt_failed(&mut self, why: &str, left: Option<StageRecord>) {
        let Some(running) = self.running() else { return };
        let at = running.at.clone();
        if let Some((ending, reason)) = self.no_more_attempts(&at, why) {
            if let Some(record) = left {
                self.keep(record);
            }
            self.end(ending, &reason);
            return;
        }
        if let Some(record) = left {
            self.tried(&record);
        }
        self.begin(Position {
            used: at.used + 1,
            attempt: at.attempt + 1,
            alike: alike(&at, why),
            failure: Some(why.to_owned()),
            resume: None,
            kept: None,
            ..at
        });
    }

    /// How the task ends when this attempt failed; none while the stage may try again.
    pub(super) fn no_more_attempts(&self, at: &Position, why: &str) -> Option<(Ending, String)> {
        let allowed = match self.task.spec.pipeline.stages.get(at.stage as usize).map(|stage| &stage.work) {
            Some(StageWork::Persona { attempts, .. }) => *attempts,
            Some(StageWork::Judge { .. } | StageWork::Deliver { .. }) | None => 1,
        };
        let (stage, used) = (self.stage_name(at.stage), at.used + 1);
        if used >= allowed {
            return Some((Ending::Failed, format!("stage {stage} failed {used} of {allowed} attempts: {why}")));
        }
        if alike(at, why) >= STUCK {
            let reason = format!(
                "stuck: stage {stage} failed {STUCK} times in a row in the same way, so another attempt would too: {why}"
            );
            return Some((Ending::Failed, reason));
        }
        let cap = self.cap()?;
        let reason =
            format!("the budget for {cap} is used up; stage {stage} failed {used} of {allowed} attempts: {why}");
        Some((Ending::Capped, reason))
    }

    /// The record of an accepted stage, or of work that was cut short: it stays, for people to see.
    pub(super) fn keep(&mut self, record: StageRecord) {
        self.task.head = Some(record.commit.clone());
        self.task.records.push(record);
    }

    pub(super) fn work(&self, at: &Position) -> Work {
        let stage = self.task.spec.pipeline.stages.get(at.stage as usize);
        let (produces, check) = match stage.map(|stage| &stage.work) {
            Some(StageWork::Persona { produces, check, .. }) => (produces.clone(), *check),
            Some(StageWork::Judge { .. } | StageWork::Deliver { .. }) | None => (Vec::new(), None),
        };
        Work {
            task: self.task.brief(),
            stage: self.stage_name(at.stage),
            attempt: at.used + 1,
            handoffs: Vec::new(),
            failure: failure(at),
            check: check.map(|expect| expect.as_str().to_owned()),
            produces,
        }
    }

    pub(super) fn stage_name(&self, stage: u32) -> String {
        self.task.spec.pipeline.stages.get(stage as usize).map(|stage| stage.name.clone()).unwrap_or_default()
    }

    /// Artefacts of all accepted stages, later ones last.
    pub(super) fn artefacts(&self) -> Vec<InFile> {
        let all = self.task.records.iter().flat_map(|record| &record.artefacts);
        // A question that was none is nobody's work.
        all.filter(|artefact| artefact.name != QUESTION_FILE)
            .map(|artefact| InFile { name: artefact.name.clone(), digest: artefact.digest })
            .collect()
    }

    /// The same for a run at this position: with what an earlier run of it left there.
    pub(super) fn inputs(&self, at: &Position) -> Vec<InFile> {
        let mut all = self.artefacts();
        let kept = at.kept.iter().flat_map(|kept| &kept.artefacts).filter(|artefact| artefact.name != QUESTION_FILE);
        for artefact in kept {
            all.retain(|other| other.name != artefact.name);
            all.push(InFile { name: artefact.name.clone(), digest: artefact.digest });
        }
        all
    }

    pub(super) fn check_order(
        &self,
        at: &Position,
        kind: RunKind,
        head: &CommitId,
        changed: Vec<String>,
    ) -> Option<Order> {
        let base = self.task.base.as_ref()?;
        let repo = self.policy.repos.get(&self.task.spec.repository);
        let checks = &self.policy.checks;
        Some(Order::Check(Box::new(CheckOrder {
            run: RunKey { owner: self.task.id().into(), place: at.stage, fence: at.attempt, kind },
            repository: self.task.spec.repository.clone(),
            image: repo.and_then(|repo| repo.image.clone()).unwrap_or_else(|| checks.image.clone()),
            command: base.check.clone()?,
            base: base.commit.clone(),
            head: head.clone(),
            changed,
            accepted: self.tests_of_stages(),
            baseline: self.task.baseline.as_ref().map(|run| run.report.clone()),
            limits: checks.limits,
            policy: self.task.spec.policy,
        })))
    }

    /// What accepted stages left that were to write failing tests, for a check and for what is said about its harness.
    fn tests_of_stages(&self) -> Vec<Accepted> {
        let wrote_tests = |record: &&StageRecord| {
            let stage = self.task.spec.pipeline.stages.iter().find(|stage| stage.name == record.stage);
            match stage.map(|stage| &stage.work) {
                Some(StageWork::Persona { check, .. }) => *check == Some(Expect::TestsFail),
                Some(StageWork::Judge { .. } | StageWork::Deliver { .. }) | None => false,
            }
        };
        let left = |record: &StageRecord| Accepted { commit: record.commit.clone(), paths: record.changed.clone() };
        self.task.records.iter().filter(wrote_tests).map(left).collect()
    }

    /// The same without paths that another stage wrote over since.
    fn tests_since_untouched(&self) -> Vec<Accepted> {
        let mut accepted = self.tests_of_stages();
        for left in &mut accepted {
            let since = self.task.records.iter().skip_while(|record| record.commit != left.commit);
            let others: BTreeSet<&String> =
                since.filter(|record| record.commit != left.commit).flat_map(|record| &record.changed).collect();
            left.paths.retain(|path| !others.contains(path));
        }
        accepted
    }

    /// True when the base came out as it went in, and nobody tried otherwise.
    fn nothing_to_judge(&self) -> bool {
        let untouched = |record: &StageRecord| record.left_behind.is_empty() && record.incomplete.is_empty();
        !self.task.has_changes() && self.task.tried.is_empty() && self.task.records.iter().all(untouched)
    }

    /// Evidence in the order it came to be, the baseline first.
    pub(super) fn evidence(&self) -> Vec<TestEvidence> {
        let baseline = self.task.baseline.iter().map(|run| TestEvidence {
            stage: "baseline".into(),
            outcome: CheckOutcome::Green,
            passed: run.report.passed.clone(),
            failed: run.report.failed.clone(),
            skipped: run.report.skipped.clone(),
            other: None,
            overlaid: Vec::new(),
        });
        baseline.chain(self.task.evidence.iter().cloned()).collect()
    }

    fn needs_check(&self) -> bool {
        self.task.spec.pipeline.stages.iter().any(|stage| match &stage.work {
            StageWork::Persona { check, .. } => check.is_some(),
            StageWork::Judge { .. } | StageWork::Deliver { .. } => false,
        })
    }

    fn executors(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for stage in &self.task.spec.pipeline.stages {
            if let StageWork::Persona { persona, .. } = &stage.work
                && let Some(policy) = self.policy.personas.get(persona)
                && !names.contains(&policy.executor)
            {
                names.push(policy.executor.clone());
            }
        }
        names
    }
}

/// What the next attempt is told of the one before.
fn failure(at: &Position) -> Option<String> {
    const KEPT: &str = "The host stopped the run before this one because the money for the day was used up, and not for anything it did. \
        What it changed is in the workspace, and what it had written to /out is in /in: go on from there.";
    match (&at.failure, &at.kept) {
        (Some(why), Some(_)) => Some(format!("{why}\n\n{KEPT}")),
        (None, Some(_)) => Some(KEPT.to_owned()),
        (why, None) => why.clone(),
    }
}

/// How many attempts in a row have failed in the same way, this one included.
fn alike(at: &Position, why: &str) -> u32 {
    match &at.failure {
        Some(last) if signature(last).eq(signature(why)) => at.alike.max(1) + 1,
        Some(_) | None => 1,
    }
}

/// A failure without what differs from one run to the next: blanks, durations and addresses.
fn signature(why: &str) -> impl Iterator<Item = &str> {
    why.split_whitespace().filter(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let amount = word.trim_end_matches(|c: char| c.is_alphabetic());
        let unit = &word[amount.len()..];
        let is_duration = matches!(unit, "s" | "ms" | "µs" | "ns" | "sec" | "") && amount.parse::<f64>().is_ok();
        !(is_duration && (!unit.is_empty() || amount.contains('.')) || word.starts_with("0x"))
    })
}
