//! Intents of people: what [`borg_core::decide`] makes of them, and what only the engine knows about whoever asks.

use super::{Engine, Reply, event};
use crate::clock::now_ms;
use borg_core::{
    decide::{Request, decide},
    event::{Body, Event, HostEvent, Said},
    id::TaskId,
    intent::Intent,
    people::PersonId,
    task::Task,
};

impl Engine {
    /// Events an intent leads to, and what the person is told once they are durable.
    ///
    /// `ended` is the task the intent names, where that has ended and so lives in the journal only.
    pub(super) fn command(
        &mut self,
        person: &PersonId,
        intent: Intent,
        chat: Option<String>,
        ended: Option<&Task>,
    ) -> (Vec<Event>, Reply) {
        let full = intent.begins_task().then(|| self.no_room()).flatten();
        let (now_ms, next_task) = (now_ms(), TaskId(self.next_task));
        let request = Request { person, intent, chat, ended, now_ms, next_task, full };
        let (mut bodies, reply) = decide(&self.state, &self.policies, request);
        if matches!(reply, Reply::Refused { stranger: true, .. }) {
            bodies.retain_mut(|(_, body)| self.is_to_be_noted(body));
        }
        for (_, body) in &bodies {
            if let Body::Said(Said::TaskCreated { task }) = body {
                self.next_task = task.id.0 + 1;
            }
        }
        (bodies.into_iter().map(|(owner, body)| event(owner, body)).collect(), reply)
    }

    /// People are known and few; strangers may be many and persistent. False for a refusal of one that is only counted; one that is noted
    /// tells how many were not.
    fn is_to_be_noted(&mut self, body: &mut Body) -> bool {
        let Body::Host(HostEvent::PersonDenied { by, reason, .. }) = body else { return true };
        match self.strangers.knock(by, now_ms()) {
            None => false,
            Some(0) => true,
            Some(untold) => {
                reason.push_str(&format!(" ({untold} times more since it was last noted)"));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use borg_core::{
        intent::{self, NOTE_LIMIT},
        people::Role,
        task::Status,
    };

    const ME: &str = "console:1";

    async fn replied(fixture: &Fixture, intent: Intent) -> (String, String) {
        match fixture.handle.intend(PersonId(ME.into()), intent, None).await.unwrap() {
            Reply::Refused { reason, remedy, stranger: false } => (reason, remedy.spell(intent::spell)),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_no_grammar_has_read_is_read_here() {
        let fixture = Fixture::start(&[(ME, Role::Owner)], None).await;
        let task = fixture.task(ME).await;
        fixture.until(task, Status::Blocked).await;
        let approve = |change: &str| Intent::Approve { task, change: Some(change.into()), note: String::new() };
        for wrong in ["", "0", "0123abc", "0123abcx", "0123abc\u{1b}[2J"] {
            let (reason, remedy) = replied(&fixture, approve(wrong)).await;
            assert!(reason.contains("names no change") && remedy.contains("8 digits"), "{wrong}: {reason}");
            assert!(!reason.contains('\u{1b}'), "{reason}");
            let reject = Intent::Reject { task, change: Some(wrong.into()), note: String::new() };
            assert!(replied(&fixture, reject).await.0.contains("names no change"), "{wrong}");
        }
        assert!(replied(&fixture, approve("0123ABCD")).await.0.contains("waits for no decision"));
        for (long, limit) in [("x".repeat(NOTE_LIMIT + 1), "longer than 8192 bytes"), (" ".into(), "is empty")] {
            for intent in [
                Intent::Note { task, text: long.clone() },
                Intent::Answer { task, text: long.clone() },
                Intent::Continue { task, text: long.clone() },
            ] {
                let (reason, _) = replied(&fixture, intent.clone()).await;
                assert!(reason.contains(limit), "{}: {reason}", intent.name());
            }
        }
        let note = "x".repeat(NOTE_LIMIT + 1);
        for intent in
            [Intent::Approve { task, change: None, note: note.clone() }, Intent::Reject { task, change: None, note }]
        {
            assert!(replied(&fixture, intent).await.0.contains("longer than"));
        }
        fixture.stop().await;
    }
}
