//! Intents of people: permitted, checked against the state, turned into events.

use super::{Engine, Reply, event};
use crate::clock::now_ms;
use borg_core::{
    event::{Body, Event},
    id::TaskId,
    intent::Intent,
    permit::{Permit, permit},
    plan,
    policy::{PersonId, Role},
    task::{BlockedOn, NewTask, Phase, Task},
};

impl Engine {
    /// Events an intent leads to, and what the person is told once they are durable.
    ///
    /// `ended` is the task the intent names, where that has ended and so lives in the journal only.
    pub(super) fn command(
        &mut self,
        person: &PersonId,
        intent: Intent,
        chat: Option<String>,
        ended: Option<&Task>,
    ) -> (Vec<Event>, Reply) {
        let task = named(&intent).and_then(|id| self.state.tasks.get(&id)).or(ended);
        let permit = match permit(person, intent.clone(), task, self.policies.current()) {
            Ok(permit) => permit,
            Err(no) => {
                // People are known and few; strangers may be many and persistent.
                let untold = if no.stranger { self.strangers.knock(person, now_ms()) } else { Some(0) };
                let denied = untold.map(|untold| {
                    let more = if untold > 0 {
                        format!(" ({untold} times more since it was last noted)")
                    } else {
                        String::new()
                    };
                    let reason = format!("{}{more}", no.reason);
                    event(None, Body::PersonDenied { by: person.clone(), what: what(&intent), reason })
                });
                let reply = Reply::Refused { reason: no.reason, remedy: no.remedy, stranger: no.stranger };
                return (denied.into_iter().collect(), reply);
            }
        };
        if matches!(intent, Intent::Task(_) | Intent::Ask { .. } | Intent::Retry { .. })
            && let Some(full) = self.no_room()
        {
            return (Vec::new(), full);
        }
        match &intent {
            Intent::Task(_) | Intent::Ask { .. } => self.create(&permit, chat),
            Intent::Retry { task } => self.retry(*task, &permit, chat, ended),
            Intent::Approve { task, change, note } => self.approve(*task, change.as_deref(), note, &permit),
            Intent::Reject { task, note } => self.reject(*task, note, &permit),
            Intent::Cancel { task } => self.cancel(*task, &permit),
            Intent::Pause => (
                vec![event(None, Body::Paused { by: person.clone() })],
                done("paused: what runs goes on, nothing new starts"),
            ),
            Intent::Resume => (vec![event(None, Body::Resumed { by: person.clone() })], done("resumed")),
            Intent::Tasks
            | Intent::Status { .. }
            | Intent::Diff { .. }
            | Intent::Audit { .. }
            | Intent::Ping
            | Intent::ChatId
            | Intent::Personas { .. }
            | Intent::Pipeline { .. }
            | Intent::Policy
            | Intent::Stats
            | Intent::Help { .. } => (Vec::new(), Reply::Granted),
        }
    }

    fn create(&mut self, permit: &Permit, chat: Option<String>) -> (Vec<Event>, Reply) {
        match plan::plan(permit, TaskId(self.next_task), chat, self.policies.current()) {
            Ok(Some(task)) => self.created(task),
            Ok(None) => (Vec::new(), Reply::Granted),
            Err(error) => (Vec::new(), refused(error.problem, error.remedy)),
        }
    }

    fn created(&mut self, task: NewTask) -> (Vec<Event>, Reply) {
        self.next_task += 1;
        let reply = Reply::Created {
            task: task.id,
            title: task.title.clone(),
            repository: task.repository.clone(),
            pipeline: task.pipeline.name.clone(),
        };
        (vec![event(Some(task.id), Body::TaskCreated { task: Box::new(task) })], reply)
    }

    fn retry(
        &mut self,
        id: TaskId,
        permit: &Permit,
        chat: Option<String>,
        ended: Option<&Task>,
    ) -> (Vec<Event>, Reply) {
        let by = permit.person().clone();
        if let Some(task) = self.state.tasks.get(&id) {
            return match &task.phase {
                Phase::Parked { .. } | Phase::Blocked { on: BlockedOn::Repair | BlockedOn::Delivery { .. }, .. } => {
                    (vec![event(Some(id), Body::Unblocked { by })], done(format!("#{id} goes on where it stopped")))
                }
                Phase::Blocked { on: BlockedOn::Verdict { .. }, .. } | Phase::NeedsReview { .. } => {
                    let remedy = format!("/approve {id} or /reject {id} decides; after that /retry {id} runs it again");
                    (Vec::new(), refused(format!("#{id} waits for a decision"), remedy))
                }
                Phase::Queued { .. } | Phase::Running(_) | Phase::Approved { .. } => (
                    Vec::new(),
                    refused(format!("#{id} is {} already", task.status()), format!("/cancel {id} stops it first")),
                ),
                Phase::Ended { .. } => (Vec::new(), refused(format!("#{id} is just ending"), "try again in a moment")),
            };
        }
        match ended {
            Some(old) => {
                let task = TaskId(self.next_task);
                match plan::replan(old, permit, task, chat, self.policies.current()) {
                    Ok(task) => self.created(task),
                    Err(error) => (Vec::new(), refused(error.problem, error.remedy)),
                }
            }
            None => (Vec::new(), unknown(id)),
        }
    }

    fn approve(&mut self, id: TaskId, change: Option<&str>, note: &str, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), unknown(id)) };
        let review = match &task.phase {
            Phase::NeedsReview { review, .. } => review,
            Phase::Blocked { on: BlockedOn::Verdict { review }, .. } if permit.role() >= Role::Owner => review,
            Phase::Blocked { on: BlockedOn::Verdict { .. }, .. } => {
                return (
                    Vec::new(),
                    refused(format!("the verdict on #{id} is block: only an owner may overrule it"), "ask an owner"),
                );
            }
            Phase::Blocked { .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => return (Vec::new(), not_waiting(task)),
        };
        // A button stays where it was shown, whatever has become of the change since.
        if let Some(change) = change.filter(|change| !review.digest.to_string().starts_with(*change)) {
            let problem =
                format!("change {change} of #{id} waits for no decision any more: it is {} now", review.digest.short());
            return (Vec::new(), refused(problem, format!("/diff {id} shows it; /approve {id} approves that one")));
        }
        let body = Body::Approved { by: permit.person().clone(), digest: review.digest, note: note.to_owned() };
        (vec![event(Some(id), body)], done(format!("#{id} approved: change {}", review.digest.short())))
    }

    fn reject(&mut self, id: TaskId, note: &str, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), unknown(id)) };
        let digest = match &task.phase {
            Phase::NeedsReview { review, .. } | Phase::Blocked { on: BlockedOn::Verdict { review }, .. } => {
                review.digest
            }
            Phase::Blocked { .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => return (Vec::new(), not_waiting(task)),
        };
        let body = Body::Rejected { by: permit.person().clone(), digest, note: note.to_owned() };
        (vec![event(Some(id), body)], done(format!("#{id} rejected; nothing leaves the host")))
    }

    fn cancel(&mut self, id: TaskId, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), unknown(id)) };
        if matches!(task.phase, Phase::Approved { .. }) {
            return (Vec::new(), refused(format!("#{id} is being delivered"), "it is too late to cancel"));
        }
        let body = Body::CancelRequested { by: permit.person().clone() };
        (vec![event(Some(id), body)], done(format!("#{id} is being cancelled")))
    }
}

/// The task an intent is about.
pub(super) fn named(intent: &Intent) -> Option<TaskId> {
    match intent {
        Intent::Approve { task, .. } | Intent::Reject { task, .. } => Some(*task),
        Intent::Cancel { task } | Intent::Retry { task } => Some(*task),
        Intent::Diff { task } | Intent::Audit { task } => Some(*task),
        Intent::Status { task } => *task,
        Intent::Task(_)
        | Intent::Ask { .. }
        | Intent::Tasks
        | Intent::Pause
        | Intent::Resume
        | Intent::Ping
        | Intent::ChatId
        | Intent::Personas { .. }
        | Intent::Pipeline { .. }
        | Intent::Policy
        | Intent::Stats
        | Intent::Help { .. } => None,
    }
}

/// The wish without its texts: those cannot be deleted from the chain.
fn what(intent: &Intent) -> String {
    let word = match intent {
        Intent::Task(_) => "/task",
        Intent::Ask { .. } => "/ask",
        Intent::Tasks => "/tasks",
        Intent::Status { .. } => "/status",
        Intent::Diff { .. } => "/diff",
        Intent::Approve { .. } => "/approve",
        Intent::Reject { .. } => "/reject",
        Intent::Cancel { .. } => "/cancel",
        Intent::Retry { .. } => "/retry",
        Intent::Pause => "/pause",
        Intent::Resume => "/resume",
        Intent::Audit { .. } => "/audit",
        Intent::Ping => "/ping",
        Intent::ChatId => "/chatid",
        Intent::Personas { .. } => "/personas",
        Intent::Pipeline { .. } => "/pipeline",
        Intent::Policy => "/policy",
        Intent::Stats => "/stats",
        Intent::Help { .. } => "/help",
    };
    named(intent).map_or_else(|| word.to_owned(), |id| format!("{word} {id}"))
}

fn done(text: impl Into<String>) -> Reply {
    Reply::Done { text: text.into() }
}

fn refused(reason: impl Into<String>, remedy: impl Into<String>) -> Reply {
    Reply::Refused { reason: reason.into(), remedy: remedy.into(), stranger: false }
}

fn unknown(id: TaskId) -> Reply {
    refused(format!("there is no live task #{id}"), "/tasks lists the newest; an ended task can only be retried")
}

fn not_waiting(task: &Task) -> Reply {
    refused(
        format!("#{} waits for no decision: it is {}", task.id(), task.status()),
        format!("/status {} tells more", task.id()),
    )
}
