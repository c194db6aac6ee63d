//! World `executor-plugin`: which coding agent, how to start it, how to read it.

use super::{
    contract::Contract,
    each,
    exports::{Exports, Functions},
    v0_1::executor as v0_1,
    wit::executor as wit,
};
use crate::{
    error::{CallError, Cause},
    guest::Guest,
    limits::{MAX_BATCH_BYTES, MAX_LINE_BYTES, MAX_SAID_BYTES, MAX_STATE_BYTES},
    plugin::Plugin,
    text::{check_list, clip, clip_at},
};
use borg_core::{budget, executor as core, tool::Tool};
use serde_json::Value;
use std::{
    path::{Component, Path},
    sync::Arc,
};
use wasmtime::component::{ComponentType, Lower};

/// A loaded executor; cheap to clone, and good for as long as it is held, whatever happens to the file.
#[derive(Clone)]
pub struct Executor {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) info: Arc<core::ExecutorInfo>,
}

impl Executor {
    /// The plugin behind this handle.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What `describe` said when the plugin was loaded.
    pub fn info(&self) -> &core::ExecutorInfo {
        &self.info
    }

    /// Asks the component again; [`Self::info`] is the same for less.
    pub async fn describe(&self) -> Result<core::ExecutorInfo, CallError> {
        describe(&self.plugin.guest, &self.plugin.exports).await
    }

    /// The process for one run; the inner error is a refusal. `settings` must have been validated.
    ///
    /// Refused as an answer: no program, NUL bytes, names of variables that are none, files that are not below the home.
    pub async fn launch(&self, settings: &Value, job: &core::Job) -> Result<Result<core::Command, String>, CallError> {
        let (job, closed) = (job_of(settings, job), &job.closed);
        let answer: Result<wit::Command, String> = match self.plugin.exports.contract {
            Contract::V0_2 => self.plugin.call("launch", (&job,)).await?,
            Contract::V0_1 => self.plugin.call("launch", (&v0_1::Job::of(job, closed),)).await?,
        };
        match answer {
            Ok(command) => {
                check_command(&command).map_err(|why| self.plugin.guest.error("launch", Cause::BadAnswer(why)))?;
                Ok(Ok(command.into()))
            }
            Err(refusal) => Ok(Err(clip(refusal))),
        }
    }

    /// Turns output lines into events and the next state.
    ///
    /// State is at most 64 KiB, a line at most 1 MiB, all lines of one call at most 8 MiB.
    pub async fn read(
        &self,
        settings: &Value,
        job: &core::Job,
        state: &[u8],
        lines: &[String],
    ) -> Result<core::ReadStep, CallError> {
        let guest = &self.plugin.guest;
        self.check_state("read", state)?;
        let within = |what, size: usize, limit: usize| {
            let cause = Cause::InputTooLarge { what, size: size as u64, limit: limit as u64 };
            if size > limit { Err(guest.error("read", cause)) } else { Ok(()) }
        };
        within("a line of output", lines.iter().map(String::len).max().unwrap_or(0), MAX_LINE_BYTES)?;
        within("a batch of lines", lines.iter().map(String::len).sum(), MAX_BATCH_BYTES)?;

        let (job, closed) = (job_of(settings, job), &job.closed);
        let step: wit::ReadStep = match self.plugin.exports.contract {
            Contract::V0_2 => self.plugin.call("read", (&job, state, lines)).await?,
            Contract::V0_1 => self.plugin.call("read", (&v0_1::Job::of(job, closed), state, lines)).await?,
        };
        if step.state.len() > MAX_STATE_BYTES {
            let why = format!("a state of {} bytes, over the limit of {MAX_STATE_BYTES}", step.state.len());
            return Err(guest.error("read", Cause::BadAnswer(why)));
        }
        Ok(core::ReadStep { state: step.state, events: step.events.into_iter().map(core::AgentEvent::from).collect() })
    }

    /// What came of the run. `limits` are those the host held it to.
    pub async fn finish(
        &self,
        settings: &Value,
        job: &core::Job,
        state: &[u8],
        end: &core::RunEnd,
        limits: &[core::Limit],
    ) -> Result<core::Outcome, CallError> {
        self.check_state("finish", state)?;
        let (job, closed) = (job_of(settings, job), &job.closed);
        let end = end_of(end, limits);
        let outcome: wit::Outcome = match self.plugin.exports.contract {
            Contract::V0_2 => self.plugin.call("finish", (&job, state, &end)).await?,
            Contract::V0_1 => {
                let (job, end) = (v0_1::Job::of(job, closed), v0_1::RunEnd::from(end));
                self.plugin.call("finish", (&job, state, &end)).await?
            }
        };
        Ok(outcome.into())
    }

    /// The next turn for a persistent agent, as bytes for its standard input; none when it cannot.
    pub async fn say(
        &self,
        settings: &Value,
        job: &core::Job,
        state: &[u8],
        text: &str,
    ) -> Result<Option<Vec<u8>>, CallError> {
        self.check_state("say", state)?;
        let (job, closed) = (job_of(settings, job), &job.closed);
        match self.plugin.exports.contract {
            Contract::V0_2 => self.plugin.call("say", (&job, state, text)).await,
            Contract::V0_1 => self.plugin.call("say", (&v0_1::Job::of(job, closed), state, text)).await,
        }
    }

    fn check_state(&self, function: &'static str, state: &[u8]) -> Result<(), CallError> {
        let (size, limit) = (state.len() as u64, MAX_STATE_BYTES as u64);
        let cause = Cause::InputTooLarge { what: "the state", size, limit };
        if size > limit { Err(self.plugin.guest.error(function, cause)) } else { Ok(()) }
    }
}

/// Asks the component who it is, once all its functions were found to be those of the contract.
pub(crate) async fn describe(guest: &Guest, exports: &Exports) -> Result<core::ExecutorInfo, CallError> {
    let info: wit::ExecutorInfo = exports
        .describe(guest, |functions| match exports.contract {
            Contract::V0_2 => fits::<wit::Job, wit::RunEnd>(functions),
            Contract::V0_1 => fits::<v0_1::Job, v0_1::RunEnd>(functions),
        })
        .await?;
    check_list("files to read", &info.reads)
        .and_then(|()| check_list("bundles", std::slice::from_ref(&info.bundle)))
        .map_err(|why| guest.error("describe", Cause::BadAnswer(why)))?;
    Ok(core::ExecutorInfo {
        name: info.name,
        summary: clip(info.summary),
        features: core::Features {
            resume: info.features.contains(wit::Features::RESUME),
            persistent: info.features.contains(wit::Features::PERSISTENT),
            read_only: info.features.contains(wit::Features::READ_ONLY),
        },
        reads: info.reads,
        bundle: info.bundle,
    })
}

/// The functions of an executor, with the types that differ between versions.
fn fits<Job: ComponentType + Lower, RunEnd: ComponentType + Lower>(
    functions: &mut Functions<'_>,
) -> wasmtime::Result<()> {
    functions.has::<(&Job,), Result<wit::Command, String>>("launch")?;
    functions.has::<(&Job, &[u8], &[String]), wit::ReadStep>("read")?;
    functions.has::<(&Job, &[u8], &RunEnd), wit::Outcome>("finish")?;
    functions.has::<(&Job, &[u8], &str), Option<Vec<u8>>>("say")
}

/// Refuses what no process can be started with, and files outside the home.
fn check_command(command: &wit::Command) -> Result<(), String> {
    let variables = command.env.iter().flat_map(|(name, value)| [name, value]);
    if command.argv.first().is_none_or(String::is_empty) {
        return Err("a command without a program".to_owned());
    }
    if command.argv.iter().chain(variables).any(|text| text.contains('\0')) {
        return Err("a NUL byte in an argument or a variable".to_owned());
    }
    if let Some((name, _)) = command.env.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
        return Err(format!("`{name}` as the name of a variable"));
    }
    let below =
        |path: &Path| path.file_name().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)));
    match command.files.iter().find(|file| file.path.contains('\0') || !below(Path::new(&file.path))) {
        Some(file) => Err(format!("file `{}`, which is not below the agent's home", file.path.escape_debug())),
        None => Ok(()),
    }
}

fn job_of(settings: &Value, job: &core::Job) -> wit::Job {
    wit::Job {
        task: (&job.task).into(),
        persona: job.persona.clone(),
        stage: job.stage.clone(),
        attempt: job.attempt,
        system_prompt: job.system_prompt.clone(),
        prompt: job.prompt.clone(),
        tools: each(&job.tools),
        write: job.write.clone(),
        model: job.model.clone(),
        max_turns: job.max_turns,
        resume: job.resume.clone(),
        ways_out: each(&job.ways_out),
        workspace: job.workspace.clone(),
        in_dir: job.in_dir.clone(),
        out_dir: job.out_dir.clone(),
        home: job.home.clone(),
        agent_dir: job.agent_dir.clone(),
        base_files: each(&job.base_files),
        settings: settings.to_string(),
        extra: vec![],
    }
}

impl From<&Tool> for wit::Tool {
    fn from(tool: &Tool) -> Self {
        wit::Tool { name: tool.name.clone(), writes: tool.writes, executes: tool.executes }
    }
}

impl From<&core::WayOut> for wit::WayOut {
    fn from(way: &core::WayOut) -> Self {
        wit::WayOut {
            name: way.name.clone(),
            provider: way.provider.clone(),
            url: way.url.clone(),
            placeholder: way.placeholder.clone(),
            extra: vec![],
        }
    }
}

impl From<wit::Command> for core::Command {
    fn from(command: wit::Command) -> Self {
        let file =
            |file: wit::HomeFile| core::HomeFile { path: file.path, text: file.text, executable: file.executable };
        core::Command {
            argv: command.argv,
            env: command.env,
            files: command.files.into_iter().map(file).collect(),
            stdin: command.stdin,
        }
    }
}

impl From<wit::Usage> for budget::Usage {
    fn from(usage: wit::Usage) -> Self {
        budget::Usage {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_tokens: usage.cache_read_tokens,
            cache_write_tokens: usage.cache_write_tokens,
        }
    }
}

impl From<wit::AgentEvent> for core::AgentEvent {
    fn from(event: wit::AgentEvent) -> Self {
        use wit::AgentEvent as Wit;
        match event {
            Wit::Session(id) => core::AgentEvent::Session { id: clip(id) },
            Wit::Said(text) => core::AgentEvent::Said { text: clip_at(text, MAX_SAID_BYTES) },
            Wit::ToolUse(u) => core::AgentEvent::ToolUse {
                id: clip(u.id),
                tool: clip(u.tool),
                detail: clip(u.detail),
                path: u.path.map(clip),
            },
            Wit::ToolResult(r) => core::AgentEvent::ToolResult { id: clip(r.id), ok: r.ok, detail: clip(r.detail) },
            Wit::Denied(denial) => core::AgentEvent::Denied { tool: clip(denial.tool), detail: clip(denial.detail) },
            Wit::Retrying(retry) => core::AgentEvent::Retrying {
                attempt: retry.attempt,
                delay_ms: retry.delay_ms,
                status: retry.status,
                reason: clip(retry.reason),
            },
            Wit::Usage(usage) => core::AgentEvent::Usage { usage: usage.into() },
            Wit::Noise(text) => core::AgentEvent::Noise { text: clip(text) },
            Wit::Warning(text) => core::AgentEvent::Warning { text: clip(text) },
        }
    }
}

fn end_of(end: &core::RunEnd, limits: &[core::Limit]) -> wit::RunEnd {
    wit::RunEnd {
        cause: match end.cause {
            core::EndCause::Exited => wit::EndCause::Exited,
            core::EndCause::KilledBySignal => wit::EndCause::KilledBySignal,
            core::EndCause::TimedOut => wit::EndCause::TimedOut,
            core::EndCause::Silent => wit::EndCause::Silent,
            core::EndCause::OutOfMemory => wit::EndCause::OutOfMemory,
            core::EndCause::OutputCap => wit::EndCause::OutputCap,
            core::EndCause::DiskCap => wit::EndCause::DiskCap,
            core::EndCause::Capped => wit::EndCause::Capped,
            core::EndCause::Cancelled => wit::EndCause::Cancelled,
            core::EndCause::Lost => wit::EndCause::Lost,
        },
        exit_code: end.exit_code,
        stderr_tail: end.stderr_tail.clone(),
        limits: each(limits),
        extra: vec![],
    }
}

impl From<&core::Limit> for wit::Limit {
    fn from(limit: &core::Limit) -> Self {
        wit::Limit { name: limit.name.to_owned(), given: limit.given, used: limit.used, reached: limit.reached }
    }
}

impl From<wit::Outcome> for core::Outcome {
    fn from(outcome: wit::Outcome) -> Self {
        core::Outcome {
            status: match outcome.status {
                wit::Status::Completed => core::OutcomeStatus::Completed,
                wit::Status::Failed => core::OutcomeStatus::Failed,
                wit::Status::Transient => core::OutcomeStatus::Transient,
                wit::Status::Auth => core::OutcomeStatus::Auth,
                wit::Status::RateLimited => core::OutcomeStatus::RateLimited,
                wit::Status::Capped => core::OutcomeStatus::Capped,
            },
            message: clip_at(outcome.message, MAX_SAID_BYTES),
            session: outcome.session.map(clip),
            usage: outcome.usage.into(),
            claimed_cost_micros: outcome.claimed_cost_micros,
            turns: outcome.turns,
            retry_after_ms: outcome.retry_after_ms,
        }
    }
}
