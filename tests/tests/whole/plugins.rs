//! Plugins and policy of a running host: a new persona is dropped in, an executor swapped by a line, a broken edit refused, a plugin that
//! attacks contained. Nothing here restarts the host or builds it again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    crash::{self, Sandbox},
    guest,
    harness::Host,
    process::Backoff,
    repo::Repo,
    require,
    trial::{CHECK, LIMIT, REPOSITORY},
};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Policy is looked at every second, and taken when it has not changed for another.
const EFFECT: Duration = Duration::from_secs(20);

const REVIEWED: &str = r#"
[pipeline.reviewed]
summary = "the worker, then somebody with an attacker's eyes"

[[pipeline.reviewed.stage]]
name = "impl"
persona = "worker"
check = "tests-pass"

[[pipeline.reviewed.stage]]
name = "security"
persona = "security-review"
produces = ["security.md"]

[[pipeline.reviewed.stage]]
name = "judge"
rules = ["*"]

[[pipeline.reviewed.stage]]
name = "deliver"
via = "branch"
"#;

/// What the new persona's agent does.
const REVIEW: &str = r#"
[[step]]
persona = "security-review"

[[step.do]]
write = "/out/security.md"
text = """
# Review
Verdict: nothing to fear.
"""
must = true
"#;

/// The shop, with a script for its worker and for the new persona.
fn shop() -> Repo {
    crash::repo("quick", |script| format!("{script}\n{REVIEW}")).unwrap()
}

fn started(repo: &Repo) -> Option<Host> {
    let setup = crash::setup(Sandbox::strongest())?;
    Some(crash::start(setup.repository(REPOSITORY, repo, Some(CHECK)).unwrap()).unwrap())
}

/// Rewrites the policy file.
fn edit(host: &Host, change: impl FnOnce(&str) -> String) {
    let path = host.dir().join("policies/policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, change(&text)).unwrap();
}

/// Waits until a task can be added to a pipeline: the edit that brought it is in force.
#[track_caller]
fn task_in(host: &Host, pipeline: &str) -> u64 {
    let deadline = Instant::now() + EFFECT;
    let mut pauses = Backoff::default();
    loop {
        match host.task(REPOSITORY, pipeline, "Add a discount", "") {
            Ok(task) => return task,
            Err(error) if !pauses.pause_until(deadline) => panic!("{error:#}\n{}", host.log()),
            Err(_) => {}
        }
    }
}

#[track_caller]
fn ends(host: &Host, task: u64, status: &str) -> String {
    let settled = host.settled(task, LIMIT).unwrap();
    let log = host.cli(&["task", "log", &task.to_string()]).unwrap().stdout;
    assert_eq!(settled, status, "{log}\n{}", host.log());
    log
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_new_persona_is_dropped_into_a_running_host() {
    let repo = shop();
    let Some(host) = started(&repo) else { return };
    let pid = host.pid();
    // The operator's folder beside borg.toml was not even there when the host started.
    let folder = host.dir().join("plugins/personas/security-review");
    copy(&require::plugin_examples().join("personas/security-review"), &folder);
    let grant = "[persona.security-review]\ntools = [\"Read\", \"Glob\", \"Grep\", \"Write\"]\nwrite = []\nexecutor = \"scripted\"\n";
    edit(&host, |policy| format!("{policy}\n{grant}"));
    fs::write(host.dir().join("policies/pipelines/reviewed.toml"), REVIEWED).unwrap();

    let task = task_in(&host, "reviewed");
    let log = ends(&host, task, "completed");
    assert!(log.contains("security: nothing changed; security.md"), "{log}");
    assert_eq!(repo.branches().unwrap().len(), 1);
    assert_eq!(host.pid(), pid);
}

#[test]
fn who_waits_for_plugins_to_be_compiled_is_told_so_and_nobody_else() {
    let repo = shop();
    // Nothing was compiled for it beforehand.
    let Some(setup) = crash::setup(Sandbox::strongest()) else { return };
    let mut host = setup.repository(REPOSITORY, &repo, Some(CHECK)).unwrap().start().unwrap();
    let told = |host: &Host| host.log().matches("compiling plugins for this machine").count();
    assert_eq!(told(&host), 1, "{}", host.log());
    // One that comes later is compiled, too; nobody waits for that.
    copy(&require::plugin_examples().join("personas/security-review"), &host.dir().join("plugins/security-review"));
    let grant = "[persona.security-review]\ntools = [\"Read\", \"Write\"]\nwrite = []\nexecutor = \"scripted\"\n";
    edit(&host, |policy| format!("{policy}\n{grant}"));
    fs::write(host.dir().join("policies/pipelines/reviewed.toml"), REVIEWED).unwrap();
    let task = task_in(&host, "reviewed");
    host.settled(task, LIMIT).unwrap();
    assert_eq!(told(&host), 1, "{}", host.log());
    host.stop().unwrap();
    host.start().unwrap();
    assert_eq!(told(&host), 1, "{}", host.log());
    host.stop().unwrap();
}

#[test]
fn a_plugin_that_comes_after_the_policy_is_found_too() {
    let repo = shop();
    let Some(host) = started(&repo) else { return };
    let grant = "[persona.security-review]\ntools = [\"Read\", \"Write\"]\nwrite = []\nexecutor = \"scripted\"\n";
    edit(&host, |policy| format!("{policy}\n{grant}"));
    fs::write(host.dir().join("policies/pipelines/reviewed.toml"), REVIEWED).unwrap();
    let without = task_in(&host, "reviewed");
    let log = ends(&host, without, "blocked");
    assert!(log.contains("security-review"), "{log}");

    copy(&require::plugin_examples().join("personas/security-review"), &host.dir().join("plugins/security-review"));
    let deadline = Instant::now() + EFFECT;
    let mut pauses = Backoff::default();
    loop {
        host.cli(&["task", "retry", &without.to_string()]).unwrap().success();
        if host.settled(without, LIMIT).unwrap() == "completed" {
            break;
        }
        assert!(pauses.pause_until(deadline), "{}", host.log());
    }
}

#[test]
fn an_executor_is_swapped_by_one_line() {
    let repo = shop();
    let Some(setup) = crash::setup(Sandbox::strongest()) else { return };
    let setup = setup.executor("claude-code").repository(REPOSITORY, &repo, Some(CHECK)).unwrap();
    let host = crash::start(setup).unwrap();
    let before = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    let log = ends(&host, before, "blocked");
    assert!(log.contains("borg-host agent install claude-code"), "{log}");

    // The other way round is the same line.
    edit(&host, |policy| {
        let (head, worker) = policy.split_once("[persona.worker]").unwrap();
        let swapped = worker.replacen("executor = \"claude-code\"", "executor = \"scripted\"", 1);
        let changed = worker.lines().zip(swapped.lines()).filter(|(old, new)| old != new).count();
        assert_eq!(changed, 1);
        format!("{head}[persona.worker]{swapped}\n")
    });
    let marker =
        REVIEWED.replace("reviewed", "marker").replace("persona = \"security-review\"", "persona = \"worker\"");
    fs::write(host.dir().join("policies/pipelines/marker.toml"), marker.replace("produces = [\"security.md\"]", ""))
        .unwrap();
    let marker = task_in(&host, "marker");
    host.cli(&["task", "cancel", &marker.to_string()]).unwrap().success();
    let after = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    let log = ends(&host, after, "completed");
    assert!(log.contains("impl: scripted works"), "{log}");
}

#[test]
fn a_broken_edit_does_not_take_effect_and_shows() {
    let repo = shop();
    let Some(host) = started(&repo) else { return };
    let good = fs::read_to_string(host.dir().join("policies/policy.toml")).unwrap();
    for (broken, word) in [
        (good.replace("[persona.worker]", "[persona.worker]\ntoools = [\"Read\"]"), "tools"),
        (good.replace("pids = ", "pids = -"), ""),
        (format!("{good}\n[persona.worker"), ""),
        (format!("{good}\n[[example]]\nallow = 'persona \"manager\" writes \"src/lib.rs\"'"), "manager"),
    ] {
        let told = host.log().matches("does not take effect").count();
        if broken == good {
            continue;
        }
        edit(&host, |_| broken);
        let deadline = Instant::now() + EFFECT;
        let mut pauses = Backoff::default();
        while host.log().matches("does not take effect").count() == told {
            assert!(pauses.pause_until(deadline), "nobody was told:\n{}", host.log());
        }
        assert!(host.log().contains("policies/policy.toml") && host.log().contains(word), "{}", host.log());
        let doctor = host.cli(&["doctor"]).unwrap();
        assert_ne!(doctor.code, Some(0));
        assert!((doctor.stdout + &doctor.stderr).contains("policies/policy.toml"));
    }
    // The last good policy still stands.
    let task = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    ends(&host, task, "completed");
    // And the next good one is taken.
    edit(&host, |_| good);
    fs::write(host.dir().join("policies/pipelines/again.toml"), REVIEWED.replace("reviewed", "again")).unwrap();
    edit(&host, |policy| {
        format!("{policy}\n[persona.security-review]\ntools = []\nwrite = []\nexecutor = \"scripted\"\n")
    });
    task_in(&host, "again");
}

const HOSTILE: &str = r#"
name = "hostile"
kind = "persona"
world = "0.2.0"
version = "0.1.0"
summary = "attacks its host"

[asks]
log = true
tools = ["Bash"]
write = ["**"]

[settings.mode]
type = "string"
default = ""
doc = "How."
"#;

#[test]
fn a_persona_that_attacks_fails_only_its_own_task() {
    let repo = shop();
    let Some(host) = started(&repo) else { return };
    let pid = host.pid();
    let folder = host.dir().join("plugins/personas/hostile");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(guest::component("hostile").unwrap(), folder.join("hostile.wasm")).unwrap();
    fs::write(folder.join("plugin.toml"), HOSTILE).unwrap();
    let plain = fs::read_to_string(host.dir().join("policies/policy.toml")).unwrap();
    for mode in ["panic", "loop", "alloc", "recurse", "big", "exit", "sleep"] {
        let grant = format!(
            "[persona.hostile]\ntools = []\nwrite = []\nexecutor = \"scripted\"\n[persona.hostile.settings]\nmode = \"{mode}\"\n"
        );
        edit(&host, |_| format!("{plain}\n{grant}"));
        let pipeline = REVIEWED.replace("reviewed", mode).replace("\"security-review\"", "\"hostile\"");
        let stages: Vec<&str> = pipeline.split("[[pipeline").collect();
        // The attack comes first, so that each takes no longer than it must.
        let first = stages[2].replace("produces = [\"security.md\"]", "");
        fs::write(
            host.dir().join(format!("policies/pipelines/{mode}.toml")),
            format!("{}[[pipeline{first}", stages[0]),
        )
        .unwrap();
        let task = task_in(&host, mode);
        let log = ends(&host, task, "blocked");
        assert!(log.contains("plugin hostile failed") && !log.contains("there is no persona"), "{mode}: {log}");
        assert_eq!(host.pid(), pid);
    }
    let task = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    ends(&host, task, "completed");
}
