//! Delivery of an approved change.

use super::{Doers, chain};
use crate::{
    forge::branch::{self, Delivered, Delivery},
    git::source::Source,
};
use borg_core::{
    collect::CommitId,
    event::Body,
    policy::{Policy, Via},
};

impl Doers {
    pub(super) async fn deliver(&self, via: Via, branch: &str, commit: &CommitId, repository: &str, policy: &Policy) -> Body {
        match via {
            Via::Branch => {}
            Via::Reply | Via::None => {
                return Body::Delivered { branch: branch.to_owned(), commit: commit.clone(), pushed_to: None };
            }
        }
        let failed = |reason: String, remedy: &str| Body::DeliverFailed { reason, remedy: remedy.to_owned() };
        let Some(repo) = policy.repos.get(repository) else {
            return failed(format!("{repository} is no longer in policy"), "add it again, then retry");
        };
        let target: Source = match repo.url.parse() {
            Ok(target) => target,
            Err(error) => return failed(chain(&error), "mend `url` in policies/repos.toml, then retry"),
        };
        let place = target.path().display().to_string();
        let delivery = Delivery { mirror: self.mirror(repository).dir, target, branch: branch.to_owned(), commit: commit.clone() };
        let _lock = self.locks.lock(repository).await;
        match branch::deliver(self.workspace.git(), &delivery).await {
            Ok(Delivered::Pushed | Delivered::AlreadyThere) => {
                Body::Delivered { branch: branch.to_owned(), commit: commit.clone(), pushed_to: Some(place) }
            }
            Err(error) => failed(chain(&error), "`borg-host task retry N` tries the delivery again"),
        }
    }
}
