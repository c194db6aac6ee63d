//! What a sandbox shows of a run's folders.

use crate::{sandbox::RunDirs, workspace::RunDir};

/// The folders of a run as its sandbox shows them, without agent and base.
pub(super) fn shown(dirs: &RunDir) -> RunDirs {
    RunDirs {
        workspace: dirs.workspace.clone(),
        input: dirs.input.clone(),
        out: dirs.out.clone(),
        home: dirs.home.clone(),
        run: dirs.run.clone(),
        agent: None,
        base_repo: None,
    }
}
