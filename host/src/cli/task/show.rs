//! `borg-host task show`.

use super::Look;
use crate::cli::{out, parts, terminal};
use anyhow::Result;
use borg_core::{id::TaskId, task::Task, words};
use borg_host::settings::Settings;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// One task: where it stands, its stages, tests, findings, denials and cost
#[derive(Debug, Args)]
pub struct Show {
    /// Number of the task
    #[arg(value_name = "N")]
    task: TaskId,
    /// Print all that is known as JSON, its `status` in one word first
    #[arg(long)]
    json: bool,
}

impl Show {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let task = Look::open(settings).await?.task(self.task).await?;
        if self.json {
            out::json(&value(&task)?)?;
        } else {
            out::line(parts::text(&words::status(&task, terminal::say)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn value(task: &Task) -> Result<Value> {
    let mut fields = serde_json::Map::new();
    fields.insert("id".into(), serde_json::to_value(task.id())?);
    fields.insert("status".into(), task.status().as_str().into());
    if let Value::Object(all) = serde_json::to_value(task)? {
        fields.extend(all);
    }
    Ok(Value::Object(fields))
}
