//! Policies as shipped, and what commands ask of policy.

use super::failure::{Code, problem};
use anyhow::Result;
use borg_core::policy::Policy;
use borg_host::policies;
pub use borg_host::policies::{Folder, replace};

/// The policies every installation starts from, by their path in the folder.
pub const SHIPPED: [(&str, &str); 9] = [
    ("README.md", include_str!("../../../policies/README.md")),
    ("executors.toml", include_str!("../../../policies/executors.toml")),
    ("host.toml", include_str!("../../../policies/host.toml")),
    ("people.toml", include_str!("../../../policies/people.toml")),
    ("personas.toml", include_str!("../../../policies/personas.toml")),
    ("pipelines/ask.toml", include_str!("../../../policies/pipelines/ask.toml")),
    ("pipelines/feature.toml", include_str!("../../../policies/pipelines/feature.toml")),
    ("pipelines/quick.toml", include_str!("../../../policies/pipelines/quick.toml")),
    ("repos.toml", include_str!("../../../policies/repos.toml")),
];

/// The policy, completed by the settings; all of its errors at once.
pub fn load(settings: &borg_host::settings::Settings) -> Result<Policy> {
    Ok(policies::load(&settings.policies(), &settings.defaults()?)?.0)
}

/// An error of somebody who gave a name that policy does not know.
pub fn unknown_repository(name: &str, policy: &Policy) -> anyhow::Error {
    let nearest = borg_core::policy::source::nearest(name, policy.repos.keys().map(String::as_str));
    let known = match policy.repos.len() {
        0 => "there is none yet: `borg-host repo add owner/name PATH`".to_owned(),
        _ if !nearest.is_empty() => nearest,
        _ => "`borg-host repo list` shows those there are".to_owned(),
    };
    problem(Code::Failed, format!("no repository is called `{name}`"), known)
}
