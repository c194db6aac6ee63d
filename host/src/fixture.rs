//! A host with everything but a way to run an agent: real engine, journal, chats and Git; one repository that is not there. For tests of
//! what people meet.

use crate::{
    agents::Agents,
    chats::{Chats, Conversation, Operators, telegram},
    engine::{
        self, Desk, Engine, Handle,
        doers::{Doers, Services},
    },
    git::{self, Git},
    journal::Reads,
    ledger::JournalLedger,
    mail::Mailbox,
    policies,
    sandbox::{Allowed, InitBinary, Local, LocalSettings, Sandbox},
    secrets::SecretStore,
    settings::Defaults,
    spawn::Spawner,
    store::Store,
    workspace::{self, Workspace},
};
use borg_core::{
    id::{Digest, TaskId},
    intent::{Intent, TaskRequest},
    people::{PersonId, Role},
    policy::{Policy, RepoPolicy},
    task::{Status, Task},
};
use borg_gateway::{Config, Gateway};
use borg_plugins::{Compiler, Limits, Options, Permits, Plugins};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinHandle;

pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub store: Arc<Store>,
    pub handle: Handle,
    pub conversation: Conversation,
    engine: JoinHandle<()>,
}

impl Fixture {
    /// Starts the engine; `plugins` is a folder of plugin folders.
    pub async fn start(people: &[(&str, Role)], plugins: Option<PathBuf>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), people, plugins).await
    }

    /// The same where an earlier process left off.
    pub async fn start_in(dir: tempfile::TempDir, people: &[(&str, Role)], plugins: Option<PathBuf>) -> Self {
        Self::put_together(dir, people, plugins, Vec::new()).await
    }

    /// The same with the shipped frontends, where people of these transports are told by mail.
    pub async fn by_mail_in(dir: tempfile::TempDir, people: &[(&str, Role)], transports: &[&'static str]) -> Self {
        let plugins = borg_tests::require::plugins().join("chats");
        Self::put_together(dir, people, Some(plugins), transports.to_vec()).await
    }

    async fn put_together(
        dir: tempfile::TempDir,
        people: &[(&str, Role)],
        plugins: Option<PathBuf>,
        transports: Vec<&'static str>,
    ) -> Self {
        let data = dir.path().canonicalize().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let (mut policy, sources) = policies::load(&shipped, &Defaults::default()).unwrap();
        policy.people = people.iter().map(|(person, role)| (PersonId((*person).to_owned()), *role)).collect();
        let repo = RepoPolicy { url: data.join("missing").display().to_string(), base: None, image: None, check: None };
        policy.repos.insert("acme/shop".into(), repo);
        let store = journal(&data);
        let loaded = store.load().await.unwrap();
        let plugins = load(&data, plugins, &policy).await;
        let queue = engine::Queue::new(store.clone(), policy.clone());
        let handle = queue.handle.clone();
        let secrets = Arc::new(SecretStore::new(&data, None, [].into(), &policy));
        let ledger = Arc::new(JournalLedger { journal: store.clone(), handle: handle.clone() });
        let spawner = Spawner::start().unwrap();
        let git = Git::open(&data, spawner.clone(), git::Settings::default()).unwrap();
        let workspace = Workspace::open(&data, git, workspace::Config::default()).unwrap();
        let mailboxes = transports.into_iter().map(|transport| Mailbox::new(transport, store.clone()));
        let chats = mailboxes.fold(Chats::new(plugins.clone(), handle.clone()), Chats::by_mail);
        let desk =
            Desk { handle: handle.clone(), journal: store.clone(), mail: store.clone(), workspace: workspace.clone() };
        let policies = data.join("policies");
        std::fs::create_dir_all(&policies).unwrap();
        let operators = Operators::new(chats.clone(), handle.clone(), None);
        let conversation = Conversation { chats: chats.clone(), desk, policies, operators };
        let settings = LocalSettings {
            allowed: Allowed::ByPolicy,
            init: InitBinary { path: data.join("no-init"), sha256: Digest::of_bytes(b"") },
            runs: data.join("runs"),
            roots: Vec::new(),
            home: None,
            free_floor_bytes: 0,
        };
        let doers = Doers::new(Services {
            agents: Agents::new(&data),
            data_dir: data,
            free_floor_bytes: 0,
            workspace,
            sandbox: Arc::new(Sandbox::Local(Local::new(settings, spawner))),
            gateway: Gateway::new(Config::default(), secrets.clone(), ledger).unwrap(),
            plugins,
            secrets,
            journal: store.clone(),
            chats,
        });
        let (engine, owed) = Engine::new(loaded, store.clone(), doers, queue, policies::parse);
        let engine = tokio::spawn(async move { engine.run(owed, sources, "test").await.unwrap() });
        Fixture { dir, store, handle, conversation, engine }
    }

    /// The same with the shipped frontends; none where they are not built, which is said.
    pub async fn with_chats(people: &[(&str, Role)]) -> Option<Self> {
        let plugins = borg_tests::require::plugins().join("chats");
        if !plugins.is_dir() {
            borg_tests::require::skip("the chat plugins are not built (`cargo xtask build`)");
            return None;
        }
        Some(Self::start(people, Some(plugins)).await)
    }

    /// Who runs this host, told by the mail of Telegram; and that mail.
    pub fn operators_by_mail(&self) -> (Operators, Mailbox) {
        let mailbox = Mailbox::new(telegram::NAME, self.store.clone());
        let chats = self.conversation.chats.clone().by_mail(mailbox.clone());
        (Operators::new(chats, self.handle.clone(), None), mailbox)
    }

    pub async fn stop(self) {
        self.stop_and_leave().await;
    }

    /// Stops, and leaves what is durable.
    pub async fn stop_and_leave(self) -> tempfile::TempDir {
        self.handle.stop().await;
        self.engine.await.unwrap();
        self.dir
    }

    /// Asks for a task, which is blocked as soon as its repository is looked for.
    pub async fn task(&self, by: &str) -> TaskId {
        let request = TaskRequest { title: "Add a discount".into(), ..TaskRequest::default() };
        let reply = self.handle.intend(PersonId(by.into()), Intent::Task(request), None).await.unwrap();
        let engine::Reply::Created { task, .. } = reply else { panic!("{reply:?}") };
        task
    }

    /// Waits until the engine has noted its start, and booked what it found.
    pub async fn is_up(&self) {
        self.handle.committed().wait_for(|seq| *seq > 0).await.unwrap();
    }

    /// Waits until a task is in that state.
    pub async fn until(&self, task: TaskId, status: Status) -> Task {
        let mut committed = self.handle.committed();
        loop {
            committed.mark_unchanged();
            match self.conversation.desk.task(task).await.unwrap() {
                Some(found) if found.status() == status => return found,
                Some(_) | None => committed.changed().await.unwrap(),
            }
        }
    }
}

/// A journal of its own in a folder, for what needs no engine.
pub fn journal(dir: &Path) -> Arc<Store> {
    Arc::new(Store::open(dir).unwrap())
}

async fn load(data: &Path, folder: Option<PathBuf>, policy: &Policy) -> Plugins {
    let options = Options {
        shipped: folder.into_iter().collect(),
        folders: Vec::new(),
        cache: data.join("plugins"),
        compiler: Compiler::InProcess,
        limits: Limits::default(),
        now_ms: crate::clock::now_ms,
    };
    let permits = Permits { policy: policy.plugins.clone(), keep: [].into() };
    Plugins::load(options, &permits).await.unwrap().0
}
