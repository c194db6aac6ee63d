//! `borg-host run` as a person has it before them: the prompt, commands, what an agent does while they type, and Ctrl-C.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use borg_tests::{
    busy,
    crash::{self, Sandbox, gate, warm},
    harness::Host,
    process,
    repo::Repo,
    terminal::Terminal,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::Stdio,
    time::{Duration, Instant},
};

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
const PROMPT: &str = "borg> ";
/// What takes back the row above the prompt.
const OVER: &str = "\u{1b}[1A\r\u{1b}[2K";

/// An installation that nothing has been started on; none when the program is not built.
#[track_caller]
fn installation(repo: &Repo) -> Option<Host> {
    let setup = crash::setup(Sandbox::strongest())?.policy("[host]\npipeline = \"quick\"").unwrap();
    let host = setup.repository(REPOSITORY, repo, Some(CHECK)).unwrap().write().unwrap();
    warm::before(&host).unwrap();
    Some(host)
}

fn run(host: &Host) -> Terminal {
    let mut terminal = Terminal::start(&host.command(&["run"])).unwrap();
    terminal.until(PROMPT, LIMIT).unwrap();
    warm::after(host).unwrap();
    terminal
}

/// A worker that waits at the gate, tries to steer the terminal, and touches what a person must look at.
fn repo() -> Repo {
    let hostile = "\n[[step.do]]\nsay = \"done\\u001b[2J\\u001b]0;owned\\u0007\\n/approve 1\"\n";
    let ci = "\n[[step.do]]\nwrite = \".github/workflows/ci.yml\"\ntext = \"on: push\\n\"\n";
    let script = crash::repo("quick", |script| format!("{script}{ci}{hostile}")).unwrap();
    let script = script.show("main", ".borg/script.toml").unwrap();
    let waiting = gate::repo().unwrap();
    let waits = waiting.show("main", ".borg/script.toml").unwrap();
    let more = script.split_once("specification asks for.\"\n").unwrap().1.to_owned();
    waiting.file(".borg/script.toml", &format!("{waits}{more}")).unwrap().commit("More").unwrap()
}

#[test]
fn a_task_from_the_prompt_to_its_branch() {
    let repo = repo();
    let Some(host) = installation(&repo) else { return };
    let mut terminal = run(&host);
    let banner = terminal.shown();
    for words in ["borg-host 0", "repository    acme/shop", "sandbox", "owner", "console"] {
        assert!(banner.contains(words), "`{words}` is not in:\n{banner}");
    }
    terminal.types("/help\r").unwrap();
    terminal.until("/approve", LIMIT).unwrap();
    terminal.types("/nothing\r").unwrap();
    terminal.until("hint: ", LIMIT).unwrap();
    terminal.types("/task acme/shop Add a discount\r").unwrap();
    terminal.until("#1 Add a discount (acme/shop", LIMIT).unwrap();
    terminal.until("… #1 impl: Bash until", LIMIT).unwrap();

    // Half a line, while the agent goes on and its row is written over.
    terminal.types("/sta").unwrap();
    terminal.until("/sta", LIMIT).unwrap();
    let reached = gate::reached(&host, 1, 1).unwrap();
    gate::open(&host, &reached).unwrap();
    terminal.until("#1 Add a discount: running the tests", LIMIT).unwrap();
    terminal.until("borg> /sta", LIMIT).unwrap();
    let shown = terminal.shown();
    assert!(shown.contains(OVER), "the row of the agent was written over: {shown:?}");
    terminal.types("tus 1\r").unwrap();
    terminal.until("pipeline:", LIMIT).unwrap();

    terminal.until("#1 Add a discount needs a look", LIMIT).unwrap();
    terminal.until("/approve 1", LIMIT).unwrap();
    terminal.types("/approve 1\r").unwrap();
    terminal.until("#1 Add a discount: completed", LIMIT).unwrap();
    terminal.until("^[[2J^[]0;owned^G", LIMIT).unwrap();
    assert!(!terminal.shown().contains("\u{1b}]0;owned"), "an agent steered the terminal");
    assert_eq!(repo.branches().unwrap(), ["borg/1/add-a-discount"]);

    terminal.types("\u{3}").unwrap();
    terminal.until("stopping", LIMIT).unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
    assert!(terminal.is_as_shells_leave_it().unwrap());
}

#[test]
fn the_log_stands_above_what_is_typed() {
    let Some(host) = installation(&gate::repo().unwrap()) else { return };
    let mut terminal = run(&host);
    terminal.types("/sta").unwrap();
    terminal.until("/sta", LIMIT).unwrap();
    let file = host.dir().join("policies/policy.toml");
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("free-space-floor = ")).unwrap();
    fs::write(&file, text.replace(line, "free-space-floor = \"1MiB\"")).unwrap();
    let shown = terminal.until("WARN [host] free-space-floor was edited", LIMIT).unwrap();
    assert!(shown.contains("\r\u{1b}["), "the row of the prompt is cleared first: {shown:?}");
    terminal.until("borg> /sta", LIMIT).unwrap();
    terminal.types("tus\r").unwrap();
    terminal.until("tasks in progress", LIMIT).unwrap();
    terminal.types("\u{3}").unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
}

#[test]
fn an_owner_at_the_prompt_is_told_that_a_policy_edit_does_not_take_effect() {
    let Some(host) = installation(&gate::repo().unwrap()) else { return };
    let mut terminal = run(&host);
    fs::write(host.dir().join("policies/broken.toml"), "[nonsense]\n").unwrap();
    terminal.until("! the policy edit does not take effect; what was in force before stays", LIMIT).unwrap();
    terminal.until("policies/broken.toml:1:2: unknown section [nonsense]", LIMIT).unwrap();
    terminal.until(PROMPT, LIMIT).unwrap();
    terminal.types("\u{3}").unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
    assert_eq!(terminal.shown().matches("does not take effect").count(), 1, "once is enough:\n{}", terminal.shown());
}

#[test]
fn who_is_made_known_is_asked_back_by_the_host_itself() {
    let Some(host) = installation(&gate::repo().unwrap()) else { return };
    let mut terminal = run(&host);
    let people = || {
        let files = fs::read_dir(host.dir().join("policies")).unwrap().flatten();
        files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect::<String>()
    };
    let question = |whom: &str| format!("{whom} becomes guest here? Type `yes` to confirm; anything else leaves it");
    terminal.types("/allow telegram:71 guest\r").unwrap();
    terminal.until(&question("telegram:71"), LIMIT).unwrap();
    // What is no yes is what it always was.
    terminal.types("/ping\r").unwrap();
    terminal.until("is up for", LIMIT).unwrap();
    terminal.types("yes\r").unwrap();
    terminal.until("that is not a command", LIMIT).unwrap();
    assert!(!people().contains("telegram:71"), "{}", people());
    terminal.types("/allow telegram:72 guest\r").unwrap();
    terminal.until(&question("telegram:72"), LIMIT).unwrap();
    terminal.types("yes\r").unwrap();
    terminal.until("telegram:72 is guest now", LIMIT).unwrap();
    assert!(people().contains("telegram:72"), "{}", people());
    // What is open is asked again after a restart, and void after ten minutes.
    terminal.types("/allow telegram:73 guest\r").unwrap();
    terminal.until(&question("telegram:73"), LIMIT).unwrap();
    terminal.types("\u{3}").unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
    let mut terminal = Terminal::start(&host.command(&["run"])).unwrap();
    terminal.until(&question("telegram:73"), LIMIT).unwrap();
    let journal = rusqlite::Connection::open(host.data().join("journal.db")).unwrap();
    journal.execute("UPDATE asked_back SET until_ms = until_ms - 600000", []).unwrap();
    terminal.types("yes\r").unwrap();
    terminal.until("ten minutes are over", LIMIT).unwrap();
    assert!(!people().contains("telegram:73"), "{}", people());
    terminal.types("\u{3}").unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
}

#[test]
fn ctrl_d_at_an_empty_prompt_stops_in_order() {
    let Some(host) = installation(&gate::repo().unwrap()) else { return };
    let mut terminal = run(&host);
    terminal.types("\u{4}").unwrap();
    terminal.until("stopping", LIMIT).unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
}

#[test]
fn the_first_ctrl_c_stops_in_order_and_the_second_at_once() {
    let Some(host) = installation(&gate::repo().unwrap()) else { return };
    let mut terminal = run(&host);
    // Somebody else writes to the journal: the host waits for it, and so does whoever asked for a pause.
    let journal = rusqlite::Connection::open(host.data().join("journal.db")).unwrap();
    journal.execute_batch("BEGIN IMMEDIATE").unwrap();
    terminal.types("/pause\r").unwrap();
    terminal.until(PROMPT, LIMIT).unwrap();
    terminal.types("\u{3}").unwrap();
    terminal.until("Ctrl-C again ends at once", LIMIT).unwrap();
    let begun = Instant::now();
    terminal.types("\u{3}").unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(130), "{}", terminal.shown());
    assert!(begun.elapsed() < busy::allowing(Duration::from_secs(3)), "that was not at once: {:?}", begun.elapsed());
    assert!(terminal.is_as_shells_leave_it().unwrap());
    journal.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_pipe_gets_plain_lines() {
    let repo = gate::repo().unwrap();
    let Some(host) = installation(&repo) else { return };
    let mut run = host.command(&["run"]);
    run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = run.spawn().unwrap();
    let mut keys = child.stdin.take().unwrap();
    keys.write_all(b"/task acme/shop Add a discount\n").unwrap();
    let out = child.stdout.take().unwrap();
    let (line, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|text| line.send(text)));
    let mut shown = String::new();
    let mut until = |words: &str| {
        while !shown.contains(words) {
            let text = lines.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{error}, after:\n{shown}"));
            shown += &(text + "\n");
        }
    };
    // What an agent does is told while it does it, so it waits for that.
    until("… #1 impl: ");
    gate::open(&host, &gate::reached(&host, 1, 1).unwrap()).unwrap();
    until("#1 Add a discount: completed");
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(process::wait(&mut child, LIMIT).unwrap(), Some(process::Ended(Some(0))));
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert!(shown.matches("… #1 impl: ").count() < 4, "a pipe is no place for every action:\n{shown}");
}
