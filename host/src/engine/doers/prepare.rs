//! Prepares a task: the mirror is fresh, the base is known, and everything its agents need is there before any of them starts.

use super::given::bundle;
use crate::{
    agents::Agents,
    causes::chain,
    git::{mirror::Mirror, source::Source},
    sandbox::{self, Sandbox},
    secrets::SecretStore,
    workspace::{self, Workspace},
};
use borg_core::{
    collect::CommitId,
    dispatch::{Candidate, Preparing},
    effect::PrepareOrder,
    event::{Answer, Body},
};
use borg_gateway::Secrets as _;
use borg_plugins::Plugins;
use std::sync::Arc;

/// Largest Makefile that is looked into, in bytes.
const MAKEFILE_BYTES: usize = 1 << 20;

/// Submodules that are named.
const SUBMODULES: usize = 10;

struct Failure {
    reason: String,
    remedy: String,
}

fn failure(reason: impl Into<String>, remedy: impl Into<String>) -> Failure {
    Failure { reason: reason.into(), remedy: remedy.into() }
}

impl From<workspace::Error> for Failure {
    fn from(error: workspace::Error) -> Self {
        failure(chain(&error), "`borg-host repo check` looks at every repository; mend this one, then retry")
    }
}

pub(super) struct Preparer {
    pub agents: Agents,
    pub workspace: Workspace,
    pub sandbox: Arc<Sandbox>,
    pub plugins: Plugins,
    pub secrets: Arc<SecretStore>,
}

impl Preparer {
    pub async fn prepare(&self, what: Preparing) -> Body {
        match self.try_prepare(what).await {
            Ok(body) => body,
            Err(Failure { reason, remedy }) => Body::Answer(Answer::PrepareFailed { reason, remedy: remedy.into() }),
        }
    }

    async fn try_prepare(&self, what: Preparing) -> Result<Body, Failure> {
        let Preparing { order, repo, checks_image, executors } = what;
        let PrepareOrder { repository, needs_check, executors: _, commits } = order;
        let repo = repo.ok_or_else(|| {
            failure(format!("{repository} is no longer in policy"), format!("`borg-host repo add {repository} PATH`"))
        })?;
        for executor in &executors {
            self.check_executor(executor, repo.image.as_deref()).await?;
        }
        if needs_check {
            self.check_image(repo.image.as_deref().unwrap_or(&checks_image)).await?;
        }
        let source: Source =
            repo.url.parse().map_err(|error| failure(chain(&error), "mend `url` in policies/repos.toml"))?;
        let mirror = self.workspace.mirror(&repository);
        let (branch, commit) = {
            let lock = self.workspace.git().lock(&mirror).await;
            let refreshed = self.workspace.refresh(&lock, &source).await?;
            let branch = match &repo.base {
                Some(branch) => branch.clone(),
                None => self.workspace.default_branch(&mirror, &refreshed)?,
            };
            let commit = self.workspace.resolve(&mirror, &branch).await?;
            for earlier in &commits {
                if !self.workspace.has_commit(&mirror, earlier).await? {
                    let problem =
                        format!("the work it goes on from, {}, is not in the mirror any more", earlier.short());
                    return Err(failure(problem, "cancel this task, and ask for the whole anew with /task"));
                }
            }
            (branch, commit)
        };
        let check = match (&repo.check, needs_check) {
            (Some(check), _) => Some(check.clone()),
            (None, true) => self.makefile_check(&mirror, &commit).await?,
            (None, false) => None,
        };
        let warnings = self.left_out(&mirror, &commit).await?;
        Ok(Body::Answer(Answer::Prepared { branch, commit, check, warnings }))
    }

    /// Everything one executor needs: its plugin, its bundle, its image, its credentials.
    async fn check_executor(&self, candidate: &Candidate, image: Option<&str>) -> Result<(), Failure> {
        let Candidate { name, policy, secrets } = candidate;
        let executor = self
            .plugins
            .executor(name, None)
            .map_err(|error| failure(chain(&error), "`borg-host doctor` shows the plugins"))?;
        let pin = policy.as_ref().and_then(|granted| granted.bundle);
        if let Err(refusal) = bundle(&self.agents, &self.plugins, &executor, pin).await {
            return Err(failure(refusal.to_string(), refusal.remedy()));
        }
        let Some(granted) = policy else {
            return Err(failure(format!("policy has no [executor.{name}]"), "add it to policies/executors.toml"));
        };
        self.check_image(image.unwrap_or(&granted.image)).await?;
        for secret in secrets {
            if let Err(error) = self.secrets.get(secret).await {
                return Err(failure(
                    format!("no credentials: {error}"),
                    format!(
                        "`borg-host secret set {secret}`, or change `from` of [secret.{secret}] in policies/executors.toml"
                    ),
                ));
            }
        }
        Ok(())
    }

    async fn check_image(&self, image: &str) -> Result<(), Failure> {
        self.sandbox.check_image(image).await.map_err(|error| match error {
            sandbox::Error::NoImage(name) => {
                let get = match name.strip_prefix("borg-base:") {
                    Some(_) => "`borg-host image build` makes it".to_owned(),
                    None => format!("`docker pull {name}` brings it, or policy names another image"),
                };
                failure(format!("image `{name}` is not here"), format!("{get}; then retry"))
            }
            other => failure(chain(&other), "`borg-host doctor` looks at the engine; mend that, then retry"),
        })
    }

    /// What of the base no work tree will have.
    async fn left_out(&self, mirror: &Mirror, commit: &CommitId) -> Result<Vec<String>, Failure> {
        let (paths, count) = self.workspace.submodules(mirror, commit, SUBMODULES).await?;
        let mut warnings: Vec<String> =
            paths.iter().map(|path| format!("{path} is a submodule; its folder is left empty")).collect();
        warnings.extend((count > paths.len()).then(|| format!("and {} submodules more", count - paths.len())));
        Ok(warnings)
    }

    /// `make test`, where the base's top-level Makefile has that very target.
    async fn makefile_check(&self, mirror: &Mirror, commit: &CommitId) -> Result<Option<String>, Failure> {
        for name in ["GNUmakefile", "makefile", "Makefile"] {
            if let Some(blob) = self.workspace.read_file(mirror, commit, name, MAKEFILE_BYTES).await? {
                return Ok(has_test_target(&String::from_utf8_lossy(&blob.bytes)).then(|| "make test".to_owned()));
            }
        }
        Ok(None)
    }
}

/// True for a rule whose targets include exactly `test`; `test-all:`, comments, recipes and assignments do not count.
pub fn has_test_target(makefile: &str) -> bool {
    makefile.lines().any(|line| {
        if line.starts_with(['\t', '#', ' ']) {
            return false;
        }
        let Some((targets, rest)) = line.split_once(':') else { return false };
        !rest.starts_with('=') && !rest.starts_with(":=") && targets.split_whitespace().any(|target| target == "test")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_target_named_test_counts() {
        for (text, want) in [
            ("test:\n\tpytest\n", true),
            ("all test: deps\n", true),
            (".PHONY: test\n", false),
            ("test-all:\n", false),
            ("# test:\n", false),
            ("\ttest: x\n", false),
            ("test := 1\n", false),
            ("test::\n", true),
        ] {
            assert_eq!(has_test_target(text), want, "{text:?}");
        }
    }
}
