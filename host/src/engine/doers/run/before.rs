//! What a run needs before it starts: its job, its sandbox, its directories, its way out.

use super::{Failure, Runner, start_failure};
use crate::{
    causes::chain,
    engine::doers::performed::plugin_failed,
    sandbox::{BASE_REPO, GATEWAY_URL, HOME, IN, OUT, WORKSPACE},
    workspace::{Attempt, RunDir},
};
use borg_core::{
    budget::{Hold, Spent},
    dispatch::Running,
    effect::RunOrder,
    executor::{BaseFile, Job, WayOut},
    id::RunKey,
    persona::Assignment,
    policy::{EgressPolicy, ProviderName, Subscription},
    run::{ImageRef, Limits, SandboxSpec},
    tool::Tool,
};
use borg_gateway::{Access, Door, Egress, Elder, provider};
use borg_plugins::Executor;
use serde_json::Value;
use std::path::PathBuf;

/// Largest file of the repository an executor may ask for, in bytes.
const BASE_FILE_BYTES: usize = 1 << 20;
/// Files an executor may ask for.
const BASE_FILES: usize = 16;

impl Runner {
    pub(super) async fn job(&self, what: &Running, executor: &Executor) -> Result<Job, Failure> {
        let order = &what.order;
        let assignment: Assignment = serde_json::from_str(&order.assignment.text).map_err(|error| {
            start_failure(format!("the assignment is no longer there: {error}"), "retry the task", false)
        })?;
        let mirror = self.workspace.mirror(&order.repository);
        let mut base_files = Vec::new();
        for path in executor.info().reads.iter().take(BASE_FILES) {
            if let Some(blob) = self.workspace.read_file(&mirror, &order.base, path, BASE_FILE_BYTES).await? {
                base_files
                    .push(BaseFile { path: path.clone(), text: String::from_utf8_lossy(&blob.bytes).into_owned() });
            }
        }
        Ok(Job {
            task: order.brief.clone(),
            persona: order.persona.clone(),
            stage: order.stage.clone(),
            attempt: order.attempt,
            system_prompt: assignment.system_prompt,
            prompt: assignment.prompt,
            tools: order.tools.iter().map(|name| Tool::named(name)).collect(),
            write: order.write.allow.clone(),
            model: order.model.clone(),
            max_turns: Some(order.allowance.turns),
            resume: None,
            ways_out: what.egress.iter().map(|(name, entry)| seen(name, entry)).collect(),
            closed: seen_as("", ProviderName::default()),
            workspace: WORKSPACE.to_owned(),
            in_dir: IN.to_owned(),
            out_dir: OUT.to_owned(),
            home: HOME.to_owned(),
            agent_dir: borg_init::AGENT.to_owned(),
            base_files,
        })
    }

    pub(super) async fn spec(
        &self,
        what: &Running,
        executor: &Executor,
        settings: &Value,
        job: &Job,
        earlier_ms: u64,
    ) -> Result<SandboxSpec, Failure> {
        let order = &what.order;
        let left = what.left(earlier_ms);
        let command = match executor.launch(settings, job).await {
            Ok(Ok(command)) => command,
            Ok(Err(why)) => {
                return Err(start_failure(
                    format!("{} cannot start: {why}", order.executor),
                    "mend that, then retry",
                    false,
                ));
            }
            Err(error) => return Err(Failure::Body(plugin_failed(&error).into())),
        };
        let bundle = &executor.info().bundle;
        Ok(SandboxSpec {
            run: order.run,
            image: ImageRef(order.image.clone()),
            limits: Limits { wall_ms: order.limits.wall_ms.min(left.wall_ms.max(1)), ..order.limits },
            argv: command.argv,
            env: command.env,
            home_files: command.files,
            stdin: command.stdin,
            write: order.write.clone(),
            gateway: !order.egress.is_empty(),
            exec: order.tools.iter().any(|name| Tool::named(name).executes),
            host_paths: Vec::new(),
            bundle: (!bundle.is_empty()).then(|| bundle.clone()),
            policy: order.policy,
        })
    }

    /// A new directory with the last accepted commit, and the hand-offs of earlier stages; gives the repository that its `.git` borrows from.
    pub(super) async fn lay_out(&self, order: &RunOrder, dirs: &RunDir) -> Result<PathBuf, Failure> {
        let attempt = Attempt { run: order.run, commit: order.head.clone(), lender: Some(BASE_REPO.into()) };
        let base_repo = {
            let lock = self.workspace.git().lock(&self.workspace.mirror(&order.repository)).await;
            let base = (order.base_branch.as_str(), &order.base);
            let lend = self.workspace.lend(order.run.owner, &lock, base, &order.head);
            // Both are run to their end: a Git process that is left at work would outlive the lock.
            let (prepared, base_repo) = tokio::join!(self.workspace.prepare(&lock, &attempt), lend);
            prepared?;
            base_repo?
        };
        for file in &order.inputs {
            let bytes = self.workspace.read_artefact(file.digest).await?;
            let path = dirs.input.join(&file.name);
            tokio::fs::write(&path, bytes).await.map_err(|error| {
                start_failure(
                    format!("cannot write the hand-off {}: {error}", file.name),
                    "`borg-host doctor`, then retry",
                    true,
                )
            })?;
        }
        Ok(base_repo)
    }

    /// Opens the way out of a run that has run for so long already.
    pub(super) async fn open_door(&self, what: &Running, earlier_ms: u64, dirs: &RunDir) -> Result<Door, Failure> {
        let elder = |(run, hold): &(RunKey, Hold)| Elder { run: *run, request: hold.request, most: hold.most };
        let access = Access {
            run: what.order.run,
            socket: dirs.run.join("gateway.sock"),
            egress: what.egress.iter().map(|(name, entry)| way_out(name, entry)).collect(),
            allowance: what.left(earlier_ms),
            spent_before: what.spent + Spent { wall_ms: earlier_ms, ..Spent::default() },
            elders: what.holds.iter().map(elder).collect(),
        };
        self.gateway
            .open(access)
            .await
            .map_err(|error| start_failure(chain(&error), "`borg-host doctor`, then retry", false))
    }
}

/// A way out as the agent sees it.
fn seen(name: &str, entry: &EgressPolicy) -> WayOut {
    let EgressPolicy::Model(entry) = entry;
    seen_as(name, entry.provider)
}

fn seen_as(name: &str, provider: ProviderName) -> WayOut {
    WayOut {
        name: name.to_owned(),
        provider: provider.as_str().to_owned(),
        url: GATEWAY_URL.to_owned(),
        placeholder: provider::named(provider).placeholder().to_owned(),
    }
}

/// A way out as policy says it.
fn way_out(name: &str, entry: &EgressPolicy) -> Egress {
    let EgressPolicy::Model(entry) = entry;
    Egress {
        name: name.to_owned(),
        provider: provider::named(entry.provider),
        models: entry.models.clone(),
        secret: entry.secret.clone(),
        counts_subscription: match entry.subscription {
            Subscription::Count => true,
            Subscription::Notional => false,
        },
        prices: entry.prices.clone(),
        max_tokens: entry.max_tokens,
        features: entry.betas.clone(),
    }
}
