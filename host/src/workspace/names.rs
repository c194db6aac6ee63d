//! Names: of repositories as folders, of paths as text for people and for `fast-import`, and names that Git would trip over.

use borg_core::id::Digest;
use std::fmt;

/// Folder name of a repository, made from its name in the policy; different names give different folders.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Slug(String);

impl Slug {
    /// Keeps plain names; any other is spelt with `-` and told apart by a digest.
    pub fn new(name: &str) -> Self {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 60 && name.chars().all(is_plain) {
            return Slug(name.to_owned());
        }
        let shown: String = name.chars().map(|c| if is_plain(c) { c } else { '-' }).take(40).collect();
        // A dot never occurs in plain names, so the two kinds cannot meet.
        let shown = Some(shown.trim_start_matches('-')).filter(|shown| !shown.is_empty()).unwrap_or("repository");
        Slug(format!("{shown}.{}", Digest::of_bytes(name.as_bytes()).short()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Shows a path; bytes that are not UTF-8 become `\xNN`.
pub(super) fn show(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

/// Writes a path in C-style quotes as `fast-import` reads it (git-fast-import(1), "filemodify").
pub(super) fn quote(path: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in path {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0x20..=0x7e => out.push(byte),
            _ => out.extend(format!("\\{byte:03o}").bytes()),
        }
    }
    out.push(b'"');
}

/// Code points that HFS+ ignores in names (git's `utf8.c`, `next_hfs_char`).
fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// True for any spelling that some file system takes for `.git`: other case, HFS+ and NTFS spellings.
pub(super) fn is_git_lookalike(name: &[u8]) -> bool {
    let is_one = |name: &str| {
        // NTFS: a stream or folder may follow, trailing dots and spaces are dropped, and there is a short name.
        let name = name.split(':').next().unwrap_or(name).trim_end_matches([' ', '.']);
        name.eq_ignore_ascii_case(".git") || name.eq_ignore_ascii_case("git~1")
    };
    name.split(|byte| *byte == b'\\').any(|part| {
        let text = String::from_utf8_lossy(part);
        let plain: String = text.chars().filter(|c| !is_ignored_by_hfs(*c)).collect();
        is_one(&text) || is_one(&plain)
    })
}

/// True when every part of a path may be written into a fresh directory.
pub(super) fn check_path(path: &[u8]) -> Result<(), &'static str> {
    if path.len() > MAX_PATH {
        return Err("is longer than 4,096 bytes");
    }
    if path.iter().filter(|byte| **byte == b'/').count() >= MAX_DEPTH {
        return Err("lies deeper than 200 folders");
    }
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." | b".." => return Err("is no path within a folder"),
            part if part.contains(&0) => return Err("holds a NUL"),
            part if part.len() > 255 => return Err("has a name longer than 255 bytes"),
            part if is_git_lookalike(part) => return Err("is named like a git directory"),
            _ => {}
        }
    }
    Ok(())
}

/// Longest path below a work tree, in bytes.
pub(super) const MAX_PATH: usize = 4096;
/// Deepest nesting of folders; each open level costs a descriptor.
pub(super) const MAX_DEPTH: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookalikes_are_known_in_all_spellings() {
        for name in [
            ".git",
            ".GIT",
            ".Git ",
            ".git.",
            ".git . .",
            "git~1",
            "GIT~1",
            ".git::$INDEX_ALLOCATION",
            ".git:x",
            "a\\.git",
            ".git\\x",
        ] {
            assert!(is_git_lookalike(name.as_bytes()), "{name}");
        }
        for name in [".g\u{200c}it", "\u{feff}.git", ".gi\u{202e}t", ".git\u{200d} "] {
            assert!(is_git_lookalike(name.as_bytes()), "{name:?}");
        }
        for name in [".gitignore", ".gitmodules", "git", "git~2", ".github", "agit", ".git-x", "x.git", ".gitt"] {
            assert!(!is_git_lookalike(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn slugs_do_not_collide() {
        assert_eq!(Slug::new("shop").as_str(), "shop");
        let names = ["acme/shop", "acme-shop", "acme.shop", "ACME/shop", "../shop", "", ".", "shöp"];
        let slugs: std::collections::HashSet<_> = names.iter().map(|name| Slug::new(name)).collect();
        assert_eq!(slugs.len(), names.len());
        assert!(
            slugs
                .iter()
                .all(|slug| !slug.as_str().contains('/')
                    && slug.as_str().starts_with(|c: char| c.is_ascii_alphanumeric())),
            "{slugs:?}"
        );
    }

    #[test]
    fn paths_are_quoted_and_shown() {
        let mut out = Vec::new();
        quote(b"a \"b\"\\\n\xff", &mut out);
        assert_eq!(out, br#""a \"b\"\\\012\377""#);
        assert_eq!(show(b"a\xffb\xc3\xbc"), "a\\xffbü");
    }

    #[test]
    fn evil_paths_are_refused() {
        for bad in ["", "/etc", "a/../b", "..", "a//b", ".git/config", "a/.GIT/x", "a/.", "git~1/x"] {
            assert!(check_path(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_path("a/b c/.gitignore".as_bytes()).is_ok());
        assert!(check_path("d/".repeat(300).as_bytes()).is_err());
    }
}
