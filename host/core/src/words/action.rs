//! What an agent does, in a line for people. Its text is taken as it is: whoever shows it makes it harmless.

use super::amounts::duration;
use crate::executor::AgentEvent;

/// Longest text of an agent in one line, in characters.
pub const LINE: usize = 200;
/// Longest name of a tool.
const TOOL: usize = 40;

/// What an agent does, in one line; none for what only programs care about.
pub fn action(event: &AgentEvent) -> Option<String> {
    match event {
        AgentEvent::Said { text } => Some(format!("“{}”", line(text, LINE))),
        AgentEvent::ToolUse { tool, detail, path, .. } => {
            let on = path.as_deref().unwrap_or(detail);
            Some(format!("{} {}", line(tool, TOOL), line(on, LINE)))
        }
        AgentEvent::ToolResult { ok: true, .. } => None,
        AgentEvent::ToolResult { ok: false, detail, .. } => Some(format!("failed: {}", line(detail, LINE))),
        AgentEvent::Denied { tool, detail } => Some(format!("denied {}: {}", line(tool, TOOL), line(detail, LINE))),
        AgentEvent::Retrying { attempt, delay_ms, reason, .. } => {
            let delay = duration(*delay_ms);
            Some(format!("tries again in {delay} (try {attempt}): {}", line(reason, LINE)))
        }
        AgentEvent::Warning { text } => Some(format!("warning: {}", line(text, LINE))),
        AgentEvent::Session { .. } | AgentEvent::Usage { .. } | AgentEvent::Noise { .. } => None,
    }
}

/// Text of others on one line, cut to so many characters.
fn line(text: &str, limit: usize) -> String {
    let whole = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match whole.char_indices().nth(limit) {
        None => whole,
        Some(_) => whole.chars().take(limit - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_one_line_and_bookkeeping_none() {
        let read = |path: Option<&str>, detail: &str| AgentEvent::ToolUse {
            id: "1".into(),
            tool: "Read\n".into(),
            detail: detail.into(),
            path: path.map(str::to_owned),
        };
        assert_eq!(action(&read(Some("a.py"), "x")).unwrap(), "Read a.py");
        assert_eq!(action(&read(None, "one\n two")).unwrap(), "Read one two");
        let long = action(&AgentEvent::Said { text: "ä".repeat(LINE + 1) }).unwrap();
        assert_eq!(long.chars().count(), LINE + 2, "with its quotes");
        assert!(long.ends_with("ä…”"));
        assert_eq!(action(&AgentEvent::Session { id: "s".into() }), None);
        assert_eq!(action(&AgentEvent::ToolResult { id: "1".into(), ok: true, detail: "done".into() }), None);
    }
}
