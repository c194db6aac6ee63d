//! Which paths a grant lets a stage change. Who computes grants is `core::grant`.

use super::{Error, Result};
use borg_core::{collect::LeftReason, run::WriteGrant};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt};

/// A [`WriteGrant`] made ready for matching.
pub(super) struct Writes {
    allow: GlobSet,
    deny: GlobSet,
    pinned: HashSet<Vec<u8>>,
}

impl Writes {
    pub fn new(grant: &WriteGrant) -> Result<Self> {
        let pinned = grant.pinned.iter().map(|path| path.clone().into_bytes()).collect();
        Ok(Writes { allow: globs(&grant.allow)?, deny: globs(&grant.deny)?, pinned })
    }

    pub fn is_pinned(&self, path: &[u8]) -> bool {
        self.pinned.contains(path)
    }

    /// Why a change of this path is not taken; nothing when it is.
    pub fn refusal(&self, path: &[u8]) -> Option<LeftReason> {
        let text = OsStr::from_bytes(path);
        if self.is_pinned(path) {
            Some(LeftReason::Pinned)
        } else if self.deny.is_match(text) {
            Some(LeftReason::Protected)
        } else if !self.allow.is_match(text) {
            Some(LeftReason::NotGranted)
        } else {
            None
        }
    }
}

/// `*` stays within a folder, `**` crosses them, a trailing `/` means all below.
fn globs(patterns: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let bad = |source| Error::BadPattern { pattern: pattern.clone(), source: Box::new(source) };
        let whole = if pattern.ends_with('/') { format!("{pattern}**") } else { pattern.clone() };
        set.add(GlobBuilder::new(&whole).literal_separator(true).backslash_escape(true).build().map_err(bad)?);
    }
    set.build().map_err(|source| Error::BadPattern { pattern: patterns.join(", "), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_outranks_allow_and_pins_outrank_both() {
        let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let grant = WriteGrant {
            allow: list(&["src/**", "*.md", "docs/"]),
            deny: list(&["**/ci.yml"]),
            pinned: list(&["src/t.py"]),
        };
        let writes = Writes::new(&grant).unwrap();
        for (path, reason) in [
            ("src/a/b.rs", None),
            ("docs/a/b", None),
            ("README.md", None),
            ("a/README.md", Some(LeftReason::NotGranted)),
            ("srcs/a", Some(LeftReason::NotGranted)),
            ("src/ci.yml", Some(LeftReason::Protected)),
            ("src/t.py", Some(LeftReason::Pinned)),
        ] {
            assert_eq!(writes.refusal(path.as_bytes()), reason, "{path}");
        }
        assert!(Writes::new(&WriteGrant::default()).unwrap().refusal(b"a").is_some());
        assert!(Writes::new(&WriteGrant { allow: list(&["a["]), ..WriteGrant::default() }).is_err());
    }
}
