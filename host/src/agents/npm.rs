//! Fetches a package with the operator's own npm client, so that registry, proxy and credentials stay the operator's business.

use super::Error;
use crate::spawn::{Output, Spawner, Spec};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Time for one download; the packages are some 80 MB.
const PATIENCE: Duration = Duration::from_secs(900);

/// The operator's npm client and what it needs of the environment, passed on explicitly.
#[derive(Clone, Debug)]
pub struct Npm {
    pub spawner: Spawner,
    /// The operator's `PATH`: where npm and node are found.
    pub path: OsString,
    /// The operator's home: where npm keeps its configuration and its cache.
    pub home: PathBuf,
}

impl Npm {
    /// Downloads the tarball of `NAME@VERSION` into a directory, without running any of the package's scripts.
    pub(super) async fn pack(&self, package: &str, into: &Path) -> Result<PathBuf, Error> {
        let failed = |why: String| Error::Npm { package: package.to_owned(), why };
        let mut spec =
            Spec::new("npm").args(["pack", package, "--ignore-scripts", "--loglevel=error", "--pack-destination", "."]);
        spec.env = vec![("PATH".into(), self.path.clone()), ("HOME".into(), self.home.clone().into())];
        spec.cwd = into.to_owned();
        spec.timeout = PATIENCE;
        let output = self.spawner.run(spec).await.map_err(|error| failed(error.to_string()))?;
        if !output.is_whole() {
            return Err(failed(complaint(&output)));
        }
        let entries =
            fs::read_dir(into).map_err(|source| Error::Io { doing: "list", path: into.to_owned(), source })?;
        let mut packed = entries.filter_map(Result::ok).map(|entry| entry.path());
        packed
            .find(|path| path.extension().is_some_and(|end| end == "tgz"))
            .ok_or_else(|| failed("it made no file".to_owned()))
    }
}

/// What npm said last, or how it ended.
fn complaint(output: &Output) -> String {
    let said: Vec<_> = output.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    match (output.timed_out, said.as_slice()) {
        (true, _) => format!("it took longer than {} minutes", PATIENCE.as_secs() / 60),
        (false, []) => format!("it ended with {}", output.status),
        (false, said) => said[said.len().saturating_sub(3)..].join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A made-up npm in a directory of its own.
    fn npm(script: &str) -> (tempfile::TempDir, Npm) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("npm"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(dir.path().join("npm"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display()).into();
        let npm = Npm { spawner: Spawner::start().unwrap(), path, home: dir.path().to_owned() };
        (dir, npm)
    }

    #[tokio::test]
    async fn the_client_gets_path_and_home_and_nothing_else() {
        let (dir, npm) = npm(r#"echo "$*" > args; env | cut -d= -f1 | sort > names; touch made.tgz"#);
        let into = tempfile::tempdir_in(dir.path()).unwrap();
        assert_eq!(npm.pack("tool@1.0.0", into.path()).await.unwrap(), into.path().join("made.tgz"));
        let args = fs::read_to_string(into.path().join("args")).unwrap();
        assert_eq!(args.trim(), "pack tool@1.0.0 --ignore-scripts --loglevel=error --pack-destination .");
        let names = fs::read_to_string(into.path().join("names")).unwrap();
        let names: Vec<_> = names.lines().filter(|name| !matches!(*name, "_" | "PWD" | "OLDPWD" | "SHLVL")).collect();
        assert_eq!(names, ["HOME", "PATH"]);
    }

    #[tokio::test]
    async fn what_npm_says_is_passed_on_with_the_remedy() {
        let (dir, npm) = npm("echo 'npm error code E404' >&2; exit 1");
        let error = npm.pack("tool@1.0.0", dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("npm error code E404") && error.contains("--from FILE.tgz"), "{error}");
        let (dir, npm) = self::npm("exit 0");
        let error = npm.pack("tool@1.0.0", dir.path()).await.unwrap_err().to_string();
        assert!(error.contains("it made no file"), "{error}");
    }
}
