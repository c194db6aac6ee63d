//! The command line at a terminal: questions and their answers, hidden prompts, Ctrl-C and the end of input.

use super::place::Place;
use borg_tests::terminal::Terminal;
use std::{fs, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);
/// A made-up key; it must never be shown.
const KEY: &str = "sk-ant-api03-made-up-and-never-shown";

fn at_terminal(place: &Place, args: &[&str]) -> Terminal {
    Terminal::start(&place.command(args, &[])).expect("a terminal")
}

/// Waits for a question and answers it.
#[track_caller]
fn answer(terminal: &mut Terminal, question: &str, keys: &str) -> String {
    let shown = terminal.until(question, LIMIT).expect("the question is asked");
    terminal.types(keys).expect("somebody types");
    shown
}

/// What is in the folder beside what a test put there.
fn written(place: &Place) -> Vec<String> {
    let names =
        fs::read_dir(place.path()).expect("the folder is there").map(|entry| entry.expect("an entry").file_name());
    names.filter_map(|name| name.into_string().ok()).filter(|name| name != "shop" && name != "empty").collect()
}

#[test]
fn init_asks_and_asks_again_where_an_answer_cannot_be() {
    let place = Place::empty();
    let shop = place.repository("shop");
    place.empty_repository("empty");
    let mut terminal = at_terminal(&place, &["init"]);
    answer(&mut terminal, "Who is the owner?", "me\r");
    terminal.until("`me` is no person", LIMIT).unwrap();
    answer(&mut terminal, "Who is the owner?", "console:4711\r");
    answer(&mut terminal, "Which repository", "/nowhere/at/all\r");
    terminal.until("there is no repository at /nowhere/at/all", LIMIT).unwrap();
    answer(&mut terminal, "Which repository", "empty\r");
    terminal.until("has no commit", LIMIT).unwrap();
    // Home is the test's folder, and no shell stands between.
    answer(&mut terminal, "Which repository", "~/shop\r");
    answer(&mut terminal, "What is it called? owner/name [local/shop]", "shop\r");
    terminal.until("`shop` is no name for a repository", LIMIT).unwrap();
    answer(&mut terminal, "What is it called?", "acme/shop\r");
    answer(&mut terminal, "What runs its tests?", "make check\r");
    let asked = answer(&mut terminal, "credential come from?", &format!("{KEY}\r"));
    assert_eq!(written(&place), [""; 0], "nothing is written before all is known: {asked}");
    terminal.until("never the credential itself", LIMIT).unwrap();
    answer(&mut terminal, "[stored:claude]: ", "\r");
    terminal.until("next: `borg-host doctor`", LIMIT).unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
    assert!(place.read("policies/people.toml").contains("owner = [\"console:4711\"]"));
    let repos = place.read("policies/repos.toml");
    assert!(repos.contains(&format!("url = \"{shop}\"")) && repos.contains("check = \"make check\""), "{repos}");
    assert_eq!(terminal.shown().matches(KEY).count(), 1, "only as it was typed");
}

#[test]
fn return_takes_what_stands_in_brackets() {
    let place = Place::empty();
    place.write(".claude/.credentials.json", "{}");
    let mut terminal = at_terminal(&place, &["init"]);
    answer(&mut terminal, "Who is the owner?", "\r");
    answer(&mut terminal, "Which repository", "\r");
    answer(&mut terminal, "[claude-credentials]: ", "\r");
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0), "{}", terminal.shown());
    let executors = place.read("policies/executors.toml");
    assert!(executors.contains("from = \"claude-credentials\""), "{executors}");
}

#[test]
fn init_shows_what_lies_there_and_asks_before_it_takes_that_over() {
    for (keys, code) in [("\r", Some(1)), ("no\r", Some(1)), ("\u{4}", Some(1)), ("\u{3}", None), ("yes\r", Some(0))] {
        let place = Place::ready();
        fs::remove_dir_all(place.state().join("borg")).unwrap();
        place.write(".env", &format!("TELEGRAM_BOT_TOKEN={KEY}\nTELEGRAM_API_URL=http://127.0.0.1:9/bots\n"));
        let before = written(&place);
        let mut terminal = at_terminal(&place, &["init"]);
        let shown = answer(&mut terminal, "Is all of this yours, and do you trust it?", "y\r");
        for words in
            ["borg.toml, .env, policies lie there", "TELEGRAM_API_URL = http://127.0.0.1:9/bots", "token goes there"]
        {
            assert!(shown.contains(words), "`{words}` is not in:\n{shown}");
        }
        terminal.until("type yes or no", LIMIT).unwrap();
        answer(&mut terminal, "do you trust it?", keys);
        // What stands there already is not asked for again.
        assert_eq!(terminal.ends(LIMIT).unwrap(), code, "{}", terminal.shown());
        assert_eq!(terminal.shown().contains("as yours\r\n"), code == Some(0), "{}", terminal.shown());
        assert!(!terminal.shown().contains(KEY), "{}", terminal.shown());
        assert_eq!(written(&place), before);
        place.run(&["config"]).expect(if code == Some(0) { 0 } else { 4 }, &[]);
    }
}

#[test]
fn init_takes_silence_for_no() {
    for (keys, code, words) in [("\u{4}", Some(1), "nothing was written"), ("\u{3}", None, "")] {
        let place = Place::empty();
        let mut terminal = at_terminal(&place, &["init"]);
        answer(&mut terminal, "Who is the owner?", "\r");
        answer(&mut terminal, "Which repository", keys);
        assert_eq!(terminal.ends(LIMIT).unwrap(), code, "{}", terminal.shown());
        assert!(terminal.shown().contains(words), "{}", terminal.shown());
        assert_eq!(written(&place), [""; 0]);
        assert!(terminal.is_as_shells_leave_it().unwrap());
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let place = Place::empty();
    let shop = place.repository("shop");
    for (args, words) in [
        (&["--owner", "me"][..], "no person"),
        (&["--repository", "/nowhere/at/all"], "there is no repository"),
        (&["--repository", &shop, "--name", "shop"], "no name for a repository"),
        (&["--secret", KEY], "never the credential itself"),
    ] {
        let told = place.run(&[&["init", "--yes"], args].concat());
        assert!(matches!(told.code, Some(1 | 2)) && told.err.contains(words), "{:?} {}", told.code, told.err);
        assert!(!told.err.contains(KEY), "{}", told.err);
        assert_eq!(written(&place), [""; 0], "{args:?}");
    }
}

#[test]
fn a_secret_is_typed_unseen() {
    let place = Place::ready();
    let mut terminal = at_terminal(&place, &["secret", "set", "claude"]);
    terminal.until("claude: ", LIMIT).unwrap();
    assert!(until_hidden(&terminal), "the terminal shows what is typed");
    terminal.types(&format!("{KEY}\r")).unwrap();
    terminal.until("stored claude", LIMIT).unwrap();
    assert_eq!(terminal.ends(LIMIT).unwrap(), Some(0));
    assert!(!terminal.shown().contains(KEY), "{}", terminal.shown());
    assert!(terminal.is_as_shells_leave_it().unwrap());
    place.run(&["secret", "list"]).expect(0, &["stored:claude: there"]);
}

#[test]
fn a_secret_that_is_not_given_is_not_stored_and_the_terminal_is_as_it_was() {
    for (keys, words) in
        [("\u{3}", "nothing was stored"), ("\u{4}", "the secret is empty"), ("\r", "the secret is empty")]
    {
        let place = Place::ready();
        let mut terminal = at_terminal(&place, &["secret", "set", "claude"]);
        terminal.until("claude: ", LIMIT).unwrap();
        assert!(until_hidden(&terminal));
        // What was typed before Ctrl-C is gone with it.
        terminal.types(if keys == "\u{3}" { "half a key" } else { "" }).unwrap();
        terminal.types(keys).unwrap();
        terminal.until(words, LIMIT).unwrap();
        assert!(matches!(terminal.ends(LIMIT).unwrap(), Some(1 | 2)));
        assert!(terminal.is_as_shells_leave_it().unwrap(), "the shell's own line would stay unseen");
        place.run(&["secret", "list"]).expect(0, &["nothing is stored as claude"]);
    }
}

/// Waits until the terminal hides what is typed: the prompt comes a moment earlier.
fn until_hidden(terminal: &Terminal) -> bool {
    let deadline = std::time::Instant::now() + LIMIT;
    let mut pauses = borg_tests::process::Backoff::default();
    while terminal.echoes().expect("the terminal is there") {
        if !pauses.pause_until(deadline) {
            return false;
        }
    }
    true
}
