//! Tells people. What a frontend away from the host needs beside the words is fetched here: a review there comes with its change, for
//! nobody can look at it otherwise. A review goes to everybody who may decide on it, each copy with the buttons that are theirs.

use crate::{
    causes::chain,
    chats::{Chats, copies, person_of},
    journal::Reads,
    workspace::Workspace,
};
use borg_core::{
    chat::{Document, Notice, NoticeKind, Part},
    dispatch::{Telling, Told},
    effect::{Audience, TellOrder},
    event::{Answer, Body},
    id::{Digest, TaskId},
    people::{PersonId, Role},
    words,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Longest change that goes with a review, in bytes.
const CHANGE: usize = 512 << 10;

pub(super) struct Messenger {
    pub workspace: Workspace,
    pub journal: Arc<dyn Reads>,
    pub chats: Chats,
}

/// A review as it is shown to many.
struct Review<'a> {
    notice: &'a Notice,
    change: &'a Digest,
    about: &'a Told,
    roles: &'a BTreeMap<PersonId, Role>,
}

impl Messenger {
    pub async fn tell(&self, key: &str, what: Telling) -> Body {
        let Telling { order: TellOrder { notice, audience }, about, roles } = what;
        let told = match (audience, &about) {
            (Audience::Deciders { change, people }, about) => {
                let mut chats = self.chats.of_people(&people);
                chats.extend(self.chats.of_operators());
                chats.extend(Some(notice.chat.clone()).filter(|chat| !chat.is_empty()));
                match about {
                    Some(about) => {
                        let review = Review { notice: &notice, change: &change, about, roles: &roles };
                        self.ask(key, &review, (&chats, &people)).await
                    }
                    None => self.close(key, &notice, &change, &chats).await,
                }
            }
            (Audience::Joined { change, people }, about) => {
                let chats = self.chats.of_people(&people);
                match about {
                    // What is theirs to press is by all that may decide now.
                    Some(about) => {
                        let review = Review { notice: &notice, change: &change, about, roles: &roles };
                        self.ask(key, &review, (&chats, &about.deciders)).await
                    }
                    None => self.close(key, &notice, &change, &chats).await,
                }
            }
            (Audience::Copies { change }, _) => match words::task_of(&notice.topic) {
                Some(task) => self.chats.close_copies(key, &notice, &copies::topic(task, &change)).await,
                None => Ok(()),
            },
            // As reviews were owed before they went to everybody.
            (Audience::Chat, Some(about))
                if notice.kind == NoticeKind::Review && self.chats.is_by_mail(&notice.chat) =>
            {
                self.chats.tell(key, &self.with_change(&notice, about).await).await
            }
            (Audience::Chat, _) => self.chats.tell(key, &notice).await,
        };
        // The journal keeps the words; the change is in the mirror.
        match told {
            Ok(()) => Body::Answer(Answer::Told { notice }),
            Err(reason) => Body::Answer(Answer::TellFailed { reason }),
        }
    }

    /// Shows a review in chats, once each, with the buttons of those who decide. One that fails does not keep the others from being told.
    async fn ask(
        &self,
        key: &str,
        review: &Review<'_>,
        (chats, deciders): (&BTreeSet<String>, &[PersonId]),
    ) -> Result<(), String> {
        let Review { notice, change, about, roles } = *review;
        let by_mail = match chats.iter().any(|chat| self.chats.is_by_mail(chat)) {
            true => self.with_change(notice, about).await,
            false => notice.clone(),
        };
        let topic = copies::topic(about.task, change);
        let (id, digest) = (about.task, *change);
        let waits = || waits(&*self.journal, id, digest);
        let mut failures = Vec::new();
        for chat in chats {
            let notice = if self.chats.is_by_mail(chat) { &by_mail } else { notice };
            let reader = person_of(chat);
            let reader = roles.get(&reader).map(|role| (&reader, *role));
            let copy = words::review_in(notice.clone(), chat, reader, deciders);
            let told = self.chats.tell_copy_while(&format!("{key}:{chat}"), &copy, &topic, &waits).await;
            failures.extend(told.err().map(|failure| format!("{chat}: {failure}")));
        }
        all_told(&failures)
    }

    /// Closes what an earlier process showed of a review and was killed over: its task has ended meanwhile, and there is nothing to decide.
    async fn close(&self, key: &str, notice: &Notice, change: &Digest, chats: &BTreeSet<String>) -> Result<(), String> {
        let Some(task) = words::task_of(&notice.topic) else { return Ok(()) };
        let topic = copies::topic(task, change);
        let mut failures = Vec::new();
        for chat in chats {
            let copy = Notice { chat: chat.clone(), ..notice.clone() };
            let closed = self.chats.close_late(&format!("{key}:{chat}"), &copy, &topic).await;
            failures.extend(closed.err().map(|failure| format!("{chat}: {failure}")));
        }
        all_told(&failures)
    }

    /// The notice with its change, to look at and as a file; one that cannot be read is told as such.
    async fn with_change(&self, notice: &Notice, about: &Told) -> Notice {
        let mut notice = notice.clone();
        let (Some(base), Some(head)) = (&about.base, &about.head) else { return notice };
        let mirror = self.workspace.mirror(&about.repository);
        match self.workspace.patch(&mirror, base, head, CHANGE).await {
            Ok((change, _)) if change.trim().is_empty() => {}
            Ok((mut change, is_whole)) => {
                if !is_whole {
                    change.push_str(&format!("\n… cut; `borg-host task diff {}` shows all of it\n", about.task));
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

fn all_told(failures: &[String]) -> Result<(), String> {
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// True while a change waits to be decided on: a copy that comes later would have buttons for ever.
async fn waits(journal: &dyn Reads, id: TaskId, change: Digest) -> Result<bool, String> {
    let now = journal.task(id).await.map_err(|error| chain(&error))?;
    Ok(now.is_some_and(|task| task.phase.waiting_review().is_some_and(|review| review.digest == change)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chats::telegram,
        fixture::Fixture,
        journal::{Batch, Journal},
        mail::{Mail, Mailbox},
    };
    use borg_core::{
        chat::{Button, Post},
        effect::{Effect, Order},
        id::EffectKey,
        intent::Intent,
        task::Status,
    };
    use std::sync::Arc;

    #[tokio::test]
    async fn what_a_killed_process_showed_of_a_review_is_closed_though_its_task_has_ended() {
        let owner = [("telegram:1", Role::Owner)];
        let Some(fixture) = Fixture::with_chats(&owner).await else { return };
        let task = fixture.task("telegram:1").await;
        fixture.until(task, Status::Blocked).await;
        fixture.handle.intend(PersonId("telegram:1".into()), Intent::Cancel { task }, None).await.unwrap();
        fixture.until(task, Status::Cancelled).await;
        let (change, store) = (Digest::of_bytes(b"a change"), fixture.store.clone());
        let buttons = vec![Button { label: "Approve".into(), action: format!("/approve {task}") }];
        let parts = vec![Part::Heading(format!("#{task} needs a look"))];
        let notice = Notice { buttons, ..Notice::new("", NoticeKind::Review, &format!("task-{task}"), parts) };
        // A copy that came when all others had been closed; that it was told is not in the journal.
        let chats = fixture.conversation.chats.clone().by_mail(Mailbox::new(telegram::NAME, store.clone()));
        let copy = Notice { chat: "telegram:1".into(), ..notice.clone() };
        chats.tell_copy("review:telegram:1", &copy, &copies::topic(task, &change)).await.unwrap();
        let people = vec![PersonId("telegram:1".into())];
        let audience = Audience::Deciders { change, people };
        let order = Order::Tell(TellOrder { notice: Box::new(notice), audience });
        let owed = vec![Effect { key: EffectKey("review".into()), owner: task.into(), order }];
        store.commit(Arc::new(Batch { owed, ..Batch::default() })).await.unwrap();
        drop((chats, store));
        let fixture = Fixture::by_mail_in(fixture.stop_and_leave().await, &owner, &[telegram::NAME]).await;
        let (store, mut committed) = (fixture.store.clone(), fixture.handle.committed());
        loop {
            committed.mark_unchanged();
            if store.owed().await.unwrap().is_empty() {
                break;
            }
            committed.changed().await.unwrap();
        }
        let posts = store.unsent(telegram::NAME, 0, 99).await.unwrap();
        let posts: Vec<Post> = posts.iter().map(|row| serde_json::from_str(&row.post).unwrap()).collect();
        assert!(
            matches!(&posts[..], [Post::Send(post)] if post.buttons.is_empty() && post.text.contains("this is decided")),
            "{posts:?}"
        );
        fixture.stop().await;
    }
}
