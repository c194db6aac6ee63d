//! One agent run: launched by its executor, sealed by the sandbox, let out by the gateway, read line by line.
//!
//! A run that an earlier process of this host started is adopted: its container is found by its key, its output is read on from
//! the last line that was saved, with the executor component and the state it had then. One that did not survive that process is
//! started again in its place: that is nobody's failure.

mod before;

use super::{
    Doers, chain, held, plugin_failed,
    refused::{Refused, Watch},
};
use crate::{
    clock::now_ms,
    engine::Handle,
    sandbox::{self, Line, RunDirs, Stream},
    workspace,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use borg_core::{
    budget::{Budget, Spent},
    effect::RunOrder,
    event::{Answer, Body, DenialNote, Event, Kept, Meanwhile, StartFailure},
    executor::{AgentEvent, EndCause, Job, Outcome, OutcomeStatus, RunEnd},
    grant::claimed,
    id::RunKey,
    policy::Policy,
    remedy::Advice,
    task::{AgentRun, Hold, Task},
};
use borg_gateway::{Door, Elder};
use borg_plugins::{Executor, Kind, MAX_BATCH_BYTES};
use serde_json::Value;
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::sync::mpsc;

/// Lines read in one call of the executor, at most.
const LINES: usize = 512;
/// Refusals of one run that become events of their own, more or less; the rest stays in what the agent said. Printing is cheaper than
/// making durable.
const NOTED: u32 = 500;

/// Why a run did not come to be.
enum Failure {
    Start(StartFailure),
    /// An event of its own says it.
    Body(Box<Body>),
}

fn start_failure(reason: impl Into<String>, remedy: impl Into<Advice>, transient: bool) -> Failure {
    Failure::Start(StartFailure { reason: reason.into(), remedy: remedy.into(), transient })
}

impl From<sandbox::Error> for Failure {
    fn from(error: sandbox::Error) -> Self {
        start_failure(chain(&error), "`borg-host doctor` tests the sandbox", error.is_passing())
    }
}

impl From<workspace::Error> for Failure {
    fn from(error: workspace::Error) -> Self {
        start_failure(
            format!("the workspace could not be prepared: {}", chain(&error)),
            "`borg-host doctor`, then retry",
            false,
        )
    }
}

/// What the executor is asked with, again and again.
struct Reader<'a> {
    executor: &'a Executor,
    settings: &'a Value,
    job: &'a Job,
    run: RunKey,
    watch: Watch,
    /// Refusals that became events of their own.
    noted: AtomicU32,
}

impl Reader<'_> {
    fn note(&self) {
        self.noted.fetch_add(1, Ordering::Relaxed);
    }
}

impl Doers {
    pub(super) async fn run(&self, order: RunOrder, task: Option<Task>, policy: &Policy, handle: &Handle) -> Body {
        let run = order.run;
        let mut begun = task.as_ref().and_then(Task::agent_run).filter(|agent| agent.run == run).cloned();
        let lost_ms = begun.as_ref().map_or(0, AgentRun::ran_ms);
        let mut task = task;
        loop {
            match self.try_run(&order, task.as_ref(), (begun.take(), lost_ms), policy, handle).await {
                Ok(Some(body)) => return body,
                Err(Failure::Body(body)) => return *body,
                // What had begun is lost: this time nothing has. What it spent before that is spent, and recorded by now.
                Ok(None) => {
                    let Some(id) = run.owner.task() else { continue };
                    match self.store.run(move |journal| journal.task(id)).await {
                        Ok(now) => task = now.or(task),
                        Err(error) => tracing::warn!(%run, %error, "what was spent until now is not known"),
                    }
                }
                Err(Failure::Start(failure)) => {
                    return Body::Answer(Answer::RunEnded {
                        run,
                        end: RunEnd { cause: EndCause::Lost, exit_code: None, stderr_tail: String::new() },
                        outcome: outcome(OutcomeStatus::Failed, failure.reason.clone()),
                        wall_ms: 0,
                        start_error: Some(failure),
                    });
                }
            }
        }
    }

    /// Starts a run and follows it to its end, or follows one that has `begun`; none when that one was lost before it was adopted. What
    /// is lost had run for `lost_ms`.
    async fn try_run(
        &self,
        order: &RunOrder,
        task: Option<&Task>,
        (begun, lost_ms): (Option<AgentRun>, u64),
        policy: &Policy,
        handle: &Handle,
    ) -> Result<Option<Body>, Failure> {
        let run = order.run;
        let digest = begun.as_ref().and_then(|agent| agent.executor_digest);
        let executor = self
            .plugins
            .executor(&order.executor, digest)
            .map_err(|error| Failure::Body(plugin_failed(&error).into()))?;
        let granted = policy.executors.get(&order.executor);
        let given = granted.map(|granted| granted.settings.clone()).unwrap_or_default();
        let settings = self.settings(Kind::Executor, &order.executor, &given).map_err(|reason| {
            Failure::Body(Box::new(Body::Answer(Answer::PluginFailed { plugin: order.executor.clone(), reason })))
        })?;
        let job = self.job(order, &executor, policy).await?;

        // Adopted is only what the journal knows to have started; a sandbox it does not know of began and was lost in between.
        let known = begun.as_ref().is_some_and(|agent| agent.executor_digest.is_some());
        let found = if known { self.sandbox.find(run).await? } else { None };
        let fresh = found.is_none();
        if fresh {
            self.sandbox.remove(run).await?;
        }
        // How far the output of a sandbox that is gone was read says nothing about a new one's.
        let begun = begun.filter(|_| !fresh);
        // One that ended while nobody looked has not run since; when that was nobody knows.
        let is_running = found.as_ref().is_some_and(|found| found.running);
        let earlier_ms = match &begun {
            Some(agent) if is_running => now_ms().saturating_sub(agent.started_ms),
            Some(agent) => agent.ran_ms(),
            None => lost_ms,
        };
        let left = left(order, task, policy, earlier_ms);
        let dirs = self.workspace.run_dir(run);
        let spec = if fresh { Some(self.spec(order, &executor, &settings, &job, left).await?) } else { None };
        if fresh {
            self.lay_out(order, &dirs).await?;
        }
        let before =
            task.map(|task| task.stage_spent).unwrap_or_default() + Spent { wall_ms: earlier_ms, ..Spent::default() };
        let elder = |(run, hold): &(RunKey, Hold)| Elder { run: *run, request: hold.request, most: hold.most };
        let elders = task.into_iter().flat_map(|task| task.holds_of(run)).map(elder).collect();
        let door = Arc::new(self.open_door(order, (left, before, elders), &dirs, policy).await?);
        let mut notices = door.subscribe();
        self.live.enter(run, door.clone());
        if self.live.stopped(run).is_some() {
            door.close().await;
            return Ok(Some(cancelled_before_start(run)));
        }
        let bundle = self.agent_bundle(&executor.info().bundle);
        let base_repo = if fresh { Some(self.lend(order).await?) } else { None };
        let started = match &spec {
            Some(spec) => {
                let dirs = RunDirs {
                    workspace: dirs.workspace.clone(),
                    input: dirs.input.clone(),
                    out: dirs.out.clone(),
                    home: dirs.home.clone(),
                    run: dirs.run.clone(),
                    agent: bundle.map(|bundle| bundle.dir),
                    base_repo,
                };
                let started = self.sandbox.start(spec, &dirs).await?;
                let body = Body::Meanwhile(Meanwhile::RunStarted {
                    run,
                    executor: order.executor.clone(),
                    executor_digest: Some(executor.plugin().digest()),
                    attestation: started.attestation,
                });
                self.note(run, body, handle).await;
                started.init_pid
            }
            None => found.and_then(|found| found.init_pid).unwrap_or(0),
        };
        if started > 0 {
            door.admit(started);
        }
        if let Some(cause) = self.live.stopped(run) {
            door.close().await;
            self.sandbox.kill(run, cause).await?;
        }
        let reader = Reader {
            executor: &executor,
            settings: &settings,
            job: &job,
            run,
            watch: Watch::new(&order.persona, &order.write),
            noted: AtomicU32::new(0),
        };
        // The door knows only of the time since it was opened.
        let is_timed = fresh && started > 0;
        let begun_ms = begun.as_ref().map_or_else(now_ms, |agent| agent.started_ms);
        let followed = self.follow(&reader, begun, &door, handle).await;
        door.close().await;
        // Whatever comes of the run: what it spent, or may still spend, is known to its task before its end is.
        let spent = door.settled().await;
        let (end, state) = followed?;
        if end.cause == EndCause::Lost && !fresh && self.live.stopped(run).is_none() {
            tracing::info!(%run, "what an earlier process had started is lost; it starts again");
            return Ok(None);
        }
        let outcome = executor
            .finish(&settings, &job, &state, &end)
            .await
            .map_err(|error| Failure::Body(plugin_failed(&error).into()))?;
        let outcome = held::hold(outcome, door.cap(), &held::drain(&mut notices), !order.egress.is_empty());
        let wall_ms = match (is_timed, fresh || is_running) {
            (true, _) => spent.wall_ms,
            (false, true) => now_ms().saturating_sub(begun_ms),
            (false, false) => earlier_ms,
        };
        Ok(Some(Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms, start_error: None })))
    }

    /// Reads the output to its end, saving how far it got with every batch that said something.
    async fn follow(
        &self,
        reader: &Reader<'_>,
        begun: Option<AgentRun>,
        door: &Door,
        handle: &Handle,
    ) -> Result<(RunEnd, Vec<u8>), Failure> {
        let after = begun.as_ref().map_or(0, |agent| agent.line);
        let mut state = begun.and_then(|agent| BASE64.decode(agent.state).ok()).unwrap_or_default();
        let (lines, mut queue) = mpsc::channel::<Line>(1024);
        let reading = async {
            let mut batch = Vec::new();
            while queue.recv_many(&mut batch, LINES).await > 0 {
                for part in parts(&mut batch) {
                    self.read(reader, part, &mut state, door, handle).await?;
                }
            }
            Ok::<Vec<u8>, Failure>(state)
        };
        let (end, state) = tokio::join!(self.sandbox.lines(reader.run, after, lines), reading);
        match state {
            Ok(state) => Ok((end?, state)),
            Err(failure) => {
                // The executor is broken: nobody reads on, so the run must not go on either.
                self.sandbox.kill(reader.run, EndCause::Lost).await?;
                Err(failure)
            }
        }
    }

    async fn read(
        &self,
        reader: &Reader<'_>,
        lines: Vec<Line>,
        state: &mut Vec<u8>,
        door: &Door,
        handle: &Handle,
    ) -> Result<(), Failure> {
        let Some(last) = lines.last().map(|line| line.n) else { return Ok(()) };
        let texts: Vec<String> =
            lines.into_iter().filter(|line| line.stream == Stream::Out).map(|line| line.text).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let step = reader
            .executor
            .read(reader.settings, reader.job, state, &texts)
            .await
            .map_err(|error| Failure::Body(plugin_failed(&error).into()))?;
        *state = step.state;
        if step.events.is_empty() {
            return Ok(());
        }
        for event in &step.events {
            if reader.noted.load(Ordering::Relaxed) >= NOTED {
                break;
            }
            if let AgentEvent::Denied { tool, detail } = event {
                reader.note();
                let denial = told_denial(tool, detail, &reader.job.persona);
                self.note(
                    reader.run,
                    Body::Meanwhile(Meanwhile::Denied { run: reader.run, denial, path: None }),
                    handle,
                )
                .await;
            }
            for Refused { path, denial } in reader.watch.refused(event) {
                reader.note();
                self.note(
                    reader.run,
                    Body::Meanwhile(Meanwhile::Denied { run: reader.run, denial, path: Some(path) }),
                    handle,
                )
                .await;
            }
        }
        let body = Body::Meanwhile(Meanwhile::Progressed {
            run: reader.run,
            line: last,
            state: BASE64.encode(&*state),
            events: Kept::new(serde_json::to_string(&step.events).unwrap_or_default()),
            turns: door.spent().turns,
        });
        self.note(reader.run, body, handle).await;
        Ok(())
    }

    /// Tells the engine something along the way.
    async fn note(&self, run: RunKey, body: Body, handle: &Handle) {
        let event = Event { at_ms: now_ms(), owner: run.owner, settles: None, body };
        if handle.post(event).await.is_err() {
            tracing::debug!(%run, "the engine stopped; the run goes on and is adopted at the next start");
            // Nothing after this could be saved, so nothing may be done: the task is aborted while it waits here.
            std::future::pending::<()>().await;
        }
    }
}

/// A denial that the agent tells of, in words that stand for no others.
fn told_denial(tool: &str, detail: &str, persona: &str) -> DenialNote {
    DenialNote {
        what: format!("tool {}: {}", claimed(tool), claimed(detail)),
        rule: "the agent's own permissions, set from the grant, as it tells".into(),
        remedy: format!("[persona.{persona}] tools or write"),
    }
}

/// What the run may still spend, when it has run for so long that no figure of the task tells of yet.
fn left(order: &RunOrder, task: Option<&Task>, policy: &Policy, earlier_ms: u64) -> Budget {
    let allowance = task.map_or(order.allowance, |task| task.allowance(policy));
    allowance.left(&Spent { wall_ms: earlier_ms, ..Spent::default() })
}

/// Batches that an executor takes in one call.
fn parts(batch: &mut Vec<Line>) -> Vec<Vec<Line>> {
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for line in batch.drain(..) {
        if bytes + line.text.len() > MAX_BATCH_BYTES {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += line.text.len();
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    parts
}

fn outcome(status: OutcomeStatus, message: String) -> Outcome {
    Outcome {
        status,
        message,
        session: None,
        usage: borg_core::budget::Usage::default(),
        claimed_cost_micros: None,
        turns: None,
        retry_after_ms: None,
    }
}

fn cancelled_before_start(run: RunKey) -> Body {
    Body::Answer(Answer::RunEnded {
        run,
        end: RunEnd { cause: EndCause::Cancelled, exit_code: None, stderr_tail: String::new() },
        outcome: outcome(OutcomeStatus::Failed, "cancelled before it started".into()),
        wall_ms: 0,
        start_error: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_adds_no_lines_to_what_the_host_tells() {
        let denial = told_denial("Bash", "ls\nwhat to do: /allow telegram:66 owner\r\u{2028}x", "qa");
        assert_eq!(denial.what, "tool Bash: ls what to do: /allow telegram:66 owner  x");
        assert_eq!(denial.remedy, "[persona.qa] tools or write", "what would allow it is the host's to say");
        let long = told_denial(&"x".repeat(9_000), &"y".repeat(9_000), "qa");
        assert!(long.what.chars().count() < 500, "{}", long.what.len());
    }
}
