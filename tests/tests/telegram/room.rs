//! A host with a bot, Ann who owns it, and what she sees.

use borg_tests::{
    bot_api::{BotApi, ChatId, Options, Shown, UserId},
    crash::{self, Sandbox},
    harness::{Host, Setup},
    repo::Repo,
};
use std::time::Duration;

pub const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
pub const LIMIT: Duration = Duration::from_secs(60);
/// A task for it.
pub const TASK: &str = "/task --pipeline=quick acme/shop Add a discount";

pub struct Room {
    pub api: BotApi,
    pub host: Host,
    pub repo: Repo,
    pub ann: UserId,
    /// Ann's private chat with the bot.
    pub chat: ChatId,
}

/// What the scenario `quick` does.
pub fn plain() -> Repo {
    crash::repo("quick", str::to_owned).unwrap()
}

/// A change that nobody but a person lets through, with a file of so many lines.
pub fn to_be_reviewed(lines: usize) -> Repo {
    let long: String = (0..lines).map(|n| format!("line {n} of what is new\\n")).collect();
    let ci = "\n[[step.do]]\nwrite = \".github/workflows/ci.yml\"\ntext = \"on: push\"\n";
    let docs = format!("\n[[step.do]]\nwrite = \"NOTES.md\"\ntext = \"{long}\"\n");
    crash::repo("quick", |script| format!("{script}{ci}{}", if lines > 0 { &docs } else { "" })).unwrap()
}

impl Room {
    /// None when the program is not built.
    #[track_caller]
    pub fn start(repo: Repo) -> Option<Self> {
        Self::with(Options::default(), repo, |setup, _| setup)
    }

    /// With Ann as the owner, on Telegram and at the machine, and `more` on top.
    #[track_caller]
    pub fn with(options: Options, repo: Repo, more: impl FnOnce(Setup, &BotApi) -> Setup) -> Option<Self> {
        Self::with_ann(options, repo, |setup, api, _| more(setup, api))
    }

    /// The same where `more` is about her, too.
    #[track_caller]
    pub fn with_ann(options: Options, repo: Repo, more: impl FnOnce(Setup, &BotApi, UserId) -> Setup) -> Option<Self> {
        let api = BotApi::with(options).unwrap();
        let ann = api.person("Ann");
        let setup = crash::setup(Sandbox::strongest())?
            .env("TELEGRAM_BOT_TOKEN", &api.token())
            .env("TELEGRAM_API_URL", &api.url())
            .repository(REPOSITORY, &repo, Some(CHECK))
            .unwrap();
        let names = format!("\"console:{}\", \"telegram:{}\"", nix::unistd::getuid(), ann.0);
        let people = format!("[people]\nowner = [{names}]\nsame = [[{names}]]");
        let setup = more(setup.policy(&people).unwrap(), &api, ann);
        let host = crash::start(setup).unwrap();
        let chat = api.private(ann);
        Some(Room { api, host, repo, ann, chat })
    }

    /// Ann writes to the bot.
    pub fn says(&self, text: &str) {
        self.api.say(self.chat, self.ann, text);
    }

    /// Ann asks for a task in a chat, and there is one.
    #[track_caller]
    pub fn begins(&self, chat: ChatId) {
        self.api.say(chat, self.ann, TASK);
        self.sees_in(chat, "pipeline quick");
    }

    /// Waits for a post with a text.
    #[track_caller]
    pub fn sees(&self, text: &str) -> Shown {
        self.sees_in(self.chat, text)
    }

    #[track_caller]
    pub fn sees_in(&self, chat: ChatId, text: &str) -> Shown {
        self.api.wait_text(chat, text, LIMIT).unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Nothing stands in a chat though others, who wrote later, have been answered again and again.
    #[track_caller]
    pub fn is_silent(&self, chat: ChatId) {
        for about in ["diff", "task", "status"] {
            self.says(&format!("/help {about}"));
            self.sees(&format!("/{about}: "));
        }
        assert!(self.posts(chat).is_empty(), "{}", self.api.transcript(chat));
    }

    /// Posts of the bot that stand in a chat.
    pub fn posts(&self, chat: ChatId) -> Vec<Shown> {
        self.api.messages(chat).into_iter().filter(|shown| shown.by_bot && !shown.deleted).collect()
    }

    /// The last word on the first task.
    #[track_caller]
    pub fn ends(&self) -> Shown {
        self.sees("borg/1/add-a-discount at ")
    }

    /// Ends it all; nothing was done that a real server would object to.
    #[track_caller]
    pub fn finish(mut self) {
        assert!(self.api.problems().is_empty(), "{:?}", self.api.problems());
        self.host.stop().unwrap();
    }
}
