//! What lies in a folder that is not registered yet: shown, and taken over only when somebody says so. Nothing of it takes effect before that.

use super::{asked::Init, questions};
use crate::cli::{
    failure::{Code, problem},
    neutral, out,
    policy::SHIPPED,
    secret,
};
use anyhow::{Context, Result, bail};
use borg_core::{
    bundle::spell_pin,
    id::Digest,
    people::Role,
    policy::{EgressPolicy, OwnChanges, Policy, SandboxChoice, Strangers, parse, source::SourceFile},
};
use borg_gateway::provider::{self, ProviderName};
use borg_host::{
    chats::telegram,
    installation::{self, Registry},
    policies::{self, PolicyError},
    secrets,
    settings::{Preview, Shown},
};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Largest component whose digest is told, in bytes.
const COMPONENT: u64 = 64 << 20;

/// Says yes to a folder in which nothing lies, or which is this user's already; else shows what lies there, and asks.
///
/// # Errors
/// When nobody says yes, when others can write there, or when what lies there cannot be told.
pub(super) fn take_over(init: &Init, registry: &Registry) -> Result<()> {
    let Ok(dir) = init.dir.canonicalize() else { return Ok(()) };
    installation::is_kept(&dir)?;
    let lies = installation::parts(&dir);
    if lies.is_empty() || registry.holds(&dir)? {
        return Ok(());
    }
    let shown = neutral::text(&dir.display().to_string()).into_owned();
    out::line(format!("{shown} is not registered as yours, and {} lie there. What they set:", lies.join(", ")))?;
    for line in lines(&dir)? {
        out::line(format!("  {}", neutral::text(&line)))?;
    }
    if init.trust || (questions::is_asking(init) && is_agreed()?) {
        // Whoever made the folder may know a code that lies there; the next start of the host makes another.
        let data = Preview::of(&dir)?.data;
        return telegram::forget_pairing(&data)
            .with_context(|| format!("forgetting the pairing code of {}", data.display()));
    }
    let message =
        format!("{shown} was not registered: nothing says that you trust what lies there; nothing was written");
    let remedy = "read what stands above; if all of it is yours, `borg-host init --yes --trust` takes it over, and anything you do not know \
                  is a reason not to";
    Err(problem(Code::Failed, message, remedy))
}

fn is_agreed() -> Result<bool> {
    let asked =
        "Is all of this yours, and do you trust it? It decides where your tokens go and which programs run. yes or no";
    questions::question(asked, "no", |typed| match typed {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => bail!("type yes or no"),
    })
}

/// What they set, a line each.
fn lines(dir: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for name in installation::parts(dir) {
        if let Ok(to) = fs::read_link(dir.join(name)) {
            lines.push(format!("{name} is a link to {}", to.display()));
        }
    }
    let preview = Preview::of(dir)?;
    lines.extend(preview.settings.iter().map(setting));
    lines.extend(preview.variables.iter().map(|(name, value)| match value {
        Some(value) => format!("variable {name} = {value} (.env)"),
        None => format!("variable {name} = •••••• (.env)"),
    }));
    let policy = policy(&preview)?;
    lines.extend(policy_lines(&policy));
    for folder in &preview.plugins {
        plugins(folder, &mut lines)?;
    }
    if let Ok(entries) = fs::read_dir(&preview.data) {
        let count = entries.count();
        let stored = secrets::stored(&preview.data);
        let stored = if stored.is_empty() {
            "no stored secret".to_owned()
        } else {
            format!("stored secrets {}", stored.join(", "))
        };
        lines.push(format!("data {}: {count} entries, {stored}", preview.data.display()));
    }
    Ok(lines)
}

fn setting(shown: &Shown) -> String {
    let Shown { name, value, source, summary } = shown;
    let providers = ProviderName::ALL.map(|name| provider::named(name).settings());
    let consequence = match name.as_str() {
        "TELEGRAM_API_URL" => "; the bot's token goes there",
        name if providers.iter().any(|names| names.base == name) => "; the model's credential goes there",
        name if providers.iter().any(|names| names.ca_file == name) => {
            "; whoever they vouch for gets the model's credential"
        }
        "BORG_PLUGINS" => "; the first counts as what came with the program, and needs no pin",
        _ => "",
    };
    format!("{name} = {value} ({source}: {summary}{consequence})")
}

/// The policy as it will be, with the shipped files that are missing.
fn policy(preview: &Preview) -> Result<Policy> {
    let mut files = match policies::sources(&preview.policies) {
        Err(PolicyError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => Vec::new(),
        sources => sources?,
    };
    for (name, text) in SHIPPED.into_iter().filter(|(name, _)| name.ends_with(".toml")) {
        let name = format!("policies/{name}");
        if files.iter().all(|file| file.name != name) {
            files.push(SourceFile { name, text: text.to_owned() });
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    match parse::parse(&files) {
        Ok(policy) => Ok(policies::complete(policy, &preview.defaults)),
        Err(errors) => Err(PolicyError::Wrong(errors, files).into()),
    }
}

fn policy_lines(policy: &Policy) -> Vec<String> {
    let mut lines = Vec::new();
    let sandbox = match policy.host.sandbox {
        SandboxChoice::Docker => "docker",
        SandboxChoice::Local => "local, the weaker one",
    };
    lines.push(format!("policy {}; sandbox {sandbox}", policy.digest.short()));
    for role in [Role::Owner, Role::Admin, Role::Member, Role::Guest] {
        let people: Vec<&str> =
            policy.people.iter().filter(|(_, has)| **has == role).map(|(person, _)| person.0.as_str()).collect();
        if !people.is_empty() {
            lines.push(format!("{} {}", format!("{role:?}").to_lowercase(), people.join(", ")));
        }
    }
    match policy.strangers {
        Strangers::Silence => {}
        Strangers::Hold => lines.push("strangers may ask to be let in".into()),
    }
    let secrets = policy.secrets.iter();
    lines.extend(secrets.map(|(name, source)| format!("secret {name} is read from {}", secret::spelled(source))));
    let ways = policy.egress.iter();
    lines.extend(ways.map(|(name, way)| match way {
        EgressPolicy::Model(way) => {
            format!("egress {name} gets the secret {}, for {}", way.secret, way.models.join(", "))
        }
    }));
    lines.extend(policy.executors.iter().map(|(name, executor)| {
        let ways = if executor.egress.is_empty() { "nothing".to_owned() } else { executor.egress.join(", ") };
        let bundle = executor.bundle.map(|pin| format!(" with the agent {}", spell_pin(&pin))).unwrap_or_default();
        format!("executor {name} runs in {}{bundle}, and reaches {ways}", executor.image)
    }));
    lines.extend(policy.repos.iter().map(|(name, repo)| {
        format!("repository {name} at {}, tested by {}", repo.url, repo.check.as_deref().unwrap_or("make test"))
    }));
    lines.extend(decisions(policy));
    lines.extend(policy.checks.host_paths.iter().map(|path| format!("tests may read {path} of this machine")));
    let chats: Vec<&str> =
        policy.chats.iter().filter(|(_, chat)| chat.enabled).map(|(name, _)| name.as_str()).collect();
    lines.push(format!("chats {}", chats.join(", ")));
    lines.extend(policy.plugins.pins.iter().map(|(name, pin)| format!("plugin {name} is pinned to {pin}")));
    lines
}

/// What policy says of who decides and what is looked at. Risks of more than 100 are reached by nothing.
fn decisions(policy: &Policy) -> Vec<String> {
    let from = |risk: u8| if risk > 100 { "by no risk".to_owned() } else { format!("from a risk of {risk} on") };
    let own = match policy.own_changes {
        OwnChanges::Deny => "left to somebody else where there is one",
        OwnChanges::Allow => "approved by whoever asked for them",
    };
    let mut lines = vec![format!(
        "changes are reviewed {} and blocked {}; one's own are {own}",
        from(policy.verdict.review),
        from(policy.verdict.block)
    )];
    let humans = policy.same.iter().map(|human| human.iter().map(|person| person.0.as_str()).collect::<Vec<_>>());
    lines.extend(humans.map(|names| format!("one human is {}", names.join(", "))));
    let caps = [("all together", policy.host.daily), ("each human", policy.people_daily)];
    lines.extend(caps.into_iter().map(|(of, cap)| match cap {
        Some(cap) => format!("a day of {of} may cost {cap}"),
        None => format!("a day of {of} has no cap"),
    }));
    let off: Vec<&str> = policy.rules.iter().filter(|(_, rule)| !rule.enabled).map(|(name, _)| name.as_str()).collect();
    if !off.is_empty() {
        lines.push(format!("rules that are switched off: {}", off.join(", ")));
    }
    lines.push(match policy.plugins.strict {
        true => "every plugin needs a pin".into(),
        false => "plugins with a new name need no pin".into(),
    });
    lines
}

/// Plugins of a folder, as the host finds them: its subfolders with a `plugin.toml`.
fn plugins(folder: &Path, lines: &mut Vec<String>) -> Result<()> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.join("plugin.toml").is_file());
    found.sort();
    for plugin in found {
        let entries = fs::read_dir(&plugin).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut components: Vec<PathBuf> = entries
            .filter(|path| path.extension().is_some_and(|extension| extension == "wasm") && path.is_file())
            .collect();
        components.sort();
        if components.is_empty() {
            lines.push(format!("plugin {}, without a component", plugin.display()));
        }
        for component in components {
            lines.push(format!("plugin {} ({})", component.display(), digest(&component)?));
        }
    }
    Ok(())
}

fn digest(component: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(component)?.take(COMPONENT + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() as u64 > COMPONENT {
        format!("larger than {COMPONENT} bytes")
    } else {
        Digest::of_bytes(&bytes).to_string()
    })
}
