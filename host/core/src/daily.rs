//! What a day cost so far, and what the daily caps of policy make of that: `[host] daily` and `[people] daily`. A day is one of UTC.
//!
//! Money counts for the human who asked for the task. It is kept by identity, for which identities are one human is for the policy in force
//! to say. What a subscription pays is not in here, unless policy says that it counts.
//!
//! How one could get it wrong: by losing what is told late. A request is booked when its cost is known, which may be after its task has
//! ended, and an event may have been stamped just before midnight and come just after it. Who asked for a task is therefore known for a day
//! longer, and the day goes on only when a later one is paid for.

use crate::{budget::MicroUsd, id::TaskId, people::PersonId, policy::Policy};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Length of a day in milliseconds; those of UTC, as computers count, are all alike.
pub const DAY_MS: u64 = 86_400_000;

/// What was paid in a day, by whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Day {
    /// Days since 1970-01-01.
    number: u64,
    /// By the identity that asked for the task.
    by: BTreeMap<PersonId, MicroUsd>,
    /// For tasks of which nobody knows any more who asked for them.
    others: MicroUsd,
    /// Humans who were told that most of their money is spent.
    warned: BTreeSet<PersonId>,
    /// Who asked for tasks that ended on a day: the rest of their cost may come later.
    ended: BTreeMap<TaskId, (u64, PersonId)>,
}

/// How much of a cap is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Open,
    /// From 80 %: people are told.
    Told,
    /// From 90 %: one task at a time.
    Narrow,
    /// Nothing starts, and what runs is parked.
    Shut,
}

/// What was spent of a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    pub spent: MicroUsd,
    pub cap: MicroUsd,
}

impl Purse {
    pub fn level(&self) -> Level {
        let is_past =
            |percent: u128| u128::from(self.spent.0) * 100 >= u128::from(self.cap.0) * percent && self.spent.0 > 0;
        if is_past(100) {
            Level::Shut
        } else if is_past(90) {
            Level::Narrow
        } else if is_past(80) {
            Level::Told
        } else {
            Level::Open
        }
    }
}

impl fmt::Display for Purse {
    /// `$4.1000 of $5.0000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.spent, self.cap)
    }
}

/// Whose cap it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// `[host] daily`.
    Host,
    /// `[people] daily`, of the human in question.
    Person,
}

/// A cap that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shut {
    pub whose: Whose,
    pub purse: Purse,
    /// When its day ends, in milliseconds since 1970.
    pub until_ms: u64,
}

impl fmt::Display for Shut {
    /// Why something waits, and until when.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shut { whose, purse, .. } = self;
        let (what, key) = match whose {
            Whose::Host => ("what this host may spend in a day", "[host]"),
            Whose::Person => ("what one person may spend in a day", "[people]"),
        };
        write!(f, "{what} is used up until 00:00 UTC: {purse} (`daily` in {key})")
    }
}

impl Day {
    /// What all tasks cost on the day of a time, in milliseconds since 1970; none where there is no cap.
    pub fn host(&self, policy: &Policy, at_ms: u64) -> Option<Purse> {
        let cap = policy.host.daily?;
        let spent =
            if self.is_on(at_ms) { self.by.values().fold(self.others, |sum, paid| sum + *paid) } else { MicroUsd(0) };
        Some(Purse { spent, cap })
    }

    /// What the tasks of the human behind an identity cost on that day; none where there is no cap.
    pub fn person(&self, person: &PersonId, policy: &Policy, at_ms: u64) -> Option<Purse> {
        let cap = policy.people_daily?;
        let human = policy.human(person);
        let own = self.by.iter().filter(|(by, _)| self.is_on(at_ms) && policy.human(by) == human);
        Some(Purse { spent: own.fold(MicroUsd(0), |sum, (_, paid)| sum + *paid), cap })
    }

    /// Humans whose tasks cost something on that day, each with what; nobody where there is no cap.
    pub fn people<'a>(&'a self, policy: &'a Policy, at_ms: u64) -> BTreeMap<&'a PersonId, Purse> {
        let humans = self.by.keys().map(|by| policy.human(by));
        humans.filter_map(|human| Some((human, self.person(human, policy, at_ms)?))).collect()
    }

    /// The cap that keeps this person's tasks from starting, if one does.
    pub fn shut(&self, person: &PersonId, policy: &Policy, at_ms: u64) -> Option<Shut> {
        let purses = [(Whose::Host, self.host(policy, at_ms)), (Whose::Person, self.person(person, policy, at_ms))];
        let (whose, purse) = purses
            .into_iter()
            .filter_map(|(whose, purse)| Some((whose, purse?)))
            .find(|(_, purse)| purse.level() == Level::Shut)?;
        Some(Shut { whose, purse, until_ms: self.end_ms() })
    }

    /// Notes that somebody's task cost this much. A day that was paid for before begins anew with the first payment of another.
    pub fn pay(&mut self, task: TaskId, by: Option<&PersonId>, paid: MicroUsd, at_ms: u64) {
        if paid.is_none() {
            return;
        }
        if !self.is_on(at_ms) {
            self.number = at_ms / DAY_MS;
            self.by.clear();
            self.others = MicroUsd(0);
            self.warned.clear();
        }
        let payer = match by.or_else(|| self.ended.get(&task).map(|(_, by)| by)) {
            Some(by) => self.by.entry(by.clone()).or_default(),
            None => &mut self.others,
        };
        *payer = *payer + paid;
    }

    /// Notes who asked for a task that has ended.
    pub fn task_ended(&mut self, task: TaskId, by: &PersonId, at_ms: u64) {
        let today = at_ms / DAY_MS;
        self.ended.retain(|_, (day, _)| *day + 1 >= today);
        self.ended.insert(task, (today, by.clone()));
    }

    /// True the first time in a day that this is asked of a human: then they are to be told.
    pub fn warn(&mut self, human: &PersonId) -> bool {
        self.warned.insert(human.clone())
    }

    /// Days since 1970-01-01.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// True where a time is on this day, or a moment before it: events are stamped before they are taken.
    fn is_on(&self, at_ms: u64) -> bool {
        let day = at_ms / DAY_MS;
        day == self.number || day + 1 == self.number
    }

    fn end_ms(&self) -> u64 {
        self.number.saturating_add(1).saturating_mul(DAY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{parse, source::SourceFile};

    const PEOPLE: &str = r#"
[people]
owner = ["console:1", "telegram:1"]
member = ["telegram:2"]
same = [["console:1", "telegram:1"]]
"#;

    fn policy(more: &str) -> Policy {
        let text = format!("{PEOPLE}{more}");
        parse::parse(&[SourceFile { name: "test.toml".into(), text }]).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    fn person(name: &str) -> PersonId {
        PersonId(name.into())
    }

    #[test]
    fn levels_are_reached_and_not_nearly_reached() {
        for (spent, cap, want) in [
            (0, 1, Level::Open),
            (799_999, 1_000_000, Level::Open),
            (800_000, 1_000_000, Level::Told),
            (899_999, 1_000_000, Level::Told),
            (900_000, 1_000_000, Level::Narrow),
            (999_999, 1_000_000, Level::Narrow),
            (1_000_000, 1_000_000, Level::Shut),
            (u64::MAX, u64::MAX, Level::Shut),
            (u64::MAX, 1, Level::Shut),
            (1, u64::MAX, Level::Open),
        ] {
            assert_eq!(Purse { spent: MicroUsd(spent), cap: MicroUsd(cap) }.level(), want, "{spent} of {cap}");
        }
    }

    #[test]
    fn a_human_has_one_purse_whichever_identity_asks() {
        let policy = policy("daily = \"$1\"\n");
        let mut day = Day::default();
        let at = 5 * DAY_MS + 7;
        day.pay(TaskId(1), Some(&person("console:1")), MicroUsd(600_000), at);
        day.pay(TaskId(2), Some(&person("telegram:1")), MicroUsd(400_000), at);
        day.pay(TaskId(3), Some(&person("telegram:2")), MicroUsd(999_999), at);
        let shut = |name: &str| day.shut(&person(name), &policy, at);
        assert_eq!(shut("telegram:2"), None);
        for identity in ["console:1", "telegram:1"] {
            let found = shut(identity).expect("used up");
            assert_eq!(
                (found.whose, found.purse.spent, found.until_ms),
                (Whose::Person, MicroUsd(1_000_000), 6 * DAY_MS)
            );
            assert!(found.to_string().contains("$1.0000 of $1.0000 (`daily` in [people])"), "{found}");
        }
        // The host has no cap; without any, nothing is shut.
        assert_eq!(day.host(&policy, at), None);
        assert_eq!(day.shut(&person("console:1"), &self::policy(""), at), None);
        let people: Vec<_> =
            day.people(&policy, at).into_iter().map(|(human, purse)| (human.0.clone(), purse.spent.0)).collect();
        assert_eq!(people, [("console:1".to_owned(), 1_000_000), ("telegram:2".to_owned(), 999_999)]);
    }

    #[test]
    fn a_day_ends_at_midnight_and_what_is_told_late_is_counted() {
        let policy = policy(
            "[host]\ndaily = \"$1\"\nbudget = \"b\"\npipeline = \"p\"\n[budget.b]\n[pipeline.p]\nsummary = \"s\"\n[[pipeline.p.stage]]\nname = \"judge\"\nrules = [\"*\"]\n",
        );
        let (alice, bob) = (person("console:1"), person("telegram:2"));
        let mut day = Day::default();
        day.pay(TaskId(1), Some(&alice), MicroUsd(1_500_000), DAY_MS - 1);
        assert!(day.shut(&bob, &policy, DAY_MS - 1).is_some(), "the host's cap holds back everybody");
        assert_eq!(day.shut(&bob, &policy, DAY_MS), None);
        // A task that has ended, and another of which nothing is known.
        day.task_ended(TaskId(1), &alice, DAY_MS - 1);
        day.pay(TaskId(1), None, MicroUsd(3), DAY_MS);
        day.pay(TaskId(9), None, MicroUsd(4), DAY_MS + 1);
        // Stamped before midnight, taken after it.
        day.pay(TaskId(2), Some(&bob), MicroUsd(5), DAY_MS - 1);
        assert_eq!(day.host(&policy, DAY_MS + 2).map(|purse| purse.spent), Some(MicroUsd(12)));
        assert_eq!(day.by[&alice], MicroUsd(3));
        // A clock that was set back by days is believed.
        let mut day = Day { number: 100, ..Day::default() };
        day.pay(TaskId(1), Some(&alice), MicroUsd(7), DAY_MS);
        assert_eq!((day.number, day.host(&policy, DAY_MS).map(|purse| purse.spent)), (1, Some(MicroUsd(7))));
    }

    #[test]
    fn who_asked_is_known_for_a_day_longer() {
        let mut day = Day::default();
        for (task, at) in [(1, 0), (2, DAY_MS), (3, 2 * DAY_MS)] {
            day.task_ended(TaskId(task), &person("console:1"), at);
        }
        assert_eq!(day.ended.keys().map(|id| id.0).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_day_reads_back_as_it_was_written() {
        let mut day = Day::default();
        day.pay(TaskId(1), Some(&person("console:1")), MicroUsd(7), 3 * DAY_MS);
        day.pay(TaskId(2), None, MicroUsd(8), 3 * DAY_MS);
        day.task_ended(TaskId(1), &person("console:1"), 3 * DAY_MS);
        assert!(day.warn(&person("console:1")) && !day.warn(&person("console:1")));
        let json = serde_json::to_string(&day).unwrap();
        assert_eq!(serde_json::from_str::<Day>(&json).unwrap(), day, "{json}");
    }
}
