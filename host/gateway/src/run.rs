//! What all requests of one run share.

use crate::{
    Held, Ledger, LedgerError, News, Row, Secrets,
    access::{Access, Limits},
    account::Account,
    behind::{Behind, Outcome},
    say::Said,
    way::Way,
};
use borg_core::id::RunKey;
use hyper::Response;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::sync::{Semaphore, broadcast, watch};

/// News that may wait for a slow listener; older ones are lost to it.
const WAITING_NEWS: usize = 64;

pub(crate) struct Run {
    pub key: RunKey,
    pub ways: Vec<Way>,
    pub limits: Limits,
    pub account: Arc<Account>,
    pub secrets: Arc<dyn Secrets>,
    /// A request holds one from before its body is read until its row is written.
    pub slots: Semaphore,
    pub news: broadcast::Sender<News>,
    pub tasks: Tasks,
    pub behind: Arc<Behind>,
    ledger: Arc<dyn Ledger>,
    refusals: AtomicU32,
    free_rows: AtomicU32,
    shut: AtomicBool,
}

impl Run {
    pub fn new(
        access: Access,
        ways: Vec<Way>,
        limits: Limits,
        secrets: Arc<dyn Secrets>,
        ledger: Arc<dyn Ledger>,
        behind: Arc<Behind>,
    ) -> Run {
        let (news, _) = broadcast::channel(WAITING_NEWS);
        let account = Arc::new(Account::new(access.allowance, access.spent_before, news.clone()));
        for elder in access.elders {
            let (charge, behind) = (account.adopt(&elder.most), Arc::clone(&behind));
            tokio::spawn(async move {
                // Nobody knows of it: it is taken for spent.
                let unknown = Outcome::Used { usage: elder.most.usage, cost: elder.most.paid() };
                charge.follow(behind.outcome(elder.run, elder.request).await.unwrap_or(unknown));
            });
        }
        Run {
            key: access.run,
            ways,
            account,
            slots: Semaphore::new(limits.in_flight),
            limits,
            secrets,
            news,
            tasks: Tasks::default(),
            behind,
            ledger,
            refusals: AtomicU32::new(0),
            free_rows: AtomicU32::new(0),
            shut: AtomicBool::new(false),
        }
    }

    /// An answer of ours in the words of this way; before it is known, in those of the run's first.
    pub fn say(&self, way: Option<&Way>, said: &Said<'_>) -> Response<String> {
        way.or(self.ways.first()).map_or_else(|| said.plain(), |way| way.say(said))
    }

    /// Writes a row. If it cannot be written, nothing more is let through; nor after too many that used nothing.
    pub async fn record(&self, row: Row) -> Result<(), LedgerError> {
        let is_free = row.usage.is_none();
        let recorded = self.ledger.record(row).await;
        match &recorded {
            Ok(()) if is_free => self.count(&self.free_rows, self.limits.free_rows),
            Ok(()) => {}
            Err(error) => {
                self.shut();
                self.tell(News::LedgerFailed { why: error.to_string() });
            }
        }
        recorded
    }

    /// Tells the ledger what a request may cost that nobody waits for any more. If that cannot be written, nothing more is let through.
    pub async fn hold(&self, held: Held) {
        if let Err(error) = self.ledger.hold(held).await {
            self.shut();
            self.tell(News::LedgerFailed { why: error.to_string() });
        }
    }

    /// Counts a refusal that was recorded; too many shut the door.
    pub fn count_refusal(&self) {
        self.count(&self.refusals, self.limits.refusals);
    }

    fn count(&self, rows: &AtomicU32, most: u32) {
        if rows.fetch_add(1, Ordering::Relaxed) + 1 == most {
            self.shut();
            self.tell(News::TooManyRefusals);
        }
    }

    /// From now on nothing is forwarded and no refusal is recorded.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    pub fn is_shut(&self) -> bool {
        self.shut.load(Ordering::SeqCst)
    }

    pub fn tell(&self, news: News) {
        // An error only means that nobody listens.
        let _ = self.news.send(news);
    }
}

/// Tasks whose end can be waited for.
#[derive(Clone, Default)]
pub(crate) struct Tasks(watch::Sender<usize>);

impl Tasks {
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let counted = self.enter();
        tokio::spawn(async move {
            task.await;
            drop(counted);
        });
    }

    /// Counts a task for as long as it keeps this.
    pub fn enter(&self) -> Counted {
        Counted::new(self.0.clone())
    }

    /// Returns when none is left.
    pub async fn ended(&self) {
        // The sender is ours, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|live| *live == 0).await;
    }
}

/// One task in the count, also if it panics or is dropped.
pub(crate) struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(count: watch::Sender<usize>) -> Counted {
        count.send_modify(|live| *live += 1);
        Counted(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|live| *live -= 1);
    }
}
