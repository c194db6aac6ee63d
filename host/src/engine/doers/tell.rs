//! Tells people. What a frontend away from the host needs beside the words is fetched here: a review there comes with its change, for
//! nobody can look at it otherwise. A review goes to everybody who may decide on it, each copy with the buttons that are theirs.

use super::{Doers, Handle, chain};
use crate::{
    chats::{copies, person_of},
    store::Store,
};
use borg_core::{
    chat::{Document, Notice, NoticeKind, Part},
    effect::Audience,
    event::Body,
    id::{Digest, TaskId},
    policy::PersonId,
    task::Task,
    words,
};

/// Longest change that goes with a review, in bytes.
const CHANGE: usize = 512 << 10;

impl Doers {
    pub(super) async fn tell(
        &self,
        key: &str,
        notice: Box<Notice>,
        audience: Audience,
        task: Option<&Task>,
        handle: &Handle,
    ) -> Body {
        let told = match (audience, task) {
            (Audience::Deciders { change, people }, Some(task)) => {
                let mut chats = self.chats.of_people(&people);
                chats.extend(self.chats.of_operators());
                chats.extend(Some(notice.chat.clone()).filter(|chat| !chat.is_empty()));
                self.ask(key, &notice, &change, (chats.into_iter().collect(), people), task, handle).await
            }
            (Audience::Joined { change, people }, Some(task)) => {
                let chats = self.chats.of_people(&people).into_iter().collect();
                // What is theirs to press is by all that may decide now.
                let people = task.deciders.clone();
                self.ask(key, &notice, &change, (chats, people), task, handle).await
            }
            // It has ended meanwhile: there is nothing to decide.
            (Audience::Deciders { .. } | Audience::Joined { .. }, None) => Ok(()),
            (Audience::Copies { change }, _) => match words::task_of(&notice.topic) {
                Some(task) => self.chats.close_copies(key, &notice, &copies::topic(task, &change)).await,
                None => Ok(()),
            },
            // As reviews were owed before they went to everybody.
            (Audience::Chat, Some(task))
                if notice.kind == NoticeKind::Review && self.chats.is_by_mail(&notice.chat) =>
            {
                self.chats.tell(key, &self.with_change(&notice, task).await).await
            }
            (Audience::Chat, _) => self.chats.tell(key, &notice).await,
        };
        // The journal keeps the words; the change is in the mirror.
        match told {
            Ok(()) => Body::Told { notice },
            Err(reason) => Body::TellFailed { reason },
        }
    }

    /// Shows a review in chats, once each. One that fails does not keep the others from being told.
    async fn ask(
        &self,
        key: &str,
        notice: &Notice,
        change: &Digest,
        (chats, deciders): (Vec<String>, Vec<PersonId>),
        task: &Task,
        handle: &Handle,
    ) -> Result<(), String> {
        let by_mail = match chats.iter().any(|chat| self.chats.is_by_mail(chat)) {
            true => self.with_change(notice, task).await,
            false => notice.clone(),
        };
        let policy = handle.policy().await.map_err(|error| error.to_string())?;
        let topic = copies::topic(task.id(), change);
        let (store, id, digest) = (self.store.clone(), task.id(), *change);
        let waits = || waits(store.clone(), id, digest);
        let mut failures = Vec::new();
        for chat in &chats {
            let notice = if self.chats.is_by_mail(chat) { &by_mail } else { notice };
            let reader = person_of(chat);
            let reader = policy.role(&reader).map(|role| (&reader, role));
            let copy = words::review_in(notice.clone(), chat, reader, &deciders);
            match self.chats.tell_copy_while(&format!("{key}:{chat}"), &copy, &topic, &waits).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => failures.push(format!("{chat}: {failure}")),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
    }

    /// The notice with its change, to look at and as a file; one that cannot be read is told as such.
    async fn with_change(&self, notice: &Notice, task: &Task) -> Notice {
        let mut notice = notice.clone();
        let (Some(base), Some(head)) = (&task.base, &task.head) else { return notice };
        let mirror = self.workspace.mirror(&task.spec.repository);
        match self.workspace.patch(&mirror, &base.commit, head, CHANGE).await {
            Ok((change, _)) if change.trim().is_empty() => {}
            Ok((mut change, is_whole)) => {
                if !is_whole {
                    change.push_str(&format!("\n… cut; `borg-host task diff {}` shows all of it\n", task.id()));
                }
                notice.parts.push(Part::Diff(change.clone()));
                notice.document = Some(Document { name: format!("{}.diff", notice.topic), text: change });
            }
            Err(error) => {
                notice.parts.push(Part::Text(format!("the change cannot be shown here: {}", chain(&error))));
            }
        }
        notice
    }
}

/// True while a change waits to be decided on: a copy that comes later would have buttons for ever.
async fn waits(store: Store, id: TaskId, change: Digest) -> Result<bool, String> {
    let now = store.run(move |journal| journal.task(id)).await.map_err(|error| chain(&error))?;
    Ok(now.is_some_and(|task| task.phase.waiting_review().is_some_and(|review| review.digest == change)))
}
