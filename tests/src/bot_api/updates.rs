//! The queue of updates of one bot: what goes in, how long it is kept, what an offset gives and confirms.
//!
//! Source: the published source of the Bot API server. Who may poll, and waiting, are in `poll.rs`.

use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, VecDeque};

/// Seconds an unconfirmed update is kept.
pub(super) const DAY_S: i64 = 86_400;
/// Seconds a press of a button is kept.
pub(super) const PRESS_S: i64 = 150;
/// An answer is cut before it exceeds this many bytes.
const ANSWER_LIMIT: usize = 1 << 22;
/// How far behind the end an offset may point; from there on it is taken for nonsense and confirms nothing.
const FUTURE: i64 = 10;

/// All kinds a bot can ask for.
const KINDS: [&str; 27] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "guest_message",
    "stopped_message_generation",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "callback_query",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "my_chat_member",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
    "managed_bot",
    "subscription",
];
/// Kinds a bot gets only when it names them.
const ON_DEMAND: [&str; 3] = ["message_reaction", "message_reaction_count", "chat_member"];

#[derive(Debug)]
struct Pending {
    id: i64,
    /// Unix seconds.
    expires: i64,
    update: Value,
}

#[derive(Debug)]
pub(super) struct Updates {
    next_id: i64,
    queue: VecDeque<Pending>,
    /// Kinds let in, and whether that is the default.
    allowed: Option<BTreeSet<String>>,
    /// Every update that was let in, in order.
    made: Vec<Value>,
    /// Given once more with the next answer, by order.
    again: Vec<Value>,
    /// How many of the next answers come in reverse, by order.
    reversed: u32,
}

impl Updates {
    pub fn new(first_id: i64) -> Self {
        Self {
            next_id: first_id,
            queue: VecDeque::new(),
            allowed: None,
            made: Vec::new(),
            again: Vec::new(),
            reversed: 0,
        }
    }

    /// Takes `allowed_updates` of a call; a list of unknown names, or none, means the default, and a missing one changes nothing.
    pub fn allow(&mut self, given: Option<&Value>) {
        let Some(Value::Array(names)) = given else { return };
        let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
        let Some(names) = names else { return };
        let known: BTreeSet<String> =
            names.iter().map(|name| name.to_ascii_lowercase()).filter(|name| KINDS.contains(&name.as_str())).collect();
        self.allowed = (!known.is_empty()).then_some(known);
    }

    /// The kinds asked for, unless it is the default.
    pub fn allowed(&self) -> Option<Vec<&String>> {
        self.allowed.as_ref().map(|allowed| allowed.iter().collect())
    }

    fn lets_in(&self, kind: &str) -> bool {
        match &self.allowed {
            Some(allowed) => allowed.contains(kind),
            None => !ON_DEMAND.contains(&kind),
        }
    }

    /// Puts an update in, unless its kind was not asked for. `now` is in Unix seconds, `life` in seconds.
    pub fn push(&mut self, kind: &str, value: Value, life: i64, now: i64) -> Option<i64> {
        self.lets_in(kind).then(|| {
            let mut fields = Map::new();
            fields.insert(kind.to_owned(), value);
            self.push_raw(fields, life, now)
        })
    }

    /// Puts in whatever it is given.
    pub fn push_raw(&mut self, fields: Map<String, Value>, life: i64, now: i64) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        let mut update = json!({ "update_id": id });
        fields.into_iter().for_each(|(field, value)| update[field] = value);
        self.made.push(update.clone());
        self.queue.push_back(Pending { id, expires: now + life, update });
        id
    }

    /// What an offset gives: forgets what lies before it, and what is too old.
    pub fn get(&mut self, offset: i64, limit: usize, now: i64) -> Vec<Value> {
        self.queue.retain(|pending| pending.expires > now);
        let from = match offset {
            0 => 0,
            back if back < 0 => self.next_id + back,
            ahead if ahead > self.next_id + FUTURE => 0,
            offset => offset,
        };
        self.queue.retain(|pending| pending.id >= from);
        let mut answer = std::mem::take(&mut self.again);
        let mut size = 0;
        for pending in self.queue.iter().take(limit) {
            size += 50 + pending.update.to_string().len();
            if size > ANSWER_LIMIT {
                break;
            }
            answer.push(pending.update.clone());
        }
        if self.reversed > 0 && answer.len() > 1 {
            self.reversed -= 1;
            answer.reverse();
        }
        answer
    }

    pub fn is_empty(&self, now: i64) -> bool {
        self.again.is_empty() && !self.queue.iter().any(|pending| pending.expires > now)
    }

    pub fn pending(&self, now: i64) -> usize {
        self.queue.iter().filter(|pending| pending.expires > now).count()
    }

    pub fn drop_pending(&mut self) {
        self.queue.clear();
    }

    pub fn made(&self) -> &[Value] {
        &self.made
    }

    /// Gives an update that was made before once more, whatever was confirmed.
    pub fn repeat(&mut self, id: i64) -> bool {
        let found = self.made.iter().find(|update| update["update_id"] == id).cloned();
        let known = found.is_some();
        self.again.extend(found);
        known
    }

    pub fn reverse_next(&mut self, answers: u32) {
        self.reversed = answers;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(answer: &[Value]) -> Vec<i64> {
        answer.iter().map(|update| update["update_id"].as_i64().unwrap()).collect()
    }

    fn ten() -> Updates {
        let mut updates = Updates::new(100);
        for _ in 0..10 {
            updates.push("message", json!({}), DAY_S, 0);
        }
        updates
    }

    #[test]
    fn an_offset_confirms_what_lies_before_it() {
        let mut updates = ten();
        assert_eq!(ids(&updates.get(0, 3, 0)), [100, 101, 102]);
        assert_eq!(ids(&updates.get(0, 3, 0)), [100, 101, 102]);
        assert_eq!(ids(&updates.get(103, 2, 0)), [103, 104]);
        assert_eq!(ids(&updates.get(0, 1, 0)), [103]);
        assert_eq!(updates.pending(0), 7);
        assert_eq!(ids(&updates.get(-2, 100, 0)), [108, 109]);
        assert_eq!(updates.pending(0), 2);
        assert_eq!(ids(&updates.get(110, 100, 0)), Vec::<i64>::new());
    }

    #[test]
    fn an_offset_from_nowhere_confirms_nothing() {
        let mut updates = ten();
        assert_eq!(updates.get(9_999, 100, 0).len(), 10);
        assert_eq!(updates.get(120, 100, 0).len(), 0);
    }

    #[test]
    fn updates_are_kept_for_a_day() {
        let mut updates = ten();
        updates.push("callback_query", json!({}), PRESS_S, 0);
        assert_eq!(updates.pending(PRESS_S - 1), 11);
        assert_eq!(updates.pending(PRESS_S), 10);
        assert_eq!(updates.get(0, 100, DAY_S - 1).len(), 10);
        assert!(updates.is_empty(DAY_S));
        assert!(updates.get(0, 100, DAY_S).is_empty());
    }

    #[test]
    fn kinds_not_asked_for_are_dropped_on_arrival() {
        let mut updates = Updates::new(1);
        assert_eq!(updates.push("chat_member", json!({}), DAY_S, 0), None);
        updates.allow(Some(&json!(["chat_member", "mind_reading"])));
        assert!(updates.push("chat_member", json!({}), DAY_S, 0).is_some());
        assert_eq!(updates.push("message", json!({}), DAY_S, 0), None);
        updates.allow(None);
        assert_eq!(updates.push("message", json!({}), DAY_S, 0), None);
        updates.allow(Some(&json!([])));
        assert!(updates.push("message", json!({}), DAY_S, 0).is_some());
    }

    #[test]
    fn answers_repeat_and_turn_round_by_order() {
        let mut updates = ten();
        updates.get(110, 100, 0);
        assert!(updates.repeat(104) && !updates.repeat(7));
        assert_eq!(ids(&updates.get(110, 100, 0)), [104]);
        let mut updates = ten();
        updates.reverse_next(1);
        assert_eq!(ids(&updates.get(0, 2, 0)), [101, 100]);
        assert_eq!(ids(&updates.get(0, 2, 0)), [100, 101]);
    }
}
