//! What is too large for the journal. Plugins, collection and checks are bounded where they come in; this is for what these bounds let
//! through together. Such an outcome must not end the host: it would end the next one too, which redoes what is owed. So the effect
//! fails instead, and its task waits for a person.

use super::{Engine, Turn, doers};
use crate::journal::{Batch, JournalError};
use borg_core::{event::Event, owner::Owner};

impl Engine {
    /// Takes a turn back that was too large to be saved, and goes through it again without what made it so. Any other error stays one.
    pub(super) async fn reduce(
        &mut self,
        turn: Turn,
        batch: &Batch,
        error: JournalError,
    ) -> Result<Turn, JournalError> {
        let JournalError::TooLarge { owner, event: large, .. } = error else { return Err(error) };
        tracing::error!(%error, %owner, "taken back");
        self.state = self.journal.load().await?.state;
        let mut again = Turn { answers: turn.answers, ..Turn::default() };
        again.batch.reduced = true;
        again.batch.policies.clone_from(&batch.policies);
        again.batch.replies.clone_from(&batch.replies);
        again.batch.rows.clone_from(&batch.rows);
        for (at, event) in batch.events.iter().enumerate() {
            let is_blamed = large.map_or(event.owner != Owner::Host && event.owner == owner, |large| large == at);
            match self.failed(event, &error).filter(|_| is_blamed) {
                Some(failed) => self.apply(&mut again, failed),
                // What settles nothing is dropped where it is too large itself.
                None if large == Some(at) => {}
                None => self.apply(&mut again, event.clone()),
            }
        }
        Ok(again)
    }

    /// The same effect settled by its failure; none for what settles no effect.
    fn failed(&self, event: &Event, error: &JournalError) -> Option<Event> {
        let key = event.settles.as_ref()?;
        let effect = self.busy.values().find(|effect| effect.key == *key)?;
        Some(Event { body: doers::broken(&effect.order, error.to_string()), ..event.clone() })
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use borg_core::{
        event::{Answer, Body, Event, Meanwhile},
        id::TaskId,
        intent::Intent,
        kept::Kept,
        owner::Owner,
        people::{PersonId, Role},
        task::Status,
    };

    const OWNER: &str = "console:1";

    async fn limit(fixture: &Fixture, bytes: usize) {
        fixture.store.limit_rows(bytes).await.unwrap();
    }

    async fn reasons(fixture: &Fixture, task: TaskId) -> Vec<String> {
        let events = fixture.conversation.desk.events(0, Some(task), 100).await.unwrap();
        let reason =
            |body| if let Body::Answer(Answer::PrepareFailed { reason, .. }) = body { Some(reason) } else { None };
        events.into_iter().filter_map(|entry| reason(entry.event.body)).collect()
    }

    #[tokio::test]
    async fn a_state_that_is_too_large_fails_its_effect_and_not_the_host() {
        let fixture = Fixture::start(&[(OWNER, Role::Owner)], None).await;
        let ask = |intent| fixture.handle.intend(PersonId(OWNER.into()), intent, None);
        ask(Intent::Pause).await.unwrap();
        let task = fixture.task(OWNER).await;
        limit(&fixture, 400).await;
        ask(Intent::Resume).await.unwrap();
        fixture.until(task, Status::Blocked).await;
        let reasons = reasons(&fixture, task).await;
        assert!(matches!(&reasons[..], [reason] if reason.contains("too large for the journal")), "{reasons:?}");
        // Everything else goes on.
        limit(&fixture, usize::MAX).await;
        let other = fixture.task(OWNER).await;
        fixture.until(other, Status::Blocked).await;
        fixture.stop().await;
    }

    #[tokio::test]
    async fn an_event_that_is_too_large_is_dropped_where_nothing_waits_for_it() {
        let fixture = Fixture::start(&[(OWNER, Role::Owner)], None).await;
        limit(&fixture, 1 << 20).await;
        let before = fixture.conversation.desk.newest().await.unwrap();
        for text in ["x".repeat(2 << 20), "short".into()] {
            let run = "t9-s0-a1-agent".parse().unwrap();
            let body = Body::Meanwhile(Meanwhile::Progressed {
                run,
                line: 1,
                state: String::new(),
                events: Kept::new(text),
                turns: 0,
            });
            fixture.handle.post(Event { at_ms: 1, owner: Owner::Host, settles: None, body }).await.unwrap();
        }
        let mut texts = Vec::new();
        for entry in fixture.conversation.desk.events(before, None, 10).await.unwrap() {
            if let Body::Meanwhile(Meanwhile::Progressed { events, .. }) = entry.event.body {
                texts.push(events.text);
            }
        }
        assert_eq!(texts, ["short"]);
        fixture.stop().await;
    }
}
