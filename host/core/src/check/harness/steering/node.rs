//! Of Node: keys of `package.json`, pnpm's workspaces and `tsconfig.json` that say which code a name means.

use crate::{
    check::harness::{
        modules::{self, Near},
        steering::{
            finding::{finding, new_lines, weight},
            places::Steering,
        },
    },
    facts::{ChangedFile, FileStatus, Finding, Severity},
};

/// A package that is named like one that tests use, or one of those that is to come from somewhere else.
pub(super) fn package_json(what: &Steering<'_>, file: &ChangedFile) -> Vec<Finding> {
    let read = |text: &Option<String>| -> Option<serde_json::Value> { serde_json::from_str(text.as_deref()?).ok() };
    let (base, head) = (read(&file.base_text), read(&file.head_text));
    let Some(head) = head else { return Vec::new() };
    let of = |value: &Option<serde_json::Value>, key: &str| value.as_ref().and_then(|value| value.get(key)).cloned();
    let mut findings: Vec<Finding> = leads(what, file, &base, &head).into_iter().collect();
    let name = head.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
    if let Some(near) = modules::node(name)
        && of(&base, "name").is_none_or(|before| before != name)
    {
        let message = format!("{} makes a package `{name}`, which tests use: find out what it does", file.path);
        findings.push(finding(weight(near), &file.path, message));
    }
    for key in
        ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides", "resolutions"]
    {
        let before = of(&base, key);
        for (name, from) in head.get(key).and_then(serde_json::Value::as_object).into_iter().flatten() {
            let package = name.rsplit("**/").next().unwrap_or(name);
            let is_same = before.as_ref().and_then(|before| before.get(name)) == Some(from);
            let text = from.as_str().unwrap_or("something else");
            let is_elsewhere = text.contains(':') || text.contains('/') || !from.is_string();
            if !is_same && is_elsewhere && modules::node(package).is_some() {
                let message =
                    format!("{} takes `{package}`, which tests use, from {text}: find out what that is", file.path);
                findings.push(finding(weight(Near::Imported), &file.path, message));
            }
        }
    }
    findings
}

/// Keys that say what the tests' own imports mean (nodejs.org/api/packages.html: "Determining module system", "Subpath imports",
/// "Self-referencing a package using its name"). A new manifest between tests and that of the base takes its place for all files below;
/// of one that is there, another way for a name that the base has counts, and the rest is the package's own.
fn leads(
    what: &Steering<'_>,
    file: &ChangedFile,
    base: &Option<serde_json::Value>,
    head: &serde_json::Value,
) -> Option<Finding> {
    let told = |keys: &str| {
        finding(
            ("leads-imports-elsewhere", Severity::Major, 60),
            &file.path,
            format!("{} says by {keys} what tests below it import now: find out what that is", file.path),
        )
    };
    let Some(base) = base.as_ref().filter(|_| file.status != FileStatus::Added) else {
        let folder = file.path.strip_suffix("package.json").filter(|folder| !folder.is_empty())?;
        let is_below = |tests: &str| tests.strip_prefix(folder).is_some() || format!("{tests}/") == folder;
        let keys: Vec<String> = ["imports", "type", "exports"]
            .into_iter()
            .filter(|key| head.get(*key).is_some())
            .map(|key| format!("`{key}`"))
            .collect();
        return (!keys.is_empty() && what.test_folders().any(is_below)).then(|| told(&keys.join(", ")));
    };
    let of = |side: &serde_json::Value| side.get("imports").and_then(serde_json::Value::as_object).cloned();
    let (old, new) = (of(base).unwrap_or_default(), of(head).unwrap_or_default());
    let is_otherwise = old.iter().any(|(name, way)| new.get(name) != Some(way));
    // A longer name goes before a pattern that it fits.
    let starts: Vec<&str> = old.keys().filter_map(|name| name.split_once('*')).map(|(start, _)| start).collect();
    let is_before = || new.keys().any(|name| !old.contains_key(name) && starts.iter().any(|s| name.starts_with(s)));
    (is_otherwise || is_before()).then(|| told("`imports`"))
}

/// Keys of pnpm's workspace that run something with every script (pnpm.io/settings).
pub(super) fn pnpm(file: &ChangedFile) -> Option<Finding> {
    const KEYS: [&str; 6] =
        ["nodeOptions", "scriptShell", "configDependencies", "pnpmfile", "globalPnpmfile", "overrides"];
    let line = new_lines(file)
        .find(|line| KEYS.iter().any(|key| line.trim_start_matches(['"', '\'']).starts_with(key)))?
        .to_owned();
    let message = format!("{} says what runs with every script (`{line}`): find out why", file.path);
    Some(finding(("runs-with-the-tests", Severity::Major, 60), &file.path, message))
}

/// Names of the tests' modules among the strings of a compiler's configuration: `paths` says which code a name means.
pub(super) fn tsconfig(file: &ChangedFile) -> Option<Finding> {
    let line = new_lines(file)
        .find(|line| {
            line.split('"').skip(1).step_by(2).any(|text| {
                modules::node(text.trim_end_matches("/*")).is_some_and(|_| line.contains(':') && line.contains('['))
            })
        })?
        .to_owned();
    let message = format!("{} says what a module that tests use means (`{line}`): find out what that is", file.path);
    Some(finding(weight(Near::Imported), &file.path, message))
}
