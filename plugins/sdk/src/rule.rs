//! World `rule-plugin`: what counts as cheating. The records are those of `wit/rule.wit`.

mod lines;

pub use crate::Span;
pub use crate::bindings::rule::exports::borg::plugin::rule::{
    Change, ChangedFile, CheckOutcome, FileClass, FileMode, FileStatus, Finding, Harness, Hidden, Hunk, LeftBehind,
    LeftReason, Marks, OtherRun, RuleInfo, Runs, Severity, StageCommit, TestEvidence,
};
pub use lines::{Line, Side};

/// What a rule is: facts in, findings out, nothing else in reach.
pub trait Rule {
    /// Name, summary and the ids of its findings; the name must be the one in `plugin.toml`.
    fn describe() -> RuleInfo;
    /// All findings for one change; an error sends the change to review. `settings` is for [`crate::settings`].
    fn judge(settings: &str, change: Change) -> Result<Vec<Finding>, String>;
}

/// Makes a type that is a [`Rule`] the rule of this component.
#[macro_export]
macro_rules! rule {
    ($rule:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::rule::{Change, Finding, Rule, RuleInfo};
            struct Component;
            impl $crate::bindings::rule::exports::borg::plugin::rule::Guest for Component {
                fn describe() -> RuleInfo {
                    <$rule as Rule>::describe()
                }
                fn judge(settings: String, change: Change) -> Result<Vec<Finding>, String> {
                    <$rule as Rule>::judge(&settings, change)
                }
            }
    $crate::bindings::rule::export_rule!(Component with_types_in $crate::bindings::rule);
        };
    };
}

impl RuleInfo {
    /// A rule and the ids of the findings it can raise.
    pub fn new(name: &str, summary: &str, findings: &[&str]) -> Self {
        let findings = findings.iter().map(|id| id.to_string()).collect();
        RuleInfo { name: name.into(), summary: summary.into(), findings, extra: Vec::new() }
    }
}

impl Finding {
    /// A finding that points nowhere yet; see [`Finding::at_base`] and [`Finding::at_head`]. `confidence` is 0 to 100.
    pub fn new(id: &str, severity: Severity, confidence: u8, message: impl Into<String>) -> Self {
        let confidence = confidence.min(100);
        Finding {
            id: id.into(),
            severity,
            confidence,
            base: None,
            head: None,
            message: message.into(),
            extra: Vec::new(),
        }
    }

    /// Points at lines as they were before the change, counted from 1, both ends included.
    pub fn at_base(mut self, path: &str, start: u32, end: u32) -> Self {
        self.base = Some(Span { path: path.into(), start, end });
        self
    }

    /// Points at lines as they are after the change, counted from 1, both ends included.
    pub fn at_head(mut self, path: &str, start: u32, end: u32) -> Self {
        self.head = Some(Span { path: path.into(), start, end });
        self
    }
}
