//! Commands that ask the running host, and what they do with its answer.

use super::{neutral, out};
use anyhow::Result;
use borg_core::intent::Intent;
use borg_host::{
    control::{
        IntentRequest,
        client::{Client, Refusal},
    },
    engine::Reply,
    settings::Settings,
};
use std::process::ExitCode;

/// The host of these settings, whether or not it runs.
pub fn client(settings: &Settings) -> Client {
    Client::new(&settings.data_dir())
}

/// Asks the running host for something; a refusal is an error.
pub async fn intend(client: &Client, intent: Intent) -> Result<Reply> {
    match client.intend(&IntentRequest { intent, chat: None }).await? {
        Reply::Refused { reason, remedy, .. } => Err(Refusal { reason, remedy }.into()),
        reply @ (Reply::Created { .. } | Reply::Done { .. } | Reply::Granted) => Ok(reply),
    }
}

/// Asks, and prints what came of it.
pub async fn intend_and_tell(settings: &Settings, intent: Intent) -> Result<ExitCode> {
    tell(&intend(&client(settings), intent).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints an answer of the host in words.
pub fn tell(reply: &Reply) -> Result<()> {
    match reply {
        Reply::Created { task, title, repository, pipeline, waits } => {
            out::line(neutral::text(&format!("#{task} {title} ({repository}, pipeline {pipeline})")))?;
            if let Some(why) = waits {
                out::line(neutral::text(&format!("it waits: {why}; it goes on by itself")))?;
            }
        }
        Reply::Done { text } => out::line(neutral::text(text))?,
        Reply::Granted => {}
        Reply::Refused { reason, remedy, .. } => {
            return Err(Refusal { reason: reason.clone(), remedy: remedy.clone() }.into());
        }
    }
    Ok(())
}
