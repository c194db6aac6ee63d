//! Intents that come twice: who asks with a key is answered with what the key's first intent came to, and nothing is done again.
//!
//! The journal keeps the replies, and [`super::Handle::intend_once`] looks there first. What is kept here covers the time between that
//! look and the intent's turn: the same key may be under way already, from somebody who gave up waiting.

use super::Reply;
use std::collections::{HashMap, VecDeque};

/// Replies kept here: more than can be under way together, by the length of the queue.
const RECENT: usize = 4096;

/// What intents with keys came to lately, durable or about to be.
#[derive(Debug, Default)]
pub(super) struct Recent {
    replies: HashMap<String, Reply>,
    order: VecDeque<String>,
}

impl Recent {
    pub fn reply(&self, key: &str) -> Option<&Reply> {
        self.replies.get(key)
    }

    /// Remembers a reply; gives the row for the journal. None for what changes nothing and so may well be asked for again: looking, and
    /// strangers, whose knocking must not grow the journal.
    pub fn remember(&mut self, key: String, reply: &Reply) -> Option<(String, String)> {
        match reply {
            Reply::Granted | Reply::Refused { stranger: true, .. } => return None,
            Reply::Created { .. } | Reply::Done { .. } | Reply::Refused { stranger: false, .. } => {}
        }
        let row = serde_json::to_string(reply).expect("a reply is plain data");
        if self.replies.insert(key.clone(), reply.clone()).is_none() {
            self.order.push_back(key.clone());
        }
        if self.order.len() > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.replies.remove(&oldest);
        }
        Some((key, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{self, Stopped},
        fixture::{self, Fixture},
        journal::Reads,
    };
    use borg_core::{
        id::TaskId,
        intent::{Intent, Look, TaskRequest},
        people::{PersonId, Role},
    };

    fn owner() -> PersonId {
        PersonId("console:1".into())
    }

    fn wish() -> Intent {
        Intent::Task(TaskRequest { title: "Add a discount".into(), ..TaskRequest::default() })
    }

    #[tokio::test]
    async fn a_wish_that_comes_again_is_answered_and_not_done_again() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let wishes = (0..20).map(|_| {
            let handle = fixture.handle.clone();
            tokio::spawn(async move { handle.intend_once("telegram:7", owner(), wish(), None).await.unwrap() })
        });
        let mut replies = Vec::new();
        for asked in wishes.collect::<Vec<_>>() {
            replies.push(asked.await.unwrap());
        }
        assert!(matches!(replies[0], Reply::Created { .. }), "{:?}", replies[0]);
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
        let other = fixture.handle.intend_once("telegram:8", owner(), wish(), None).await.unwrap();
        assert!(matches!(other, Reply::Created { .. }) && other != replies[0]);
        assert_eq!(fixture.store.tasks(10).await.unwrap().len(), 2);
        fixture.stop().await;
    }

    #[tokio::test]
    async fn one_that_was_under_way_when_the_journal_was_asked_is_done_once() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let ask = || fixture.handle.ask(Some("telegram:7".into()), owner(), wish(), None);
        let (first, second) = tokio::join!(ask(), ask());
        let replies = [first.unwrap(), second.unwrap(), ask().await.unwrap()];
        assert!(matches!(replies[0], Reply::Created { .. }), "{replies:?}");
        assert!(replies.iter().all(|reply| *reply == replies[0]), "{replies:?}");
        assert_eq!(fixture.store.tasks(10).await.unwrap().len(), 1);
        fixture.stop().await;
    }

    #[tokio::test]
    async fn the_next_process_answers_from_the_journal() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let nothing = Intent::Cancel { task: TaskId(99) };
        let created = fixture.handle.intend_once("a", owner(), wish(), None).await.unwrap();
        let events = fixture.store.last_seq().await.unwrap();
        let refused = fixture.handle.intend_once("b", owner(), nothing.clone(), None).await.unwrap();
        assert!(matches!(refused, Reply::Refused { stranger: false, .. }) && events > 0, "{refused:?}");
        let Fixture { dir, handle, .. } = fixture;
        let policy = handle.policy();
        handle.stop().await;
        // The engine is gone when it takes nothing in any more.
        while !matches!(handle.intend(owner(), Intent::Look(Look::Tasks), None).await, Err(Stopped)) {}
        let queue = engine::Queue::new(fixture::journal(dir.path()), (*policy).clone());
        let next = queue.handle.clone();
        drop(queue);
        assert_eq!(next.intend_once("a", owner(), wish(), None).await.unwrap(), created);
        assert_eq!(next.intend_once("b", owner(), nothing, None).await.unwrap(), refused);
        assert!(matches!(next.intend_once("c", owner(), wish(), None).await, Err(Stopped)));
    }

    #[tokio::test]
    async fn looking_and_knocking_leave_nothing_behind() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let looked = fixture.handle.intend_once("a", owner(), Intent::Look(Look::Tasks), None).await.unwrap();
        assert_eq!(looked, Reply::Granted);
        let stranger = fixture.handle.intend_once("b", PersonId("console:2".into()), wish(), None).await.unwrap();
        assert!(matches!(stranger, Reply::Refused { stranger: true, .. }), "{stranger:?}");
        assert_eq!((fixture.store.reply("a").await.unwrap(), fixture.store.reply("b").await.unwrap()), (None, None));
        fixture.stop().await;
    }

    #[test]
    fn only_so_many_are_kept_here() {
        let mut recent = Recent::default();
        let reply = Reply::Done { text: "resumed".into() };
        for n in 0..2 * RECENT {
            assert!(recent.remember(n.to_string(), &reply).is_some());
        }
        assert_eq!((recent.replies.len(), recent.order.len()), (RECENT, RECENT));
        assert!(recent.reply("0").is_none() && recent.reply(&(2 * RECENT - 1).to_string()).is_some());
    }
}
