//! Delivery: of an approved change, or of an answer.

use super::given::handoffs;
use crate::{
    causes::chain,
    forge::branch::{self, Delivered, Delivery},
    git::source::Source,
    workspace::Workspace,
};
use borg_core::{
    dispatch::Delivering,
    effect::DeliverOrder,
    event::{Answer, Body},
    intent::Intent,
    kept::Kept,
    owner::Owner,
    policy::Via,
    remedy::Advice,
};

/// What a person says once the way is free.
fn retry(owner: Owner) -> Advice {
    owner.task().map_or_else(|| "try again".into(), |task| Intent::Retry { task }.into())
}

pub(super) struct Deliverer {
    pub workspace: Workspace,
}

impl Deliverer {
    pub async fn deliver(&self, what: Delivering) -> Body {
        match what.order.via {
            Via::Branch => self.branch(what).await,
            Via::Reply | Via::None => self.reply(what).await,
        }
    }

    /// Only words leave the host: the answer, where one was written to a file.
    async fn reply(&self, what: Delivering) -> Body {
        let Delivering { order, owner, url: _ } = what;
        match handoffs(&self.workspace, order.answer.as_slice()).await {
            Ok(mut texts) => {
                let answer = texts.pop().map(|answer| Kept::new(answer.text));
                let (branch, commit) = (String::new(), order.commit);
                Body::Answer(Answer::Delivered { branch, commit, pushed_to: None, answer })
            }
            Err(error) => Body::Answer(Answer::DeliverFailed {
                reason: format!("the answer cannot be read: {}", chain(&error)),
                remedy: Advice::from("`borg-host doctor`, then ").and(&retry(owner)),
            }),
        }
    }

    async fn branch(&self, what: Delivering) -> Body {
        let Delivering { order: DeliverOrder { branch, commit, repository, .. }, owner, url } = what;
        let failed = |reason: String, remedy: Advice| Body::Answer(Answer::DeliverFailed { reason, remedy });
        let Some(url) = url else {
            return failed(format!("{repository} is no longer in policy"), "add it again, then retry".into());
        };
        let target: Source = match url.parse() {
            Ok(target) => target,
            Err(error) => return failed(chain(&error), "mend `url` in policies/repos.toml, then retry".into()),
        };
        let place = target.path().display().to_string();
        let git = self.workspace.git();
        let lock = git.lock(&self.workspace.mirror(&repository)).await;
        let delivery = Delivery { target, branch, commit };
        match branch::deliver(git, &lock, &delivery).await {
            Ok(Delivered::Pushed | Delivered::AlreadyThere) => Body::Answer(Answer::Delivered {
                branch: delivery.branch,
                commit: delivery.commit,
                pushed_to: Some(place),
                answer: None,
            }),
            Err(error) => failed(chain(&error), retry(owner).words(" tries the delivery again")),
        }
    }
}
