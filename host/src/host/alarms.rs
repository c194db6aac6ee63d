//! Alarms: what is wrong with the host as a whole and does not mend itself. Each is told once, until it has cleared; what comes together is
//! told together, and nobody hears of alarms more often than every quarter of an hour.

use crate::{
    chats::{Operators, Reach},
    clock::now_ms,
    engine::{Desk, room},
    journal::{JournalError, Standing},
};
use borg_core::{chat::Part, id::TaskId, task::Status};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(30);
/// Shortest time between two messages.
const QUIET_MS: u64 = 15 * 60_000;
/// Time for which a queue may stand still.
const STALLED_MS: u64 = 30 * 60_000;
/// Time for which a platform may refuse us: another program with our token may be one that is just ending.
const REFUSED_MS: u64 = 60_000;
/// Failures in a row that are no accident.
const IN_A_ROW: usize = 3;
/// What the journal calls the alarms that are raised.
const NOTE: &str = "alarms";

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Alarm {
    Failing,
    Disk,
    Stalled,
    Telegram,
}

/// What one look finds.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// The tasks that ended last and were not cancelled, newest first, at most [`IN_A_ROW`]; true for those that failed.
    ended: Vec<(TaskId, bool)>,
    /// Bytes, where the data lies.
    free: u64,
    floor: u64,
    queued: u64,
    running: u64,
    is_paused: bool,
    /// What a person can do about Telegram, where it refuses us.
    telegram: Option<&'static str>,
}

/// What is known from one look to the next; the first two also from one process to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Raised {
    /// Alarms that were told and have not cleared.
    alarms: BTreeSet<Alarm>,
    told_ms: Option<u64>,
    #[serde(skip)]
    stalled_since: Option<u64>,
    #[serde(skip)]
    refused_since: Option<u64>,
}

impl Raised {
    /// Takes in what was seen; gives the alarms that are to be told now.
    fn look(&mut self, now_ms: u64, seen: &Seen) -> Vec<Alarm> {
        let since = |is_so: bool, since: Option<u64>| is_so.then(|| since.unwrap_or(now_ms).min(now_ms));
        self.stalled_since = since(seen.queued > 0 && seen.running == 0 && !seen.is_paused, self.stalled_since);
        self.refused_since = since(seen.telegram.is_some(), self.refused_since);
        // What was told of by an earlier process has lasted, whatever this one has seen of it.
        let lasts = |alarm: Alarm, since: Option<u64>, ms: u64| {
            since.is_some_and(|since| now_ms - since >= ms || self.alarms.contains(&alarm))
        };
        // A disk that is just about full is told of once, not each time a file comes and goes.
        let was_low = self.alarms.contains(&Alarm::Disk);
        let enough = if was_low { seen.floor.saturating_add(seen.floor / 8) } else { seen.floor };
        let holds = |alarm: Alarm| match alarm {
            Alarm::Failing => seen.ended.len() >= IN_A_ROW && seen.ended.iter().all(|(_, has_failed)| *has_failed),
            Alarm::Disk => seen.free < enough,
            Alarm::Stalled => lasts(alarm, self.stalled_since, STALLED_MS),
            Alarm::Telegram => lasts(alarm, self.refused_since, REFUSED_MS),
        };
        let now = [Alarm::Failing, Alarm::Disk, Alarm::Stalled, Alarm::Telegram];
        let now: BTreeSet<Alarm> = now.into_iter().filter(|alarm| holds(*alarm)).collect();
        self.alarms.retain(|alarm| now.contains(alarm));
        let new: Vec<Alarm> = now.difference(&self.alarms).copied().collect();
        // A clock that was set back is no reason to keep silent.
        let is_quiet = self.told_ms.is_some_and(|told| told <= now_ms && now_ms - told < QUIET_MS);
        if new.is_empty() || is_quiet {
            return Vec::new();
        }
        self.alarms.extend(&new);
        self.told_ms = Some(now_ms);
        new
    }
}

/// Looks after the host, for as long as it runs.
#[derive(Clone)]
pub struct Alarms {
    pub desk: Desk,
    pub operators: Operators,
    pub data_dir: PathBuf,
    /// How the bot stands with Telegram.
    pub telegram: Reach,
}

impl Alarms {
    /// Never returns.
    pub async fn run(self) {
        let mut raised = None;
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.look(now_ms(), &mut raised).await {
                tracing::warn!(%error, "the journal does not say how the host is");
            }
        }
    }

    /// One look; `raised` is what the last one left, read from the journal where there was none.
    async fn look(&self, now_ms: u64, raised: &mut Option<Raised>) -> Result<(), JournalError> {
        let before = match raised.take() {
            Some(raised) => raised,
            None => self.of_earlier_process().await?,
        };
        let mut after = before.clone();
        let seen = self.see().await;
        // What could not be seen keeps what was known.
        let told = seen.as_ref().map(|seen| after.look(now_ms, seen)).unwrap_or_default();
        let (is_new, note) = (after.alarms != before.alarms, serde_json::to_string(&after));
        *raised = Some(after);
        let seen = seen?;
        if !told.is_empty() {
            let mut parts = vec![Part::Heading("This host needs a look".into())];
            parts.extend(told.iter().map(|alarm| Part::Item(self.words(*alarm, &seen))));
            if !self.operators.tell(&format!("alarm-{now_ms}"), "alarms", parts, Vec::new()).await {
                tracing::error!(alarms = ?told, "this host needs a look");
            }
        }
        if is_new && let Ok(note) = note {
            self.desk.mail.note(NOTE, &note).await?;
        }
        Ok(())
    }

    async fn of_earlier_process(&self) -> Result<Raised, JournalError> {
        let noted = self.desk.mail.noted(NOTE).await?;
        // What another version noted is at worst told again.
        Ok(noted.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    async fn see(&self) -> Result<Seen, JournalError> {
        let policy = self.desk.handle.policy();
        let Standing { ended, live, is_paused } = self.desk.journal.standing(IN_A_ROW as u32).await?;
        let count = |wanted: &[Status]| live.iter().filter(|status| wanted.contains(status)).count() as u64;
        Ok(Seen {
            ended: ended
                .into_iter()
                .map(|(id, status)| (id, matches!(status, Status::Failed | Status::Capped)))
                .collect(),
            free: room::free(&self.data_dir),
            floor: policy.host.free_space_floor.max(room::RESERVE),
            queued: count(&[Status::Queued]),
            running: count(&[Status::Running, Status::Approved]),
            is_paused,
            telegram: self.telegram.remedy(),
        })
    }

    /// What is wrong, and what to do about it.
    fn words(&self, alarm: Alarm, seen: &Seen) -> String {
        match alarm {
            Alarm::Failing => {
                let ended: Vec<String> = seen.ended.iter().map(|(id, _)| format!("#{id}")).collect();
                format!(
                    "the last {IN_A_ROW} tasks failed, one after the other ({}); /audit N tells more",
                    ended.join(", ")
                )
            }
            Alarm::Disk => format!(
                "the disk is almost full: {} MiB are free at {}, and {} MiB should be; runs wait until there is room",
                seen.free >> 20,
                self.data_dir.display(),
                seen.floor >> 20
            ),
            Alarm::Stalled => format!(
                "{} task(s) have been queued for {} min while nothing runs; `borg-host doctor` looks at the machine, and a restart of the host loses nothing",
                seen.queued,
                STALLED_MS / 60_000
            ),
            Alarm::Telegram => {
                format!("Telegram refuses the bot: {}", seen.telegram.unwrap_or("`borg-host doctor` tells more"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chats::telegram, fixture::Fixture};
    use borg_core::people::Role;

    const MINUTE: u64 = 60_000;

    fn well() -> Seen {
        Seen { free: 10, floor: 8, ..Seen::default() }
    }

    fn full() -> Seen {
        Seen { free: 7, ..well() }
    }

    fn ended(failed: &[bool]) -> Seen {
        Seen { ended: failed.iter().map(|failed| (TaskId(1), *failed)).collect(), ..well() }
    }

    fn stalled() -> Seen {
        Seen { queued: 1, ..well() }
    }

    fn refused() -> Seen {
        Seen { telegram: Some("renew it"), ..well() }
    }

    /// Alarms told at each look.
    fn told(looks: &[(u64, Seen)]) -> Vec<Vec<Alarm>> {
        let mut raised = Raised::default();
        looks.iter().map(|(minute, seen)| raised.look(minute * MINUTE, seen)).collect()
    }

    #[test]
    fn what_is_wrong_is_told_and_what_is_not_is_not() {
        for (seen, alarm) in [
            (well(), None),
            (full(), Some(Alarm::Disk)),
            (Seen { free: 8, ..well() }, None),
            (ended(&[true; 3]), Some(Alarm::Failing)),
            (ended(&[true; 2]), None),
            (ended(&[true, false, true]), None),
            (stalled(), Some(Alarm::Stalled)),
            (Seen { running: 1, ..stalled() }, None),
            (Seen { is_paused: true, ..stalled() }, None),
            (refused(), Some(Alarm::Telegram)),
        ] {
            let all: Vec<Alarm> = told(&[(1, seen.clone()), (31, seen.clone()), (61, seen.clone())]).concat();
            assert_eq!(all, alarm.into_iter().collect::<Vec<_>>(), "{seen:?}");
        }
    }

    #[test]
    fn some_things_must_last_before_they_are_wrong() {
        let busy = Seen { running: 1, ..stalled() };
        assert_eq!(told(&[(0, stalled()), (29, stalled())]), [vec![], vec![]]);
        assert_eq!(told(&[(0, stalled()), (30, stalled())]), [vec![], vec![Alarm::Stalled]]);
        // Half an hour in the queue, but something ran in between.
        assert_eq!(told(&[(0, stalled()), (20, busy), (21, stalled()), (50, stalled())]).concat(), []);
        assert_eq!(told(&[(0, refused()), (1, well()), (2, refused())]).concat(), []);
    }

    #[test]
    fn each_is_told_once_until_it_has_cleared() {
        let almost = Seen { free: 8, ..well() };
        let looks = [(0, full()), (20, full()), (40, almost), (60, full()), (80, well()), (100, full())];
        let want = [vec![Alarm::Disk], vec![], vec![], vec![], vec![], vec![Alarm::Disk]];
        assert_eq!(told(&looks), want);
    }

    #[test]
    fn messages_are_folded_and_far_between() {
        let both = Seen { free: 7, ..ended(&[true; 3]) };
        let all = Seen { telegram: Some("renew it"), ..both.clone() };
        assert_eq!(told(&[(0, both.clone())]), [vec![Alarm::Failing, Alarm::Disk]]);
        // What comes right after waits for its quarter of an hour, and what has cleared by then is not told at all.
        let looks = [(0, full()), (1, both.clone()), (14, both), (14, all.clone()), (15, all)];
        let told = told(&looks);
        assert_eq!(told[..4].concat(), [Alarm::Disk]);
        assert_eq!(told[4], [Alarm::Failing, Alarm::Telegram]);
        let passing = [(0, full()), (1, ended(&[true; 3])), (20, well())];
        assert_eq!(super::tests::told(&passing).concat(), [Alarm::Disk]);
    }

    #[tokio::test]
    async fn operators_are_told_once_whichever_process_looks() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let desk = fixture.conversation.desk.clone();
        let (operators, _) = fixture.operators_by_mail();
        let reach = Reach::default();
        // Where nothing can be measured there is room.
        let data_dir = fixture.dir.path().join("missing");
        let alarms = Alarms { desk: desk.clone(), operators, data_dir, telegram: reach.clone() };
        let owed = async || desk.mail.unsent(telegram::NAME, 0, 10).await.unwrap();
        for first in [0, 60 * MINUTE] {
            let mut raised = None;
            reach.refused("renew it");
            for minute in 0..3 {
                alarms.look(first + minute * MINUTE, &mut raised).await.unwrap();
            }
            let owed = owed().await;
            assert_eq!(owed.len(), 1, "{owed:?}");
            assert!(owed[0].post.contains("Telegram refuses the bot: renew it"), "{owed:?}");
        }
        reach.served();
        alarms.look(90 * MINUTE, &mut None).await.unwrap();
        let noted = desk.mail.noted(NOTE).await.unwrap().unwrap();
        assert!(!noted.contains("telegram"), "it has cleared: {noted}");
        fixture.stop().await;
    }
}
