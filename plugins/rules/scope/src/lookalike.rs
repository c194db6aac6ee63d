//! Names that some file system or some Git takes for `.git` and its companions.

/// True when a component of the path is a Git directory, or would be one on a case-insensitive, NTFS or HFS+ file system
/// (the cases of `verify_path` in Git's `read-cache.c` and `is_hfs_dotgit`).
pub fn is_git(path: &str) -> bool {
    path.split(['/', '\\']).any(|component| {
        // HFS+ ignores these code points.
        let plain: String =
            component.chars().filter(|char| !is_ignored(*char)).collect::<String>().to_ascii_lowercase();
        // NTFS drops trailing blanks and dots, and anything after a colon names a stream.
        let plain = plain.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']);
        plain == ".git" || plain == "git~1"
    })
}

fn is_ignored(char: char) -> bool {
    matches!(char, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::is_git;

    #[test]
    fn disguises_are_seen_and_neighbours_are_not() {
        for path in [
            ".git/config",
            "a/.GIT/hooks/x",
            ".git ",
            ".git.",
            "GIT~1/x",
            ".g\u{200c}it",
            ".git::$INDEX_ALLOCATION",
            "a\\.git\\x",
        ] {
            assert!(is_git(path), "{path}");
        }
        for path in [".gitignore", ".github/x", "git/x", "a.git/b", ".gitattributes", "digit"] {
            assert!(!is_git(path), "{path}");
        }
    }
}
