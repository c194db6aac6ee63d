//! Talking about a task: replies that go on, notes, questions of agents, chats with a repository of their own, the digest.

use crate::room::{LIMIT, REPOSITORY, Room, TASK};
use borg_tests::{
    bot_api::{ChatId, MessageId, Options, Say, Shown, UserId},
    crash::{self, gate},
};

impl Room {
    /// Somebody replies to a message.
    fn replies(&self, chat: ChatId, who: UserId, to: MessageId, text: &str) {
        self.api.say(chat, who, Say::text(text).reply_to(to));
    }

    /// What a task changed, as one text.
    fn diff(&self, task: u64) -> String {
        self.host.cli(&["task", "diff", &task.to_string()]).unwrap().success().stdout
    }
}

/// The worker of the scenario `quick`, who first does something else where `first` stands in what was said.
fn worker_but(first: &str) -> borg_tests::repo::Repo {
    crash::repo("quick", |script| format!("{first}\n{script}")).unwrap()
}

const GOES_ON: &str = r#"
[[step]]
said = "a note in NOTES.md"
[[step.do]]
write = "NOTES.md"
text = "Prices are rounded down."
must = true
[[step.do]]
say = "Written down."
"#;

#[test]
fn a_reply_goes_on_from_the_branch_of_a_task_that_has_ended() {
    let Some(room) = Room::start(worker_but(GOES_ON)) else { return };
    room.begins(room.chat);
    let last = room.ends();
    room.replies(room.chat, room.ann, last.id, "Leave a note in NOTES.md about that");
    room.sees("#2 Leave a note in NOTES.md about that (acme/shop, pipeline quick)");
    room.sees("borg/2/leave-a-note-in-notes-md-about-that at ");
    // What the first one did is there, and judged with it.
    let diff = room.diff(2);
    assert!(diff.contains("def discounted") && diff.contains("Prices are rounded down."), "{diff}");
    let branch = "borg/2/leave-a-note-in-notes-md-about-that";
    assert!(room.repo.show(branch, "shop.py").unwrap().contains("def discounted"));
    assert_eq!(room.repo.branches().unwrap().len(), 2);
    // A reply to that one goes on from there, and one to a list goes nowhere.
    room.says("/tasks");
    let list = room.sees("#2 completed");
    room.replies(room.chat, room.ann, list.id, "and now?");
    room.sees("that is not a command");
    room.finish();
}

#[test]
fn a_task_that_was_called_off_or_turned_down_goes_on_too() {
    let script = r#"
[[step]]
said = "Go on"
[[step.do]]
append = "shop.py"
text = "\n# gone on\n"
must = true
[[step]]
[[step.do]]
write = "HALF.md"
text = "half of it\n"
must = true
[[step.do]]
write = ".github/workflows/ci.yml"
text = "on: push\n"
[[step.do]]
say = "Half of it is there."
"#;
    let Some(room) = Room::start(crash::repo("quick", |_| script.to_owned()).unwrap()) else { return };
    room.begins(room.chat);
    let review = room.sees("#1 Add a discount needs a look");
    room.replies(room.chat, room.ann, review.id, "more, please");
    room.sees("#1 is done, and waits for a decision");
    room.says("/reject 1 only half of it");
    let rejected = room.sees("#1 Add a discount: rejected");
    room.replies(room.chat, room.ann, rejected.id, "Go on, please");
    // What was left behind then is still looked at now.
    room.sees("#2 Go on, please needs a look");
    let diff = room.diff(2);
    assert!(diff.contains("half of it") && diff.contains("gone on"), "{diff}");
    room.says("/cancel 2");
    let cancelled = room.sees("#2 Go on, please: cancelled");
    room.replies(room.chat, room.ann, cancelled.id, "Go on all the same");
    room.sees("#3 Go on all the same needs a look");
    assert!(room.diff(3).contains("half of it"));
    room.finish();
}

const ASKS: &str = r#"
[[step]]
said = "in cents"
[[step.do]]
append = "shop.py"
text = "\n# in cents, as somebody said\n"
must = true
[[step.do]]
say = "In cents, then."
[[step]]
[[step.do]]
append = "shop.py"
text = "\n# half done\n"
[[step.do]]
write = "/out/question.md"
text = "In cents or in euros? <b>x</b> @ann /cancel"
must = true
[[step.do]]
say = "I must ask."
"#;

#[test]
fn an_agent_asks_and_goes_on_with_the_answer() {
    let Some(room) = Room::start(crash::repo("quick", |_| ASKS.to_owned()).unwrap()) else { return };
    room.begins(room.chat);
    let question = room.sees("In cents or in euros? <b>x</b> @ann /cancel");
    assert!(!question.silent && question.text.contains("#1 Add a discount: a question"), "{question:?}");
    assert_eq!(room.host.status(1).unwrap(), "blocked");
    room.says("/retry 1");
    room.sees("#1 waits for an answer");
    // Others may work meanwhile, and restarts change nothing.
    room.says("/task --pipeline=quick acme/shop Another one\nPrices are in cents.");
    room.sees("borg/2/another-one at ");
    room.replies(room.chat, room.ann, question.id, "in cents");
    room.sees("#1 goes on with that answer");
    room.sees("borg/1/add-a-discount at ");
    let diff = room.diff(1);
    assert!(diff.contains("in cents, as somebody said") && !diff.contains("half done"), "{diff}");
    let log = room.host.cli(&["task", "log", "1"]).unwrap().success().stdout;
    assert!(log.contains("the agent asks: In cents or in euros?") && log.contains("answers: in cents"), "{log}");
    // It is answered once.
    room.replies(room.chat, room.ann, question.id, "in euros");
    room.sees("#3 in euros");
    room.finish();
}

#[test]
fn a_question_is_asked_at_the_terminal_too() {
    let Some(room) = Room::start(crash::repo("quick", |_| ASKS.to_owned()).unwrap()) else { return };
    let task = room.host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
    assert_eq!(room.host.settled(task, LIMIT).unwrap(), "blocked");
    let shown = room.host.cli(&["task", "show", "1"]).unwrap().success().stdout;
    assert!(shown.contains("worker asks: In cents or in euros?") && shown.contains("task answer 1"), "{shown}");
    for (args, want) in [
        (["task", "answer", "1", " "], "the text is empty"),
        (["task", "continue", "1", "more"], "has not ended"),
        (["task", "note", "9", "more"], "no agent works on #9"),
    ] {
        let refused = room.host.cli(&args).unwrap();
        assert!(refused.code != Some(0) && refused.stderr.contains(want), "{args:?}: {refused:?}");
    }
    room.host.cli(&["task", "answer", "1", "in cents"]).unwrap().success();
    assert_eq!(room.host.settled(task, LIMIT).unwrap(), "completed");
    room.host.cli(&["task", "continue", "1", "in cents, again"]).unwrap().success();
    assert_eq!(room.host.settled(2, LIMIT).unwrap(), "completed");
    room.finish();
}

#[test]
fn a_note_reaches_the_next_attempt() {
    let script = r#"
[[step]]
said = "mind the rounding"
[[step.do]]
append = "shop.py"
text = "\n# rounded down, as somebody noted\n"
must = true
[[step.do]]
say = "Minded."
[[step]]
[[step.do]]
run = "touch /out/ready; until [ -e /out/go ]; do sleep 0.05; done; rm -f /out/ready /out/go"
must = true
[[step.do]]
say = "Nothing to do."
"#;
    let Some(room) = Room::start(crash::repo("quick", |_| script.to_owned()).unwrap()) else { return };
    room.begins(room.chat);
    let ready = room.host.file_of_run("out/ready", LIMIT).unwrap();
    room.says("/note 1");
    room.sees("Usage: /note N TEXT");
    let confirmed = room.sees("#1 Add a discount (acme/shop");
    room.replies(room.chat, room.ann, confirmed.id, "mind the rounding");
    room.sees("#1: noted");
    std::fs::write(ready.with_file_name("go"), "").unwrap();
    // An attempt without any work is not accepted; the next one knows.
    room.sees("borg/1/add-a-discount at ");
    assert!(room.diff(1).contains("as somebody noted"));
    room.finish();
}

#[test]
fn a_chat_has_its_repository_and_says_so() {
    let other = crash::repo("quick", str::to_owned).unwrap();
    let add = |setup: borg_tests::harness::Setup, _: &_| setup.repository("acme/other", &other, Some("true")).unwrap();
    let Some(room) = Room::with(Options::default(), gate::repo().unwrap(), add) else { return };
    let bob = room.api.person("Bob");
    let group = room.api.group("Other", room.ann, &[bob]);
    room.api.add_bot(group, room.ann);
    room.says("/groups");
    room.sees("no chat is registered");
    room.api.say(group, room.ann, "/register acme/nothing");
    room.sees_in(group, "`acme/nothing` is not granted here");
    room.api.say(group, room.ann, "/register acme/other");
    room.sees_in(group, "tasks asked for here are about acme/other");
    // Who is not known registers nothing.
    room.api.say(group, bob, "/unregister");
    room.api.say(group, room.ann, "/ask Where are prices rounded?");
    let is_about = |shown: &Shown| shown.text.contains("Where are prices rounded? (acme/other, pipeline ask)");
    room.api.wait_for(group, is_about, LIMIT).unwrap();
    room.says("/groups");
    room.sees(&format!("telegram:{}", group.0));
    // It is known to the next process, too.
    let mut room = room;
    room.host.stop().unwrap();
    room.host.start().unwrap();
    room.api.say(group, room.ann, "/unregister");
    room.sees_in(group, "is not registered any more");
    room.api.say(group, room.ann, "/unregister");
    room.sees_in(group, "/groups lists the chats that are");
    room.finish();
}

#[test]
fn the_digest_has_a_line_for_each_task() {
    let Some(room) = Room::start(crate::room::plain()) else { return };
    room.says("/digest");
    room.sees("0 asked for");
    room.says(TASK);
    room.ends();
    room.says("/digest");
    room.sees("#1 Add a discount (acme/shop): completed, borg/1/add-a-discount, $0");
    room.finish();
}

#[test]
fn nobody_else_answers_for_a_task() {
    let member = std::cell::Cell::new(None);
    let more = |setup: borg_tests::harness::Setup, api: &borg_tests::bot_api::BotApi| {
        let carl = api.person("Carl");
        member.set(Some(carl));
        setup.policy(&format!("[people]\nmember = [\"telegram:{}\"]", carl.0)).unwrap()
    };
    let repo = crash::repo("quick", |_| ASKS.to_owned()).unwrap();
    let Some(room) = Room::with(Options::default(), repo, more) else { return };
    let (carl, bob) = (member.get().unwrap(), room.api.person("Bob"));
    let group = room.api.group("Shop", room.ann, &[bob, carl]);
    room.api.add_bot(group, room.ann);
    room.begins(group);
    let question = room.sees_in(group, "a question");
    let posts = room.posts(group).len();
    // A stranger is not even told so; a member is.
    room.replies(group, bob, question.id, "in cents");
    room.replies(group, carl, question.id, "in cents");
    room.sees_in(group, "that needs the role admin");
    assert_eq!(room.posts(group).len(), posts + 1, "{}", room.api.transcript(group));
    // What a member says in another's words is theirs alone.
    room.replies(group, carl, question.id, "@ann /answer 1 in cents");
    assert_eq!(room.host.status(1).unwrap(), "blocked");
    room.replies(group, room.ann, question.id, "in cents");
    let last = room.sees_in(group, "borg/1/add-a-discount at ");
    // A member may go on from there: it is their own task then.
    room.replies(group, bob, last.id, "Go on, in cents");
    room.replies(group, carl, last.id, "Go on from here, in cents");
    room.sees_in(group, "borg/2/go-on-from-here-in-cents at ");
    assert_eq!(room.repo.branches().unwrap().len(), 2);
    room.finish();
}
