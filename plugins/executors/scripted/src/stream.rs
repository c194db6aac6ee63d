//! What the program prints, and what came of it. One JSON object per line, told apart by its key: `say`, `call`, `result`, `denied`, `end`.

use crate::script::Ending;
use borg_sdk::executor::{AgentEvent, Denial, EndCause, Outcome, ReadStep, RunEnd, Status, ToolResult, ToolUse};
use serde::{Deserialize, Serialize};

const NOISE_LIMIT_BYTES: usize = 2 * 1024;
/// Longest text that is kept; JSON may write one byte as six.
const WORDS_LIMIT_BYTES: usize = 8 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The last words said.
    words: String,
    /// The last action that failed.
    failed: String,
    end: Option<Ending>,
    calls: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Say {
        say: String,
    },
    Call {
        call: String,
        tool: String,
        detail: String,
        path: Option<String>,
    },
    Result {
        result: String,
        ok: bool,
        code: i64,
        words: String,
    },
    Denied {
        denied: String,
        tool: String,
        detail: String,
    },
    End {
        end: Ending,
        #[serde(default)]
        text: String,
    },
}

pub fn read(state: &[u8], lines: &[String]) -> ReadStep {
    let mut state: State = serde_json::from_slice(state).unwrap_or_default();
    let mut events = Vec::new();
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(parsed) => read_line(&mut state, parsed, &mut events),
            Err(_) => events.push(AgentEvent::Noise(cut(line, NOISE_LIMIT_BYTES).to_owned())),
        }
    }
    let state = serde_json::to_vec(&state).expect("strings and numbers always become JSON");
    ReadStep { state, events }
}

fn read_line(state: &mut State, line: Line, events: &mut Vec<AgentEvent>) {
    match line {
        Line::Say { say } => {
            state.words = kept(&say);
            events.push(AgentEvent::Said(say));
        }
        Line::Call { call, tool, detail, path } => {
            state.calls = state.calls.saturating_add(1);
            events.push(AgentEvent::ToolUse(ToolUse { id: call, tool, detail: cut(&detail, 400).to_owned(), path }));
        }
        Line::Result { result, ok, code, words } => {
            let detail = if ok { words.trim().to_owned() } else { format!("exit code {code}: {}", words.trim()) };
            if !ok {
                state.failed = kept(&detail);
            }
            events.push(AgentEvent::ToolResult(ToolResult { id: result, ok, detail }));
        }
        Line::Denied { denied, tool, detail } => {
            state.failed = kept(&format!("{tool} is not granted: {detail}"));
            events.push(AgentEvent::Denied(Denial { tool: tool.clone(), detail: cut(&detail, 400).to_owned() }));
            let detail = format!("{tool} is not granted");
            events.push(AgentEvent::ToolResult(ToolResult { id: denied, ok: false, detail }));
        }
        Line::End { end, text } => {
            state.end = Some(end);
            if !text.is_empty() {
                state.words = kept(&text);
            }
        }
    }
}

pub fn finish(state: &[u8], end: &RunEnd) -> Outcome {
    let state: State = serde_json::from_slice(state).unwrap_or_default();
    let (status, message) = match end.cause {
        EndCause::Exited => exited(&state, end),
        EndCause::KilledBySignal => (Status::Failed, "the script was killed by a signal".into()),
        EndCause::TimedOut => (Status::Failed, "the script ran out of time".into()),
        EndCause::Silent => (Status::Failed, "the script was silent for too long".into()),
        EndCause::OutOfMemory => (Status::Failed, "the sandbox ran out of memory".into()),
        EndCause::OutputCap => (Status::Failed, "the script printed more than it may".into()),
        EndCause::DiskCap => (Status::Failed, "the script wrote more to disk than it may".into()),
        EndCause::Capped => (Status::Capped, "the budget is used up; what was done so far is kept".into()),
        EndCause::Cancelled => (Status::Failed, "the run was cancelled".into()),
        EndCause::Lost => (Status::Transient, "the sandbox vanished without telling how it ended".into()),
    };
    Outcome {
        turns: Some(state.calls),
        claimed_cost_micros: Some(0),
        retry_after_ms: (status == Status::RateLimited).then_some(1000),
        ..Outcome::new(status, message)
    }
}

fn exited(state: &State, end: &RunEnd) -> (Status, String) {
    let code = end.exit_code.unwrap_or(-1);
    match (state.end, code) {
        (Some(ending), 0) => (status(ending), state.words.clone()),
        (_, code) => {
            let mut message = format!("the script ended with exit code {code}");
            for more in [state.failed.trim(), end.stderr_tail.trim()].into_iter().filter(|more| !more.is_empty()) {
                message.push_str(&format!("; {}", borg_sdk::visible(more)));
            }
            (Status::Failed, message)
        }
    }
}

fn status(ending: Ending) -> Status {
    match ending {
        Ending::Completed => Status::Completed,
        Ending::Failed => Status::Failed,
        Ending::Transient => Status::Transient,
        Ending::Auth => Status::Auth,
        Ending::RateLimited => Status::RateLimited,
        Ending::Capped => Status::Capped,
    }
}

fn kept(text: &str) -> String {
    cut(&borg_sdk::visible(cut(text, WORDS_LIMIT_BYTES)), WORDS_LIMIT_BYTES).to_owned()
}

fn cut(text: &str, limit: usize) -> &str {
    let end = text.len().min(limit);
    let end = (0..=end).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    &text[..end]
}
