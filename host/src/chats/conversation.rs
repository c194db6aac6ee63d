//! One exchange with a person: what they said, what it means, what they are told.

mod asking_back;
mod looks;
mod presses;
mod status;

use super::{ChatError, Chats, Operators};
use crate::{
    engine::{Desk, Reply},
    journal::{JournalError, TaskRow},
    people,
};
use borg_core::{
    chat::{Addressed, Document, Notice, NoticeKind, Part, Post, Said, TextPost, Update, UpdateKind},
    id::TaskId,
    intent::{self, Intent, Look, Misunderstood},
    people::{PersonId, Role, role_word},
    permit::permit,
    task::Task,
    words,
};
use std::{path::PathBuf, time::Duration};

/// Longest wait for a policy that was edited; files are looked at every other second.
const PATIENCE: Duration = Duration::from_secs(15);
/// Largest diff shown in a chat, in bytes; the rest is in `borg-host task diff`.
const DIFF_BYTES: usize = 64 << 10;

/// Understands and answers, for every transport alike.
#[derive(Clone)]
pub struct Conversation {
    pub chats: Chats,
    pub desk: Desk,
    /// Folder of the policy files.
    pub policies: PathBuf,
    pub operators: Operators,
}

impl Conversation {
    /// Posts that answer an update of a transport.
    pub async fn answer(&self, transport: &str, update: &Update, width: u32) -> Vec<Post> {
        self.exchange(transport, update, width, None).await.into_iter().flat_map(|(_, posts)| posts).collect()
    }

    /// What answers an update, and the posts that show it. With a key, what the update asks for is done once however often it is answered.
    pub async fn exchange(
        &self,
        transport: &str,
        update: &Update,
        width: u32,
        key: Option<&str>,
    ) -> Vec<(Notice, Vec<Post>)> {
        let mut exchanged = Vec::new();
        if let Err(error) = self.try_exchange(transport, update, width, key, &mut exchanged).await {
            tracing::error!(%error, "an update could not be answered");
            let person = PersonId(format!("{transport}:{}", update.sender));
            if self.may_hear(transport, &person).await {
                let text = format!("{error}. `borg-host doctor` shows the plugins; the other commands work without it");
                let told =
                    notice(&chat_of(transport, &update.chat), NoticeKind::Warning, vec![Part::Text(text.clone())]);
                exchanged.push((told, vec![Post::Send(TextPost::plain(&update.chat, text))]));
            }
        }
        exchanged
    }

    async fn try_exchange(
        &self,
        transport: &str,
        update: &Update,
        width: u32,
        key: Option<&str>,
        exchanged: &mut Vec<(Notice, Vec<Post>)>,
    ) -> Result<(), ChatError> {
        for (n, said) in self.chats.hear(transport, update).await?.into_iter().enumerate() {
            let key = key.map(|key| format!("{key}.{n}"));
            let is_press = update.kind == UpdateKind::Button && said.problem.is_none();
            if is_press && let Some(answered) = self.press(transport, update, &said, key.as_deref()).await? {
                exchanged.push(answered);
                continue;
            }
            if let Some(mut notice) = self.reply(transport, &said, key.as_deref()).await {
                notice.reply_to = Some(update.receipt.clone()).filter(|receipt| !receipt.is_empty());
                if is_press && notice.kind == NoticeKind::Hint {
                    // A no to a press is a toast, which has no room for buttons: those there are stand below the post still.
                    notice.buttons.clear();
                }
                let posts = self.chats.show(&notice, width).await?;
                exchanged.push((notice, posts));
            }
        }
        Ok(())
    }

    /// Answers an update with words of the host's own.
    pub async fn say(
        &self,
        transport: &str,
        update: &Update,
        kind: NoticeKind,
        parts: Vec<Part>,
    ) -> Vec<(Notice, Vec<Post>)> {
        let notice = notice(&chat_of(transport, &update.chat), kind, parts);
        match self.chats.show(&notice, 0).await {
            Ok(posts) => vec![(notice, posts)],
            Err(error) => {
                tracing::error!(%error, "an update could not be answered");
                Vec::new()
            }
        }
    }

    /// Strangers get silence, except at the terminal this host was started in: whoever sits there must learn what is missing.
    async fn may_hear(&self, transport: &str, person: &PersonId) -> bool {
        transport == "console" || self.desk.handle.policy().role(person).is_some()
    }

    pub(crate) async fn reply(&self, transport: &str, said: &Said, key: Option<&str>) -> Option<Notice> {
        if said.addressed == Addressed::Overheard {
            return None;
        }
        let chat = chat_of(transport, &said.chat);
        let person = PersonId(format!("{transport}:{}", said.sender));
        if let Some(problem) = &said.problem {
            let hint = notice(&chat, NoticeKind::Hint, vec![Part::Text(problem.clone())]);
            return self.may_hear(transport, &person).await.then_some(hint);
        }
        let intent = match self.understood(transport, said).await {
            Ok(intent) => intent,
            Err(misunderstood) => {
                let hint = notice(&chat, NoticeKind::Hint, vec![Part::Text(misunderstood.to_string())]);
                return self.may_hear(transport, &person).await.then_some(hint);
            }
        };
        let handle = &self.desk.handle;
        if let Intent::Allow { person: whom, role } = &intent
            && permit(&person, intent.clone(), None, &handle.policy()).is_ok()
        {
            return self.ask_back(&chat, &person, (whom, *role), key).await;
        }
        let (by, about) = (person.clone(), intent.clone());
        let intended = match key {
            Some(key) => handle.intend_once(key, by, about, Some(chat.clone())).await,
            None => handle.intend(by, about, Some(chat.clone())).await,
        };
        let Ok(reply) = intended else {
            let text = "the host is stopping; nothing was done".to_owned();
            return self
                .may_hear(transport, &person)
                .await
                .then(|| notice(&chat, NoticeKind::Warning, vec![Part::Text(text)]));
        };
        let (mut topic, mut buttons) = (None, Vec::new());
        let (kind, parts, document) = match reply {
            Reply::Created { task, title, repository, pipeline, waits: _ } => {
                // What it waits for is told as its progress, in its own topic.
                topic = Some(words::topic(task));
                let text = format!("#{task} {title} ({repository}, pipeline {pipeline})");
                (NoticeKind::Answer, vec![Part::Text(text)], None)
            }
            Reply::Done { text } => (NoticeKind::Answer, vec![Part::Text(text)], None),
            Reply::Refused { stranger: true, .. } if !self.may_hear(transport, &person).await => return None,
            Reply::Refused { reason, remedy, .. } => {
                buttons = remedy.buttons();
                let remedy = Part::Field { label: "what to do".into(), value: remedy.spell(intent::spell) };
                (NoticeKind::Hint, vec![Part::Text(reason), remedy], None)
            }
            Reply::Granted => {
                topic = intent.task().map(words::topic);
                match &intent {
                    // The policy has changed since it was looked at: asked again, it is asked back.
                    Intent::Allow { .. } => (NoticeKind::Hint, vec![Part::Text("say that again, please".into())], None),
                    Intent::Look(look) => self.look(&person, &chat, look).await.unwrap_or_else(|error| {
                        let value = "`borg-host doctor` looks at the journal".to_owned();
                        let mend = Part::Field { label: "what to do".into(), value };
                        (NoticeKind::Warning, vec![Part::Text(error.to_string()), mend], None)
                    }),
                    // Nobody approves what they have not seen: here it is, with the button that does.
                    Intent::Approve { task, .. } => return Some(self.to_decide(*task, &person, &chat).await),
                    _ => (NoticeKind::Answer, Vec::new(), None),
                }
            }
        };
        let mut notice = notice(&chat, kind, parts);
        notice.document = document;
        notice.buttons = buttons;
        notice.topic = topic.unwrap_or(notice.topic);
        Some(notice)
    }

    /// What somebody means: a command, or an answer to what we said about a task, which is taken as its state has it.
    async fn understood(&self, transport: &str, said: &Said) -> Result<Intent, Misunderstood> {
        let parsed = intent::parse(&said.text);
        let Some(receipt) = said.reply_to.as_ref().filter(|_| parsed.is_err() && !said.text.starts_with('/')) else {
            return parsed;
        };
        let about = match self.desk.task_of(transport, &said.chat, receipt).await {
            Ok(Some(task)) => self.desk.task(task).await,
            Ok(None) => return parsed,
            Err(error) => Err(error),
        };
        match about {
            Ok(Some(task)) => intent::about(&task, &said.text),
            Ok(None) => parsed,
            Err(error) => {
                tracing::error!(%error, "the journal cannot tell what a reply is about");
                parsed
            }
        }
    }

    /// Makes somebody known, in the policy file; it is in force when the files have been read again.
    async fn allow(&self, person: &PersonId, role: Role) -> Vec<Part> {
        let (policies, known) = (self.policies.clone(), person.clone());
        let failed = match tokio::task::spawn_blocking(move || people::add(&policies, &known, role)).await {
            Ok(Ok(())) if self.until_known(person, role).await => {
                return vec![Part::Text(format!("{person} is {} now", role_word(role)))];
            }
            Ok(Ok(())) => {
                let text = format!("{person} is written down as {}, but that is not in force", role_word(role));
                let value = "`borg-host config` shows whether a policy file has an error".to_owned();
                return vec![Part::Text(text), Part::Field { label: "what to do".into(), value }];
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(error) => error.to_string(),
        };
        vec![Part::Text(format!("{person} could not be written down: {failed}"))]
    }

    /// Waits until a policy is in force by which somebody has a role; false where none is for a while.
    pub async fn until_known(&self, person: &PersonId, role: Role) -> bool {
        let handle = &self.desk.handle;
        // A policy that is loaded is an event. Subscribed before looking, so that none is missed.
        let mut committed = handle.committed();
        let known = async {
            loop {
                if handle.policy().role(person) == Some(role) {
                    return true;
                }
                if committed.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(PATIENCE, known).await.unwrap_or(false)
    }

    /// What somebody who may look gets to see.
    async fn look(
        &self,
        person: &PersonId,
        chat: &str,
        look: &Look,
    ) -> Result<(NoticeKind, Vec<Part>, Option<Document>), JournalError> {
        let missing = |id: TaskId| vec![Part::Text(format!("there is no task #{id}; /tasks lists the newest"))];
        Ok(match look {
            Look::Tasks => (NoticeKind::Answer, list(&self.desk.tasks(10).await?), None),
            Look::Status { task: None } => (NoticeKind::Answer, status::of_host(&self.desk, person).await?, None),
            Look::Status { task: Some(id) } => match self.desk.task(*id).await? {
                Some(task) => (NoticeKind::Answer, words::status(&task, intent::spell), None),
                None => (NoticeKind::Hint, missing(*id), None),
            },
            Look::Diff { task } => match self.desk.task(*task).await? {
                Some(found) => (NoticeKind::Answer, vec![self.diff_part(&found).await], None),
                None => (NoticeKind::Hint, missing(*task), None),
            },
            Look::Audit { task } => looks::audit(&self.desk, *task).await?,
            Look::Stats => looks::stats(&self.desk, person).await?,
            Look::Digest => looks::digest(&self.desk).await?,
            Look::Groups => looks::groups(&self.desk).await?,
            Look::Ping => looks::ping(&self.desk).await?,
            Look::ChatId => looks::chat_id(&self.desk, person, chat).await?,
            Look::Personas { name } => looks::personas(&self.desk, name.as_deref()).await?,
            Look::Pipeline { name } => looks::pipeline(&self.desk, name.as_deref(), person).await?,
            Look::Policy => looks::in_force(&self.desk, person).await?,
            Look::Help { command } => {
                let role = self.desk.handle.policy().role(person);
                (NoticeKind::Answer, words::help(command.as_deref(), role.unwrap_or(Role::Guest)), None)
            }
        })
    }

    /// The change that waits in a task, as a review shows it, for one who may decide on it.
    async fn to_decide(&self, id: TaskId, person: &PersonId, chat: &str) -> Notice {
        let failed = |text: String| notice(chat, NoticeKind::Warning, vec![Part::Text(text)]);
        let task = match self.desk.task(id).await {
            Ok(task) => task,
            Err(error) => return failed(error.to_string()),
        };
        let Some((task, review)) = task.and_then(|task| words::review(&task).map(|review| (task, review))) else {
            return notice(chat, NoticeKind::Hint, vec![Part::Text(format!("#{id} waits for no decision any more"))]);
        };
        let role = self.desk.handle.policy().role(person);
        let reader = role.map(|role| (person, role));
        let mut shown = words::review_in(review, chat, reader, &task.deciders);
        shown.parts.push(self.diff_part(&task).await);
        shown
    }

    async fn diff_part(&self, task: &Task) -> Part {
        match self.desk.diff(task, DIFF_BYTES).await {
            Ok((text, _)) if text.is_empty() => Part::Text("nothing has changed".into()),
            Ok((text, true)) => Part::Diff(text),
            Ok((text, false)) => {
                Part::Diff(format!("{text}\n… cut; `borg-host task diff {}` shows all of it", task.id()))
            }
            Err(reason) => Part::Text(reason),
        }
    }
}

/// A chat as the whole host names it.
fn chat_of(transport: &str, chat: &str) -> String {
    format!("{transport}:{chat}")
}

fn notice(chat: &str, kind: NoticeKind, parts: Vec<Part>) -> Notice {
    Notice::new(chat, kind, "reply", parts)
}

fn list(rows: &[TaskRow]) -> Vec<Part> {
    if rows.is_empty() {
        return vec![Part::Text("no tasks yet; /task TITLE starts one".into())];
    }
    rows.iter()
        .map(|row| Part::Field {
            label: format!("#{} {}", row.id, row.status),
            value: format!("{} ({})", row.title, row.repository),
        })
        .collect()
}
