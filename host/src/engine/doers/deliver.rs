//! Delivery: of an approved change, or of an answer.

use super::{Doers, chain};
use crate::{
    forge::branch::{self, Delivered, Delivery},
    git::source::Source,
};
use borg_core::{
    collect::CommitId,
    effect::InFile,
    event::{Answer, Body, Kept},
    intent::Intent,
    owner::Owner,
    policy::Policy,
    remedy::Advice,
};

/// What a person says once the way is free.
fn retry(owner: Owner) -> Advice {
    owner.task().map_or_else(|| "try again".into(), |task| Intent::Retry { task }.into())
}

impl Doers {
    /// Only words leave the host: the answer, where one was written to a file.
    pub(super) async fn reply(&self, owner: Owner, commit: CommitId, answer: Option<InFile>) -> Body {
        match self.handoffs(answer.as_slice()).await {
            Ok(mut texts) => {
                let answer = texts.pop().map(|answer| Kept::new(answer.text));
                Body::Answer(Answer::Delivered { branch: String::new(), commit, pushed_to: None, answer })
            }
            Err(error) => Body::Answer(Answer::DeliverFailed {
                reason: format!("the answer cannot be read: {}", chain(&error)),
                remedy: Advice::from("`borg-host doctor`, then ").and(&retry(owner)),
            }),
        }
    }

    pub(super) async fn deliver(
        &self,
        owner: Owner,
        (branch, commit): (&str, &CommitId),
        repository: &str,
        policy: &Policy,
    ) -> Body {
        let failed = |reason: String, remedy: Advice| Body::Answer(Answer::DeliverFailed { reason, remedy });
        let Some(repo) = policy.repos.get(repository) else {
            return failed(format!("{repository} is no longer in policy"), "add it again, then retry".into());
        };
        let target: Source = match repo.url.parse() {
            Ok(target) => target,
            Err(error) => return failed(chain(&error), "mend `url` in policies/repos.toml, then retry".into()),
        };
        let place = target.path().display().to_string();
        let delivery =
            Delivery { mirror: self.mirror(repository).dir, target, branch: branch.to_owned(), commit: commit.clone() };
        let _lock = self.locks.lock(repository).await;
        match branch::deliver(self.workspace.git(), &delivery).await {
            Ok(Delivered::Pushed | Delivered::AlreadyThere) => Body::Answer(Answer::Delivered {
                branch: branch.to_owned(),
                commit: commit.clone(),
                pushed_to: Some(place),
                answer: None,
            }),
            Err(error) => failed(chain(&error), retry(owner).words(" tries the delivery again")),
        }
    }
}
