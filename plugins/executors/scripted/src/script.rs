//! The script: finds it, parses it, and picks the step that fits the job. Faults are told with the place where they are.

use borg_sdk::executor::Job;
use serde::Deserialize;

/// Where a repository keeps its script.
pub const SCRIPT_FILE: &str = ".borg/script.toml";

/// What opens the block in a task's description.
const FENCE: &str = "```borg-script";

/// Longest silence and largest spam a script may ask for; the sandbox has its own limits.
const SLEEP_LIMIT_MS: u64 = 24 * 60 * 60 * 1000;

/// What one stage does.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    persona: Option<String>,
    stage: Option<String>,
    attempt: Option<u32>,
    said: Option<String>,
    #[serde(default, rename = "do")]
    pub actions: Vec<Action>,
}

#[derive(Debug)]
pub struct Action {
    pub verb: Verb,
    /// A failure ends the run.
    pub must: bool,
    /// Is tried even without the tool for it.
    pub force: bool,
}

#[derive(Debug, PartialEq)]
pub enum Verb {
    Say(String),
    Read(String),
    Write { path: String, text: String, executable: bool },
    Append { path: String, text: String },
    Replace { path: String, find: String, with: String },
    Delete(String),
    Move { path: String, to: String },
    Link { path: String, to: String },
    Run(String),
    SleepMs(u64),
    Spam { times: u64, text: String },
    Fail(u8),
    End { how: Ending, text: String },
}

/// How a run can end by the script's will.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Completed,
    Failed,
    Transient,
    Auth,
    RateLimited,
    Capped,
}

/// The first step that fits.
///
/// # Errors
/// When there is no script, when it cannot be understood, or when no step of it fits.
pub fn step_for(job: &Job) -> Result<Step, String> {
    let (place, text) = find(job).ok_or_else(|| {
        format!(
            "there is no script for the scripted agent: commit `{SCRIPT_FILE}` to `{}`, or put a block that begins with {FENCE} into the \
             task's description",
            job.task.base_branch
        )
    })?;
    let file: File = toml::from_str(text).map_err(|error| format!("the script in {place} is not right: {error}"))?;
    let mut steps = file.step;
    let fits = |step: &Step| {
        step.persona.as_ref().is_none_or(|persona| *persona == job.persona)
            && step.stage.as_ref().is_none_or(|stage| *stage == job.stage)
            && step.attempt.is_none_or(|attempt| attempt == job.attempt)
            && step.said.as_ref().is_none_or(|said| job.task.description.contains(said.as_str()))
    };
    let index = steps.iter().position(fits).ok_or_else(|| {
        format!(
            "the script in {place} has no [[step]] for persona `{}`, stage `{}`, attempt {}; add one with `persona = \"{}\"`",
            job.persona, job.stage, job.attempt, job.persona
        )
    })?;
    Ok(steps.swap_remove(index))
}

fn find(job: &Job) -> Option<(String, &str)> {
    if let Some(block) = block(&job.task.description) {
        return Some(("the task's description".into(), block));
    }
    let file = job.base_files.iter().find(|file| file.path == SCRIPT_FILE)?;
    Some((format!("`{SCRIPT_FILE}`"), &file.text))
}

/// What stands between the fence and the next line that is only a fence.
fn block(description: &str) -> Option<&str> {
    let mut start = None;
    let mut at = 0;
    for line in description.split_inclusive('\n') {
        match start {
            None if line.trim_end() == FENCE => start = Some(at + line.len()),
            Some(start) if line.trim_end() == "```" => return Some(&description[start..at]),
            None | Some(_) => {}
        }
        at += line.len();
    }
    start.map(|start| &description[start..])
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    step: Vec<Step>,
}

/// An action as it is written: exactly one verb, and the words that go with it.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    say: Option<String>,
    read: Option<String>,
    write: Option<String>,
    append: Option<String>,
    replace: Option<String>,
    delete: Option<String>,
    r#move: Option<String>,
    link: Option<String>,
    run: Option<String>,
    sleep_ms: Option<u64>,
    spam: Option<u64>,
    fail: Option<u8>,
    end: Option<Ending>,
    text: Option<String>,
    find: Option<String>,
    with: Option<String>,
    to: Option<String>,
    executable: bool,
    must: bool,
    force: bool,
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        action(Written::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

fn action(written: Written) -> Result<Action, String> {
    let Written { must, force, executable, mut text, mut find, mut with, mut to, .. } = written;
    let mut need = |word: &str| {
        let place = match word {
            "text" => &mut text,
            "find" => &mut find,
            "with" => &mut with,
            _ => &mut to,
        };
        place.take().ok_or_else(|| format!("this action needs `{word}` too"))
    };
    let mut verbs: Vec<Result<Verb, String>> = Vec::new();
    let Written { say, read, write, append, replace, delete, r#move, link, run, sleep_ms, spam, fail, end, .. } =
        written;
    verbs.extend(say.map(|text| Ok(Verb::Say(text))));
    verbs.extend(read.map(|path| Ok(Verb::Read(path))));
    verbs.extend(write.map(|path| Ok(Verb::Write { path, text: need("text")?, executable })));
    verbs.extend(append.map(|path| Ok(Verb::Append { path, text: need("text")? })));
    verbs.extend(replace.map(|path| Ok(Verb::Replace { path, find: need("find")?, with: need("with")? })));
    verbs.extend(delete.map(|path| Ok(Verb::Delete(path))));
    verbs.extend(r#move.map(|path| Ok(Verb::Move { path, to: need("to")? })));
    verbs.extend(link.map(|path| Ok(Verb::Link { path, to: need("to")? })));
    verbs.extend(run.map(|line| Ok(Verb::Run(line))));
    verbs.extend(sleep_ms.map(|ms| Ok(Verb::SleepMs(ms.min(SLEEP_LIMIT_MS)))));
    verbs.extend(spam.map(|times| Ok(Verb::Spam { times, text: need("text")? })));
    verbs.extend(fail.map(|code| Ok(Verb::Fail(code))));
    verbs.extend(end.map(|how| Ok(Verb::End { how, text: need("text").unwrap_or_default() })));
    let count = verbs.len();
    let verb: Verb = match verbs.pop() {
        Some(verb) if count == 1 => verb?,
        Some(_) | None => return Err(format!("an action has exactly one verb, this one has {count}")),
    };
    if let Verb::Replace { find, .. } = &verb
        && find.is_empty()
    {
        return Err("`find` is empty".into());
    }
    if [text, find, with, to].iter().any(Option::is_some) || (executable && !matches!(verb, Verb::Write { .. })) {
        return Err("this action has a word that does not go with its verb".into());
    }
    if texts(&verb).iter().any(|text| text.contains('\0')) {
        return Err("a text holds the character U+0000, which a shell cannot handle".into());
    }
    Ok(Action { verb, must, force })
}

fn texts(verb: &Verb) -> Vec<&str> {
    match verb {
        Verb::Say(text) | Verb::Read(text) | Verb::Delete(text) | Verb::Run(text) => vec![text],
        Verb::Write { path, text, .. } | Verb::Append { path, text } => vec![path, text],
        Verb::Replace { path, find, with } => vec![path, find, with],
        Verb::Move { path, to } | Verb::Link { path, to } => vec![path, to],
        Verb::Spam { text, .. } | Verb::End { text, .. } => vec![text],
        Verb::SleepMs(_) | Verb::Fail(_) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_sdk::executor::{BaseFile, TaskBrief};

    fn job(description: &str, file: Option<&str>) -> Job {
        let task = TaskBrief { description: description.into(), base_branch: "main".into(), ..Default::default() };
        let base_files =
            file.map(|text| BaseFile { path: SCRIPT_FILE.into(), text: text.into() }).into_iter().collect();
        Job { task, base_files, persona: "worker".into(), stage: "impl".into(), attempt: 2, ..Job::default() }
    }

    fn said(step: &Step) -> &str {
        match &step.actions[0].verb {
            Verb::Say(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_step_that_fits_is_played_and_the_description_wins() {
        let script = r#"
            step = [
                { persona = "qa", do = [{ say = "no" }] },
                { persona = "worker", attempt = 1, do = [{ say = "no" }] },
                { said = "in dollars", do = [{ say = "no" }] },
                { stage = "impl", attempt = 2, said = "in euros", do = [{ say = "yes" }] },
                { do = [{ say = "no" }] },
            ]"#;
        assert_eq!(said(&step_for(&job("Prices are in euros.", Some(script))).unwrap()), "yes");
        let description = "Please.\n```borg-script\n[[step]]\n[[step.do]]\nsay = \"mine\"\n```\nThanks.";
        assert_eq!(said(&step_for(&job(description, Some(script))).unwrap()), "mine");
    }

    #[test]
    fn what_is_missing_is_told_with_the_remedy() {
        let refused = |description: &str, file: Option<&str>| step_for(&job(description, file)).unwrap_err();
        let none = refused("no script here", None);
        assert!(none.contains("`.borg/script.toml` to `main`") && none.contains("```borg-script"), "{none}");
        let unfit = refused("", Some("[[step]]\npersona = \"qa\"\n"));
        assert!(unfit.contains("no [[step]] for persona `worker`, stage `impl`, attempt 2"), "{unfit}");
        for (action, words) in [
            ("sya = \"x\"", "unknown field `sya`"),
            ("say = \"x\"\nrun = \"y\"", "exactly one verb, this one has 2"),
            ("must = true", "exactly one verb, this one has 0"),
            ("write = \"x\"", "needs `text` too"),
            ("delete = \"x\"\nto = \"y\"", "does not go with its verb"),
            ("replace = \"x\"\nfind = \"\"\nwith = \"y\"", "`find` is empty"),
            ("say = \"\\u0000\"", "U+0000"),
            ("fail = 256", "256"),
        ] {
            let why = refused("", Some(&format!("[[step]]\n[[step.do]]\n{action}\n")));
            assert!(why.contains(words) && why.contains("`.borg/script.toml` is not right"), "{why}");
        }
    }
}
