//! Puts the program together, once: who gets what, and in which order things start and stop.

mod alarms;
mod caps;
mod digest;
mod watch;

use crate::{
    agents::Agents,
    chats::{
        Chats, Conversation, Operators,
        telegram::{self, Telegram},
    },
    clock::now_ms,
    compiler::{self, Waiting},
    control::{self, About, Served},
    engine::{
        self, Desk, Engine, Handle,
        doers::{Doers, Services},
    },
    git::{self, Git},
    journal::{Journal, Reads},
    ledger::JournalLedger,
    mail::{Mail, Mailbox},
    policies,
    sandbox::{Allowed, Docker, DockerSettings, InitBinary, Local, LocalSettings, Sandbox},
    secrets::{self, SecretStore},
    settings::Settings,
    spawn::Spawner,
    store::{DataLock, Store},
    workspace::{self, Workspace},
};
use alarms::Alarms;
use anyhow::{Context, Result, bail};
use borg_core::{
    effect::Effect,
    policy::{Policy, SandboxChoice, source::SourceFile},
};
use borg_gateway::{
    Config, Endpoint, Gateway, Limits,
    provider::{self, Provider, ProviderName},
};
use borg_plugins::{LoadError, Options, Permits, Plugins};
use caps::DailyCaps;
use digest::DailyDigest;
use std::{path::Path, sync::Arc, time::Duration};
use watch::Watch;
use zeroize::Zeroizing;

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Which sandbox the caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxWish {
    /// What policy says; nothing weaker in its place.
    ByPolicy,
    /// The strongest there is: for `demo`, on a repository of its own.
    StrongestForDemo,
}

/// A host that is ready to run.
pub struct Host {
    pub lock: DataLock,
    pub policy: Arc<Policy>,
    pub plugin_errors: Vec<LoadError>,
    pub about: About,
    engine: Engine,
    owed: Vec<Effect>,
    sources: Vec<SourceFile>,
    conversation: Conversation,
    /// The bot, where there is a token; whoever runs a host for people takes and runs it.
    pub telegram: Option<Telegram>,
    alarms: Alarms,
    caps: DailyCaps,
    digest: Option<DailyDigest>,
    watch: Watch,
    handle: Handle,
}

/// The bot's token, as set or as stored.
pub fn telegram_token(settings: &Settings) -> Result<Option<Zeroizing<String>>> {
    match settings.telegram_token() {
        Some(token) => Ok(Some(token)),
        None => {
            secrets::load(&settings.data_dir(), telegram::NAME).map_err(anyhow::Error::msg).context("the bot's token")
        }
    }
}

/// The init program that belongs to this build: beside the host, and of the digest it was built with.
pub fn init_binary() -> Result<InitBinary> {
    let program = std::env::current_exe().context("finding the program's own folder")?.canonicalize()?;
    let path = program.with_file_name("libexec").join("borg-init");
    let Some(sha256) = option_env!("BORG_INIT_SHA256") else {
        bail!(
            "this build has no borg-init of its own, and no sandbox starts without it; build with `cargo xtask build`"
        );
    };
    let sha256 = sha256.parse().context("the digest of borg-init that was compiled in")?;
    let init = InitBinary { path, sha256 };
    init.verify().context("borg-init beside the program")?;
    Ok(init)
}

/// Where a provider is: where somebody said, or where it says itself.
fn endpoint(settings: &Settings, provider: &'static dyn Provider) -> Result<Endpoint> {
    let names = provider.settings();
    let (base, ca_file) = settings.provider(names);
    let usual = Endpoint::usual(provider);
    let base = match base {
        Some(base) => base.parse().with_context(|| format!("{} is `{base}`, which is no address", names.base))?,
        None => usual.base,
    };
    Ok(Endpoint { provider, base, ca_file })
}

/// Starts everything but the engine's loop. The data directory is ours when this returns.
pub async fn assemble(settings: &Settings, wish: SandboxWish) -> Result<Host> {
    let defaults = settings.defaults()?;
    let (admin_chat, digest_minute) = (settings.admin_chat()?, settings.digest_minute()?);
    // Before the files are read: an edit in between is seen by the watch.
    let seen = policies::fingerprint(&settings.policies());
    let (mut policy, sources) = policies::load(&settings.policies(), &defaults)?;
    let lock = DataLock::take(&settings.data_dir())?;
    let data = lock.path().to_owned();
    let init = init_binary()?;
    let spawner = Spawner::start().context("starting the thread that starts children")?;
    let sandbox = sandbox(settings, &mut policy, &data, lock.installation(), &init, &spawner, wish).await?;
    let store = Arc::new(Store::open(&data)?);
    let (journal, mail): (Arc<dyn Journal>, Arc<dyn Mail>) = (store.clone(), store);
    let reads: Arc<dyn Reads> = journal.clone();
    let loaded = journal.load().await?;
    let program = std::env::current_exe().context("finding the program itself")?;
    let folders = settings.plugin_folders();
    let waiting = Waiting::begin();
    let plugins = Options {
        shipped: folders.shipped,
        folders: folders.own,
        cache: data.join("plugins"),
        compiler: compiler::confined(spawner.clone(), init.path.clone(), program, waiting.clone()),
        limits: borg_plugins::Limits::default(),
        now_ms,
    };
    let permits = Permits { policy: policy.plugins.clone(), keep: watch::executors_of(loaded.state.tasks.values()) };
    let (plugins, plugin_errors) = Plugins::load(plugins, &permits).await.context("starting the plugin host")?;
    waiting.over();
    let secrets = Arc::new(SecretStore::new(&data, settings.home(), settings.environment.clone(), &policy));
    let queue = engine::Queue::new(reads.clone(), policy.clone());
    let handle = queue.handle.clone();
    let endpoints = ProviderName::ALL.map(|name| endpoint(settings, provider::named(name)));
    let gateway = Config {
        endpoints: endpoints.into_iter().collect::<Result<_>>()?,
        limits: Limits { drain_time: Duration::from_millis(policy.host.drain_ms), ..Limits::default() },
    };
    let ledger = JournalLedger { journal: journal.clone(), handle: handle.clone() };
    let gateway = Gateway::new(gateway, secrets.clone(), Arc::new(ledger)).context("starting the gateway")?;
    let git = git::Settings { launcher: Some(init.path.clone()), ..git::Settings::default() };
    let git = Git::open(&data, spawner, git)?;
    let workspace = Workspace::open(&data, git, workspace::Config::default())?;
    let mailbox = Mailbox::new(telegram::NAME, mail.clone());
    let is_wanted = policy.chats.get(telegram::NAME).is_none_or(|chat| chat.enabled);
    let token = if is_wanted { telegram_token(settings)? } else { None };
    let mut chats = Chats::new(plugins.clone(), handle.clone()).with_operators_in(admin_chat.clone());
    if token.is_some() {
        chats = chats.by_mail(mailbox.clone());
    }
    let operators = Operators::new(chats.clone(), handle.clone(), admin_chat);
    let conversation = Conversation {
        chats: chats.clone(),
        desk: Desk { handle: handle.clone(), journal: reads.clone(), mail, workspace: workspace.clone() },
        policies: settings.policies(),
        operators: operators.clone(),
    };
    let telegram = token.map(|token| {
        Telegram::new(&token, settings.telegram_api(), mailbox, conversation.clone(), &settings.policies(), &data)
    });
    let telegram = telegram.transpose()?;
    let strength = sandbox.describe().await;
    let about = About {
        version: VERSION.to_owned(),
        installation: lock.installation().to_owned(),
        sandbox: strength.summary,
        data_dir: data.clone(),
    };
    let doers = Doers::new(Services {
        agents: Agents::new(&data),
        data_dir: data,
        free_floor_bytes: policy.host.free_space_floor,
        workspace,
        sandbox: Arc::new(sandbox),
        gateway,
        plugins: plugins.clone(),
        secrets: secrets.clone(),
        journal: reads.clone(),
        chats,
    });
    let shared = handle.policy();
    let watch = Watch {
        folder: settings.policies(),
        defaults,
        handle: handle.clone(),
        secrets,
        plugins,
        journal: reads,
        seen,
        arranged: policy.host.clone(),
        permitted: policy.plugins.clone(),
        operators: operators.clone(),
    };
    let desk = conversation.desk.clone();
    let alarms = Alarms {
        desk: desk.clone(),
        operators: operators.clone(),
        data_dir: about.data_dir.clone(),
        telegram: telegram.as_ref().map(|telegram| telegram.reach.clone()).unwrap_or_default(),
    };
    let caps = DailyCaps { desk: desk.clone(), operators: operators.clone() };
    let digest = digest_minute.map(|minute| DailyDigest { minute, desk, operators });
    let (engine, owed) = Engine::new(loaded, journal, doers, queue, policies::parse);
    Ok(Host {
        lock,
        policy: shared,
        plugin_errors,
        about,
        engine,
        owed,
        sources,
        conversation,
        telegram,
        alarms,
        caps,
        digest,
        watch,
        handle,
    })
}

async fn sandbox(
    settings: &Settings,
    policy: &mut Policy,
    data: &Path,
    installation: &str,
    init: &InitBinary,
    spawner: &Spawner,
    wish: SandboxWish,
) -> Result<Sandbox> {
    let roots = vec![data.join("runs"), data.join("tasks"), data.join("agents")];
    let docker = DockerSettings {
        host: settings.docker_host(),
        installation: installation.to_owned(),
        init: init.clone(),
        roots: roots.clone(),
        home: settings.home(),
        free_floor_bytes: policy.host.free_space_floor,
    };
    let local = |allowed| LocalSettings {
        allowed,
        init: init.clone(),
        runs: data.join("runs"),
        roots: roots.clone(),
        home: settings.home(),
        free_floor_bytes: policy.host.free_space_floor,
    };
    match (wish, policy.host.sandbox) {
        (SandboxWish::ByPolicy, SandboxChoice::Docker) => {
            let docker = Docker::connect(docker).await;
            let docker = docker.context("policy says `sandbox = \"docker\"`; without an engine, `sandbox = \"local\"` in policies/host.toml allows the weaker one")?;
            Ok(Sandbox::Docker(docker))
        }
        (SandboxWish::ByPolicy, SandboxChoice::Local) => {
            Ok(Sandbox::Local(Local::new(local(Allowed::ByPolicy), spawner.clone())))
        }
        (SandboxWish::StrongestForDemo, _) => {
            if let Ok(docker) = Docker::connect(docker).await {
                let sandbox = Sandbox::Docker(docker);
                if sandbox.check_image(&policy.checks.image).await.is_ok() {
                    policy.host.sandbox = SandboxChoice::Docker;
                    return Ok(sandbox);
                }
            }
            policy.host.sandbox = SandboxChoice::Local;
            Ok(Sandbox::Local(Local::new(local(Allowed::Demo), spawner.clone())))
        }
    }
}

impl Host {
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub fn conversation(&self) -> Conversation {
        self.conversation.clone()
    }

    /// What is told to the operators without being asked for: for a host that people run, not for one that does a single task. Never
    /// resolves.
    pub fn attend(&self) -> impl Future<Output = ()> + use<> {
        let operators = self.conversation.operators.clone();
        let (alarms, caps, digest) = (self.alarms.clone(), self.caps.clone(), self.digest.clone());
        async move {
            let digest = async {
                if let Some(digest) = digest {
                    digest.run().await;
                }
            };
            tokio::join!(alarms.run(), caps.run(), digest, operators.attend_to_misconduct());
        }
    }

    /// Runs until `until` resolves: the engine, the control socket, the watch over policy files.
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<()> {
        let listener = control::bind(self.lock.path()).context("opening the control socket")?;
        let served = Served { desk: self.conversation.desk.clone(), about: self.about.clone() };
        let watch = self.watch.run();
        let engine = self.engine.run(self.owed, self.sources, VERSION);
        tokio::pin!(engine);
        let ended = tokio::select! {
            ended = &mut engine => ended,
            served = control::serve(listener, served) => {
                served.context("the control socket failed")?;
                Ok(())
            }
            () = watch => Ok(()),
            () = until => stopped(&mut engine, self.handle.stop()).await,
        };
        // A socket nobody serves would make the next command wait.
        let _ = std::fs::remove_file(control::socket_path(self.lock.path()));
        ended.context("the journal")
    }
}

/// Runs the engine to its end while it is told to stop: where its queue is full, there is room for that only while it runs.
async fn stopped<T>(engine: impl Future<Output = T>, stop: impl Future<Output = ()>) -> T {
    tokio::join!(engine, stop).0
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn an_engine_with_a_full_queue_can_be_stopped() {
        let (send, mut queue) = mpsc::channel(1);
        send.try_send("something").unwrap();
        let engine = async {
            while let Some(input) = queue.recv().await {
                if input == "stop" {
                    return;
                }
            }
        };
        let stop = async { send.send("stop").await.unwrap() };
        tokio::time::timeout(Duration::from_secs(1), stopped(engine, stop)).await.unwrap();
    }
}
