//! Doers: each performs one kind of order, with the few services it uses, and comes back with the event that settles it. Doing one twice does
//! not matter twice.

mod brief;
mod broken;
mod check;
mod clean;
mod collect;
mod deliver;
mod held;
mod judge;
mod limits;
mod prepare;
mod refused;
mod run;
mod runs;
mod tell;

pub(super) use broken::broken;
pub(super) use clean::Cleaner;
pub use prepare::has_test_target;
pub(super) use runs::Runs;

use super::Handle;
use crate::{
    agents::{Agents, Bundle, Refusal},
    chats::Chats,
    journal::Reads,
    sandbox::Sandbox,
    secrets::SecretStore,
    workspace::{self, Workspace},
};
use borg_core::{
    dispatch::Dispatch,
    effect::InFile,
    event::{Answer, Body},
    id::{Digest, EffectKey},
    persona::Handoff,
};
use borg_gateway::Gateway;
use borg_plugins::{CallError, Executor, Kind, Plugins};
use serde_json::Value;
use std::{path::PathBuf, sync::Arc, time::Duration};

/// Pauses between tries of what may fail for a moment.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// Longest artefact that is given to a persona, in bytes.
const HANDOFF_BYTES: usize = 1 << 20;

/// What doers are made of.
pub struct Services {
    pub data_dir: PathBuf,
    /// Bytes that stay free where the data lies, as the sandbox was told at the start.
    pub free_floor_bytes: u64,
    pub agents: Agents,
    pub workspace: Workspace,
    pub sandbox: Arc<Sandbox>,
    pub gateway: Gateway,
    pub plugins: Plugins,
    pub secrets: Arc<SecretStore>,
    pub journal: Arc<dyn Reads>,
    pub chats: Chats,
}

/// One doer for each kind of order.
pub struct Doers {
    preparer: prepare::Preparer,
    personas: brief::Personas,
    runner: run::Runner,
    collector: collect::Collector,
    checker: check::Checker,
    judge: judge::Judge,
    deliverer: deliver::Deliverer,
    messenger: tell::Messenger,
    pub(super) cleaner: Cleaner,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) data_dir: PathBuf,
    pub(super) free_floor_bytes: u64,
    /// What is said to whoever holds a run.
    pub(super) runs: Runs,
}

/// What came of an effect.
pub(super) enum Performed {
    /// The event that settles it.
    Settled(Box<Body>),
    /// What an earlier process had begun of it is lost: it is to be done again, from the beginning.
    Lost,
}

impl Doers {
    pub fn new(services: Services) -> Self {
        let Services {
            data_dir,
            free_floor_bytes,
            agents,
            workspace,
            sandbox,
            gateway,
            plugins,
            secrets,
            journal,
            chats,
        } = services;
        let runs = Runs::default();
        Doers {
            preparer: prepare::Preparer {
                agents: agents.clone(),
                workspace: workspace.clone(),
                sandbox: sandbox.clone(),
                plugins: plugins.clone(),
                secrets,
            },
            personas: brief::Personas { workspace: workspace.clone(), plugins: plugins.clone() },
            runner: run::Runner {
                agents,
                workspace: workspace.clone(),
                sandbox: sandbox.clone(),
                gateway,
                plugins: plugins.clone(),
                runs: runs.clone(),
            },
            collector: collect::Collector { workspace: workspace.clone(), sandbox: sandbox.clone() },
            checker: check::Checker { workspace: workspace.clone(), sandbox: sandbox.clone(), runs: runs.clone() },
            judge: judge::Judge { workspace: workspace.clone(), plugins },
            deliverer: deliver::Deliverer { workspace: workspace.clone() },
            messenger: tell::Messenger { workspace: workspace.clone(), journal, chats },
            cleaner: Cleaner { data_dir: data_dir.clone(), workspace, sandbox: sandbox.clone(), runs: runs.clone() },
            sandbox,
            data_dir,
            free_floor_bytes,
            runs,
        }
    }

    /// Performs one order. `handle` takes what a run tells on its way.
    pub(super) async fn perform(&self, key: &EffectKey, dispatch: Dispatch, handle: &Handle) -> Performed {
        let settled = match dispatch {
            Dispatch::Prepare(what) => self.preparer.prepare(what).await,
            Dispatch::Brief(what) => self.personas.brief(what).await,
            Dispatch::Run(what) => return self.runner.run(&what, handle).await,
            Dispatch::Stop(order) => {
                self.runs.stop(order.run, order.cause);
                Body::Answer(Answer::Stopped { run: order.run, cause: order.cause })
            }
            Dispatch::Collect(order) => self.collector.collect(*order).await,
            Dispatch::Accept(what) => self.personas.accept(what).await,
            Dispatch::Check(what) => self.checker.check(&what).await,
            Dispatch::Judge(what) => self.judge.judge(&what).await,
            Dispatch::Deliver(what) => self.deliverer.deliver(what).await,
            Dispatch::Forget(order) => {
                self.cleaner.forget(order.run).await;
                Body::Answer(Answer::Forgotten { run: order.run })
            }
            Dispatch::Tell(what) => self.messenger.tell(&key.0, what).await,
        };
        Performed::Settled(Box::new(settled))
    }
}

/// Texts of artefacts, for personas; longer ones are cut.
async fn handoffs(workspace: &Workspace, files: &[InFile]) -> Result<Vec<Handoff>, workspace::Error> {
    let mut handoffs = Vec::new();
    for file in files {
        let bytes = workspace.read_artefact(file.digest).await?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        let complete = text.len() <= HANDOFF_BYTES;
        text.truncate(text.floor_char_boundary(HANDOFF_BYTES));
        handoffs.push(Handoff { name: file.name.clone(), text, complete });
    }
    Ok(handoffs)
}

/// Settings of a plugin as policy gives them, held against its manifest's schema; the error says what is wrong with them.
fn settings(plugins: &Plugins, kind: Kind, name: &str, given: &Value) -> Result<Value, String> {
    let manifest = plugins.manifest(kind, name).ok_or_else(|| {
        format!("there is no {} of this name; put its folder with plugin.toml into the plugin folder", kind.as_str())
    })?;
    manifest.validate_settings(given).map_err(|errors| errors.join("; "))
}

/// The bundle that an executor runs with, as policy pins it; none where it needs none.
async fn bundle(
    agents: &Agents,
    plugins: &Plugins,
    executor: &Executor,
    pin: Option<Digest>,
) -> Result<Option<Bundle>, Refusal> {
    if executor.info().bundle.is_empty() {
        return Ok(None);
    }
    let name = &executor.info().name;
    // Of a component that was kept for a task under way nobody knows what it brought; its folder does, as it is now.
    let brought = plugins.executor(name, None).ok().and_then(|current| current.plugin().brought());
    agents.permitted(name, pin, brought.as_ref()).await.map(Some)
}

/// Tries something a few times, with longer and longer pauses; true where it worked.
async fn persist<F: Future<Output = bool>>(mut attempt: impl FnMut() -> F) -> bool {
    for pause in PAUSES {
        if attempt().await {
            return true;
        }
        tokio::time::sleep(pause).await;
    }
    attempt().await
}

fn plugin_failed(error: &CallError) -> Body {
    Body::Answer(Answer::PluginFailed { plugin: error.plugin.clone(), reason: error.to_string() })
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_what_does_not_is_given_up() {
        for (failures, works, tries) in [(0, true, 1), (2, true, 3), (3, true, 4), (9, false, 4)] {
            let mut tried = 0;
            let worked = persist(|| {
                tried += 1;
                std::future::ready(tried > failures)
            });
            assert_eq!((worked.await, tried), (works, tries), "{failures}");
        }
    }
}
