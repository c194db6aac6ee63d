//! An executor that the host knows nothing of: its agent is the program of its own bundle, and what that prints last is the answer.

use borg_sdk::executor::{
    AgentEvent, Command, EndCause, Executor, ExecutorInfo, Features, Job, Outcome, ReadStep, RunEnd, Status,
};

pub struct Outsider;

borg_sdk::executor!(Outsider);

impl Executor for Outsider {
    fn describe() -> ExecutorInfo {
        ExecutorInfo {
            features: Features::READ_ONLY,
            bundle: "outsiders-own".into(),
            ..ExecutorInfo::new("outsider", "Starts a program of its own")
        }
    }

    fn launch(job: Job) -> Result<Command, String> {
        Ok(Command::new([format!("{}/bin/agent", job.agent_dir)]))
    }

    fn read(_job: Job, state: Vec<u8>, lines: Vec<String>) -> ReadStep {
        let state = lines.last().map_or(state, |line| line.clone().into_bytes());
        ReadStep { state, events: lines.into_iter().map(AgentEvent::Said).collect() }
    }

    fn finish(_job: Job, state: Vec<u8>, end: RunEnd) -> Outcome {
        match (end.cause, end.exit_code) {
            (EndCause::Exited, Some(0)) => Outcome::new(Status::Completed, String::from_utf8_lossy(&state)),
            _ => Outcome::new(Status::Failed, end.stderr_tail),
        }
    }
}
