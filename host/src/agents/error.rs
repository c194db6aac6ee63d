//! Why an agent could not be installed.

use std::{io, path::PathBuf};

/// Why an agent could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{executor} {version} is not published for {arch} machines with {libc}{}", others(.published))]
    NoPackage {
        executor: String,
        version: String,
        arch: &'static str,
        libc: &'static str,
        /// For which there is one, such as `x86_64 with musl`.
        published: Vec<String>,
    },
    #[error("{path} is not {package} {version}: its integrity is {found}, expected {expected}")]
    Integrity { path: PathBuf, package: String, version: String, found: String, expected: String },
    #[error("the package is not as expected: {0}")]
    Package(String),
    #[error(
        "npm could not fetch {package}: {why}; try `npm pack {package}` yourself and pass the file with `--from FILE.tgz`"
    )]
    Npm { package: String, why: String },
    #[error(
        "{executor} {version} is no package of npm, and nothing else is fetched: run `curl -fLO {url}`, then `borg-host agent install {executor} --from {file}`"
    )]
    Fetch { executor: String, version: String, url: String, file: String },
    #[error("cannot {doing} `{path}`")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

fn others(published: &[String]) -> String {
    match published {
        [] => String::new(),
        some => format!("; it is for {}", some.join(", ")),
    }
}
