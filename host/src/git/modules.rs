//! What Git's own checks refuse in a `.gitmodules`: told by `repo check`, before a task trips over it at the fetch.
//!
//! Which lines those are is Git's to know (`fetch.fsckObjects`, git-fsck(1)): it is asked with a repository of ours that holds nothing
//! but that file.

use super::{Call, Error, Git, concat, config, source::Local};
use crate::spawn::{Stdin, Stdout, User};
use std::path::Path;

/// Largest `.gitmodules` that is looked at, in bytes.
const FILE_BYTES: usize = 1 << 20;

impl Git {
    /// Git's complaints about the `.gitmodules` of a branch; none where there is no such file. `probe` is where a repository of ours may
    /// be made: a folder that is not there yet.
    ///
    /// # Errors
    /// When the branch cannot be read, or Git not be run.
    pub async fn refused_modules(&self, peer: &Local, branch: &str, probe: &Path) -> Result<Vec<String>, Error> {
        let tree = format!("refs/heads/{branch}");
        let row = self.run(self.on_foreign(peer, "ls-tree").args(["-z", &tree, ".gitmodules"])).await?.stdout;
        let row = String::from_utf8_lossy(&row);
        // MODE SP TYPE SP ID TAB PATH NUL (git-ls-tree(1)).
        let fields: Vec<&str> = row.split([' ', '\t']).collect();
        let [mode, "blob", blob, _] = fields[..] else { return Ok(Vec::new()) };
        let read = self.on_foreign(peer, "cat-file").args(["blob", blob]);
        let text = self.run(read.stdout(Stdout::Capture { limit: FILE_BYTES })).await?.stdout;

        std::fs::create_dir(probe).map_err(|source| Error::Prepare { path: probe.to_owned(), source })?;
        self.run(self.anywhere("init").args(["--quiet", "--bare"]).arg(probe).writes(probe)).await?;
        let store = self.on(probe, "hash-object").args(["-w", "--stdin"]).stdin(Stdin::Bytes(text));
        let blob = self.run(store).await?.stdout;
        let row = format!("{mode} blob {}\t.gitmodules\0", String::from_utf8_lossy(&blob).trim());
        self.run(self.on(probe, "mktree").arg("-z").stdin(Stdin::Bytes(row.into_bytes()))).await?;
        // It fails where it finds something: that is the answer.
        let told = self.attempt(self.on(probe, "fsck").args(["--no-dangling", "--no-progress"])).await?;
        let complaints = told.stderr.lines().filter(|line| line.starts_with("error in "));
        let complaints: Vec<String> =
            complaints.filter_map(|line| line.split_once(": ")).map(|(_, why)| why.to_owned()).collect();
        if complaints.is_empty() {
            self.check("fsck", told)?;
        }
        Ok(complaints)
    }

    /// A call that reads a repository of somebody else, as its owner.
    fn on_foreign(&self, peer: &Local, what: &str) -> Call {
        let mut call = self.anywhere(what).reads(&peer.git_dir);
        call.global.push(concat("--git-dir=", &peer.git_dir));
        call.env = config::foreign_environment(&self.home);
        call.user = User::current().is_root().then_some(peer.owner);
        call
    }
}
