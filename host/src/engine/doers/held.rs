//! What an agent said of its run, held against what the gateway saw of it. The gateway knows; the agent claims.

use borg_core::{
    budget::Cap,
    executor::{Outcome, OutcomeStatus},
};
use borg_gateway::News;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// All news there is.
pub(super) fn drain(news: &mut Receiver<News>) -> Vec<News> {
    let mut all = Vec::new();
    loop {
        match news.try_recv() {
            Ok(told) => all.push(told),
            // The oldest are lost, the latest count.
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return all,
        }
    }
}

/// The outcome as the host takes it. `is_let_out` is true where the run has a way to a provider.
pub(super) fn hold(mut outcome: Outcome, cap: Option<Cap>, news: &[News], is_let_out: bool) -> Outcome {
    if outcome.status == OutcomeStatus::Completed {
        return outcome;
    }
    let (mut was_limited, mut was_refused) = (false, false);
    if let Some(cap) = cap {
        outcome.status = OutcomeStatus::Capped;
        outcome.message = format!("the budget for {cap} is used up");
    }
    for told in news {
        match told {
            News::NoCredential { why, .. } => {
                was_refused = true;
                outcome.status = OutcomeStatus::Auth;
                outcome.message.clone_from(why);
            }
            News::CredentialRejected { .. } => {
                was_refused = true;
                outcome.status = OutcomeStatus::Auth;
            }
            News::RetryAfter { ms } => {
                was_limited = true;
                outcome.retry_after_ms = ms.or(outcome.retry_after_ms);
            }
            // The journal could not be written: no fault of the attempt.
            News::LedgerFailed { why } => {
                outcome.status = OutcomeStatus::Transient;
                outcome.message.clone_from(why);
            }
            News::TooManyRefusals => {
                let said = std::mem::take(&mut outcome.message);
                outcome.message = format!(
                    "so many of its requests were refused or came to nothing that the gateway shut the door; {said}"
                );
            }
            News::Reached { .. } | News::Capped(_) => {}
        }
    }
    // Waiting for a provider uses up no attempt and may be repeated without end, so nobody's word is taken for it.
    if is_let_out && !was_limited && outcome.status == OutcomeStatus::RateLimited {
        outcome.status = OutcomeStatus::Transient;
        outcome.retry_after_ms = None;
    }
    // That a provider refused the credentials sends a person to change a secret: the gateway saw it, or it was not so.
    if is_let_out && !was_refused && outcome.status == OutcomeStatus::Auth {
        outcome.status = OutcomeStatus::Failed;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use OutcomeStatus::{Auth, Capped, Completed, Failed, RateLimited, Transient};

    fn said(status: OutcomeStatus) -> Outcome {
        Outcome {
            status,
            message: "so it says".into(),
            session: None,
            usage: borg_core::budget::Usage::default(),
            claimed_cost_micros: None,
            turns: None,
            retry_after_ms: Some(86_400_000),
        }
    }

    #[test]
    fn the_gateways_word_counts() {
        let why = || "why".to_owned();
        let limited = |ms| News::RetryAfter { ms };
        for (claim, cap, news, status, words) in [
            (Failed, None, vec![], Failed, "so it says"),
            (Failed, Some(Cap::Cost), vec![], Capped, "cost"),
            (Failed, None, vec![News::NoCredential { secret: why(), why: why() }], Auth, "why"),
            (Failed, None, vec![News::LedgerFailed { why: why() }], Transient, "why"),
            (Failed, None, vec![News::TooManyRefusals], Failed, "shut the door; so it says"),
            (RateLimited, None, vec![limited(Some(3))], RateLimited, "so it says"),
            (RateLimited, None, vec![], Transient, "so it says"),
            (Auth, None, vec![], Failed, "so it says"),
            (Auth, None, vec![News::NoCredential { secret: why(), why: why() }], Auth, "why"),
            (Completed, Some(Cap::Turns), vec![limited(None), News::TooManyRefusals], Completed, "so it says"),
        ] {
            let held = hold(said(claim), cap, &news, true);
            assert_eq!(held.status, status, "{claim:?} {news:?}");
            assert!(held.message.contains(words), "{held:?}");
        }
    }

    #[test]
    fn how_long_to_wait_is_the_providers_to_say() {
        let limited = |ms| [News::RetryAfter { ms }];
        assert_eq!(hold(said(RateLimited), None, &limited(Some(3)), true).retry_after_ms, Some(3));
        assert_eq!(hold(said(Transient), None, &limited(Some(3)), true).retry_after_ms, Some(3));
        assert_eq!(hold(said(RateLimited), None, &[], true).retry_after_ms, None, "nobody limited it");
        // Without a provider of ours there is nobody else to ask.
        assert_eq!(hold(said(RateLimited), None, &[], false).status, RateLimited);
    }
}
