//! What each section of a policy file says. Names that must exist elsewhere are noted for [`super::parse`], which looks when all is read.

use super::{Builder, CHAT_MEMORY_BYTES, RUN_LIMITS, STAGE, Section, secret_source};
use crate::{
    budget::{Budget, MicroUsd, Price},
    bundle, intent,
    people::{PersonId, Role},
    policy::{
        ChatPolicy, CheckPolicy, EgressPolicy, ExecutorPolicy, HostPolicy, ModelPolicy, OwnChanges, PersonaPolicy,
        PluginGrant, Policy, ProviderName, RepoPolicy, RulePolicy, SandboxChoice, Strangers, Subscription, pipeline,
        section::dollars, source::SourceFile,
    },
    run::Limits,
    tariff::{LARGEST_WINDOW, Long, Tariff},
    tool::Tool,
    verdict::Thresholds,
};
use std::{collections::BTreeMap, ops::Range};
use toml::{Spanned, de::DeValue};

/// Kinds of ways out that are to come. Whoever writes one is told so, and nothing is let out.
const EGRESS_LATER: [&str; 2] = ["tunnel", "git"];

impl<'a> Builder<'a> {
    pub(super) fn persona(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[persona.{name}]"), value, &mut self.out) else { return };
        let mut tools = Vec::new();
        for (tool, span) in section.strings("tools") {
            if Tool::names().contains(&tool.as_str()) {
                tools.push(tool);
            } else {
                section.wrong(
                    span,
                    format!("there is no tool `{tool}`"),
                    format!("tools are {}", Tool::names().join(", ")),
                );
            }
        }
        let write = section.globs("write");
        let (mut protect, stages) = section.globs_and_stages("protect");
        let may_touch_ci = section.flag("may-touch-ci", false);
        let executor = section.needed("executor", "\"claude-code\"");
        let executor_span = section.span_of("executor");
        let budget = section.string("budget");
        let budget_span = section.span_of("budget");
        let model = section.string("model");
        let settings = section.json("settings");
        section.finish();
        if let Some(executor) = &executor {
            self.refer(file, executor_span, "executor", executor);
        }
        if let Some(budget) = &budget {
            self.refer(file, budget_span, "budget", budget);
        }
        for (stage, span) in stages {
            self.refer(file, span, "stage", &stage);
            protect.push(format!("stage:{stage}"));
        }
        let executor = executor.unwrap_or_default();
        self.policy
            .personas
            .insert(name, PersonaPolicy { tools, write, protect, may_touch_ci, executor, budget, model, settings });
    }

    pub(super) fn executor(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[executor.{name}]"), value, &mut self.out) else { return };
        let egress = section.strings("egress");
        let bundle = section.string("bundle").and_then(|pin| {
            let digest = bundle::read_pin(&pin);
            if digest.is_none() {
                let span = section.span_of("bundle");
                let hint =
                    format!("`borg-host agent install {name}` writes it; `borg-host agent list` shows what is here");
                section.wrong(span, "`bundle` must be `sha256:` and 64 hex digits".into(), hint);
            }
            digest
        });
        let limits =
            Limits { idle_ms: section.duration("idle", RUN_LIMITS.idle_ms), ..limits(&mut section, RUN_LIMITS) };
        let executor = ExecutorPolicy {
            image: section.string("image").unwrap_or_else(|| "borg-base:latest".into()),
            bundle,
            chat_memory_bytes: section.size("chat-memory", CHAT_MEMORY_BYTES.min(limits.memory_bytes)),
            limits,
            egress: egress.iter().map(|(name, _)| name.clone()).collect(),
            model: section.string("model"),
            settings: section.json("settings"),
        };
        section.finish();
        for (name, span) in egress {
            self.refer(file, span, "egress", &name);
        }
        self.policy.executors.insert(name, executor);
    }

    pub(super) fn rule(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[rule.{name}]"), value, &mut self.out) else { return };
        let rule = RulePolicy { enabled: section.flag("enabled", true), settings: section.json("settings") };
        section.finish();
        self.policy.rules.insert(name, rule);
    }

    pub(super) fn chat(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[chat.{name}]"), value, &mut self.out) else { return };
        let chat = ChatPolicy { enabled: section.flag("enabled", true), settings: section.json("settings") };
        section.finish();
        self.policy.chats.insert(name, chat);
    }

    pub(super) fn plugin_defaults(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[plugin-defaults]".into(), value, &mut self.out) else { return };
        self.policy.plugins.log = section.flag("log", false);
        self.policy.plugins.clock = section.flag("clock", false);
        self.policy.plugins.strict = section.flag("strict", false);
        section.finish();
    }

    pub(super) fn plugin(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[plugin.{name}]"), value, &mut self.out) else { return };
        let grant = PluginGrant { log: section.optional_flag("log"), clock: section.optional_flag("clock") };
        let pin = section.string("sha256");
        if let Some(pin) = pin {
            match pin.parse() {
                Ok(digest) => {
                    self.policy.plugins.pins.insert(name.clone(), digest);
                }
                Err(_) => {
                    let span = section.span_of("sha256");
                    section.wrong(span, "`sha256` must be 64 hex digits".into(), "as `sha256sum FILE.wasm` prints");
                }
            }
        }
        section.finish();
        self.policy.plugins.grants.insert(name, grant);
    }

    pub(super) fn secret(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[secret.{name}]"), value, &mut self.out) else { return };
        let from = section.needed("from", "\"env:NAME\"");
        let source = from.and_then(|from| {
            let source = secret_source(&from);
            if source.is_none() {
                let span = section.span_of("from");
                section.wrong(
                    span,
                    format!("`{from}` is no place for a secret"),
                    "one of claude-credentials, claude-credentials:PATH, env:NAME, file:PATH, stored:NAME",
                );
            }
            source
        });
        section.finish();
        if let Some(source) = source {
            self.policy.secrets.insert(name, source);
        }
    }

    pub(super) fn egress(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let path = format!("[egress.{name}]");
        let Some(mut section) = Section::new(file, path.clone(), value, &mut self.out) else { return };
        if !is_model(&mut section) {
            // Its name stands, so that those who use it are not told of a second fault.
            self.policy.egress.insert(name, EgressPolicy::Model(ModelPolicy::default()));
            return;
        }
        let providers = ProviderName::ALL.map(|name| (name.as_str(), name));
        let provider = section.choice("provider", &providers, ProviderName::default());
        let models = section.strings("models");
        if models.is_empty() {
            section.wrong(
                section.span.clone(),
                "`models` is missing: an empty list allows none".into(),
                "add `models = [\"claude-*\"]`",
            );
        }
        let secret = section.needed("secret", "\"claude\"");
        let secret_span = section.span_of("secret");
        let pays = [("notional", Subscription::Notional), ("count", Subscription::Count)];
        let subscription = section.choice("subscription", &pays, Subscription::default());
        let max_tokens = section.number("max-tokens", 1..1_000_001, 64_000) as u32;
        let betas = section.strings("betas").into_iter().map(|(beta, _)| beta).collect();
        let mut prices = BTreeMap::new();
        for (model, value) in section.tables("price") {
            if let Some(mut row) = Section::new(file, format!("[egress.{name}.price.\"{model}\"]"), value, section.out)
            {
                let tariff = tariff(&mut row);
                row.finish();
                prices.insert(model, tariff);
            }
        }
        section.finish();
        if let Some(secret) = &secret {
            self.refer(file, secret_span, "secret", secret);
        }
        let models = models.into_iter().map(|(model, _)| model).collect();
        let secret = secret.unwrap_or_default();
        let model = ModelPolicy { provider, models, secret, subscription, max_tokens, betas, prices };
        self.policy.egress.insert(name, EgressPolicy::Model(model));
    }

    pub(super) fn budget(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[budget.{name}]"), value, &mut self.out) else { return };
        let budget = Budget {
            turns: section.number("turns", 1..1_000_001, STAGE.turns.into()) as u32,
            tokens: section.number("tokens", 1..1_000_000_001, STAGE.tokens),
            cost: section.money("cost", STAGE.cost.0),
            wall_ms: section.duration("wall", STAGE.wall_ms),
        };
        section.finish();
        self.policy.budgets.insert(name, budget);
    }

    pub(super) fn people(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[people]".into(), value, &mut self.out) else { return };
        let roles = [("owner", Role::Owner), ("admin", Role::Admin), ("member", Role::Member), ("guest", Role::Guest)];
        for (word, role) in roles {
            for (person, span) in section.strings(word) {
                if !says_where(&person) {
                    section.wrong(span, format!("`{person}` does not say where the person is known"), KNOWN);
                } else if self.policy.people.contains_key(&PersonId(person.clone())) {
                    section.wrong(span, format!("`{person}` has two roles"), "keep the higher one");
                } else {
                    self.policy.people.insert(PersonId(person), role);
                }
            }
        }
        for group in section.groups("same") {
            let group = self.policy.one_human(&mut section, group);
            self.policy.same.extend(group);
        }
        let choices = [("silence", Strangers::Silence), ("hold", Strangers::Hold)];
        self.policy.strangers = section.choice("strangers", &choices, Strangers::default());
        self.policy.people_daily = daily(&mut section);
        section.finish();
    }

    pub(super) fn repo(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[repo.\"{name}\"]"), value, &mut self.out) else { return };
        if !intent::is_repository_name(&name) {
            section.wrong(
                section.span.clone(),
                format!("`{name}` is no repository name"),
                "write [repo.\"owner/name\"]",
            );
        }
        let url = section.needed("url", "\"/path/to/repository\"").unwrap_or_default();
        let repo = RepoPolicy {
            url,
            base: section.string("base"),
            image: section.string("image"),
            check: section.string("check"),
        };
        section.finish();
        self.policy.repos.insert(name, repo);
    }

    pub(super) fn verdict(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[verdict]".into(), value, &mut self.out) else { return };
        let default = Thresholds::default();
        let review = section.number("review", 0..102, default.review.into()) as u8;
        let block = section.number("block", 0..102, default.block.into()) as u8;
        if block < review {
            let span = section.span_of("block");
            section.wrong(
                span,
                "`block` is below `review`".into(),
                "a change is reviewed from a lower risk on than it is blocked",
            );
        }
        let choices = [("deny", OwnChanges::Deny), ("allow", OwnChanges::Allow)];
        self.policy.own_changes = section.choice("own", &choices, OwnChanges::default());
        section.finish();
        self.policy.verdict = Thresholds { review, block };
    }

    pub(super) fn checks(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[checks]".into(), value, &mut self.out) else { return };
        let default = self.policy.checks.clone();
        let host_paths = section.folders("host-paths");
        if !host_paths.is_empty() {
            self.host_paths = Some((file, section.span_of("host-paths")));
        }
        self.policy.checks = CheckPolicy {
            image: section.string("image").unwrap_or(default.image),
            limits: limits(&mut section, default.limits),
            host_paths,
        };
        section.finish();
    }

    pub(super) fn host(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[host]".into(), value, &mut self.out) else { return };
        let default = self.policy.host.clone();
        let sandboxes = [("docker", SandboxChoice::Docker), ("local", SandboxChoice::Local)];
        let host = HostPolicy {
            parallel: section.number("parallel", 1..1001, default.parallel.into()) as u32,
            daily: daily(&mut section),
            free_space_floor: section.size("free-space-floor", default.free_space_floor),
            sandbox: section.choice("sandbox", &sandboxes, default.sandbox),
            budget: section.string("budget").unwrap_or(default.budget),
            pipeline: section.string("pipeline").unwrap_or(default.pipeline),
            repository: section.string("repository"),
            transient_retries: section.number("transient-retries", 0..101, default.transient_retries.into()) as u32,
            drain_ms: section.duration("drain", default.drain_ms),
        };
        let spans = ["budget", "pipeline", "repository"].map(|key| section.span_of(key));
        section.finish();
        let [budget, pipeline, repository] = spans;
        self.refer(file, budget, "budget", &host.budget);
        self.refer(file, pipeline, "pipeline", &host.pipeline);
        if let Some(name) = &host.repository {
            self.refer(file, repository, "repo", name);
        }
        self.policy.host = host;
    }

    pub(super) fn pipeline(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(section) = Section::new(file, format!("[pipeline.{name}]"), value, &mut self.out) else { return };
        let (pipeline, personas) = pipeline::read(&name, section);
        for (persona, span) in personas {
            self.refer(file, span, "persona", &persona);
        }
        self.policy.pipelines.insert(name, pipeline);
    }
}

impl Policy {
    /// One list of `[people] same`; what is wrong in it is left out. Who has no role may stand in it, and gains none by that: so a role is
    /// taken away in one place, and what they asked for before is still theirs.
    fn one_human(&self, section: &mut Section<'_>, group: Vec<(String, Range<usize>)>) -> Option<Vec<PersonId>> {
        let mut human: Vec<PersonId> = Vec::new();
        for (identity, span) in group {
            let wrong = if !says_where(&identity) {
                Some((format!("`{identity}` does not say where the person is known"), KNOWN))
            } else if human.iter().chain(self.same.iter().flatten()).any(|other| other.0 == identity) {
                Some((format!("`{identity}` stands twice in `same`"), "put all identities of one human into one list"))
            } else {
                None
            };
            match wrong {
                Some((message, hint)) => section.wrong(span, message, hint),
                None => human.push(PersonId(identity)),
            }
        }
        (!human.is_empty()).then_some(human)
    }
}

/// How an identity is written.
const KNOWN: &str = "write frontend:id, as in \"console:1000\"";

fn says_where(person: &str) -> bool {
    person.split_once(':').is_some_and(|(frontend, id)| !frontend.is_empty() && !id.is_empty())
}

/// Limits as sections of runs and of checks write them. How long a run may be silent is not here: a check has no such limit.
fn limits(section: &mut Section<'_>, default: Limits) -> Limits {
    Limits {
        memory_bytes: section.size("memory", default.memory_bytes),
        cpu_millis: section.number("cpu-millis", 10..1_000_001, default.cpu_millis.into()) as u32,
        pids: section.number("pids", 8..100_001, default.pids.into()) as u32,
        disk_bytes: section.size("disk", default.disk_bytes),
        disk_files: section.number("disk-files", 100..100_000_001, default.disk_files),
        output_bytes: section.size("output", default.output_bytes),
        wall_ms: section.duration("wall", default.wall_ms),
        idle_ms: default.idle_ms,
    }
}

/// A cap on the money of a day; none unless set.
fn daily(section: &mut Section<'_>) -> Option<MicroUsd> {
    let cap = section.optional_money("daily")?;
    if cap.is_none() {
        let span = section.span_of("daily");
        section.wrong(
            span,
            "`daily` of nothing would let nothing run".into(),
            "leave it out for no cap; `borg-host pause` stops everything",
        );
    }
    Some(cap)
}

/// True where `kind` of a way out is absent or `model`. What is wrong otherwise is told; the keys of another kind mean nothing here.
fn is_model(section: &mut Section<'_>) -> bool {
    let told = section.out.len();
    let span = section.span_of("kind");
    match section.raw("kind").map(|value| value.get_ref().as_str()) {
        None | Some(Some("model")) => {}
        Some(Some(kind)) if EGRESS_LATER.contains(&kind) => section.wrong(
            span,
            format!("`kind = \"{kind}\"` does not exist yet: a way out leads to a model provider"),
            "leave this table out, and its name in `egress` of executors; `kind = \"model\"` is what there is",
        ),
        Some(_) => section.wrong(
            span,
            "`kind` must be model".into(),
            "write `kind = \"model\"`, or leave the line out: that is the default",
        ),
    }
    section.out.len() == told
}

/// A row of prices; that of a long context stands below it.
fn tariff(section: &mut Section<'_>) -> Tariff {
    let price = price(section);
    let window = section.number("context", 1_000..10_000_001, LARGEST_WINDOW);
    let long = section.raw("long").and_then(|value| {
        let path = section.path.replacen(']', ".long]", 1);
        let mut row = Section::new(section.file, path, value, section.out)?;
        let above = row.number("above", 1..10_000_001, 200_000);
        let faults = row.out.len();
        let long = self::price(&mut row);
        let is_read = row.out.len() == faults;
        let pairs = [
            ("input", long.input, price.input),
            ("output", long.output, price.output),
            ("cache-read", long.cache_read, price.cache_read),
            ("cache-write", long.cache_write, price.cache_write),
        ];
        for (key, long, price) in pairs {
            // What a request can cost at most is reckoned with the row of the most it can take in.
            if long < price && is_read {
                let span = row.span_of(key);
                row.wrong(
                    span,
                    format!("`{key}` is below that of a shorter context"),
                    "a long context costs as much or more; leave the table out where it costs the same",
                );
            }
        }
        row.finish();
        Some(Long { above, price: long })
    });
    Tariff { price, long, window }
}

fn price(section: &mut Section<'_>) -> Price {
    let mut per_million = |key: &'static str| {
        let text = section.needed(key, "\"$3.00\"").unwrap_or_default();
        match dollars(&text) {
            Some(micros) => micros,
            None if text.is_empty() => 0,
            None => {
                let span = section.span_of(key);
                section.wrong(span, format!("`{key}` must be dollars per million tokens"), "as in \"$3.00\"");
                0
            }
        }
    };
    Price {
        input: per_million("input"),
        output: per_million("output"),
        cache_read: per_million("cache-read"),
        cache_write: per_million("cache-write"),
    }
}
