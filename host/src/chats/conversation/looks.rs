//! What people see who look at the host itself, or at a task's past. Texts are the core's; here they are given what they speak of.

use crate::{
    clock::{now_ms, utc},
    engine::{
        Desk,
        desk::{Audit, StoreError},
    },
};
use borg_core::{
    chat::{Document, NoticeKind, Part},
    id::TaskId,
    policy::{PersonId, Policy, Role},
    words,
};
use std::sync::Arc;

/// What is shown: how it is meant, in short, and in full where it is long.
pub(super) type Shown = (NoticeKind, Vec<Part>, Option<Document>);

/// Steps of a task shown in a message; the document has all.
const STEPS_SHOWN: usize = 15;

pub(super) async fn ping(desk: &Desk) -> Result<Shown, StoreError> {
    let now = now_ms();
    let (at_ms, version) = desk.started().await?.unwrap_or((now, String::new()));
    Ok(answer(words::ping(&version, now.saturating_sub(at_ms))))
}

pub(super) async fn chat_id(desk: &Desk, person: &PersonId, chat: &str) -> Result<Shown, StoreError> {
    let policy = policy(desk).await?;
    Ok(answer(words::chat_id(chat, person, role(&policy, person))))
}

pub(super) async fn personas(desk: &Desk, name: Option<&str>) -> Result<Shown, StoreError> {
    Ok(found(words::personas(name, &*policy(desk).await?)))
}

pub(super) async fn pipeline(desk: &Desk, name: Option<&str>) -> Result<Shown, StoreError> {
    Ok(found(words::pipeline(name, &*policy(desk).await?)))
}

pub(super) async fn in_force(desk: &Desk, person: &PersonId) -> Result<Shown, StoreError> {
    let policy = policy(desk).await?;
    let since = desk.policy_since(policy.digest).await?.map(utc);
    Ok(answer(words::policy(&policy, since.as_deref(), person, role(&policy, person))))
}

pub(super) async fn stats(desk: &Desk) -> Result<Shown, StoreError> {
    Ok(answer(words::stats(&desk.figures(now_ms()).await?)))
}

/// The past of a task: its last steps, and everything as a document.
pub(super) async fn audit(desk: &Desk, id: TaskId) -> Result<Shown, StoreError> {
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

async fn policy(desk: &Desk) -> Result<Arc<Policy>, StoreError> {
    desk.handle.policy().await.map_err(|_| StoreError::Stopped)
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
