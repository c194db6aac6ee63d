//! The executor for Claude Code: tried with 2.1.197. How it is started is in `launch.rs`, what it prints in `read.rs`, what came of it in
//! `finish.rs`, what is kept between calls in `state.rs`.
//!
//! Its command line and its stream are documented at <https://docs.claude.com/en/docs/claude-code/headless>; what is not written there was
//! found by trying, and `recorded/` holds what it printed. Its own permission system is a courtesy to the agent, which learns early
//! what it may not do; the sandbox is the limit.

mod finish;
mod launch;
mod read;
mod state;

use borg_sdk::executor::{Command, Executor, ExecutorInfo, Features, Job, Outcome, ReadStep, RunEnd};

pub struct ClaudeCode;

borg_sdk::executor!(ClaudeCode);

impl Executor for ClaudeCode {
    fn describe() -> ExecutorInfo {
        ExecutorInfo {
            features: Features::RESUME | Features::READ_ONLY,
            bundle: "claude-code".into(),
            ..ExecutorInfo::new("claude-code", "Claude Code, the coding agent of Anthropic")
        }
    }

    fn launch(job: Job) -> Result<Command, String> {
        launch::launch(&job)
    }

    fn read(_job: Job, state: Vec<u8>, lines: Vec<String>) -> ReadStep {
        read::read(&state, &lines)
    }

    fn finish(_job: Job, state: Vec<u8>, end: RunEnd) -> Outcome {
        finish::finish(&state, &end)
    }
}
