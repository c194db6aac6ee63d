//! Reads a folder of policy files.

use borg_core::policy::source::{Diagnostic, SourceFile};
use std::{
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Largest policy file, in bytes.
pub(super) const FILE_LIMIT: u64 = 1 << 20;

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
            // What starts with a dot is an editor's.
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
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
    // Nothing here waits for whoever writes a pipe.
    let file = fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(fail)?;
    if !file.metadata().map_err(fail)?.is_file() {
        return Err(fail(io::Error::other("it is no file")));
    }
    let mut text = String::new();
    file.take(FILE_LIMIT + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(fail(io::Error::other(format!("it is larger than {FILE_LIMIT} bytes"))));
    }
    let relative = path.strip_prefix(folder).unwrap_or(path).display();
    Ok(SourceFile { name: format!("policies/{relative}"), text })
}
