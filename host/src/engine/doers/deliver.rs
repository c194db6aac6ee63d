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
    owner::Owner,
    policy::Policy,
};

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
                remedy: format!("`borg-host doctor`, then `borg-host task retry {}`", owner.label()),
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
        let failed =
            |reason: String, remedy: &str| Body::Answer(Answer::DeliverFailed { reason, remedy: remedy.to_owned() });
        let Some(repo) = policy.repos.get(repository) else {
            return failed(format!("{repository} is no longer in policy"), "add it again, then retry");
        };
        let target: Source = match repo.url.parse() {
            Ok(target) => target,
            Err(error) => return failed(chain(&error), "mend `url` in policies/repos.toml, then retry"),
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
            Err(error) => {
                failed(chain(&error), &format!("`borg-host task retry {}` tries the delivery again", owner.label()))
            }
        }
    }
}
