//! Golden cases for personas: files that tell what comes in and what must come out. Natively only.
//!
//! A case is `NAME.toml`; beside it may lie `NAME.prompt.md`, the whole prompt that must come out.
//! ```toml
//! [work]                      # what is left out is empty, attempt is 1
//! title = "Add a farewell"
//! [work.handoffs]
//! "spec.md" = "…"
//! [report]                    # only where `accept` is to be tried
//! changed = ["tests/test_a.py"]
//! [report.artefacts]
//! "spec.md" = "…"
//! [expect]
//! acceptance = "retry"        # accept, retry, fail; or: refusal = true, when `brief` is to refuse
//! says = ["acceptance criteria"]        # words of the acceptance or refusal
//! prompt-says = ["/in/spec.md"]
//! ```

use crate::persona::{Acceptance, Handoff, Persona, Report, TaskBrief, Work};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::Path};

/// Plays every case of a folder, and holds name, summary, tools and paths against the `plugin.toml` above it.
///
/// # Panics
/// When the folder holds no case, when a case cannot be read, and with every difference found.
pub fn check<P: Persona>(folder: impl AsRef<Path>) {
    let folder = folder.as_ref();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut cases: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    assert!(!cases.is_empty(), "no golden case in {}", folder.display());
    let manifest = manifest(&folder.join("../plugin.toml"));
    let mut wrong: Vec<String> = cases.iter().flat_map(|path| differences::<P>(path, &manifest.asks)).collect();
    let info = P::describe();
    if (info.name, info.summary) != (manifest.name, manifest.summary) {
        wrong.push("name or summary is not what plugin.toml says".into());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    summary: String,
    asks: Asks,
}

/// The ceiling of what a persona may ask for.
#[derive(Deserialize)]
struct Asks {
    tools: Vec<String>,
    write: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    work: CaseWork,
    report: Option<CaseReport>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct CaseWork {
    title: String,
    description: String,
    repository: String,
    stage: String,
    attempt: u32,
    failure: Option<String>,
    check: Option<String>,
    produces: Vec<String>,
    handoffs: BTreeMap<String, String>,
    settings: String,
    read_only: bool,
}

impl Default for CaseWork {
    fn default() -> Self {
        CaseWork {
            title: "A title".into(),
            description: String::new(),
            repository: "acme/shop".into(),
            stage: "stage".into(),
            attempt: 1,
            failure: None,
            check: None,
            produces: Vec::new(),
            handoffs: BTreeMap::new(),
            settings: String::new(),
            read_only: false,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct CaseReport {
    message: String,
    changed: Vec<String>,
    left_behind: Vec<String>,
    artefacts: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Expect {
    acceptance: Option<String>,
    refusal: bool,
    says: Vec<String>,
    prompt_says: Vec<String>,
}

fn manifest(path: &Path) -> Manifest {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn differences<P: Persona>(path: &Path, asks: &Asks) -> Vec<String> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let work = work(case.work);
    let mut wrong = Vec::new();
    let mut said = String::new();
    match P::brief(work.clone()) {
        Ok(orders) => {
            if case.expect.refusal {
                wrong.push(format!("{name}: brief did not refuse"));
            }
            let tools = orders.tools.iter().filter(|tool| !asks.tools.contains(tool));
            for wish in tools.chain(orders.write.iter().filter(|glob| !asks.write.contains(glob))) {
                wrong.push(format!("{name}: brief asks for `{wish}`, plugin.toml does not"));
            }
            for words in case.expect.prompt_says.iter().filter(|words| !orders.prompt.contains(words.as_str())) {
                wrong.push(format!("{name}: the prompt lacks `{words}`"));
            }
            if let Some(line) = [&orders.system_prompt, &orders.prompt].iter().find_map(|text| unfilled(text, &work)) {
                wrong.push(format!("{name}: a placeholder was not filled in: {line}"));
            }
            match fs::read_to_string(path.with_extension("prompt.md")) {
                Ok(golden) if golden.trim_end() != orders.prompt.trim_end() => {
                    wrong.push(format!(
                        "{name}: the prompt differs from {name}.prompt.md; it is now:\n{}",
                        orders.prompt
                    ));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Err(refusal) if case.expect.refusal => said = refusal,
        Err(refusal) => wrong.push(format!("{name}: brief refused: {refusal}")),
    }
    if let Some(report) = case.report {
        let (kind, why) = match P::accept(work, report_of(report)) {
            Acceptance::Accept => ("accept", String::new()),
            Acceptance::Retry(why) => ("retry", why),
            Acceptance::Fail(why) => ("fail", why),
        };
        if case.expect.acceptance.as_deref() != Some(kind) {
            wrong.push(format!("{name}: acceptance is {kind} ({why}), expected {:?}", case.expect.acceptance));
        }
        said = why;
    } else if let Some(wanted) = &case.expect.acceptance {
        wrong.push(format!("{name}: acceptance {wanted} is expected, but there is no [report] to look at"));
    }
    for words in case.expect.says.iter().filter(|words| !said.contains(words.as_str())) {
        wrong.push(format!("{name}: `{said}` lacks `{words}`"));
    }
    wrong
}

/// A line that still has `{{`, unless the request itself brought it.
fn unfilled<'a>(text: &'a str, work: &Work) -> Option<&'a str> {
    let theirs = work.task.title.contains("{{") || work.task.description.contains("{{");
    text.lines().find(|line| line.contains("{{") && !theirs)
}

fn work(case: CaseWork) -> Work {
    Work {
        task: TaskBrief {
            id: 7,
            title: case.title,
            description: case.description,
            repository: case.repository,
            base_branch: "main".into(),
            read_only: case.read_only,
            extra: Vec::new(),
        },
        stage: case.stage,
        attempt: case.attempt,
        handoffs: handoffs(case.handoffs),
        failure: case.failure,
        check: case.check,
        produces: case.produces,
        settings: case.settings,
        extra: Vec::new(),
    }
}

fn report_of(case: CaseReport) -> Report {
    Report {
        message: case.message,
        artefacts: handoffs(case.artefacts),
        changed: case.changed,
        left_behind: case.left_behind,
        extra: Vec::new(),
    }
}

fn handoffs(texts: BTreeMap<String, String>) -> Vec<Handoff> {
    texts.into_iter().map(|(name, text)| Handoff { name, text, complete: true }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persona::{Assignment, PersonaInfo};

    struct Greedy;

    impl Persona for Greedy {
        fn describe() -> PersonaInfo {
            PersonaInfo::new("greedy", "Wants more than it may")
        }
        fn brief(work: Work) -> Result<Assignment, String> {
            Ok(Assignment::new("", work.fill("{{title}} {{titel}}")).tools(&["Read", "Bash"]).write(&["**"]))
        }
        fn accept(_: Work, _: Report) -> Acceptance {
            Acceptance::Accept
        }
    }

    fn found(manifest_name: &str, case: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let golden = folder.path().join("golden");
        fs::create_dir(&golden).unwrap();
        let manifest = format!(
            "name = \"{manifest_name}\"\nsummary = \"Wants more than it may\"\n[asks]\ntools = [\"Read\"]\nwrite = []\n"
        );
        fs::write(folder.path().join("plugin.toml"), manifest).unwrap();
        fs::write(golden.join("case.toml"), case).unwrap();
        let panic = std::panic::catch_unwind(|| check::<Greedy>(&golden)).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let case = "[work]\n[report]\n[expect]\nacceptance = \"retry\"\nsays = [\"why\"]\nprompt-says = [\"absent\"]";
        let found = found("modest", case);
        for words in [
            "name or summary is not what plugin.toml says",
            "brief asks for `Bash`, plugin.toml does not",
            "brief asks for `**`, plugin.toml does not",
            "a placeholder was not filled in: A title {{titel}}",
            "the prompt lacks `absent`",
            "acceptance is accept",
            "lacks `why`",
        ] {
            assert!(found.contains(words), "{words}: {found}");
        }
    }

    #[test]
    fn an_acceptance_of_nothing_is_told() {
        let found = found("greedy", "[work]\n[expect]\nacceptance = \"accept\"");
        assert!(found.contains("there is no [report]"), "{found}");
    }

    #[test]
    fn a_refusal_that_does_not_come_is_told() {
        assert!(found("greedy", "[work]\n[expect]\nrefusal = true").contains("brief did not refuse"));
        assert!(found("greedy", "[wokr]\n[expect]").contains("wokr"));
    }
}
