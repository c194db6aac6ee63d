//! What the host and an executor say to each other. The WIT form of these is `wit/executor.wit`, where each field is described.

use crate::{budget::Usage, persona::TaskBrief, tool::Tool};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    pub resume: bool,
    pub persistent: bool,
    pub read_only: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutorInfo {
    pub name: String,
    pub summary: String,
    pub features: Features,
    pub reads: Vec<String>,
    /// Name of the agent bundle mounted at `/opt/agent`; empty when none is needed.
    pub bundle: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseFile {
    pub path: String,
    pub text: String,
}

/// A way out of the sandbox, as the process in it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayOut {
    /// As in `[egress.NAME]`.
    pub name: String,
    /// As policy spells it.
    pub provider: String,
    pub url: String,
    pub placeholder: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub task: TaskBrief,
    pub persona: String,
    pub stage: String,
    pub attempt: u32,
    pub system_prompt: String,
    pub prompt: String,
    pub tools: Vec<Tool>,
    pub write: Vec<String>,
    pub model: Option<String>,
    pub max_turns: Option<u32>,
    pub resume: Option<String>,
    pub ways_out: Vec<WayOut>,
    /// Stands in where there are none, for executors of contract 0.1.0: they are always told of one.
    pub closed: WayOut,
    pub workspace: String,
    pub in_dir: String,
    pub out_dir: String,
    pub home: String,
    pub agent_dir: String,
    pub base_files: Vec<BaseFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeFile {
    pub path: String,
    pub text: String,
    pub executable: bool,
}

/// The process an executor wants started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    pub argv: Vec<String>,
    pub env: Vec<(String, String)>,
    pub files: Vec<HomeFile>,
    pub stdin: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum AgentEvent {
    Session { id: String },
    Said { text: String },
    ToolUse { id: String, tool: String, detail: String, path: Option<String> },
    ToolResult { id: String, ok: bool, detail: String },
    Denied { tool: String, detail: String },
    Retrying { attempt: u32, delay_ms: u64, status: Option<u16>, reason: String },
    Usage { usage: Usage },
    Noise { text: String },
    Warning { text: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadStep {
    /// At most 64 KiB.
    pub state: Vec<u8>,
    pub events: Vec<AgentEvent>,
}

/// Why a sandboxed process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndCause {
    Exited,
    KilledBySignal,
    TimedOut,
    /// It printed nothing for longer than the idle limit.
    Silent,
    OutOfMemory,
    OutputCap,
    DiskCap,
    /// A limit of the budget was reached.
    Capped,
    Cancelled,
    /// The sandbox vanished without telling how.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    pub cause: EndCause,
    pub exit_code: Option<i32>,
    /// Last lines of standard error, at most 16 KiB.
    #[serde(with = "crate::kept::aside::text")]
    pub stderr_tail: String,
}

/// A limit of a run, and how near it came to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// With its unit, such as `wall-ms`.
    pub name: &'static str,
    pub given: u64,
    /// None where the host sees no more than whether the limit was reached.
    pub used: Option<u64>,
    pub reached: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeStatus {
    Completed,
    Failed,
    Transient,
    Auth,
    RateLimited,
    Capped,
}

/// What an executor makes of a run; all of it is a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub status: OutcomeStatus,
    /// The agent's last words.
    #[serde(with = "crate::kept::aside::text")]
    pub message: String,
    pub session: Option<String>,
    pub usage: Usage,
    pub claimed_cost_micros: Option<u64>,
    pub turns: Option<u32>,
    pub retry_after_ms: Option<u64>,
}
