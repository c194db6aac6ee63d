//! What is owed to people of a transport that may be away: what they sent waits in the journal for its answer, what they are told waits there
//! until the transport has a receipt for it.
//!
//! A post's key is the same whenever it is made again, so that a redone effect or answer posts nothing twice. Progress of one topic is one
//! post that is edited; while it waits, the newer takes the place of the older.
//!
//! A full disk passes: whatever is asked of a mailbox meanwhile waits for room, so that nobody has to give up.

use super::{Answered, Arrived, Change, Head, Incoming, Mail, Offered, Outgoing, Unsent, Waiting, body};
use crate::{
    causes::chain,
    clock::now_ms,
    journal::{Answer, JournalError, patiently},
};
use borg_core::{
    chat::{Notice, NoticeKind, Post},
    people::PersonId,
    policy::Policy,
    words,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

/// Longest wait for the receipt of a post whose button was pressed already.
const RECEIPT: Duration = Duration::from_secs(10);

/// Mail of one transport, both ways. Cheap to clone.
#[derive(Clone)]
pub struct Mailbox {
    pub transport: &'static str,
    /// Told when something has come.
    pub heard: Arc<Notify>,
    /// Told when there is something to send.
    pub sends: Arc<Notify>,
    /// Counts posts that have got their receipt, or will get none.
    settled: watch::Sender<u64>,
    mail: Arc<dyn Mail>,
}

impl Mailbox {
    pub fn new(transport: &'static str, mail: Arc<dyn Mail>) -> Self {
        Mailbox { transport, heard: Arc::default(), sends: Arc::default(), settled: watch::Sender::default(), mail }
    }

    /// Where the transport was last asked to go on.
    pub async fn cursor(&self) -> Result<Option<i64>, JournalError> {
        self.patiently(|mail| mail.cursor(self.transport)).await
    }

    /// Keeps what has come, once each, together with where to go on and what has become of chats meanwhile; durable when this returns.
    pub async fn take_in(&self, cursor: i64, changes: Vec<Change>, updates: Vec<Incoming>) -> Result<(), JournalError> {
        let arrived = Arc::new(Arrived { cursor, changes, updates });
        self.patiently(|mail| mail.take_in(self.transport, arrived.clone())).await?;
        self.heard.notify_one();
        Ok(())
    }

    /// What waits for an answer, oldest first, after a row that is known: so many, and one more than fits into so many bytes at most.
    pub async fn waiting(&self, after: i64, limit: u32, bytes: usize) -> Result<Vec<Waiting>, JournalError> {
        self.patiently(|mail| mail.waiting(self.transport, after, limit, bytes)).await
    }

    /// Strikes off what has been answered, and owes the posts that answer it: both or neither.
    /// Many at once cost no more than one.
    pub async fn answered(&self, answers: Vec<Answered>) -> Result<(), JournalError> {
        let answers: Arc<[Answered]> = answers.into();
        self.patiently(|mail| mail.answered(answers.clone())).await?;
        if answers.iter().any(|answer| !answer.posts.is_empty()) {
            self.sends.notify_one();
        }
        Ok(())
    }

    /// Receipt of the post that a notice of progress takes the place of.
    pub async fn replaced_by(&self, notice: &Notice) -> Result<Option<String>, JournalError> {
        if notice.kind != NoticeKind::Progress {
            return Ok(None);
        }
        let chat = self.local(&notice.chat);
        Ok(self.patiently(|mail| mail.topic(self.transport, chat, &notice.topic)).await?.receipt)
    }

    /// Owes the posts of a notice; durable when this returns.
    pub async fn post(&self, key: &str, notice: &Notice, posts: Vec<Post>) -> Result<(), JournalError> {
        self.owe(self.outgoing(key, notice, posts)).await
    }

    /// Owes the posts of a copy of a review; durable when this returns. The last text has its buttons, and stands for it: where a copy is there
    /// already that text takes its place, and the rest is not said again.
    pub async fn post_copy(
        &self,
        key: &str,
        notice: &Notice,
        mut posts: Vec<Post>,
        topic: &str,
    ) -> Result<(), JournalError> {
        posts.retain(|post| matches!(post, Post::Send(_) | Post::Edit { .. } | Post::Document { .. }));
        let texts = posts.iter().rposition(|post| matches!(post, Post::Send(_) | Post::Edit { .. }));
        let mut outgoing = self.outgoing(key, notice, posts);
        if let Some(last) = texts {
            outgoing[last].topic = Some(topic.to_owned());
            if self.copies(topic).await?.iter().any(|chat| chat == self.local(&notice.chat)) {
                outgoing = vec![outgoing.swap_remove(last)];
            }
        }
        self.owe(outgoing).await
    }

    async fn owe(&self, posts: Vec<Outgoing>) -> Result<(), JournalError> {
        let posts: Arc<[Outgoing]> = posts.into();
        self.patiently(|mail| mail.enqueue(self.transport, posts.clone())).await?;
        self.sends.notify_one();
        Ok(())
    }

    /// Chats, as the transport names them, in which something about a topic stands or is to stand.
    pub async fn copies(&self, topic: &str) -> Result<Vec<String>, JournalError> {
        self.patiently(|mail| mail.chats_of_topic(self.transport, topic)).await
    }

    /// True where a copy has buttons to press: as it stands, or as it is to stand.
    pub async fn is_open(&self, chat: &str, topic: &str) -> Result<bool, JournalError> {
        let topic = self.patiently(|mail| mail.topic(self.transport, self.local(chat), topic)).await?;
        Ok(topic.waiting.map_or(topic.has_buttons, |post| !body::buttons(&post).is_empty()))
    }

    /// The posts of a notice as they are owed; what is of the moment (a toast, that somebody is typing) is not.
    pub fn outgoing(&self, key: &str, notice: &Notice, mut posts: Vec<Post>) -> Vec<Outgoing> {
        posts.retain(|post| !matches!(post, Post::Answer { .. } | Post::Typing { .. }));
        let topic = (notice.kind == NoticeKind::Progress && posts.len() == 1).then(|| notice.topic.clone());
        let about = words::task_of(&notice.topic);
        let numbered = posts.into_iter().enumerate();
        numbered
            .map(|(n, post)| Outgoing {
                key: format!("{key}.{n}"),
                chat: self.local(&notice.chat).to_owned(),
                about,
                topic: topic.clone(),
                post: body::text(&post),
            })
            .collect()
    }

    /// The oldest post of each chat that has not gone out yet, oldest first, then the oldest edit of each; without what they say.
    pub async fn heads(&self) -> Result<Vec<Head>, JournalError> {
        self.patiently(|mail| mail.heads(self.transport)).await
    }

    /// A post as it is to go out now; none when that has been dealt with. One about a topic that stands there already is an edit of it,
    /// whatever was known when it was written: what it replaces may have gone out since.
    pub async fn unsent(&self, id: i64) -> Result<Option<Unsent>, JournalError> {
        let found = self.patiently(|mail| mail.unsent(self.transport, id - 1, 1)).await?;
        let Some(mut row) = found.into_iter().find(|row| row.id == id) else { return Ok(None) };
        if let Some(edit) = row.stands.as_ref().and_then(|receipt| body::as_edit(&row.post, receipt)) {
            row.post = edit;
        }
        Ok(Some(row))
    }

    /// Notes the receipt of a post, and which buttons it has there. What took the post's place while it was under way stays, to be an edit
    /// of it.
    pub async fn sent(&self, row: &Unsent, receipt: String) -> Result<(), JournalError> {
        let offered = body::buttons(&row.post);
        self.patiently(|mail| mail.sent(row.id, row.revision, &receipt, offered.clone())).await?;
        self.settled.send_modify(|posts| *posts += 1);
        Ok(())
    }

    /// True where a button with this action stands under a post of ours. One whose receipt is still on its way is waited for, a while.
    pub async fn is_offered(&self, chat: &str, receipt: &str, action: &str) -> Result<bool, JournalError> {
        let until = Instant::now() + RECEIPT;
        // Subscribed before looking, so that no receipt is missed.
        let mut settled = self.settled.subscribe();
        let mut is_late = false;
        loop {
            settled.mark_unchanged();
            let coming = match self.patiently(|mail| mail.offered(self.transport, chat, receipt, action)).await? {
                Offered::Yes => return Ok(true),
                Offered::NotYet(coming) => coming,
            };
            let may_come = coming.iter().flat_map(|post| body::buttons(post)).any(|button| button.action == action);
            if is_late || !may_come {
                return Ok(false);
            }
            // Looked at once more when the time is over.
            is_late = !matches!(timeout_at(until, settled.changed()).await, Ok(Ok(())));
        }
    }

    /// Sends this instead, unless newer content has taken its place already. A topic that is to be said anew stands nowhere any more.
    pub async fn send_instead(&self, row: &Unsent, post: &Post) -> Result<(), JournalError> {
        let (id, revision, text) = (row.id, row.revision, body::text(post));
        match post {
            Post::Send(_) => self.patiently(|mail| mail.say_anew(id, revision, text.clone())).await?,
            Post::Edit { .. } | Post::Document { .. } | Post::Answer { .. } | Post::Typing { .. } => {
                self.patiently(|mail| mail.rewrite(id, revision, text.clone())).await?
            }
        };
        self.settled.send_modify(|posts| *posts += 1);
        Ok(())
    }

    /// Tries a post later, not before a time in milliseconds since 1970: it is not its fault.
    pub async fn put_off(&self, row: &Unsent, until_ms: u64) -> Result<(), JournalError> {
        self.patiently(|mail| mail.put_off(row.id, until_ms)).await
    }

    /// As [`Mailbox::put_off`], and counts the attempt.
    pub async fn tried(&self, row: &Unsent, until_ms: u64) -> Result<(), JournalError> {
        self.patiently(|mail| mail.tried(row.id, until_ms)).await
    }

    /// Gives a post up, for good.
    pub async fn drop_post(&self, row: &Unsent, reason: String) -> Result<(), JournalError> {
        self.patiently(|mail| mail.drop_post(row.id, &reason)).await?;
        self.settled.send_modify(|posts| *posts += 1);
        Ok(())
    }

    /// Takes the request of somebody policy does not name; true where owners are to be asked. The same for the same key.
    pub async fn hold(&self, person: &PersonId, key: &str, policy: &Policy) -> Result<bool, JournalError> {
        let known: Vec<PersonId> = policy.people.keys().cloned().collect();
        self.patiently(|mail| mail.hold(person, key, now_ms(), known.clone())).await
    }

    /// What is owed to a chat follows what has become of it.
    pub async fn changed(&self, change: Change) -> Result<(), JournalError> {
        self.patiently(|mail| mail.changed(self.transport, change.clone())).await
    }

    /// Asks again and again while it fails for something that passes.
    async fn patiently<'a, T>(&'a self, ask: impl Fn(&'a dyn Mail) -> Answer<'a, T>) -> Result<T, JournalError> {
        let tell = |error: &JournalError| {
            tracing::error!(error = chain(error), transport = self.transport, "mail waits until there is room");
        };
        patiently(|| ask(&*self.mail), tell).await
    }

    /// The chat as its transport names it.
    fn local<'a>(&self, chat: &'a str) -> &'a str {
        chat.strip_prefix(self.transport).and_then(|chat| chat.strip_prefix(':')).unwrap_or(chat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture, mail::Offer};
    use borg_core::chat::TextPost;

    fn post(chat: &str, text: String) -> Post {
        Post::Send(TextPost::plain(chat, text))
    }

    fn notice(chat: &str) -> Notice {
        Notice::new(&format!("bot:{chat}"), NoticeKind::Final, "t", Vec::new())
    }

    #[tokio::test]
    async fn a_press_waits_for_the_receipt_of_its_post_and_for_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new("bot", fixture::journal(dir.path()));
        let Post::Send(plain) = post("5/7", "well?".into()) else { panic!() };
        let buttons = vec![Offer { label: "Diff".into(), action: "/diff 3".into() }];
        mailbox.post("a", &notice("5/7"), vec![Post::Send(TextPost { buttons, ..plain })]).await.unwrap();
        let head = mailbox.heads().await.unwrap().remove(0);
        let row = mailbox.unsent(head.id).await.unwrap().unwrap();
        let started = Instant::now();
        assert!(!mailbox.is_offered("5", "100", "/approve 3").await.unwrap(), "no post on its way has that button");
        assert!(!mailbox.is_offered("6", "100", "/diff 3").await.unwrap(), "nor has one in another chat");
        // In this order: the press is looked for before the receipt is there.
        let (pressed, sent) = tokio::join!(mailbox.is_offered("5", "100", "/diff 3"), mailbox.sent(&row, "100".into()));
        sent.unwrap();
        assert!(pressed.unwrap(), "it is woken");
        assert!(started.elapsed() < RECEIPT, "and nobody waits for what does not come");
        assert!(mailbox.is_offered("5", "100", "/diff 3").await.unwrap());
        assert!(!mailbox.is_offered("5", "101", "/diff 3").await.unwrap(), "another post has none");
        // One that never comes is not waited for without end.
        tokio::time::pause();
        let Post::Send(plain) = post("5", "again".into()) else { panic!() };
        let buttons = vec![Offer { label: "Stop".into(), action: "/cancel 3".into() }];
        mailbox.post("b", &notice("5"), vec![Post::Send(TextPost { buttons, ..plain })]).await.unwrap();
        let waited = Instant::now();
        assert!(!mailbox.is_offered("5", "102", "/cancel 3").await.unwrap());
        assert!(waited.elapsed() >= RECEIPT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_waited_out_and_nothing_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let store = fixture::journal(dir.path());
        let mailbox = Mailbox::new("bot", store.clone());
        let update = |key: &str, bytes| Incoming { key: key.into(), chat: "1".into(), update: "x".repeat(bytes) };
        mailbox.take_in(1, Vec::new(), vec![update("1", 9)]).await.unwrap();
        let first = mailbox.waiting(0, 1, usize::MAX).await.unwrap().remove(0);
        store.limit_pages(0).await.unwrap();
        let long = || vec![post("1", "y".repeat(100_000))];
        let outgoing = mailbox.outgoing("a", &notice("1"), long());
        let told = notice("1");
        let (taken, answered, posted, room) = tokio::join!(
            mailbox.take_in(2, Vec::new(), vec![update("2", 100_000)]),
            mailbox.answered(vec![Answered { id: first.id, posts: outgoing }]),
            mailbox.post("b", &told, long()),
            async {
                tokio::time::sleep(crate::journal::PAUSE * 3).await;
                let before = mailbox.heads().await?.len();
                store.limit_pages(10_000).await?;
                Ok::<_, JournalError>(before)
            }
        );
        for done in [taken, answered, posted] {
            done.unwrap();
        }
        assert_eq!(room.unwrap(), 0, "nothing was written before there was room");
        let waiting: Vec<String> =
            mailbox.waiting(0, 9, usize::MAX).await.unwrap().into_iter().map(|update| update.key).collect();
        assert_eq!(waiting, ["2"]);
        let unsent = store.unsent("bot", 0, 9).await.unwrap();
        let mut keys: Vec<&str> = unsent.iter().map(|post| post.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a.0", "b.0"]);
    }
}
