//! Doers: each performs one kind of order, with the few services it uses, and comes back with the event that settles it. Doing one twice does
//! not matter twice.

mod brief;
mod broken;
mod check;
mod clean;
mod collect;
mod deliver;
mod given;
mod held;
mod judge;
mod limits;
mod performed;
mod persist;
mod prepare;
mod refused;
mod run;
mod runs;
mod shown;
mod tell;

pub(super) use broken::broken;
pub(super) use clean::Cleaner;
pub(super) use performed::Performed;
pub use prepare::has_test_target;
pub(super) use runs::Runs;

use super::handle::Handle;
use crate::{
    agents::Agents, chats::Chats, journal::Reads, sandbox::Sandbox, secrets::SecretStore, workspace::Workspace,
};
use borg_core::{
    dispatch::Dispatch,
    event::{Answer, Body},
    id::EffectKey,
};
use borg_gateway::Gateway;
use borg_plugins::Plugins;
use std::{path::PathBuf, sync::Arc};

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
