//! A full disk: nothing new is taken in, people are told, nothing is lost, and everything goes on when there is room.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::chain;
use borg_tests::{
    bot_api::BotApi,
    crash::{self, Sandbox, gate, output, small_disk::SmallDisk, traces},
    harness::Host,
    repo::Repo,
    require,
};
use std::time::Duration;

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const IMAGE: &str = "borg-base:latest";
const LIMIT: Duration = Duration::from_secs(60);
/// Lines that do not fit into what the journal has reserved.
const LINES: u32 = 60_000;
const MEGABYTES: u32 = 160;
const WAITING: &str = "nothing more is taken in until there is room";

/// A host whose journal cannot be written any more, while an agent goes on printing.
struct Room {
    /// First, so that nothing is mounted any more when the host's directory is removed.
    disk: SmallDisk,
    host: Host,
    repo: Repo,
    task: u64,
}

impl Room {
    /// Only with an engine: in the local sandbox an agent prints onto the very disk that is full, and is lost.
    fn start() -> Option<Self> {
        if !require::image(IMAGE) {
            return None;
        }
        let repo = gate::repo_waiting_last(LINES).unwrap();
        let setup = crash::setup(Sandbox::Docker)?.repository(REPOSITORY, &repo, Some(CHECK)).unwrap();
        let mut host = setup.policy("[host]\nfree-space-floor = \"32MiB\"").unwrap().write().unwrap();
        let disk = SmallDisk::over(&host.data(), MEGABYTES)?;
        crash::warm::before(&host).unwrap();
        host.start().unwrap();
        let task = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
        let run = gate::reached(&host, task, 1).unwrap();
        disk.fill().unwrap();
        gate::open(&host, &run).unwrap();
        traces::until(LIMIT, "the journal cannot be written", || Ok(host.log().contains(WAITING))).unwrap();
        Some(Self { host, disk, repo, task })
    }

    /// The task has lost nothing of what its agent said and did.
    fn finish(mut self) {
        assert_eq!(self.host.settled(self.task, LIMIT).unwrap(), "completed");
        let journal = self.host.entries(self.task).unwrap();
        let seen = output::of_last_run(&journal).unwrap();
        assert_eq!(seen.iter().filter(|line| *line == "noise").count(), LINES as usize);
        let lines = output::lines_of(&journal, &output::started(&journal)[0]);
        assert!(lines.windows(2).all(|pair| pair[0] < pair[1]), "lines came twice: {lines:?}");
        assert_eq!(self.repo.branches().unwrap(), ["borg/1/add-a-discount"]);
        let tasks = self.host.json(&["task", "list"]).unwrap();
        assert_eq!(tasks.as_array().map(Vec::len), Some(1), "a refused task came to be: {tasks}");
        traces::until_nothing_of_runs(&self.host, LIMIT).unwrap();
        assert_eq!(self.host.stop().unwrap(), Some(0));
        chain::holds(&self.host).unwrap();
    }
}

#[test]
fn nothing_new_is_taken_in_and_everything_goes_on_when_there_is_room() {
    let Some(room) = Room::start() else { return };
    let add = ["task", "add", "--repo", REPOSITORY, "--pipeline", "quick", "One too many"];
    for args in [&add[..], &["pause"], &["task", "retry", "1"]] {
        let refused = room.host.cli(args).unwrap();
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for words in ["the disk is full", "nothing was taken in", "what to do: make room"] {
            assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        }
    }
    // Looking needs no room.
    assert_eq!(room.host.status(room.task).unwrap(), "running");
    room.disk.clear().unwrap();
    room.finish();
}

#[test]
fn a_host_with_a_full_disk_can_be_stopped() {
    let Some(mut room) = Room::start() else { return };
    assert_eq!(room.host.stop().unwrap(), Some(0));
    room.disk.clear().unwrap();
    room.host.start().unwrap();
    room.finish();
}

#[test]
fn a_host_killed_on_a_full_disk_loses_nothing() {
    let Some(mut room) = Room::start() else { return };
    room.host.kill().unwrap();
    room.disk.clear().unwrap();
    room.host.start().unwrap();
    room.finish();
}

#[test]
fn a_task_is_begun_only_when_there_is_room_for_it() {
    let Some(setup) = crash::setup(Sandbox::strongest()) else { return };
    let repo = crash::repo("quick", str::to_owned).unwrap();
    let setup = setup.repository(REPOSITORY, &repo, Some(CHECK)).unwrap();
    // More than there is for now, but the journal has room.
    let mut host = setup.policy("[host]\nfree-space-floor = \"100MiB\"").unwrap().write().unwrap();
    let Some(disk) = SmallDisk::over(&host.data(), MEGABYTES) else { return };
    crash::warm::before(&host).unwrap();
    std::fs::write(host.data().join("ballast"), vec![1; 64 << 20]).unwrap();
    host.start().unwrap();
    let task = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    traces::until(LIMIT, "the host says what it waits for", || Ok(host.log().contains("waiting for room on the disk")))
        .unwrap();
    traces::until(LIMIT, "the person is told", || {
        Ok(host.entries(task)?.iter().any(|entry| entry.kind() == "delayed"))
    })
    .unwrap();
    assert!(!host.entries(task).unwrap().iter().any(|entry| entry.kind() == "prepared"));
    std::fs::remove_file(host.data().join("ballast")).unwrap();
    assert_eq!(host.settled(task, LIMIT).unwrap(), "completed");
    assert_eq!(repo.branches().unwrap(), ["borg/1/add-a-discount"]);
    traces::until_nothing_of_runs(&host, LIMIT).unwrap();
    host.stop().unwrap();
    chain::holds(&host).unwrap();
    drop(disk);
}

#[test]
fn a_bot_on_a_full_disk_waits_for_room_and_loses_nothing() {
    let api = BotApi::start().unwrap();
    let ann = api.person("Ann");
    let Some(setup) = crash::setup_of_any(Sandbox::strongest()) else { return };
    let setup = setup.env("TELEGRAM_BOT_TOKEN", &api.token()).env("TELEGRAM_API_URL", &api.url());
    let people = format!("[people]\nowner = [\"console:{}\", \"telegram:{}\"]", nix::unistd::getuid(), ann.0);
    let mut host =
        setup.policy(&people).unwrap().policy("[host]\nfree-space-floor = \"32MiB\"").unwrap().write().unwrap();
    let Some(disk) = SmallDisk::over(&host.data(), MEGABYTES) else { return };
    crash::warm::before(&host).unwrap();
    host.start().unwrap();
    let chat = api.private(ann);
    let ask = |text: &str| {
        let asked = api.say(chat, ann, text);
        api.wait_for(chat, |shown| shown.reply_to == Some(asked), LIMIT).unwrap_or_else(|error| panic!("{error:#}"))
    };
    ask("/tasks");
    disk.fill().unwrap();
    // More than fits into what the journal has reserved, and each of them is answered.
    let noise = "n".repeat(3_500);
    let asked: Vec<_> = (0..20).map(|n| api.say(chat, ann, format!("/help {n}{noise}").as_str())).collect();
    traces::until(LIMIT, "mail waits", || Ok(host.log().contains("mail waits until there is room"))).unwrap();
    disk.clear().unwrap();
    ask("/ping");
    for asked in asked {
        api.wait_for(chat, |shown| shown.reply_to == Some(asked), LIMIT).unwrap_or_else(|error| panic!("{error:#}"));
    }
    assert_eq!(host.stop().unwrap(), Some(0));
    chain::holds(&host).unwrap();
}
