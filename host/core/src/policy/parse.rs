//! From policy files to a [`Policy`]: once, with all errors together, each with its place and a remedy.

mod sections;

use super::{
    CheckPolicy, HostPolicy, OwnChanges, Policy, SandboxChoice, SecretSource, Strangers, example,
    section::Section,
    source::{Diagnostic, SourceFile, nearest},
};
use crate::{
    budget::{Budget, MicroUsd},
    id::Digest,
    run::Limits,
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

/// Budget of a stage where a `[budget.NAME]` is silent: the shipped `default`.
const STAGE: Budget = Budget { turns: 60, tokens: 2_000_000, cost: MicroUsd(4_000_000), wall_ms: 1_800_000 };

/// Limits of a run where its executor's section is silent.
const RUN_LIMITS: Limits = Limits {
    memory_bytes: 1 << 30,
    cpu_millis: 2000,
    pids: 256,
    disk_bytes: 4 << 30,
    disk_files: 500_000,
    output_bytes: 64 << 20,
    wall_ms: 3_600_000,
    idle_ms: 600_000,
};

/// Memory of a run of a read-only pipeline where its executor's section is silent.
const CHAT_MEMORY_BYTES: u64 = 512 << 20;

/// Limits of a check where `[checks]` is silent.
const CHECK_LIMITS: Limits = Limits { memory_bytes: 2 << 30, wall_ms: 600_000, idle_ms: 0, ..RUN_LIMITS };

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
        same: Vec::new(),
        people_daily: None,
        strangers: Strangers::default(),
        repos: BTreeMap::new(),
        verdict: Thresholds::default(),
        own_changes: OwnChanges::default(),
        pipelines: BTreeMap::new(),
        checks: CheckPolicy { image: "borg-base:latest".into(), limits: CHECK_LIMITS, host_paths: Vec::new() },
        host: HostPolicy {
            parallel: 2,
            daily: None,
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
                "stage" => policy.pipelines.values().flat_map(|one| &one.stages).map(|one| one.name.as_str()).collect(),
                _ => policy.repos.keys().map(String::as_str).collect(),
            };
            if known.contains(&name.as_str()) {
                continue;
            }
            if *kind == "stage" {
                let hint = match nearest(name, known.iter().copied()) {
                    hint if hint.is_empty() => "take it out, or name a stage of a pipeline".into(),
                    hint => hint,
                };
                let message = format!("no pipeline has a stage `{name}`, so this would protect nothing");
                self.out.push(file.diagnostic(span.clone(), message, hint));
            } else {
                let hint = match nearest(name, known.iter().copied()) {
                    hint if hint.is_empty() => format!("add [{kind}.{name}], or use one of: {}", known.join(", ")),
                    hint => hint,
                };
                self.out.push(file.diagnostic(span.clone(), format!("there is no [{kind}.{name}]"), hint));
            }
        }
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
