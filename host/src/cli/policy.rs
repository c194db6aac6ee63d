//! Policies as shipped, and edits of policy files that keep what people wrote: comments, order, spacing. Nothing is written that policy
//! would not take.

use super::failure::{Code, problem};
use anyhow::{Context, Result};
use borg_core::policy::{Policy, parse, source::SourceFile};
use borg_host::policies::{self, PolicyError};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use toml_edit::DocumentMut;

/// The policies every installation starts from, by their path in the folder.
pub const SHIPPED: [(&str, &str); 9] = [
    ("README.md", include_str!("../../../policies/README.md")),
    ("executors.toml", include_str!("../../../policies/executors.toml")),
    ("host.toml", include_str!("../../../policies/host.toml")),
    ("people.toml", include_str!("../../../policies/people.toml")),
    ("personas.toml", include_str!("../../../policies/personas.toml")),
    ("pipelines/ask.toml", include_str!("../../../policies/pipelines/ask.toml")),
    ("pipelines/feature.toml", include_str!("../../../policies/pipelines/feature.toml")),
    ("pipelines/quick.toml", include_str!("../../../policies/pipelines/quick.toml")),
    ("repos.toml", include_str!("../../../policies/repos.toml")),
];

/// The folder of policy files as it is, parsed and as documents to edit.
pub struct Folder {
    path: PathBuf,
    files: Vec<SourceFile>,
}

impl Folder {
    /// Reads the folder; its files must be in order, so that an edit's own faults can be told from older ones.
    pub fn read(path: &Path) -> Result<(Folder, Policy)> {
        let files = policies::sources(path)?;
        let policy = check(&files)?;
        Ok((Folder { path: path.to_owned(), files }, policy))
    }

    /// Name, below the folder, of the file that holds `section.name`.
    pub fn holder(&self, section: &str, name: &str) -> Option<String> {
        let holds = |file: &&SourceFile| {
            let document: Option<DocumentMut> = file.text.parse().ok();
            document.is_some_and(|document| document.get(section).and_then(|table| table.get(name)).is_some())
        };
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

/// Puts a new text in place of a file, whole or not at all; a running host that looks meanwhile sees the old one.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let failed = || format!("writing {}", path.display());
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut fresh = tempfile::Builder::new().prefix(".new-").tempfile_in(folder).with_context(failed)?;
    fresh.write_all(text.as_bytes()).with_context(failed)?;
    let mode = fs::metadata(path).map(|found| found.permissions());
    let mode = mode.unwrap_or_else(|_| std::os::unix::fs::PermissionsExt::from_mode(0o644));
    fresh.as_file().set_permissions(mode).with_context(failed)?;
    fresh.as_file().sync_all().with_context(failed)?;
    fresh.persist(path).with_context(failed)?;
    Ok(())
}

/// The policy, completed by the settings; all of its errors at once.
pub fn load(settings: &borg_host::settings::Settings) -> Result<Policy> {
    Ok(policies::load(&settings.policies(), &settings.defaults()?)?.0)
}

/// An error of somebody who gave a name that policy does not know.
pub fn unknown_repository(name: &str, policy: &Policy) -> anyhow::Error {
    let nearest = borg_core::policy::source::nearest(name, policy.repos.keys().map(String::as_str));
    let known = match policy.repos.len() {
        0 => "there is none yet: `borg-host repo add owner/name PATH`".to_owned(),
        _ if !nearest.is_empty() => nearest,
        _ => "`borg-host repo list` shows those there are".to_owned(),
    };
    problem(Code::Failed, format!("no repository is called `{name}`"), known)
}
