//! Intents of people: permitted, checked against the state, turned into events.

use super::{Engine, Reply, event};
use crate::clock::now_ms;
use borg_core::{
    approval::{ApprovalError, ApprovedChange},
    chat::Registration,
    decider::Decider,
    event::{Body, ChatEvent, Event, HostEvent, Kept, Said},
    id::{Digest, TaskId},
    intent::{Intent, NOTE_LIMIT, SHORTEST_CHANGE},
    owner::Owner,
    permit::{Permit, permit},
    plan,
    policy::PersonId,
    task::{BlockedOn, Doing, NewTask, Phase, Running, Task},
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
        let task = intent.task().and_then(|id| self.state.tasks.get(&id)).or(ended);
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
                    event(
                        Owner::Host,
                        Body::Host(HostEvent::PersonDenied { by: person.clone(), what: what(&intent), reason }),
                    )
                });
                let reply = Reply::Refused { reason: no.reason, remedy: no.remedy, stranger: no.stranger };
                return (denied.into_iter().collect(), reply);
            }
        };
        if let Some(no) = malformed(&intent) {
            return (Vec::new(), no);
        }
        let begins =
            matches!(intent, Intent::Task(_) | Intent::Ask { .. } | Intent::Continue { .. } | Intent::Retry { .. });
        if begins && let Some(full) = self.no_room() {
            return (Vec::new(), full);
        }
        match &intent {
            Intent::Task(_) | Intent::Ask { .. } => self.create(&permit, chat),
            Intent::Continue { task, text } => self.go_on(*task, text, &permit, chat, ended),
            Intent::Retry { task } => self.retry(*task, &permit, chat, ended),
            Intent::Note { task, text } => self.note(*task, text, &permit),
            Intent::Answer { task, text } => self.answer(*task, text, &permit),
            Intent::Approve { task, change, note } => self.approve(*task, change.as_deref(), note, &permit, ended),
            Intent::Reject { task, change, note } => self.reject(*task, change.as_deref(), note, &permit, ended),
            Intent::Cancel { task } => self.cancel(*task, &permit),
            Intent::Register { repository } => self.register(repository.as_ref(), chat, &permit),
            Intent::Unregister => self.unregister(chat, &permit),
            Intent::Pause => (
                vec![event(Owner::Host, Body::Said(Said::Paused { by: person.clone() }))],
                done("paused: what runs goes on, nothing new starts"),
            ),
            Intent::Resume => {
                (vec![event(Owner::Host, Body::Said(Said::Resumed { by: person.clone() }))], done("resumed"))
            }
            // Policy is files: whoever holds them edits, and the edit comes back as any other.
            Intent::Allow { person: whom, role } => {
                let allowed = Body::Said(Said::PersonAllowed { by: person.clone(), person: whom.clone(), role: *role });
                (vec![event(Owner::Host, allowed)], Reply::Granted)
            }
            Intent::Look(_) => (Vec::new(), Reply::Granted),
        }
    }

    fn create(&mut self, permit: &Permit, chat: Option<String>) -> (Vec<Event>, Reply) {
        let of_chat = chat.as_deref().and_then(|chat| self.state.repository_of(chat));
        match plan::plan(permit, TaskId(self.next_task), chat.clone(), of_chat, self.policies.current()) {
            Ok(Some(task)) => self.created(task),
            Ok(None) => (Vec::new(), Reply::Granted),
            Err(error) => (Vec::new(), refused(error.problem, error.remedy)),
        }
    }

    fn created(&mut self, task: NewTask) -> (Vec<Event>, Reply) {
        self.next_task += 1;
        let shut = self.state.day.shut(&task.by, self.policies.current(), now_ms());
        let reply = Reply::Created {
            task: task.id,
            title: task.title.clone(),
            repository: task.repository.clone(),
            pipeline: task.pipeline.name.clone(),
            waits: shut.map(|shut| shut.to_string()),
        };
        (vec![event(task.id, Body::Said(Said::TaskCreated { task: Box::new(task) }))], reply)
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
                Phase::Parked { daily: true, reason, .. } => {
                    let remedy = "it goes on by itself then, or as soon as the cap is raised in policy";
                    (Vec::new(), refused(format!("#{id} waits: {reason}"), remedy))
                }
                Phase::Parked { .. } | Phase::Blocked { on: BlockedOn::Repair | BlockedOn::Delivery { .. }, .. } => (
                    vec![event(id, Body::Said(Said::Unblocked { by }))],
                    done(format!("#{id} goes on where it stopped")),
                ),
                Phase::Blocked { on: BlockedOn::Question { .. }, .. } => {
                    let remedy = format!("/answer {id} TEXT sends it on; /cancel {id} gives it up");
                    (Vec::new(), refused(format!("#{id} waits for an answer"), remedy))
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

    fn go_on(
        &mut self,
        id: TaskId,
        text: &str,
        permit: &Permit,
        chat: Option<String>,
        ended: Option<&Task>,
    ) -> (Vec<Event>, Reply) {
        if let Some(task) = self.state.tasks.get(&id) {
            let remedy = format!("/note {id} TEXT tells its agents something; /cancel {id} ends it");
            return (Vec::new(), refused(format!("#{id} has not ended: it is {}", task.status()), remedy));
        }
        let Some(old) = ended else { return (Vec::new(), unknown(id)) };
        match plan::go_on(old, text, permit, TaskId(self.next_task), chat, self.policies.current()) {
            Ok(task) => self.created(task),
            Err(error) => (Vec::new(), refused(error.problem, error.remedy)),
        }
    }

    fn note(&mut self, id: TaskId, text: &str, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), ended_or_unknown(id)) };
        let is_asked = matches!(task.phase, Phase::Blocked { on: BlockedOn::Question { .. }, .. });
        if task.notes.len() >= Task::NOTES_KEPT && !is_asked {
            let problem = format!("#{id} has {} notes, and takes no more", Task::NOTES_KEPT);
            return (Vec::new(), refused(problem, format!("/cancel {id}, then /continue {id} TEXT with all of it")));
        }
        match &task.phase {
            Phase::Blocked { on: BlockedOn::Question { .. }, .. } => self.answer(id, text, permit),
            Phase::Approved { .. }
            | Phase::Running(Running { doing: Doing::Delivering { .. }, .. })
            | Phase::Blocked { on: BlockedOn::Delivery { .. }, .. }
            | Phase::Ended { .. } => {
                let remedy = format!("/continue {id} TEXT, once it has ended, goes on from there");
                (Vec::new(), refused(format!("no agent works on #{id} any more"), remedy))
            }
            Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Blocked { on: BlockedOn::Repair, .. } => {
                let body = Body::Said(Said::Noted { by: permit.person().clone(), text: Kept::new(text) });
                let told = format!("#{id}: noted; its agents hear of it when the next attempt or stage begins");
                (vec![event(id, body)], done(told))
            }
            Phase::NeedsReview { .. } | Phase::Blocked { on: BlockedOn::Verdict { .. }, .. } => {
                let remedy = format!("/approve {id}, or /reject {id} and then /continue {id} TEXT");
                (Vec::new(), refused(format!("#{id} is done, and waits for a decision"), remedy))
            }
        }
    }

    fn answer(&mut self, id: TaskId, text: &str, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), ended_or_unknown(id)) };
        if !matches!(task.phase, Phase::Blocked { on: BlockedOn::Question { .. }, .. }) {
            let remedy = format!("/note {id} TEXT tells its agents something all the same");
            return (Vec::new(), refused(format!("#{id} has asked nothing: it is {}", task.status()), remedy));
        }
        let body = Body::Said(Said::Answered { by: permit.person().clone(), text: Kept::new(text) });
        (vec![event(id, body)], done(format!("#{id} goes on with that answer")))
    }

    fn register(&mut self, repository: Option<&String>, chat: Option<String>, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(chat) = chat else { return (Vec::new(), no_chat()) };
        if let Some(error) = repository.and_then(|name| plan::is_granted(name, self.policies.current()).err()) {
            return (Vec::new(), refused(error.problem, error.remedy));
        }
        let told = match repository {
            Some(name) => {
                format!("{chat} is registered: tasks asked for here are about {name}, unless they name another")
            }
            None => format!("{chat} is registered"),
        };
        let registration =
            Registration { by: permit.person().clone(), at_ms: now_ms(), repository: repository.cloned() };
        (vec![event(Owner::Host, Body::Chat(ChatEvent::ChatRegistered { chat, registration }))], done(told))
    }

    fn unregister(&mut self, chat: Option<String>, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(chat) = chat else { return (Vec::new(), no_chat()) };
        if !self.state.chats.contains_key(&chat) {
            return (Vec::new(), refused(format!("{chat} is not registered"), "/groups lists the chats that are"));
        }
        let told = format!("{chat} is not registered any more");
        (
            vec![event(Owner::Host, Body::Chat(ChatEvent::ChatForgotten { chat, by: Some(permit.person().clone()) }))],
            done(told),
        )
    }

    /// Lets a change through. Away from this machine nobody approves but what they have seen: without its digest they are shown it.
    fn approve(
        &mut self,
        id: TaskId,
        change: Option<&str>,
        note: &str,
        permit: &Permit,
        ended: Option<&Task>,
    ) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), decided_or_unknown(id, ended)) };
        let decider = match Decider::of(task, permit.person(), self.policies.current()) {
            Ok(decider) => decider,
            Err(ApprovalError::NotWaiting) => return (Vec::new(), not_waiting(task)),
            Err(error) => return (Vec::new(), refused(format!("#{id}: {error}"), error.remedy(id))),
        };
        let digest = decider.review().digest;
        if let Some(other) = change.and_then(|change| is_other(id, change, &digest, "approve")) {
            return (Vec::new(), other);
        }
        if change.is_none() && !permit.person().is_at_this_machine() {
            return (Vec::new(), Reply::Granted);
        }
        match ApprovedChange::by_person(decider, &digest) {
            Ok(_) => {
                let body = Body::Said(Said::Approved { by: permit.person().clone(), digest, note: note.to_owned() });
                (vec![event(id, body)], done(format!("#{id} approved: change {}", digest.short())))
            }
            Err(error) => (Vec::new(), refused(format!("#{id}: {error}"), error.remedy(id))),
        }
    }

    fn reject(
        &mut self,
        id: TaskId,
        change: Option<&str>,
        note: &str,
        permit: &Permit,
        ended: Option<&Task>,
    ) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), decided_or_unknown(id, ended)) };
        let Some(review) = task.phase.waiting_review() else { return (Vec::new(), not_waiting(task)) };
        let digest = review.digest;
        if let Some(other) = change.and_then(|change| is_other(id, change, &digest, "reject")) {
            return (Vec::new(), other);
        }
        let body = Body::Said(Said::Rejected { by: permit.person().clone(), digest, note: note.to_owned() });
        (vec![event(id, body)], done(format!("#{id} rejected; nothing leaves the host")))
    }

    fn cancel(&mut self, id: TaskId, permit: &Permit) -> (Vec<Event>, Reply) {
        let Some(task) = self.state.tasks.get(&id) else { return (Vec::new(), unknown(id)) };
        if is_delivered_now(task) {
            return (Vec::new(), refused(format!("#{id} is being delivered"), "it is too late to cancel"));
        }
        let body = Body::Said(Said::CancelRequested { by: permit.person().clone() });
        (vec![event(id, body)], done(format!("#{id} is being cancelled")))
    }
}

/// True from the moment on in which something may have left the host.
fn is_delivered_now(task: &Task) -> bool {
    matches!(task.phase, Phase::Approved { .. } | Phase::Running(Running { doing: Doing::Delivering { .. }, .. }))
}

/// Why a wish cannot be meant as it is written. What is typed in chats was read by the grammar; what comes by other ways was not.
fn malformed(intent: &Intent) -> Option<Reply> {
    let text = match intent {
        Intent::Note { text, .. } | Intent::Answer { text, .. } | Intent::Continue { text, .. } => {
            if text.trim().is_empty() {
                return Some(refused("the text is empty", "say what is meant"));
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
                return Some(refused(problem, remedy));
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
        | Intent::Look(_) => return None,
    };
    let is_long = text.len() > NOTE_LIMIT;
    is_long.then(|| refused(format!("the text is longer than {NOTE_LIMIT} bytes"), "say it in fewer words"))
}

/// The wish without its texts: those cannot be deleted from the chain.
fn what(intent: &Intent) -> String {
    let name = intent.name();
    intent.task().map_or_else(|| format!("/{name}"), |id| format!("/{name} {id}"))
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

fn ended_or_unknown(id: TaskId) -> Reply {
    let remedy =
        format!("/continue {id} TEXT goes on from where it left off, if it has ended; /tasks lists the newest");
    refused(format!("no agent works on #{id}"), remedy)
}

fn no_chat() -> Reply {
    refused("there is no chat here to register", "say it in the chat that is meant")
}

/// A button stays where it was shown, whatever has become of the change since.
fn is_other(id: TaskId, change: &str, waiting: &Digest, verb: &str) -> Option<Reply> {
    let is_same = waiting.to_string().starts_with(&change.to_ascii_lowercase());
    let problem = format!("change {change} of #{id} waits for no decision any more: it is {} now", waiting.short());
    (!is_same).then(|| refused(problem, format!("/diff {id} shows it; /{verb} {id} is about that one")))
}

/// Who decided, for whoever comes too late.
fn decided(task: &Task) -> Option<Reply> {
    let decision = task.decision.as_ref()?;
    let what = if decision.approved { "approved" } else { "rejected" };
    let problem = format!("#{} was {what} by {}: change {}", task.id(), decision.by, decision.digest.short());
    Some(refused(problem, format!("/status {} tells more", task.id())))
}

fn decided_or_unknown(id: TaskId, ended: Option<&Task>) -> Reply {
    ended.and_then(decided).unwrap_or_else(|| unknown(id))
}

fn not_waiting(task: &Task) -> Reply {
    if let Some(told) = decided(task) {
        return told;
    }
    refused(
        format!("#{} waits for no decision: it is {}", task.id(), task.status()),
        format!("/status {} tells more", task.id()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use borg_core::{policy::Role, task::Status};

    const ME: &str = "console:1";

    async fn replied(fixture: &Fixture, intent: Intent) -> (String, String) {
        match fixture.handle.intend(PersonId(ME.into()), intent, None).await.unwrap() {
            Reply::Refused { reason, remedy, stranger: false } => (reason, remedy),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_no_grammar_has_read_is_read_here() {
        let fixture = Fixture::start(&[(ME, Role::Owner)], None).await;
        let task = fixture.task(ME).await;
        fixture.until(task, Status::Blocked).await;
        let approve = |change: &str| Intent::Approve { task, change: Some(change.into()), note: String::new() };
        for wrong in ["", "0", "0123abc", "0123abcx", "0123abc\u{1b}[2J"] {
            let (reason, remedy) = replied(&fixture, approve(wrong)).await;
            assert!(reason.contains("names no change") && remedy.contains("8 digits"), "{wrong}: {reason}");
            assert!(!reason.contains('\u{1b}'), "{reason}");
            let reject = Intent::Reject { task, change: Some(wrong.into()), note: String::new() };
            assert!(replied(&fixture, reject).await.0.contains("names no change"), "{wrong}");
        }
        assert!(replied(&fixture, approve("0123ABCD")).await.0.contains("waits for no decision"));
        for (long, limit) in [("x".repeat(NOTE_LIMIT + 1), "longer than 8192 bytes"), (" ".into(), "is empty")] {
            for intent in [
                Intent::Note { task, text: long.clone() },
                Intent::Answer { task, text: long.clone() },
                Intent::Continue { task, text: long.clone() },
            ] {
                let (reason, _) = replied(&fixture, intent.clone()).await;
                assert!(reason.contains(limit), "{}: {reason}", intent.name());
            }
        }
        let note = "x".repeat(NOTE_LIMIT + 1);
        for intent in
            [Intent::Approve { task, change: None, note: note.clone() }, Intent::Reject { task, change: None, note }]
        {
            assert!(replied(&fixture, intent).await.0.contains("longer than"));
        }
        fixture.stop().await;
    }

    #[tokio::test]
    async fn what_is_being_delivered_is_not_called_off() {
        let fixture = Fixture::start(&[(ME, Role::Owner)], None).await;
        let id = fixture.task(ME).await;
        let mut task = fixture.until(id, Status::Blocked).await;
        assert!(!is_delivered_now(&task));
        let at = task.phase.position().unwrap().clone();
        for (doing, is_late) in [(Doing::Judging, false), (Doing::Delivering { change: None }, true)] {
            task.phase = Phase::Running(Running { at: at.clone(), doing, stopping: None });
            assert_eq!(is_delivered_now(&task), is_late);
        }
        fixture.stop().await;
    }
}
