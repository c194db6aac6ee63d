//! Forgets a run on disk.

use super::{Error, Result, Workspace, blocking, quarantine, remove::remove_tree};
use borg_core::id::RunKey;
use std::path::Path;

impl Workspace {
    /// Removes a run's directory, and quarantines of it that outlived a cancelled collection; nothing being there is fine.
    pub async fn discard(&self, run: RunKey) -> Result<()> {
        let dir = self.run_dir(run).root;
        let quarantines = self.data.join("quarantine");
        blocking(move || {
            let removed = |path: &Path| remove_tree(path).map_err(Error::io(format!("remove {}", path.display())));
            for path in quarantine::of_run(&quarantines, run)? {
                removed(&path)?;
            }
            removed(&dir)
        })
        .await
    }
}
