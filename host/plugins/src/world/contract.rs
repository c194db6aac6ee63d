//! The versions of the contract that this host speaks.

use semver::Version;

/// A version of `borg:plugin` that this host speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    V0_1,
    V0_2,
}

impl Contract {
    /// All of them, the newest last.
    pub(crate) const ALL: [Contract; 2] = [Contract::V0_1, Contract::V0_2];

    pub(crate) fn version(self) -> Version {
        match self {
            Contract::V0_1 => Version::new(0, 1, 0),
            Contract::V0_2 => Version::new(0, 2, 0),
        }
    }

    pub(crate) fn of(version: &Version) -> Option<Contract> {
        Contract::ALL.into_iter().find(|contract| contract.version() == *version)
    }

    /// All of them, for people: `0.1.0, 0.2.0`.
    pub(crate) fn spoken() -> String {
        Contract::ALL.map(|contract| contract.version().to_string()).join(", ")
    }
}
