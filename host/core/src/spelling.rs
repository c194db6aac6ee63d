//! Spellings that some file system takes for one and the same name. Who refuses what by them is `grant`'s readers and `survey`.
//!
//! A repository made on one machine is checked out on others. There `.GitHub`, `.github.`, `.github ` or `GITHUB~1` opens the folder
//! `.github`, so whoever forbids the one must mean all of them. What is *granted* is never read like this: only the exact name is.
//!
//! | spelling | where it is the same |
//! |---|---|
//! | other case | APFS, HFS+, NTFS, FAT, ext4 with `casefold` |
//! | composed and decomposed letters (NFC, NFD) | APFS, HFS+ |
//! | code points that are not looked at | HFS+ (`next_hfs_char` in Git's `utf8.c`) |
//! | blanks and dots at the end, a stream after a colon, a backslash for a slash | NTFS (Git's `is_ntfs_dotgit`) |
//! | `GITHUB~1`, `GI1A2B~1` | NTFS and FAT, "8.3" (Git's `is_ntfs_dot_generic`) |

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use icu_normalizer::DecomposingNormalizerBorrowed;
use std::{borrow::Cow, collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt};

/// One name of a path as the most forgiving file system reads it; two names that come out alike are one file there. Never empty
/// for what is not.
pub fn fold(name: &str) -> String {
    let seen: String = name.chars().filter(|c| !is_ignored(*c)).collect();
    let long = match seen.split_once(':') {
        Some((file, _stream)) => file,
        None => &seen,
    };
    let plain = long.trim_end_matches([' ', '.']);
    // A name of nothing but such signs is kept, or all of them would be one.
    let plain = if plain.is_empty() { name } else { plain };
    if plain.is_ascii() {
        return plain.to_ascii_lowercase();
    }
    let cased: String = decomposed(plain).chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    decomposed(&cased).into_owned()
}

/// The same for each name of a path.
pub fn fold_path(path: &str) -> String {
    let names: Vec<String> = path.split(['/', '\\']).map(fold).collect();
    names.join("/")
}

fn decomposed(text: &str) -> Cow<'_, str> {
    DecomposingNormalizerBorrowed::new_nfd().normalize(text)
}

/// Code points that HFS+ does not look at in names (`next_hfs_char` in Git's `utf8.c`).
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// True when two names are one on some file system; it does not matter which stands first.
pub fn is_same_name(one: &str, other: &str) -> bool {
    fold(one) == fold(other) || is_short_for(one, other) || is_short_for(other, one)
}

/// True when two paths are one on some file system, name by name.
pub fn is_same_path(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split(['/', '\\']), other.split(['/', '\\']));
    loop {
        match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if is_same_name(a, b) => {}
            (Some(_), _) | (None, Some(_)) => return false,
        }
    }
}

/// True when `short` is a name that Windows may give `long` beside its own: six characters, a tilde and a number, or two characters,
/// four hexadecimal digits of a sum that is not computed here, a tilde and a number; then the first three characters of the ending.
pub fn is_short_for(short: &str, long: &str) -> bool {
    if !may_be_short_for(short, long) {
        return false;
    }
    let short = fold(short);
    let Some((stem, ending)) = short_parts(&short) else { return false };
    let long = fold(long);
    let long = long.trim_start_matches('.');
    let (base, full_ending) = long.rsplit_once('.').unwrap_or((long, ""));
    let kept = |text: &str, most: usize| -> String {
        text.chars().filter(|c| !matches!(c, ' ' | '.')).map(replaced).take(most).collect()
    };
    if kept(full_ending, 3) != ending {
        return false;
    }
    let Some((head, number)) = stem.rsplit_once('~') else { return false };
    let base = kept(base, 7);
    let most = 7_usize.saturating_sub(number.len()).min(6);
    let whole: String = base.chars().take(most).collect();
    let hashed = || {
        let lead: String = base.chars().take(2).collect();
        head.strip_prefix(lead.as_str())
            .is_some_and(|sum| !lead.is_empty() && sum.len() == 4 && sum.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    !head.is_empty() && (head == whole || hashed())
}

/// Characters of a short name: eight, a dot and three. Every name of a change is held against every name that is known, so one that is
/// longer is not worth folding.
const SHORT: usize = 12;

/// False where two names cannot belong together, by length and first letters and without folding either: the short one begins as the
/// long one does.
fn may_be_short_for(short: &str, long: &str) -> bool {
    let first = |name: &str| name.chars().find(|c| *c != '.').filter(char::is_ascii_alphanumeric);
    let is_other = first(short).zip(first(long)).is_some_and(|(a, b)| !a.eq_ignore_ascii_case(&b));
    // As `fold` sees it, but for letters that it takes apart: their parts are as many or more.
    let seen = short.split(':').next().unwrap_or_default().chars().filter(|c| !is_ignored(*c)).enumerate();
    let is_long = || seen.skip(SHORT).any(|(_, c)| !matches!(c, ' ' | '.'));
    short.contains('~') && !is_other && !is_long()
}

/// What Windows writes for a character that a short name cannot have.
fn replaced(c: char) -> char {
    if matches!(c, '+' | ',' | ';' | '=' | '[' | ']') { '_' } else { c }
}

/// Stem and ending of a name that has the form of a short one.
fn short_parts(name: &str) -> Option<(&str, &str)> {
    let (stem, ending) = name.split_once('.').unwrap_or((name, ""));
    let (head, number) = stem.rsplit_once('~')?;
    let is_short = stem.chars().count() <= 8
        && !head.is_empty()
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && ending.chars().count() <= 3
        && !ending.contains('.');
    is_short.then_some((stem, ending))
}

/// Most spellings out of short names that are tried for one path; what has more is forbidden.
const MOST_SPELLINGS: usize = 256;

/// Patterns of what is forbidden. They match every spelling of a path, a file or link in the place of a folder that they name (`.github`
/// for `.github/**`), and one in the place of a folder above (`.github` for `.github/workflows/*.yml`).
#[derive(Clone, Debug)]
pub struct Forbidden {
    exact: GlobSet,
    folded: GlobSet,
    /// Folded paths that are no patterns.
    paths: HashSet<String>,
    /// Folded paths above what a pattern names letter by letter.
    above: HashSet<String>,
    /// Folded names that patterns spell out, which a short name may stand for.
    names: Vec<String>,
}

impl Forbidden {
    /// `*` stays within a folder, `**` crosses them, a trailing `/` means all below.
    ///
    /// # Errors
    /// A pattern that is none, with it.
    pub fn patterns(patterns: &[String]) -> Result<Forbidden, (String, globset::Error)> {
        let (mut exact, mut folded) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        let (mut above, mut names) = (HashSet::new(), Vec::new());
        for pattern in patterns {
            let glob = |text: &str, forgiving: bool| {
                GlobBuilder::new(text)
                    .literal_separator(true)
                    .backslash_escape(true)
                    .case_insensitive(forgiving)
                    .build()
                    .map_err(|error| (pattern.clone(), error))
            };
            let whole = if pattern.ends_with('/') { format!("{pattern}**") } else { pattern.clone() };
            exact.add(glob(&whole, false)?);
            let plain = fold_pattern(&whole);
            folded.add(glob(&plain, true)?);
            if let Some(folder) = plain.strip_suffix("/**").filter(|folder| !folder.ends_with("**")) {
                folded.add(glob(folder, true)?);
            }
            take_names(&plain, &mut above, &mut names);
        }
        let built = |set: &GlobSetBuilder| set.build().map_err(|error| (patterns.join(", "), error));
        names.sort();
        names.dedup();
        Ok(Forbidden { exact: built(&exact)?, folded: built(&folded)?, paths: HashSet::new(), above, names })
    }

    /// These very paths, none of which is read as a pattern.
    pub fn paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Forbidden {
        let paths: HashSet<String> = paths.into_iter().map(fold_path).collect();
        let (mut above, mut names) = (HashSet::new(), Vec::new());
        for path in &paths {
            let slashes = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            above.extend(slashes.filter(|path| !path.is_empty()));
            names.extend(path.split('/').filter(|name| !name.is_empty()).map(str::to_owned));
        }
        Forbidden { exact: GlobSet::empty(), folded: GlobSet::empty(), paths, above, names }
    }

    /// True when some file system takes the path for one that is forbidden.
    pub fn matches(&self, path: &[u8]) -> bool {
        if self.exact.is_match(OsStr::from_bytes(path)) {
            return true;
        }
        let plain = fold_path(&String::from_utf8_lossy(path));
        match self.spellings(&plain) {
            Some(spellings) => spellings
                .iter()
                .any(|path| self.paths.contains(path) || self.above.contains(path) || self.folded.is_match(path)),
            None => true,
        }
    }

    /// The path, and what it is where its short names are read as long ones; nothing when that is too many.
    fn spellings(&self, plain: &str) -> Option<Vec<String>> {
        if !plain.contains('~') {
            return Some(vec![plain.to_owned()]);
        }
        let mut found = vec![String::new()];
        for (depth, name) in plain.split('/').enumerate() {
            let long = self.names.iter().filter(|long| is_short_for(name, long)).map(String::as_str);
            let options: Vec<&str> = std::iter::once(name).chain(long).collect();
            if found.len() * options.len() > MOST_SPELLINGS {
                return None;
            }
            let slash = if depth == 0 { "" } else { "/" };
            found = found
                .iter()
                .flat_map(|path| options.iter().map(move |option| format!("{path}{slash}{option}")))
                .collect();
        }
        Some(found)
    }
}

fn is_literal(name: &str) -> bool {
    !name.contains(['*', '?', '[', ']', '{', '}', '\\', '!'])
}

/// A pattern whose plain names are folded; the others lose blanks and dots at their ends, which no folded name has.
fn fold_pattern(pattern: &str) -> String {
    let names: Vec<String> = pattern
        .split('/')
        .map(|name| match is_literal(name) {
            true => fold(name),
            false if name.ends_with(['\\', ']']) || matches!(name, "*" | "**") => name.to_owned(),
            false => name.trim_end_matches([' ', '.']).to_owned(),
        })
        .collect();
    names.join("/")
}

/// Notes a folded path and the names that are plain, up to the first that is not.
fn take_names(path: &str, above: &mut HashSet<String>, names: &mut Vec<String>) {
    names.extend(path.split('/').filter(|name| !name.is_empty() && is_literal(name)).map(str::to_owned));
    let slashes = path.match_indices('/').map(|(at, _)| &path[..at]);
    above.extend(slashes.take_while(|path| is_literal(path)).filter(|path| !path.is_empty()).map(str::to_owned));
}

#[cfg(test)]
mod tests;
