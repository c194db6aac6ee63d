//! What is owed to people of a transport that may be away: what they sent waits in the journal for its answer, what they are told waits there
//! until the transport has a receipt for it.
//!
//! A post's key is the same whenever it is made again, so that a redone effect or answer posts nothing twice. Progress of one topic is one
//! post that is edited; while it waits, the newer takes the place of the older.
//!
//! A full disk passes: whatever is asked of a mailbox meanwhile waits for room, so that nobody has to give up.

pub use crate::store::{
    StoreError,
    mail::{Asked, Head, Incoming, Offer, Outgoing, Unsent, Waiting},
};

use super::doers::chain;
use crate::{
    clock::now_ms,
    store::{Journal, Store},
};
use borg_core::{
    chat::{Notice, NoticeKind, Post, TextPost},
    people::PersonId,
    policy::Policy,
    words,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout_at},
};

/// Pause between two tries while the journal cannot be written.
const PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for the receipt of a post whose button was pressed already.
const RECEIPT: Duration = Duration::from_secs(10);

/// What has become of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has another name from now on.
    Moved { from: String, to: String },
    /// It hears us no more; nor do its topics, `CHAT/TOPIC`.
    PutOut { chat: String, reason: String },
}

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
    store: Store,
}

impl Mailbox {
    pub fn new(transport: &'static str, store: Store) -> Self {
        Mailbox { transport, heard: Arc::default(), sends: Arc::default(), settled: watch::Sender::default(), store }
    }

    /// Where the transport was last asked to go on.
    pub async fn cursor(&self) -> Result<Option<i64>, StoreError> {
        let transport = self.transport;
        self.run(move |journal| journal.cursor(transport)).await
    }

    /// Keeps what has come, once each, together with where to go on and what has become of chats meanwhile; durable when this returns.
    pub async fn take_in(&self, cursor: i64, changes: Vec<Change>, incoming: Vec<Incoming>) -> Result<(), StoreError> {
        let transport = self.transport;
        let taken = self.run(move |journal| {
            for change in &changes {
                make(journal, transport, change)?;
            }
            journal.take_in(transport, cursor, &incoming)
        });
        taken.await?;
        self.heard.notify_one();
        Ok(())
    }

    /// What waits for an answer, oldest first, after a row that is known: so many, and one more than fits into so many bytes at most.
    pub async fn waiting(&self, after: i64, limit: u32, bytes: usize) -> Result<Vec<Waiting>, StoreError> {
        let transport = self.transport;
        self.run(move |journal| journal.waiting(transport, after, limit, bytes)).await
    }

    /// Strikes off what has been answered, and owes the posts that answer it: both or neither.
    /// Many at once cost no more than one.
    pub async fn answered(&self, answers: Vec<(i64, Vec<Outgoing>)>) -> Result<(), StoreError> {
        let owes = answers.iter().any(|(_, posts)| !posts.is_empty());
        let struck =
            self.run(move |journal| journal.answered_all(answers.iter().map(|(id, posts)| (*id, posts.as_slice()))));
        struck.await?;
        if owes {
            self.sends.notify_one();
        }
        Ok(())
    }

    /// Receipt of the post that a notice of progress takes the place of.
    pub async fn replaced_by(&self, notice: &Notice) -> Result<Option<String>, StoreError> {
        if notice.kind != NoticeKind::Progress {
            return Ok(None);
        }
        let (transport, chat, topic) = (self.transport, self.local(&notice.chat), notice.topic.clone());
        self.run(move |journal| journal.topic_receipt(transport, &chat, &topic)).await
    }

    /// Owes the posts of a notice; durable when this returns.
    pub async fn post(&self, key: &str, notice: &Notice, posts: Vec<Post>) -> Result<(), StoreError> {
        let (transport, outgoing) = (self.transport, self.outgoing(key, notice, posts));
        self.run(move |journal| journal.enqueue(transport, &outgoing)).await?;
        self.sends.notify_one();
        Ok(())
    }

    /// Owes the posts of a copy of a review; durable when this returns. The last text has its buttons, and stands for it: where a copy is there
    /// already that text takes its place, and the rest is not said again.
    pub async fn post_copy(
        &self,
        key: &str,
        notice: &Notice,
        mut posts: Vec<Post>,
        topic: &str,
    ) -> Result<(), StoreError> {
        posts.retain(|post| matches!(post, Post::Send(_) | Post::Edit { .. } | Post::Document { .. }));
        let texts = posts.iter().rposition(|post| matches!(post, Post::Send(_) | Post::Edit { .. }));
        let mut outgoing = self.outgoing(key, notice, posts);
        if let Some(last) = texts {
            outgoing[last].topic = Some(topic.to_owned());
            let chat = self.local(&notice.chat);
            if self.copies(topic).await?.contains(&chat) {
                outgoing = vec![outgoing.swap_remove(last)];
            }
        }
        let transport = self.transport;
        self.run(move |journal| journal.enqueue(transport, &outgoing)).await?;
        self.sends.notify_one();
        Ok(())
    }

    /// Chats, as the transport names them, in which something about a topic stands or is to stand.
    pub async fn copies(&self, topic: &str) -> Result<Vec<String>, StoreError> {
        let (transport, topic) = (self.transport, topic.to_owned());
        self.run(move |journal| journal.chats_of_topic(transport, &topic)).await
    }

    /// True where a copy has buttons to press: as it stands, or as it is to stand.
    pub async fn is_open(&self, chat: &str, topic: &str) -> Result<bool, StoreError> {
        let (transport, chat, topic) = (self.transport, self.local(chat), topic.to_owned());
        let looked = self.run(move |journal| match journal.waiting_about(transport, &chat, &topic)? {
            Some(post) => Ok(!buttons(&post).is_empty()),
            None => match journal.topic_receipt(transport, &chat, &topic)? {
                Some(receipt) => journal.offers_any(transport, &chat, &receipt),
                None => Ok(false),
            },
        });
        looked.await
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
                chat: self.local(&notice.chat),
                about,
                topic: topic.clone(),
                post: text(&post),
            })
            .collect()
    }

    /// The oldest post of each chat that has not gone out yet, oldest first, then the oldest edit of each; without what they say.
    pub async fn heads(&self) -> Result<Vec<Head>, StoreError> {
        let transport = self.transport;
        self.run(move |journal| journal.heads(transport)).await
    }

    /// A post as it is to go out now; none when that has been dealt with. One about a topic that stands there already is an edit of it,
    /// whatever was known when it was written: what it replaces may have gone out since.
    pub async fn unsent(&self, id: i64) -> Result<Option<Unsent>, StoreError> {
        let transport = self.transport;
        let found = self.run(move |journal| {
            let found = journal.unsent(transport, id - 1, 1)?.into_iter().find(|row| row.id == id);
            let Some(mut row) = found else { return Ok(None) };
            if let Some(topic) = &row.topic
                && let Some(receipt) = journal.topic_receipt(transport, &row.chat, topic)?
                && let Ok(Post::Send(post)) = serde_json::from_str(&row.post)
            {
                row.post = text(&Post::Edit { receipt, post });
            }
            Ok(Some(row))
        });
        found.await
    }

    /// Notes the receipt of a post, and which buttons it has there. What took the post's place while it was under way stays, to be an edit
    /// of it.
    pub async fn sent(&self, row: &Unsent, receipt: String) -> Result<(), StoreError> {
        let (id, revision, offered) = (row.id, row.revision, buttons(&row.post));
        self.run(move |journal| journal.sent(id, revision, &receipt, &offered)).await?;
        self.settled.send_modify(|posts| *posts += 1);
        Ok(())
    }

    /// True where a button with this action stands under a post of ours. One whose receipt is still on its way is waited for, a while.
    pub async fn is_offered(&self, chat: &str, receipt: &str, action: &str) -> Result<bool, StoreError> {
        let until = Instant::now() + RECEIPT;
        // Subscribed before looking, so that no receipt is missed.
        let mut settled = self.settled.subscribe();
        let mut is_late = false;
        loop {
            settled.mark_unchanged();
            let (transport, chat, receipt) = (self.transport, chat.to_owned(), receipt.to_owned());
            let wanted = action.to_owned();
            let looked = self.run(move |journal| {
                if journal.is_offered(transport, &chat, &receipt, &wanted)? {
                    return Ok(Some(true));
                }
                let coming = journal.unsettled(transport, &chat)?;
                let may_come = coming.iter().flat_map(|post| buttons(post)).any(|button| button.action == wanted);
                Ok((!may_come).then_some(false))
            });
            match looked.await? {
                Some(known) => return Ok(known),
                None if is_late => return Ok(false),
                // Looked at once more when the time is over.
                None => is_late = !matches!(timeout_at(until, settled.changed()).await, Ok(Ok(()))),
            }
        }
    }

    /// Sends this instead, unless newer content has taken its place already. A topic that is to be said anew stands nowhere any more.
    pub async fn send_instead(&self, row: &Unsent, post: &Post) -> Result<(), StoreError> {
        let (id, revision, transport, chat) = (row.id, row.revision, self.transport, row.chat.clone());
        let anew = row.topic.clone().filter(|_| matches!(post, Post::Send(_)));
        let post = text(post);
        let changed = self.run(move |journal| {
            if let Some(topic) = &anew {
                journal.forget_topic(transport, &chat, topic)?;
            }
            journal.rewrite(id, revision, &post)
        });
        changed.await?;
        self.settled.send_modify(|posts| *posts += 1);
        Ok(())
    }

    /// Tries a post later, not before a time in milliseconds since 1970: it is not its fault.
    pub async fn put_off(&self, row: &Unsent, until_ms: u64) -> Result<(), StoreError> {
        let id = row.id;
        self.run(move |journal| journal.put_off(id, until_ms)).await
    }

    /// As [`Mailbox::put_off`], and counts the attempt.
    pub async fn tried(&self, row: &Unsent, until_ms: u64) -> Result<(), StoreError> {
        let id = row.id;
        self.run(move |journal| journal.tried(id, until_ms)).await
    }

    /// Gives a post up, for good.
    pub async fn drop_post(&self, row: &Unsent, reason: String) -> Result<(), StoreError> {
        let id = row.id;
        self.run(move |journal| journal.drop_post(id, &reason)).await?;
        self.settled.send_modify(|posts| *posts += 1);
        Ok(())
    }

    /// Takes the request of somebody policy does not name; true where owners are to be asked. The same for the same key.
    pub async fn hold(&self, person: &str, key: &str, policy: Arc<Policy>) -> Result<bool, StoreError> {
        let (person, key) = (person.to_owned(), key.to_owned());
        let is_known = move |person: &str| policy.role(&PersonId(person.to_owned())).is_some();
        self.run(move |journal| journal.hold(&person, &key, now_ms(), &is_known)).await
    }

    /// What is owed to a chat follows what has become of it.
    pub async fn changed(&self, change: Change) -> Result<(), StoreError> {
        let transport = self.transport;
        self.run(move |journal| make(journal, transport, &change)).await
    }

    /// Does a piece of work on the journal, again and again while it fails for something that passes.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Journal) -> Result<T, StoreError> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        loop {
            let again = work.clone();
            match self.store.run(move |journal| again(journal)).await {
                Err(error) if error.is_passing() => {
                    tracing::error!(
                        error = chain(&error),
                        transport = self.transport,
                        "mail waits until there is room"
                    );
                    sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// The chat as its transport names it.
    fn local(&self, chat: &str) -> String {
        chat.strip_prefix(self.transport).and_then(|chat| chat.strip_prefix(':')).unwrap_or(chat).to_owned()
    }
}

fn make(journal: &mut Journal, transport: &str, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Moved { from, to } => move_chat(journal, transport, from, to),
        Change::PutOut { chat, reason } => journal.drop_posts_of(transport, chat, reason),
    }
}

/// A chat goes on under another name, in which nothing that was said before can be edited or answered.
fn move_chat(journal: &mut Journal, transport: &str, from: &str, to: &str) -> Result<(), StoreError> {
    journal.rename_chat(transport, from, to)?;
    for row in journal.unsent(transport, 0, u32::MAX)?.into_iter().filter(|row| row.chat == to) {
        let anew = match serde_json::from_str(&row.post) {
            Ok(Post::Send(post) | Post::Edit { post, .. }) => Post::Send(TextPost { reply_to: None, ..post }),
            Ok(Post::Document { chat, document, caption, .. }) => {
                Post::Document { chat, document, caption, reply_to: None }
            }
            Ok(Post::Answer { .. } | Post::Typing { .. }) | Err(_) => continue,
        };
        journal.rewrite(row.id, row.revision, &text(&anew))?;
    }
    Ok(())
}

/// Buttons of a post as it goes out.
fn buttons(post: &str) -> Vec<Offer> {
    match serde_json::from_str(post) {
        Ok(Post::Send(post) | Post::Edit { post, .. }) => post.buttons,
        Ok(Post::Document { .. } | Post::Answer { .. } | Post::Typing { .. }) | Err(_) => Vec::new(),
    }
}

fn text(post: &Post) -> String {
    serde_json::to_string(post).expect("a post is text and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(chat: &str, text: String) -> Post {
        Post::Send(TextPost {
            chat: chat.to_owned(),
            text,
            entities: String::new(),
            buttons: Vec::new(),
            reply_to: None,
            silent: false,
        })
    }

    fn notice(chat: &str) -> Notice {
        Notice::new(&format!("bot:{chat}"), NoticeKind::Final, "t", Vec::new())
    }

    #[tokio::test]
    async fn a_press_waits_for_the_receipt_of_its_post_and_for_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mailbox = Mailbox::new("bot", Store::open(dir.path()).unwrap().0);
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
        let store = Store::open(dir.path()).unwrap().0;
        let mailbox = Mailbox::new("bot", store.clone());
        let update = |key: &str, bytes| Incoming { key: key.into(), chat: "1".into(), update: "x".repeat(bytes) };
        mailbox.take_in(1, Vec::new(), vec![update("1", 9)]).await.unwrap();
        let first = mailbox.waiting(0, 1, usize::MAX).await.unwrap().remove(0);
        store.run(|journal| journal.limit_pages(0)).await.unwrap();
        let long = || vec![post("1", "y".repeat(100_000))];
        let outgoing = mailbox.outgoing("a", &notice("1"), long());
        let told = notice("1");
        let (taken, answered, posted, room) = tokio::join!(
            mailbox.take_in(2, Vec::new(), vec![update("2", 100_000)]),
            mailbox.answered(vec![(first.id, outgoing)]),
            mailbox.post("b", &told, long()),
            async {
                sleep(PAUSE * 3).await;
                let before = mailbox.heads().await?.len();
                store.run(|journal| journal.limit_pages(10_000)).await?;
                Ok::<_, StoreError>(before)
            }
        );
        for done in [taken, answered, posted] {
            done.unwrap();
        }
        assert_eq!(room.unwrap(), 0, "nothing was written before there was room");
        let waiting: Vec<String> =
            mailbox.waiting(0, 9, usize::MAX).await.unwrap().into_iter().map(|update| update.key).collect();
        assert_eq!(waiting, ["2"]);
        let unsent = store.run(|journal| journal.unsent("bot", 0, 9)).await.unwrap();
        let mut keys: Vec<&str> = unsent.iter().map(|post| post.key.as_str()).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["a.0", "b.0"]);
    }
}
