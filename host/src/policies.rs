//! Policy files on disk: read, completed by settings, watched.

use crate::settings::Defaults;
use borg_core::{
    id::Digest,
    policy::{
        Policy, SecretSource, parse,
        source::{Diagnostic, SourceFile},
    },
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Largest policy file, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Why there is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy folder {path} cannot be read: {source}. `borg-host init` makes one")]
    Folder { path: PathBuf, source: io::Error },
    #[error("{path} cannot be read: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("policy is not in order:\n{}", .0.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Diagnostic>, Vec<SourceFile>),
}

/// Reads `*.toml` and `pipelines/*.toml` of a folder, in the order of their names.
pub fn sources(folder: &Path) -> Result<Vec<SourceFile>, PolicyError> {
    let mut files = Vec::new();
    for (dir, needed) in [(folder.to_owned(), true), (folder.join("pipelines"), false)] {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if !needed && error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => return Err(PolicyError::Folder { path: dir, source }),
        };
        for entry in entries {
            let path = entry.map_err(|source| PolicyError::Folder { path: dir.clone(), source })?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(read(folder, &path)?);
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn read(folder: &Path, path: &Path) -> Result<SourceFile, PolicyError> {
    let fail = |source| PolicyError::File { path: path.to_owned(), source };
    if fs::metadata(path).map_err(fail)?.len() > FILE_LIMIT {
        return Err(fail(io::Error::other(format!("it is larger than {FILE_LIMIT} bytes"))));
    }
    let text = fs::read_to_string(path).map_err(fail)?;
    let relative = path.strip_prefix(folder).unwrap_or(path).display();
    Ok(SourceFile { name: format!("policies/{relative}"), text })
}

/// Reads and checks a folder of policy files.
pub fn load(folder: &Path, defaults: &Defaults) -> Result<(Policy, Vec<SourceFile>), PolicyError> {
    let files = sources(folder)?;
    match parse::parse(&files) {
        Ok(policy) => Ok((complete(policy, defaults), files)),
        Err(errors) => Err(PolicyError::Wrong(errors, files)),
    }
}

/// Parses sources that were kept, as [`load`] did when they were read.
pub fn parse(files: &[SourceFile], defaults: &Defaults) -> Option<Policy> {
    parse::parse(files).ok().map(|policy| complete(policy, defaults))
}

/// Fills in what policy leaves open from the settings.
pub fn complete(mut policy: Policy, defaults: &Defaults) -> Policy {
    if *defaults == Defaults::default() {
        return policy;
    }
    policy.digest = Digest::of_parts([&policy.digest.0[..], format!("{defaults:?}").as_bytes()]);
    if let Some(name) = &defaults.repository
        && policy.repos.contains_key(name)
    {
        policy.host.repository.get_or_insert_with(|| name.clone());
    }
    for repo in policy.repos.values_mut() {
        repo.check = repo.check.take().or_else(|| defaults.check.clone());
    }
    for executor in policy.executors.values_mut() {
        if let Some(image) = &defaults.image {
            executor.image.clone_from(image);
        }
        if let Some(wall_ms) = defaults.wall_ms {
            executor.wall_ms = executor.wall_ms.min(wall_ms);
        }
        executor.model = executor.model.take().or_else(|| defaults.model.clone());
    }
    if defaults.claude_token {
        policy.secrets.insert("claude".into(), SecretSource::Env("CLAUDE_CODE_OAUTH_TOKEN".into()));
    }
    policy
}

/// What tells that files changed, without reading them: names, sizes, modification times.
pub fn fingerprint(folder: &Path) -> Digest {
    use std::os::unix::fs::MetadataExt;
    let mut parts = Vec::new();
    for dir in [folder.to_owned(), folder.join("pipelines")] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if let Ok(found) = entry.metadata() {
                parts.push(format!("{:?} {} {} {}", entry.path(), found.len(), found.mtime(), found.mtime_nsec()));
            }
        }
    }
    parts.sort();
    Digest::of_parts(parts.iter().map(String::as_bytes))
}
