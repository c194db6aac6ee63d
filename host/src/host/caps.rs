//! The daily caps on the host's side: operators are told once a day when most of one is spent, and once when it is used up; of the host's
//! cap, and of each person's. That person hears of theirs from the engine, where they asked for their task.

use crate::{chats::Operators, clock::now_ms, engine::Desk, journal::JournalError};
use borg_core::{
    chat::Part,
    daily::{Day, Level, Purse},
    policy::Policy,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(5);
/// What the journal calls what was told.
const NOTE: &str = "daily-caps";

/// What operators were told on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Told {
    day: u64,
    /// `host-80`, `console:1000-100`.
    what: BTreeSet<String>,
}

/// Looks after the caps, for as long as the host runs.
#[derive(Clone)]
pub struct DailyCaps {
    pub desk: Desk,
    pub operators: Operators,
}

impl DailyCaps {
    /// Never returns.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(PAUSE);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Err(error) = self.look(now_ms()).await {
                tracing::warn!(%error, "the journal does not say what the day cost");
            }
        }
    }

    /// One look. What is told is noted after it was told: for those who are told by mail a key goes out once, so that a crash in between
    /// repeats nothing there.
    async fn look(&self, now_ms: u64) -> Result<(), JournalError> {
        let policy = self.desk.handle.policy();
        if policy.host.daily.is_none() && policy.people_daily.is_none() {
            return Ok(());
        }
        let (day, noted) = (self.desk.day().await?, self.desk.mail.noted(NOTE).await?);
        // What another version noted is at worst told again.
        let noted: Told = noted.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let mut told = if noted.day == day.number() { noted } else { Told { day: day.number(), ..Told::default() } };
        let mut has_new = false;
        for (whose, words, purse) in purses(&day, &policy, now_ms) {
            let Some(percent) = percent(&purse) else { continue };
            // Who hears that all of it is spent need not hear that most of it is.
            let keys: Vec<String> =
                [80, 100].iter().filter(|step| **step <= percent).map(|step| format!("{whose}-{step}")).collect();
            if told.what.contains(&format!("{whose}-{percent}")) {
                continue;
            }
            let text = match percent {
                100 => format!(
                    "{words}: {purse} are spent. Nothing starts until 00:00 UTC, and what runs is parked with its work; a larger `daily` in policy lets it go on at once"
                ),
                _ => format!(
                    "{words}: {purse} are spent. From 90 % on one task runs at a time; at the cap everything waits until 00:00 UTC"
                ),
            };
            let parts = vec![Part::Heading("Money for today".into()), Part::Text(text)];
            let key = format!("daily-{}-{whose}-{percent}", day.number());
            if !self.operators.tell(&key, "daily", parts, Vec::new()).await {
                tracing::warn!(cap = whose, %purse, percent, "of a daily cap so much is spent");
            }
            told.what.extend(keys);
            has_new = true;
        }
        if has_new && let Ok(note) = serde_json::to_string(&told) {
            self.desk.mail.note(NOTE, &note).await?;
        }
        Ok(())
    }
}

/// Every cap and what is spent of it: a name for it, and the words.
fn purses(day: &Day, policy: &Policy, now_ms: u64) -> Vec<(String, String, Purse)> {
    let host = day.host(policy, now_ms).map(|purse| ("host".to_owned(), "`daily` in [host]".to_owned(), purse));
    let people = day.people(policy, now_ms).into_iter();
    let people = people.map(|(human, purse)| (human.0.clone(), format!("`daily` in [people], {human}"), purse));
    host.into_iter().chain(people).collect()
}

fn percent(purse: &Purse) -> Option<u32> {
    match purse.level() {
        Level::Open => None,
        Level::Told | Level::Narrow => Some(80),
        Level::Shut => Some(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chats::telegram,
        fixture::Fixture,
        journal::{Batch, Journal},
    };
    use borg_core::{
        budget::MicroUsd,
        daily::DAY_MS,
        id::TaskId,
        people::{PersonId, Role},
        step::Durable,
    };

    #[tokio::test]
    async fn operators_are_told_of_each_cap_once_a_day_whichever_process_looks() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let desk = fixture.conversation.desk.clone();
        let (operators, _) = fixture.operators_by_mail();
        let caps = DailyCaps { desk: desk.clone(), operators };
        let posts = async || {
            let rows = desk.mail.unsent(telegram::NAME, 0, 100).await.unwrap();
            rows.into_iter().map(|row| row.post).collect::<Vec<_>>()
        };
        let noon = 100 * DAY_MS + DAY_MS / 2;
        let spend = async |micros: u64, at_ms: u64| {
            let mut day = Day::default();
            day.pay(TaskId(1), Some(&PersonId("telegram:1".into())), MicroUsd(micros), at_ms);
            let batch = std::sync::Arc::new(Batch {
                durable: Durable { day: Some(day), ..Durable::default() },
                ..Batch::default()
            });
            fixture.store.commit(batch).await.unwrap();
        };
        spend(9_000_000, noon).await;
        caps.look(noon).await.unwrap();
        assert!(posts().await.is_empty(), "there is no cap");
        let mut policy = (*fixture.handle.policy()).clone();
        policy.host.daily = Some(MicroUsd(10_000_000));
        policy.people_daily = Some(MicroUsd(9_000_000));
        policy.digest = borg_core::id::Digest::of_bytes(b"capped");
        fixture.handle.policy_changed(Ok((policy, Vec::new()))).await.unwrap();
        for _ in 0..3 {
            caps.look(noon).await.unwrap();
        }
        let told = posts().await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told.iter().any(|post| post.contains("[host]") && post.contains("$9.0000 of $10.0000")), "{told:?}");
        assert!(
            told.iter().any(|post| post.contains("telegram:1") && post.contains("parked with its work")),
            "{told:?}"
        );
        spend(10_000_000, noon).await;
        for _ in 0..2 {
            caps.look(noon).await.unwrap();
        }
        assert_eq!(posts().await.len(), 3, "the host's is used up now, too");
        // The next day nothing is spent, until something is.
        caps.look(noon + DAY_MS).await.unwrap();
        assert_eq!(posts().await.len(), 3);
        spend(8_000_000, noon + DAY_MS).await;
        caps.look(noon + DAY_MS).await.unwrap();
        assert_eq!(posts().await.len(), 5);
        fixture.stop().await;
    }
}
