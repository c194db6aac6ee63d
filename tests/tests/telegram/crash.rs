//! Conversations whose host is killed at random instants, over and over: people see in the end what they would have seen without, each task
//! is there once, and a post stands there twice only where the host died before it knew that the first was taken: never more of them than kills.
//!
//! What replies to a message and what tells of a task comes when it comes: messages are compared one by one, replies in the order of what
//! they answer. Progress is of the moment: it may be missing where that passed, but stands there once.

use anyhow::{Context, Result, bail, ensure};
use borg_tests::{
    bot_api::{BotApi, ChatId, Fault, MessageId, Rule, Say, Shown, UserId},
    crash::{self, Sandbox, warm},
    harness::Host,
};
use std::{
    collections::{BTreeSet, hash_map::RandomState},
    fs,
    hash::BuildHasher,
    sync::Mutex,
    thread,
    time::Duration,
};

const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
/// Conversations with kills, besides one without.
const CONVERSATIONS: usize = 5;
/// Kills in each of them.
const KILLS: usize = 13;

/// An agent that leaves what nobody accepts unseen: its task waits for a person.
fn suspicious(script: &str) -> String {
    let nested = "mkdir -p nested/.git && echo x > nested/.git/HEAD && echo x > nested/file";
    format!("{script}\n[[step.do]]\nrun = \"{nested}\"\nmust = true\n")
}

struct Talk {
    api: BotApi,
    host: Host,
    chat: ChatId,
    ann: UserId,
    random: Option<RandomState>,
    kills: u64,
    /// Messages that pair: a code is good for one start of the host, so what answers them depends on the kills.
    pairing: Vec<MessageId>,
}

/// What a post answers, and its words.
type Said = (Option<String>, String);

/// What a conversation left.
#[derive(Debug)]
struct Left {
    /// What the bot said, by what it answers and its words.
    said: BTreeSet<Said>,
    kills: u64,
    repeated: u64,
    transcript: String,
}

impl Talk {
    /// None where the program is not built.
    fn start(is_killed: bool) -> Result<Option<Self>> {
        let api = BotApi::start()?;
        let Some(setup) = crash::setup(Sandbox::strongest()) else { return Ok(None) };
        let setup = setup.env("TELEGRAM_BOT_TOKEN", &api.token()).env("TELEGRAM_API_URL", &api.url());
        let (shop, till) = (crash::repo("quick", str::to_owned)?, crash::repo("quick", suspicious)?);
        let setup = setup.repository("acme/shop", &shop, Some(CHECK))?.repository("acme/till", &till, Some(CHECK))?;
        let mut host = setup.write()?;
        warm::before(&host)?;
        host.start()?;
        let ann = api.person("Ann");
        let chat = api.private(ann);
        let random = is_killed.then(RandomState::new);
        let mut talk = Self { api, host, chat, ann, random, kills: 0, pairing: Vec::new() };
        let left = talk.pair().and_then(|()| talk.script());
        left.with_context(|| format!("{}\n{}", talk.api.transcript(chat), talk.host.log()))?;
        // Both repositories have to be there until the end.
        drop((shop, till));
        Ok(Some(talk))
    }

    /// Kills the host within some time from now and starts it again; nothing where nobody is to be killed.
    fn kill_within(&mut self, most: Duration) -> Result<()> {
        let Some(random) = &self.random else { return Ok(()) };
        self.kills += 1;
        let most = u64::try_from(most.as_micros())?;
        // A random instant is what is asked for: nothing is waited for here.
        thread::sleep(Duration::from_micros(random.hash_one(self.kills) % most));
        self.host.kill()?;
        self.host.start()
    }

    /// Becomes the owner; with a code of the newest start where an older one came to nothing.
    fn pair(&mut self) -> Result<()> {
        let name = format!("telegram:{}", self.ann.0);
        loop {
            let log = self.host.log();
            let code = log.rsplit_once("/start ").and_then(|(_, rest)| rest.split('`').next());
            let said = self.api.say(self.chat, self.ann, format!("/start {}", code.context("no code")?).as_str());
            self.pairing.push(said);
            if self.pairing.len() == 1 {
                self.kill_within(Duration::from_millis(100))?;
            }
            self.api.wait_for(self.chat, |shown| shown.by_bot && shown.id > said, LIMIT)?;
            if fs::read_to_string(self.host.dir().join("policies/policy.toml"))?.contains(&name) {
                return Ok(());
            }
        }
    }

    fn script(&mut self) -> Result<()> {
        let soon = Duration::from_millis(150);
        let while_it_works = Duration::from_secs(2);
        self.ask("/task --pipeline=quick acme/shop Add a discount", soon)?;
        self.kill_within(while_it_works)?;
        self.kill_within(while_it_works)?;
        self.told("#1 Add a discount: completed")?;
        self.ask("/tasks", soon)?;
        self.ask("/status 1", soon)?;
        // What came before an answer that was seen is not sent again: this is the copy that the host knows.
        let is_last_word =
            |shown: &Shown| shown.reply_to.is_none() && shown.text.contains("#1 Add a discount: completed");
        let last = self.api.messages(self.chat).into_iter().rfind(is_last_word).context("no last word")?.id;
        self.ask(Say::text("Go on with a total").reply_to(last), soon)?;
        self.kill_within(while_it_works)?;
        self.told("#2 Go on with a total: completed")?;
        self.ask("/task --pipeline=quick acme/till Add a rebate", soon)?;
        self.kill_within(while_it_works)?;
        self.api
            .wait_for(self.chat, |shown| shown.button("Approve").is_some(), LIMIT)
            .context("nobody asks for a look")?;
        // What is typed without the change is answered with it, and with the button that lets it through.
        let asked = self.ask("/approve 3", soon)?;
        // Once this is answered no copy is on its way any more: the last is the one that the host knows, and has offered.
        self.say("/status 3")?;
        let has_button = |shown: &Shown| shown.id > asked && shown.button("Approve").is_some();
        let shown = self.api.messages(self.chat).into_iter().rfind(has_button).context("the change is not shown")?;
        self.api.press(self.chat, self.ann, shown.id, "Approve");
        self.told("#3 Add a rebate: completed")?;
        self.ask("/tasks", soon)?;
        // Once this is answered nothing older is on its way, a second time or a first.
        self.say("/status 2")?;
        self.kill_between("/status 3")
    }

    /// Says something and waits for the answer; gives both.
    fn say(&self, what: &str) -> Result<(MessageId, MessageId)> {
        let asked = self.api.say(self.chat, self.ann, what);
        let answered = self.api.wait_for(self.chat, |shown| shown.reply_to == Some(asked), LIMIT);
        Ok((asked, answered.with_context(|| what.to_owned())?.id))
    }

    /// Says something and has the host killed between its post, which stands there by then, and the answer to that, which it never gets: it
    /// cannot know that the post was taken, and repeats it.
    fn kill_between(&mut self, what: &str) -> Result<()> {
        if self.random.is_none() {
            return self.say(what).map(drop);
        }
        self.api.fail(Rule::on("sendMessage").next(1), Fault::Stall);
        let (asked, first) = self.say(what)?;
        self.kills += 1;
        self.host.kill()?;
        self.host.start()?;
        let again = |shown: &Shown| shown.reply_to == Some(asked) && shown.id != first;
        self.api.wait_for(self.chat, again, LIMIT).with_context(|| format!("{what}, again"))?;
        Ok(())
    }

    /// Says something, has the host killed, and waits for the answer. What the host posts first is taken at once, but it learns of that
    /// late, so that many a kill comes in between.
    fn ask(&mut self, what: impl Into<Say>, within: Duration) -> Result<MessageId> {
        let what = what.into();
        let text = format!("{what:?}");
        if self.random.is_some() {
            self.api.fail(Rule::on("sendMessage").next(1), Fault::Slow(within));
        }
        let asked = self.api.say(self.chat, self.ann, what);
        self.kill_within(within)?;
        self.api.wait_for(self.chat, |shown| shown.reply_to == Some(asked), LIMIT).with_context(|| text)?;
        Ok(asked)
    }

    fn told(&self, words: &str) -> Result<()> {
        self.api.wait_for(self.chat, |shown| shown.text.contains(words), LIMIT).with_context(|| words.to_owned())?;
        Ok(())
    }

    /// Looks at everything the conversation left.
    fn finish(mut self) -> Result<Left> {
        let tasks = self.host.json(&["task", "list"])?;
        ensure!(tasks.as_array().is_some_and(|tasks| tasks.len() == 3), "not three tasks: {tasks}");
        let messages = self.api.messages(self.chat);
        let (mut said, mut last, mut repeated) = (BTreeSet::new(), None, 0);
        let mut answered = MessageId(0);
        for shown in messages.iter().filter(|shown| shown.by_bot) {
            let to = shown.reply_to.and_then(|to| messages.iter().find(|message| message.id == to));
            let key: Said = (to.map(|to| to.text.clone()), words(&shown.text));
            if to.is_some_and(|to| self.pairing.contains(&to.id)) || shown.id < self.first_asked(&messages) {
                last = Some(key);
                continue;
            }
            // The last word of the pairing may come a second time when the first question has been asked already.
            if said.is_empty() && last.as_ref() == Some(&key) {
                repeated += 1;
                continue;
            }
            if let Some(to) = to {
                ensure!(to.id >= answered, "answered out of order");
                answered = to.id;
            }
            // A post whose answer was not noted is the next one sent, before anything else is: it stands right behind its first copy.
            // What progress shows was changed meanwhile.
            if !said.insert(key.clone()) {
                ensure!(is_progress(&&key) || last.as_ref() == Some(&key), "said again after other things: {key:?}");
                repeated += 1;
            }
            if !is_progress(&&key) {
                last = Some(key);
            }
        }
        // Each kill leaves one post at most of which nobody knows whether it was taken.
        ensure!(repeated <= self.kills, "{repeated} posts repeated after {} kills", self.kills);
        ensure!(self.api.problems().is_empty(), "{:?}", self.api.problems());
        self.host.stop()?;
        Ok(Left { said, kills: self.kills, repeated, transcript: self.api.transcript(self.chat) })
    }

    /// Where the conversation begins, after the pairing.
    fn first_asked(&self, messages: &[Shown]) -> MessageId {
        let first = messages.iter().find(|shown| !shown.by_bot && !self.pairing.contains(&shown.id));
        first.map_or(MessageId(i64::MAX), |shown| shown.id)
    }
}

/// What is said, without what differs from one installation or run to the next: names of commits, folders, and what was spent.
/// Progress is what its task is called. A review says who decided once that is known; a copy that the host knows nothing of does not.
fn words(text: &str) -> String {
    if let Some(progress) = text.strip_prefix("… ") {
        return format!("… {}", progress.split(':').next().unwrap_or_default());
    }
    let heading = text.lines().next().unwrap_or_default();
    if let Some((task, _)) = heading.split_once(" needs a look").or_else(|| heading.split_once(": approved by ")) {
        return format!("{task}: a review");
    }
    let lines = text.lines().filter(|line| !line.starts_with("spent"));
    let word = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_hexdigit).count();
        if word.starts_with('/') && word.contains("borg-test-") {
            "(folder)".to_owned()
        } else if digits >= 7 && digits + 2 >= word.chars().count() {
            "(name)".to_owned()
        } else {
            word.to_owned()
        }
    };
    lines.map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join("\n")
}

fn is_progress((_, text): &&Said) -> bool {
    text.starts_with("… ")
}

#[test]
fn killed_over_and_over_a_conversation_reads_the_same() {
    // The first one says how it should read.
    let left = Mutex::new((0..=CONVERSATIONS).collect::<Vec<_>>());
    let ended = Mutex::new(Vec::new());
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(n) = { left.lock().unwrap().pop() } {
                    let ending = match Talk::start(n > 0) {
                        Ok(Some(talk)) => talk.finish().map(Some),
                        other => other.map(|_| None),
                    };
                    ended.lock().unwrap().push((n, ending));
                }
            });
        }
    });
    let mut ended = ended.into_inner().unwrap();
    ended.sort_by_key(|(n, _)| *n);
    let ended: Result<Option<Vec<Left>>> = ended.into_iter().map(|(_, ending)| ending).collect();
    let Some(ended) = ended.unwrap_or_else(|error| panic!("{error:#}")) else { return };
    let (calm, killed) = ended.split_first().unwrap();
    assert_eq!(calm.repeated, 0, "{}", calm.transcript);
    for one in killed {
        compare(calm, one)
            .unwrap_or_else(|error| panic!("{error:#}\n{}\nwithout kills:\n{}", one.transcript, calm.transcript));
    }
    let kills: u64 = killed.iter().map(|one| one.kills).sum();
    let repeated: u64 = killed.iter().map(|one| one.repeated).sum();
    println!("{kills} kills in {} conversations, {repeated} posts repeated\n{}", killed.len(), killed[0].transcript);
    assert_eq!(kills, (CONVERSATIONS * KILLS) as u64);
    assert!(killed.iter().all(|one| one.repeated > 0), "no kill came between a post and its answer");
}

/// The same was said; of progress only what a task's moments let through.
fn compare(calm: &Left, killed: &Left) -> Result<()> {
    let missing: Vec<_> = calm.said.difference(&killed.said).filter(|key| !is_progress(key)).collect();
    let added: Vec<_> = killed.said.difference(&calm.said).filter(|key| !is_progress(key)).collect();
    if !missing.is_empty() || !added.is_empty() {
        bail!("never said: {missing:#?}\nsaid besides: {added:#?}");
    }
    Ok(())
}
