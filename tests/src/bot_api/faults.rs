//! Failures by order: which calls are struck, and how. Done to a call before or after it takes effect; see [`Fault`].

use super::ids::ChatId;
use std::time::Duration;

/// What happens to a call that is struck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429; nothing is done.
    TooMany { retry_after_s: u64 },
    /// A status with the HTML page of a gateway; nothing is done.
    Gateway(u16),
    /// The same, after the call was done: the bot cannot know.
    GatewayAfter(u16),
    /// A refusal in the API's own shape; nothing is done. The description is sent as it stands, prefix included.
    Refuse { code: u16, description: String },
    /// 401; nothing is done.
    Unauthorized,
    /// The connection ends without an answer; nothing was done.
    DropBefore,
    /// The connection ends without an answer, after the call was done.
    DropAfter,
    /// Done at once, answered later.
    Slow(Duration),
    /// Done (a poll is not), never answered; the connection stays open.
    Stall,
    /// Done, and answered with half of a JSON text.
    Malformed,
}

/// Which calls are struck. Counting begins when the rule is given.
#[derive(Clone, Debug)]
pub struct Rule {
    method: Option<String>,
    chat: Option<ChatId>,
    skip: u32,
    /// How many are struck; `None` until the rules are lifted.
    left: Option<u32>,
    during: Option<Duration>,
}

impl Rule {
    /// Calls of one method, in any spelling of its letters.
    pub fn on(method: &str) -> Self {
        Self { method: Some(method.to_ascii_lowercase()), ..Self::any() }
    }

    /// Every call.
    pub fn any() -> Self {
        Self { method: None, chat: None, skip: 0, left: None, during: None }
    }

    /// Only calls for this chat.
    pub fn into_chat(self, chat: ChatId) -> Self {
        Self { chat: Some(chat), ..self }
    }

    /// Only the `n`th of them, counted from 1.
    pub fn nth(self, n: u32) -> Self {
        Self { skip: n.saturating_sub(1), left: Some(1), ..self }
    }

    /// The next `n` of them.
    pub fn next(self, n: u32) -> Self {
        Self { left: Some(n), ..self }
    }

    /// For a while, from when the rule is given.
    pub fn during(self, time: Duration) -> Self {
        Self { during: Some(time), ..self }
    }
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    /// With the time each rule ends, since the start of the stand-in.
    rules: Vec<(Rule, Option<Duration>, Fault)>,
}

impl Faults {
    pub fn order(&mut self, rule: Rule, fault: Fault, now: Duration) {
        let until = rule.during.map(|during| now + during);
        self.rules.push((rule, until, fault));
    }

    pub fn lift(&mut self) {
        self.rules.clear();
    }

    /// The fault for a call. Of several rules that strike it the oldest is used, and the others count it.
    pub fn strike(&mut self, method: &str, chat: Option<ChatId>, now: Duration) -> Option<Fault> {
        self.rules.retain(|(rule, until, _)| rule.left != Some(0) && until.is_none_or(|until| now < until));
        let mut struck = None;
        for (rule, _, fault) in &mut self.rules {
            let matches = rule.method.as_deref().is_none_or(|wanted| wanted == method)
                && rule.chat.is_none_or(|wanted| Some(wanted) == chat);
            if !matches {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if struck.is_none() {
                rule.left = rule.left.map(|left| left - 1);
                struck = Some(fault.clone());
            }
        }
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_count_and_end() {
        let mut faults = Faults::default();
        let chat = ChatId(7);
        faults.order(Rule::on("sendMessage").nth(2), Fault::DropAfter, Duration::ZERO);
        faults.order(Rule::any().into_chat(chat).during(Duration::from_secs(5)), Fault::Stall, Duration::ZERO);
        let mut strike = |method, chat, at| faults.strike(method, chat, Duration::from_secs(at));
        assert_eq!(strike("sendmessage", None, 0), None);
        assert_eq!(strike("getme", None, 0), None);
        assert_eq!(strike("sendmessage", Some(chat), 0), Some(Fault::DropAfter));
        assert_eq!(strike("sendmessage", Some(chat), 1), Some(Fault::Stall));
        assert_eq!(strike("sendmessage", Some(chat), 5), None);
    }
}
