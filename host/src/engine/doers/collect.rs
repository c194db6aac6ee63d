//! Collection, when the sandbox is dead for certain.

use crate::{
    causes::chain,
    sandbox::Sandbox,
    workspace::{Collect, Workspace},
};
use borg_core::{
    effect::CollectOrder,
    event::{Answer, Body},
    executor::EndCause,
};
use std::sync::Arc;

pub(super) struct Collector {
    pub workspace: Workspace,
    pub sandbox: Arc<Sandbox>,
}

impl Collector {
    pub async fn collect(&self, order: CollectOrder) -> Body {
        let run = order.run;
        match self.sandbox.find(run).await {
            Ok(Some(found)) if found.running => {
                if let Err(error) = self.sandbox.kill(run, EndCause::Lost).await {
                    return Body::Answer(Answer::CollectFailed { run, reason: chain(&error) });
                }
            }
            Ok(Some(_) | None) => {}
            Err(error) => return Body::Answer(Answer::CollectFailed { run, reason: chain(&error) }),
        }
        let collect = Collect {
            run,
            parent: order.parent,
            ignores: order.base,
            write: order.write,
            pinned_at: None,
            persona: order.author,
            message: order.message,
            time: i64::try_from(order.at_ms / 1000).unwrap_or(i64::MAX),
            reference: format!("refs/borg/{}/s{}-a{}", run.owner.label(), run.place, run.fence),
            artefacts: order.produces,
        };
        let lock = self.workspace.git().lock(&self.workspace.mirror(&order.repository)).await;
        match self.workspace.collect(&lock, &collect).await {
            Ok(collected) => {
                if let Err(error) = self.workspace.consolidate(&lock).await {
                    tracing::warn!(error = chain(&error), "the packs of a mirror stay as many as they are");
                }
                Body::Answer(Answer::Collected { run, collected })
            }
            Err(error) => Body::Answer(Answer::CollectFailed { run, reason: chain(&error) }),
        }
    }
}
