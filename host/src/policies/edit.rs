//! Edits of policy files that keep what people wrote: comments, order, spacing. Nothing is written that policy would not take.

use super::{PolicyError, sources};
use anyhow::{Context, Result};
use borg_core::policy::{Policy, parse, source::SourceFile};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use toml_edit::DocumentMut;

/// The folder of policy files as it is, parsed and as documents to edit.
pub struct Folder {
    path: PathBuf,
    files: Vec<SourceFile>,
}

impl Folder {
    /// Reads the folder; its files must be in order, so that an edit's own faults can be told from older ones.
    pub fn read(path: &Path) -> Result<(Folder, Policy)> {
        let files = sources(path)?;
        let policy = check(&files)?;
        Ok((Folder { path: path.to_owned(), files }, policy))
    }

    /// Name, below the folder, of the file that holds `section.name`.
    pub fn holder(&self, section: &str, name: &str) -> Option<String> {
        self.find(|document| document.get(section).and_then(|table| table.get(name)).is_some())
    }

    /// Name, below the folder, of the first file of which something is true.
    pub fn find(&self, holds: impl Fn(&DocumentMut) -> bool) -> Option<String> {
        let holds = |file: &&SourceFile| file.text.parse::<DocumentMut>().is_ok_and(|document| holds(&document));
        self.files.iter().find(holds).map(|file| below(file).to_owned())
    }

    /// Edits one file, which need not exist, and writes it if policy as a whole takes the result.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut DocumentMut) -> Result<()>) -> Result<PathBuf> {
        let mut files = self.files.clone();
        let at = match files.iter().position(|file| below(file) == name) {
            Some(at) => at,
            None => {
                files.push(SourceFile { name: format!("policies/{name}"), text: String::new() });
                files.len() - 1
            }
        };
        let mut document: DocumentMut =
            files[at].text.parse().with_context(|| format!("reading {}", files[at].name))?;
        change(&mut document)?;
        files[at].text = document.to_string();
        let text = files[at].text.clone();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        check(&files)?;
        let path = self.path.join(name);
        replace(&path, &text)?;
        Ok(path)
    }
}

fn below(file: &SourceFile) -> &str {
    file.name.strip_prefix("policies/").unwrap_or(&file.name)
}

fn check(files: &[SourceFile]) -> Result<Policy, PolicyError> {
    parse::parse(files).map_err(|errors| PolicyError::Wrong(errors, files.to_vec()))
}

/// Puts a new text in place of a file, whole or not at all, with the mode it had; a running host that looks meanwhile sees the old one.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    // A link stays one: what it stands for is edited.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = || format!("writing {}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).with_context(failed)?;
    fresh.write_all(text.as_bytes()).with_context(failed)?;
    let mode = fs::metadata(path).map(|found| found.permissions());
    let mode = mode.unwrap_or_else(|_| fs::Permissions::from_mode(0o644));
    fresh.as_file().set_permissions(mode).with_context(failed)?;
    fresh.as_file().sync_all().with_context(failed)?;
    fresh.persist(path).with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_edit_keeps_mode_and_link_and_nothing_out_of_order_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, real) = (dir.path().join("policies"), dir.path().join("kept.toml"));
        fs::create_dir(&folder).unwrap();
        fs::write(&real, "# ours\n[verdict]\nreview = 2\n").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, folder.join("host.toml")).unwrap();
        fs::write(folder.join(".host.toml"), "nonsense").unwrap();
        let set = |value: i64| {
            move |document: &mut DocumentMut| {
                document["verdict"]["review"] = toml_edit::value(value);
                Ok(())
            }
        };
        let (opened, _) = Folder::read(&folder).unwrap();
        assert_eq!(opened.holder("verdict", "review").as_deref(), Some("host.toml"));
        opened.edit("host.toml", set(3)).unwrap();
        assert!(fs::symlink_metadata(folder.join("host.toml")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "# ours\n[verdict]\nreview = 3\n");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        opened.edit("host.toml", set(900)).unwrap_err();
        assert_eq!(fs::read_to_string(&real).unwrap(), "# ours\n[verdict]\nreview = 3\n");
    }
}
