//! What came of a run: how the process ended comes first, then its exit status, then what it printed about itself. A claim of success
//! counts only together with exit code 0.

use crate::state::{Finished, State};
use borg_sdk::executor::{EndCause, Outcome, RunEnd, STATE_LIMIT_BYTES, Status};

pub fn finish(state: &[u8], end: &RunEnd) -> Outcome {
    debug_assert!(state.len() <= STATE_LIMIT_BYTES);
    let state = State::load(state).unwrap_or_default();
    let (status, message) = judge(&state, end);
    let result = state.result.clone().unwrap_or_default();
    Outcome {
        session: state.session.clone(),
        usage: if result.tokens == Default::default() { state.tokens } else { result.tokens }.usage(),
        claimed_cost_micros: result.cost_micros,
        turns: result.turns,
        retry_after_ms: match status {
            Status::RateLimited | Status::Transient => {
                state.retry.filter(|retry| retry.status.is_some()).map(|retry| retry.delay_ms)
            }
            Status::Completed | Status::Failed | Status::Auth | Status::Capped => None,
        },
        ..Outcome::new(status, message)
    }
}

fn judge(state: &State, end: &RunEnd) -> (Status, String) {
    let failed = |message: &str| (Status::Failed, message.to_owned());
    match end.cause {
        EndCause::Exited => exited(state, end),
        EndCause::KilledBySignal => {
            (Status::Failed, with_stderr("the agent was killed by a signal before it was done", end))
        }
        EndCause::TimedOut => {
            stuck(state).unwrap_or_else(|| failed("the agent ran out of time; what it did so far is kept"))
        }
        EndCause::Silent => stuck(state).unwrap_or_else(|| silent(state)),
        EndCause::OutOfMemory => {
            failed("the sandbox ran out of memory; `memory` of the executor in policy sets the limit")
        }
        EndCause::OutputCap => failed("the agent printed more than it may"),
        EndCause::DiskCap => {
            failed("the agent wrote more to disk than it may; `disk` of the executor in policy sets the limit")
        }
        EndCause::Capped => (Status::Capped, "the budget is used up; what was done so far is kept".into()),
        EndCause::Cancelled => failed("the run was cancelled"),
        EndCause::Lost => (Status::Transient, "the sandbox vanished without telling how it ended".into()),
    }
}

/// It was waiting to ask the model again when its time was over: then the provider's last answer is the reason.
fn stuck(state: &State) -> Option<(Status, String)> {
    let status = state.retry?.status?;
    let words = |what: &str| format!("{what} (HTTP {status}); the agent was waiting to ask again");
    match provider(status) {
        Status::Auth => Some((Status::Auth, words("the model's provider refuses the credentials"))),
        Status::RateLimited => Some((Status::RateLimited, words("the model's provider limits the rate"))),
        Status::Transient => Some((Status::Transient, words("the model's provider is in trouble"))),
        Status::Completed | Status::Failed | Status::Capped => None,
    }
}

/// What an HTTP status of the model's provider means for the run.
fn provider(status: u16) -> Status {
    match status {
        401..=403 => Status::Auth,
        429 => Status::RateLimited,
        408 | 409 | 425 | 500..=599 => Status::Transient,
        _ => Status::Failed,
    }
}

/// Silence while a tool works is the agent's own doing; silence while it waits for the model is not.
fn silent(state: &State) -> (Status, String) {
    match state.awaited() {
        Some(call) => (
            Status::Failed,
            format!("nothing was printed for too long while `{}` was running: {}", call.tool, call.detail),
        ),
        None => (Status::Transient, "the model said nothing for too long".into()),
    }
}

fn exited(state: &State, end: &RunEnd) -> (Status, String) {
    let code = end.exit_code.unwrap_or(-1);
    match (&state.result, code) {
        (Some(result), _) if result.is_error || result.subtype.starts_with("error") => {
            (reason(state, result, end), words(state))
        }
        (Some(_), 0) => (Status::Completed, state.words().to_owned()),
        (Some(_), code) => {
            (Status::Failed, with_stderr(&format!("the agent claimed success but ended with exit code {code}"), end))
        }
        (None, 0) => (Status::Failed, with_stderr("the agent ended without a result", end)),
        (None, 126 | 127) => (
            Status::Failed,
            with_stderr(
                "the agent's program could not be started; `borg-host agent install claude-code` installs it",
                end,
            ),
        ),
        (None, code) => match end.reached() {
            Some(limit) => {
                (Status::Capped, format!("the agent ended without a result, its limit of {} reached", limit.name))
            }
            None => {
                let message = format!("the agent ended with exit code {code} and without a result");
                (Status::Failed, with_stderr(&message, end))
            }
        },
    }
}

/// Why a result is an error. What the gateway says comes first: it stands in the text, behind whatever the agent makes of the status.
fn reason(state: &State, result: &Finished, end: &RunEnd) -> Status {
    let (words, kind) = (state.words(), state.api_error.as_deref().unwrap_or(""));
    // The words alone where a request was refused because others were under way that may need the rest.
    if end.reached().is_some() || words.contains("borg: budget reached") {
        return Status::Capped;
    }
    if words.contains("borg: refused") {
        return Status::Failed;
    }
    match result.subtype.as_str() {
        "error_max_turns" | "error_max_budget_usd" => return Status::Capped,
        "success" => {}
        // The program's own trouble, such as a session that is not there.
        _ => return Status::Failed,
    }
    if words.starts_with("Not logged in") {
        return Status::Auth;
    }
    match result.api_status {
        Some(_) if kind == "billing_error" => Status::Auth,
        Some(status) => provider(status),
        // No answer at all, or one that broke off.
        None if words.contains("API Error") || matches!(kind, "server_error" | "overloaded") => Status::Transient,
        None => Status::Failed,
    }
}

fn words(state: &State) -> String {
    match state.words() {
        "" => "the agent ended with an error and did not say which".into(),
        words => words.to_owned(),
    }
}

fn with_stderr(message: &str, end: &RunEnd) -> String {
    match end.stderr_tail.trim() {
        "" => message.to_owned(),
        tail => format!("{message}: {}", borg_sdk::visible(tail)),
    }
}
