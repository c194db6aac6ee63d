//! Scripts played by a real `sh`, from launch to outcome: what they do to files, what they print, and that no text of theirs is ever a command.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_sdk::executor::{AgentEvent, EndCause, Executor, Job, Outcome, RunEnd, Status, TaskBrief, Tool};
use proptest::prelude::*;
use scripted::Scripted;
use std::{fs, path::Path, process::Stdio};
use tempfile::TempDir;

struct Played {
    /// Holds `workspace`, `in`, `out`, `home`.
    root: TempDir,
    events: Vec<AgentEvent>,
    outcome: Outcome,
}

impl Played {
    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root.path().join(path)).unwrap()
    }

    /// Outcomes of the calls, in order.
    fn results(&self) -> Vec<(bool, &str)> {
        let results = self.events.iter().filter_map(|event| match event {
            AgentEvent::ToolResult(result) => Some((result.ok, result.detail.as_str())),
            _ => None,
        });
        results.collect()
    }
}

fn play(actions: &str) -> Played {
    play_with(&["Read", "Write", "Edit", "Bash"], actions)
}

fn play_with(tools: &[&str], actions: &str) -> Played {
    let root = TempDir::new().unwrap();
    for folder in ["workspace", "in", "out", "home"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    fs::write(root.path().join("workspace/shop.py"), "def bye():\n    return 'Bye'\n\n").unwrap();
    fs::write(root.path().join("in/spec.md"), "# Spec").unwrap();
    let path = |folder: &str| root.path().join(folder).to_str().unwrap().to_owned();
    let job = Job {
        task: TaskBrief { description: format!("```borg-script\n[[step]]\n{actions}\n```"), ..TaskBrief::default() },
        tools: tools.iter().map(|name| Tool { name: (*name).into(), ..Tool::default() }).collect(),
        workspace: path("workspace"),
        in_dir: path("in"),
        out_dir: path("out"),
        home: path("home"),
        attempt: 1,
        ..Job::default()
    };
    let command = Scripted::launch(job.clone()).unwrap();
    for file in &command.files {
        let path = Path::new(&job.home).join(&file.path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &file.text).unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "this test is the sandbox")]
    let output = std::process::Command::new(&command.argv[0])
        .args(&command.argv[1..])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let lines = String::from_utf8_lossy(&output.stdout).lines().map(Into::into).collect();
    let step = Scripted::read(job.clone(), vec![], lines);
    assert!(step.state.len() <= 64 * 1024);
    let stderr_tail = String::from_utf8_lossy(&output.stderr).into_owned();
    let end = RunEnd { stderr_tail, ..RunEnd::new(EndCause::Exited, output.status.code()) };
    let outcome = Scripted::finish(job, step.state, end);
    Played { root, events: step.events, outcome }
}

fn toml(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[test]
fn a_script_works_on_files() {
    let played = play(
        r##"
[[step.do]]
say = "It's on its way."
[[step.do]]
read = "/in/spec.md"
[[step.do]]
write = "deep/er/new.txt"
text = "no line end, $HOME `id` \"x\" \\ 'y'"
[[step.do]]
append = "deep/er/new.txt"
text = "\nmore\n"
[[step.do]]
replace = "shop.py"
find = "'Bye'"
with = "'Goodbye'  # * ? [a]"
[[step.do]]
write = "/out/spec.md"
text = "done"
[[step.do]]
move = "deep/er"
to = "other/place"
[[step.do]]
run = "cat other/place/new.txt | wc -l"
[[step.do]]
write = "tool.sh"
text = "#!/bin/sh\n"
executable = true
[[step.do]]
run = "test -x tool.sh && rm tool.sh"
[[step.do]]
say = "All \"done\"."
"##,
    );
    assert_eq!(played.outcome.status, Status::Completed, "{}", played.outcome.message);
    assert_eq!(played.outcome.message, "All \"done\".");
    assert_eq!(played.text("workspace/other/place/new.txt"), "no line end, $HOME `id` \"x\" \\ 'y'\nmore\n");
    assert_eq!(played.text("workspace/shop.py"), "def bye():\n    return 'Goodbye'  # * ? [a]\n\n");
    assert_eq!(played.text("out/spec.md"), "done");
    let results = played.results();
    assert!(results.iter().all(|(ok, _)| *ok), "{results:?}");
    assert_eq!((results[0].1, results[6].1), ("# Spec", "2"));
    assert!(!played.events.iter().any(|event| matches!(event, AgentEvent::Noise(_))));
}

#[test]
fn a_refusal_is_told_and_the_script_goes_on() {
    let played = play(
        r#"
[[step.do]]
write = "/proc/sys/nothing-here"
text = "x"
[[step.do]]
replace = "shop.py"
find = "absent"
with = "x"
[[step.do]]
run = "echo 'a \"quoted\" \\word\\'; printf '\\033[31m\\n'; exit 7"
[[step.do]]
say = "still here"
"#,
    );
    let results = played.results();
    assert!(results.iter().all(|(ok, _)| !ok), "{results:?}");
    assert!(results[0].1.contains("nothing-here"), "{results:?}");
    assert_eq!(results[1].1, "exit code 1: the text was not found");
    assert_eq!(results[2].1, "exit code 7: a \"quoted\" \\word\\ [31m");
    assert_eq!((played.outcome.status, played.outcome.message.as_str()), (Status::Completed, "still here"));
}

#[test]
fn must_ends_the_run_and_fail_ends_it_with_its_code() {
    let played =
        play("[[step.do]]\nrun = \"echo broken; exit 3\"\nmust = true\n[[step.do]]\nwrite = \"x\"\ntext = \"\"");
    assert_eq!(played.outcome.status, Status::Failed);
    assert!(played.outcome.message.contains("exit code 1; exit code 3: broken"), "{}", played.outcome.message);
    assert!(!played.root.path().join("workspace/x").exists());
    let played = play("[[step.do]]\nfail = 42");
    assert!(played.outcome.message.contains("exit code 42"));
    let played = play("[[step.do]]\nend = \"rate-limited\"\ntext = \"slow down\"");
    assert_eq!((played.outcome.status, played.outcome.retry_after_ms), (Status::RateLimited, Some(1000)));
}

#[test]
fn what_is_not_granted_is_denied_unless_forced() {
    let actions = "[[step.do]]\nrun = \"touch ran\"\n[[step.do]]\nwrite = \"/out/x\"\ntext = \"\"\n[[step.do]]\ndelete = \"shop.py\"\nforce = true";
    let played = play_with(&["Write"], actions);
    assert_eq!(played.results(), [(false, "Bash is not granted"), (true, ""), (true, "")]);
    assert!(
        played.events.iter().any(|event| matches!(event, AgentEvent::Denied(denial) if denial.detail == "touch ran"))
    );
    assert!(
        !played.root.path().join("workspace/ran").exists() && !played.root.path().join("workspace/shop.py").exists()
    );
}

#[test]
fn spam_is_noise_and_silence_is_silent() {
    let played = play("[[step.do]]\nspam = 3\ntext = \"{not json\"\n[[step.do]]\nsleep-ms = 20");
    let noise: Vec<_> =
        played.events.iter().filter(|event| matches!(event, AgentEvent::Noise(text) if text == "{not json")).collect();
    assert_eq!((noise.len(), played.outcome.status), (3, Status::Completed));
}

#[test]
fn an_unfinished_script_is_a_failure_however_it_ended() {
    let job = Job::default;
    let step = Scripted::read(job(), vec![], vec![r#"{"say":"nearly"}"#.into()]);
    for (cause, status) in [
        (EndCause::Exited, Status::Failed),
        (EndCause::KilledBySignal, Status::Failed),
        (EndCause::Capped, Status::Capped),
        (EndCause::Lost, Status::Transient),
    ] {
        let end = RunEnd::new(cause, Some(0));
        assert_eq!(Scripted::finish(job(), step.state.clone(), end).status, status, "{cause:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_ever_a_command(text in "[^\u{0}\r]{0,60}", name in "[a-z'\"$`; *-]{1,12}") {
        let written = format!("[[step.do]]\nwrite = {}\ntext = {}\n[[step.do]]\nsay = {}", toml(&format!("w/{name}")), toml(&text), toml(&text));
        let played = play(&written);
        prop_assert_eq!(played.outcome.status, Status::Completed);
        prop_assert_eq!(played.text(&format!("workspace/w/{name}")), text.clone());
        let said = played.events.iter().any(|event| matches!(event, AgentEvent::Said(said) if *said == text));
        prop_assert!(said);
    }
}
