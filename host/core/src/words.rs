//! What people are told about tasks: every text of the engine is here, as neutral parts. How a frontend shows them is the chat plugin's.

mod action;
mod amounts;
mod host;

pub use action::{LINE, action};
pub use amounts::{duration, money, tokens};
pub use host::{DigestLine, Figures, Window, chat_id, digest, groups, personas, ping, pipeline, policy, stats, today};

use crate::{
    approval::{Review, names},
    budget::Spent,
    chat::{Button, Notice, NoticeKind, Part},
    collect::LeftReason,
    daily::Purse,
    facts::{Finding, HarnessOf, Severity},
    id::{RunKey, TaskId},
    intent::{self, Intent},
    list::few,
    people::{PersonId, Role, role_word},
    policy::{StagePlan, Via},
    record::StageRecord,
    remedy::Dialect,
    task::{BlockedOn, Ending, Phase, Task},
    verdict::Verdict,
};

/// Who asked, in a review.
const ASKER: &str = "asked for by";

/// Findings shown in one notice; the rest is counted.
const FINDINGS_SHOWN: usize = 10;

/// A stage began; later ones replace it.
pub fn progress(task: &Task, doing: &str) -> Option<Notice> {
    let parts = vec![Part::Text(format!("#{} {}: {doing}", task.id(), task.spec.title))];
    notice(task, NoticeKind::Progress, parts, Vec::new())
}

/// What an agent does right now, after so many turns of its run and with what its task has spent; the next of these replaces it.
pub fn working(task: &Task, run: &RunKey, turns: u32, action: &str) -> Option<Notice> {
    let stage = task.spec.pipeline.stages.get(run.place as usize)?;
    let mut text = format!("#{} {}", task.id(), stage.name);
    if turns > 0 {
        text.push_str(&format!(", turn {turns}"));
    }
    if task.spent.cost.0 > 0 {
        text.push_str(&format!(", {}", money(task.spent.cost, task.spent.notional)));
    }
    let parts = vec![Part::Text(format!("{text}: {action}"))];
    notice(task, NoticeKind::Progress, parts, Vec::new())
}

pub fn parked(task: &Task, reason: &str, wait_ms: u64) -> Option<Notice> {
    let text = format!("#{} waits {}: {reason}. It goes on by itself.", task.id(), duration(wait_ms));
    notice(task, NoticeKind::Progress, vec![Part::Text(text)], Vec::new())
}

/// Most of what the person who asked may spend in a day is spent.
pub fn purse(task: &Task, purse: &Purse) -> Option<Notice> {
    let text = format!(
        "{purse} of what you may spend in a day of UTC are spent; from 90 % on one task of yours runs at a time, and at the cap they wait \
         for the next day (`daily` in [people])"
    );
    let notice = notice(task, NoticeKind::Warning, vec![Part::Text(text)], Vec::new())?;
    Some(Notice { topic: "daily".into(), ..notice })
}

pub fn blocked(task: &Task) -> Option<Notice> {
    let Phase::Blocked { reason, remedy, .. } = &task.phase else { return None };
    let parts = vec![
        Part::Heading(format!("#{} {} is blocked", task.id(), task.spec.title)),
        Part::Text(reason.clone()),
        Part::field("what to do", remedy.spell(intent::spell)),
    ];
    notice(task, NoticeKind::Warning, parts, remedy.buttons())
}

/// An agent asks a person.
pub fn question(task: &Task) -> Option<Notice> {
    let Phase::Blocked { on: BlockedOn::Question { question }, .. } = &task.phase else { return None };
    let parts = vec![
        Part::Heading(format!("#{} {}: a question", task.id(), task.spec.title)),
        Part::Text(question.text.clone()),
        Part::Field {
            label: "what to do".into(),
            value: format!("answer with a reply to this, or with /answer {} TEXT", task.id()),
        },
    ];
    notice(task, NoticeKind::Question, parts, Vec::new())
}

/// A change waits for a person.
pub fn review(task: &Task) -> Option<Notice> {
    let review = task.phase.waiting_review()?;
    let heading = match review.ruling.verdict {
        Verdict::Block => format!("#{} {} is blocked by its verdict", task.id(), task.spec.title),
        Verdict::Review | Verdict::Pass => format!("#{} {} needs a look", task.id(), task.spec.title),
    };
    let mut parts = vec![Part::Heading(heading)];
    items(&mut parts, review.ruling.reasons.iter().cloned());
    left_behind(task, &mut parts);
    denied(task, &mut parts);
    let mut field = |label: &str, value: String| parts.push(Part::field(label, value));
    field(ASKER, task.spec.by.0.clone());
    if let Some(deciders) = who_decides(task) {
        field("who decides", deciders);
    }
    field("change", review.digest.short());
    let (id, change) = (task.id(), review.digest.short());
    let buttons = vec![
        Button { label: "Approve".into(), action: format!("/approve {id} change:{change}") },
        Button { label: "Reject".into(), action: format!("/reject {id} change:{change}") },
        Button { label: "Diff".into(), action: format!("/diff {id}") },
    ];
    let chat = task.spec.chat.as_deref().unwrap_or_default();
    Some(Notice { buttons, ..Notice::new(chat, NoticeKind::Review, &topic(id), parts) })
}

/// The same in one chat. Where that is of one person, `reader`, it has no button that is not theirs to press: approving is for `deciders`,
/// turning down for whoever has the role. Nor is anybody told that they asked themselves.
pub fn review_in(notice: Notice, chat: &str, reader: Option<(&PersonId, Role)>, deciders: &[PersonId]) -> Notice {
    let is_theirs = |button: &Button| match (reader, intent::parse(&button.action)) {
        (Some((person, _)), Ok(Intent::Approve { .. })) => deciders.contains(person),
        (Some((_, role)), Ok(intent)) => intent::command(intent.name()).is_some_and(|command| role >= command.role),
        (None, _) | (Some(_), Err(_)) => true,
    };
    let is_known = |part: &Part| match (part, reader) {
        (Part::Field { label, value }, Some((person, _))) => label == ASKER && *value == person.0,
        _ => false,
    };
    let (mut parts, mut buttons) = (notice.parts, notice.buttons);
    parts.retain(|part| !is_known(part));
    buttons.retain(is_theirs);
    Notice { chat: chat.to_owned(), parts, buttons, ..notice }
}

/// What stands in the place of a review that is decided.
pub fn closed(task: &Task, what: &str, by: &PersonId) -> Option<Notice> {
    let review = task.phase.waiting_review()?;
    let mut parts = vec![Part::Heading(format!("#{} {}: {what} by {by}", task.id(), task.spec.title))];
    items(&mut parts, review.ruling.reasons.iter().cloned());
    parts.push(Part::field("change", review.digest.short()));
    let chat = task.spec.chat.as_deref().unwrap_or_default();
    Some(Notice { silent: true, ..Notice::new(chat, NoticeKind::Review, &topic(task.id()), parts) })
}

/// Who may let the change through that waits, where that is not simply who asked for it.
pub fn who_decides(task: &Task) -> Option<String> {
    task.phase.waiting_review()?;
    (!task.deciders.contains(&task.spec.by)).then(|| match task.deciders.as_slice() {
        [] => "nobody; an owner gives somebody the role in [people] of policies/people.toml".into(),
        some => names(some),
    })
}

/// The last word on a task.
pub fn ended(task: &Task) -> Option<Notice> {
    let Phase::Ended { ending, reason } = &task.phase else { return None };
    let mut parts = vec![Part::Heading(format!("#{} {}: {}", task.id(), task.spec.title, task.status()))];
    if !is_answered(task) {
        parts.push(Part::Text(reason.clone()));
    }
    parts.extend(last_words(task));
    result(task, &mut parts);
    evidence(task, &mut parts);
    judged(task, &mut parts);
    left_behind(task, &mut parts);
    denied(task, &mut parts);
    parts.push(spent(task));
    let id = task.id();
    let mut next = format!("a reply to this, or /continue {id} TEXT, goes on from here");
    match ending {
        Ending::Failed | Ending::Capped | Ending::Cancelled => {
            next.push_str(&format!("; /retry {id} runs it again; /diff {id} shows what there is"));
        }
        Ending::Completed | Ending::Rejected => {}
    }
    if !is_answered(task) {
        parts.push(Part::field("next", next));
    }
    notice(task, NoticeKind::Final, parts, Vec::new())
}

/// Parts that answer `/status N`, in the dialect of whoever asks.
pub fn status(task: &Task, dialect: Dialect) -> Vec<Part> {
    let mut parts = vec![Part::Heading(format!("#{} {}: {}", task.id(), task.spec.title, task.status()))];
    let mut field = |label: &str, value: String| parts.push(Part::field(label, value));
    field("repository", task.spec.repository.clone());
    field("pipeline", format!("{} ({})", task.spec.pipeline.name, stages(task)));
    match &task.phase {
        Phase::Blocked { reason, remedy, .. } => {
            field("blocked", reason.clone());
            field("what to do", remedy.spell(dialect));
        }
        Phase::Parked { reason, .. } => field("waits", reason.clone()),
        Phase::Ended { reason, .. } => field("outcome", reason.clone()),
        Phase::Queued { .. } | Phase::Running(_) | Phase::NeedsReview { .. } | Phase::Approved { .. } => {}
    }
    if let Some(deciders) = who_decides(task) {
        field("who decides", deciders);
    }
    if let Some(base) = &task.base {
        field("base", format!("{} at {}", base.branch, base.commit.short()));
    }
    result(task, &mut parts);
    for record in &task.records {
        let value = format!("{}, attempt {}, {} file(s) changed", record.persona, record.attempt, record.changed.len());
        parts.push(Part::field(record.stage.clone(), value));
        for left in &record.left_behind {
            parts.push(Part::Item(format!(
                "left behind: {} ({}, {})",
                left.path,
                reason_left(&left.reason),
                left.count
            )));
        }
    }
    evidence(task, &mut parts);
    judged(task, &mut parts);
    items(
        &mut parts,
        task.denials.iter().map(|denial| {
            let remedy =
                if denial.remedy.is_empty() { String::new() } else { format!(". To allow it: {}", denial.remedy) };
            format!("denied: {} ({}){remedy}", denial.what, denial.rule)
        }),
    );
    parts.push(spent(task));
    if task.status().is_terminal() {
        parts.extend(last_words(task));
    }
    parts
}

/// Parts that answer `/help`: what this person may do, or one command in full.
pub fn help(about: Option<&str>, role: Role) -> Vec<Part> {
    if let Some(command) = about.and_then(intent::command) {
        let heading = format!("/{}: {}", command.name, command.summary);
        let mut parts = vec![Part::Heading(heading), Part::Text(command.usage.into())];
        let aliases: Vec<String> = command.aliases.iter().map(|alias| format!("/{alias}")).collect();
        if !aliases.is_empty() {
            parts.push(Part::field("the same", aliases.join(", ")));
        }
        if command.role > role {
            let (needed, has) = (role_word(command.role), role_word(role));
            let value = format!("the role {needed}, and you are {has}");
            parts.push(Part::field("needs", value));
        }
        return parts;
    }
    let mut parts = vec![Part::Heading("What can be said".into())];
    parts.extend(intent::allowed(role).map(|command| Part::field(format!("/{}", command.name), command.summary)));
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

/// True where words were all that was asked for, and are there.
fn is_answered(task: &Task) -> bool {
    let completed = matches!(&task.phase, Phase::Ended { ending: Ending::Completed, .. });
    completed && task.delivers(Via::Reply) && last_words(task).is_some()
}

/// The answer, where one was asked for; else what the agent claims.
fn last_words(task: &Task) -> Option<Part> {
    let words = task.last_words.as_ref().map(|words| words.text.trim()).filter(|words| !words.is_empty())?;
    Some(Part::Text(if task.delivers(Via::Reply) { words.to_owned() } else { format!("The agent says: {words}") }))
}

/// Where the work is, and who let it through.
fn result(task: &Task, parts: &mut Vec<Part>) {
    let mut field = |label: &str, value: String| parts.push(Part::field(label, value));
    match (&task.head, task.delivered()) {
        (Some(_), Some(branch)) => field("branch", branch.to_owned()),
        (Some(head), None) if task.has_changes() => field("work so far", format!("{}, not delivered", head.short())),
        (Some(_) | None, _) => {}
    }
    if let Some(decision) = task.decision.as_ref().filter(|decision| decision.approved) {
        let note = if decision.note.is_empty() { String::new() } else { format!(": {}", decision.note) };
        field("approved by", format!("{}{note}", decision.by));
    }
}

fn evidence(task: &Task, parts: &mut Vec<Part>) {
    for evidence in &task.evidence {
        let (passed, failed) = (evidence.passed.len(), evidence.failed.len());
        let mut value = format!("{}: {passed} passed, {failed} failed", evidence.outcome.words());
        if let Some(other) = &evidence.other {
            let (passed, failed) = (other.passed.len(), other.failed.len());
            let (counted, with) = match other.harness {
                HarnessOf::Base => (HarnessOf::Change, HarnessOf::Base),
                HarnessOf::Change => (HarnessOf::Base, HarnessOf::Change),
            };
            let (counted, with, outcome) = (counted.words(), with.words(), other.outcome.words());
            value.push_str(&format!(" with {counted}; {outcome}: {passed} passed, {failed} failed with {with}"));
        }
        parts.push(Part::field(format!("tests after {}", evidence.stage), value));
    }
}

fn judged(task: &Task, parts: &mut Vec<Part>) {
    if let Some(review) = &task.review {
        parts.push(Part::field("findings", findings_line(review)));
        items(parts, review.findings.iter().map(finding_line));
    }
}

/// A list, cut where it gets long, with the count of the rest.
fn items(parts: &mut Vec<Part>, mut texts: impl Iterator<Item = String>) {
    parts.extend(texts.by_ref().take(FINDINGS_SHOWN).map(Part::Item));
    match texts.count() {
        0 => {}
        rest => parts.push(Part::Item(format!("and {rest} more"))),
    }
}

/// What agents wrote and may not have.
fn left_behind(task: &Task, parts: &mut Vec<Part>) {
    let of = |record: &StageRecord| -> Vec<String> {
        let line = |left: &crate::collect::LeftBehind| format!("{} by {}", left.path, record.persona);
        record.left_behind.iter().map(line).collect()
    };
    let all: Vec<String> = task.records.iter().flat_map(of).collect();
    if !all.is_empty() {
        parts.push(Part::field("left behind", few(&all, 3, "")));
    }
}

/// What agents were refused on the way.
fn denied(task: &Task, parts: &mut Vec<Part>) {
    let all: Vec<String> = task.denials.iter().map(|denial| denial.what.clone()).collect();
    if !all.is_empty() {
        parts.push(Part::field("denied", few(&all, 3, "")));
    }
}

/// Why a path was not taken.
pub fn reason_left(reason: &LeftReason) -> &'static str {
    match reason {
        LeftReason::NotGranted => "no grant covers it",
        LeftReason::Pinned => "an earlier stage's file",
        LeftReason::Protected => "protected",
        LeftReason::GitLookalike => "named like a Git directory",
        LeftReason::NotAFile => "neither a file nor a link",
        LeftReason::Unreadable => "unreadable",
        LeftReason::OverLimit => "over a limit",
        LeftReason::BadName => "a name that cannot be kept",
    }
}

fn spent(task: &Task) -> Part {
    let Spent { turns, usage, cost, notional, wall_ms } = task.spent;
    let (money, tokens, wall) = (money(cost, notional), tokens(&usage), duration(wall_ms));
    Part::field("spent", format!("{money}, {tokens}, {turns} turns, {wall}"))
}

/// Topic of all that is said about a task.
pub fn topic(task: TaskId) -> String {
    format!("task-{task}")
}

/// The task that a topic is about, if it is one.
pub fn task_of(topic: &str) -> Option<TaskId> {
    topic.strip_prefix("task-")?.parse().ok()
}

fn notice(task: &Task, kind: NoticeKind, parts: Vec<Part>, buttons: Vec<Button>) -> Option<Notice> {
    let notice = Notice::new(task.spec.chat.as_ref()?, kind, &topic(task.id()), parts);
    Some(Notice { buttons, ..notice })
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
