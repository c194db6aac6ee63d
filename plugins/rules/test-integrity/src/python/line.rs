//! Logical lines.

use crate::lex::{Kind, Tokens};

/// A logical line: tokens up to a line end outside brackets.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) indent: u32,
}

pub(super) fn lines(tokens: &Tokens<'_>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut at = 0;
    while at < tokens.list.len() {
        let token = &tokens.list[at];
        let continued = at > 0 && tokens.is(at - 1, "\\");
        if let Some(indent) = token.indent.filter(|_| !continued) {
            lines.push(Line { from: at, to: at, indent });
        } else if lines.is_empty() {
            lines.push(Line { from: at, to: at, indent: 0 });
        }
        if token.kind == Kind::Sign && matches!(token.text, "(" | "[" | "{") {
            at = tokens.close(at);
        }
        at += 1;
        if let Some(last) = lines.last_mut() {
            last.to = at.min(tokens.list.len());
        }
    }
    lines
}
