//! Where tasks are looked at: in the running host, or in its journal where none runs.

use crate::cli::{
    failure::{Code, problem},
    terminal,
};
use anyhow::Result;
use borg_core::{id::TaskId, task::Task};
use borg_host::{
    control::{
        EventsQuery,
        client::{Client, NoHost},
    },
    journal::{Reads, Recorded, TaskRow},
    settings::Settings,
    store::Store,
    teller::Teller,
};
use std::sync::Arc;

/// Events read from the journal at a time.
const PAGE: u32 = 256;

/// Something to look into.
pub enum Look {
    Host(Client),
    Journal(Arc<dyn Reads>),
}

impl Look {
    /// The running host, or else the journal; an error where there is neither.
    pub async fn open(settings: &Settings) -> Result<Look> {
        let data = settings.data_dir();
        let client = Client::new(&data);
        if client.is_there().await {
            return Ok(Look::Host(client));
        }
        if Store::file(&data).exists() {
            Ok(Look::Journal(Store::open_read_only(&data)?))
        } else {
            Err(NoHost(data).into())
        }
    }

    /// The newest tasks, newest first.
    pub async fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>> {
        match self {
            Look::Host(client) => client.get(&format!("/v1/tasks?limit={limit}")).await,
            Look::Journal(journal) => Ok(journal.tasks(limit).await?),
        }
    }

    pub async fn task(&self, id: TaskId) -> Result<Task> {
        match self {
            Look::Host(client) => client.get(&format!("/v1/tasks/{id}")).await,
            Look::Journal(journal) => journal.task(id).await?.ok_or_else(|| unknown(id)),
        }
    }

    /// A task's events, oldest first; with `follow`, as they come, until the task has ended or waits for a person.
    pub async fn events(
        &self,
        task: TaskId,
        follow: bool,
        mut event: impl FnMut(Recorded) -> Result<()>,
    ) -> Result<()> {
        match self {
            Look::Host(client) => {
                let query = EventsQuery { after: 0, task: Some(task), follow };
                client.events(&query, |line| event(serde_json::from_str(line)?)).await
            }
            Look::Journal(journal) => {
                let mut after = 0;
                loop {
                    let page = journal.events(after, Some(task), PAGE).await?;
                    let Some(last) = page.last() else { return Ok(()) };
                    after = last.seq;
                    page.into_iter().try_for_each(&mut event)?;
                }
            }
        }
    }
}

pub fn unknown(id: TaskId) -> anyhow::Error {
    problem(Code::Failed, format!("there is no task #{id}"), "`borg-host task list` shows the newest")
}

/// Tells a task's events and why things went as they did. The policies that takes are in the journal, also while a host runs on it.
pub async fn teller(task: &Task, settings: &Settings) -> Result<Teller> {
    let journal = Store::open_read_only(&settings.data_dir())?;
    Ok(Teller::of(task, &*journal, terminal::say).await?)
}
