//! The daily digest: once a day the operators get what `/digest` shows, without asking. A host that was down at the time makes up for it for
//! half a day; a day without any task is not worth a word.

use crate::{
    chats::Operators,
    clock::{now_ms, utc},
    engine::{Desk, desk::Digest},
    journal::JournalError,
};
use borg_core::{chat::Part, words};
use std::time::Duration;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// A digest that is later than this is not sent any more.
const TOO_LATE_MS: u64 = DAY_MS / 2;
/// A digest that is later than this says why.
const LATE_MS: u64 = 15 * MINUTE_MS;
/// Longest sleep: a machine that was suspended, or whose clock was set, is not to miss its hour.
const NAP_MS: u64 = MINUTE_MS;
/// What the journal calls the day of the last digest.
const NOTE: &str = "digest";

/// Sends it, for as long as the host runs.
#[derive(Clone)]
pub struct DailyDigest {
    /// When it is due, in minutes since midnight UTC.
    pub minute: u64,
    pub desk: Desk,
    pub operators: Operators,
}

impl DailyDigest {
    /// Never returns.
    pub async fn run(self) {
        loop {
            let now = now_ms();
            if let Err(error) = self.look(now).await {
                tracing::warn!(%error, "the daily digest waits for the journal");
            }
            let nap = next_due(now, self.minute).saturating_sub(now).min(NAP_MS);
            tokio::time::sleep(Duration::from_millis(nap)).await;
        }
    }

    /// Sends the digest if one is due and was not sent.
    async fn look(&self, now: u64) -> Result<(), JournalError> {
        let Some(due) = due(now, self.minute) else { return Ok(()) };
        let day = utc(due).split(' ').next().unwrap_or_default().to_owned();
        if self.desk.mail.noted(NOTE).await?.as_ref() == Some(&day) {
            return Ok(());
        }
        // Of the day up to its hour, however late it is: what came before that was in the digest of the day before.
        let Digest { figures, tasks, left_out } = self.desk.digest(due).await?;
        if !tasks.is_empty() {
            let mut parts = words::digest(&figures, &tasks, left_out);
            if now - due > LATE_MS {
                let late =
                    format!("This was due at {}, when no host was running. What was done since is in it.", utc(due));
                parts.insert(0, Part::Text(late));
            }
            self.operators.report(&format!("digest-{day}"), "digest", parts).await;
        }
        // Last: whoever is told by mail is told once for a key, so that a crash in between repeats nothing there.
        self.desk.mail.note(NOTE, &day).await
    }
}

/// The time at which the newest digest was due; none where that was too long ago. Milliseconds since 1970, of which every day has as many.
fn due(now_ms: u64, minute: u64) -> Option<u64> {
    let due = next_due(now_ms, minute).checked_sub(DAY_MS)?;
    (now_ms - due <= TOO_LATE_MS).then_some(due)
}

/// The first time after now at which one is due.
fn next_due(now_ms: u64, minute: u64) -> u64 {
    let today = now_ms - now_ms % DAY_MS + minute * MINUTE_MS;
    if today > now_ms { today } else { today + DAY_MS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chats::telegram, fixture::Fixture};
    use borg_core::{people::Role, task::Status};

    fn at(text: &str) -> u64 {
        let time: jiff::Timestamp = text.parse().unwrap();
        u64::try_from(time.as_millisecond()).unwrap()
    }

    #[test]
    fn it_is_due_once_a_day_at_its_minute() {
        const HALF_PAST_FIVE: u64 = 17 * 60 + 30;
        for (now, minute, last, next) in [
            ("2026-03-01T17:29:59.999Z", HALF_PAST_FIVE, None, "2026-03-01T17:30:00Z"),
            ("2026-03-01T17:30:00Z", HALF_PAST_FIVE, Some("2026-03-01T17:30:00Z"), "2026-03-02T17:30:00Z"),
            ("2026-03-02T05:30:00Z", HALF_PAST_FIVE, Some("2026-03-01T17:30:00Z"), "2026-03-02T17:30:00Z"),
            ("2026-03-02T05:30:00.001Z", HALF_PAST_FIVE, None, "2026-03-02T17:30:00Z"),
            // Midnight, and the minute before it.
            ("2026-12-31T23:59:59.999Z", 0, None, "2027-01-01T00:00:00Z"),
            ("2027-01-01T00:00:00Z", 0, Some("2027-01-01T00:00:00Z"), "2027-01-02T00:00:00Z"),
            ("2027-01-01T00:00:00Z", 1439, Some("2026-12-31T23:59:00Z"), "2027-01-01T23:59:00Z"),
            // A leap day, and a year that has none.
            ("2028-02-28T18:00:00Z", HALF_PAST_FIVE, Some("2028-02-28T17:30:00Z"), "2028-02-29T17:30:00Z"),
            ("2028-02-29T18:00:00Z", HALF_PAST_FIVE, Some("2028-02-29T17:30:00Z"), "2028-03-01T17:30:00Z"),
            ("2027-02-28T18:00:00Z", HALF_PAST_FIVE, Some("2027-02-28T17:30:00Z"), "2027-03-01T17:30:00Z"),
            ("1970-01-01T00:00:00Z", HALF_PAST_FIVE, None, "1970-01-01T17:30:00Z"),
        ] {
            assert_eq!((due(at(now), minute), next_due(at(now), minute)), (last.map(at), at(next)), "{now}");
        }
    }

    #[tokio::test]
    async fn a_day_without_tasks_is_no_news_and_one_with_tasks_is_told_once() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let desk = fixture.conversation.desk.clone();
        let (operators, mailbox) = fixture.operators_by_mail();
        let digest = DailyDigest { minute: 0, desk: desk.clone(), operators };
        let owed = async || desk.mail.unsent(telegram::NAME, 0, u32::MAX).await.unwrap().len();
        let midnight = now_ms() - now_ms() % DAY_MS;
        digest.look(midnight).await.unwrap();
        assert_eq!(owed().await, 0, "nothing was done");
        let task = fixture.task("telegram:1").await;
        fixture.until(task, Status::Blocked).await;
        digest.look(midnight + 1).await.unwrap();
        assert_eq!(owed().await, 0, "that day is dealt with");
        let tomorrow = midnight + DAY_MS;
        digest.look(tomorrow + TOO_LATE_MS + 1).await.unwrap();
        assert_eq!(owed().await, 0, "that is too late");
        for late in [TOO_LATE_MS, 0] {
            digest.look(tomorrow + late).await.unwrap();
            assert_eq!(owed().await, 1);
        }
        // As after a crash before that day was noted.
        desk.mail.note(NOTE, "").await.unwrap();
        digest.look(tomorrow).await.unwrap();
        assert_eq!(owed().await, 1, "its key is known");
        let row = mailbox.unsent(mailbox.heads().await.unwrap()[0].id).await.unwrap().unwrap();
        assert!(row.post.contains("The last 24 h") && row.post.contains("no host was running"), "{}", row.post);
        fixture.stop().await;
    }
}
