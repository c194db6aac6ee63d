//! What a reply to something that was said about a task means.

use super::{Intent, Misunderstood, NOTE_LIMIT};
use crate::task::{BlockedOn, Phase, Task};

/// What a reply to something we said about a task means: the answer to its question, a note to its agents, or the wish to go on.
pub fn about(task: &Task, text: &str) -> Result<Intent, Misunderstood> {
    let (text, task_id) = (text.trim().to_owned(), task.id());
    if text.len() > NOTE_LIMIT {
        let problem = format!("that is longer than {NOTE_LIMIT} bytes");
        return Err(Misunderstood { problem, hint: "say it in fewer words".into() });
    }
    Ok(match &task.phase {
        Phase::Ended { .. } => Intent::Continue { task: task_id, text },
        Phase::Blocked { on: BlockedOn::Question { .. }, .. } => Intent::Answer { task: task_id, text },
        Phase::Blocked { .. }
        | Phase::Queued { .. }
        | Phase::Running(_)
        | Phase::Parked { .. }
        | Phase::NeedsReview { .. }
        | Phase::Approved { .. } => Intent::Note { task: task_id, text },
    })
}
