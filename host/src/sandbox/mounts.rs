//! Which host paths a container may be given. Every bind mount passes here by its real path; what is mounted where is `docker/plan.rs`.
//!
//! A source must lie below one of the allowed roots (run directories, agent bundles, repositories, the init binary), must not be named like
//! a secret anywhere along its path, and must not contain the operator's secrets, the engine's socket or a kernel file system.

use std::path::{Component, Path, PathBuf};

/// Names that are never mounted, wherever they stand. Compared without case.
const NAMES: [&str; 19] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".gcloud",
    ".kube",
    ".docker",
    ".claude",
    ".codex",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".password-store",
    ".terraform.d",
    "id_rsa",
    "id_ed25519",
    "credentials",
    "docker.sock",
    "kubeconfig",
];

/// Two names in a row that are never mounted; the second may end in `*`.
const PAIRS: [(&str, &str); 4] =
    [(".config", "gh"), (".config", "gcloud"), (".cargo", "credentials*"), (".m2", "settings.xml")];

/// Trees of the system that are never mounted, nor anything below or above them.
const SYSTEM: [&str; 4] = ["/proc", "/sys", "/etc", "/dev"];

/// Why a path was not mounted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    #[error("mount source `{0}` is not an absolute path")]
    NotAbsolute(PathBuf),
    #[error("mount source `{path}` cannot be resolved: {why}")]
    Missing { path: PathBuf, why: String },
    #[error("mount source `{path}` leads through `{name}`, which may hold a secret; move the data directory elsewhere")]
    Named { path: PathBuf, name: String },
    #[error("mount source `{path}` is a system path")]
    System { path: PathBuf },
    #[error("mount source `{path}` lies in this host's own data or contains it")]
    Own { path: PathBuf },
    #[error("mount source `{path}` contains `{secret}`")]
    Contains { path: PathBuf, secret: PathBuf },
    #[error("mount source `{path}` lies outside the directories a run may use")]
    Outside { path: PathBuf },
    #[error("`{path}` is pinned but is not a plain file at its own place, so it cannot be mounted read-only")]
    NotPlain { path: PathBuf },
}

/// The allowed roots and what must never be inside a mount.
#[derive(Clone, Debug)]
pub struct MountRules {
    roots: Vec<PathBuf>,
    guarded: Vec<PathBuf>,
    /// Trees of which policy cannot grant any part.
    closed: Vec<PathBuf>,
}

impl MountRules {
    /// Resolves the roots; a root that does not exist yet is kept as given. `home` is the operator's home, `socket` the engine's.
    pub fn new(roots: &[PathBuf], home: Option<&Path>, socket: Option<&Path>) -> Self {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut guarded: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        for socket in socket.into_iter().chain([Path::new("/var/run/docker.sock"), Path::new("/run/docker.sock")]) {
            guarded.push(socket.to_owned());
            guarded.push(real(socket));
        }
        if let Some(home) = home {
            let home = real(home);
            guarded.extend(NAMES.iter().map(|name| home.join(name)));
            guarded.extend(PAIRS.iter().map(|(dir, name)| home.join(dir).join(name.trim_end_matches('*'))));
        }
        MountRules { roots: roots.iter().map(|root| real(root)).collect(), guarded, closed: Vec::new() }
    }

    /// Refuses to policy what lies in `tree` or contains it.
    pub fn close(&mut self, tree: &Path) {
        self.closed.push(tree.canonicalize().unwrap_or_else(|_| tree.to_owned()));
    }

    /// The real path to mount, or why there is none.
    pub fn check(&self, source: &Path) -> Result<PathBuf, Refused> {
        let real = self.check_harmless(source)?;
        let below = |root: &PathBuf| real.starts_with(root) && (real != *root || real.is_file());
        if !self.roots.iter().any(below) {
            return Err(Refused::Outside { path: real });
        }
        Ok(real)
    }

    /// The same for a path that policy itself names: it may lie anywhere, and must be as free of secrets.
    pub fn check_granted(&self, source: &Path) -> Result<PathBuf, Refused> {
        let real = self.check_harmless(source)?;
        match self.closed.iter().any(|closed| closed.starts_with(&real) || real.starts_with(closed)) {
            true => Err(Refused::Own { path: real }),
            false => Ok(real),
        }
    }

    fn check_harmless(&self, source: &Path) -> Result<PathBuf, Refused> {
        if !source.is_absolute() {
            return Err(Refused::NotAbsolute(source.to_owned()));
        }
        let real = source
            .canonicalize()
            .map_err(|error| Refused::Missing { path: source.to_owned(), why: error.to_string() })?;
        if real.parent().is_none() || SYSTEM.iter().any(|tree| real.starts_with(tree)) {
            return Err(Refused::System { path: real });
        }
        if let Some(name) = blocked_name(source).or_else(|| blocked_name(&real)) {
            return Err(Refused::Named { path: source.to_owned(), name });
        }
        if let Some(secret) = self.guarded.iter().find(|guarded| guarded.starts_with(&real)) {
            return Err(Refused::Contains { path: real.clone(), secret: secret.clone() });
        }
        Ok(real)
    }

    /// The real path of a pinned file. It is part of the workspace, so its name may be anything, but it must be a regular file that is
    /// reached without a symlink: a bind mount would follow one out of the workspace.
    pub fn check_pinned(&self, workspace: &Path, relative: &str) -> Result<PathBuf, Refused> {
        let path = Path::new(relative);
        let plain = !relative.is_empty() && path.components().all(|part| matches!(part, Component::Normal(_)));
        let expected = self.check(workspace)?.join(path);
        if !plain || expected.canonicalize().ok().as_deref() != Some(expected.as_path()) || !expected.is_file() {
            return Err(Refused::NotPlain { path: path.to_owned() });
        }
        Ok(expected)
    }
}

/// The first component (or pair) of a path that is named like a secret.
fn blocked_name(path: &Path) -> Option<String> {
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().to_lowercase()).collect();
    let single = parts.iter().find(|name| {
        NAMES.contains(&name.as_str()) || name.starts_with(".env") || name.ends_with(".pem") || name.ends_with(".p12")
    });
    let pair = || {
        parts.windows(2).find(|two| {
            PAIRS.iter().any(|(dir, name)| {
                two[0] == *dir && name.strip_suffix('*').map_or(two[1] == *name, |stem| two[1].starts_with(stem))
            })
        })
    };
    single.cloned().or_else(|| pair().map(|two| two.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    /// A made-up operator: home with secrets, a data directory in it, and rules for both.
    fn operator() -> (tempfile::TempDir, PathBuf, MountRules) {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        for path in [
            "home/.ssh",
            "home/.config/gh",
            "home/.cargo",
            "home/.m2",
            "home/data/runs/r1/workspace/src",
            "home/data/runs/r1/out",
            "home/data/runs/.env.d/out",
            "home/data/runs/r1/.AWS",
            "home/data/runs-evil",
            "engine",
        ] {
            fs::create_dir_all(top.join(path)).unwrap();
        }
        for path in [
            "home/.cargo/credentials.toml",
            "home/.m2/settings.xml",
            "home/data/runs/r1/key.pem",
            "home/data/runs/r1/workspace/key.pem",
            "home/data/init",
            "engine/docker.sock",
        ] {
            fs::write(top.join(path), b"").unwrap();
        }
        let home = top.join("home");
        let roots = [home.join("data/runs"), home.join("data/init")];
        let rules = MountRules::new(&roots, Some(&home), Some(&top.join("engine/docker.sock")));
        (dir, top, rules)
    }

    #[test]
    fn mounts_are_checked_by_real_path() {
        let (_dir, top, rules) = operator();
        let runs = top.join("home/data/runs");
        symlink(top.join("home/.ssh"), runs.join("r1/looks-fine")).unwrap();
        symlink("/etc", runs.join("r1/etc")).unwrap();
        symlink(&top, runs.join("r1/up")).unwrap();
        symlink(runs.join("r1/out"), runs.join("r1/inside")).unwrap();
        type Expect = fn(&Result<PathBuf, Refused>) -> bool;
        let ok: Expect = |answer| answer.is_ok();
        let named: Expect = |answer| matches!(answer, Err(Refused::Named { .. }));
        let contains: Expect = |answer| matches!(answer, Err(Refused::Contains { .. }));
        let system: Expect = |answer| matches!(answer, Err(Refused::System { .. }));
        let outside: Expect = |answer| matches!(answer, Err(Refused::Outside { .. }));
        let missing: Expect = |answer| matches!(answer, Err(Refused::Missing { .. }));
        let rows: &[(PathBuf, Expect)] = &[
            (runs.join("r1/workspace"), ok),
            (runs.join("r1/inside"), ok),
            (runs.join("r1/../r1/out"), ok),
            (top.join("home/data/init"), ok),
            (runs.clone(), outside),
            (top.join("home/data/runs-evil"), outside),
            (runs.join("r1/none"), missing),
            (runs.join("r1/looks-fine"), named),
            (runs.join("r1/key.pem"), named),
            (runs.join("r1/.AWS"), named),
            (runs.join(".env.d/out"), named),
            (top.join("home/.config/gh"), named),
            (top.join("home/.cargo/credentials.toml"), named),
            (top.join("home/.m2/settings.xml"), named),
            (top.join("engine/docker.sock"), named),
            (top.join("engine"), contains),
            (top.join("home"), contains),
            (top.join("home/.config"), contains),
            (runs.join("r1/up"), contains),
            (runs.join("r1/etc"), system),
            ("/".into(), system),
            ("/etc/passwd".into(), system),
            ("/proc/self".into(), system),
            ("/sys".into(), system),
            (top.clone(), contains),
        ];
        for (path, expect) in rows {
            let answer = rules.check(path);
            assert!(expect(&answer), "{}: {answer:?}", path.display());
        }
        assert!(matches!(rules.check(Path::new("")), Err(Refused::NotAbsolute(_))));
        assert!(matches!(rules.check(Path::new("runs/r1")), Err(Refused::NotAbsolute(_))));
    }

    #[test]
    fn policy_cannot_grant_the_host_s_own_data() {
        let (_dir, top, mut rules) = operator();
        let data = top.join("home/data");
        fs::create_dir_all(data.join("secrets")).unwrap();
        fs::create_dir_all(top.join("home/tools/bin")).unwrap();
        assert_eq!(rules.check_granted(&data.join("secrets")), Ok(data.join("secrets")));
        rules.close(&data);
        symlink(&data, top.join("home/tools/link")).unwrap();
        for own in [data.clone(), data.join("secrets"), data.join("runs/r1/workspace"), top.join("home/tools/link")] {
            assert_eq!(rules.check_granted(&own), Err(Refused::Own { path: own.canonicalize().unwrap() }));
        }
        assert_eq!(rules.check_granted(&top.join("home/tools/bin")), Ok(top.join("home/tools/bin")));
        assert_eq!(rules.check(&data.join("runs/r1/workspace")), Ok(data.join("runs/r1/workspace")));
    }

    #[test]
    fn pinned_files_may_have_any_name_but_no_symlink_on_the_way() {
        let (_dir, top, rules) = operator();
        let workspace = top.join("home/data/runs/r1/workspace");
        fs::write(workspace.join("src/test.py"), b"").unwrap();
        symlink("/etc/passwd", workspace.join("link")).unwrap();
        symlink(workspace.join("src"), workspace.join("dir")).unwrap();
        for good in ["src/test.py", "key.pem"] {
            assert_eq!(rules.check_pinned(&workspace, good), Ok(workspace.join(good)));
        }
        for bad in
            ["", "link", "dir/test.py", "../out", "/etc/passwd", "src", "src/none", "src/../key.pem", "./key.pem"]
        {
            assert!(rules.check_pinned(&workspace, bad).is_err(), "{bad}");
        }
    }
}
