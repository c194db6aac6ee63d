//! The table of commands: help, menus, completion and permission read it; how each is written is the grammar's.

use crate::people::Role;

/// One row of the command table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub usage: &'static str,
    pub summary: &'static str,
    /// Least role that may use it.
    pub role: Role,
}

/// Every command there is, in the order people are shown them.
pub const COMMANDS: [Command; 27] = [
    Command {
        name: "task",
        aliases: &[],
        usage: "/task [--budget=quick|default|deep] [--pipeline=NAME] [--persona=NAME] [owner/repo] TITLE, then the description on the next lines",
        summary: "start a task",
        role: Role::Member,
    },
    Command {
        name: "ask",
        aliases: &[],
        usage: "/ask [owner/repo] QUESTION",
        summary: "ask about a repository; changes nothing",
        role: Role::Member,
    },
    Command {
        name: "continue",
        aliases: &[],
        usage: "/continue N TEXT, or a reply to what was said about a task that has ended",
        summary: "go on from where an ended task left off",
        role: Role::Member,
    },
    Command { name: "tasks", aliases: &["list"], usage: "/tasks", summary: "the ten newest tasks", role: Role::Guest },
    Command {
        name: "status",
        aliases: &[],
        usage: "/status [N]",
        summary: "the host, or one task with its stages, findings and cost",
        role: Role::Guest,
    },
    Command { name: "diff", aliases: &[], usage: "/diff N", summary: "what a task changed", role: Role::Guest },
    Command {
        name: "audit",
        aliases: &[],
        usage: "/audit N",
        summary: "what happened to a task, step by step",
        role: Role::Guest,
    },
    Command {
        name: "approve",
        aliases: &[],
        usage: "/approve N [change:DIGEST] [NOTE]",
        summary: "let a change through",
        role: Role::Admin,
    },
    Command {
        name: "reject",
        aliases: &[],
        usage: "/reject N [change:DIGEST] [NOTE]",
        summary: "turn a change down",
        role: Role::Admin,
    },
    Command {
        name: "answer",
        aliases: &[],
        usage: "/answer N TEXT, or a reply to the question",
        summary: "answer what an agent asked",
        role: Role::Member,
    },
    Command {
        name: "note",
        aliases: &[],
        usage: "/note N TEXT, or a reply to what was said about a task at work",
        summary: "tell a task's agents something, from their next attempt on",
        role: Role::Member,
    },
    Command { name: "cancel", aliases: &[], usage: "/cancel N", summary: "stop a task", role: Role::Member },
    Command {
        name: "retry",
        aliases: &[],
        usage: "/retry N",
        summary: "send a blocked task on its way, or run an ended one again as a new task",
        role: Role::Member,
    },
    Command { name: "pause", aliases: &[], usage: "/pause", summary: "start nothing new", role: Role::Admin },
    Command { name: "resume", aliases: &[], usage: "/resume", summary: "start things again", role: Role::Admin },
    Command {
        name: "stats",
        aliases: &[],
        usage: "/stats",
        summary: "what was done and spent in a day, a week, a month",
        role: Role::Guest,
    },
    Command {
        name: "digest",
        aliases: &[],
        usage: "/digest",
        summary: "what was done in the last day, task by task",
        role: Role::Guest,
    },
    Command {
        name: "register",
        aliases: &[],
        usage: "/register [owner/repo]",
        summary: "make this chat one of ours, with a repository of its own",
        role: Role::Admin,
    },
    Command {
        name: "unregister",
        aliases: &[],
        usage: "/unregister",
        summary: "forget this chat and its repository",
        role: Role::Admin,
    },
    Command { name: "groups", aliases: &[], usage: "/groups", summary: "registered chats", role: Role::Guest },
    Command {
        name: "allow",
        aliases: &[],
        usage: "/allow PERSON [guest|member|admin|owner]",
        summary: "make somebody known here, as a member unless you say otherwise",
        role: Role::Owner,
    },
    Command {
        name: "pipeline",
        aliases: &[],
        usage: "/pipeline [NAME]",
        summary: "how a task goes: repository, stages, tests, model",
        role: Role::Guest,
    },
    Command {
        name: "personas",
        aliases: &[],
        usage: "/personas [NAME]",
        summary: "what each persona may use and write",
        role: Role::Guest,
    },
    Command {
        name: "policy",
        aliases: &[],
        usage: "/policy",
        summary: "the policy in force, and what it lets you do",
        role: Role::Guest,
    },
    Command {
        name: "ping",
        aliases: &[],
        usage: "/ping",
        summary: "version and uptime of the host",
        role: Role::Guest,
    },
    Command {
        name: "chatid",
        aliases: &[],
        usage: "/chatid",
        summary: "the names of this chat and of you, for policy",
        role: Role::Guest,
    },
    Command {
        name: "help",
        aliases: &["start"],
        usage: "/help [COMMAND]",
        summary: "what you may say",
        role: Role::Guest,
    },
];

/// Finds a command by its exact name or alias.
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name || command.aliases.contains(&name))
}

/// Commands for a role.
pub fn allowed(role: Role) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(move |command| command.role <= role)
}
