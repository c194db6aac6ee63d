//! Bad input, told with its remedy and an exit code of its own kind, and no half-made task: everything that needs no sandbox to go wrong.

use super::place::Place;
use rustix::fs::{FlockOperation, flock};
use std::fs;

#[test]
fn without_a_host_commands_say_how_to_start_one() {
    let place = Place::ready();
    for args in [
        &["task", "add", "Add a discount", "--repo", "acme/shop"][..],
        &["task", "approve", "1"],
        &["task", "reject", "1", "--note", "no"],
        &["task", "cancel", "1"],
        &["task", "retry", "1"],
        &["task", "list"],
        &["task", "show", "1"],
        &["task", "log", "1"],
        &["task", "diff", "1"],
        &["pause"],
        &["resume"],
    ] {
        place.run(args).expect(3, &["no host is running here", "borg-host run"]);
    }
    assert!(!place.path().join("data").exists(), "something was begun");
}

#[test]
fn a_wrong_command_line_is_not_guessed_at() {
    let place = Place::ready();
    place.run(&["task", "add", "", "--repo", "acme/shop"]).expect(2, &["title is missing", "borg-host task add \""]);
    place.run(&["task", "add", "  "]).expect(2, &["title is missing"]);
    place.run(&["task", "add", &"x".repeat(201)]).expect(2, &["longer than 200"]);
    place.run(&["task", "add", "a\u{1b}[2Jb"]).expect(2, &["control characters"]);
    place.run(&["task", "add"]).expect(2, &["<TITLE>", "Usage"]);
    place.run(&["ask", " "]).expect(2, &["question is missing"]);
    place.run(&["task", "show", "first"]).expect(2, &["first"]);
    place.run(&["tsk"]).expect(2, &["task"]);
    place.run(&["task", "list", "-n", "0"]).expect(2, &["1..="]);
}

#[test]
fn a_missing_configuration_says_what_writes_one() {
    let place = Place::empty();
    place.run(&["run"]).expect(4, &["not registered", "borg-host init"]);
    place.run(&["--config", "nowhere.toml", "run"]).expect(4, &["nowhere.toml", "borg-host init", "--config"]);
    place.run(&["repo", "list"]).expect(4, &["borg-host init"]);
    place.write("borg.toml", "");
    place.run(&["--config", "borg.toml", "run"]).expect(4, &["policies", "borg-host init"]);
    assert!(!place.path().join("data").exists());
}

#[test]
fn settings_that_cannot_be_used_are_named() {
    let place = Place::ready();
    place.write("borg.toml", "data-dri = \"x\"\n");
    place.run(&["run"]).expect(4, &["borg.toml", "unknown key `data-dri`", "did you mean `data-dir`?"]);
    place.write("borg.toml", "data-dir = [1]\n");
    place.run(&["config"]).expect(4, &["must be a string"]);
    place.write("borg.toml", "");
    place.run_with(&["run"], "", &[("TASK_TIMEOUT", "soon")]).expect(4, &["TASK_TIMEOUT", "`soon`", "milliseconds"]);
}

#[test]
fn all_errors_of_policy_are_told_at_once_with_their_places() {
    let place = Place::ready();
    place.write("policies/host.toml", &place.read("policies/host.toml").replace("parallel = 2", "paralel = 2"));
    place.write(
        "policies/personas.toml",
        &place.read("policies/personas.toml").replacen("claude-code", "claude-cod", 1),
    );
    place.write(
        "policies/pipelines/mine.toml",
        "[pipeline.mine]\nsummary = \"x\"\n[[pipeline.mine.stage]]\nname = \"a\"\npersona = \"wroker\"\n",
    );
    let told = place.run(&["run"]);
    let told = told.expect(
        4,
        &[
            "3 errors",
            "policies/host.toml:4",
            "did you mean `parallel`?",
            "personas.toml:",
            "claude-cod",
            "pipelines/mine.toml:5",
            "did you mean `worker`?",
            "here",
        ],
    );
    // The line itself is shown, and where in it.
    assert!(told.err.contains("paralel = 2") && told.err.contains("persona = \"wroker\""), "{}", told.err);
    place.run(&["doctor"]).expect(1, &["policies/host.toml:4", "mend"]);
    // An edit by us would not take effect either, so none is made.
    let repos = place.read("policies/repos.toml");
    let garden = place.repository("garden");
    place.run(&["repo", "add", "acme/garden", &garden]).expect(4, &["3 errors"]);
    assert_eq!(place.read("policies/repos.toml"), repos);
    assert!(!place.path().join("data").exists());
}

#[test]
fn a_file_that_is_no_toml_is_shown_with_its_line() {
    let place = Place::ready();
    place.write("policies/mine.toml", "[host\nparallel = 1\n");
    place.run(&["run"]).expect(4, &["policies/mine.toml:1", "not TOML"]);
}

#[test]
fn a_second_host_on_the_same_data_is_refused() {
    let place = Place::ready();
    fs::create_dir(place.path().join("data")).unwrap();
    let lock = fs::File::create(place.path().join("data/lock")).unwrap();
    fs::write(place.path().join("data/lock"), "4711\n").unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    place.run(&["run"]).expect(1, &["another borg-host (pid 4711)", "stop it first"]);
    assert!(!place.path().join("data/journal.db").exists());
}

#[test]
fn a_copied_data_directory_is_refused() {
    let place = Place::ready();
    place.write("data/installation.json", "{\"id\":\"0123456789abcdef\",\"path\":\"/nonexistent/data\",\"inode\":1}");
    place.run(&["run"]).expect(1, &["is a copy of another data directory", "remove", "installation.json"]);
}

#[test]
fn without_an_engine_an_image_cannot_be_built() {
    let place = Place::ready();
    place.run(&["image", "build"]).expect(1, &["no Docker engine answers at", "systemctl start docker"]);
    place.run(&["image", "base-script"]).expect(0, &["debootstrap"]);
}

#[test]
fn a_demo_never_writes_over_anything() {
    let place = Place::empty();
    fs::create_dir(place.path().join("mine")).unwrap();
    place.run(&["demo", "--dir", "mine"]).expect(1, &["mine", "must not exist yet"]);
    assert_eq!(fs::read_dir(place.path().join("mine")).unwrap().count(), 0);
}

#[test]
fn output_nobody_reads_any_more_is_no_fault() {
    let place = Place::ready();
    let mut child = place.command(&["config"], &[]).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
