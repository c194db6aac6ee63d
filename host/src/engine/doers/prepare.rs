//! Prepares a task: the mirror is fresh, the base is known, and everything its agents need is there before any of them starts.

use super::{Doers, chain};
use crate::{git::source::Source, sandbox, workspace};
use borg_core::{
    collect::CommitId,
    event::{Answer, Body},
    policy::Policy,
};
use borg_gateway::Secrets as _;

/// Largest Makefile that is looked into, in bytes.
const MAKEFILE_BYTES: usize = 1 << 20;

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

impl Doers {
    pub(super) async fn prepare(
        &self,
        repository: &str,
        needs_check: bool,
        executors: &[String],
        commits: &[CommitId],
        policy: &Policy,
    ) -> Body {
        match self.try_prepare(repository, needs_check, executors, commits, policy).await {
            Ok(body) => body,
            Err(Failure { reason, remedy }) => Body::Answer(Answer::PrepareFailed { reason, remedy: remedy.into() }),
        }
    }

    async fn try_prepare(
        &self,
        repository: &str,
        needs_check: bool,
        executors: &[String],
        commits: &[CommitId],
        policy: &Policy,
    ) -> Result<Body, Failure> {
        let repo = policy.repos.get(repository).ok_or_else(|| {
            failure(format!("{repository} is no longer in policy"), format!("`borg-host repo add {repository} PATH`"))
        })?;
        for executor in executors {
            self.check_executor(executor, repo.image.as_deref(), policy).await?;
        }
        if needs_check {
            self.check_image(repo.image.as_deref().unwrap_or(&policy.checks.image)).await?;
        }
        let source: Source =
            repo.url.parse().map_err(|error| failure(chain(&error), "mend `url` in policies/repos.toml"))?;
        let mirror = self.mirror(repository);
        let (branch, commit) = {
            let _lock = self.locks.lock(repository).await;
            let refreshed = self.workspace.refresh(&mirror, &source).await?;
            let branch = match &repo.base {
                Some(branch) => branch.clone(),
                None => self.workspace.default_branch(&mirror, &refreshed)?,
            };
            let commit = self.workspace.resolve(&mirror, &branch).await?;
            for earlier in commits {
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
        Ok(Body::Answer(Answer::Prepared { branch, commit, check, warnings: Vec::new() }))
    }

    /// Everything one executor needs: its plugin, its bundle, its image, its credentials.
    async fn check_executor(&self, name: &str, image: Option<&str>, policy: &Policy) -> Result<(), Failure> {
        let executor = self
            .plugins
            .executor(name, None)
            .map_err(|error| failure(chain(&error), "`borg-host doctor` shows the plugins"))?;
        let bundle = &executor.info().bundle;
        if !bundle.is_empty() && self.agent_bundle(bundle).is_none() {
            return Err(failure(
                format!("the agent {bundle} is not installed"),
                format!("`borg-host agent install {bundle}`"),
            ));
        }
        let Some(granted) = policy.executors.get(name) else {
            return Err(failure(format!("policy has no [executor.{name}]"), "add it to policies/executors.toml"));
        };
        self.check_image(image.unwrap_or(&granted.image)).await?;
        for egress in granted.egress.iter().filter_map(|name| policy.egress.get(name)?.model()) {
            if let Err(error) = self.secrets.get(&egress.secret).await {
                let secret = &egress.secret;
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

    /// `make test`, where the base's top-level Makefile has that very target.
    async fn makefile_check(&self, mirror: &workspace::Mirror, commit: &CommitId) -> Result<Option<String>, Failure> {
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
