//! What agents are doing right now, for a frontend somebody looks at: read from the journal, told at a calm pace, kept nowhere. What
//! must be told (stages, decisions, ends) are the engine's own notices.

use crate::{
    engine::Desk,
    journal::{JournalError, Recorded},
};
use borg_core::{
    chat::Notice,
    event::{Answer, Body, Meanwhile},
    executor::AgentEvent,
    id::{RunKey, TaskId},
    task::Task,
    words,
};
use std::{collections::BTreeMap, future::pending, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

/// Events read from the journal at a time.
const PAGE: u32 = 256;
/// Shortest pause before the journal is read again after it could not be.
const RETRY: Duration = Duration::from_secs(1);

/// Whose tasks are followed.
enum Whose {
    Chat(String),
    /// Those of every chat of a transport.
    Transport(&'static str),
}

impl Whose {
    fn is(&self, chat: &str) -> bool {
        match self {
            Whose::Chat(whose) => chat == whose,
            Whose::Transport(whose) => chat.strip_prefix(whose).is_some_and(|rest| rest.starts_with(':')),
        }
    }
}

/// What an agent at work did last.
struct Latest {
    run: RunKey,
    turns: u32,
    /// None once it is told.
    action: Option<String>,
    /// Earliest time of the next notice of this task.
    due: Instant,
}

/// Follows the agents at work for one chat, or one transport.
pub struct Live {
    desk: Desk,
    committed: watch::Receiver<u64>,
    whose: Whose,
    pace: Duration,
    /// Last entry of the journal that was read; none before the first look.
    after: Option<u64>,
    /// What is told lately or next, by task: none hides what another does.
    latest: BTreeMap<TaskId, Latest>,
}

impl Live {
    /// Begins with what happens from now on; at most one notice of each task per `pace`.
    pub fn new(desk: Desk, chat: &str, pace: Duration) -> Self {
        Live::following(desk, Whose::Chat(chat.to_owned()), pace)
    }

    /// The same for all chats of a transport.
    pub fn of_transport(desk: Desk, transport: &'static str, pace: Duration) -> Self {
        Live::following(desk, Whose::Transport(transport), pace)
    }

    fn following(desk: Desk, whose: Whose, pace: Duration) -> Self {
        Live { committed: desk.committed(), desk, whose, pace, after: None, latest: BTreeMap::new() }
    }

    /// The newest action of a task, when it is time to tell one; what came between is left out. Never resolves when the host is ending. May be
    /// dropped and called again.
    pub async fn next(&mut self) -> Notice {
        loop {
            // Marked before looking, so that what is committed meanwhile wakes the wait below.
            self.committed.mark_unchanged();
            match self.read().await {
                Ok(()) => {}
                Err(error) if error.is_passing() => {
                    tracing::debug!(%error, "progress waits until the journal can be read");
                    sleep_until(Instant::now() + self.pace.max(RETRY)).await;
                    continue;
                }
                Err(error) => {
                    tracing::debug!(%error, "progress cannot be followed");
                    return pending().await;
                }
            }
            let waiting = self.latest.iter().filter(|(_, latest)| latest.action.is_some());
            let next = waiting.min_by_key(|(_, latest)| latest.due).map(|(id, latest)| (*id, latest.due));
            if let Some((id, _)) = next.filter(|(_, due)| *due <= Instant::now()) {
                match self.desk.task(id).await {
                    Ok(task) => match self.take(id, task.as_ref()) {
                        Some(notice) => return notice,
                        None => continue,
                    },
                    Err(error) => {
                        tracing::debug!(%error, "progress waits until the journal can be read");
                        sleep_until(Instant::now() + self.pace.max(RETRY)).await;
                        continue;
                    }
                }
            }
            let due = next.map(|(_, due)| due);
            tokio::select! {
                changed = self.committed.changed() => if changed.is_err() {
                    return pending().await;
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Reads to the journal's end.
    async fn read(&mut self) -> Result<(), JournalError> {
        let mut after = match self.after {
            Some(after) => after,
            None => self.desk.newest().await?,
        };
        self.after = Some(after);
        loop {
            let page = self.desk.events(after, None, PAGE).await?;
            for entry in &page {
                self.hear(entry);
                after = entry.seq;
                self.after = Some(after);
            }
            if page.is_empty() {
                return Ok(());
            }
        }
    }

    fn hear(&mut self, entry: &Recorded) {
        if let Body::Meanwhile(Meanwhile::Progressed { run, events, turns, .. }) = &entry.event.body {
            let events: Vec<AgentEvent> = serde_json::from_str(&events.text).unwrap_or_default();
            let action = events.iter().filter_map(words::action).next_back();
            if let (Some(id), Some(action)) = (run.owner.task(), action) {
                let due = self.latest.get(&id).map_or_else(Instant::now, |latest| latest.due);
                let latest = Latest { run: *run, turns: *turns, action: Some(action), due };
                self.latest.insert(id, latest);
            }
        } else if let Body::Answer(Answer::RunEnded { run, .. }) = &entry.event.body {
            // What an agent did last is no news when it is done.
            for latest in self.latest.values_mut().filter(|latest| latest.run == *run) {
                latest.action = None;
            }
            let now = Instant::now();
            self.latest.retain(|_, latest| latest.action.is_some() || latest.due > now);
        }
    }

    /// What a task does, with what it has spent so far; none where it is of another chat. What comes next is told in a while.
    fn take(&mut self, id: TaskId, task: Option<&Task>) -> Option<Notice> {
        let latest = self.latest.get_mut(&id)?;
        latest.due = Instant::now() + self.pace;
        let action = latest.action.take()?;
        let is_ours = |task: &&Task| task.spec.chat.as_ref().is_some_and(|chat| self.whose.is(chat));
        words::working(task.filter(is_ours)?, &latest.run, latest.turns, &action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Reply, fixture::Fixture};
    use borg_core::{
        budget::{MicroUsd, Spent},
        chat::{NoticeKind, Part},
        event::{ChatEvent, Event},
        executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
        id::RunKind,
        intent::{Intent, TaskRequest},
        kept::Kept,
        owner::Owner,
        people::{PersonId, Role},
    };

    const CHAT: &str = "console:terminal";

    async fn task(fixture: &Fixture, chat: &str) -> TaskId {
        let request = TaskRequest { title: "Add a discount".into(), ..TaskRequest::default() };
        let intent = Intent::Task(request);
        let reply = fixture.handle.intend(PersonId("console:1".into()), intent, Some(chat.into())).await.unwrap();
        let Reply::Created { task, .. } = reply else { panic!("{reply:?}") };
        task
    }

    fn run(task: TaskId, stage: u32) -> RunKey {
        RunKey { owner: task.into(), place: stage, fence: 1, kind: RunKind::Agent }
    }

    async fn happens(fixture: &Fixture, run: RunKey, body: Body) {
        fixture.handle.post(Event { at_ms: 0, owner: run.owner, settles: None, body }).await.unwrap();
    }

    async fn says(fixture: &Fixture, run: RunKey, words: &[&str]) {
        says_at(fixture, run, words, 0).await;
    }

    async fn says_at(fixture: &Fixture, run: RunKey, words: &[&str], turns: u32) {
        let said: Vec<AgentEvent> = words.iter().map(|text| AgentEvent::Said { text: (*text).into() }).collect();
        let events = Kept::new(serde_json::to_string(&said).unwrap());
        happens(
            fixture,
            run,
            Body::Meanwhile(Meanwhile::Progressed { run, line: 1, state: String::new(), events, turns }),
        )
        .await;
    }

    fn text(notice: &Notice) -> &str {
        assert_eq!(notice.kind, NoticeKind::Progress);
        let [Part::Text(text)] = notice.parts.as_slice() else { panic!("{notice:?}") };
        text
    }

    #[tokio::test]
    async fn the_newest_action_of_this_chats_tasks_is_told_and_no_more_often_than_agreed() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let (ours, others) = (task(&fixture, CHAT).await, task(&fixture, "console:elsewhere").await);
        let mut live = Live::new(fixture.conversation.desk.clone(), CHAT, Duration::from_secs(3600));
        live.read().await.unwrap();
        assert!(live.latest.is_empty(), "what was before is no news");
        says(&fixture, run(ours, 1), &["one"]).await;
        says(&fixture, run(ours, 1), &["two", "three"]).await;
        says(&fixture, run(others, 0), &["four"]).await;
        assert_eq!(text(&live.next().await), format!("#{ours} qa: “three”"));
        let spent = Spent { cost: MicroUsd(12_300), ..Spent::default() };
        happens(
            &fixture,
            run(ours, 2),
            Body::Meanwhile(Meanwhile::Metered { run: run(ours, 2), spent, estimated: false, request: None }),
        )
        .await;
        says_at(&fixture, run(ours, 2), &["five"], 7).await;
        live.read().await.unwrap();
        let latest = live.latest.get_mut(&ours).unwrap();
        assert!(latest.action.is_some() && latest.due > Instant::now(), "it is kept until it is due");
        latest.due = Instant::now();
        assert_eq!(
            text(&live.next().await),
            format!("#{ours} impl, turn 7, $0.0123: “five”"),
            "nothing is lost by waiting"
        );
        fixture.stop().await;
    }

    #[tokio::test]
    async fn an_agent_that_has_ended_does_nothing_any_more() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let task = task(&fixture, CHAT).await;
        let mut live = Live::new(fixture.conversation.desk.clone(), CHAT, Duration::ZERO);
        live.read().await.unwrap();
        let run = run(task, 0);
        says(&fixture, run, &["one"]).await;
        let end = RunEnd { cause: EndCause::Exited, exit_code: Some(0), stderr_tail: String::new() };
        let outcome = Outcome {
            status: OutcomeStatus::Completed,
            message: String::new(),
            session: None,
            usage: borg_core::budget::Usage::default(),
            claimed_cost_micros: None,
            turns: None,
            retry_after_ms: None,
        };
        happens(&fixture, run, Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms: 1, start_error: None }))
            .await;
        live.read().await.unwrap();
        assert!(live.latest.is_empty(), "it is no news any more");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn a_busy_task_hides_no_other() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let (busy, calm) = (task(&fixture, "bot:1").await, task(&fixture, "bot:2").await);
        let mut live = Live::of_transport(fixture.conversation.desk.clone(), "bot", Duration::from_secs(3600));
        live.read().await.unwrap();
        says(&fixture, run(calm, 1), &["one"]).await;
        says(&fixture, run(busy, 1), &["two"]).await;
        says(&fixture, run(busy, 1), &["three"]).await;
        let told = [live.next().await, live.next().await];
        let mut told: Vec<&str> = told.iter().map(text).collect();
        told.sort_unstable();
        assert_eq!(told, [format!("#{busy} qa: “three”"), format!("#{calm} qa: “one”")]);
        says(&fixture, run(busy, 1), &["four"]).await;
        live.read().await.unwrap();
        assert!(live.latest[&busy].due > Instant::now(), "each at its own pace");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn a_chat_that_moves_is_told_where_it_is_now() {
        let fixture = Fixture::start(&[("console:1", Role::Owner)], None).await;
        let task = task(&fixture, "bot:1").await;
        let mut live = Live::of_transport(fixture.conversation.desk.clone(), "bot", Duration::ZERO);
        live.read().await.unwrap();
        says(&fixture, run(task, 1), &["one"]).await;
        live.read().await.unwrap();
        let body = Body::Chat(ChatEvent::ChatMoved { from: "bot:1".into(), to: "bot:9".into() });
        fixture.handle.post(Event { at_ms: 0, owner: Owner::Host, settles: None, body }).await.unwrap();
        assert_eq!(live.next().await.chat, "bot:9");
        fixture.stop().await;
    }
}
