//! Tells people. What a frontend away from the host needs beside the words is fetched here: a review there comes with its change, for
//! nobody can look at it otherwise.

use super::{Doers, chain};
use borg_core::{
    chat::{Document, Notice, NoticeKind, Part},
    event::Body,
    task::Task,
};

/// Longest change that goes with a review, in bytes.
const CHANGE: usize = 512 << 10;

impl Doers {
    pub(super) async fn tell(&self, key: &str, notice: Box<Notice>, task: Option<&Task>) -> Body {
        let told = match task {
            Some(task) if notice.kind == NoticeKind::Review && self.chats.is_by_mail(&notice.chat) => {
                self.chats.tell(key, &self.with_change(&notice, task).await).await
            }
            Some(_) | None => self.chats.tell(key, &notice).await,
        };
        // The journal keeps the words; the change is in the mirror.
        match told {
            Ok(()) => Body::Told { notice },
            Err(reason) => Body::TellFailed { reason },
        }
    }

    /// The notice with its change, to look at and as a file; one that cannot be read is told as such.
    async fn with_change(&self, notice: &Notice, task: &Task) -> Notice {
        let mut notice = notice.clone();
        let (Some(base), Some(head)) = (&task.base, &task.head) else { return notice };
        let mirror = self.workspace.mirror(&task.spec.repository);
        match self.workspace.patch(&mirror, &base.commit, head, CHANGE).await {
            Ok((change, _)) if change.trim().is_empty() => {}
            Ok((mut change, is_whole)) => {
                if !is_whole {
                    change.push_str(&format!("\n… cut; `borg-host task diff {}` shows all of it\n", task.id()));
                }
                notice.parts.push(Part::Diff(change.clone()));
                notice.document = Some(Document { name: format!("{}.diff", notice.topic), text: change });
            }
            Err(error) => {
                notice.parts.push(Part::Text(format!("the change cannot be shown here: {}", chain(&error))));
            }
        }
        notice
    }
}
