//! What people are told about tasks: every text of the engine is here, as neutral parts. How a frontend shows them is the chat plugin's.

use crate::{
    approval::Review,
    chat::{Button, Notice, NoticeKind, Part},
    facts::{CheckOutcome, Finding, Severity},
    intent,
    policy::{Role, StagePlan},
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
    evidence(task, &mut parts);
    judged(task, &mut parts);
    parts.push(spent(task));
    match ending {
        Ending::Failed | Ending::Capped | Ending::Cancelled => parts.push(Part::Field {
            label: "next".into(),
            value: format!("/retry {} runs it again; /diff {} shows what there is", task.id(), task.id()),
        }),
        Ending::Completed | Ending::Rejected => {}
    }
    notice(task, NoticeKind::Final, parts, Vec::new())
}

/// Parts that answer `/status N`.
pub fn status(task: &Task) -> Vec<Part> {
    let mut parts = vec![Part::Heading(format!("#{} {}: {}", task.id(), task.spec.title, task.status()))];
    let mut field = |label: &str, value: String| parts.push(Part::Field { label: label.into(), value });
    field("repository", task.spec.repository.clone());
    field("pipeline", format!("{} ({})", task.spec.pipeline.name, stages(task)));
    match &task.phase {
        Phase::Blocked { reason, remedy, .. } => {
            field("blocked", reason.clone());
            field("what to do", remedy.clone());
        }
        Phase::Parked { reason, .. } => field("waits", reason.clone()),
        Phase::Ended { reason, .. } => field("outcome", reason.clone()),
        Phase::Queued { .. } | Phase::Running(_) | Phase::NeedsReview { .. } | Phase::Approved { .. } => {}
    }
    if let Some(base) = &task.base {
        field("base", format!("{} at {}", base.branch, base.commit.short()));
    }
    if task.has_changes() {
        field("branch", task.spec.branch.clone());
    }
    for record in &task.records {
        let value = format!("{}, attempt {}, {} file(s) changed", record.persona, record.attempt, record.changed.len());
        parts.push(Part::Field { label: record.stage.clone(), value });
        for left in &record.left_behind {
            parts.push(Part::Item(format!("left behind: {} ({:?}, {})", left.path, left.reason, left.count)));
        }
    }
    evidence(task, &mut parts);
    judged(task, &mut parts);
    for denial in task.denials.iter().take(FINDINGS_SHOWN) {
        parts.push(Part::Item(format!("denied: {} ({}). {}", denial.what, denial.rule, denial.remedy)));
    }
    parts.push(spent(task));
    parts
}

/// Parts that answer `/help`: what this person may do, or one command in full.
pub fn help(about: Option<&str>, role: Role) -> Vec<Part> {
    if let Some(command) = about.and_then(intent::command) {
        let heading = format!("/{}: {}", command.name, command.summary);
        return vec![Part::Heading(heading), Part::Text(command.usage.into())];
    }
    let mut parts = vec![Part::Heading("What can be said".into())];
    let may = intent::COMMANDS.iter().filter(|command| command.role <= role);
    parts.extend(may.map(|command| Part::Field { label: format!("/{}", command.name), value: command.summary.into() }));
    parts.push(Part::Text("/help COMMAND shows how one is written.".into()));
    parts
}

fn stages(task: &Task) -> String {
    let now = task.phase.position().map(|at| at.stage as usize);
    let name = |(index, stage): (usize, &StagePlan)| match now {
        Some(now) if index == now => format!("[{}]", stage.name),
        Some(_) | None => stage.name.clone(),
    };
    task.spec.pipeline.stages.iter().enumerate().map(name).collect::<Vec<_>>().join(" → ")
}

fn evidence(task: &Task, parts: &mut Vec<Part>) {
    for evidence in &task.evidence {
        let outcome = match evidence.outcome {
            CheckOutcome::Red => "red",
            CheckOutcome::BuildRed => "red (does not build yet)",
            CheckOutcome::Green => "green",
            CheckOutcome::CheckError => "could not be run",
            CheckOutcome::NotRun => "not run",
        };
        let value = format!("{outcome}: {} passed, {} failed", evidence.passed.len(), evidence.failed.len());
        parts.push(Part::Field { label: format!("tests after {}", evidence.stage), value });
    }
}

fn judged(task: &Task, parts: &mut Vec<Part>) {
    if let Some(review) = &task.review {
        parts.push(Part::Field { label: "findings".into(), value: findings_line(review) });
        parts.extend(review.findings.iter().take(FINDINGS_SHOWN).map(|finding| Part::Item(finding_line(finding))));
    }
}

fn spent(task: &Task) -> Part {
    let tokens = task.spent.usage.total();
    let (cost, turns, wall) = (task.spent.cost, task.spent.turns, duration(task.spent.wall_ms));
    Part::Field { label: "spent".into(), value: format!("{cost}, {tokens} tokens, {turns} turns, {wall}") }
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
