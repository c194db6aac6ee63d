//! Looks at the policy files and the plugin folders every second; a bad edit is refused aloud and the last good policy stays.

use crate::{
    chats::Operators,
    engine::handle::Handle,
    journal::Reads,
    policies::{fingerprint, load},
    secrets::SecretStore,
    settings::Defaults,
};
use borg_core::{
    chat::Part,
    id::Digest,
    policy::{HostPolicy, PluginPolicy, Policy},
    task::Task,
};
use borg_plugins::{LoadError, Permits, Plugins, Problem};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

/// How often policy files are looked at for changes.
const INTERVAL: Duration = Duration::from_secs(1);

/// What follows policy, and what it began with.
pub struct Watch {
    pub folder: PathBuf,
    pub defaults: Defaults,
    pub handle: Handle,
    pub secrets: Arc<SecretStore>,
    pub plugins: Plugins,
    pub journal: Arc<dyn Reads>,
    /// [`fingerprint`] of the folder, taken *before* the policy in force was read.
    pub seen: Digest,
    /// What was arranged by the policy at the start, and stays so.
    pub arranged: HostPolicy,
    /// What the policy in force permits plugins.
    pub permitted: PluginPolicy,
    pub operators: Operators,
}

impl Watch {
    /// Runs until the engine has stopped. An edit is taken when nothing has changed for one interval: a file that is half written may
    /// well be a policy, and a laxer one.
    pub async fn run(mut self) {
        let (mut last, mut last_plugins) = (self.seen, self.plugins.loaded());
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let plugins = self.plugins.fingerprint().await;
            // As with policy: a component that is being copied is not looked at yet.
            if std::mem::replace(&mut last_plugins, plugins) == plugins && plugins != self.plugins.loaded() {
                tracing::info!("plugins changed");
                self.reload().await;
            }
            let now = fingerprint(&self.folder);
            let is_settled = std::mem::replace(&mut last, now) == now;
            if now == self.seen || !is_settled {
                continue;
            }
            self.seen = now;
            let loaded = match load(&self.folder, &self.defaults) {
                Ok((policy, sources)) => {
                    self.follow(&policy).await;
                    Ok((policy, sources))
                }
                Err(error) => Err(error.to_string()),
            };
            let refused = loaded.as_ref().err().cloned();
            if self.handle.policy_changed(loaded).await.is_err() {
                return;
            }
            if let Some(reason) = refused {
                self.tell_refused(&reason).await;
            }
        }
    }

    async fn follow(&mut self, policy: &Policy) {
        self.secrets.follow(policy);
        self.permitted.clone_from(&policy.plugins);
        self.reload().await;
        for key in later(&self.arranged, &policy.host) {
            tracing::warn!("[host] {key} was edited: that takes effect with the next start of the host");
        }
        tracing::info!(policy = %policy.digest, "policy loaded");
    }

    /// Tells the operators why an edit does not take effect, and the log where none of them sits at the terminal.
    async fn tell_refused(&self, reason: &str) {
        const WHAT: &str = "the policy edit does not take effect";
        let parts = vec![
            Part::Text(format!("{WHAT}; what was in force before stays:")),
            Part::Code { language: String::new(), text: reason.to_owned() },
        ];
        if !self.operators.tell(&format!("policy:{}", self.seen), "policy", parts, Vec::new()).await {
            tracing::error!("{WHAT}: {reason}");
        }
    }

    /// A component that came to take another's place is somebody's doing: the operators hear of it, once each.
    async fn tell_of_stand_in(&self, error: &LoadError) {
        let Problem::StandIn { name, found, .. } = &error.problem else { return };
        let parts = vec![
            Part::Text(format!("a component that stands in for `{name}` was refused:")),
            Part::Code { language: String::new(), text: error.to_string() },
        ];
        self.operators.tell(&format!("stand-in:{name}:{found}"), "plugins", parts, Vec::new()).await;
    }

    async fn reload(&self) {
        match self.journal.live_tasks().await {
            Ok(live) => {
                let permits = Permits { policy: self.permitted.clone(), keep: executors_of(&live) };
                for error in self.plugins.reload(&permits).await {
                    tracing::warn!(%error, "a plugin could not be loaded");
                    self.tell_of_stand_in(&error).await;
                }
            }
            // Without knowing what runs, a component that a run needs could be dropped.
            Err(error) => tracing::error!(%error, "plugins stay as they are: the journal could not be asked what runs"),
        }
    }
}

/// Keys of `[host]` that were arranged at the start and read differently now.
fn later(then: &HostPolicy, now: &HostPolicy) -> Vec<&'static str> {
    let rows = [
        ("sandbox", then.sandbox != now.sandbox),
        ("free-space-floor", then.free_space_floor != now.free_space_floor),
        ("drain", then.drain_ms != now.drain_ms),
    ];
    rows.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Components that runs in progress began with.
pub fn executors_of<'a>(tasks: impl IntoIterator<Item = &'a Task>) -> BTreeSet<Digest> {
    tasks.into_iter().filter_map(|task| task.agent_run()?.executor_digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chats::Chats,
        engine::{self, Input},
        policies,
    };
    use borg_plugins::{Compiler, Limits, Options};
    use std::{fs, path::Path};
    use tokio::sync::mpsc;

    struct Fixture {
        dir: tempfile::TempDir,
        secrets: Arc<SecretStore>,
        inputs: mpsc::Receiver<Input>,
        watch: Option<Watch>,
    }

    impl Fixture {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("policies");
            fs::create_dir_all(folder.join("pipelines")).unwrap();
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
            for file in policies::sources(&shipped).unwrap() {
                fs::write(dir.path().join(&file.name), file.text).unwrap();
            }
            let seen = fingerprint(&folder);
            let policy = load(&folder, &Defaults::default()).unwrap().0;
            let options = Options {
                shipped: Vec::new(),
                folders: Vec::new(),
                cache: dir.path().join("cache"),
                compiler: Compiler::InProcess,
                limits: Limits::default(),
                now_ms: crate::clock::now_ms,
            };
            let permits = Permits { policy: policy.plugins.clone(), keep: BTreeSet::new() };
            let (plugins, _) = Plugins::load(options, &permits).await.unwrap();
            let journal = crate::fixture::journal(dir.path());
            let queue = engine::Queue::new(journal.clone(), policy.clone());
            let (handle, inputs) = (queue.handle.clone(), queue.into_inputs());
            let operators = Operators::new(Chats::new(plugins.clone(), handle.clone()), handle.clone(), None);
            let secrets = Arc::new(SecretStore::new(dir.path(), None, [].into(), &policy));
            let watch = Watch {
                folder,
                defaults: Defaults::default(),
                handle,
                secrets: secrets.clone(),
                plugins,
                journal,
                seen,
                operators,
                arranged: policy.host,
                permitted: policy.plugins,
            };
            Fixture { dir, secrets, inputs, watch: Some(watch) }
        }

        fn edit(&self, file: &str, from: &str, to: &str) {
            let path = self.dir.path().join("policies").join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replace(from, to)).unwrap();
        }

        fn start(&mut self) -> tokio::task::JoinHandle<()> {
            tokio::spawn(self.watch.take().unwrap().run())
        }

        async fn next(&mut self) -> Result<Policy, String> {
            let Input::Policy(loaded, done) = self.inputs.recv().await.unwrap() else { panic!("that is no policy") };
            done.send(()).unwrap();
            (*loaded).map(|(policy, _)| policy)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_edit_takes_effect_a_bad_one_is_told_and_mending_it_is_told_too() {
        let mut fixture = Fixture::new().await;
        let watch = fixture.start();
        fixture.edit("host.toml", "parallel = 2", "parallel = 7");
        assert_eq!(fixture.next().await.unwrap().host.parallel, 7);
        fixture.edit("executors.toml", "stored:claude", "stored:other");
        fixture.next().await.unwrap();
        let borg_gateway::SecretError::Unreadable { why, .. } =
            borg_gateway::Secrets::get(&*fixture.secrets, "claude").await.unwrap_err()
        else {
            panic!()
        };
        assert!(why.contains("other"), "secrets follow the policy in force: {why}");
        fixture.edit("host.toml", "parallel = 7", "parallel = many");
        let told = fixture.next().await.unwrap_err();
        assert!(told.contains("host.toml"), "{told}");
        fixture.edit("host.toml", "parallel = many", "parallel = 4");
        assert_eq!(fixture.next().await.unwrap().host.parallel, 4);
        drop(fixture.inputs);
        let path = fixture.dir.path().join("policies/host.toml");
        fs::write(path, "").unwrap();
        watch.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_while_the_host_starts_is_not_lost() {
        let mut fixture = Fixture::new().await;
        fixture.edit("host.toml", "parallel = 2", "parallel = 9");
        let _watch = fixture.start();
        assert_eq!(fixture.next().await.unwrap().host.parallel, 9);
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let then = load(&shipped, &Defaults::default()).unwrap().0.host;
        let now = HostPolicy { sandbox: borg_core::policy::SandboxChoice::Local, parallel: 9, ..then.clone() };
        assert_eq!(later(&then, &now), ["sandbox"]);
        assert_eq!(later(&then, &HostPolicy { free_space_floor: 1, ..then.clone() }), ["free-space-floor"]);
        assert_eq!(later(&then, &HostPolicy { drain_ms: 1, ..then.clone() }), ["drain"]);
    }
}
