//! What a person wants, from what they typed. One grammar for every frontend; whether they may is [`crate::permit`]'s business.

mod commands;
mod reply;
mod spell;

pub use commands::{COMMANDS, Command, allowed, command};
pub use reply::about;
pub use spell::spell;

use crate::{
    id::TaskId,
    people::{PersonId, Role, role_word},
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Digits of a change's digest that name it well enough.
pub const SHORTEST_CHANGE: usize = 8;

/// What somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "intent")]
pub enum Intent {
    Task(TaskRequest),
    Ask {
        repository: Option<String>,
        question: String,
    },
    /// Goes on from where an ended task left off, as a new task.
    Continue {
        task: TaskId,
        text: String,
    },
    /// Something the agents of a task are to know from now on.
    Note {
        task: TaskId,
        text: String,
    },
    /// What an agent asked.
    Answer {
        task: TaskId,
        text: String,
    },
    Approve {
        task: TaskId,
        /// Beginning of the digest of the change that was looked at: another one is not approved. None approves what waits, at the
        /// machine itself; elsewhere it asks to see that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<String>,
        note: String,
    },
    Reject {
        task: TaskId,
        /// Beginning of the digest of the change that was looked at: another one is not turned down. None turns down what waits.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<String>,
        note: String,
    },
    Cancel {
        task: TaskId,
    },
    Retry {
        task: TaskId,
    },
    /// This chat is one of ours; tasks asked for in it are about this repository where they name none.
    Register {
        repository: Option<String>,
    },
    Unregister,
    /// Makes somebody known, in the policy file.
    Allow {
        person: PersonId,
        role: Role,
    },
    Pause,
    Resume,
    Look(Look),
}

/// What somebody wants to see; nothing changes by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "look")]
pub enum Look {
    Tasks,
    Status {
        task: Option<TaskId>,
    },
    Diff {
        task: TaskId,
    },
    /// What happened to a task, event by event.
    Audit {
        task: TaskId,
    },
    /// What was done and spent lately.
    Stats,
    /// What was done in the last day, task by task.
    Digest,
    /// Registered chats.
    Groups,
    /// How a pipeline goes; the default one where none is named.
    Pipeline {
        name: Option<String>,
    },
    /// What the policy in force grants personas: all, or one in full.
    Personas {
        name: Option<String>,
    },
    /// The policy in force, and what it lets this person do.
    Policy,
    /// Is there anybody, and since when.
    Ping,
    /// The names of this chat and this person, as policy writes them.
    ChatId,
    Help {
        command: Option<String>,
    },
}

impl Intent {
    /// Its command, as in [`COMMANDS`].
    pub fn name(&self) -> &'static str {
        match self {
            Intent::Task(_) => "task",
            Intent::Ask { .. } => "ask",
            Intent::Continue { .. } => "continue",
            Intent::Note { .. } => "note",
            Intent::Answer { .. } => "answer",
            Intent::Approve { .. } => "approve",
            Intent::Reject { .. } => "reject",
            Intent::Cancel { .. } => "cancel",
            Intent::Retry { .. } => "retry",
            Intent::Register { .. } => "register",
            Intent::Unregister => "unregister",
            Intent::Allow { .. } => "allow",
            Intent::Pause => "pause",
            Intent::Resume => "resume",
            Intent::Look(look) => match look {
                Look::Tasks => "tasks",
                Look::Status { .. } => "status",
                Look::Diff { .. } => "diff",
                Look::Audit { .. } => "audit",
                Look::Stats => "stats",
                Look::Digest => "digest",
                Look::Groups => "groups",
                Look::Pipeline { .. } => "pipeline",
                Look::Personas { .. } => "personas",
                Look::Policy => "policy",
                Look::Ping => "ping",
                Look::ChatId => "chatid",
                Look::Help { .. } => "help",
            },
        }
    }

    /// True for what makes a new task.
    pub fn begins_task(&self) -> bool {
        matches!(self, Intent::Task(_) | Intent::Ask { .. } | Intent::Continue { .. } | Intent::Retry { .. })
    }

    /// The task it is about.
    pub fn task(&self) -> Option<TaskId> {
        match self {
            Intent::Continue { task, .. } | Intent::Note { task, .. } | Intent::Answer { task, .. } => Some(*task),
            Intent::Approve { task, .. } | Intent::Reject { task, .. } => Some(*task),
            Intent::Cancel { task } | Intent::Retry { task } => Some(*task),
            Intent::Look(Look::Diff { task } | Look::Audit { task }) => Some(*task),
            Intent::Look(Look::Status { task }) => *task,
            Intent::Task(_)
            | Intent::Ask { .. }
            | Intent::Register { .. }
            | Intent::Unregister
            | Intent::Allow { .. }
            | Intent::Pause
            | Intent::Resume
            | Intent::Look(_) => None,
        }
    }
}

/// A task as it was asked for; names in it are not yet known to exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct TaskRequest {
    pub repository: Option<String>,
    pub title: String,
    pub description: String,
    pub budget: Option<String>,
    pub pipeline: Option<String>,
    /// Only this persona works: a pipeline of one stage.
    pub persona: Option<String>,
}

/// Something that is not a command, with what would have been.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    pub problem: String,
    /// What to type instead.
    pub hint: String,
}

impl fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.problem, self.hint)
    }
}

impl std::error::Error for Misunderstood {}

/// Longest title, in characters.
pub const TITLE_LIMIT: usize = 200;
/// Longest description, in bytes.
pub const DESCRIPTION_LIMIT: usize = 64 * 1024;

/// Longest note, answer or wish to go on, in bytes.
pub const NOTE_LIMIT: usize = 8 * 1024;

/// Reads one message that starts with `/`.
pub fn parse(text: &str) -> Result<Intent, Misunderstood> {
    let text = text.trim();
    let (head, description) = text.split_once('\n').unwrap_or((text, ""));
    let (word, rest) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
    let name = word.strip_prefix('/').ok_or_else(|| Misunderstood {
        problem: "that is not a command".into(),
        hint: "type /help for what can be said, or /task TITLE to start a task".into(),
    })?;
    let Some(command) = command(name) else {
        return Err(unknown(name));
    };
    let rest = rest.trim();
    let wrong = |problem: &str| usage_error(command, problem);
    match command.name {
        "task" => task(command, rest, description.trim()),
        "ask" => {
            let question = if description.trim().is_empty() {
                rest.to_owned()
            } else {
                format!("{rest}\n{}", description.trim_end())
            };
            ask(command, &question)
        }
        "tasks" => no_more(command, rest).map(|()| Intent::Look(Look::Tasks)),
        "status" if rest.is_empty() => Ok(Intent::Look(Look::Status { task: None })),
        "status" => one_task(command, rest).map(|task| Intent::Look(Look::Status { task: Some(task) })),
        "diff" => one_task(command, rest).map(|task| Intent::Look(Look::Diff { task })),
        "continue" => text_about(command, rest, description, "what is to be done now")
            .map(|(task, text)| Intent::Continue { task, text }),
        "note" => text_about(command, rest, description, "the note").map(|(task, text)| Intent::Note { task, text }),
        "answer" => {
            text_about(command, rest, description, "the answer").map(|(task, text)| Intent::Answer { task, text })
        }
        "approve" => {
            let (task, note) = task_and_note(command, rest, description)?;
            let (change, note) = change_and_note(command, note)?;
            Ok(Intent::Approve { task, change, note })
        }
        "reject" => {
            let (task, note) = task_and_note(command, rest, description)?;
            let (change, note) = change_and_note(command, note)?;
            Ok(Intent::Reject { task, change, note })
        }
        "cancel" => one_task(command, rest).map(|task| Intent::Cancel { task }),
        "retry" => one_task(command, rest).map(|task| Intent::Retry { task }),
        "audit" => one_task(command, rest).map(|task| Intent::Look(Look::Audit { task })),
        "register" if rest.is_empty() => Ok(Intent::Register { repository: None }),
        "register" if is_repository_name(rest) => Ok(Intent::Register { repository: Some(rest.to_owned()) }),
        "register" => Err(wrong(&format!("`{rest}` is no repository name"))),
        "unregister" => no_more(command, rest).map(|()| Intent::Unregister),
        "allow" => allow(command, rest),
        "digest" => no_more(command, rest).map(|()| Intent::Look(Look::Digest)),
        "groups" => no_more(command, rest).map(|()| Intent::Look(Look::Groups)),
        "pause" => no_more(command, rest).map(|()| Intent::Pause),
        "resume" => no_more(command, rest).map(|()| Intent::Resume),
        "ping" => no_more(command, rest).map(|()| Intent::Look(Look::Ping)),
        "chatid" => no_more(command, rest).map(|()| Intent::Look(Look::ChatId)),
        "personas" => one_name(command, rest).map(|name| Intent::Look(Look::Personas { name })),
        "pipeline" => one_name(command, rest).map(|name| Intent::Look(Look::Pipeline { name })),
        "policy" => no_more(command, rest).map(|()| Intent::Look(Look::Policy)),
        "stats" => no_more(command, rest).map(|()| Intent::Look(Look::Stats)),
        // What a link gives a bot to start with is nobody's wish for help about that.
        "help" if name == "start" => Ok(Intent::Look(Look::Help { command: None })),
        "help" => {
            let about = rest.trim_start_matches('/');
            if about.is_empty() {
                Ok(Intent::Look(Look::Help { command: None }))
            } else if self::command(about).is_some() {
                Ok(Intent::Look(Look::Help { command: Some(about.to_owned()) }))
            } else {
                Err(unknown(about))
            }
        }
        _ => Err(wrong("this command has no grammar")),
    }
}

/// True for `owner/repo`: two parts of letters, digits, `-`, `_` and `.`, neither starting with a dot or dash.
pub fn is_repository_name(word: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 100
            && !part.starts_with(['.', '-'])
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    word.split_once('/').is_some_and(|(owner, name)| part(owner) && part(name))
}

fn task(command: &Command, rest: &str, description: &str) -> Result<Intent, Misunderstood> {
    let mut request = TaskRequest { description: description.to_owned(), ..TaskRequest::default() };
    let mut rest = rest;
    while rest.starts_with("--") {
        let (flag, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        rest = tail.trim_start();
        if flag == "--" {
            break;
        }
        let Some((name, value)) = flag[2..].split_once('=') else {
            return Err(usage_error(command, &format!("`{flag}` needs a value, as in `{flag}=NAME`")));
        };
        let slot = match name {
            "budget" => &mut request.budget,
            "pipeline" => &mut request.pipeline,
            "persona" => &mut request.persona,
            other => return Err(usage_error(command, &format!("there is no flag `--{other}`"))),
        };
        if value.is_empty() || slot.replace(value.to_owned()).is_some() {
            return Err(usage_error(command, &format!("`--{name}` must be given once, with a value")));
        }
    }
    if let Some((word, tail)) = rest.split_once(char::is_whitespace).or(Some((rest, "")))
        && is_repository_name(word)
    {
        request.repository = Some(word.to_owned());
        rest = tail.trim_start();
    }
    request.title = rest.to_owned();
    check_texts(&request).map_err(|problem| usage_error(command, &problem))?;
    Ok(Intent::Task(request))
}

/// Refuses a request without a title, or with texts over their limits.
pub fn check_texts(request: &TaskRequest) -> Result<(), String> {
    if request.title.trim().is_empty() {
        return Err("the title is missing".into());
    }
    if request.title.chars().count() > TITLE_LIMIT {
        return Err(format!("the title is longer than {TITLE_LIMIT} characters; put the rest on the next lines"));
    }
    if request.title.chars().any(char::is_control) {
        return Err("the title holds control characters".into());
    }
    if request.description.len() > DESCRIPTION_LIMIT {
        return Err(format!("the description is longer than {DESCRIPTION_LIMIT} bytes"));
    }
    Ok(())
}

fn ask(command: &Command, text: &str) -> Result<Intent, Misunderstood> {
    let (word, tail) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (repository, question) =
        if is_repository_name(word) { (Some(word.to_owned()), tail.trim()) } else { (None, text.trim()) };
    if question.is_empty() {
        return Err(usage_error(command, "the question is missing"));
    }
    if question.len() > DESCRIPTION_LIMIT {
        return Err(usage_error(command, &format!("the question is longer than {DESCRIPTION_LIMIT} bytes")));
    }
    Ok(Intent::Ask { repository, question: question.to_owned() })
}

fn no_more(command: &Command, rest: &str) -> Result<(), Misunderstood> {
    if rest.is_empty() { Ok(()) } else { Err(usage_error(command, &format!("`{rest}` is too much"))) }
}

fn one_name(command: &Command, rest: &str) -> Result<Option<String>, Misunderstood> {
    match rest.split_whitespace().collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [name] => Ok(Some(name.to_owned())),
        _ => Err(usage_error(command, &format!("`{rest}` is more than one name"))),
    }
}

fn one_task(command: &Command, rest: &str) -> Result<TaskId, Misunderstood> {
    if rest.is_empty() {
        return Err(usage_error(command, "the number of the task is missing"));
    }
    rest.parse().map_err(|_| usage_error(command, &format!("`{rest}` is not the number of a task")))
}

fn task_and_note(command: &Command, rest: &str, more: &str) -> Result<(TaskId, String), Misunderstood> {
    let (number, note) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let task = one_task(command, number)?;
    Ok((task, format!("{note}\n{more}").trim().to_owned()))
}

/// A task's number, and words that must not be missing.
fn text_about(command: &Command, rest: &str, more: &str, what: &str) -> Result<(TaskId, String), Misunderstood> {
    let (task, text) = task_and_note(command, rest, more)?;
    if text.is_empty() {
        return Err(usage_error(command, &format!("{what} is missing")));
    }
    if text.len() > NOTE_LIMIT {
        return Err(usage_error(command, &format!("{what} is longer than {NOTE_LIMIT} bytes")));
    }
    Ok((task, text))
}

/// Somebody as a frontend knows them, and what they are to be.
fn allow(command: &Command, rest: &str) -> Result<Intent, Misunderstood> {
    let (person, role) = rest.split_once(char::is_whitespace).unwrap_or((rest, "member"));
    let named = person.split_once(':').is_some_and(|(transport, id)| !transport.is_empty() && !id.is_empty());
    if !named || person.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')) {
        return Err(usage_error(command, &format!("`{person}` is nobody's name, which is as in telegram:1001")));
    }
    let roles = [Role::Guest, Role::Member, Role::Admin, Role::Owner];
    let Some(role) = roles.into_iter().find(|known| role_word(*known) == role.trim()) else {
        return Err(usage_error(command, &format!("there is no role `{}`", role.trim())));
    };
    Ok(Intent::Allow { person: PersonId(person.to_owned()), role })
}

/// Takes `change:DIGEST` off the beginning of a note.
fn change_and_note(command: &Command, note: String) -> Result<(Option<String>, String), Misunderstood> {
    let Some(rest) = note.strip_prefix("change:") else { return Ok((None, note)) };
    let (digest, note) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if digest.len() < SHORTEST_CHANGE || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(usage_error(
            command,
            &format!("`change:{digest}` is no change: it is at least its first {SHORTEST_CHANGE} digits"),
        ));
    }
    Ok((Some(digest.to_ascii_lowercase()), note.trim().to_owned()))
}

fn usage_error(command: &Command, problem: &str) -> Misunderstood {
    Misunderstood { problem: problem.to_owned(), hint: format!("Usage: {}", command.usage) }
}

fn unknown(name: &str) -> Misunderstood {
    let nearest = COMMANDS
        .iter()
        .map(|command| (strsim::damerau_levenshtein(command.name, name), command.name))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let hint = match nearest {
        Some((_, near)) => format!("Did you mean /{near}? /help lists all commands"),
        None => "/help lists all commands".into(),
    };
    Misunderstood { problem: format!("there is no command /{name}"), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> TaskRequest {
        match parse(text).unwrap() {
            Intent::Task(request) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_task_with_everything() {
        let got =
            request("/task --budget=deep --pipeline=quick acme/shop Add a discount \nFor orders over 100.\n\nPlease.");
        assert_eq!(got.budget.as_deref(), Some("deep"));
        assert_eq!(got.pipeline.as_deref(), Some("quick"));
        assert_eq!(got.repository.as_deref(), Some("acme/shop"));
        assert_eq!(got.title, "Add a discount");
        assert_eq!(got.description, "For orders over 100.\n\nPlease.");
        assert_eq!(request("/task either/or is a title too").repository.as_deref(), Some("either/or"));
        assert_eq!(request("/task Fix a/b/c paths").repository, None);
        assert_eq!(request("/task -- --verbose is ignored").title, "--verbose is ignored");
    }

    #[test]
    fn a_malformed_flag_is_an_error_and_never_part_of_the_title() {
        for (text, problem) in [
            ("/task --budget deep Title", "needs a value"),
            ("/task --budgte=deep Title", "no flag"),
            ("/task --budget= Title", "with a value"),
            ("/task --budget=a --budget=b Title", "given once"),
            ("/task acme/shop", "title is missing"),
            ("/task", "title is missing"),
            ("/task a\u{1b}[31mb", "control characters"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.problem.contains(problem), "{text}: {error}");
            assert!(error.hint.contains("/task ["), "{text}: {error}");
        }
        assert!(parse(&format!("/task {}", "x".repeat(201))).is_err());
    }

    #[test]
    fn commands_match_exactly() {
        assert_eq!(parse("/list"), Ok(Intent::Look(Look::Tasks)));
        assert_eq!(parse("/status #3"), Ok(Intent::Look(Look::Status { task: Some(TaskId(3)) })));
        assert_eq!(
            parse("/approve 3 looks good\nreally"),
            Ok(Intent::Approve { task: TaskId(3), change: None, note: "looks good\nreally".into() })
        );

        let change = Some("0123abcd".to_owned());
        let approve = |note: &str| Ok(Intent::Approve { task: TaskId(3), change: change.clone(), note: note.into() });
        assert_eq!(parse("/approve 3 change:0123ABCD"), approve(""));
        assert_eq!(parse("/approve 3 change:0123abcd looks good"), approve("looks good"));
        let rejected = |change, note: &str| Ok(Intent::Reject { task: TaskId(3), change, note: note.into() });
        assert_eq!(parse("/reject 3 too slow"), rejected(None, "too slow"));
        assert_eq!(parse("/reject 3 change:0123ABCD too slow"), rejected(change.clone(), "too slow"));
        for wrong in ["/approve 3 change:", "/approve 3 change:012", "/approve 3 change:0123abcx", "/reject 3 change:x"]
        {
            assert!(parse(wrong).unwrap_err().hint.contains("change:DIGEST"), "{wrong}");
        }
        for (text, hint) in
            [("/statusx", "/status"), ("/aprove 1", "/approve"), ("/zzzzzzzz", "/help"), ("hello", "/task")]
        {
            assert!(parse(text).unwrap_err().hint.contains(hint), "{text}");
        }
        for text in [
            "/cancel",
            "/cancel x",
            "/cancel 1 2",
            "/tasks 1",
            "/ask",
            "/ask acme/shop",
            "/audit",
            "/audit x",
            "/ping me",
            "/chatid 1",
            "/personas a b",
            "/pipeline a b",
            "/policy x",
            "/stats 7",
        ] {
            assert!(parse(text).unwrap_err().hint.starts_with("Usage: /"), "{text}");
        }
    }

    #[test]
    fn looks_at_the_host() {
        for (text, want) in [
            ("/ping", Intent::Look(Look::Ping)),
            ("/chatid", Intent::Look(Look::ChatId)),
            ("/policy", Intent::Look(Look::Policy)),
            ("/stats ", Intent::Look(Look::Stats)),
            ("/audit #7", Intent::Look(Look::Audit { task: TaskId(7) })),
            ("/personas", Intent::Look(Look::Personas { name: None })),
            ("/personas  qa", Intent::Look(Look::Personas { name: Some("qa".into()) })),
            ("/pipeline", Intent::Look(Look::Pipeline { name: None })),
            ("/pipeline quick", Intent::Look(Look::Pipeline { name: Some("quick".into()) })),
            ("/start", Intent::Look(Look::Help { command: None })),
            ("/start from-a-link", Intent::Look(Look::Help { command: None })),
            ("/help list", Intent::Look(Look::Help { command: Some("list".into()) })),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn every_command_has_a_grammar() {
        for command in COMMANDS {
            for argument in ["", " 1", " acme/shop words"] {
                if let Err(error) = parse(&format!("/{}{argument}", command.name)) {
                    assert!(!error.problem.contains("no grammar"), "{error}");
                }
            }
        }
    }
}
