//! What people are told about the host itself: that it lives, whom it takes them for, what its policy says, how much it did.

use super::amounts::{duration, money, tokens};
use crate::{
    budget::{MicroUsd, Usage},
    chat::{Part, Registration},
    daily::{Day, Level, Purse},
    id::TaskId,
    intent,
    list::few,
    people::{PersonId, Role, role_word},
    plan,
    policy::{ExecutorPolicy, PersonaPolicy, Pipeline, Policy, StagePlan, StageWork, Via},
    task::{Status, Task},
};
use std::collections::BTreeMap;

/// Names shown in one line; the rest is counted.
const NAMES_SHOWN: usize = 10;
/// Registered chats shown.
const CHATS_SHOWN: usize = 50;
/// Globs shown of a persona among others.
const GLOBS_SHOWN: usize = 4;

/// Parts that answer `/ping`.
pub fn ping(version: &str, up_ms: u64) -> Vec<Part> {
    vec![Part::Text(format!("borg-host {version} is up for {}", duration(up_ms)))]
}

/// Parts that answer `/chatid`.
pub fn chat_id(chat: &str, person: &PersonId, role: Role) -> Vec<Part> {
    vec![Part::field("this chat", chat), Part::field("you", format!("{person}, {}", role_word(role)))]
}

/// Parts that answer `/personas`: all in short, or one in full; without one of that name, why.
pub fn personas(name: Option<&str>, policy: &Policy) -> Result<Vec<Part>, Vec<Part>> {
    let Some(name) = name else {
        let mut parts = vec![Part::Heading("Personas".into())];
        parts.extend(policy.personas.iter().map(|(name, persona)| {
            let (tools, writes) = (list(&persona.tools, "none"), few(&persona.write, GLOBS_SHOWN, "nothing"));
            let (engine, budget) = (engine(persona, policy), budget(persona, policy));
            Part::field(name, format!("{engine}; budget {budget}; tools {tools}; writes {writes}"))
        }));
        parts.push(Part::Text("/personas NAME shows one in full.".into()));
        return Ok(parts);
    };
    let persona = policy.personas.get(name);
    let persona = persona.ok_or_else(|| unknown("persona", name, policy.personas.keys().map(String::as_str)))?;
    let mut parts = vec![
        Part::Heading(format!("Persona {name}")),
        Part::field("works with", engine(persona, policy)),
        Part::field("tools", list(&persona.tools, "none")),
        Part::field("writes", list(&persona.write, "nothing in the workspace")),
    ];
    if !persona.protect.is_empty() {
        parts.push(Part::field("but never", list(&persona.protect, "")));
    }
    let ci = if persona.may_touch_ci { "may be written" } else { "protected" };
    parts.push(Part::field("CI files", ci));
    let name = persona.budget.as_ref().unwrap_or(&policy.host.budget);
    let limits = policy.budgets.get(name).map(|budget| {
        let wall = duration(budget.wall_ms);
        format!(": {} turns, {} tokens, {}, {wall} for a stage", budget.turns, budget.tokens, budget.cost)
    });
    parts.push(Part::field("budget", format!("{}{}", budget(persona, policy), limits.unwrap_or_default())));
    Ok(parts)
}

/// Parts that answer `/pipeline`; without one of that name, why.
pub fn pipeline(name: Option<&str>, policy: &Policy) -> Result<Vec<Part>, Vec<Part>> {
    let name = name.unwrap_or(&policy.host.pipeline);
    let names = || policy.pipelines.keys().map(String::as_str);
    let found = policy.pipelines.get(name).ok_or_else(|| unknown("pipeline", name, names()))?;
    let mut parts = vec![Part::Heading(format!("Pipeline {name}"))];
    if !found.summary.is_empty() {
        parts.push(Part::Text(found.summary.clone()));
    }
    let only = if found.read_only { " (changes nothing)" } else { "" };
    parts.push(Part::field("stages", format!("{}{only}", stage_names(found))));
    parts.extend(found.stages.iter().map(|stage| Part::Item(format!("{}: {}", stage.name, work(stage, policy)))));
    parts.extend(caps(policy));
    repositories(policy, &mut parts);
    let others: Vec<&str> = names().filter(|other| *other != name).collect();
    if !others.is_empty() {
        parts.push(Part::field("other pipelines", few(&others, NAMES_SHOWN, "")));
    }
    Ok(parts)
}

/// Parts that answer `/policy`; `since` is the time at which this policy came into force, where that is known.
pub fn policy(policy: &Policy, since: Option<&str>, person: &PersonId, role: Role) -> Vec<Part> {
    let since = since.map(|since| format!(", in force since {since}")).unwrap_or_default();
    let repositories: Vec<&str> = policy.repos.keys().map(String::as_str).collect();
    let rules: Vec<&str> =
        policy.rules.iter().filter(|(_, rule)| rule.enabled).map(|(name, _)| name.as_str()).collect();
    let thresholds = policy.verdict;
    let may: Vec<String> = intent::allowed(role).map(|command| format!("/{}", command.name)).collect();
    let mut parts = vec![
        Part::field("policy", format!("{}{since}", policy.digest.short())),
        Part::field(
            "repositories",
            few(&repositories, NAMES_SHOWN, "none; `borg-host repo add owner/name PATH` adds one"),
        ),
        Part::field(
            "verdicts",
            format!("review from risk {} on, block from {} on", thresholds.review, thresholds.block),
        ),
        Part::field("rules", few(&rules, NAMES_SHOWN, "none")),
        Part::field("at the same time", format!("{} task(s)", policy.host.parallel)),
        Part::field("you", format!("{person}, {}", role_word(role))),
        Part::field("you may", may.join(" ")),
    ];
    parts.extend(caps(policy));
    parts
}

/// What of the daily caps is spent: the host's, and that of whoever asks. Nothing where there is none.
pub fn today(day: &Day, policy: &Policy, person: Option<&PersonId>, now_ms: u64) -> Vec<Part> {
    let line = |label: &str, purse: Purse| {
        let follows = match purse.level() {
            Level::Open | Level::Told => "",
            Level::Narrow => "; one task runs at a time",
            Level::Shut => "; nothing starts until 00:00 UTC",
        };
        Part::field(label, format!("{purse}{follows}"))
    };
    let host = day.host(policy, now_ms).map(|purse| line("money today, all tasks", purse));
    let own = person
        .and_then(|person| day.person(person, policy, now_ms))
        .map(|purse| line("money today, your tasks", purse));
    host.into_iter().chain(own).collect()
}

/// The daily caps of policy, in a line; none where there are none.
fn caps(policy: &Policy) -> Option<Part> {
    let host = policy.host.daily.map(|cap| format!("{cap} for all tasks"));
    let people = policy.people_daily.map(|cap| format!("{cap} for the tasks of each person"));
    let all: Vec<String> = host.into_iter().chain(people).collect();
    (!all.is_empty()).then(|| Part::field("in a day of UTC", all.join(", ")))
}

/// What was done in the time up to now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    pub hours: u64,
    /// Tasks asked for.
    pub asked: u64,
    pub completed: u64,
    /// Failed, or stopped by a budget.
    pub failed: u64,
    pub rejected: u64,
    pub cancelled: u64,
    pub usage: Usage,
    pub cost: MicroUsd,
    /// The part of it that a subscription paid.
    pub notional: MicroUsd,
}

impl Window {
    /// Takes in a task that moved last in this time; one that has not ended counts for nothing.
    pub fn ended(&mut self, status: Status) {
        match status {
            Status::Completed => self.completed += 1,
            Status::Failed | Status::Capped => self.failed += 1,
            Status::Rejected => self.rejected += 1,
            Status::Cancelled => self.cancelled += 1,
            Status::Queued
            | Status::Running
            | Status::Parked
            | Status::Blocked
            | Status::NeedsReview
            | Status::Approved => {}
        }
    }

    fn done(&self) -> String {
        let Window { asked, completed, failed, rejected, cancelled, .. } = self;
        let success = self.success().map(|percent| format!(" (success {percent} %)")).unwrap_or_default();
        format!(
            "{asked} asked for; {completed} completed, {failed} failed, {rejected} rejected, {cancelled} cancelled{success}"
        )
    }

    fn spent(&self) -> String {
        format!("{}, {}", tokens(&self.usage), money(self.cost, self.notional))
    }

    /// Share of tasks that came to something among those that could, in percent: whoever cancels one has changed their mind.
    fn success(&self) -> Option<u64> {
        let judged = self.completed + self.failed + self.rejected;
        (judged > 0).then(|| self.completed * 100 / judged)
    }
}

/// A task as the digest has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestLine {
    pub id: TaskId,
    pub title: String,
    pub repository: String,
    pub status: Status,
    /// Where its work is, once it is delivered.
    pub branch: Option<String>,
    pub cost: MicroUsd,
    /// The part of it that a subscription paid.
    pub notional: MicroUsd,
}

impl DigestLine {
    pub fn of(task: &Task) -> Self {
        DigestLine {
            id: task.id(),
            title: task.spec.title.clone(),
            repository: task.spec.repository.clone(),
            status: task.status(),
            branch: task.delivered().map(str::to_owned),
            cost: task.spent.cost,
            notional: task.spent.notional,
        }
    }
}

/// What the host did and does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Shortest first.
    pub windows: Vec<Window>,
    pub queued: u64,
    pub running: u64,
    /// Parked: they go on by themselves.
    pub waiting: u64,
    /// Blocked, or up for review: they go on when a person acts.
    pub stuck: u64,
}

impl Figures {
    /// What is to be done, in a line.
    pub fn now(&self) -> String {
        let Figures { queued, running, waiting, stuck, .. } = self;
        format!("{queued} queued, {running} running, {waiting} going on later, {stuck} waiting for a person")
    }

    /// Takes in a task that has not ended.
    pub fn live(&mut self, status: Status) {
        match status {
            Status::Queued => self.queued += 1,
            Status::Running | Status::Approved => self.running += 1,
            Status::Parked => self.waiting += 1,
            Status::Blocked | Status::NeedsReview => self.stuck += 1,
            Status::Capped | Status::Rejected | Status::Completed | Status::Failed | Status::Cancelled => {}
        }
    }
}

/// Parts that answer `/stats`.
pub fn stats(figures: &Figures) -> Vec<Part> {
    let mut parts = vec![Part::Heading("What was done".into())];
    parts.extend(figures.windows.iter().map(|window| {
        let span = if window.hours < 48 { format!("{} h", window.hours) } else { format!("{} d", window.hours / 24) };
        Part::field(&span, format!("{}; {}", window.done(), window.spent()))
    }));
    parts.push(Part::field("now", figures.now()));
    parts
}

/// Parts that answer `/digest`; `figures` has one window, and `tasks` are those that moved in it, newest first.
pub fn digest(figures: &Figures, tasks: &[DigestLine], left_out: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    for window in &figures.windows {
        parts.push(Part::Heading(format!("The last {} h", window.hours)));
        parts.push(Part::field("tasks", window.done()));
        parts.push(Part::field("spent", window.spent()));
    }
    parts.push(Part::field("now", figures.now()));
    parts.extend(tasks.iter().map(|task| {
        let DigestLine { id, title, repository, status, branch, cost, notional } = task;
        let cost = money(*cost, *notional);
        let branch = branch.as_ref().map(|branch| format!(", {branch}")).unwrap_or_default();
        Part::Item(format!("#{id} {title} ({repository}): {status}{branch}, {cost}"))
    }));
    if left_out > 0 {
        parts.push(Part::Item(format!("and {left_out} more")));
    }
    parts
}

/// Parts that answer `/groups`.
pub fn groups(chats: &BTreeMap<String, Registration>) -> Vec<Part> {
    if chats.is_empty() {
        return vec![Part::Text("no chat is registered; /register [owner/repo] does that where it is said".into())];
    }
    let mut parts = vec![Part::Heading("Registered chats".into())];
    parts.extend(chats.iter().take(CHATS_SHOWN).map(|(chat, Registration { by, repository, .. })| {
        let repository = repository.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
        Part::field(chat, format!("{repository}by {by}"))
    }));
    if chats.len() > CHATS_SHOWN {
        parts.push(Part::Item(format!("and {} more", chats.len() - CHATS_SHOWN)));
    }
    parts
}

/// All of them, or the word for none.
fn list(names: &[String], none: &str) -> String {
    few(names, usize::MAX, none)
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Vec<Part> {
    let known = few(known, NAMES_SHOWN, "none");
    vec![Part::Text(format!("there is no {what} `{name}`")), Part::field("there are", known)]
}

fn engine(persona: &PersonaPolicy, policy: &Policy) -> String {
    let executor = policy.executors.get(&persona.executor);
    let model =
        persona.model.as_ref().or_else(|| executor.and_then(|executor: &ExecutorPolicy| executor.model.as_ref()));
    match model {
        Some(model) => format!("{}, model {model}", persona.executor),
        None => format!("{}, its own choice of model", persona.executor),
    }
}

fn budget(persona: &PersonaPolicy, policy: &Policy) -> String {
    persona.budget.clone().unwrap_or_else(|| format!("{} unless the task names one", policy.host.budget))
}

fn stage_names(pipeline: &Pipeline) -> String {
    pipeline.stages.iter().map(|stage| stage.name.as_str()).collect::<Vec<_>>().join(" → ")
}

fn work(stage: &StagePlan, policy: &Policy) -> String {
    match &stage.work {
        StageWork::Persona { persona, check, attempts, .. } => {
            let engine = policy.personas.get(persona).map(|granted| engine(granted, policy)).unwrap_or_default();
            let check = check.map(|expect| format!(", must leave {}", expect.as_str())).unwrap_or_default();
            let granted = policy.personas.get(persona).and_then(|granted| granted.budget.as_ref());
            let cost = policy
                .budgets
                .get(granted.unwrap_or(&policy.host.budget))
                .map(|budget| format!(", up to {}", budget.cost));
            format!("{persona} with {engine}{check}, {attempts} attempt(s){}", cost.unwrap_or_default())
        }
        StageWork::Judge { rules } if rules.iter().any(|rule| rule == "*") => "all rules look at the change".into(),
        StageWork::Judge { rules } => format!("rules {}", rules.join(", ")),
        StageWork::Deliver { via: Via::Branch } => "a branch in the repository".into(),
        StageWork::Deliver { via: Via::Reply } => "an answer to whoever asked".into(),
        StageWork::Deliver { via: Via::None } => "nothing leaves the host".into(),
    }
}

/// Where tasks work that name no repository, and what tests each has.
fn repositories(policy: &Policy, parts: &mut Vec<Part>) {
    let default = plan::default_repository(policy);
    let (label, none) = ("repository", "none yet; `borg-host repo add owner/name PATH` adds one");
    parts.push(match default {
        Some(name) => Part::field(label, format!("{name}, where a task names no other")),
        None if policy.repos.is_empty() => Part::field(label, none),
        None => Part::field(label, "a task must name one; PIPELINE_REPO sets a default"),
    });
    let shown = policy.repos.iter().filter(|(name, _)| default.is_none_or(|default| default == *name));
    for (name, repo) in shown.take(NAMES_SHOWN) {
        let command = repo.check.as_ref().map_or_else(
            || "the `test` target of its Makefile, where it has one".to_owned(),
            |command| format!("`{command}`"),
        );
        let image = repo.image.as_ref().unwrap_or(&policy.checks.image);
        parts.push(Part::field(format!("tests of {name}"), format!("{command}, in {image}")));
    }
}
