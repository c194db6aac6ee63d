//! From policy files to a [`Policy`]: once, with all errors together, each with its place and a remedy.

use super::{
    ChatPolicy, CheckPolicy, EgressPolicy, ExecutorPolicy, HostPolicy, PersonId, PersonaPolicy, PluginGrant, Policy,
    Provider, RepoPolicy, Role, RulePolicy, SandboxChoice, SecretSource, example, pipeline,
    section::{Section, dollars},
    source::{Diagnostic, SourceFile, nearest},
};
use crate::{
    budget::{Budget, Price},
    id::Digest,
    intent,
    run::TOOLS,
    verdict::Thresholds,
};
use std::{collections::BTreeMap, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A name used in one place that must exist in another.
struct Reference<'a> {
    file: &'a SourceFile,
    span: Range<usize>,
    kind: &'static str,
    name: String,
}

struct Builder<'a> {
    policy: Policy,
    references: Vec<Reference<'a>>,
    /// Where `[checks] host-paths` stands, for it depends on `[host]`.
    host_paths: Option<(&'a SourceFile, Range<usize>)>,
    examples: Vec<(&'a SourceFile, Range<usize>, String, bool)>,
    /// Section → file that holds it, so that a second one can be named.
    seen: BTreeMap<String, String>,
    out: Vec<Diagnostic>,
}

const SECTIONS: [&str; 16] = [
    "persona",
    "executor",
    "rule",
    "chat",
    "plugin-defaults",
    "plugin",
    "secret",
    "egress",
    "budget",
    "people",
    "repo",
    "verdict",
    "checks",
    "host",
    "pipeline",
    "example",
];

/// Parses all policy files, pipelines included. Errors are in the order of files and positions.
pub fn parse(files: &[SourceFile]) -> Result<Policy, Vec<Diagnostic>> {
    let digest = Digest::of_parts(files.iter().flat_map(|file| [file.name.as_bytes(), file.text.as_bytes()]));
    let mut builder = Builder {
        policy: empty(digest),
        references: Vec::new(),
        host_paths: None,
        examples: Vec::new(),
        seen: BTreeMap::new(),
        out: Vec::new(),
    };
    let parsed: Vec<_> = files.iter().map(|file| (file, DeTable::parse_recoverable(&file.text))).collect();
    for (file, (table, errors)) in &parsed {
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            builder.out.push(file.diagnostic(
                span,
                error.message().to_owned(),
                "this is not TOML as https://toml.io describes it",
            ));
        }
        if errors.is_empty() {
            builder.file(file, table.get_ref());
        }
    }
    builder.resolve();
    let Builder { policy, examples, mut out, .. } = builder;
    if out.is_empty() {
        for (file, span, text, allow) in examples {
            if let Err((message, hint)) = example::check(&text, allow, &policy) {
                out.push(file.diagnostic(span, message, hint));
            }
        }
    }
    out.sort_by(|a, b| (&a.file, a.span.start).cmp(&(&b.file, b.span.start)));
    if out.is_empty() { Ok(policy) } else { Err(out) }
}

fn empty(digest: Digest) -> Policy {
    Policy {
        digest,
        personas: BTreeMap::new(),
        executors: BTreeMap::new(),
        rules: BTreeMap::new(),
        chats: BTreeMap::new(),
        plugins: super::PluginPolicy::default(),
        secrets: BTreeMap::new(),
        egress: BTreeMap::new(),
        budgets: BTreeMap::new(),
        people: BTreeMap::new(),
        repos: BTreeMap::new(),
        verdict: Thresholds::default(),
        pipelines: BTreeMap::new(),
        checks: CheckPolicy {
            image: "borg-base:latest".into(),
            memory_bytes: 2 << 30,
            cpu_millis: 2000,
            pids: 256,
            disk_bytes: 4 << 30,
            disk_files: 500_000,
            output_bytes: 64 << 20,
            wall_ms: 600_000,
            host_paths: Vec::new(),
        },
        host: HostPolicy {
            parallel: 2,
            free_space_floor: 1 << 30,
            sandbox: SandboxChoice::Docker,
            budget: "default".into(),
            pipeline: "feature".into(),
            repository: None,
            transient_retries: 3,
            drain_ms: 30_000,
        },
    }
}

impl<'a> Builder<'a> {
    fn file(&mut self, file: &'a SourceFile, table: &'a DeTable<'a>) {
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "persona" => self.named(file, "persona", value, Self::persona),
                "executor" => self.named(file, "executor", value, Self::executor),
                "rule" => self.named(file, "rule", value, Self::rule),
                "chat" => self.named(file, "chat", value, Self::chat),
                "plugin" => self.named(file, "plugin", value, Self::plugin),
                "secret" => self.named(file, "secret", value, Self::secret),
                "egress" => self.named(file, "egress", value, Self::egress),
                "budget" => self.named(file, "budget", value, Self::budget),
                "repo" => self.named(file, "repo", value, Self::repo),
                "pipeline" => self.named(file, "pipeline", value, Self::pipeline),
                "plugin-defaults" => self.single(file, "plugin-defaults", value, Self::plugin_defaults),
                "people" => self.single(file, "people", value, Self::people),
                "verdict" => self.single(file, "verdict", value, Self::verdict),
                "checks" => self.single(file, "checks", value, Self::checks),
                "host" => self.single(file, "host", value, Self::host),
                "example" => self.example(file, value),
                other => {
                    let hint = match nearest(other, SECTIONS) {
                        hint if hint.is_empty() => format!("sections are {}", SECTIONS.join(", ")),
                        hint => hint,
                    };
                    self.out.push(file.diagnostic(key.span(), format!("unknown section [{other}]"), hint));
                }
            }
        }
    }

    fn named(
        &mut self,
        file: &'a SourceFile,
        kind: &'static str,
        value: &'a Spanned<DeValue<'a>>,
        read: fn(&mut Self, &'a SourceFile, String, &'a Spanned<DeValue<'a>>),
    ) {
        let Some(table) = value.get_ref().as_table() else {
            self.out.push(file.diagnostic(
                value.span(),
                format!("[{kind}] needs a name"),
                format!("write [{kind}.NAME]"),
            ));
            return;
        };
        for (name, value) in table.iter() {
            let name_text = name.get_ref().to_string();
            if self.first(file, format!("{kind}.{name_text}"), name.span()) {
                read(self, file, name_text, value);
            }
        }
    }

    fn single(
        &mut self,
        file: &'a SourceFile,
        kind: &'static str,
        value: &'a Spanned<DeValue<'a>>,
        read: fn(&mut Self, &'a SourceFile, &'a Spanned<DeValue<'a>>),
    ) {
        if self.first(file, kind.to_owned(), value.span()) {
            read(self, file, value);
        }
    }

    fn first(&mut self, file: &SourceFile, section: String, span: Range<usize>) -> bool {
        if let Some(other) = self.seen.get(&section) {
            self.out.push(file.diagnostic(span, format!("[{section}] is already in {other}"), "keep one of them"));
            return false;
        }
        self.seen.insert(section, file.name.clone());
        true
    }

    fn refer(&mut self, file: &'a SourceFile, span: Range<usize>, kind: &'static str, name: &str) {
        self.references.push(Reference { file, span, kind, name: name.to_owned() });
    }

    fn persona(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[persona.{name}]"), value, &mut self.out) else { return };
        let mut tools = Vec::new();
        for (tool, span) in section.strings("tools") {
            if TOOLS.contains(&tool.as_str()) {
                tools.push(tool);
            } else {
                section.wrong(span, format!("there is no tool `{tool}`"), format!("tools are {}", TOOLS.join(", ")));
            }
        }
        let write = section.globs("write");
        let protect = section.globs("protect");
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
        let executor = executor.unwrap_or_default();
        self.policy
            .personas
            .insert(name, PersonaPolicy { tools, write, protect, may_touch_ci, executor, budget, model, settings });
    }

    fn executor(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[executor.{name}]"), value, &mut self.out) else { return };
        let egress = section.strings("egress");
        let executor = ExecutorPolicy {
            image: section.string("image").unwrap_or_else(|| "borg-base:latest".into()),
            memory_bytes: section.size("memory", 1 << 30),
            cpu_millis: section.number("cpu-millis", 10..1_000_001, 2000) as u32,
            pids: section.number("pids", 8..100_001, 256) as u32,
            disk_bytes: section.size("disk", 4 << 30),
            disk_files: section.number("disk-files", 100..100_000_001, 500_000),
            output_bytes: section.size("output", 64 << 20),
            wall_ms: section.duration("wall", 3_600_000),
            idle_ms: section.duration("idle", 600_000),
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

    fn rule(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[rule.{name}]"), value, &mut self.out) else { return };
        let rule = RulePolicy { enabled: section.flag("enabled", true), settings: section.json("settings") };
        section.finish();
        self.policy.rules.insert(name, rule);
    }

    fn chat(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[chat.{name}]"), value, &mut self.out) else { return };
        let chat = ChatPolicy { enabled: section.flag("enabled", true), settings: section.json("settings") };
        section.finish();
        self.policy.chats.insert(name, chat);
    }

    fn plugin_defaults(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[plugin-defaults]".into(), value, &mut self.out) else { return };
        self.policy.plugins.log = section.flag("log", false);
        self.policy.plugins.clock = section.flag("clock", false);
        self.policy.plugins.strict = section.flag("strict", false);
        section.finish();
    }

    fn plugin(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
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

    fn secret(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
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

    fn egress(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let path = format!("[egress.{name}]");
        let Some(mut section) = Section::new(file, path.clone(), value, &mut self.out) else { return };
        let provider = section.choice("provider", &[("anthropic", Provider::Anthropic)], Provider::Anthropic);
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
        let max_tokens = section.number("max-tokens", 1..1_000_001, 64_000) as u32;
        let betas = section.strings("betas").into_iter().map(|(beta, _)| beta).collect();
        let mut prices = BTreeMap::new();
        for (model, value) in section.tables("price") {
            if let Some(mut row) = Section::new(file, format!("[egress.{name}.price.\"{model}\"]"), value, section.out)
            {
                let price = price(&mut row);
                row.finish();
                prices.insert(model, price);
            }
        }
        section.finish();
        if let Some(secret) = &secret {
            self.refer(file, secret_span, "secret", secret);
        }
        let models = models.into_iter().map(|(model, _)| model).collect();
        let secret = secret.unwrap_or_default();
        self.policy.egress.insert(name, EgressPolicy { provider, models, secret, max_tokens, betas, prices });
    }

    fn budget(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, format!("[budget.{name}]"), value, &mut self.out) else { return };
        let budget = Budget {
            turns: section.number("turns", 1..1_000_001, 60) as u32,
            tokens: section.number("tokens", 1..1_000_000_001, 500_000),
            cost: section.money("cost", 200_000),
            wall_ms: section.duration("wall", 1_800_000),
        };
        section.finish();
        self.policy.budgets.insert(name, budget);
    }

    fn people(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[people]".into(), value, &mut self.out) else { return };
        let roles = [("owner", Role::Owner), ("admin", Role::Admin), ("member", Role::Member), ("guest", Role::Guest)];
        for (word, role) in roles {
            for (person, span) in section.strings(word) {
                let known = person.split_once(':').is_some_and(|(frontend, id)| !frontend.is_empty() && !id.is_empty());
                if !known {
                    section.wrong(
                        span,
                        format!("`{person}` does not say where the person is known"),
                        "write frontend:id, as in \"console:1000\"",
                    );
                } else if self.policy.people.contains_key(&PersonId(person.clone())) {
                    section.wrong(span, format!("`{person}` has two roles"), "keep the higher one");
                } else {
                    self.policy.people.insert(PersonId(person), role);
                }
            }
        }
        section.finish();
    }

    fn repo(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
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

    fn verdict(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
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
        section.finish();
        self.policy.verdict = Thresholds { review, block };
    }

    fn checks(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[checks]".into(), value, &mut self.out) else { return };
        let default = self.policy.checks.clone();
        let host_paths = section.folders("host-paths");
        if !host_paths.is_empty() {
            self.host_paths = Some((file, section.span_of("host-paths")));
        }
        self.policy.checks = CheckPolicy {
            image: section.string("image").unwrap_or(default.image),
            memory_bytes: section.size("memory", default.memory_bytes),
            cpu_millis: section.number("cpu-millis", 10..1_000_001, default.cpu_millis.into()) as u32,
            pids: section.number("pids", 8..100_001, default.pids.into()) as u32,
            disk_bytes: section.size("disk", default.disk_bytes),
            disk_files: section.number("disk-files", 100..100_000_001, default.disk_files),
            output_bytes: section.size("output", default.output_bytes),
            wall_ms: section.duration("wall", default.wall_ms),
            host_paths,
        };
        section.finish();
    }

    fn host(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(mut section) = Section::new(file, "[host]".into(), value, &mut self.out) else { return };
        let default = self.policy.host.clone();
        let sandboxes = [("docker", SandboxChoice::Docker), ("local", SandboxChoice::Local)];
        let host = HostPolicy {
            parallel: section.number("parallel", 1..1001, default.parallel.into()) as u32,
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

    fn pipeline(&mut self, file: &'a SourceFile, name: String, value: &'a Spanned<DeValue<'a>>) {
        let Some(section) = Section::new(file, format!("[pipeline.{name}]"), value, &mut self.out) else { return };
        let (pipeline, personas) = pipeline::read(&name, section);
        for (persona, span) in personas {
            self.refer(file, span, "persona", &persona);
        }
        self.policy.pipelines.insert(name, pipeline);
    }

    fn example(&mut self, file: &'a SourceFile, value: &'a Spanned<DeValue<'a>>) {
        let Some(rows) = value.get_ref().as_array() else {
            self.out.push(file.diagnostic(value.span(), "examples are a list", "write [[example]]"));
            return;
        };
        for row in rows.iter() {
            let Some(mut section) = Section::new(file, "[[example]]".into(), row, &mut self.out) else { continue };
            let deny = section.string("deny");
            let allow = section.string("allow");
            let span = row.span();
            match (deny, allow) {
                (Some(text), None) => self.examples.push((file, span, text, false)),
                (None, Some(text)) => self.examples.push((file, span, text, true)),
                (Some(_), Some(_)) | (None, None) => {
                    section.wrong(
                        span,
                        "needs either `deny` or `allow`".into(),
                        "as in deny = 'persona \"manager\" writes \"src/lib.rs\"'",
                    );
                }
            }
            section.finish();
        }
    }

    fn resolve(&mut self) {
        let policy = &self.policy;
        if let (Some((file, span)), SandboxChoice::Docker) = (&self.host_paths, policy.host.sandbox) {
            self.out.push(file.diagnostic(
                span.clone(),
                "[checks]: `host-paths` is for `sandbox = \"local\"` only",
                "in a container, test runners come from the image: `image` of [checks] or of the repository",
            ));
        }
        for Reference { file, span, kind, name } in &self.references {
            let known: Vec<&str> = match *kind {
                "executor" => policy.executors.keys().map(String::as_str).collect(),
                "budget" => policy.budgets.keys().map(String::as_str).collect(),
                "egress" => policy.egress.keys().map(String::as_str).collect(),
                "secret" => policy.secrets.keys().map(String::as_str).collect(),
                "persona" => policy.personas.keys().map(String::as_str).collect(),
                "pipeline" => policy.pipelines.keys().map(String::as_str).collect(),
                _ => policy.repos.keys().map(String::as_str).collect(),
            };
            if !known.contains(&name.as_str()) {
                let hint = match nearest(name, known.iter().copied()) {
                    hint if hint.is_empty() => format!("add [{kind}.{name}], or use one of: {}", known.join(", ")),
                    hint => hint,
                };
                self.out.push(file.diagnostic(span.clone(), format!("there is no [{kind}.{name}]"), hint));
            }
        }
    }
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

/// Where a secret comes from, as policy files write it; none for anything else.
pub fn secret_source(from: &str) -> Option<SecretSource> {
    let (kind, rest) = from.split_once(':').map_or((from, None), |(kind, rest)| (kind, Some(rest)));
    match (kind, rest) {
        ("claude-credentials", None) => Some(SecretSource::ClaudeCredentials { path: None }),
        ("claude-credentials", Some(path)) if !path.is_empty() => {
            Some(SecretSource::ClaudeCredentials { path: Some(path.into()) })
        }
        ("env", Some(name)) if !name.is_empty() => Some(SecretSource::Env(name.into())),
        ("file", Some(path)) if path.starts_with('/') => Some(SecretSource::File(path.into())),
        ("stored", Some(name))
            if name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) && !name.is_empty() =>
        {
            Some(SecretSource::Stored(name.into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
