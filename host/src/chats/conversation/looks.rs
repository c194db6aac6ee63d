//! What people see who look at the host itself, or at a task's past. Texts are the core's; here they are given what they speak of.

use crate::{
    clock::{now_ms, utc},
    engine::{
        Desk,
        desk::{Audit, Digest, WINDOWS},
    },
    journal::JournalError,
};
use borg_core::{
    chat::{Document, NoticeKind, Part},
    id::TaskId,
    people::{PersonId, Role},
    policy::Policy,
    words,
};

/// What is shown: how it is meant, in short, and in full where it is long.
pub(super) type Shown = (NoticeKind, Vec<Part>, Option<Document>);

/// Steps of a task shown in a message; the document has all.
const STEPS_SHOWN: usize = 15;

pub(super) async fn ping(desk: &Desk) -> Result<Shown, JournalError> {
    let now = now_ms();
    let (at_ms, version) = desk.started().await?.unwrap_or((now, String::new()));
    Ok(answer(words::ping(&version, now.saturating_sub(at_ms))))
}

pub(super) async fn chat_id(desk: &Desk, person: &PersonId, chat: &str) -> Result<Shown, JournalError> {
    let policy = desk.handle.policy();
    Ok(answer(words::chat_id(chat, person, role(&policy, person))))
}

pub(super) async fn personas(desk: &Desk, name: Option<&str>) -> Result<Shown, JournalError> {
    Ok(found(words::personas(name, &desk.handle.policy())))
}

pub(super) async fn pipeline(desk: &Desk, name: Option<&str>, person: &PersonId) -> Result<Shown, JournalError> {
    let policy = desk.handle.policy();
    let today = today(desk, &policy, person).await?;
    Ok(found(words::pipeline(name, &policy).map(|parts| [parts, today].concat())))
}

pub(super) async fn in_force(desk: &Desk, person: &PersonId) -> Result<Shown, JournalError> {
    let policy = desk.handle.policy();
    let since = desk.policy_since(policy.digest).await?.map(utc);
    let today = today(desk, &policy, person).await?;
    Ok(answer([words::policy(&policy, since.as_deref(), person, role(&policy, person)), today].concat()))
}

pub(super) async fn stats(desk: &Desk, person: &PersonId) -> Result<Shown, JournalError> {
    let today = today(desk, &desk.handle.policy(), person).await?;
    Ok(answer([words::stats(&desk.figures(now_ms(), &WINDOWS).await?), today].concat()))
}

/// What of the daily caps is spent.
async fn today(desk: &Desk, policy: &Policy, person: &PersonId) -> Result<Vec<Part>, JournalError> {
    Ok(words::today(&desk.day().await?, policy, Some(person), now_ms()))
}

/// What was done in the last day.
pub(super) async fn digest(desk: &Desk) -> Result<Shown, JournalError> {
    let Digest { figures, tasks, left_out } = desk.digest(now_ms()).await?;
    Ok(answer(words::digest(&figures, &tasks, left_out)))
}

pub(super) async fn groups(desk: &Desk) -> Result<Shown, JournalError> {
    Ok(answer(words::groups(&desk.chats().await?)))
}

/// The past of a task: its last steps, and everything as a document.
pub(super) async fn audit(desk: &Desk, id: TaskId) -> Result<Shown, JournalError> {
    let Some(task) = desk.task(id).await? else {
        let text = format!("there is no task #{id}; /tasks lists the newest");
        return Ok((NoticeKind::Hint, vec![Part::Text(text)], None));
    };
    let Audit { mut lines, left_out } = desk.audit(&task).await?;
    let mut parts = vec![Part::Heading(format!("#{id} {}: {}", task.spec.title, task.status()))];
    let steps: Vec<&str> = lines.iter().filter(|line| line.is_step).map(|line| line.text.as_str()).collect();
    let earlier = steps.len().saturating_sub(STEPS_SHOWN);
    if earlier > 0 || left_out > 0 {
        parts.push(Part::Text("Earlier steps are in the document.".into()));
    }
    parts.extend(steps[earlier..].iter().map(|line| Part::Item((*line).to_owned())));
    let all_shown = earlier == 0 && left_out == 0 && steps.len() == lines.len();
    let document = (!all_shown).then(|| {
        let cut = format!("{left_out} earlier lines are left out; `borg-host task log {id}` has all\n");
        let mut text = if left_out > 0 { cut } else { String::new() };
        for line in lines.drain(..) {
            text.push_str(&line.text);
            text.push('\n');
        }
        Document { name: format!("task-{id}.log.txt"), text }
    });
    Ok((NoticeKind::Answer, parts, document))
}

/// Whoever may look has a role; one that was taken away meanwhile is the least.
fn role(policy: &Policy, person: &PersonId) -> Role {
    policy.role(person).unwrap_or(Role::Guest)
}

fn answer(parts: Vec<Part>) -> Shown {
    (NoticeKind::Answer, parts, None)
}

fn found(looked: Result<Vec<Part>, Vec<Part>>) -> Shown {
    match looked {
        Ok(parts) => answer(parts),
        Err(parts) => (NoticeKind::Hint, parts, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Reply,
        fixture::Fixture,
        journal::{Batch, Journal, LedgerRow},
    };
    use borg_core::{
        chat::{Addressed, Said},
        event::{Body, Event, Meanwhile},
        executor::AgentEvent,
        intent::Intent,
        kept::Kept,
        task::Status,
    };
    use std::sync::Arc;

    const PEOPLE: [(&str, Role); 2] = [("telegram:1", Role::Guest), ("telegram:4", Role::Owner)];

    /// What somebody is told, line by line, and the document that comes with it.
    async fn told(fixture: &Fixture, sender: &str, text: &str) -> (NoticeKind, String, Option<Document>) {
        let said = Said {
            sender: sender.into(),
            chat: "-100".into(),
            text: text.into(),
            addressed: Addressed::Command,
            reply_to: None,
            problem: None,
        };
        let notice = fixture.conversation.reply("telegram", &said, None).await.unwrap();
        let line = |part: &Part| match part {
            Part::Field { label, value } => format!("{label}: {value}"),
            Part::Heading(text) | Part::Text(text) | Part::Item(text) | Part::Diff(text) => text.clone(),
            Part::Code { text, .. } => text.clone(),
        };
        (notice.kind, notice.parts.iter().map(line).collect::<Vec<_>>().join("\n"), notice.document)
    }

    #[tokio::test]
    async fn everybody_known_may_look() {
        let fixture = Fixture::start(&PEOPLE, None).await;
        for (text, want) in [
            ("/ping", "borg-host test is up for"),
            ("/chatid", "this chat: telegram:-100"),
            ("/personas", "worker: claude-code"),
            ("/personas qa", "Persona qa"),
            ("/pipeline", "Pipeline feature"),
            ("/pipeline quick", "Pipeline quick"),
            ("/policy", "in force since 2"),
            ("/stats", "24 h: 0 asked for"),
            ("/list", "no tasks yet"),
            ("/start", "What can be said"),
        ] {
            for sender in ["1", "4"] {
                let (kind, told, document) = told(&fixture, sender, text).await;
                assert!(kind == NoticeKind::Answer && told.contains(want), "{text} by {sender}: {told}");
                assert_eq!(document, None, "{text}");
            }
        }
        for (text, want) in [
            ("/personas nobody", "no persona `nobody`"),
            ("/pipeline nothing", "no pipeline `nothing`"),
            ("/audit 9", "no task #9"),
            ("/audit", "Usage: /audit N"),
            ("/stats 7", "Usage: /stats"),
        ] {
            let (kind, told, _) = told(&fixture, "1", text).await;
            assert!(kind == NoticeKind::Hint && told.contains(want), "{text}: {told}");
        }
        let (_, guest, _) = told(&fixture, "1", "/policy").await;
        let (_, owner, _) = told(&fixture, "4", "/policy").await;
        assert!(guest.contains("you: telegram:1, guest") && !guest.contains("/approve"), "{guest}");
        assert!(owner.contains("you: telegram:4, owner") && owner.contains("/approve"), "{owner}");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn nothing_that_is_listed_is_missing() {
        let fixture = Fixture::start(&PEOPLE, None).await;
        for command in borg_core::intent::COMMANDS {
            for rest in ["", " 1", " some words"] {
                let (_, told, _) = told(&fixture, "4", &format!("/{}{rest}", command.name)).await;
                assert!(!told.trim().is_empty() && !told.contains("no grammar"), "/{}{rest}: {told}", command.name);
            }
        }
        fixture.stop().await;
    }

    #[tokio::test]
    async fn figures_are_those_of_the_journal() {
        let fixture = Fixture::start(&PEOPLE, None).await;
        let (done, open) = (fixture.task("telegram:4").await, fixture.task("telegram:4").await);
        for task in [done, open] {
            fixture.until(task, Status::Blocked).await;
        }
        let reply = fixture.handle.intend(PersonId("telegram:4".into()), Intent::Cancel { task: done }, None).await;
        assert!(matches!(reply, Ok(Reply::Done { .. })), "{reply:?}");
        fixture.until(done, Status::Cancelled).await;
        let desk = &fixture.conversation.desk;
        let now = now_ms();
        // Two days ago and now.
        for at_ms in [now - 48 * 3_600_000, now] {
            let row = serde_json::json!({ "usage": null, "cost-micros": 250_000 });
            let row = LedgerRow { at_ms, owner: done.into(), run: "r".into(), row };
            fixture.store.commit(Arc::new(Batch { rows: vec![row], ..Batch::default() })).await.unwrap();
        }
        let (_, told, _) = told(&fixture, "1", "/stats").await;
        let want = "24 h: 2 asked for; 0 completed, 0 failed, 0 rejected, 1 cancelled; 0 tokens, $0.2500";
        assert!(told.contains(want), "{told}");
        assert!(told.contains("7 d: 2 asked for") && told.contains("$0.5000"), "{told}");
        assert!(told.contains("0 queued, 0 running, 0 going on later, 1 waiting for a person"), "{told}");
        // In a year none of it is of the last month.
        let later = desk.figures(now + 365 * 24 * 3_600_000, &WINDOWS).await.unwrap();
        assert!(later.windows.iter().all(|window| window.asked + window.cancelled + window.cost.0 == 0), "{later:?}");
        assert_eq!(later.stuck, 1, "what waits waits whenever it was asked for");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn a_past_is_told_in_short_and_a_long_one_whole_beside_it() {
        let fixture = Fixture::start(&PEOPLE, None).await;
        let task = fixture.task("telegram:4").await;
        fixture.until(task, Status::Blocked).await;
        let (_, short, document) = told(&fixture, "1", "/audit 1").await;
        let at = |text: &str| short.find(text).unwrap_or_else(|| panic!("{text}: {short}"));
        assert!(at("asked for by telegram:4") < at("Z  blocked: "), "{short}");
        assert_eq!(document, None, "{short}");
        // What agents do is told beside it, however much that is, up to a limit.
        let said = |texts: Vec<String>| {
            let events: Vec<AgentEvent> = texts.into_iter().map(|text| AgentEvent::Said { text }).collect();
            let events = Kept::new(serde_json::to_string(&events).unwrap());
            let run = "t1-s0-a1-agent".parse().unwrap();
            let body = Body::Meanwhile(Meanwhile::Progressed { run, line: 1, state: String::new(), events, turns: 0 });
            Event { at_ms: now_ms(), owner: task.into(), settles: None, body }
        };
        fixture.handle.post(said(vec!["a\u{1b}[2J wish".into()])).await.unwrap();
        let (_, again, document) = told(&fixture, "1", "/audit #1").await;
        let document = document.expect("there is more than the steps");
        assert_eq!(document.name, "task-1.log.txt");
        assert!(document.text.contains("a^[[2J wish") && !document.text.contains('\u{1b}'), "{}", document.text);
        assert!(!again.contains("wish"), "{again}");
        let words = (0..3_000).map(|n| format!("{n} {}", "x".repeat(300)));
        fixture.handle.post(said(words.collect())).await.unwrap();
        let (_, _, document) = told(&fixture, "1", "/audit 1").await;
        let text = document.expect("a long past").text;
        assert!(text.len() < 600 << 10 && text.contains("2999 x") && !text.contains("“0 x"), "{}", text.len());
        assert!(text.starts_with(|c: char| c.is_ascii_digit()) && text.contains("earlier lines are left out"));
        fixture.stop().await;
    }
}
