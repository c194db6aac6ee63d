//! Where a repository comes from: a local path or a `file://` URL, looked at before any Git process touches it.

use crate::spawn::User;
use std::{
    ffi::OsString,
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{Component, Path, PathBuf},
    str::FromStr,
};

/// The address of a repository. Parsed, not yet looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
}

/// Why an address is no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "`{0}` is a remote repository, and remote repositories are not served yet: clone it on this machine and give the clone's path"
    )]
    Remote(String),
    #[error("`{0}` is neither an absolute path nor a file:// URL: give the repository's full path")]
    Form(String),
    #[error("there is no repository at {}: check the path", .0.display())]
    Missing(PathBuf),
    #[error("{} is not a git repository: run `git init` there, or give the folder that holds `.git`", .0.display())]
    NotARepository(PathBuf),
    #[error("{} cannot be read by this user: change its owner or permissions", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is a linked work tree or submodule: give the main repository instead ({target})", path.display())]
    Linked { path: PathBuf, target: String },
    #[error("{} borrows objects from another repository: run `git repack -a -d` there and remove objects/info/alternates", .0.display())]
    Borrows(PathBuf),
    #[error("{} is a partial clone and lacks objects: make a full clone (`git clone` without --filter)", .0.display())]
    Partial(PathBuf),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let form = || Error::Form(text.to_owned());
        let path = match text.split_once("://") {
            Some(("file", rest)) => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                percent_decode(path).ok_or_else(form)?
            }
            Some(_) => return Err(Error::Remote(text.to_owned())),
            None if text.starts_with('/') => PathBuf::from(text),
            // The short form `host:path` of ssh, and transports such as `ext::`.
            None if text.contains(':') => return Err(Error::Remote(text.to_owned())),
            None => return Err(form()),
        };
        let is_plain = path.components().all(|part| !matches!(part, Component::ParentDir | Component::Prefix(_)));
        let has_control = path.as_os_str().as_bytes().iter().any(u8::is_ascii_control);
        if !path.is_absolute() || !is_plain || has_control {
            return Err(form());
        }
        Ok(Source { path })
    }
}

fn percent_decode(text: &str) -> Option<PathBuf> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => out.push(u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?),
            _ => out.push(byte),
        }
    }
    Some(PathBuf::from(OsString::from_vec(out)))
}

/// A repository on this machine that was looked at: its Git directory is whole and its own.
#[derive(Clone, Debug)]
pub struct Local {
    /// The folder that holds `HEAD`, `objects` and `refs`.
    pub git_dir: PathBuf,
    pub owner: User,
}

impl Source {
    /// The path as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks at the repository without running Git. Blocks on the file system.
    ///
    /// Refuses what would make Git read outside of it: linked work trees, alternates, partial clones.
    pub fn inspect(&self) -> Result<Local, Error> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Missing(path),
                _ => Error::Unreadable { path, source },
            }
        };
        let path = self.path.canonicalize().map_err(unreadable(&self.path))?;
        let inner = path.join(".git");
        let git_dir = match inner.symlink_metadata() {
            Ok(found) if found.is_dir() => inner,
            Ok(found) if found.is_file() && found.len() < 8192 => {
                let text = std::fs::read_to_string(&inner).map_err(unreadable(&inner))?;
                let target = text.trim().strip_prefix("gitdir: ").unwrap_or("unknown").to_owned();
                return Err(Error::Linked { path, target });
            }
            Ok(_) => return Err(Error::NotARepository(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.clone(),
            Err(error) => return Err(unreadable(&inner)(error)),
        };
        for part in ["HEAD", "objects", "refs"] {
            // Links are not followed: an object store elsewhere is somebody else's.
            match git_dir.join(part).symlink_metadata() {
                Ok(found) if (part == "HEAD" && !found.is_dir()) || found.is_dir() => {}
                Ok(_) => return Err(Error::NotARepository(path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NotARepository(path)),
                Err(error) => return Err(unreadable(&git_dir)(error)),
            }
        }
        for borrowed in ["objects/info/alternates", "objects/info/http-alternates", "commondir"] {
            if git_dir.join(borrowed).symlink_metadata().is_ok_and(|found| found.len() > 0) {
                return Err(Error::Borrows(path));
            }
        }
        let packs = git_dir.join("objects/pack");
        let is_promisor = |entry: io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name().as_bytes().ends_with(b".promisor"))
        };
        if let Ok(mut entries) = std::fs::read_dir(&packs)
            && entries.any(is_promisor)
        {
            return Err(Error::Partial(path));
        }
        let found = git_dir.metadata().map_err(unreadable(&git_dir))?;
        Ok(Local { git_dir, owner: User { uid: found.uid(), gid: found.gid() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_local_addresses_are_taken() {
        for (text, path) in
            [("/srv/shop", "/srv/shop"), ("file:///srv/a%20b", "/srv/a b"), ("file://localhost/srv/shop", "/srv/shop")]
        {
            assert_eq!(text.parse::<Source>().unwrap().path(), Path::new(path));
        }
        for remote in ["https://example.org/a.git", "ssh://x/y", "git@example.org:a/b", "ext::sh -c x", "http://x"] {
            assert!(matches!(remote.parse::<Source>(), Err(Error::Remote(_))), "{remote}");
        }
        for bad in [
            "",
            "shop",
            "./shop",
            "--upload-pack=x",
            "/a/../etc",
            "file://host/srv",
            "file://%zz",
            "/a\nb",
            "file:///a%00",
        ] {
            assert!(matches!(bad.parse::<Source>(), Err(Error::Form(_))), "{bad}");
        }
    }
}
