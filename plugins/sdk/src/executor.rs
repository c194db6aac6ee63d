//! World `executor-plugin`: how to start a coding agent and how to read it. The records are those of `wit/executor.wit`.

pub use crate::bindings::executor::exports::borg::plugin::executor::{
    AgentEvent, Command, Denial, EndCause, ExecutorInfo, Features, HomeFile, Job, Limit, Outcome, ReadStep, Retry,
    RunEnd, Status, Tool, ToolResult, ToolUse, Usage, WayOut,
};
pub use crate::{BaseFile, TaskBrief};

/// Most bytes a state may have.
pub const STATE_LIMIT_BYTES: usize = 64 * 1024;

/// What an executor is. Nothing survives a call but the state, which the host keeps.
pub trait Executor {
    /// Name, features, files it wants to see; the name must be the one in `plugin.toml`.
    fn describe() -> ExecutorInfo;
    /// The command line, environment and files for one run; an error tells why there can be none, and the remedy.
    fn launch(job: Job) -> Result<Command, String>;
    /// Turns output lines into events. The first call gets an empty state.
    fn read(job: Job, state: Vec<u8>, lines: Vec<String>) -> ReadStep;
    /// Decides what came of the run: the exit status first, then what was read.
    fn finish(job: Job, state: Vec<u8>, end: RunEnd) -> Outcome;
    /// The next turn for a persistent agent; most agents are not.
    fn say(job: Job, state: Vec<u8>, text: String) -> Option<Vec<u8>> {
        let _ = (job, state, text);
        None
    }
}

/// Makes a type that is an [`Executor`] the executor of this component.
#[macro_export]
macro_rules! executor {
    ($executor:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::executor::{Command, Executor, ExecutorInfo, Job, Outcome, ReadStep, RunEnd};
            struct Component;
            impl $crate::bindings::executor::exports::borg::plugin::executor::Guest for Component {
                fn describe() -> ExecutorInfo {
                    <$executor as Executor>::describe()
                }
                fn launch(job: Job) -> Result<Command, String> {
                    <$executor as Executor>::launch(job)
                }
                fn read(job: Job, state: Vec<u8>, lines: Vec<String>) -> ReadStep {
                    <$executor as Executor>::read(job, state, lines)
                }
                fn finish(job: Job, state: Vec<u8>, end: RunEnd) -> Outcome {
                    <$executor as Executor>::finish(job, state, end)
                }
                fn say(job: Job, state: Vec<u8>, text: String) -> Option<Vec<u8>> {
                    <$executor as Executor>::say(job, state, text)
                }
            }
    $crate::bindings::executor::export_executor!(Component with_types_in $crate::bindings::executor);
        };
    };
}

impl ExecutorInfo {
    /// An executor without features, wishes or bundle.
    pub fn new(name: &str, summary: &str) -> Self {
        ExecutorInfo {
            name: name.into(),
            summary: summary.into(),
            features: Features::empty(),
            reads: Vec::new(),
            bundle: String::new(),
            extra: Vec::new(),
        }
    }
}

impl Job {
    /// The way out to this provider, by policy's name for it.
    pub fn way_out(&self, provider: &str) -> Option<&WayOut> {
        self.ways_out.iter().find(|way| way.provider == provider)
    }

    /// True where a tool of this name was granted.
    pub fn has_tool(&self, name: &str) -> bool {
        self.tools.iter().any(|tool| tool.name == name)
    }
}

impl RunEnd {
    /// An end of which only this is known.
    pub fn new(cause: EndCause, exit_code: Option<i32>) -> Self {
        RunEnd { cause, exit_code, stderr_tail: String::new(), limits: Vec::new(), extra: Vec::new() }
    }

    /// The first limit that the host held against the run. With [`EndCause::Exited`] it is one of the budget: a request was refused for it.
    pub fn reached(&self) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.reached)
    }
}

impl Command {
    /// Program and arguments.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Command { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }
}

impl Outcome {
    /// An outcome of which only status and message are known.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Outcome {
            status,
            message: message.into(),
            session: None,
            usage: Usage::default(),
            claimed_cost_micros: None,
            turns: None,
            retry_after_ms: None,
            extra: Vec::new(),
        }
    }
}
