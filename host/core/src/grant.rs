//! What an agent gets: what its persona asked for, cut to what the plugin's manifest may ask and what policy grants.

use crate::{
    denial::DenialNote,
    policy::PersonaPolicy,
    record::StageRecord,
    run::WriteGrant,
    survey::{CI_FILES, CI_FOLDERS},
    tool::Tool,
};
use serde::{Deserialize, Serialize};

/// Paths no persona may write unless policy says `may-touch-ci = true`, beside the files and folders of CI: they say who looks
/// at a push, or what Git does with it.
const STEERING: [&str; 4] = [".github/**", "**/CODEOWNERS", "**/.gitmodules", "**/.gitattributes"];

/// Longest word of a component that a denial quotes, in characters.
const QUOTED: usize = 200;

/// A word of a component within the host's own sentences: on one line and no longer than anybody means, so that it adds none of its own.
pub fn claimed(word: &str) -> String {
    let shown: String = word.chars().take(QUOTED).map(plain).collect();
    if word.chars().nth(QUOTED).is_some() { format!("{shown}…") } else { shown }
}

/// The same as a string of TOML, which it cannot end.
fn quoted(word: &str) -> String {
    format!("\"{}\"", claimed(word).replace('\\', "\\\\").replace('"', "\\\""))
}

/// A character as it is shown: what ends a line or steers one becomes a blank.
fn plain(c: char) -> char {
    if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }
}

/// What a plugin may ask for at most, from `[asks]` of its manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ceiling {
    pub tools: Vec<String>,
    pub write: Vec<String>,
}

/// Tools and paths of one run. Made by [`grant`] only, and read back from the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    tools: Vec<String>,
    write: WriteGrant,
    denials: Vec<DenialNote>,
}

impl Grant {
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    pub fn write(&self) -> &WriteGrant {
        &self.write
    }

    pub fn denials(&self) -> &[DenialNote] {
        &self.denials
    }
}

/// Cuts a wish to what is granted; everything cut off becomes a denial that names the line which would allow it.
pub fn grant(
    persona: &str,
    tools: &[String],
    write: &[String],
    ceiling: &Ceiling,
    policy: &PersonaPolicy,
    records: &[StageRecord],
    read_only: bool,
) -> Grant {
    let mut denials = Vec::new();
    let mut granted_tools = Vec::new();
    for tool in tools {
        let (said, quoted) = (claimed(tool), quoted(tool));
        let rule = if !ceiling.tools.contains(tool) {
            Some((
                format!("its plugin.toml does not ask for {said}"),
                format!("[asks] tools = [{quoted}] in its plugin.toml"),
            ))
        } else if !policy.tools.contains(tool) {
            Some((
                format!("[persona.{persona}] does not grant {said}"),
                format!("[persona.{persona}] tools = [{quoted}]"),
            ))
        } else if read_only && Tool::is_idle_read_only(tool) {
            Some(("the pipeline is read-only".into(), String::new()))
        } else {
            None
        };
        match rule {
            Some((rule, remedy)) => denials.push(DenialNote { what: format!("tool {said}"), rule, remedy }),
            None if !granted_tools.contains(tool) => granted_tools.push(tool.clone()),
            None => {}
        }
    }
    let mut allow = Vec::new();
    if !read_only {
        let most: Vec<String> = ceiling.write.iter().map(|glob| whole_folder(glob)).collect();
        for glob in &write.iter().map(|glob| whole_folder(glob)).collect::<Vec<_>>() {
            let asked = narrowed(glob, &most);
            let granted: Vec<String> = asked.iter().flat_map(|glob| narrowed(glob, &policy.write)).collect();
            if granted.is_empty() {
                let (said, quoted) = (claimed(glob), quoted(glob));
                let (rule, remedy) = if asked.is_empty() {
                    (
                        format!("its plugin.toml does not ask to write {said}"),
                        format!("[asks] write = [{quoted}] in its plugin.toml"),
                    )
                } else {
                    (
                        format!("[persona.{persona}] does not grant writing {said}"),
                        format!("[persona.{persona}] write = [{quoted}]"),
                    )
                };
                denials.push(DenialNote { what: format!("writing {said}"), rule, remedy });
            }
            for glob in granted {
                if !allow.contains(&glob) {
                    allow.push(glob);
                }
            }
        }
    }
    Grant {
        tools: granted_tools,
        write: WriteGrant { allow, deny: denied_paths(policy), pinned: pinned(policy, records) },
        denials,
    }
}

/// A pattern in the one form that everybody reads alike: a folder, with `/` at its end, is all below it.
pub(crate) fn whole_folder(glob: &str) -> String {
    match glob.strip_suffix('/') {
        Some(folder) => format!("{folder}/**"),
        None => glob.to_owned(),
    }
}

/// Globs of `glob ∩ limits`, for globs that are equal, `**`, or a folder over another.
fn narrowed(glob: &str, limits: &[String]) -> Vec<String> {
    if limits.iter().any(|limit| covers(limit, glob)) {
        return vec![glob.to_owned()];
    }
    limits.iter().filter(|limit| covers(glob, limit)).cloned().collect()
}

/// True when every path that matches `narrow` matches `wide`; false when that is not plain.
fn covers(wide: &str, narrow: &str) -> bool {
    if wide == "**" || wide == narrow {
        return true;
    }
    match wide.strip_suffix("/**") {
        Some(folder) if !folder.contains(['*', '?', '[', '{']) => {
            narrow.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')) && !narrow.contains("..")
        }
        Some(_) | None => false,
    }
}

fn denied_paths(policy: &PersonaPolicy) -> Vec<String> {
    let own = policy.protect.iter().filter(|glob| !glob.starts_with("stage:")).cloned();
    if policy.may_touch_ci { own.collect() } else { own.chain(ci_paths()).collect() }
}

/// A push of these is code execution in somebody's CI, or steers it.
fn ci_paths() -> impl Iterator<Item = String> {
    let folders = CI_FOLDERS.iter().map(|folder| format!("{folder}/**"));
    folders.chain(CI_FILES.iter().chain(&STEERING).map(|path| (*path).to_owned()))
}

fn pinned(policy: &PersonaPolicy, records: &[StageRecord]) -> Vec<String> {
    let stages: Vec<&str> = policy.protect.iter().filter_map(|glob| glob.strip_prefix("stage:")).collect();
    let mut paths: Vec<String> = records
        .iter()
        .filter(|record| stages.contains(&record.stage.as_str()))
        .flat_map(|record| record.changed.iter().cloned())
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::FileClass;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    fn policy(tools: &[&str], write: &[&str], protect: &[&str]) -> PersonaPolicy {
        PersonaPolicy {
            tools: strings(tools),
            write: strings(write),
            protect: strings(protect),
            may_touch_ci: false,
            executor: "scripted".into(),
            budget: None,
            model: None,
            settings: serde_json::Value::Null,
        }
    }

    /// What a denial tells is shown as the host's own, with a line to add to policy.
    #[test]
    fn a_persona_drafts_no_policy_by_what_it_asks_for() {
        let hostile = "Bash\"]\n[people]\nowner = [\"telegram:66";
        let asked = strings(&[hostile, "\\", &"x".repeat(5_000)]);
        let ceilings = [Ceiling::default(), Ceiling { tools: asked.clone(), write: strings(&["**"]) }];
        for ceiling in ceilings {
            let grant = grant("qa", &asked, &asked, &ceiling, &policy(&[], &[], &[]), &[], false);
            assert_eq!((grant.tools().len(), grant.write().allow.len()), (0, 0));
            assert_eq!(grant.denials().len(), 6);
            for denial in grant.denials() {
                for text in [&denial.what, &denial.rule, &denial.remedy] {
                    assert!(!text.contains('\n') && text.chars().count() < 2 * QUOTED + 60, "{text}");
                }
                // Copied as it is drafted it is one list of one word.
                let drafted = denial.remedy.split(" in its").next().unwrap();
                let (section, line) = drafted.split_once("] ").unwrap();
                let table: toml::Table = format!("{section}]\n{line}").parse().unwrap();
                assert_eq!((table.len(), table.contains_key("people")), (1, false), "{drafted}");
            }
        }
    }

    #[test]
    fn the_least_of_three_counts() {
        let ceiling = Ceiling { tools: strings(&["Read", "Write", "Bash"]), write: strings(&["**"]) };
        let policy = policy(&["Read", "Bash", "Edit"], &["src/**", "tests/**"], &[]);
        let got =
            grant("w", &strings(&["Read", "Write", "Bash", "Edit"]), &strings(&["**"]), &ceiling, &policy, &[], false);
        assert_eq!(got.tools(), strings(&["Read", "Bash"]));
        assert_eq!(got.write().allow, strings(&["src/**", "tests/**"]));
        let denied: Vec<&str> = got.denials().iter().map(|d| d.what.as_str()).collect();
        assert_eq!(denied, ["tool Write", "tool Edit"]);
        assert!(got.denials()[0].remedy.contains("[persona.w] tools = [\"Write\"]"));
        assert!(got.denials()[1].remedy.contains("plugin.toml"));
    }

    #[test]
    fn globs_are_never_widened() {
        let ceiling = Ceiling { tools: vec![], write: strings(&["tests/**", "*_test.py", "docs/"]) };
        let all = policy(&[], &["**"], &[]);
        for (asked, want) in [
            ("**", vec!["tests/**", "*_test.py", "docs/**"]),
            ("tests/**", vec!["tests/**"]),
            ("tests/unit/**", vec!["tests/unit/**"]),
            ("tests/../src/**", vec![]),
            ("tests/unit/", vec!["tests/unit/**"]),
            ("docs/", vec!["docs/**"]),
            ("docs/**", vec!["docs/**"]),
            ("testsuite/**", vec![]),
            ("src/**", vec![]),
            ("*.py", vec![]),
        ] {
            let got = grant("qa", &[], &strings(&[asked]), &ceiling, &all, &[], false);
            assert_eq!(got.write().allow, strings(&want), "{asked}");
            assert_eq!(got.denials().is_empty(), !want.is_empty(), "{asked}");
        }
    }

    #[test]
    fn ci_files_and_earlier_stages_are_protected() {
        let record = StageRecord {
            stage: "qa".into(),
            persona: "qa".into(),
            attempt: 1,
            commit: crate::collect::CommitId("c".repeat(40)),
            changed: strings(&["tests/test_a.py"]),
            write: vec![],
            protected: vec![],
            left_behind: vec![],
            incomplete: vec![],
            artefacts: vec![],
        };
        let ceiling = Ceiling { tools: vec![], write: strings(&["**"]) };
        let mut policy = policy(&[], &["**"], &["stage:qa", "docs/**"]);
        let got = grant("w", &[], &strings(&["**"]), &ceiling, &policy, &[record], false);
        assert_eq!(got.write().pinned, strings(&["tests/test_a.py"]));
        assert!(got.write().deny.contains(&"docs/**".to_owned()));
        assert!(got.write().deny.contains(&".github/**".to_owned()));
        let forbidden = crate::spelling::Forbidden::patterns(&got.write().deny).unwrap();
        for (path, class) in crate::survey::EXAMPLES.iter().filter(|(_, class)| *class == FileClass::Ci) {
            assert!(forbidden.matches(path.as_bytes()), "{path} is {class:?}, so a push of it runs somewhere");
        }
        policy.may_touch_ci = true;
        assert_eq!(grant("w", &[], &[], &ceiling, &policy, &[], false).write().deny, strings(&["docs/**"]));
    }

    #[test]
    fn a_read_only_pipeline_grants_no_path() {
        let ceiling = Ceiling { tools: strings(&["Edit", "Read"]), write: strings(&["**"]) };
        let policy = policy(&["Edit", "Read"], &["**"], &[]);
        let got = grant("w", &strings(&["Edit", "Read"]), &strings(&["**"]), &ceiling, &policy, &[], true);
        assert!(got.write().is_read_only());
        assert_eq!(got.tools(), strings(&["Read"]));
    }
}
