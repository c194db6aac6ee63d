//! The host's own test runs: the baseline, and the check after a stage.

use super::Turn;
use crate::{
    check::{self, Both, Question},
    collect::CommitId,
    evidence::CheckRun,
    facts::HarnessOf,
    id::{RunKey, RunKind},
    policy::{Expect, StageWork},
    record::StageRecord,
    remedy::Advice,
    task::{Doing, Phase, Position, Resume, Running, Stopping, Task},
};
use std::collections::BTreeSet;

impl Turn<'_> {
    /// Runs the test command on a stage's commit, or goes on where the stage asks for none.
    pub(super) fn check_stage(&mut self, at: Position, record: Box<StageRecord>) {
        if self.expectation(&at).is_none() {
            self.stage_done(*record, None);
            return;
        }
        let head = record.commit.clone();
        let changed = record.changed.clone();
        self.owe_check(at, RunKind::Check, &head, changed, Doing::Checking { record, first: None });
        self.tell_progress("running the tests");
    }

    pub(super) fn checked(&mut self, run: RunKey, check: &CheckRun) {
        let Some(Running { at, doing, stopping }) = self.running().cloned() else { return };
        self.forget(run);
        match (doing, stopping.and_then(Stopping::ending)) {
            (Doing::Checking { record, .. }, Some(ending)) => {
                self.keep(*record);
                self.end(ending, "cancelled");
            }
            (_, Some(ending)) => self.end(ending, "cancelled"),
            (Doing::Baseline { .. }, None) => match &check.sandbox_error {
                Some(error) => self.check_error(at, error),
                None => self.baseline_checked(at, check),
            },
            (Doing::Checking { record, .. }, None) => match &check.sandbox_error {
                // The work is not to blame, so it is what the next try goes on with.
                Some(error) => self.check_error(Position { resume: Some(Resume::Check(record)), ..at }, error),
                None => self.stage_checked(at, record, check),
            },
            (
                Doing::Preparing
                | Doing::Briefing
                | Doing::Agent(_)
                | Doing::Collecting { .. }
                | Doing::Accepting { .. }
                | Doing::Judging
                | Doing::Delivering { .. },
                None,
            ) => {}
        }
    }

    fn baseline_checked(&mut self, at: Position, check: &CheckRun) {
        let Some(judgement) = judgement(&self.task, check) else { return };
        if judgement.again() {
            let Some(head) = self.task.head.clone() else { return };
            self.owe_check(
                at,
                RunKind::Recheck,
                &head,
                Vec::new(),
                Doing::Baseline { first: Some(Box::new(check.clone())) },
            );
        } else if judgement.met() {
            // Its output is in the journal; a state is written with every event.
            self.task.baseline = Some(CheckRun { output: check.output.without_text(), ..check.clone() });
            // The stage's own checks get names of their own.
            self.begin(Position { attempt: at.attempt + 1, ..at });
        } else if judgement.is_error() {
            self.check_error(at, &judgement.reason());
        } else {
            let remedy = Advice::from("make the tests of the base branch pass, then ").act(self.retry());
            self.block(&format!("the tests are red before anything changed: {}", judgement.reason()), remedy);
        }
    }

    fn stage_checked(&mut self, at: Position, record: Box<StageRecord>, check: &CheckRun) {
        let (Some(expect), Some(judgement)) = (self.expectation(&at), judgement(&self.task, check)) else { return };
        // The run that counts has the output that matters, and of a stage that writes tests what is demanded from then on.
        let counted = match judgement.counts() {
            HarnessOf::Change => check.own.as_deref().unwrap_or(check),
            HarnessOf::Base => check,
        };
        if judgement.again() {
            let (head, changed) = (record.commit.clone(), record.changed.clone());
            self.owe_check(
                at,
                RunKind::Recheck,
                &head,
                changed,
                Doing::Checking { record, first: Some(Box::new(check.clone())) },
            );
        } else if judgement.met() {
            if expect == Expect::TestsFail {
                // From here on these must be reported as passed.
                let baseline = self.task.baseline.as_ref().map(|run| &run.report);
                let (ids, names) = check::demands(baseline, &counted.report, &check.names);
                self.task.required.extend(ids);
                self.task.required_names.extend(names);
            }
            let evidence = judgement.evidence(&record.stage, &check.overlaid);
            self.stage_done(*record, Some(evidence));
        } else if judgement.is_error() {
            // The baseline could be run, so the work may be to blame: the next try is a new run, and is told.
            let why = format!("the host could not run the tests: {}\n\n{}", judgement.reason(), counted.tail());
            self.tried(&record);
            self.check_error(Position { failure: Some(why), ..at }, &judgement.reason());
        } else {
            let why = format!("the host ran the tests: {}\n\n{}", judgement.reason(), counted.tail());
            self.attempt_failed(&why, Some(*record));
        }
    }

    fn owe_check(&mut self, at: Position, kind: RunKind, head: &CommitId, changed: Vec<String>, doing: Doing) {
        match self.check_order(&at, kind, head, changed) {
            Some(order) => self.owe(at, doing, order),
            None => self.block(
                "no test command is known",
                "add `check = …` to the repository in policies/repos.toml, then retry",
            ),
        }
    }

    /// Neither red nor green: it uses up no attempt, and a person looks at the machinery.
    fn check_error(&mut self, at: Position, reason: &str) {
        let remedy = Advice::from("mend the test command or its image, then ").act(self.retry());
        self.block_at(at, &format!("the tests could not be run: {reason}"), remedy);
    }

    fn expectation(&self, at: &Position) -> Option<Expect> {
        expectation(&self.task, at)
    }
}

fn expectation(task: &Task, at: &Position) -> Option<Expect> {
    match task.spec.pipeline.stages.get(at.stage as usize).map(|stage| &stage.work) {
        Some(StageWork::Persona { check, .. }) => *check,
        Some(StageWork::Judge { .. } | StageWork::Deliver { .. }) | None => None,
    }
}

/// What a run of the test command means to the task that waits for it; none where it waits for none.
pub fn judgement(task: &Task, check: &CheckRun) -> Option<Both> {
    let Phase::Running(Running { at, doing, .. }) = &task.phase else { return None };
    let none = BTreeSet::new();
    let baseline = task.baseline.as_ref().map(|run| &run.report);
    let (question, first) = match doing {
        Doing::Baseline { first } => {
            let question = Question {
                expect: check::Expect::Baseline,
                baseline: None,
                test_files: &[],
                required: &[],
                required_names: &[],
                removed: &none,
            };
            (question, first)
        }
        Doing::Checking { first, .. } => {
            let question = Question {
                expect: match expectation(task, at)? {
                    Expect::TestsFail => check::Expect::TestsFail,
                    Expect::TestsPass => check::Expect::TestsPass,
                },
                baseline,
                test_files: &check.test_files,
                required: &task.required,
                required_names: &task.required_names,
                removed: &check.removed,
            };
            (question, first)
        }
        Doing::Preparing
        | Doing::Briefing
        | Doing::Agent(_)
        | Doing::Collecting { .. }
        | Doing::Accepting { .. }
        | Doing::Judging
        | Doing::Delivering { .. } => return None,
    };
    let judge = |first: Option<&CheckRun>, last: &CheckRun| {
        check::judge(&question, first.map_or_else(|| run(last), run), first.is_some().then(|| run(last)))
    };
    let base = judge(first.as_deref(), check);
    // The same commits make the same tree, so the first run had one of its own, too, unless an older host performed it: then this is both.
    let own =
        check.own.as_deref().map(|own| judge(first.as_deref().map(|first| first.own.as_deref().unwrap_or(own)), own));
    Some(Both::new(question.expect, base, own))
}

fn run(check: &CheckRun) -> check::Run<'_> {
    check::Run { end: &check.end, report: &check.report, output: &check.output.text }
}
