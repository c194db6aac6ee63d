//! What is allowed, as data. Parsing and its errors are in [`parse`]; what a value means is decided where it is used
//! (`grant`, `permit`, `plan`, `verdict`).
//!
//! Two keys open a door: a plugin's manifest asks, policy grants. Absent means no; `deny` wins.

mod example;
pub mod models;
pub mod parse;
mod pipeline;
pub(crate) mod section;
pub mod source;

use crate::{
    budget::{Budget, MicroUsd},
    id::Digest,
    people::{PersonId, Role},
    run::Limits,
    tariff::Tariff,
    verdict::Thresholds,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything policy says, checked as a whole: every name in it refers to something that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// SHA-256 over the names and contents of all files it came from, in order.
    pub digest: Digest,
    pub personas: BTreeMap<String, PersonaPolicy>,
    pub executors: BTreeMap<String, ExecutorPolicy>,
    pub rules: BTreeMap<String, RulePolicy>,
    pub chats: BTreeMap<String, ChatPolicy>,
    pub plugins: PluginPolicy,
    pub secrets: BTreeMap<String, SecretSource>,
    pub egress: BTreeMap<String, EgressPolicy>,
    pub budgets: BTreeMap<String, Budget>,
    pub people: BTreeMap<PersonId, Role>,
    /// `[people] same`: identities that belong to one human; each is in one of these at most. One that is not in `people` has no role.
    pub same: Vec<Vec<PersonId>>,
    /// `[people] daily`: money that the tasks of one human may cost in a day of UTC, whichever of their identities asked; none is no cap.
    pub people_daily: Option<MicroUsd>,
    pub strangers: Strangers,
    pub repos: BTreeMap<String, RepoPolicy>,
    pub verdict: Thresholds,
    /// `[verdict] own`.
    pub own_changes: OwnChanges,
    pub pipelines: BTreeMap<String, Pipeline>,
    pub checks: CheckPolicy,
    pub host: HostPolicy,
}

/// `[persona.NAME]`: what a persona's agent may use.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonaPolicy {
    /// Tools, by Claude Code's names.
    pub tools: Vec<String>,
    /// Globs it may write; empty keeps the workspace read-only.
    pub write: Vec<String>,
    /// Globs it may not write although `write` matches; `stage:NAME` stands for the files that stage committed.
    pub protect: Vec<String>,
    /// True lifts the built-in protection of CI files, CODEOWNERS, `.gitmodules` and `.gitattributes`.
    pub may_touch_ci: bool,
    pub executor: String,
    /// Budget used when the task names none.
    pub budget: Option<String>,
    /// Overrides the executor's model.
    pub model: Option<String>,
    /// `[persona.NAME.settings]`, given to the plugin as JSON.
    pub settings: serde_json::Value,
}

/// `[executor.NAME]`: where and how an agent runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutorPolicy {
    pub image: String,
    /// SHA-256 over paths and contents of the programs that may be mounted for it; none allows what came with the program, and no other.
    pub bundle: Option<Digest>,
    /// Limits of one run; the budget may end it sooner.
    pub limits: Limits,
    /// Memory of a run of a read-only pipeline (a question, a conversation), in place of that of `limits`.
    pub chat_memory_bytes: u64,
    /// Names of `[egress.*]` it may use.
    pub egress: Vec<String>,
    pub model: Option<String>,
    pub settings: serde_json::Value,
}

impl ExecutorPolicy {
    /// Limits of one run of a pipeline that is `read_only` or not.
    pub fn limits_of(&self, read_only: bool) -> Limits {
        let memory_bytes = if read_only { self.chat_memory_bytes } else { self.limits.memory_bytes };
        Limits { memory_bytes, ..self.limits }
    }
}

/// `[rule.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct RulePolicy {
    pub enabled: bool,
    pub settings: serde_json::Value,
}

/// `[chat.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatPolicy {
    pub enabled: bool,
    pub settings: serde_json::Value,
}

/// `[plugin-defaults]` and `[plugin.NAME]`: what components may import, and which file is theirs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PluginPolicy {
    pub log: bool,
    pub clock: bool,
    /// True refuses every plugin without a pin.
    pub strict: bool,
    /// SHA-256 of a plugin's component, by plugin name. One that stands in for another of its name and kind needs one.
    pub pins: BTreeMap<String, Digest>,
    /// Per plugin: `log` and `clock` where they differ from the defaults.
    pub grants: BTreeMap<String, PluginGrant>,
}

/// Imports granted to one plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PluginGrant {
    pub log: Option<bool>,
    pub clock: Option<bool>,
}

/// `[secret.NAME] from = …`: where the host finds a secret. The secret itself is never in policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Claude Code's own credentials file, re-read when it changes (`claude-credentials` or `claude-credentials:PATH`).
    ClaudeCredentials { path: Option<String> },
    /// `env:NAME`.
    Env(String),
    /// `file:PATH`.
    File(String),
    /// `stored:NAME`: set by `borg-host secret set NAME`.
    Stored(String),
}

/// `[egress.NAME]`: one way out, through the gateway; its `kind` says of which sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EgressPolicy {
    /// To the API of a model provider.
    Model(ModelPolicy),
}

impl EgressPolicy {
    /// What policy says of it where it leads to models.
    pub fn model(&self) -> Option<&ModelPolicy> {
        match self {
            EgressPolicy::Model(model) => Some(model),
        }
    }
}

/// `[egress.NAME]` of the kind `model`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelPolicy {
    pub provider: ProviderName,
    /// Globs over model names.
    pub models: Vec<String>,
    pub secret: String,
    /// Whether money counts where a subscription pays.
    pub subscription: Subscription,
    /// Largest `max_tokens` of one request.
    pub max_tokens: u32,
    /// Globs over beta features that may be asked for beside those of the pinned agent.
    pub betas: Vec<String>,
    /// Prices by model, or by a pattern over the names of a family: see [`crate::tariff::row_of`].
    pub prices: BTreeMap<String, Tariff>,
}

/// `subscription` of `[egress.NAME]`: what the list price of a request is held against where its credential is a subscription's (an OAuth
/// token). It stands there because a way out is what names the credential; two ways out may be paid for differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subscription {
    /// Nothing: it is told, and stops nothing. Turns, tokens and wall time do.
    #[default]
    Notional,
    /// Budgets and daily caps, as if it were paid by the token.
    Count,
}

/// Whose API a way to models speaks. Here is only the name: what is known of the API is the gateway's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderName {
    #[default]
    Anthropic,
}

impl ProviderName {
    pub const ALL: [ProviderName; 1] = [ProviderName::Anthropic];

    /// As policy spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            ProviderName::Anthropic => "anthropic",
        }
    }
}

/// `strangers` of `[people]`: what people hear whom it does not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strangers {
    /// Nothing.
    #[default]
    Silence,
    /// That their request is passed on; owners are told who asks, at most once a day of each.
    Hold,
}

/// `own` of `[verdict]`: whether who asked for a change may let it through where policy knows another human who may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnChanges {
    /// No: the other decides. They may always turn it down.
    #[default]
    Deny,
    Allow,
}

/// `[repo."owner/name"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepoPolicy {
    /// Local path or `file://` URL.
    pub url: String,
    /// Branch tasks start from; the repository's default branch when absent.
    pub base: Option<String>,
    /// Image for its checks, and for its agents where the executor names none of its own.
    pub image: Option<String>,
    /// Test command, run by the host with `sh -c` at the root of a clean checkout.
    pub check: Option<String>,
}

/// One pipeline of `pipelines/*.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pipeline {
    pub name: String,
    pub summary: String,
    /// True when no stage may change the repository.
    pub read_only: bool,
    pub stages: Vec<StagePlan>,
}

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagePlan {
    pub name: String,
    pub work: StageWork,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageWork {
    /// A persona works, and its result is checked.
    Persona {
        persona: String,
        produces: Vec<String>,
        check: Option<Expect>,
        /// Attempts it may use up, at least 1.
        attempts: u32,
    },
    /// Rules look at the whole change.
    Judge {
        /// Rule names, or `*` for all that are enabled.
        rules: Vec<String>,
    },
    Deliver {
        via: Via,
    },
}

/// What the test command must say after a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    TestsFail,
    TestsPass,
}

impl Expect {
    /// The word used in pipelines and told to personas.
    pub fn as_str(self) -> &'static str {
        match self {
            Expect::TestsFail => "tests-fail",
            Expect::TestsPass => "tests-pass",
        }
    }
}

/// How a change leaves the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A branch in the repository.
    Branch,
    /// Text to the person who asked.
    Reply,
    /// Nothing leaves.
    None,
}

/// `[checks]`: limits of test runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckPolicy {
    /// Image where the repository names none.
    pub image: String,
    /// Limits of one test run; it may be silent for as long as it runs.
    pub limits: Limits,
    /// Directories of this machine that test runs in the local sandbox may read: where the runner lies outside of `/usr`. Absolute.
    pub host_paths: Vec<String>,
}

/// `[host]`: limits of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPolicy {
    /// Tasks that run at the same time.
    pub parallel: u32,
    /// Money that all tasks together may cost in a day of UTC; none is no cap.
    pub daily: Option<MicroUsd>,
    /// New runs wait while the data directory has less free space, in bytes.
    pub free_space_floor: u64,
    pub sandbox: SandboxChoice,
    /// Budget of tasks whose persona names none.
    pub budget: String,
    /// Pipeline of `task add` and `/task` without `--pipeline`.
    pub pipeline: String,
    /// Repository of `/task` without one.
    pub repository: Option<String>,
    /// Waits and tries again this often in a row after a transient failure, before the task waits for a person.
    pub transient_retries: u32,
    /// How long a response of the model is read to its end, for the sake of its cost, after its agent has gone; in milliseconds.
    pub drain_ms: u64,
}

/// `sandbox = "docker"` (the default) or `"local"`; there is no silent fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxChoice {
    Docker,
    Local,
}

impl Policy {
    /// Role of a person; none for a stranger.
    pub fn role(&self, person: &PersonId) -> Option<Role> {
        self.people.get(person).copied()
    }

    /// The human behind an identity, by one of their identities: the first that `[people] same` lists, else the one asked for.
    pub fn human<'a>(&'a self, person: &'a PersonId) -> &'a PersonId {
        self.same.iter().find(|group| group.contains(person)).and_then(|group| group.first()).unwrap_or(person)
    }
}
