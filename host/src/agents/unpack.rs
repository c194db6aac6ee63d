//! Verifies and unpacks an npm tarball: only the named programs are taken, and a package that holds anything but plain files is refused.

use super::Error;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use borg_core::id::Digest;
use flate2::read::GzDecoder;
use sha2::{Digest as _, Sha256, Sha512};
use std::{
    fs,
    io::{self, Read, Seek, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

/// Largest package that is unpacked, in bytes of contents.
const MAX_UNPACKED: u64 = 1 << 30;

/// Subresource integrity of a file (`sha512-` and base64), as npm states it. Leaves the file at its start.
pub(super) fn integrity(file: &mut (impl Read + Seek)) -> io::Result<String> {
    file.rewind()?;
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    file.rewind()?;
    Ok(format!("sha512-{}", STANDARD.encode(hasher.finalize())))
}

/// Takes the named programs out of a tarball into `bundle`, and returns the SHA-256 over their paths and contents.
pub(super) fn unpack(tarball: &mut impl Read, programs: &[(&str, &str)], bundle: &Path) -> Result<Digest, Error> {
    let damaged = |error: io::Error| Error::Package(error.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(tarball).take(MAX_UNPACKED + (1 << 20)));
    let mut found: Vec<Option<[u8; 32]>> = vec![None; programs.len()];
    let mut total = 0;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !kind.is_file() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::Package(format!("`{}` is not a plain file below the package", path.display())));
        }
        total += entry.size();
        if total > MAX_UNPACKED {
            return Err(Error::Package(format!("it holds more than {MAX_UNPACKED} bytes")));
        }
        let Some(index) = programs.iter().position(|(from, _)| Path::new(from) == path) else { continue };
        if found[index].is_some() {
            return Err(Error::Package(format!("`{}` is in it twice", path.display())));
        }
        let target = bundle.join(programs[index].1);
        super::create_dir_all(target.parent().expect("a program lies in a directory of the bundle"))?;
        found[index] = Some(write(&target, 0o755, &mut entry)?);
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for ((from, to), hash) in programs.iter().zip(&found) {
        let hash = hash.as_ref().ok_or_else(|| Error::Package(format!("`{from}` is not in it")))?;
        parts.extend([to.as_bytes(), hash]);
    }
    Ok(Digest::of_parts(parts))
}

/// Writes a new file durably and returns the SHA-256 of what was written.
pub(super) fn write(path: &Path, mode: u32, content: &mut impl Read) -> Result<[u8; 32], Error> {
    let mut hasher = Sha256::new();
    let mut copy = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        // The mode given to open is cut by the umask; the sandbox's user may be another one.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match content.read(&mut buffer)? {
                0 => return file.sync_all(),
                n => {
                    hasher.update(&buffer[..n]);
                    file.write_all(&buffer[..n])?;
                }
            }
        }
    };
    copy().map_err(|source| Error::Io { doing: "write", path: path.to_owned(), source })?;
    Ok(hasher.finalize().into())
}

/// Lets every user enter a directory and those in it: the sandbox runs as another one, whatever the operator's umask.
pub(super) fn open_to_all(dir: &Path) -> Result<(), Error> {
    let open = || -> io::Result<Vec<PathBuf>> {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
        let entries = fs::read_dir(dir)?.collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
    };
    let below = open().map_err(|source| Error::Io { doing: "set the mode of", path: dir.to_owned(), source })?;
    below.iter().try_for_each(|dir| open_to_all(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};

    /// Path, type and content of a raw entry.
    type Entry<'a> = (&'a str, tar::EntryType, &'a [u8]);

    /// A gzipped tarball.
    fn tarball(entries: &[Entry]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o4777);
            if !kind.is_file() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    const PROGRAMS: &[(&str, &str)] = &[("package/tool", "bin/tool")];
    use tar::EntryType::{Link, Regular, Symlink};

    #[test]
    fn takes_the_program_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = tarball(&[("package/tool", Regular, b"#!"), ("package/setup.js", Regular, b"evil()")]);
        let digest = unpack(&mut bytes.as_slice(), PROGRAMS, dir.path()).unwrap();
        assert_eq!(digest, Digest::of_parts([&b"bin/tool"[..], &Digest::of_bytes(b"#!").0]));
        let tool = fs::metadata(dir.path().join("bin/tool")).unwrap();
        assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
        assert!(!dir.path().join("setup.js").exists() && !dir.path().join("package").exists());
    }

    #[test]
    fn hostile_packages_are_refused() {
        let rows: &[(&str, &[Entry])] = &[
            ("traversal", &[("../evil", Regular, b"")]),
            ("absolute", &[("/tmp/evil", Regular, b"")]),
            ("symlink", &[("package/tool", Symlink, b"")]),
            ("hard link", &[("package/x", Link, b"")]),
            ("device", &[("package/x", tar::EntryType::Char, b"")]),
            ("twice", &[("package/tool", Regular, b"a"), ("package/tool", Regular, b"b")]),
            ("absent", &[("package/other", Regular, b"a")]),
        ];
        for (what, entries) in rows {
            let dir = tempfile::tempdir().unwrap();
            let bytes = tarball(entries);
            let answer = unpack(&mut bytes.as_slice(), PROGRAMS, &dir.path().join("bundle"));
            assert!(matches!(answer, Err(Error::Package(_))), "{what}: {answer:?}");
        }
        let cut = tarball(&[("package/tool", Regular, &[7; 4096])]);
        let dir = tempfile::tempdir().unwrap();
        assert!(unpack(&mut &cut[..cut.len() / 2], PROGRAMS, dir.path()).is_err());
    }

    #[test]
    fn integrity_is_npm_s() {
        // `printf abc | openssl dgst -sha512 -binary | base64`
        let expected =
            "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
        assert_eq!(integrity(&mut io::Cursor::new(b"abc")).unwrap(), expected);
    }
}
