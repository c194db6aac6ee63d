//! An agent at work: from its orders to what it left behind.

use super::Turn;
use crate::{
    budget::{Cap, Spent},
    collect::{Collected, CommitId},
    denial::DenialNote,
    effect::{AcceptOrder, CollectOrder, ForgetOrder, InFile, Order, RunOrder},
    event::StartFailure,
    executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
    facts::StageCommit,
    grant::Grant,
    id::{Digest, RunKey, RunKind},
    intent::Intent,
    kept::Kept,
    persona::{Acceptance, QUESTION_FILE, Report},
    policy::StageWork,
    record::StageRecord,
    remedy::Advice,
    run::Limits,
    task::{AfterCollect, AgentRun, Doing, Ending, Phase, Position, Resume, Running, Stopping, Task},
};

/// Longest wait the host accepts from a provider, in milliseconds: a day.
const LONGEST_PARK_MS: u64 = 86_400_000;

impl Turn<'_> {
    pub(super) fn briefed(&mut self, assignment: &Kept, grant: &Grant) {
        let Some(running) = self.running() else { return };
        let at = running.at.clone();
        self.task.last_words = None;
        self.denied(grant.denials());
        let Some((persona, stage)) = self.persona_of(&at) else {
            self.block("the stage has no persona", "mend the pipeline, then retry");
            return;
        };
        let found = self
            .policy
            .personas
            .get(&persona)
            .and_then(|policy| Some((policy, self.policy.executors.get(&policy.executor)?)));
        let (Some((policy, executor)), Some(base), Some(head)) =
            (found, self.task.base.clone(), self.task.head.clone())
        else {
            self.block(
                &format!("policy grants persona {persona} nothing to run with"),
                Advice::default().edit("policies/personas.toml", &format!("[persona.{persona}]"), "executor = …"),
            );
            return;
        };
        if let Some(shut) = self.shut {
            self.park_for_day(at, &shut);
            return;
        }
        let run = RunKey { owner: self.task.id().into(), place: at.stage, fence: at.attempt, kind: RunKind::Agent };
        // What is collected is told from the head, whatever the run began with.
        let begins = at.kept.as_ref().map_or(head, |kept| kept.commit.clone());
        let allowance = self.task.allowance(self.policy);
        let mut limits = executor.limits_of(self.task.spec.pipeline.read_only);
        limits.wall_ms = limits.wall_ms.min(allowance.wall_ms.max(1));
        let image = self.policy.repos.get(&self.task.spec.repository).and_then(|repo| repo.image.clone());
        let order = Order::Run(Box::new(RunOrder {
            run,
            repository: self.task.spec.repository.clone(),
            brief: self.task.brief(),
            persona,
            stage,
            attempt: at.used + 1,
            executor: policy.executor.clone(),
            image: image.unwrap_or_else(|| executor.image.clone()),
            model: policy.model.clone().or_else(|| executor.model.clone()),
            assignment: assignment.clone(),
            tools: grant.tools().to_vec(),
            write: grant.write().clone(),
            limits,
            egress: executor.egress.clone(),
            allowance,
            base: base.commit,
            head: begins,
            base_branch: base.branch,
            inputs: self.inputs(&at),
            policy: self.task.spec.policy,
        }));
        let agent = AgentRun {
            run,
            write: grant.write().clone(),
            started_ms: self.event.at_ms,
            line: 0,
            state: String::new(),
            executor_digest: None,
            turns: 0,
            seen_ms: self.event.at_ms,
        };
        self.owe(at, Doing::Agent(agent), order);
    }

    pub(super) fn run_started(&mut self, run: &RunKey, digest: Option<Digest>) {
        let now = self.event.at_ms;
        let Some(agent) = self.agent_mut(run) else { return };
        // A sandbox that is lost while nobody looks is started anew, and its output begins at the first line again. The time it ran is
        // spent all the same.
        let lost = agent.ran_ms();
        agent.executor_digest = digest;
        (agent.started_ms, agent.seen_ms) = (now, now);
        agent.line = 0;
        agent.state.clear();
        agent.turns = 0;
        self.task.spend(Spent { wall_ms: lost, ..Spent::default() });
    }

    /// The gateway settled a request, of this run or of an earlier one.
    pub(super) fn metered(&mut self, run: &RunKey) {
        self.task.book(&self.event.body);
        let now = self.event.at_ms;
        if let Some(agent) = self.agent_mut(run) {
            agent.seen_ms = agent.seen_ms.max(now);
        }
    }

    pub(super) fn progressed(&mut self, run: &RunKey, line: u64, state: &str, turns: u32) {
        let now = self.event.at_ms;
        if let Some(agent) = self.agent_mut(run)
            && line >= agent.line
        {
            agent.seen_ms = agent.seen_ms.max(now);
            agent.line = line;
            agent.state = state.to_owned();
            agent.turns = turns;
        }
    }

    fn agent_mut(&mut self, run: &RunKey) -> Option<&mut AgentRun> {
        // Asked before it is touched: what is heard of another run changes nothing.
        self.task.agent_run().filter(|agent| agent.run == *run)?;
        match &mut self.task.phase {
            Phase::Running(Running { doing: Doing::Agent(agent), .. }) => Some(agent),
            _ => None,
        }
    }

    /// What follows the end of an agent's run; `end` comes with how long the run took, in milliseconds.
    pub(super) fn run_ended(
        &mut self,
        run: RunKey,
        (end, wall_ms): (&RunEnd, u64),
        outcome: &Outcome,
        start_error: Option<&StartFailure>,
    ) {
        let Some(Running { at, stopping, .. }) = self.running().cloned() else { return };
        let stopping = match stopping {
            Some(Stopping::ForTheDay) => return self.stopped_for_day((run, at), end, outcome, start_error),
            Some(Stopping::Ends(ending)) => Some(ending),
            None => None,
        };
        if let (Some(ending), Some(failure)) = (stopping, start_error) {
            self.forget(run);
            self.end(ending, &format!("cancelled; the run had not started: {}", failure.reason));
            return;
        }
        if let Some(ending) = stopping {
            self.collect(at, AfterCollect::End { ending, reason: "cancelled".into() });
            return;
        }
        if let Some(failure) = start_error {
            self.forget(run);
            if failure.transient {
                self.retry_later(at, None, &failure.reason, &failure.remedy);
            } else {
                self.block(&failure.reason, failure.remedy.clone());
            }
            return;
        }
        match end.cause {
            // Nobody cancelled the task, so a daily cap stopped the run. Whoever follows one task by its events does not see the caps.
            EndCause::Cancelled => self.collect(at, AfterCollect::Wait),
            EndCause::Capped => self.collect(at, capped(outcome)),
            EndCause::Lost => {
                self.forget(run);
                self.retry_later(at, None, "the sandbox was lost", &"`borg-host doctor` tests the sandbox".into());
            }
            EndCause::TimedOut if self.wall_was_the_budgets(&at, wall_ms) => {
                self.collect(
                    at,
                    AfterCollect::End { ending: Ending::Capped, reason: "the budget for wall time is used up".into() },
                );
            }
            // It was waiting for its provider when time was up: no fault of the attempt.
            EndCause::TimedOut | EndCause::Silent if is_the_providers(outcome.status) => {
                self.judge_outcome(run, at, outcome);
            }
            EndCause::TimedOut => self.run_failed(run, at, "the run took longer than its wall limit"),
            EndCause::Silent => self.run_failed(run, at, "the agent was silent for longer than its idle limit"),
            EndCause::OutOfMemory => self.run_failed(run, at, "the run needed more memory than its limit"),
            EndCause::OutputCap => self.run_failed(run, at, "the run printed more than its output limit"),
            EndCause::DiskCap => self.run_failed(run, at, "the run wrote more than its disk limit"),
            EndCause::Exited | EndCause::KilledBySignal => self.judge_outcome(run, at, outcome),
        }
    }

    /// Goes by what the executor made of a run.
    pub(super) fn judge_outcome(&mut self, run: RunKey, at: Position, outcome: &Outcome) {
        match outcome.status {
            OutcomeStatus::Completed => {
                self.task.last_words = Some(Kept::new(outcome.message.clone()));
                self.collect(at, AfterCollect::Accept);
            }
            OutcomeStatus::Capped => self.collect(at, capped(outcome)),
            OutcomeStatus::Auth => {
                self.forget(run);
                let check =
                    "check the secret of its [egress.*] entry (`borg-host doctor`, `borg-host secret set NAME`), then ";
                let remedy = Advice::from(check).act(self.retry());
                self.block(&format!("the model provider refused the credentials: {}", outcome.message), remedy);
            }
            OutcomeStatus::RateLimited | OutcomeStatus::Transient if self.cap().is_some() => {
                // There will be no other run: what this one did is all there is.
                let reason = format!("the budget is used up, and the run ended with: {}", outcome.message);
                self.collect(at, AfterCollect::End { ending: Ending::Capped, reason });
            }
            OutcomeStatus::RateLimited => {
                self.forget(run);
                self.park(at, outcome.retry_after_ms.unwrap_or(60_000), "the model provider asked to wait");
            }
            OutcomeStatus::Transient => {
                self.forget(run);
                self.retry_later(
                    at,
                    outcome.retry_after_ms,
                    &outcome.message,
                    &"look at the provider's status page".into(),
                );
            }
            OutcomeStatus::Failed => self.run_failed(run, at, &outcome.message),
        }
    }

    /// The limit that the stage at work has reached, if any.
    pub(super) fn cap(&self) -> Option<Cap> {
        self.task.budget(self.policy).reached(&self.task.stage_spent)
    }

    /// True when a run of this length was ended by the task's budget and not by its executor's own limit.
    fn wall_was_the_budgets(&self, at: &Position, wall_ms: u64) -> bool {
        let (budget, spent) = (self.task.budget(self.policy), self.task.stage_spent);
        let left_before = budget.wall_ms.saturating_sub(spent.wall_ms.saturating_sub(wall_ms));
        let own = self.persona_of(at).map(|(persona, _)| self.limits_of(&persona).wall_ms);
        self.cap().is_some() || own.is_some_and(|own| left_before < own)
    }

    /// Counts the attempt; the last one's work is kept.
    fn run_failed(&mut self, run: RunKey, at: Position, why: &str) {
        match self.no_more_attempts(&at, why) {
            Some((ending, reason)) => self.collect(at, AfterCollect::End { ending, reason }),
            None => {
                self.task.transients = 0;
                self.forget(run);
                self.attempt_failed(why, None);
            }
        }
    }

    /// Waits and tries again without using up an attempt; a person is asked when that happens too often in a row.
    fn retry_later(&mut self, at: Position, wait_ms: Option<u64>, why: &str, remedy: &Advice) {
        self.task.transients += 1;
        if self.task.transients > self.policy.host.transient_retries {
            let reason = format!("{why} ({} times in a row)", self.task.transients);
            self.block(&reason, Advice::default().and(remedy).words("; ").act(self.retry()).words(" tries again"));
            return;
        }
        let back_off = 1_000_u64 << self.task.transients.min(8);
        self.park(at, wait_ms.unwrap_or(back_off), why);
    }

    fn park(&mut self, at: Position, wait_ms: u64, reason: &str) {
        let until_ms = self.event.at_ms.saturating_add(wait_ms.clamp(1, LONGEST_PARK_MS));
        self.enter(Phase::Parked { at, until_ms, reason: reason.to_owned(), daily: false });
        self.tell_parked(reason, until_ms);
    }

    pub(super) fn unpark(&mut self) {
        if let Phase::Parked { at, until_ms, .. } = &self.task.phase
            && *until_ms <= self.event.at_ms
        {
            self.enter(Phase::Queued { at: at.clone() });
        }
    }

    pub(super) fn collect(&mut self, at: Position, after: AfterCollect) {
        let Some(Running { doing: Doing::Agent(agent), .. }) = self.running().cloned() else { return };
        self.collect_run(at, agent, after);
    }

    /// Takes what a run that is over left behind.
    pub(super) fn collect_run(&mut self, at: Position, agent: AgentRun, after: AfterCollect) {
        let (Some(base), Some(head), Some((persona, stage))) =
            (self.task.base.clone(), self.task.head.clone(), self.persona_of(&at))
        else {
            return;
        };
        self.task.transients = 0;
        let order = Order::Collect(Box::new(CollectOrder {
            run: agent.run,
            repository: self.task.spec.repository.clone(),
            base: base.commit,
            parent: head,
            write: agent.write.clone(),
            message: self.commit_message(&stage, &persona, at.used + 1, &after),
            author: persona.clone(),
            at_ms: self.event.at_ms,
            produces: self.produces_of(&at).into_iter().chain([QUESTION_FILE.to_owned()]).collect(),
            limits: self.limits_of(&persona),
        }));
        self.owe(at, Doing::Collecting { agent, after }, order);
    }

    pub(super) fn collected(&mut self, run: RunKey, collected: &Collected) {
        let earlier = self.take_kept();
        let Some(Running { at, doing: Doing::Collecting { agent, after }, stopping }) = self.running().cloned() else {
            return;
        };
        let Some((persona, stage)) = self.persona_of(&at) else { return };
        self.forget(run);
        // What an earlier run of this try had written to /out lay in /in of this one: it need not be written again.
        let mut artefacts = collected.artefacts.clone();
        let kept = earlier.iter().flat_map(|kept| &kept.artefacts).filter(|kept| kept.name != QUESTION_FILE);
        let unwritten: Vec<_> =
            kept.filter(|kept| artefacts.iter().all(|own| own.name != kept.name)).cloned().collect();
        artefacts.extend(unwritten);
        let mut incomplete = earlier.map(|kept| kept.incomplete).unwrap_or_default();
        incomplete
            .extend(collected.incomplete.iter().filter(|why| !incomplete.contains(why)).cloned().collect::<Vec<_>>());
        let record = StageRecord {
            stage,
            persona,
            attempt: at.used + 1,
            commit: collected.commit.clone(),
            changed: collected.changed.clone(),
            write: agent.write.allow.clone(),
            protected: agent.write.pinned.clone(),
            left_behind: collected.left_behind.clone(),
            incomplete,
            artefacts,
        };
        match (stopping.and_then(Stopping::ending), after) {
            (Some(ending), _) => {
                self.keep(record);
                self.end(ending, "cancelled");
            }
            (None, AfterCollect::End { ending, reason }) => {
                self.keep(record);
                self.end(ending, &reason);
            }
            (None, AfterCollect::Wait) => self.keep_for_day(at, record),
            (None, AfterCollect::Accept) => self.ask_persona(at, Box::new(record)),
        }
    }

    /// Asks the persona of a stage what it thinks of the work.
    pub(super) fn ask_persona(&mut self, at: Position, record: Box<StageRecord>) {
        let report = Report {
            message: self.task.last_words.as_ref().map(|kept| kept.text.clone()).unwrap_or_default(),
            artefacts: Vec::new(),
            changed: record.changed.clone(),
            left_behind: record.left_behind.iter().map(|left| left.path.clone()).collect(),
        };
        let produced =
            record.artefacts.iter().map(|artefact| InFile { name: artefact.name.clone(), digest: artefact.digest });
        let order = Order::Accept(Box::new(AcceptOrder {
            persona: record.persona.clone(),
            work: self.work(&at),
            artefacts: self.artefacts(),
            report,
            produced: produced.collect(),
        }));
        self.owe(at, Doing::Accepting { record }, order);
    }

    pub(super) fn collect_failed(&mut self, run: RunKey, reason: &str) {
        let Some(Running { at, doing: Doing::Collecting { agent, after }, stopping }) = self.running().cloned() else {
            return;
        };
        let reason = format!("what the agent left could not be collected: {reason}");
        let asked = match &after {
            AfterCollect::End { ending: ending @ Ending::Cancelled, .. } => Some(*ending),
            AfterCollect::End { .. } | AfterCollect::Accept | AfterCollect::Wait => stopping.and_then(Stopping::ending),
        };
        match asked {
            Some(ending) => {
                self.forget(run);
                self.end(ending, &format!("cancelled; {reason}"));
            }
            // It stays where it is: the next try begins there, and not with another run.
            None => {
                let remedy = Advice::from("`borg-host doctor`, then ")
                    .act(self.retry())
                    .words(" collects it; ")
                    .act(Intent::Cancel { task: self.task.id() })
                    .words(" gives it up");
                let resume = Some(Resume::Collect { agent: Box::new(agent), after });
                self.block_at(Position { resume, ..at }, &reason, remedy);
            }
        }
    }

    pub(super) fn accepted(&mut self, acceptance: &Acceptance) {
        let Some(Running { at, doing: Doing::Accepting { record, .. }, .. }) = self.running().cloned() else { return };
        match acceptance {
            Acceptance::Accept => self.check_stage(at, record),
            Acceptance::Retry(why) => self.attempt_failed(why, Some(*record)),
            Acceptance::Fail(why) => {
                self.keep(*record);
                self.end(Ending::Failed, &format!("the persona gave up: {why}"));
            }
        }
    }

    /// A path an agent tried to write against its grant; the rules hear of it.
    pub(super) fn refused(&mut self, run: &RunKey, path: &str) {
        let at = Position { stage: run.place, ..Position::default() };
        let Some((persona, stage)) = self.persona_of(&at) else { return };
        let write = match self.agent_mut(run) {
            Some(agent) => agent.write.clone(),
            None => return,
        };
        let known =
            self.task.tried.iter().any(|tried| tried.stage == stage && tried.refused.iter().any(|other| other == path));
        if !known && self.task.tried.len() < Task::DENIALS_KEPT {
            self.task.tried.push(StageCommit {
                stage,
                persona,
                write: write.allow,
                protected: write.pinned,
                paths: Vec::new(),
                left_behind: Vec::new(),
                refused: vec![path.to_owned()],
            });
        }
    }

    /// Notes refusals, each kind once: an agent may knock on the same door a thousand times.
    pub(super) fn denied(&mut self, denials: &[DenialNote]) {
        for denial in denials {
            if self.task.denials.len() < Task::DENIALS_KEPT && !self.task.denials.contains(denial) {
                self.task.denials.push(denial.clone());
            }
        }
    }

    pub(super) fn forget(&mut self, run: RunKey) {
        self.also(format!("{run}-forget"), Order::Forget(ForgetOrder { run }));
    }

    pub(super) fn persona_of(&self, at: &Position) -> Option<(String, String)> {
        let stage = self.task.spec.pipeline.stages.get(at.stage as usize)?;
        match &stage.work {
            StageWork::Persona { persona, .. } => Some((persona.clone(), stage.name.clone())),
            StageWork::Judge { .. } | StageWork::Deliver { .. } => None,
        }
    }

    fn produces_of(&self, at: &Position) -> Vec<String> {
        match self.task.spec.pipeline.stages.get(at.stage as usize).map(|stage| &stage.work) {
            Some(StageWork::Persona { produces, .. }) => produces.clone(),
            Some(StageWork::Judge { .. } | StageWork::Deliver { .. }) | None => Vec::new(),
        }
    }

    fn limits_of(&self, persona: &str) -> Limits {
        let executor = self.policy.personas.get(persona).and_then(|policy| self.policy.executors.get(&policy.executor));
        let read_only = self.task.spec.pipeline.read_only;
        executor.map_or_else(|| self.policy.checks.limits, |executor| executor.limits_of(read_only))
    }

    fn commit_message(&self, stage: &str, persona: &str, attempt: u32, after: &AfterCollect) -> String {
        let unfinished = match after {
            AfterCollect::Accept => "",
            AfterCollect::Wait | AfterCollect::End { .. } => " (unfinished)",
        };
        let CommitId(base) =
            self.task.base.as_ref().map(|base| base.commit.clone()).unwrap_or_else(|| CommitId(String::new()));
        format!(
            "{stage}: {}{unfinished}\n\nTask: {}\nStage: {stage}\nPersona: {persona}\nAttempt: {attempt}\nBase: {base}\n",
            self.task.spec.title,
            self.task.id(),
        )
    }
}

/// True for a status that speaks of the model's provider and not of the agent's work.
fn is_the_providers(status: OutcomeStatus) -> bool {
    match status {
        OutcomeStatus::Transient | OutcomeStatus::Auth | OutcomeStatus::RateLimited => true,
        OutcomeStatus::Completed | OutcomeStatus::Failed | OutcomeStatus::Capped => false,
    }
}

fn capped(outcome: &Outcome) -> AfterCollect {
    let reason = if outcome.message.is_empty() { "the budget is used up".to_owned() } else { outcome.message.clone() };
    AfterCollect::End { ending: Ending::Capped, reason }
}
