//! Git's object names: the two formats, the id of a blob, and the least a bare repository needs on disk.

use super::{Error, Result};
use sha2::Digest as _;
use std::path::Path;

/// How a repository names its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Sha1,
    Sha256,
}

impl Format {
    /// Tells the format by the length of an id in hex.
    pub fn of_id(id: &str) -> Option<Self> {
        match id.len() {
            40 => Some(Format::Sha1),
            64 => Some(Format::Sha256),
            _ => None,
        }
    }

    /// Starts the id of a blob of `size` bytes.
    pub fn blob(self, size: u64) -> Hasher {
        let mut hasher = match self {
            Format::Sha1 => Hasher::Sha1(sha1::Sha1::new()),
            Format::Sha256 => Hasher::Sha256(sha2::Sha256::new()),
        };
        hasher.update(format!("blob {size}\0").as_bytes());
        hasher
    }

    /// The id of a blob.
    pub fn blob_id(self, content: &[u8]) -> String {
        let mut hasher = self.blob(content.len() as u64);
        hasher.update(content);
        hasher.finish()
    }
}

/// The running id of a blob.
pub(super) enum Hasher {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Sha1(hasher) => hasher.update(bytes),
            Hasher::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub fn finish(self) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Hasher::Sha1(hasher) => hex(&hasher.finalize()),
            Hasher::Sha256(hasher) => hex(&hasher.finalize()),
        }
    }
}

/// Writes what makes a folder a repository (gitrepository-layout(5)); `HEAD` names a branch that never exists, so that no
/// tree is ever taken for attributes or as current.
pub(super) fn write_bare(dir: &Path, format: Format, borrows: Option<&Path>) -> Result<()> {
    let what = || format!("create repository {}", dir.display());
    let write = |name: &str, text: Vec<u8>| std::fs::write(dir.join(name), text).map_err(Error::io(what()));
    for folder in ["objects/info", "objects/pack", "refs/heads", "info"] {
        std::fs::create_dir_all(dir.join(folder)).map_err(Error::io(what()))?;
    }
    write("config", config(format, true).into())?;
    if let Some(lender) = borrows {
        use std::os::unix::ffi::OsStrExt;
        let mut text = lender.join("objects").as_os_str().as_bytes().to_vec();
        text.push(b'\n');
        write("objects/info/alternates", text)?;
    }
    write("HEAD", b"ref: refs/heads/none\n".to_vec())
}

/// Text of a repository's own configuration.
pub(super) fn config(format: Format, bare: bool) -> String {
    let version = match format {
        Format::Sha1 => "\trepositoryformatversion = 0\n",
        Format::Sha256 => "\trepositoryformatversion = 1\n[extensions]\n\tobjectformat = sha256\n[core]\n",
    };
    format!("[core]\n{version}\tbare = {bare}\n\tfilemode = true\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_ids_are_gits() {
        // `git hash-object` of nothing and of "hello\n".
        assert_eq!(Format::Sha1.blob_id(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(Format::Sha1.blob_id(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(Format::Sha256.blob_id(b""), "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");
    }
}
