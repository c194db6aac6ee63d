//! Collection, when the sandbox is dead for certain.

use super::{Doers, chain};
use crate::workspace::Collect;
use borg_core::{
    effect::CollectOrder,
    event::{Answer, Body},
    executor::EndCause,
};

impl Doers {
    pub(super) async fn collect(&self, order: CollectOrder) -> Body {
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
            mirror: self.mirror(&order.repository),
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
        let _lock = self.locks.lock(&order.repository).await;
        match self.workspace.collect(&collect).await {
            Ok(collected) => {
                if let Err(error) = self.workspace.consolidate(&collect.mirror).await {
                    tracing::warn!(error = chain(&error), "the packs of a mirror stay as many as they are");
                }
                Body::Answer(Answer::Collected { run, collected })
            }
            Err(error) => Body::Answer(Answer::CollectFailed { run, reason: chain(&error) }),
        }
    }
}
