//! The journal as everybody but its keeper sees it: named reads and one commit, in values of our own. Who keeps it, and how, is a matter of the
//! keeper (`store/` is one, over SQLite); what each must keep is what these traits say, and `tests/journal/` holds it against all of them.
//!
//! Two traits, since there is one writer: whoever only looks gets [`Reads`], which cannot change anything. What chats bring and what goes
//! out to them is no part of it (`mail/`).
//!
//! Both are used as `Arc<dyn …>`: a host has one journal, and a type parameter for it would stand at everything that holds a part of the
//! host. The boxed future of an answer is nothing beside the way to the keeper and back.

mod batch;
pub mod chain;
mod error;
mod patience;
mod rows;

pub use batch::{Batch, Loaded};
pub use chain::ChainBreak;
pub use error::JournalError;
pub use patience::{PAUSE, patiently};
pub use rows::{LedgerRow, Moved, MovedTasks, Paid, Recorded, Standing, Subscription, TaskRow};

use borg_core::{
    chat::Registration,
    daily::Day,
    effect::Effect,
    id::{Digest, TaskId},
    owner::Owner,
    policy::source::SourceFile,
    task::{Status, Task},
};
use futures_util::future::BoxFuture;
use std::{collections::BTreeMap, sync::Arc};

/// What a keeper answers. Nothing is asked before it is polled; what was asked is done even where nobody waits for the answer any more.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, JournalError>>;

/// Time for which is kept what was done, so that it is not done again when it is asked for again, in milliseconds.
pub const REMEMBERED_MS: u64 = 7 * 24 * 3_600_000;

/// What the journal can be asked. Each read sees whole batches only, and every batch whose commit was answered before it was asked.
pub trait Reads: Send + Sync {
    /// What a new process begins with: all that lives and all that is owed, as the last commit left it.
    fn load(&self) -> Answer<'_, Loaded>;

    /// Events with a sequence number above `after`, oldest first, of one task or of all; their texts are with them where they still exist.
    fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Answer<'_, Vec<Recorded>>;

    /// Sequence number of the newest event; 0 before the first.
    fn last_seq(&self) -> Answer<'_, u64>;

    /// Walks the whole hash chain, and all texts beside it; none where nothing was changed from outside.
    fn verify(&self) -> Answer<'_, Option<ChainBreak>>;

    /// Effects that no event has settled yet, in the order they were owed.
    fn owed(&self) -> Answer<'_, Vec<Effect>>;

    fn task(&self, id: TaskId) -> Answer<'_, Option<Task>>;

    /// The newest tasks first.
    fn tasks(&self, limit: u32) -> Answer<'_, Vec<TaskRow>>;

    /// Tasks that have not ended, oldest first.
    fn live_tasks(&self) -> Answer<'_, Vec<Task>>;

    /// Where each task stands that has not ended.
    fn live_statuses(&self) -> Answer<'_, Vec<Status>>;

    /// How work goes on: what stands where, and the `ended` tasks that ended last and were not cancelled.
    fn standing(&self, ended: u32) -> Answer<'_, Standing>;

    /// Tasks with a number below `before` that moved since, newest first; times in milliseconds since 1970.
    fn moved(&self, since_ms: u64, before: TaskId, limit: u32) -> Answer<'_, Vec<Moved>>;

    /// Tasks that moved since: the newest of them whole, and how many there are.
    fn moved_tasks(&self, since_ms: u64, limit: u32) -> Answer<'_, MovedTasks>;

    /// True while nothing new is to start.
    fn is_paused(&self) -> Answer<'_, bool>;

    /// Registered chats, by `transport:chat`.
    fn chats(&self) -> Answer<'_, BTreeMap<String, Registration>>;

    /// What the day cost of which was paid last.
    fn day(&self) -> Answer<'_, Day>;

    /// What the gateway recorded for an owner, oldest first.
    fn ledger(&self, owner: Owner) -> Answer<'_, Vec<LedgerRow>>;

    /// Rows of the ledger before a place in it, newest first.
    fn paid(&self, before: i64, limit: u32) -> Answer<'_, Vec<Paid>>;

    /// What a provider said last of the subscription that pays; none where none of the newest requests was told anything.
    fn subscription(&self) -> Answer<'_, Option<Subscription>>;

    /// Models that so many of the newest requests were made to, of those which cost something.
    fn models(&self, requests: u32) -> Answer<'_, Vec<String>>;

    /// What the intent with this key came to, as JSON; known for [`REMEMBERED_MS`].
    fn reply<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>>;

    /// Sources of a policy that was in force once.
    fn policy(&self, digest: Digest) -> Answer<'_, Option<Vec<SourceFile>>>;

    /// Since when this policy is in force without another in between; none where another one is.
    fn policy_since(&self, digest: Digest) -> Answer<'_, Option<u64>>;

    /// When a host was started last, in milliseconds since 1970, and its version.
    fn last_start(&self) -> Answer<'_, Option<(u64, String)>>;
}

/// A journal that can be written.
pub trait Journal: Reads {
    /// Makes a batch durable, whole or not at all; gives the sequence number of the newest event. Numbers grow by one from event to event,
    /// over batches and processes. After an answer that is no error the batch outlives this process and this machine, however they end;
    /// after an error none of it is there.
    ///
    /// [`JournalError::TooLarge`] names what has to go first; [`JournalError::Damaged`] is a text that does not have its digest.
    fn commit(&self, batch: Arc<Batch>) -> Answer<'_, u64>;
}
