//! There was one way out, to one provider; tools were names; of limits nothing was told.

use crate::world::wit::{
    executor::{self as wit, EndCause},
    types::{BaseFile, TaskBrief},
};
use borg_core::executor::WayOut;
use wasmtime::component::{ComponentType, Lower};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Job {
    task: TaskBrief,
    persona: String,
    stage: String,
    attempt: u32,
    #[component(name = "system-prompt")]
    system_prompt: String,
    prompt: String,
    tools: Vec<String>,
    write: Vec<String>,
    model: Option<String>,
    #[component(name = "max-turns")]
    max_turns: Option<u32>,
    resume: Option<String>,
    #[component(name = "gateway-url")]
    gateway_url: String,
    #[component(name = "placeholder-key")]
    placeholder_key: String,
    workspace: String,
    #[component(name = "in-dir")]
    in_dir: String,
    #[component(name = "out-dir")]
    out_dir: String,
    home: String,
    #[component(name = "agent-dir")]
    agent_dir: String,
    #[component(name = "base-files")]
    base_files: Vec<BaseFile>,
    settings: String,
    extra: Vec<(String, String)>,
}

impl Job {
    /// With the first way out, or what stands in where there is none.
    pub(crate) fn of(job: wit::Job, closed: &WayOut) -> Job {
        let way = job.ways_out.into_iter().next().map(|way| (way.url, way.placeholder));
        let (gateway_url, placeholder_key) = way.unwrap_or_else(|| (closed.url.clone(), closed.placeholder.clone()));
        Job {
            task: job.task,
            persona: job.persona,
            stage: job.stage,
            attempt: job.attempt,
            system_prompt: job.system_prompt,
            prompt: job.prompt,
            tools: job.tools.into_iter().map(|tool| tool.name).collect(),
            write: job.write,
            model: job.model,
            max_turns: job.max_turns,
            resume: job.resume,
            gateway_url,
            placeholder_key,
            workspace: job.workspace,
            in_dir: job.in_dir,
            out_dir: job.out_dir,
            home: job.home,
            agent_dir: job.agent_dir,
            base_files: job.base_files,
            settings: job.settings,
            extra: job.extra,
        }
    }
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct RunEnd {
    cause: EndCause,
    #[component(name = "exit-code")]
    exit_code: Option<i32>,
    #[component(name = "stderr-tail")]
    stderr_tail: String,
    extra: Vec<(String, String)>,
}

impl From<wit::RunEnd> for RunEnd {
    fn from(end: wit::RunEnd) -> Self {
        RunEnd { cause: end.cause, exit_code: end.exit_code, stderr_tail: end.stderr_tail, extra: end.extra }
    }
}
