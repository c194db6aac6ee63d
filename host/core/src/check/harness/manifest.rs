//! Manifests that hold both what the build needs and what steers a runner: which they are, and one made of the base's and the change's.

use super::{cargo, package, pyproject, sections, sides::Sides, told::few_keys};

/// Longest reason that is kept, in characters: parsers quote what they read.
const WHY: usize = 200;

/// A manifest of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    Cargo,
    /// `package.json`.
    Package,
    Pyproject,
    /// `setup.cfg`.
    Setup,
}

/// What a check sees of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The head's, as it is.
    Same,
    /// The head's with these keys as the base has them; names are cut, and their number is.
    Edited { text: String, keys: Vec<String> },
    /// One side cannot be read, and why. Whoever asked takes the base's file, or none.
    Unreadable(String),
}

impl Manifest {
    pub fn of(path: &str) -> Option<Self> {
        match path.rsplit('/').next().unwrap_or(path) {
            "Cargo.toml" => Some(Manifest::Cargo),
            "package.json" => Some(Manifest::Package),
            "pyproject.toml" => Some(Manifest::Pyproject),
            "setup.cfg" => Some(Manifest::Setup),
            _ => None,
        }
    }

    /// Paths whose being there decides what the keys mean.
    pub fn asks(self, path: &str, base: Option<&str>, head: Option<&str>) -> Vec<String> {
        match self {
            Manifest::Cargo => cargo::asks(path, base, head),
            Manifest::Package | Manifest::Pyproject | Manifest::Setup => Vec::new(),
        }
    }

    /// The head's manifest with what steers a runner as the base has it.
    pub fn merge(self, sides: &Sides<'_>) -> Merged {
        if sides.base == sides.head {
            return Merged::Same;
        }
        let edit = match self {
            Manifest::Cargo => cargo::merge(sides),
            Manifest::Package => package::merge(sides),
            Manifest::Pyproject => pyproject::merge(sides),
            Manifest::Setup => sections::merge(sides),
        };
        match edit {
            Ok(Some((text, keys))) => Merged::Edited { text, keys: few_keys(keys) },
            Ok(None) => Merged::Same,
            Err(why) => Merged::Unreadable(why.lines().next().unwrap_or_default().chars().take(WHY).collect()),
        }
    }
}
