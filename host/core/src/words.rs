//! What people are told about tasks: every text of the engine is here, as neutral parts. How a frontend shows them is the chat plugin's.

use crate::{
    approval::Review,
    chat::{Button, Notice, NoticeKind, Part},
    facts::{Finding, Severity},
    task::{BlockedOn, Ending, Phase, Task},
    verdict::Verdict,
};

/// Findings shown in one notice; the rest is counted.
const FINDINGS_SHOWN: usize = 10;

/// A stage began; later ones replace it.
pub fn progress(task: &Task, doing: &str) -> Option<Notice> {
    let parts = vec![Part::Text(format!("#{} {}: {doing}", task.id(), task.spec.title))];
    notice(task, NoticeKind::Progress, parts, Vec::new())
}

pub fn parked(task: &Task, reason: &str, wait_ms: u64) -> Option<Notice> {
    let text = format!("#{} waits {}: {reason}. It goes on by itself.", task.id(), duration(wait_ms));
    notice(task, NoticeKind::Progress, vec![Part::Text(text)], Vec::new())
}

pub fn blocked(task: &Task) -> Option<Notice> {
    let Phase::Blocked { reason, remedy, .. } = &task.phase else { return None };
    let parts = vec![
        Part::Heading(format!("#{} {} is blocked", task.id(), task.spec.title)),
        Part::Text(reason.clone()),
        Part::Field { label: "what to do".into(), value: remedy.clone() },
    ];
    notice(task, NoticeKind::Warning, parts, Vec::new())
}

/// A change waits for a person.
pub fn review(task: &Task) -> Option<Notice> {
    let review = match &task.phase {
        Phase::NeedsReview { review, .. } | Phase::Blocked { on: BlockedOn::Verdict { review }, .. } => review,
        Phase::Blocked { .. }
        | Phase::Queued { .. }
        | Phase::Running(_)
        | Phase::Parked { .. }
        | Phase::Approved { .. }
        | Phase::Ended { .. } => return None,
    };
    let heading = match review.ruling.verdict {
        Verdict::Block => format!("#{} {} is blocked by its verdict", task.id(), task.spec.title),
        Verdict::Review | Verdict::Pass => format!("#{} {} needs a look", task.id(), task.spec.title),
    };
    let mut parts = vec![Part::Heading(heading)];
    parts.extend(review.ruling.reasons.iter().take(FINDINGS_SHOWN).map(|reason| Part::Item(reason.clone())));
    parts.push(Part::Field { label: "change".into(), value: review.digest.short() });
    let id = task.id();
    let buttons = vec![
        Button { label: "Approve".into(), action: format!("/approve {id}") },
        Button { label: "Reject".into(), action: format!("/reject {id}") },
        Button { label: "Diff".into(), action: format!("/diff {id}") },
    ];
    notice(task, NoticeKind::Review, parts, buttons)
}

/// The last word on a task.
pub fn ended(task: &Task) -> Option<Notice> {
    let Phase::Ended { ending, reason } = &task.phase else { return None };
    let mut parts = vec![
        Part::Heading(format!("#{} {}: {}", task.id(), task.spec.title, task.status())),
        Part::Text(reason.clone()),
    ];
    if let Some(words) = task.last_words.as_ref().filter(|words| !words.text.trim().is_empty()) {
        parts.push(Part::Text(words.text.clone()));
    }
    if task.has_changes() {
        parts.push(Part::Field { label: "branch".into(), value: task.spec.branch.clone() });
    }
    for evidence in &task.evidence {
        let value =
            format!("{:?}: {} passed, {} failed", evidence.outcome, evidence.passed.len(), evidence.failed.len());
        parts.push(Part::Field { label: format!("tests after {}", evidence.stage), value: value.to_lowercase() });
    }
    if let Some(review) = &task.review {
        parts.push(Part::Field { label: "findings".into(), value: findings_line(review) });
        parts.extend(review.findings.iter().take(FINDINGS_SHOWN).map(|finding| Part::Item(finding_line(finding))));
    }
    let tokens = task.spent.usage.total();
    parts.push(Part::Field {
        label: "spent".into(),
        value: format!(
            "{}, {tokens} tokens, {} turns, {}",
            task.spent.cost,
            task.spent.turns,
            duration(task.spent.wall_ms)
        ),
    });
    match ending {
        Ending::Failed | Ending::Capped | Ending::Cancelled => parts.push(Part::Field {
            label: "next".into(),
            value: format!("/retry {} runs it again; /diff {} shows what there is", task.id(), task.id()),
        }),
        Ending::Completed | Ending::Rejected => {}
    }
    notice(task, NoticeKind::Final, parts, Vec::new())
}

fn notice(task: &Task, kind: NoticeKind, parts: Vec<Part>, buttons: Vec<Button>) -> Option<Notice> {
    Some(Notice {
        chat: task.spec.chat.clone()?,
        kind,
        topic: format!("task-{}", task.id()),
        parts,
        buttons,
        document: None,
        replaces: None,
        reply_to: None,
        silent: kind == NoticeKind::Progress,
        width: 0,
    })
}

fn findings_line(review: &Review) -> String {
    let verdict = match review.ruling.verdict {
        Verdict::Pass => "pass",
        Verdict::Review => "review",
        Verdict::Block => "block",
    };
    match review.findings.len() {
        0 => format!("none, verdict {verdict}"),
        count => format!("{count}, verdict {verdict}"),
    }
}

/// `rule/id (major, 80 %) path:line: message`.
pub fn finding_line(finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Note => "note",
        Severity::Minor => "minor",
        Severity::Major => "major",
        Severity::Critical => "critical",
    };
    let place = finding.head.as_ref().or(finding.base.as_ref());
    let place = place.map(|span| format!(" {}:{}", span.path, span.start)).unwrap_or_default();
    format!("{}/{} ({severity}, {} %){place}: {}", finding.rule, finding.id, finding.confidence, finding.message)
}

/// `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, want) in
            [(0, "0 ms"), (999, "999 ms"), (59_999, "59 s"), (200_000, "3 min 20 s"), (7_500_000, "2 h 5 min")]
        {
            assert_eq!(duration(ms), want);
        }
    }
}
