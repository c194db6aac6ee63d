//! What people may look at: tasks, diffs, the journal, the ledger. Frontends ask here, so that none of them knows the journal or the mirrors.

use super::{Handle, doers::chain};
use crate::{
    clock::{now_ms, utc},
    store::Store,
    teller::{Teller, Weight},
    workspace::Workspace,
};
use borg_core::{
    chat::Registration,
    daily::{Day, Shut},
    id::{self, TaskId},
    intent,
    people::{PersonId, Role},
    task::Task,
    words::{DigestLine, Figures, Window},
};
use std::collections::{BTreeMap, VecDeque};
use tokio::sync::watch;

pub use crate::store::{LedgerRow, Recorded, StoreError, Subscription, TaskRow, mail::Asked};

/// Hours of each window of [`Desk::figures`].
pub const WINDOWS: [u64; 3] = [24, 7 * 24, 30 * 24];
/// Tasks that a digest has a line for.
const DIGEST_TASKS: usize = 50;
/// Time by which rows of the ledger may be out of order, in milliseconds.
const DISORDER_MS: u64 = 3_600_000;
/// Rows read in one go.
const PAGE: u32 = 1_000;
/// Events read in one go.
const EVENTS: u32 = 256;
/// Longest record of a task's past, in bytes; what is newer counts.
const AUDIT_BYTES: usize = 512 << 10;

/// What the digest tells.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Of one window.
    pub figures: Figures,
    /// Newest first.
    pub tasks: Vec<DigestLine>,
    /// Tasks there was no room for.
    pub left_out: u64,
}

/// What happened to a task, in words.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Oldest first.
    pub lines: VecDeque<AuditLine>,
    /// Older lines there was no room for.
    pub left_out: usize,
}

/// One line of it, with the time in front.
#[derive(Clone, Debug)]
pub struct AuditLine {
    pub text: String,
    /// True for what a person waits for, as against what agents do all the time.
    pub is_step: bool,
}

/// Looks things up for whoever may look. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub handle: Handle,
    pub store: Store,
    pub workspace: Workspace,
}

impl Desk {
    /// The newest tasks first.
    pub async fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        self.store.run(move |journal| journal.tasks(limit)).await
    }

    /// Tasks that have not ended, oldest first.
    pub async fn live_tasks(&self) -> Result<Vec<Task>, StoreError> {
        self.store.run(|journal| journal.live_tasks()).await
    }

    /// True while nothing new is to start.
    pub async fn is_paused(&self) -> Result<bool, StoreError> {
        self.store.run(|journal| journal.is_paused()).await
    }

    /// Registered chats, by `transport:chat`.
    pub async fn chats(&self) -> Result<BTreeMap<String, Registration>, StoreError> {
        self.store.run(|journal| journal.chats()).await
    }

    /// The task that a message of ours speaks of, by the receipt its transport gave.
    pub async fn task_of(&self, transport: &str, chat: &str, receipt: &str) -> Result<Option<TaskId>, StoreError> {
        let (transport, chat, receipt) = (transport.to_owned(), chat.to_owned(), receipt.to_owned());
        self.store.run(move |journal| journal.about(&transport, &chat, &receipt)).await
    }

    /// Notes that somebody is to be made known once `asker` has confirmed it; the same for the same key.
    pub async fn ask_back(
        &self,
        key: &str,
        asker: &PersonId,
        chat: &str,
        whom: (&PersonId, Role),
    ) -> Result<Asked, StoreError> {
        let (key, asker, chat, (person, role)) =
            (key.to_owned(), asker.clone(), chat.to_owned(), (whom.0.clone(), whom.1));
        self.store.run(move |journal| journal.ask_back(&key, &asker, &chat, (&person, role), now_ms())).await
    }

    /// What was asked back, while it can be confirmed.
    pub async fn asked_back(&self, id: i64) -> Result<Option<Asked>, StoreError> {
        self.store.run(move |journal| journal.asked_back(id, now_ms())).await
    }

    /// What somebody was last asked back in a chat, while it can be confirmed.
    pub async fn asked_back_in(&self, chat: &str, asker: &PersonId) -> Result<Option<Asked>, StoreError> {
        let (chat, asker) = (chat.to_owned(), asker.clone());
        self.store.run(move |journal| journal.asked_back_in(&chat, &asker, now_ms())).await
    }

    /// What was asked back is confirmed, or given up.
    pub async fn forget_asked(&self, id: i64) -> Result<(), StoreError> {
        self.store.run(move |journal| journal.forget_asked(id)).await
    }

    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.store.run(move |journal| journal.task(id)).await
    }

    /// What a task changed so far, cut at `limit` bytes; true when that is all.
    pub async fn diff(&self, task: &Task, limit: usize) -> Result<(String, bool), String> {
        let (Some(base), Some(head)) = (&task.base, &task.head) else {
            return Err("the task has not begun yet".into());
        };
        if base.commit == *head {
            return Ok((String::new(), true));
        }
        let mirror = self.workspace.mirror(&task.spec.repository);
        self.workspace.patch(&mirror, &base.commit, head, limit).await.map_err(|error| chain(&error))
    }

    /// Events after a place in the journal, oldest first.
    pub async fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        self.store.run(move |journal| journal.events(after, task, limit)).await
    }

    /// Place of the newest event in the journal.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        self.store.run(|journal| journal.last_seq()).await
    }

    /// What the gateway recorded for a task.
    pub async fn ledger(&self, task: TaskId) -> Result<Vec<LedgerRow>, StoreError> {
        self.store.run(move |journal| journal.ledger(task.into())).await
    }

    /// What the day cost of which was paid last.
    pub async fn day(&self) -> Result<Day, StoreError> {
        self.store.run(|journal| journal.day()).await
    }

    /// The daily cap that keeps tasks of this person from starting now, if one does.
    pub async fn shut(&self, person: &PersonId, now_ms: u64) -> Result<Option<Shut>, StoreError> {
        let policy = self.handle.policy();
        Ok(self.day().await?.shut(person, &policy, now_ms))
    }

    /// What a provider said last of the subscription that pays.
    pub async fn subscription(&self) -> Result<Option<Subscription>, StoreError> {
        self.store.run(|journal| journal.subscription()).await
    }

    /// When this host was started, in milliseconds since 1970, and its version.
    pub async fn started(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.store.run(|journal| journal.last_start()).await
    }

    /// Since when a policy is in force; none where another one is.
    pub async fn policy_since(&self, digest: id::Digest) -> Result<Option<u64>, StoreError> {
        self.store.run(move |journal| journal.policy_since(&digest)).await
    }

    /// What was done in the last day, task by task.
    pub async fn digest(&self, now_ms: u64) -> Result<Digest, StoreError> {
        let figures = self.figures(now_ms, &WINDOWS[..1]).await?;
        let since = now_ms.saturating_sub(WINDOWS[0] * 3_600_000);
        let (moved, tasks) = self
            .store
            .run(move |journal| {
                let moved = journal.moved(since, TaskId(u64::MAX), PAGE)?;
                let shown = moved.iter().take(DIGEST_TASKS).map(|moved| journal.task(moved.id));
                Ok((moved.len(), shown.collect::<Result<Vec<_>, _>>()?))
            })
            .await?;
        let tasks: Vec<DigestLine> = tasks.iter().flatten().map(DigestLine::of).collect();
        Ok(Digest { figures, left_out: (moved - tasks.len().min(moved)) as u64, tasks })
    }

    /// What was done in windows of so many hours up to now, and what is to be done. A task counts as ended when it moved last.
    pub async fn figures(&self, now_ms: u64, hours: &[u64]) -> Result<Figures, StoreError> {
        let since = |window: &Window| now_ms.saturating_sub(window.hours * 3_600_000);
        let windows = hours.iter().map(|hours| Window { hours: *hours, ..Window::default() }).collect();
        let mut figures = Figures { windows, ..Figures::default() };
        let oldest = figures.windows.iter().map(since).min().unwrap_or(now_ms);
        let mut before = TaskId(u64::MAX);
        loop {
            let page = self.store.run(move |journal| journal.moved(oldest, before, PAGE)).await?;
            let Some(last) = page.last() else { break };
            before = last.id;
            for task in &page {
                for window in &mut figures.windows {
                    let since = since(window);
                    window.asked += u64::from(task.created_ms >= since);
                    if task.changed_ms >= since {
                        window.ended(task.status);
                    }
                }
            }
        }
        let mut before = i64::MAX;
        loop {
            let page = self.store.run(move |journal| journal.paid(before, PAGE)).await?;
            let Some(last) = page.last() else { break };
            before = last.id;
            for paid in &page {
                for window in figures.windows.iter_mut().filter(|window| paid.at_ms >= since(window)) {
                    window.usage = window.usage + paid.usage;
                    window.cost = window.cost + paid.cost;
                    window.notional = window.notional + paid.notional;
                }
            }
            if last.at_ms < oldest.saturating_sub(DISORDER_MS) {
                break;
            }
        }
        for status in self.store.run(|journal| journal.live_statuses()).await? {
            figures.live(status);
        }
        Ok(figures)
    }

    /// What happened to a task, one line for each thing.
    pub async fn audit(&self, task: &Task) -> Result<Audit, StoreError> {
        let (id, told) = (task.id(), task.clone());
        let mut teller = self.store.run(move |journal| Teller::of(&told, journal, intent::spell)).await?;
        let mut audit = Audit::default();
        let (mut after, mut bytes) = (0, 0);
        loop {
            let page = self.events(after, Some(id), EVENTS).await?;
            let Some(last) = page.last() else { return Ok(audit) };
            after = last.seq;
            for recorded in &page {
                for (weight, text) in teller.tell(&recorded.event) {
                    let text = format!("{}  {text}", utc(recorded.event.at_ms));
                    bytes += text.len();
                    audit.lines.push_back(AuditLine { text, is_step: weight == Weight::Step });
                }
            }
            while bytes > AUDIT_BYTES
                && let Some(oldest) = audit.lines.pop_front()
            {
                bytes -= oldest.text.len();
                audit.left_out += 1;
            }
        }
    }

    /// Changes whenever something was committed.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.handle.committed()
    }
}
