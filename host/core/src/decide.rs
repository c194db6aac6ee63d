//! What people ask for, decided: `decide(state, policies, request) -> (events, reply)`. Pure, as [`crate::step`] is, so the promises are tried
//! with people in play, too.

use crate::{
    approval::{ApprovalError, ApprovedChange, Decider, Review},
    asked::NewTask,
    chat::Registration,
    event::{Body, ChatEvent, HostEvent, Said},
    id::TaskId,
    intent::{Intent, Look, NOTE_LIMIT, SHORTEST_CHANGE},
    kept::Kept,
    owner::Owner,
    people::PersonId,
    permit::{Permit, permit},
    plan::{self, PlanError},
    remedy::Advice,
    step::{Policies, State},
    task::{BlockedOn, Doing, Phase, Running, Task},
};
use serde::{Deserialize, Serialize};

/// What an intent came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// A task was made.
    Created {
        task: TaskId,
        title: String,
        repository: String,
        pipeline: String,
        /// Why it does not start now, and until when, where a daily cap is used up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waits: Option<String>,
    },
    /// It is done, and durable.
    Done { text: String },
    /// The person may look; the caller fetches what is asked for.
    Granted,
    /// No, and why, and what would change that.
    Refused { reason: String, remedy: Advice, stranger: bool },
}

/// Somebody wants something.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub person: &'a PersonId,
    pub intent: Intent,
    /// Where they said so, as `transport:chat`.
    pub chat: Option<String>,
    /// The task it is about, where that has ended and so is in the state no more.
    pub ended: Option<&'a Task>,
    /// Milliseconds since 1970-01-01 00:00 UTC.
    pub now_ms: u64,
    /// Number of the next task.
    pub next_task: TaskId,
    /// Why no new work is taken in now, if so.
    pub full: Option<Reply>,
}

/// What happened by it, in order, and what the person is told once that is durable.
pub type Decision = (Vec<(Owner, Body)>, Reply);

/// Decides on a request: it is permitted, held against the state, and turned into events, or refused.
pub fn decide(state: &State, policies: &Policies, request: Request) -> Decision {
    Desk { state, policies, request }.decide().unwrap_or_else(|no| (Vec::new(), no))
}

/// A decision; an error is a no by which nothing happens.
type Decided = Result<Decision, Reply>;

struct Desk<'a> {
    state: &'a State,
    policies: &'a Policies,
    request: Request<'a>,
}

impl Desk<'_> {
    fn decide(self) -> Decided {
        let Request { person, intent, ended, full, .. } = &self.request;
        let task = intent.task().and_then(|id| self.state.tasks.get(&id)).or(*ended);
        let permit = match permit(person, intent.clone(), task, self.policies.current()) {
            Ok(permit) => permit,
            Err(no) => {
                let (by, reason) = ((*person).clone(), no.reason.clone());
                let denied = Body::Host(HostEvent::PersonDenied { by, what: what(intent), reason });
                let reply = Reply::Refused { reason: no.reason, remedy: no.remedy, stranger: no.stranger };
                return Ok((vec![(Owner::Host, denied)], reply));
            }
        };
        well_formed(intent)?;
        if let Some(full) = full
            && intent.begins_task()
        {
            return Err(full.clone());
        }
        let by = (*person).clone();
        match intent {
            Intent::Task(_) | Intent::Ask { .. } => self.create(&permit),
            Intent::Continue { task, text } => self.go_on(*task, text, &permit),
            Intent::Retry { task } => self.retry(*task, &permit),
            Intent::Note { task, text } => self.note(*task, text, by),
            Intent::Answer { task, text } => self.answer(*task, text, by),
            Intent::Approve { task, change, note } => self.approve(*task, change.as_deref(), note, by),
            Intent::Reject { task, change, note } => self.reject(*task, change.as_deref(), note, by),
            Intent::Cancel { task } => self.cancel(*task, by),
            Intent::Register { repository } => self.register(repository.as_ref(), by),
            Intent::Unregister => self.unregister(by),
            Intent::Pause => said(Owner::Host, Said::Paused { by }, "paused: what runs goes on, nothing new starts"),
            Intent::Resume => said(Owner::Host, Said::Resumed { by }, "resumed"),
            // Policy is files: whoever holds them edits, and the edit comes back as any other.
            Intent::Allow { person: whom, role } => {
                let allowed = Said::PersonAllowed { by, person: whom.clone(), role: *role };
                Ok((vec![(Owner::Host, Body::Said(allowed))], Reply::Granted))
            }
            Intent::Look(_) => Ok((Vec::new(), Reply::Granted)),
        }
    }

    fn create(&self, permit: &Permit) -> Decided {
        let chat = self.request.chat.clone();
        let of_chat = chat.as_deref().and_then(|chat| self.state.repository_of(chat));
        match plan::plan(permit, self.request.next_task, chat.clone(), of_chat, self.policies.current())? {
            Some(task) => Ok(self.created(task)),
            None => Ok((Vec::new(), Reply::Granted)),
        }
    }

    fn created(&self, task: NewTask) -> Decision {
        let shut = self.state.day.shut(&task.by, self.policies.current(), self.request.now_ms);
        let reply = Reply::Created {
            task: task.id,
            title: task.title.clone(),
            repository: task.repository.clone(),
            pipeline: task.pipeline.name.clone(),
            waits: shut.map(|shut| shut.to_string()),
        };
        (vec![(task.id.into(), Body::Said(Said::TaskCreated { task: Box::new(task) }))], reply)
    }

    fn retry(&self, task: TaskId, permit: &Permit) -> Decided {
        let Some(live) = self.state.tasks.get(&task) else {
            let Request { ended, chat, next_task, .. } = &self.request;
            let old = ended.ok_or_else(|| unknown(task))?;
            return Ok(self.created(plan::replan(old, permit, *next_task, chat.clone(), self.policies.current())?));
        };
        let (reason, remedy) = match &live.phase {
            Phase::Parked { daily: true, reason, .. } => (
                format!("waits: {reason}"),
                "it goes on by itself then, or as soon as the cap is raised in policy".into(),
            ),
            Phase::Parked { .. } | Phase::Blocked { on: BlockedOn::Repair | BlockedOn::Delivery { .. }, .. } => {
                let unblocked = Said::Unblocked { by: permit.person().clone() };
                return said(task.into(), unblocked, format!("#{task} goes on where it stopped"));
            }
            Phase::Blocked { on: BlockedOn::Question { .. }, .. } => {
                let answer = Advice::from(Intent::Answer { task, text: TEXT.into() }).words(" sends it on; ");
                ("waits for an answer".to_owned(), answer.act(Intent::Cancel { task }).words(" gives it up"))
            }
            Phase::Blocked { on: BlockedOn::Verdict { .. }, .. } | Phase::NeedsReview { .. } => {
                let decides =
                    Advice::from(approve(task)).words(" or ").act(reject(task)).words(" decides; after that ");
                ("waits for a decision".to_owned(), decides.act(Intent::Retry { task }).words(" runs it again"))
            }
            Phase::Queued { .. } | Phase::Running(_) | Phase::Approved { .. } => (
                format!("is {} already", live.status()),
                Advice::from(Intent::Cancel { task }).words(" stops it first"),
            ),
            Phase::Ended { .. } => ("is just ending".to_owned(), "try again in a moment".into()),
        };
        Err(refused(format!("#{task} {reason}"), remedy))
    }

    fn go_on(&self, task: TaskId, text: &str, permit: &Permit) -> Decided {
        if let Some(live) = self.state.tasks.get(&task) {
            let note = Intent::Note { task, text: TEXT.into() };
            let remedy = Advice::from(note).words(" tells its agents something; ").act(Intent::Cancel { task });
            return Err(refused(format!("#{task} has not ended: it is {}", live.status()), remedy.words(" ends it")));
        }
        let Request { ended, chat, next_task, .. } = &self.request;
        let old = ended.ok_or_else(|| unknown(task))?;
        Ok(self.created(plan::go_on(old, text, permit, *next_task, chat.clone(), self.policies.current())?))
    }

    fn note(&self, task: TaskId, text: &str, by: PersonId) -> Decided {
        let live = self.state.tasks.get(&task).ok_or_else(|| ended_or_unknown(task))?;
        let is_asked = matches!(live.phase, Phase::Blocked { on: BlockedOn::Question { .. }, .. });
        if live.notes.len() >= Task::NOTES_KEPT && !is_asked {
            let remedy = Advice::from(Intent::Cancel { task }).words(", then ").act(go_on(task));
            let problem = format!("#{task} has {} notes, and takes no more", Task::NOTES_KEPT);
            return Err(refused(problem, remedy.words(" with all of it")));
        }
        match &live.phase {
            Phase::Blocked { on: BlockedOn::Question { .. }, .. } => self.answer(task, text, by),
            Phase::Approved { .. }
            | Phase::Running(Running { doing: Doing::Delivering { .. }, .. })
            | Phase::Blocked { on: BlockedOn::Delivery { .. }, .. }
            | Phase::Ended { .. } => {
                let remedy = Advice::from(go_on(task)).words(", once it has ended, goes on from there");
                Err(refused(format!("no agent works on #{task} any more"), remedy))
            }
            Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Blocked { on: BlockedOn::Repair, .. } => {
                let told = format!("#{task}: noted; its agents hear of it when the next attempt or stage begins");
                said(task.into(), Said::Noted { by, text: Kept::new(text) }, told)
            }
            Phase::NeedsReview { .. } | Phase::Blocked { on: BlockedOn::Verdict { .. }, .. } => {
                let remedy = Advice::from(approve(task)).words(", or ").act(reject(task)).words(" and then ");
                Err(refused(format!("#{task} is done, and waits for a decision"), remedy.act(go_on(task))))
            }
        }
    }

    fn answer(&self, task: TaskId, text: &str, by: PersonId) -> Decided {
        let live = self.state.tasks.get(&task).ok_or_else(|| ended_or_unknown(task))?;
        if !matches!(live.phase, Phase::Blocked { on: BlockedOn::Question { .. }, .. }) {
            let note = Intent::Note { task, text: TEXT.into() };
            let remedy = Advice::from(note).words(" tells its agents something all the same");
            return Err(refused(format!("#{task} has asked nothing: it is {}", live.status()), remedy));
        }
        let answered = Said::Answered { by, text: Kept::new(text) };
        said(task.into(), answered, format!("#{task} goes on with that answer"))
    }

    fn register(&self, repository: Option<&String>, by: PersonId) -> Decided {
        let chat = self.request.chat.clone().ok_or_else(no_chat)?;
        if let Some(name) = repository {
            plan::is_granted(name, self.policies.current())?;
        }
        let told = match repository {
            Some(name) => {
                format!("{chat} is registered: tasks asked for here are about {name}, unless they name another")
            }
            None => format!("{chat} is registered"),
        };
        let registration = Registration { by, at_ms: self.request.now_ms, repository: repository.cloned() };
        Ok((vec![(Owner::Host, Body::Chat(ChatEvent::ChatRegistered { chat, registration }))], done(told)))
    }

    fn unregister(&self, by: PersonId) -> Decided {
        let chat = self.request.chat.clone().ok_or_else(no_chat)?;
        if !self.state.chats.contains_key(&chat) {
            let remedy = Advice::from(Intent::Look(Look::Groups)).words(" lists the chats that are");
            return Err(refused(format!("{chat} is not registered"), remedy));
        }
        let told = format!("{chat} is not registered any more");
        Ok((vec![(Owner::Host, Body::Chat(ChatEvent::ChatForgotten { chat, by: Some(by) }))], done(told)))
    }

    /// The task a decision is about, and the review that waits for it.
    fn undecided(&self, id: TaskId) -> Result<(&Task, &Review), Reply> {
        let task = self
            .state
            .tasks
            .get(&id)
            .ok_or_else(|| self.request.ended.and_then(decided).unwrap_or_else(|| unknown(id)))?;
        let review = task.phase.waiting_review().ok_or_else(|| not_waiting(task))?;
        Ok((task, review))
    }

    /// Lets a change through. Away from this machine nobody approves but what they have seen: without its digest they are shown it.
    fn approve(&self, id: TaskId, change: Option<&str>, note: &str, by: PersonId) -> Decided {
        let (task, review) = self.undecided(id)?;
        let no = |error: ApprovalError| refused(format!("#{id}: {error}"), error.remedy(id));
        let decider = Decider::of(task, &by, self.policies.current()).map_err(no)?;
        is_that_change(change, review, approve(id))?;
        if change.is_none() && !by.is_at_this_machine() {
            return Ok((Vec::new(), Reply::Granted));
        }
        ApprovedChange::by_person(decider, &review.digest).map_err(no)?;
        let told = format!("#{id} approved: change {}", review.digest.short());
        said(id.into(), Said::Approved { by, digest: review.digest, note: note.to_owned() }, told)
    }

    fn reject(&self, id: TaskId, change: Option<&str>, note: &str, by: PersonId) -> Decided {
        let (_, review) = self.undecided(id)?;
        is_that_change(change, review, reject(id))?;
        let rejected = Said::Rejected { by, digest: review.digest, note: note.to_owned() };
        said(id.into(), rejected, format!("#{id} rejected; nothing leaves the host"))
    }

    fn cancel(&self, task: TaskId, by: PersonId) -> Decided {
        let live = self.state.tasks.get(&task).ok_or_else(|| unknown(task))?;
        if is_delivered_now(&live.phase) {
            return Err(refused(format!("#{task} is being delivered"), "it is too late to cancel"));
        }
        said(task.into(), Said::CancelRequested { by }, format!("#{task} is being cancelled"))
    }
}

/// What stands for words that are still to be written.
pub const TEXT: &str = "TEXT";

fn approve(task: TaskId) -> Intent {
    Intent::Approve { task, change: None, note: String::new() }
}

fn reject(task: TaskId) -> Intent {
    Intent::Reject { task, change: None, note: String::new() }
}

fn go_on(task: TaskId) -> Intent {
    Intent::Continue { task, text: TEXT.into() }
}

/// True from the moment on in which something may have left the host.
fn is_delivered_now(phase: &Phase) -> bool {
    matches!(phase, Phase::Approved { .. } | Phase::Running(Running { doing: Doing::Delivering { .. }, .. }))
}

/// Why a wish cannot be meant as it is written. What is typed in chats was read by the grammar; what comes by other ways was not.
fn well_formed(intent: &Intent) -> Result<(), Reply> {
    let text = match intent {
        Intent::Note { text, .. } | Intent::Answer { text, .. } | Intent::Continue { text, .. } => {
            if text.trim().is_empty() {
                return Err(refused("the text is empty", "say what is meant"));
            }
            text
        }
        Intent::Approve { change, note, .. } | Intent::Reject { change, note, .. } => {
            let is_digest = |change: &String| {
                change.len() >= SHORTEST_CHANGE && change.bytes().all(|byte| byte.is_ascii_hexdigit())
            };
            if let Some(change) = change.as_ref().filter(|change| !is_digest(change)) {
                let problem = format!("`{}` names no change", change.escape_debug());
                let remedy =
                    format!("write at least the first {SHORTEST_CHANGE} digits of its digest, or leave it out");
                return Err(refused(problem, remedy));
            }
            note
        }
        Intent::Task(_)
        | Intent::Ask { .. }
        | Intent::Cancel { .. }
        | Intent::Retry { .. }
        | Intent::Register { .. }
        | Intent::Unregister
        | Intent::Allow { .. }
        | Intent::Pause
        | Intent::Resume
        | Intent::Look(_) => return Ok(()),
    };
    if text.len() > NOTE_LIMIT {
        return Err(refused(format!("the text is longer than {NOTE_LIMIT} bytes"), "say it in fewer words"));
    }
    Ok(())
}

/// The wish without its texts: those cannot be deleted from the chain.
fn what(intent: &Intent) -> String {
    let name = intent.name();
    intent.task().map_or_else(|| format!("/{name}"), |id| format!("/{name} {id}"))
}

fn said(owner: Owner, said: Said, told: impl Into<String>) -> Decided {
    Ok((vec![(owner, Body::Said(said))], done(told)))
}

fn done(text: impl Into<String>) -> Reply {
    Reply::Done { text: text.into() }
}

fn refused(reason: impl Into<String>, remedy: impl Into<Advice>) -> Reply {
    Reply::Refused { reason: reason.into(), remedy: remedy.into(), stranger: false }
}

fn unknown(id: TaskId) -> Reply {
    let remedy = Advice::from(Intent::Look(Look::Tasks)).words(" lists the newest; an ended task can only be retried");
    refused(format!("there is no live task #{id}"), remedy)
}

fn ended_or_unknown(id: TaskId) -> Reply {
    let remedy = Advice::from(go_on(id)).words(" goes on from where it left off, if it has ended; ");
    refused(format!("no agent works on #{id}"), remedy.act(Intent::Look(Look::Tasks)).words(" lists the newest"))
}

fn no_chat() -> Reply {
    refused("there is no chat here to register", "say it in the chat that is meant")
}

/// A button stays where it was shown, whatever has become of the change since: it decides on that one or on none.
fn is_that_change(change: Option<&str>, review: &Review, instead: Intent) -> Result<(), Reply> {
    let (waiting, Some(task)) = (&review.digest, instead.task()) else { return Ok(()) };
    let Some(other) = change.filter(|change| !waiting.to_string().starts_with(&change.to_ascii_lowercase())) else {
        return Ok(());
    };
    let problem = format!("change {other} of #{task} waits for no decision any more: it is {} now", waiting.short());
    let remedy = Advice::from(Intent::Look(Look::Diff { task })).words(" shows it; ").act(instead);
    Err(refused(problem, remedy.words(" is about that one")))
}

/// Who decided, for whoever comes too late.
fn decided(task: &Task) -> Option<Reply> {
    let decision = task.decision.as_ref()?;
    let what = if decision.approved { "approved" } else { "rejected" };
    let problem = format!("#{} was {what} by {}: change {}", task.id(), decision.by, decision.digest.short());
    Some(refused(problem, tells_more(task.id())))
}

fn not_waiting(task: &Task) -> Reply {
    let waits_not = format!("#{} waits for no decision: it is {}", task.id(), task.status());
    decided(task).unwrap_or_else(|| refused(waits_not, tells_more(task.id())))
}

fn tells_more(task: TaskId) -> Advice {
    Advice::from(Intent::Look(Look::Status { task: Some(task) })).words(" tells more")
}

impl From<PlanError> for Reply {
    fn from(error: PlanError) -> Self {
        refused(error.problem, error.remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Position;

    #[test]
    fn what_is_being_delivered_is_not_called_off() {
        let running = |doing| Phase::Running(Running { at: Position::default(), doing, stopping: None });
        assert!(!is_delivered_now(&Phase::Queued { at: Position::default() }));
        assert!(!is_delivered_now(&running(Doing::Judging)));
        assert!(is_delivered_now(&running(Doing::Delivering { change: None })));
    }
}
