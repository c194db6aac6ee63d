//! From a permitted request to a task with stages. Every name in it exists, or the person is told which one does not.

use crate::{
    asked::{Continued, NewTask},
    id::TaskId,
    intent::{self, Intent, Look, TaskRequest},
    kept::Kept,
    permit::Permit,
    policy::{Expect, Pipeline, Policy, StagePlan, StageWork, Via},
    remedy::Advice,
    task::{self, Phase, Task},
};
use std::collections::BTreeSet;

/// What is handed on of each text of an earlier task, in bytes.
const EARLIER_BYTES: usize = 16 << 10;

/// Why no task can be made of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct PlanError {
    pub problem: String,
    pub remedy: Advice,
}

fn error(problem: String, remedy: impl Into<Advice>) -> PlanError {
    PlanError { problem, remedy: remedy.into() }
}

/// Plans the task a permit asks for; none when its intent is not one that makes a task.
///
/// `of_chat` is the repository of the chat it was asked for in.
pub fn plan(
    permit: &Permit,
    id: TaskId,
    chat: Option<String>,
    of_chat: Option<&String>,
    policy: &Policy,
) -> Result<Option<NewTask>, PlanError> {
    let request = match permit.intent() {
        Intent::Task(request) => request.clone(),
        Intent::Ask { repository, question } => TaskRequest {
            repository: repository.clone(),
            title: first_words(question),
            description: question.clone(),
            pipeline: Some("ask".into()),
            ..TaskRequest::default()
        },
        Intent::Continue { .. }
        | Intent::Note { .. }
        | Intent::Answer { .. }
        | Intent::Approve { .. }
        | Intent::Reject { .. }
        | Intent::Cancel { .. }
        | Intent::Retry { .. }
        | Intent::Register { .. }
        | Intent::Unregister
        | Intent::Allow { .. }
        | Intent::Pause
        | Intent::Resume
        | Intent::Look(_) => return Ok(None),
    };
    intent::check_texts(&request).map_err(|problem| {
        error(problem, Advice::from("see ").act(Intent::Look(Look::Help { command: Some("task".into()) })))
    })?;
    let repository = repository(&request, of_chat, policy)?;
    let pipeline = pipeline(&request, policy)?;
    let budget_name = request.budget.clone().unwrap_or_else(|| policy.host.budget.clone());
    let budget = *policy.budgets.get(&budget_name).ok_or_else(|| {
        error(format!("there is no budget `{budget_name}`"), format!("known budgets: {}", list(policy.budgets.keys())))
    })?;
    Ok(Some(NewTask {
        id,
        branch: format!("borg/{id}/{}", slug(&request.title)),
        title: request.title.trim().to_owned(),
        description: Kept::new(request.description),
        repository,
        pipeline,
        by: permit.person().clone(),
        asked_before: Vec::new(),
        chat,
        budget_asked: request.budget.is_some(),
        budget_name,
        budget,
        policy: policy.digest,
        retry_of: None,
        continues: None,
    }))
}

/// Plans the same again as a new task, under the policy of today.
pub fn replan(
    old: &Task,
    permit: &Permit,
    id: TaskId,
    chat: Option<String>,
    policy: &Policy,
) -> Result<NewTask, PlanError> {
    let pipeline = policy.pipelines.get(&old.spec.pipeline.name).unwrap_or(&old.spec.pipeline).clone();
    let budget = policy.budgets.get(&old.spec.budget_name).copied().unwrap_or(old.spec.budget);
    is_granted(&old.spec.repository, policy)?;
    Ok(NewTask {
        id,
        branch: format!("borg/{id}/{}", slug(&old.spec.title)),
        by: permit.person().clone(),
        asked_before: old.askers().collect::<BTreeSet<_>>().into_iter().cloned().collect(),
        chat,
        pipeline,
        budget,
        policy: policy.digest,
        retry_of: Some(old.id()),
        ..old.spec.clone()
    })
}

/// Plans a task that goes on from where an ended one left off, as `text` says: in the same repository, by the same pipeline and budget.
/// Where the old one may have changed something, it starts from its last commit; what leaves the host is judged from where that one started.
pub fn go_on(
    old: &Task,
    text: &str,
    permit: &Permit,
    id: TaskId,
    chat: Option<String>,
    policy: &Policy,
) -> Result<NewTask, PlanError> {
    let continues = match (&old.base, &old.head) {
        (Some(base), Some(head)) if !old.spec.pipeline.read_only => Some(Box::new(Continued {
            task: old.id(),
            base: base.commit.clone(),
            head: head.clone(),
            commits: old.commits(),
            incomplete: old.incomplete(),
        })),
        (Some(_) | None, _) => None,
    };
    let Phase::Ended { reason, .. } = &old.phase else {
        return Err(error(format!("#{} has not ended", old.id()), "wait for it, or cancel it first"));
    };
    let (before, title) = (old.id(), &old.spec.title);
    let mut description = format!("{text}\n\nThis goes on from task #{before} ({title}): {}, {reason}", old.status());
    for (what, kept) in [("asked for", Some(&old.spec.description)), ("its last words", old.last_words.as_ref())] {
        let words = kept.map(|kept| kept.text.trim()).filter(|words| !words.is_empty());
        if let Some(words) = words {
            let words = task::quoted(beginning(words, EARLIER_BYTES));
            description.push_str(&format!("\n\nThere, {what}:\n{words}"));
        }
    }
    let title = first_words(text);
    Ok(NewTask {
        branch: format!("borg/{id}/{}", slug(&title)),
        title,
        description: Kept::new(description),
        retry_of: None,
        continues,
        ..replan(old, permit, id, chat, policy)?
    })
}

/// As much of a text as fits into so many bytes.
fn beginning(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Where a task works that names no repository, if policy says so; it need not be granted.
pub fn default_repository(policy: &Policy) -> Option<&String> {
    let only = || (policy.repos.len() == 1).then(|| policy.repos.keys().next()).flatten();
    policy.host.repository.as_ref().or_else(only)
}

fn repository(request: &TaskRequest, of_chat: Option<&String>, policy: &Policy) -> Result<String, PlanError> {
    let named = request.repository.as_ref().or(of_chat).or_else(|| default_repository(policy));
    let name = named.cloned().ok_or_else(|| {
        error(
            "no repository was named and there is no default one".into(),
            "name it, as in `/task owner/repo TITLE`, or set PIPELINE_REPO in borg.toml or the environment",
        )
    })?;
    is_granted(&name, policy).map(|()| name)
}

/// Refuses a repository that policy does not know.
pub fn is_granted(name: &str, policy: &Policy) -> Result<(), PlanError> {
    if policy.repos.contains_key(name) { Ok(()) } else { Err(unknown_repository(name, policy)) }
}

fn unknown_repository(name: &str, policy: &Policy) -> PlanError {
    let known = if policy.repos.is_empty() { "none yet".to_owned() } else { list(policy.repos.keys()) };
    error(
        format!("the repository `{name}` is not granted here (known: {known})"),
        format!("`borg-host repo add {name} PATH` grants it"),
    )
}

fn pipeline(request: &TaskRequest, policy: &Policy) -> Result<Pipeline, PlanError> {
    let name = request.pipeline.clone().unwrap_or_else(|| policy.host.pipeline.clone());
    let known = policy.pipelines.get(&name).ok_or_else(|| {
        error(format!("there is no pipeline `{name}`"), format!("known pipelines: {}", list(policy.pipelines.keys())))
    })?;
    let Some(persona) = &request.persona else {
        return Ok(known.clone());
    };
    let granted = policy.personas.get(persona).ok_or_else(|| {
        error(format!("there is no persona `{persona}`"), format!("known personas: {}", list(policy.personas.keys())))
    })?;
    Ok(alone(persona, granted.write.is_empty()))
}

/// A pipeline in which one persona works alone.
fn alone(persona: &str, read_only: bool) -> Pipeline {
    let work = |check| StageWork::Persona { persona: persona.to_owned(), produces: Vec::new(), check, attempts: 3 };
    let stage = |name: &str, work| StagePlan { name: name.to_owned(), work };
    let stages = if read_only {
        vec![stage("answer", work(None)), stage("deliver", StageWork::Deliver { via: Via::Reply })]
    } else {
        vec![
            stage("impl", work(Some(Expect::TestsPass))),
            stage("judge", StageWork::Judge { rules: vec!["*".into()] }),
            stage("deliver", StageWork::Deliver { via: Via::Branch }),
        ]
    };
    Pipeline { name: format!("persona:{persona}"), summary: format!("{persona} alone"), read_only, stages }
}

fn first_words(question: &str) -> String {
    let line = question.lines().next().unwrap_or_default();
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= 80 { clean } else { format!("{}…", clean.chars().take(79).collect::<String>()) }
}

/// Lower-case letters, digits and dashes of a title, at most 40 long; `task` when nothing is left.
pub fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.chars() {
        if slug.len() >= 40 {
            break;
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "task".into() } else { slug.into() }
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_safe_in_branch_names() {
        for (title, want) in [
            ("Add a discount!", "add-a-discount"),
            ("..//..", "task"),
            ("Ünïcode only ✓", "n-code-only"),
            ("-x", "x"),
            (&"word ".repeat(20), "word-word-word-word-word-word-word-word"),
        ] {
            assert_eq!(slug(title), want);
        }
    }
}
