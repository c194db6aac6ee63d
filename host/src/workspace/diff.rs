//! Runs the Git commands whose output the survey reads, and fetches the texts it asks for. What they mean is `core::survey`.

use super::{Mirror, Result, Workspace};
use borg_core::{
    collect::CommitId,
    survey::{self, Survey},
};

/// Bytes of the raw list that are read; one row is about a hundred bytes.
const RAW_BYTES: usize = 32 << 20;

impl Workspace {
    /// Facts about the files that differ between two commits of a mirror.
    ///
    /// Whatever is too large is cut where `limits` say so and makes the survey `incomplete`.
    pub async fn survey(
        &self,
        mirror: &Mirror,
        base: &CommitId,
        head: &CommitId,
        limits: survey::Limits,
    ) -> Result<Survey> {
        let raw = self.diff(mirror, base, head, &survey::RAW_ARGS, RAW_BYTES).await?;
        let patch = self.diff(mirror, base, head, &survey::PATCH_ARGS, limits.patch_bytes + 1).await?;
        let mut survey = survey::survey(&raw, &patch, limits);
        let wanted = survey.wanted_texts();
        let ids = wanted.iter().map(|text| text.blob.clone()).collect();
        let texts = self.read_blobs(mirror, ids, limits.text_bytes + 1).await?;
        for (wanted, text) in wanted.iter().zip(texts) {
            match text {
                Some(blob) => survey.set_text(wanted, &blob.bytes),
                None => survey.incomplete.push(format!("blob {} is not in the mirror", wanted.blob)),
            }
        }
        Ok(survey)
    }

    /// The change as text for people, cut at `limit` bytes; true when that is all of it.
    pub async fn patch(
        &self,
        mirror: &Mirror,
        base: &CommitId,
        head: &CommitId,
        limit: usize,
    ) -> Result<(String, bool)> {
        let mut patch = self.diff(mirror, base, head, &survey::PATCH_ARGS, limit + 1).await?;
        let whole = patch.len() <= limit;
        patch.truncate(limit);
        Ok((String::from_utf8_lossy(&patch).into_owned(), whole))
    }

    /// Output of one diff command, cut at `limit` bytes.
    async fn diff(
        &self,
        mirror: &Mirror,
        base: &CommitId,
        head: &CommitId,
        args: &[&str],
        limit: usize,
    ) -> Result<Vec<u8>> {
        self.need_commit(mirror, base).await?;
        self.need_commit(mirror, head).await?;
        // The constants begin with options of git itself and go on with the command and its own.
        let at = args.iter().position(|arg| *arg == "diff-tree").expect("both are calls of diff-tree");
        let call = self
            .git
            .on(&mirror.dir, "diff-tree")
            .global(args[..at].iter().copied())
            .args(args[at + 1..].iter().copied());
        let mut output = self.git.attempt(call.arg(&base.0).arg(&head.0).capture(limit)).await?;
        output.truncated = false;
        Ok(self.git.check("diff-tree", output)?.stdout)
    }
}
