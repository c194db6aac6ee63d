//! What people may look at: tasks, diffs, the journal, the ledger. Frontends ask here, so that none of them knows the journal or the mirrors.

use super::Handle;
use crate::{
    causes::chain,
    clock::{now_ms, utc},
    journal::{JournalError, LedgerRow, MovedTasks, Reads, Recorded, Subscription, TaskRow},
    mail::{Asked, Mail},
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
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::watch;

/// Hours of each window of [`Desk::figures`].
pub const WINDOWS: [u64; 3] = [24, 7 * 24, 30 * 24];
/// Tasks that a digest has a line for.
const DIGEST_TASKS: u32 = 50;
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
    pub journal: Arc<dyn Reads>,
    pub mail: Arc<dyn Mail>,
    pub workspace: Workspace,
}

impl Desk {
    /// The newest tasks first.
    pub async fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>, JournalError> {
        self.journal.tasks(limit).await
    }

    /// Tasks that have not ended, oldest first.
    pub async fn live_tasks(&self) -> Result<Vec<Task>, JournalError> {
        self.journal.live_tasks().await
    }

    /// True while nothing new is to start.
    pub async fn is_paused(&self) -> Result<bool, JournalError> {
        self.journal.is_paused().await
    }

    /// Registered chats, by `transport:chat`.
    pub async fn chats(&self) -> Result<BTreeMap<String, Registration>, JournalError> {
        self.journal.chats().await
    }

    /// The task that a message of ours speaks of, by the receipt its transport gave.
    pub async fn task_of(&self, transport: &str, chat: &str, receipt: &str) -> Result<Option<TaskId>, JournalError> {
        self.mail.about(transport, chat, receipt).await
    }

    /// Notes that somebody is to be made known once `asker` has confirmed it; the same for the same key.
    pub async fn ask_back(
        &self,
        key: &str,
        asker: &PersonId,
        chat: &str,
        whom: (&PersonId, Role),
    ) -> Result<Asked, JournalError> {
        self.mail.ask_back(key, asker, chat, whom, now_ms()).await
    }

    /// What was asked back, while it can be confirmed.
    pub async fn asked_back(&self, id: i64) -> Result<Option<Asked>, JournalError> {
        self.mail.asked_back(id, now_ms()).await
    }

    /// What somebody was last asked back in a chat, while it can be confirmed.
    pub async fn asked_back_in(&self, chat: &str, asker: &PersonId) -> Result<Option<Asked>, JournalError> {
        self.mail.asked_back_in(chat, asker, now_ms()).await
    }

    /// What was asked back is confirmed, or given up.
    pub async fn forget_asked(&self, id: i64) -> Result<(), JournalError> {
        self.mail.forget_asked(id).await
    }

    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError> {
        self.journal.task(id).await
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
    pub async fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Recorded>, JournalError> {
        self.journal.events(after, task, limit).await
    }

    /// Place of the newest event in the journal.
    pub async fn newest(&self) -> Result<u64, JournalError> {
        self.journal.last_seq().await
    }

    /// What the gateway recorded for a task.
    pub async fn ledger(&self, task: TaskId) -> Result<Vec<LedgerRow>, JournalError> {
        self.journal.ledger(task.into()).await
    }

    /// What the day cost of which was paid last.
    pub async fn day(&self) -> Result<Day, JournalError> {
        self.journal.day().await
    }

    /// The daily cap that keeps tasks of this person from starting now, if one does.
    pub async fn shut(&self, person: &PersonId, now_ms: u64) -> Result<Option<Shut>, JournalError> {
        let policy = self.handle.policy();
        Ok(self.day().await?.shut(person, &policy, now_ms))
    }

    /// What a provider said last of the subscription that pays.
    pub async fn subscription(&self) -> Result<Option<Subscription>, JournalError> {
        self.journal.subscription().await
    }

    /// When this host was started, in milliseconds since 1970, and its version.
    pub async fn started(&self) -> Result<Option<(u64, String)>, JournalError> {
        self.journal.last_start().await
    }

    /// Since when a policy is in force; none where another one is.
    pub async fn policy_since(&self, digest: id::Digest) -> Result<Option<u64>, JournalError> {
        self.journal.policy_since(digest).await
    }

    /// What was done in the last day, task by task.
    pub async fn digest(&self, now_ms: u64) -> Result<Digest, JournalError> {
        let figures = self.figures(now_ms, &WINDOWS[..1]).await?;
        let since = now_ms.saturating_sub(WINDOWS[0] * 3_600_000);
        let MovedTasks { newest, all } = self.journal.moved_tasks(since, DIGEST_TASKS).await?;
        let tasks: Vec<DigestLine> = newest.iter().map(DigestLine::of).collect();
        Ok(Digest { figures, left_out: all.saturating_sub(tasks.len() as u64), tasks })
    }

    /// What was done in windows of so many hours up to now, and what is to be done. A task counts as ended when it moved last.
    pub async fn figures(&self, now_ms: u64, hours: &[u64]) -> Result<Figures, JournalError> {
        let since = |window: &Window| now_ms.saturating_sub(window.hours * 3_600_000);
        let windows = hours.iter().map(|hours| Window { hours: *hours, ..Window::default() }).collect();
        let mut figures = Figures { windows, ..Figures::default() };
        let oldest = figures.windows.iter().map(since).min().unwrap_or(now_ms);
        let mut before = TaskId(u64::MAX);
        loop {
            let page = self.journal.moved(oldest, before, PAGE).await?;
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
            let page = self.journal.paid(before, PAGE).await?;
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
        for status in self.journal.live_statuses().await? {
            figures.live(status);
        }
        Ok(figures)
    }

    /// What happened to a task, one line for each thing.
    pub async fn audit(&self, task: &Task) -> Result<Audit, JournalError> {
        let id = task.id();
        let mut teller = Teller::of(task, &*self.journal, intent::spell).await?;
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
