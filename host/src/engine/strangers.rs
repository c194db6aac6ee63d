//! Strangers may knock as often as they like: one refusal of each in an hour is an event, the rest is counted, and there is room for
//! so many strangers only. An event is durable, so it must not be theirs to make.

use borg_core::people::PersonId;
use std::collections::BTreeMap;

/// Time in which one refusal of a stranger is noted, in milliseconds.
const QUIET_MS: u64 = 3_600_000;
/// Strangers noted in that time; what more come are counted together.
const NOTED: usize = 100;

/// Who knocked lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: BTreeMap<PersonId, Knocks>,
    /// Knocks of strangers there was no room for.
    others: u32,
}

#[derive(Debug)]
struct Knocks {
    noted_ms: u64,
    untold: u32,
}

impl Strangers {
    /// Takes a refusal: none where it is only counted, else how many were since the last that was noted.
    pub fn knock(&mut self, person: &PersonId, now_ms: u64) -> Option<u32> {
        let is_quiet = |knocks: &Knocks| now_ms.saturating_sub(knocks.noted_ms) < QUIET_MS;
        if let Some(knocks) = self.known.get_mut(person).filter(|knocks| is_quiet(knocks)) {
            knocks.untold = knocks.untold.saturating_add(1);
            return None;
        }
        let mut untold = self.known.remove(person).map_or(0, |knocks| knocks.untold);
        if self.known.len() >= NOTED {
            self.known.retain(|_, knocks| is_quiet(knocks));
        }
        if self.known.len() >= NOTED {
            self.others = self.others.saturating_add(1);
            return None;
        }
        untold = untold.saturating_add(std::mem::take(&mut self.others));
        self.known.insert(person.clone(), Knocks { noted_ms: now_ms, untold: 0 });
        Some(untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_journal_does_not_grow_by_knocking() {
        use crate::fixture::Fixture;
        use borg_core::{
            event::{Body, HostEvent},
            intent::Intent,
            people::Role,
        };
        let fixture = Fixture::start(&[("console:1", Role::Owner), ("console:2", Role::Guest)], None).await;
        for person in ["telegram:6", "console:2"] {
            for _ in 0..20 {
                let reply = fixture.handle.intend(PersonId(person.into()), Intent::Pause, None).await.unwrap();
                assert!(matches!(reply, crate::engine::Reply::Refused { .. }), "every one of them is answered");
            }
        }
        let events = fixture.conversation.desk.events(0, None, 1_000).await.unwrap();
        let denied = |person: &str| {
            let is = |body: &Body| matches!(body, Body::Host(HostEvent::PersonDenied { by, .. }) if by.0 == person);
            events.iter().filter(|recorded| is(&recorded.event.body)).count()
        };
        assert_eq!((denied("telegram:6"), denied("console:2")), (1, 20), "of people who are known nothing is left out");
        fixture.stop().await;
    }

    fn stranger(n: usize) -> PersonId {
        PersonId(format!("telegram:{n}"))
    }

    #[test]
    fn one_is_noted_and_the_rest_counted() {
        let mut strangers = Strangers::default();
        assert_eq!(strangers.knock(&stranger(1), 5), Some(0));
        for n in 0..1_000 {
            assert_eq!(strangers.knock(&stranger(1), 5 + n), None);
        }
        assert_eq!(strangers.knock(&stranger(2), 5), Some(0), "another one is another matter");
        assert_eq!(strangers.knock(&stranger(1), 5 + QUIET_MS), Some(1_000));
        assert_eq!(strangers.knock(&stranger(1), 5 + QUIET_MS), None);
    }

    #[test]
    fn a_crowd_makes_no_more_of_it() {
        let mut strangers = Strangers::default();
        let noted = (0..10_000).filter(|n| strangers.knock(&stranger(*n), 1).is_some()).count();
        assert_eq!((noted, strangers.known.len()), (NOTED, NOTED));
        assert_eq!(strangers.knock(&stranger(20_000), 1 + QUIET_MS), Some(10_000 - NOTED as u32));
    }
}
