//! Policy files on disk: read, completed by settings, watched, edited.

mod edit;
mod read;

pub use edit::{Folder, replace};
pub use read::{PolicyError, sources};

use crate::settings::Defaults;
use borg_core::{
    id::Digest,
    policy::{Policy, SecretSource, parse, source::SourceFile},
};
use std::{fs, path::Path};

/// Name under which the settings stand among a policy's sources; no file is called so.
const OVERLAY: &str = "(settings)";

/// Reads and checks a folder of policy files. Settings that complete them are kept with the sources, so that [`parse()`] gives the same
/// policy again after they have changed.
pub fn load(folder: &Path, defaults: &Defaults) -> Result<(Policy, Vec<SourceFile>), PolicyError> {
    let mut files = sources(folder)?;
    match parse::parse(&files) {
        Ok(policy) => {
            files.extend(overlay(defaults));
            Ok((complete(policy, defaults), files))
        }
        Err(errors) => Err(PolicyError::Wrong(errors, files)),
    }
}

/// Parses sources that [`load`] gave once; none when this program no longer understands them.
pub fn parse(files: &[SourceFile]) -> Option<Policy> {
    let (overlays, files): (Vec<_>, Vec<_>) = files.iter().cloned().partition(|file| file.name == OVERLAY);
    let defaults = match overlays.first() {
        Some(file) => serde_json::from_str(&file.text).ok()?,
        None => Defaults::default(),
    };
    parse::parse(&files).ok().map(|policy| complete(policy, &defaults))
}

/// The settings as a source beside the policy files; none where they say nothing. They hold no secret.
fn overlay(defaults: &Defaults) -> Option<SourceFile> {
    if *defaults == Defaults::default() {
        return None;
    }
    let text = serde_json::to_string(defaults).expect("plain fields have a JSON form");
    Some(SourceFile { name: OVERLAY.into(), text })
}

/// Fills in what policy leaves open from the settings.
pub fn complete(mut policy: Policy, defaults: &Defaults) -> Policy {
    let Some(overlay) = overlay(defaults) else { return policy };
    policy.digest = Digest::of_parts([&policy.digest.0[..], overlay.text.as_bytes()]);
    // One that policy does not know is refused with words when a task is asked for.
    policy.host.repository = policy.host.repository.take().or_else(|| defaults.repository.clone());
    for repo in policy.repos.values_mut() {
        repo.check = repo.check.take().or_else(|| defaults.check.clone());
    }
    for executor in policy.executors.values_mut() {
        if let Some(image) = &defaults.image {
            executor.image.clone_from(image);
        }
        if let Some(wall_ms) = defaults.wall_ms {
            executor.limits.wall_ms = executor.limits.wall_ms.min(wall_ms);
        }
        executor.model = executor.model.take().or_else(|| defaults.model.clone());
    }
    if defaults.claude_token {
        policy.secrets.insert("claude".into(), SecretSource::Env("CLAUDE_CODE_OAUTH_TOKEN".into()));
    }
    policy
}

/// What tells that files changed, without reading them: names, sizes, inodes, times of modification and change.
pub fn fingerprint(folder: &Path) -> Digest {
    use std::os::unix::fs::MetadataExt;
    let mut parts = Vec::new();
    for dir in [folder.to_owned(), folder.join("pipelines")] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            if let Ok(found) = entry.metadata() {
                let modified = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
                parts.push(format!("{:?} {} {} {modified:?}", entry.path(), found.len(), found.ino()));
            }
        }
    }
    parts.sort();
    Digest::of_parts(parts.iter().map(String::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shipped policies, to be edited.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("pipelines")).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        for file in sources(&shipped).unwrap() {
            fs::write(dir.path().join(file.name.strip_prefix("policies/").unwrap()), file.text).unwrap();
        }
        dir
    }

    fn some() -> Defaults {
        Defaults { check: Some("make test".into()), wall_ms: Some(5), ..Defaults::default() }
    }

    #[test]
    fn settings_fill_gaps_and_overrule_nothing_that_protects() {
        let dir = folder();
        let repos = "[repo.\"acme/a\"]\nurl = \"/srv/a\"\ncheck = \"own\"\n[repo.\"acme/b\"]\nurl = \"/srv/b\"\n";
        fs::write(dir.path().join("repos.toml"), repos).unwrap();
        let policy = load(dir.path(), &some()).unwrap().0;
        assert_eq!(policy.repos["acme/a"].check.as_deref(), Some("own"));
        assert_eq!(policy.repos["acme/b"].check.as_deref(), Some("make test"));
        let longer = Defaults { wall_ms: Some(u64::MAX), ..Defaults::default() };
        let plain = load(dir.path(), &Defaults::default()).unwrap().0;
        for (name, executor) in load(dir.path(), &longer).unwrap().0.executors {
            let said = plain.executors[&name].limits.wall_ms;
            assert_eq!(executor.limits.wall_ms, said, "{name} may not run longer than policy says");
        }
    }

    #[test]
    fn kept_sources_give_the_same_policy_whatever_the_settings_are_now() {
        let dir = folder();
        for defaults in [Defaults::default(), some()] {
            let (policy, sources) = load(dir.path(), &defaults).unwrap();
            assert_eq!(parse(&sources), Some(policy));
        }
        let (plain, with) = (load(dir.path(), &Defaults::default()).unwrap(), load(dir.path(), &some()).unwrap());
        assert_ne!(plain.0.digest, with.0.digest);
    }

    #[test]
    fn an_edit_is_noticed_even_where_size_and_time_are_the_same() {
        let dir = folder();
        let path = dir.path().join("host.toml");
        let (before, found) = (fingerprint(dir.path()), fs::metadata(&path).unwrap());
        assert_eq!(fingerprint(dir.path()), before);
        // An edit by replacement, dated back.
        let text = fs::read_to_string(&path).unwrap().replace("parallel = 2", "parallel = 3");
        fs::write(dir.path().join("new"), text).unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(found.modified().unwrap()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), found.len());
        assert_ne!(fingerprint(dir.path()), before);
        let before = fingerprint(dir.path());
        fs::write(dir.path().join("pipelines/mine.toml"), "").unwrap();
        assert_ne!(fingerprint(dir.path()), before);
    }

    #[test]
    fn what_an_editor_leaves_is_no_policy() {
        let dir = folder();
        let before = load(dir.path(), &Defaults::default()).unwrap().0;
        std::os::unix::fs::symlink("nobody@nowhere.1", dir.path().join(".#host.toml")).unwrap();
        fs::write(dir.path().join(".host.toml"), "nonsense").unwrap();
        fs::write(dir.path().join("host.toml~"), "nonsense").unwrap();
        assert_eq!(load(dir.path(), &Defaults::default()).unwrap().0, before);
    }

    #[test]
    fn what_cannot_be_read_says_which_file_and_why() {
        let dir = folder();
        let told = || load(dir.path(), &Defaults::default()).unwrap_err().to_string();
        fs::write(dir.path().join("zz.toml"), vec![b'#'; read::FILE_LIMIT as usize + 1]).unwrap();
        assert!(told().contains("zz.toml") && told().contains("larger than"), "{}", told());
        fs::write(dir.path().join("zz.toml"), [0xff, 0xfe]).unwrap();
        assert!(told().contains("zz.toml"), "{}", told());
        fs::write(dir.path().join("zz.toml"), "[hsot]\nparallel = 0\n[executor.x]\nmemroy = 1\n").unwrap();
        let all = told();
        assert!(all.contains("zz.toml") && all.contains("hsot") && all.contains("memroy"), "all at once: {all}");
        let missing = sources(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(missing.contains("borg-host init"), "{missing}");
    }
}
