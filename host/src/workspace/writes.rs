//! Which paths a grant lets a stage change. Who computes grants is `core::grant`.
//!
//! What is allowed is allowed by its exact name. What is protected or pinned is so in every spelling that some file system takes for it,
//! and so is a file or link in the place of a folder it lies in (`core::spelling`).

use super::{Error, Result};
use borg_core::{collect::LeftReason, run::WriteGrant, spelling::Forbidden};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

/// A [`WriteGrant`] made ready for matching.
pub(super) struct Writes {
    allow: GlobSet,
    deny: Forbidden,
    pinned: Forbidden,
}

impl Writes {
    pub fn new(grant: &WriteGrant) -> Result<Self> {
        let bad = |(pattern, source)| Error::BadPattern { pattern, source: Box::new(source) };
        Ok(Writes {
            allow: globs(&grant.allow)?,
            deny: Forbidden::patterns(&grant.deny).map_err(bad)?,
            pinned: Forbidden::paths(grant.pinned.iter().map(String::as_str)),
        })
    }

    /// Why a change of this path is not taken; nothing when it is.
    pub fn refusal(&self, path: &[u8]) -> Option<LeftReason> {
        if self.pinned.matches(path) {
            Some(LeftReason::Pinned)
        } else if self.deny.matches(path) {
            Some(LeftReason::Protected)
        } else if !self.allow.is_match(OsStr::from_bytes(path)) {
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
    use proptest::prelude::*;

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
        for spelt in
            ["src/CI.yml", "src/ci.yml.", "src/ci.yml::$DATA", "src/T.py", "SRC/t.py", "src/t.py ", "src\\t.py"]
        {
            assert!(
                matches!(writes.refusal(spelt.as_bytes()), Some(LeftReason::Protected | LeftReason::Pinned)),
                "{spelt}"
            );
        }
        assert!(Writes::new(&WriteGrant::default()).unwrap().refusal(b"a").is_some());
        assert!(Writes::new(&WriteGrant { allow: list(&["a["]), ..WriteGrant::default() }).is_err());
    }

    proptest! {
        /// Whatever else is forgiven: a path is granted only where an exact pattern matches it, and then nothing forbids it.
        #[test]
        fn no_spelling_widens_what_is_allowed(path in "(src|Src|SRC|s\u{200c}rc|src\\.|SRC~1)/[a-cA-C]{1,3}[ .~1]{0,2}(\\.rs|\\.RS|)", deny in "[a-cA-C]{1,3}") {
            let list = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
            let open = WriteGrant { allow: list(&["src/*.rs"]), ..WriteGrant::default() };
            let narrow = WriteGrant { deny: vec![format!("src/{deny}*")], ..open.clone() };
            let exact = globset::GlobBuilder::new("src/*.rs").literal_separator(true).build().unwrap().compile_matcher();
            let (open, narrow) = (Writes::new(&open).unwrap(), Writes::new(&narrow).unwrap());
            prop_assert_eq!(open.refusal(path.as_bytes()).is_none(), exact.is_match(&path));
            if narrow.refusal(path.as_bytes()).is_none() {
                prop_assert!(exact.is_match(&path));
                let denied = format!("src/{}", deny.to_lowercase());
                prop_assert!(!path.to_lowercase().starts_with(&denied));
            }
        }
    }
}
