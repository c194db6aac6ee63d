//! What runs by itself because of a few lines in a file that is otherwise nobody's concern: scripts of package managers.

use super::runs::Runs;
use crate::facts::{ChangedFile, FileStatus};
use serde_json::{Map, Value};

/// Scripts of `package.json` that npm, pnpm or Yarn run when the package is installed (npm's "scripts", "Life Cycle Scripts").
const NPM_AT_INSTALL: [&str; 9] = [
    "preinstall",
    "install",
    "postinstall",
    "preprepare",
    "prepare",
    "postprepare",
    "prepublish",
    "dependencies",
    "pnpm:devPreinstall",
];

/// Tables of `package.json` that tell Git hooks what to run.
const NPM_HOOKS: [&str; 6] = ["husky", "simple-git-hooks", "gitHooks", "lint-staged", "pre-commit", "pre-push"];

/// Scripts of `composer.json` that Composer runs when dependencies are installed or updated (its "Scripts", "Event names").
const COMPOSER_AT_INSTALL: [&str; 14] = [
    "pre-install-cmd",
    "post-install-cmd",
    "pre-update-cmd",
    "post-update-cmd",
    "pre-autoload-dump",
    "post-autoload-dump",
    "post-root-package-install",
    "post-create-project-cmd",
    "pre-dependencies-solving",
    "post-dependencies-solving",
    "pre-package-install",
    "post-package-install",
    "pre-package-update",
    "post-package-update",
];

/// Keys of `.npmrc` that name a program, or where packages come from (npm's "config").
const NPMRC: [&str; 9] = [
    "script-shell",
    "shell",
    "node-options",
    "git",
    "onload-script",
    "prefix",
    "globalconfig",
    "userconfig",
    "registry",
];

/// Keys of `.yarnrc.yml` and `.yarnrc` that name code, or where packages come from (Yarn's "yarnrc").
const YARNRC: [&str; 8] = [
    "yarnPath",
    "yarn-path",
    "plugins",
    "enableScripts",
    "npmRegistryServer",
    "registry",
    "unsafeHttpWhitelist",
    "initScope",
];

/// True for files of which [`told`] wants the whole text, beside those that are read anyway.
pub fn wants_text(path: &str) -> bool {
    file_name(path) == "composer.json"
}

fn file_name(path: &str) -> String {
    crate::spelling::fold(path.rsplit(['/', '\\']).next().unwrap_or(path))
}

/// What a change makes run, and who runs it; nothing for most.
pub fn told(file: &ChangedFile) -> Option<(Runs, String)> {
    if file.status == FileStatus::Deleted {
        return None;
    }
    let name = file_name(&file.path);
    match name.as_str() {
        "package.json" => package_json(file),
        "composer.json" => {
            let scripts = changed(file, |table| table.get("scripts").and_then(Value::as_object).cloned())?;
            let at_install = named(&scripts, |name| COMPOSER_AT_INSTALL.contains(&name));
            at_install.map(|names| by_itself("Composer", &names))
        }
        ".npmrc" => lines(file, '=', &NPMRC).map(|names| by_itself("npm", &names)),
        ".yarnrc" => lines(file, ' ', &YARNRC).map(|names| by_itself("Yarn", &names)),
        ".yarnrc.yml" => lines(file, ':', &YARNRC).map(|names| by_itself("Yarn", &names)),
        name if name.ends_with(".gemspec") => added(file)
            .any(|line| line.contains(".extensions"))
            .then(|| by_itself("RubyGems", "`extensions`, which are built")),
        _ => None,
    }
}

fn by_itself(who: &str, what: &str) -> (Runs, String) {
    (Runs::ByItself, format!("{who} obeys it when dependencies are installed: {what}"))
}

fn package_json(file: &ChangedFile) -> Option<(Runs, String)> {
    let scripts = changed(file, |table| table.get("scripts").and_then(Value::as_object).cloned())?;
    if let Some(names) = named(&scripts, |name| NPM_AT_INSTALL.contains(&name)) {
        return Some(by_itself("npm", &names));
    }
    let hooks = changed(file, |table| Some(table.clone()))?;
    if let Some(names) = named(&hooks, |name| NPM_HOOKS.contains(&name)) {
        return Some((Runs::ByItself, format!("Git hooks take from it what they run: {names}")));
    }
    let others = named(&scripts, |_| true)?;
    Some((Runs::WhenStarted, format!("`npm run` runs it: {others}")))
}

/// Names of one table that were added or say something else now; nothing where the file is no JSON.
fn changed(
    file: &ChangedFile,
    table: impl Fn(&Map<String, Value>) -> Option<Map<String, Value>>,
) -> Option<Vec<String>> {
    let read = |text: &Option<String>| -> Option<Map<String, Value>> {
        let Some(text) = text else { return Some(Map::new()) };
        let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
        Some(value.as_object().and_then(&table).unwrap_or_default())
    };
    let (head, base) = (read(&file.head_text)?, read(&file.base_text).unwrap_or_default());
    Some(head.into_iter().filter(|(name, value)| base.get(name) != Some(value)).map(|(name, _)| name).collect())
}

fn named(names: &[String], is_meant: impl Fn(&str) -> bool) -> Option<String> {
    let found: Vec<String> =
        names.iter().filter(|name| is_meant(name)).map(|name| format!("`{}`", short(name))).collect();
    (!found.is_empty()).then(|| found.join(", "))
}

/// A name that somebody chose, as one short word.
fn short(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || c == '`' { '?' } else { c }).take(60).collect()
}

/// Keys that added lines set, of those that matter.
fn lines(file: &ChangedFile, sign: char, keys: &[&str]) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for line in added(file) {
        let key = line.split(sign).next().unwrap_or_default().trim().trim_matches('"');
        // A registry of one scope is written `@scope:registry`.
        let key = key.rsplit(':').next().unwrap_or(key);
        if line.contains(sign) && keys.contains(&key) && !found.iter().any(|known| known == key) {
            found.push(key.to_owned());
        }
    }
    named(&found, |_| true)
}

fn added(file: &ChangedFile) -> impl Iterator<Item = &str> {
    file.hunks.iter().flat_map(|hunk| hunk.text.split('\n')).filter_map(|line| line.strip_prefix('+'))
}
