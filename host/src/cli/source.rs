//! Policy errors as people read them: the file, the line, a caret, a hint; all of them at once.

use borg_core::policy::source::{Diagnostic, SourceFile};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode};
use std::fmt;

/// One error with the text it stands in.
struct Shown<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<NamedSource<String>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hint = Some(&self.diagnostic.hint).filter(|hint| !hint.is_empty())?;
        Some(Box::new(hint))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.diagnostic.span.clone();
        // A table's span covers all of it; its first line is enough to find it.
        let text = self.source.as_ref().and_then(|source| source.inner().get(span.clone())).unwrap_or_default();
        let length = text.lines().next().map_or(0, str::len);
        Some(Box::new(std::iter::once(LabeledSpan::at(span.start..span.start + length, "here"))))
    }
}

/// All errors, each with its snippet.
pub fn render(diagnostics: &[Diagnostic], files: &[SourceFile]) -> String {
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_context_lines(1).with_width(100);
    let mut out = String::new();
    for diagnostic in diagnostics {
        let source = files.iter().find(|file| file.name == diagnostic.file);
        let source = source.map(|file| NamedSource::new(&file.name, file.text.clone()));
        let shown = Shown { diagnostic, source };
        if handler.render_report(&mut out, &shown).is_err() {
            out.push_str(&format!("{diagnostic}\n"));
        }
    }
    out
}
