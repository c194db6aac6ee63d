//! One agent run: launched by its executor, sealed by the sandbox, let out by the gateway, read line by line.
//!
//! A run that an earlier process of this host started is adopted: its container is found by its key, its output is read on from
//! the last line that was saved, with the executor component and the state it had then. One that did not survive that process is
//! started again in its place: that is nobody's failure.

mod before;

use super::{
    given::{bundle, settings},
    held, limits,
    performed::{Performed, plugin_failed},
    refused::{Refused, Watch},
    runs::{Held, Runs},
    shown::shown,
};
use crate::{
    agents::{self, Agents},
    causes::chain,
    clock::now_ms,
    engine::handle::Handle,
    sandbox::{self, Found, Line, RunDirs, Sandbox, Stream},
    workspace::{self, Workspace},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use borg_core::{
    denial::DenialNote,
    dispatch::Running,
    event::{Answer, Body, Event, Meanwhile, StartFailure},
    executor::{AgentEvent, EndCause, Job, Outcome, OutcomeStatus, RunEnd},
    grant::claimed,
    id::RunKey,
    kept::Kept,
    remedy::Advice,
    run::SandboxSpec,
    task::AgentRun,
};
use borg_gateway::{Door, Gateway};
use borg_plugins::{Executor, Kind, MAX_BATCH_BYTES, Plugins};
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

impl From<agents::Refusal> for Failure {
    fn from(refusal: agents::Refusal) -> Self {
        start_failure(refusal.to_string(), refusal.remedy(), false)
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

pub(super) struct Runner {
    pub agents: Agents,
    pub workspace: Workspace,
    pub sandbox: Arc<Sandbox>,
    pub gateway: Gateway,
    pub plugins: Plugins,
    pub runs: Runs,
}

/// How a run begins for this process.
enum Beginning {
    /// In a sandbox to be made. One of the same name that was lost had run for `lost_ms`.
    Fresh { lost_ms: u64 },
    /// In the sandbox that an earlier process made.
    Adopted { agent: AgentRun, found: Found },
}

impl Beginning {
    /// How long it has run before this process has to do with it, in milliseconds.
    fn ran_ms(&self) -> u64 {
        match self {
            Beginning::Fresh { lost_ms } => *lost_ms,
            Beginning::Adopted { agent, found } if found.running => now_ms().saturating_sub(agent.started_ms),
            // It ended while nobody looked; when that was nobody knows.
            Beginning::Adopted { agent, .. } => agent.ran_ms(),
        }
    }

    /// Line of its output that was read last, and the executor's state after that.
    fn read_until(&self) -> (u64, Vec<u8>) {
        match self {
            // How far the output of a sandbox that is gone was read says nothing about a new one's.
            Beginning::Fresh { .. } => (0, Vec::new()),
            Beginning::Adopted { agent, .. } => (agent.line, BASE64.decode(&agent.state).unwrap_or_default()),
        }
    }
}

impl Runner {
    pub async fn run(&self, what: &Running, handle: &Handle) -> Performed {
        let settled = match self.try_run(what, handle).await {
            Ok(performed) => return performed,
            Err(Failure::Body(body)) => body,
            Err(Failure::Start(failure)) => Box::new(Body::Answer(Answer::RunEnded {
                run: what.order.run,
                end: RunEnd { cause: EndCause::Lost, exit_code: None, stderr_tail: String::new() },
                outcome: outcome(OutcomeStatus::Failed, failure.reason.clone()),
                wall_ms: 0,
                start_error: Some(failure),
            })),
        };
        Performed::Settled(settled)
    }

    /// Starts a run and follows it to its end, or follows one that has begun.
    async fn try_run(&self, what: &Running, handle: &Handle) -> Result<Performed, Failure> {
        let order = &what.order;
        let run = order.run;
        let digest = what.begun.as_ref().and_then(|agent| agent.executor_digest);
        let executor = self
            .plugins
            .executor(&order.executor, digest)
            .map_err(|error| Failure::Body(plugin_failed(&error).into()))?;
        let settings = settings(&self.plugins, Kind::Executor, &order.executor, &what.settings).map_err(|reason| {
            Failure::Body(Box::new(Body::Answer(Answer::PluginFailed { plugin: order.executor.clone(), reason })))
        })?;
        let job = self.job(what, &executor).await?;
        let mut held = self.runs.hold(run);
        let beginning = self.beginning(what).await?;
        let earlier_ms = beginning.ran_ms();
        let dirs = self.workspace.run_dir(run);
        let fresh = match &beginning {
            Beginning::Fresh { .. } => {
                let spec = self.spec(what, &executor, &settings, &job, earlier_ms);
                let bundle = bundle(&self.agents, &self.plugins, &executor, what.bundle);
                let (bundle, spec, base_repo) = tokio::join!(bundle, spec, self.lay_out(order, &dirs));
                Some((bundle?.map(|bundle| bundle.dir), spec?, base_repo?))
            }
            Beginning::Adopted { .. } => None,
        };
        let door = Arc::new(self.open_door(what, earlier_ms, &dirs).await?);
        let mut news = door.subscribe();
        self.runs.opened(run, door.clone());
        if held.called_off().is_some() {
            door.close().await;
            return Ok(settled(cancelled_before_start(run)));
        }
        let init_pid = match (fresh, &beginning) {
            (Some((agent, spec, base_repo)), _) => {
                self.start(
                    what,
                    &executor,
                    &spec,
                    RunDirs { agent, base_repo: Some(base_repo), ..shown(&dirs) },
                    handle,
                )
                .await?
            }
            (None, Beginning::Adopted { found, .. }) => found.init_pid.unwrap_or(0),
            (None, Beginning::Fresh { .. }) => 0,
        };
        if init_pid > 0 {
            door.admit(init_pid);
        }
        let begun_ms = now_ms();
        let reader = Reader {
            executor: &executor,
            settings: &settings,
            job: &job,
            run,
            watch: Watch::new(&order.persona, &order.write),
            noted: AtomicU32::new(0),
        };
        let followed = self.follow(&reader, beginning.read_until(), &door, &mut held, handle).await;
        door.close().await;
        // Whatever comes of the run: what it spent, or may still spend, is known to its task before its end is.
        let spent = door.settled().await;
        let (end, state) = followed?;
        let is_adopted = matches!(beginning, Beginning::Adopted { .. });
        if end.cause == EndCause::Lost && is_adopted && held.called_off().is_none() {
            tracing::info!(%run, "what an earlier process had started is lost; it starts again");
            self.sandbox.remove(run).await?;
            return Ok(Performed::Lost);
        }
        let left = what.left(earlier_ms);
        let limits = limits::told(&order.limits, left, &spent, door.cap(), end.cause);
        let outcome = executor
            .finish(&settings, &job, &state, &end, &limits)
            .await
            .map_err(|error| Failure::Body(plugin_failed(&error).into()))?;
        let outcome = held::hold(outcome, door.cap(), &held::drain(&mut news), !order.egress.is_empty());
        let wall_ms = match &beginning {
            // The door knows it to the moment from when the agent was let in.
            Beginning::Fresh { .. } if init_pid > 0 => spent.wall_ms,
            Beginning::Fresh { .. } => now_ms().saturating_sub(begun_ms),
            Beginning::Adopted { agent, found } if found.running => now_ms().saturating_sub(agent.started_ms),
            Beginning::Adopted { .. } => earlier_ms,
        };
        Ok(settled(Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms, start_error: None })))
    }

    /// Looks for what an earlier process began. Adopted is only what the journal knows to have started; a sandbox it does not know of began
    /// and was lost in between.
    async fn beginning(&self, what: &Running) -> Result<Beginning, Failure> {
        let run = what.order.run;
        if let Some(agent) = what.begun.as_ref().filter(|agent| agent.has_started())
            && let Some(found) = self.sandbox.find(run).await?
        {
            return Ok(Beginning::Adopted { agent: agent.clone(), found });
        }
        self.sandbox.remove(run).await?;
        Ok(Beginning::Fresh { lost_ms: what.begun.as_ref().map_or(0, AgentRun::ran_ms) })
    }

    /// Starts the sandbox, and tells that it runs; the process that is let out, or 0.
    async fn start(
        &self,
        what: &Running,
        executor: &Executor,
        spec: &SandboxSpec,
        dirs: RunDirs,
        handle: &Handle,
    ) -> Result<i32, Failure> {
        let order = &what.order;
        let started = self.sandbox.start(spec, &dirs).await?;
        let body = Body::Meanwhile(Meanwhile::RunStarted {
            run: order.run,
            executor: order.executor.clone(),
            executor_digest: Some(executor.plugin().digest()),
            attestation: started.attestation,
        });
        self.note(order.run, body, handle).await;
        Ok(started.init_pid)
    }

    /// Reads the output to its end, saving how far it got with every batch that said something.
    async fn follow(
        &self,
        reader: &Reader<'_>,
        (after, mut state): (u64, Vec<u8>),
        door: &Door,
        held: &mut Held,
        handle: &Handle,
    ) -> Result<(RunEnd, Vec<u8>), Failure> {
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
        let (end, state) = tokio::join!(held.follow(&self.sandbox, after, lines, Some(door)), reading);
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

fn settled(body: Body) -> Performed {
    Performed::Settled(Box::new(body))
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
