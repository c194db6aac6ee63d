//! Runs the Git commands whose output the survey reads, and fetches the texts it asks for. What they mean is `core::survey`.

use super::{Error, Result, Workspace, blocking, surveys::Which, tree};
use crate::git::mirror::Mirror;
use borg_core::{
    collect::CommitId,
    survey::{self, Collisions, Survey},
};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of the raw list that are read; one row is about a hundred bytes.
const RAW_BYTES: usize = 32 << 20;
/// Bytes of whole texts that are read for one survey, of all files together.
const TEXTS_BYTES: usize = 64 << 20;
/// Texts read at once.
const LOT: usize = 16;

/// Held while the attributes of a mirror are written; a data directory has one host.
static WRITING: Mutex<()> = Mutex::new(());

impl Workspace {
    /// Facts about the files that differ between two commits of a mirror.
    ///
    /// A survey that was made lately is not made again; one that is not whole is kept like any other, since it would not be whole again.
    /// Whatever is too large is cut where `limits` say so and makes the survey `incomplete`.
    pub async fn survey(
        &self,
        mirror: &Mirror,
        base: &CommitId,
        head: &CommitId,
        limits: survey::Limits,
    ) -> Result<Arc<Survey>> {
        let which = Which { mirror: mirror.dir.clone(), base: base.clone(), head: head.clone(), limits };
        if let Some(known) = self.surveys.get(&which) {
            return Ok(known);
        }
        let survey = Arc::new(self.survey_anew(mirror, base, head, limits).await?);
        self.surveys.keep(which, &survey);
        Ok(survey)
    }

    async fn survey_anew(
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
        if raw.len() >= RAW_BYTES {
            survey.incomplete.push(format!("the list of changed files is longer than {RAW_BYTES} bytes"));
        }
        let (mut taken, mut room) = (0, TEXTS_BYTES);
        'lots: for lot in wanted.chunks(LOT) {
            let ids = lot.iter().map(|text| text.blob.clone()).collect();
            for (wanted, text) in lot.iter().zip(self.read_blobs(mirror, ids, limits.text_bytes + 1).await?) {
                match text {
                    Some(blob) if blob.bytes.len() > room => break 'lots,
                    Some(blob) => {
                        room -= blob.bytes.len();
                        survey.set_text(wanted, &blob.bytes);
                    }
                    None => survey.incomplete.push(format!("blob {} is not in the mirror", wanted.blob)),
                }
                taken += 1;
            }
        }
        if let Some(collisions) = Collisions::of(&survey.files) {
            let collisions = self.collisions(mirror, head, collisions).await?;
            collisions.tell(&mut survey.files);
        }
        if taken < wanted.len() {
            let rest = wanted.len() - taken;
            survey.incomplete.push(format!(
                "the changed files have more than {TEXTS_BYTES} bytes of text; of {rest} only the diff was looked at"
            ));
        }
        survey.mark();
        Ok(survey)
    }

    /// Holds what a change adds against the whole tree at its head.
    async fn collisions(&self, mirror: &Mirror, head: &CommitId, mut collisions: Collisions) -> Result<Collisions> {
        let see = move |mut entries: tree::Stream<_>| {
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                collisions.see(&survey::show(&entry.path));
            }
            Ok(collisions)
        };
        self.with_tree(mirror, head, see).await
    }

    /// Sees to it that Git shows text as text. The file in the mirror outranks what the repository says of itself (gitattributes(5)), and
    /// a Git that reads `.gitattributes` of a bare repository's `HEAD` obeys it all the same.
    async fn show_text(&self, mirror: &Mirror) -> Result<()> {
        let folder = mirror.dir.join("info");
        blocking(move || {
            let _one_at_a_time = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
            let (file, text) = (folder.join("attributes"), survey::attributes());
            if std::fs::read(&file).is_ok_and(|found| found == text.as_bytes()) {
                return Ok(());
            }
            let fault = |source| Error::io(format!("write {}", file.display()))(source);
            std::fs::create_dir_all(&folder).map_err(fault)?;
            let fresh = folder.join("attributes.new");
            std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &file)).map_err(fault)
        })
        .await
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
        self.show_text(mirror).await?;
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
