//! What is missing on the machine, told with its remedy: no engine, no image. Nothing half-made stays behind, and once it is there the work
//! goes on. And the commands that bring an engine of their own: `demo` and `ask`.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use borg_tests::{
    crash::{self, Sandbox, traces, warm},
    harness::Host,
    process,
    repo::Repo,
    require,
};
use std::{fs, path::Path, process::Command, time::Duration};

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
const IMAGE: &str = "borg-base:latest";
const ANSWER: &str = r#"
[[step]]
persona = "answerer"

[[step.do]]
read = "shop.py"
must = true

[[step.do]]
say = "In shop.py.\u001b[2J"
"#;

/// An installation with the small shop, not started; none when the program is not built.
#[track_caller]
fn installation(sandbox: Sandbox, env: &[(&str, &str)], repo: &Repo) -> Option<Host> {
    let mut setup = crash::setup(sandbox)?.env("RUST_LOG", "warn");
    for (name, value) in env {
        setup = setup.env(name, value);
    }
    let host = setup.repository(REPOSITORY, repo, Some(CHECK)).unwrap().write().unwrap();
    warm::before(&host).unwrap();
    Some(host)
}

fn shop() -> Repo {
    crash::repo("quick", |script| format!("{script}{ANSWER}")).unwrap()
}

#[test]
fn without_an_engine_nothing_starts_and_nothing_is_begun() {
    let repo = shop();
    let away = [("DOCKER_HOST", "unix:///nonexistent/docker.sock")];
    let Some(mut host) = installation(Sandbox::Docker, &away, &repo) else { return };
    for args in [&["run"][..], &["ask", "Where are prices rounded?"]] {
        let told = host.cli(args).unwrap();
        assert_eq!(told.code, Some(1), "{told:?}");
        for words in [
            "/nonexistent/docker.sock",
            "sandbox = \"docker\"",
            "what to do",
            "systemctl start docker",
            "sandbox = \"local\"",
        ] {
            assert!(told.stderr.contains(words), "`{words}` is not in: {}", told.stderr);
        }
        assert!(!host.data().join("journal.db").exists(), "{args:?} has begun something");
        assert!(!host.data().join("control.sock").exists());
    }
    let doctor = host.cli(&["doctor"]).unwrap();
    assert!(doctor.code == Some(1) && doctor.stdout.contains("no Docker engine"), "{doctor:?}");
    // What the message says works.
    let policy = host.dir().join("policies/policy.toml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, text.replace("sandbox = \"docker\"", "sandbox = \"local\"")).unwrap();
    host.start().unwrap();
    assert_eq!(host.stop().unwrap(), Some(0));
}

#[test]
fn a_missing_image_blocks_the_task_before_anything_runs() {
    if !require::image(IMAGE) {
        return;
    }
    let repo = shop();
    let Some(mut host) = installation(Sandbox::Docker, &[], &repo) else { return };
    let policy = host.dir().join("policies/policy.toml");
    let good = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, good.replace(IMAGE, "nowhere.invalid/none:1")).unwrap();
    host.start().unwrap();
    let task = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    assert_eq!(host.settled(task, LIMIT).unwrap(), "blocked");
    let id = task.to_string();
    let log = host.cli(&["task", "log", &id]).unwrap().success().stdout;
    let told = "blocked: image `nowhere.invalid/none:1` is not here. What to do: `docker pull nowhere.invalid/none:1` brings it";
    assert!(log.contains(told), "{log}");
    assert_eq!(log.matches("is not here").count(), 1, "once is enough:\n{log}");
    host.cli(&["task", "show", &id]).unwrap().success();
    let kinds: Vec<String> = host.entries(task).unwrap().iter().map(|entry| entry.kind().to_owned()).collect();
    assert!(!kinds.iter().any(|kind| kind == "run-started"), "{kinds:?}");
    assert_eq!(repo.branches().unwrap(), [""; 0]);
    traces::until_nothing_of_runs(&host, LIMIT).unwrap();
    // Mended, it goes on under the policy of today.
    fs::write(&policy, good).unwrap();
    host.stop().unwrap();
    host.start().unwrap();
    host.cli(&["task", "retry", &id]).unwrap().success();
    assert_eq!(host.settled(task, LIMIT).unwrap(), "completed", "{:?}", host.cli(&["task", "log", &id]));
}

/// Plays the demo to its end; every one of `words` must have been printed, and what it names to look at next must be there.
#[track_caller]
fn demo(start: impl FnOnce(&Path) -> Command, docker_host: &str, words: &[&str]) {
    let Some(program) = require::host() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut demo = start(&program);
    demo.current_dir(dir.path()).args(["demo", "--dir", "here"]);
    demo.env("HOME", dir.path()).env("BORG_PLUGINS", require::plugins()).env("DOCKER_HOST", docker_host);
    let told = process::run(demo, "", LIMIT).unwrap().success();
    for words in [
        words,
        &[
            "spec:   Write /out/spec.md",
            "green, as it must be: all tests passed",
            "verdict: pass",
            "delivered: borg/1/orders-have-a-total",
        ],
    ]
    .concat()
    {
        assert!(told.stdout.contains(words), "`{words}` is not in:\n{}\n{}", told.stdout, told.stderr);
    }
    let mut log = process::command(&program);
    log.args(["--config", "here/borg.toml", "task", "log", "1"]).current_dir(dir.path()).env("HOME", dir.path());
    let log = process::run(log, "", LIMIT).unwrap().success().stdout;
    assert!(log.contains("impl:   Edit ") && log.trim_end().ends_with("completed"), "{log}");
}

const NO_ENGINE: &str = "unix:///nonexistent/docker.sock";

#[test]
fn the_demo_in_the_local_sandbox() {
    if require::python() {
        let words = ["weaker than containers", "red, as it must be: failed: ", "+def total(lines, grams):"];
        demo(|program| process::command(program), NO_ENGINE, &words);
    }
}

#[test]
fn the_demo_in_containers() {
    if require::image(IMAGE) {
        let words = ["sandbox     Docker", "red, as it must be: failed: ", "+def total(lines, grams):"];
        demo(|program| process::command(program), "unix:///var/run/docker.sock", &words);
    }
}

/// Rust, Git and a C compiler are all that a machine must have.
#[test]
fn the_demo_on_a_machine_without_python() {
    let toolchain = Path::new(env!("CARGO")).parent().unwrap();
    let start = |program: &Path| {
        let mut hidden = process::command("unshare");
        hidden.arg("--mount");
        if !nix::unistd::geteuid().is_root() {
            hidden.arg("--map-root-user");
        }
        // A file of nobody's stands where Python was, for this program and its children alone.
        let hide = "for python in /usr/bin/python3 /usr/local/bin/python3; do \
            if [ -e $python ]; then mount --bind /dev/null $(readlink -f $python); fi; done; exec \"$0\" \"$@\"";
        hidden.args(["sh", "-e", "-c", hide]).arg(program);
        hidden.env("PATH", format!("{}:{}", toolchain.display(), process::PATH));
        hidden
    };
    let words = ["weaker than containers", "red (does not build yet), as it must be", "+pub fn total(lines"];
    demo(start, NO_ENGINE, &words);
}

/// A question without a running host, and one to a running host.
#[track_caller]
fn asks(sandbox: Sandbox) {
    let repo = shop();
    let Some(mut host) = installation(sandbox, &[], &repo) else { return };
    let question = ["ask", "Where are prices rounded?"];
    let told = host.cli(&question).unwrap().success();
    assert_eq!(told.stdout, "In shop.py.^[[2J\n", "{}", told.stderr);
    assert!(!host.data().join("control.sock").exists(), "its host is gone");
    host.start().unwrap();
    let told = host.cli(&[&question[..], &["--json"]].concat()).unwrap().success();
    let answer = told.json().unwrap();
    assert_eq!((&answer["task"], &answer["status"]), (&2.into(), &"completed".into()), "{answer}");
    assert_eq!(answer["answer"], "In shop.py.^[[2J");
    host.stop().unwrap();
    let log = host.cli(&["task", "log", "1"]).unwrap().success().stdout;
    assert!(log.contains("  answered\n") && log.trim_end().ends_with("completed"), "{log}");
    assert_eq!(repo.branches().unwrap(), [""; 0], "a question changes nothing");
}

#[test]
fn a_question_in_the_local_sandbox() {
    asks(Sandbox::Local);
}

#[test]
fn a_question_in_containers() {
    if require::image(IMAGE) {
        asks(Sandbox::Docker);
    }
}
