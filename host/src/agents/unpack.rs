//! Verifies and unpacks an archive (gzipped tar, as npm packs them): only the named programs are taken, and an archive that holds anything but
//! folders and plain files is refused.

use super::{bundle, error::Error};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use borg_core::{
    bundle::{Algorithm, Program},
    id::Digest,
};
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

/// Subresource integrity of a file: the name of the hash, and the hash in base64. Leaves the file at its start.
pub(super) fn integrity(file: &mut (impl Read + Seek), algorithm: Algorithm) -> io::Result<String> {
    let hash = match algorithm {
        Algorithm::Sha256 => hash::<Sha256>(file)?,
        Algorithm::Sha512 => hash::<Sha512>(file)?,
    };
    Ok(format!("{}-{}", algorithm.as_str(), STANDARD.encode(hash)))
}

fn hash<H: sha2::Digest>(file: &mut (impl Read + Seek)) -> io::Result<Vec<u8>> {
    file.rewind()?;
    let mut hasher = H::new();
    blocks(file, |block| {
        hasher.update(block);
        Ok(())
    })?;
    file.rewind()?;
    Ok(hasher.finalize().to_vec())
}

/// Reads to the end, block by block.
pub(super) fn blocks(content: &mut impl Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n])?,
        }
    }
}

/// Takes the named programs out of an archive into `bundle`, and returns the bundle's digest. What they are taken from lies below `root`.
pub(super) fn unpack(
    archive: &mut impl Read,
    root: &str,
    programs: &[Program],
    bundle: &Path,
) -> Result<Digest, Error> {
    let damaged = |error: io::Error| Error::Package(error.to_string());
    let mut archive = tar::Archive::new(GzDecoder::new(archive).take(MAX_UNPACKED + (1 << 20)));
    let mut found: Vec<Option<[u8; 32]>> = vec![None; programs.len()];
    let mut total = 0;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path().map_err(damaged)?.into_owned();
        let kind = entry.header().entry_type();
        // A comment on the whole, as Git's archives have one.
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let parts: Option<PathBuf> = path
            .components()
            .filter(|part| *part != Component::CurDir)
            .map(|part| match part {
                Component::Normal(name) => Some(name),
                Component::Prefix(_) | Component::RootDir | Component::CurDir | Component::ParentDir => None,
            })
            .collect();
        let Some(path) = parts.filter(|_| kind.is_file()) else {
            return Err(Error::Package(format!("`{}` is not a plain file below the package", path.display())));
        };
        total += entry.size();
        if total > MAX_UNPACKED {
            return Err(Error::Package(format!("it holds more than {MAX_UNPACKED} bytes")));
        }
        let Some(index) = programs.iter().position(|program| path == Path::new(root).join(&program.from)) else {
            continue;
        };
        if found[index].is_some() {
            return Err(Error::Package(format!("`{}` is in it twice", path.display())));
        }
        let target = bundle.join(&programs[index].to);
        create_dir_all(target.parent().expect("a program lies in a directory of the bundle"))?;
        found[index] = Some(write(&target, 0o755, &mut entry)?);
    }
    let mut taken = Vec::new();
    for (program, hash) in programs.iter().zip(&found) {
        let absent = || Error::Package(format!("`{}` is not in it", Path::new(root).join(&program.from).display()));
        taken.push((program.to.as_str(), hash.ok_or_else(absent)?));
    }
    Ok(bundle::digest(taken))
}

/// Writes a new file durably and returns the SHA-256 of what was written.
pub(super) fn write(path: &Path, mode: u32, content: &mut impl Read) -> Result<[u8; 32], Error> {
    let mut hasher = Sha256::new();
    let mut copy = || -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        // The mode given to open is cut by the umask; the sandbox's user may be another one.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        blocks(content, |block| {
            hasher.update(block);
            file.write_all(block)
        })?;
        file.sync_all()
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

pub(super) fn create_dir_all(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Io { doing: "create", path: path.to_owned(), source })
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

    fn programs() -> Vec<Program> {
        vec![Program { from: "tool".into(), to: "bin/tool".into() }]
    }

    use tar::EntryType::{Link, Regular, Symlink};

    #[test]
    fn takes_the_program_and_nothing_else() {
        let expected = Digest::of_parts([&b"bin/tool"[..], &Digest::of_bytes(b"#!").0]);
        let comment = ("pax_global_header", tar::EntryType::XGlobalHeader, &b"15 comment=0123\n"[..]);
        for (root, entries) in [
            ("package", &[("package/tool", Regular, &b"#!"[..]), ("package/setup.js", Regular, b"evil()")][..]),
            ("", &[("tool", Regular, b"#!"), ("package/tool", Regular, b"evil()")]),
            ("a-1.0/x86_64", &[comment, ("./a-1.0/x86_64/tool", Regular, b"#!")]),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let digest = unpack(&mut tarball(entries).as_slice(), root, &programs(), dir.path()).unwrap();
            assert_eq!(digest, expected, "{root}");
            let tool = fs::metadata(dir.path().join("bin/tool")).unwrap();
            assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{root}");
        }
    }

    #[test]
    fn a_digest_is_of_places_and_contents_in_whatever_order_they_are_named() {
        let two = [("b", "bin/b"), ("a", "bin/a")].map(|(from, to)| Program { from: from.into(), to: to.into() });
        let bytes = tarball(&[("b", Regular, b"B"), ("a", Regular, b"A")]);
        let of = |programs: &[Program]| {
            let dir = tempfile::tempdir().unwrap();
            unpack(&mut bytes.as_slice(), "", programs, dir.path()).unwrap()
        };
        let [b, a] = two.clone();
        assert_eq!(of(&two), of(&[a.clone(), b.clone()]));
        assert_ne!(of(&two), of(&[Program { to: "bin/b".into(), ..a }, Program { to: "bin/a".into(), ..b }]));
    }

    #[test]
    fn hostile_packages_are_refused() {
        let rows: &[(&str, &[Entry])] = &[
            ("traversal", &[("../evil", Regular, b"")]),
            ("traversal below", &[("package/../tool", Regular, b"")]),
            ("absolute", &[("/tmp/evil", Regular, b"")]),
            ("symlink", &[("package/tool", Symlink, b"")]),
            ("hard link", &[("package/x", Link, b"")]),
            ("device", &[("package/x", tar::EntryType::Char, b"")]),
            ("twice", &[("package/tool", Regular, b"a"), ("package/tool", Regular, b"b")]),
            ("twice, otherwise spelled", &[("package/tool", Regular, b"a"), ("./package//tool", Regular, b"b")]),
            ("absent", &[("package/other", Regular, b"a")]),
        ];
        for (what, entries) in rows {
            let dir = tempfile::tempdir().unwrap();
            let bytes = tarball(entries);
            let answer = unpack(&mut bytes.as_slice(), "package", &programs(), &dir.path().join("bundle"));
            assert!(matches!(answer, Err(Error::Package(_))), "{what}: {answer:?}");
        }
        let cut = tarball(&[("package/tool", Regular, &[7; 4096])]);
        let dir = tempfile::tempdir().unwrap();
        assert!(unpack(&mut &cut[..cut.len() / 2], "package", &programs(), dir.path()).is_err());
    }

    #[test]
    fn integrity_is_that_of_the_web() {
        // `printf abc | openssl dgst -sha512 -binary | base64 -w0`, and the same with -sha256
        for (algorithm, expected) in [
            (
                Algorithm::Sha512,
                "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
            ),
            (Algorithm::Sha256, "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        ] {
            assert_eq!(integrity(&mut io::Cursor::new(b"abc"), algorithm).unwrap(), expected);
        }
    }
}
