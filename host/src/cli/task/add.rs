//! `borg-host task add`.

use super::{Follow, Look};
use crate::cli::{
    asked::repository_and_words,
    control,
    failure::{Code, problem},
    out,
};
use anyhow::Result;
use borg_core::intent::{Intent, TaskRequest, check_texts};
use borg_host::{engine::Reply, settings::Settings};
use clap::Args;
use std::{io::Read, process::ExitCode};

/// Ask for a change
///
/// The task runs on its own; `task log N -f` follows it. A task that needs a decision or a repair waits for it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host task add \"Add a discount\" --repo acme/shop
  borg-host task add acme/shop Fix rounding of postage
  borg-host task add \"Fix rounding\" --pipeline quick --budget deep -f
  borg-host task add \"Add a discount\" --description - < wishes.md
  id=$(borg-host task add \"Add a discount\" --json | jq .id)")]
pub struct Add {
    /// What is wanted, in one line; the repository may stand before it
    #[arg(value_name = "TITLE", required = true, num_args = 1..)]
    title: Vec<String>,
    /// Repository, as policies/repos.toml names it; may be left out where settings name a default
    #[arg(long, short, value_name = "OWNER/NAME")]
    repo: Option<String>,
    /// Stages it goes through, one of policies/pipelines/
    #[arg(long, short, value_name = "NAME")]
    pipeline: Option<String>,
    /// Only this persona works, in a pipeline of one stage
    #[arg(long, value_name = "NAME")]
    persona: Option<String>,
    /// What it may spend, one of [budget.*] in policy
    #[arg(long, value_name = "NAME")]
    budget: Option<String>,
    /// More words; `-` reads them from standard input
    #[arg(long, short, value_name = "TEXT", default_value = "")]
    description: String,
    /// Follow the task until it has ended or waits for somebody
    #[arg(long, short, conflicts_with = "json")]
    follow: bool,
    /// Print the new task as JSON: `{"id": 1, …}`
    #[arg(long)]
    json: bool,
}

impl Add {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let mut description = self.description;
        if description == "-" {
            description.clear();
            std::io::stdin().lock().read_to_string(&mut description)?;
        }
        let (repository, title) = repository_and_words(self.repo, self.title);
        let request = TaskRequest {
            repository,
            title,
            description: description.trim_end().to_owned(),
            budget: self.budget,
            pipeline: self.pipeline,
            persona: self.persona,
        };
        check_texts(&request).map_err(|why| {
            problem(
                Code::Usage,
                why,
                "borg-host task add \"Add a discount\" --description \"as many words as it needs\"",
            )
        })?;
        let client = control::client(settings);
        let reply = control::intend(&client, Intent::Task(request)).await?;
        match &reply {
            Reply::Created { task, title, repository, pipeline, waits } if self.json => {
                out::json(&serde_json::json!({
                    "id": task, "title": title, "repository": repository, "pipeline": pipeline, "waits": waits,
                }))?;
            }
            Reply::Created { .. } | Reply::Done { .. } | Reply::Granted | Reply::Refused { .. } => {
                control::tell(&reply)?
            }
        }
        match reply {
            Reply::Created { task, .. } if self.follow => {
                Follow::new(task).perform(&Look::Host(client), settings).await
            }
            Reply::Created { .. } | Reply::Done { .. } | Reply::Granted | Reply::Refused { .. } => {
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
