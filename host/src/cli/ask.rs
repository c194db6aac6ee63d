//! `borg-host ask`: a question about a repository, answered in words. Without a running host the engine runs in this process.

use super::{
    asked::repository_and_words,
    control,
    failure::{Code, problem},
    inline, neutral, out,
    task::Look,
    terminal,
};
use anyhow::Result;
use borg_core::{
    intent::Intent,
    task::{Ending, Phase, Task},
};
use borg_host::{
    clock::now_ms,
    control::client::Client,
    engine::Reply,
    host::{self, Host, SandboxWish},
    settings::Settings,
};
use clap::Args;
use std::{fs, process::ExitCode};

/// Ask about a repository; nothing in it changes
///
/// The agent gets the repository read-only, and the last it says is the answer. Where no host is running, one runs just for this
/// question; not where tasks wait to go on, which that would set going, too: start the host with `borg-host run` then.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host ask \"Where are prices rounded?\" --repo acme/shop
  borg-host ask --json \"Which commands take --force?\"")]
pub struct Ask {
    /// The question; the repository may stand before it
    #[arg(value_name = "QUESTION", required = true, num_args = 1..)]
    question: Vec<String>,
    /// Repository, as policies/repos.toml names it
    #[arg(long, short, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// Print `{"task": N, "status": …, "answer": …}`
    #[arg(long)]
    json: bool,
}

impl Ask {
    pub async fn perform(self, settings: Settings) -> Result<ExitCode> {
        let (repository, question) = repository_and_words(self.repo, self.question);
        if question.is_empty() {
            return Err(problem(Code::Usage, "the question is missing", "borg-host ask \"Where are prices rounded?\""));
        }
        let intent = Intent::Ask { repository, question };
        let client = control::client(&settings);
        let task = match client.is_there().await {
            true => of_running(client, intent).await?,
            false => {
                let host = host::assemble(&settings, SandboxWish::ByPolicy).await?;
                refuse_company(&host).await?;
                refuse_without_money(&host).await?;
                inline::perform(host, intent, None, |_| Ok(())).await?.task
            }
        };
        show(&task, &settings, self.json)
    }
}

/// Whoever asks a question has not asked for other tasks to go on.
async fn refuse_company(host: &Host) -> Result<()> {
    let mut live = host.conversation().desk.live_tasks().await?;
    live.retain(|task| !task.phase.rests());
    let Some(first) = live.first() else { return Ok(()) };
    let more = if live.len() > 1 { format!(", and so would {} more", live.len() - 1) } else { String::new() };
    let message = format!("no host is running, and with this question task #{} would go on{more}", first.id());
    Err(problem(Code::NoHost, message, "start the host with `borg-host run`, then ask again"))
}

/// Nobody would be there to answer when the day ends.
async fn refuse_without_money(host: &Host) -> Result<()> {
    // The engine does not run yet, so nobody else can be asked what policy is in force.
    let day = host.conversation().desk.day().await?;
    let Some(shut) = day.shut(&inline::me(), &host.policy, now_ms()) else { return Ok(()) };
    let remedy = "ask again then, or raise the cap in policies/";
    Err(problem(Code::Failed, format!("nothing is asked: {shut}"), remedy))
}

fn show(task: &Task, settings: &Settings, json: bool) -> Result<ExitCode> {
    let answer = answer(task, settings);
    let why = match &task.phase {
        Phase::Ended { ending: Ending::Completed, .. } => None,
        Phase::Ended { reason, .. } => Some((reason.clone(), format!("`borg-host task log {}` tells more", task.id()))),
        Phase::Blocked { reason, remedy, .. } => Some((reason.clone(), remedy.spell(terminal::say))),
        Phase::Queued { .. }
        | Phase::Running(_)
        | Phase::Parked { .. }
        | Phase::NeedsReview { .. }
        | Phase::Approved { .. } => Some((format!("the task is {}", task.status()), "ask again".to_owned())),
    };
    if json {
        let status = task.status();
        out::json(&serde_json::json!({ "task": task.id(), "status": status, "answer": answer }))?;
    } else if why.is_none() {
        out::line(neutral::text(answer.trim_end()))?;
    }
    match why {
        None => Ok(ExitCode::SUCCESS),
        Some((reason, remedy)) => Err(problem(Code::Failed, format!("no answer: {reason}"), remedy)),
    }
}

/// The answer as a document, where the agent wrote one; else its last words.
fn answer(task: &Task, settings: &Settings) -> String {
    let mut artefacts = task.records.iter().flat_map(|record| &record.artefacts);
    let document = artefacts.rfind(|artefact| artefact.name == "answer.md");
    let path = document.map(|document| settings.data_dir().join("artefacts").join(document.digest.to_string()));
    let document = path.and_then(|path| fs::read(path).ok()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    document.or_else(|| task.last_words.as_ref().map(|words| words.text.clone())).unwrap_or_default()
}

async fn of_running(client: Client, intent: Intent) -> Result<Task> {
    let reply = control::intend(&client, intent).await?;
    if let Reply::Created { task, waits: Some(why), .. } = &reply {
        let why = neutral::text(why);
        eprintln!(
            "#{task} waits: {why}; Ctrl-C leaves it to the host, and `borg-host task show {task}` has the answer then"
        );
    }
    let id = inline::created(reply)?;
    let look = Look::Host(client);
    look.events(id, true, |_| Ok(())).await?;
    look.task(id).await
}
