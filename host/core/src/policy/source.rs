//! Policy text and what is wrong with it: positions, messages, remedies. Rendering is the host's.

use std::{fmt, ops::Range};

/// One policy file, by the name people know it by (`policies/people.toml`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    pub name: String,
    pub text: String,
}

/// One thing wrong with policy: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: String,
    /// Byte range in the file.
    pub span: Range<usize>,
    /// Counted from 1.
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// Empty when there is nothing to suggest.
    pub hint: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " ({})", self.hint) }
    }
}

impl SourceFile {
    pub fn diagnostic(&self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Diagnostic {
        let before = self.text.get(..span.start.min(self.text.len())).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Diagnostic { file: self.name.clone(), span, line, column, message: message.into(), hint: hint.into() }
    }
}

/// `did you mean …` for the nearest of `known`, or nothing.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = known.into_iter().map(|name| (strsim::damerau_levenshtein(word, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("did you mean `{name}`?"),
        Some(_) | None => String::new(),
    }
}
