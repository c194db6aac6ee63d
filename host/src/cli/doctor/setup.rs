//! What was set up: settings, policy, people, plugins, agents, credentials, images, repositories, the journal.

use super::report::{Finding, Report};
use crate::cli::{policy, repo, secret, source};
use anyhow::Result;
use borg_core::{
    bundle::spell_pin,
    people::{PersonId, Role},
    policy::{OwnChanges, Policy, SandboxChoice, models},
    tariff,
};
use borg_host::{
    agents::Agents,
    causes,
    chats::telegram,
    clock::now_ms,
    compiler::{self, Waiting},
    host,
    policies::PolicyError,
    sandbox::image,
    settings::Settings,
    spawn::Spawner,
    store::Store,
};
use borg_plugins::{Compiler, Kind, Limits, Options, Permits, Plugins};
use std::collections::{BTreeMap, BTreeSet};

/// Requests of the ledger, newest first, whose models count as in use.
const REQUESTS: u32 = 2_000;

pub(super) async fn look(settings: &Settings, report: &mut Report) -> Result<()> {
    settings_file(settings, report)?;
    journal(settings, report).await?;
    let policy = match policy::load(settings) {
        Ok(policy) => policy,
        Err(error) => {
            let (detail, remedy) = match error.downcast_ref::<PolicyError>() {
                Some(PolicyError::Wrong(errors, files)) => {
                    (source::render(errors, files), "mend the lines above; nothing of policy takes effect until then")
                }
                Some(PolicyError::Folder { .. } | PolicyError::File { .. }) | None => {
                    (causes::chain(error.as_ref()), "`borg-host init`")
                }
            };
            return report.add(Finding::fault("policy", detail, remedy));
        }
    };
    report.add(Finding::good("policy", format!("{} ({})", settings.policies().display(), policy.digest.short())))?;
    super::shipped::look(settings, &policy, report)?;
    people(&policy, report)?;
    let plugins = plugins(settings, &policy, report).await?;
    executors(settings, &policy, &plugins, report).await?;
    prices(settings, &policy, report).await?;
    images(settings, &policy, report).await?;
    repositories(settings, &policy, report).await?;
    telegram(settings, report).await
}

/// The bot, where there is a token: nothing is said where nobody wants one.
async fn telegram(settings: &Settings, report: &mut Report) -> Result<()> {
    let token = match host::telegram_token(settings) {
        Ok(Some(token)) => token,
        Ok(None) => return Ok(()),
        Err(error) => {
            let remedy = "`borg-host secret set telegram`";
            return report.add(Finding::fault("telegram", causes::chain(error.as_ref()), remedy));
        }
    };
    report.add(match telegram::ask(&token, settings.telegram_api()).await {
        Ok(bot) if bot.hears_all => {
            Finding::good("telegram", format!("@{}; hears all that is said in its groups", bot.name))
        }
        Ok(bot) => Finding::good(
            "telegram",
            format!(
                "@{}; in groups it hears commands and answers to it only (privacy mode; /setprivacy of @BotFather changes that)",
                bot.name
            ),
        ),
        Err(why) => Finding::fault("telegram", why, "check the token with @BotFather, then `borg-host secret set telegram`"),
    })
}

fn settings_file(settings: &Settings, report: &mut Report) -> Result<()> {
    let file = settings.root.join("borg.toml");
    report.add(match file.exists() {
        true => Finding::good("settings", file.display().to_string()),
        false => Finding::warning("settings", format!("there is no {}", file.display()), "`borg-host init`"),
    })?;
    if let Err(error) = settings.check() {
        report.add(Finding::fault(
            "settings",
            error.to_string(),
            "`borg-host config` shows where the value comes from",
        ))?;
    }
    for warning in &settings.warnings {
        report.add(Finding::warning("settings", warning, "take it out; a later version will know it"))?;
    }
    Ok(())
}

async fn journal(settings: &Settings, report: &mut Report) -> Result<()> {
    let path = Store::file(&settings.data_dir());
    if !path.exists() {
        return Ok(());
    }
    let verified = async {
        let journal = Store::open_read_only(&settings.data_dir())?;
        anyhow::Ok((journal.verify().await?, journal.last_seq().await?))
    };
    let remedy = format!("keep a copy of {}, then put back the newest backup you trust", path.display());
    report.add(match verified.await {
        Ok((None, events)) => Finding::good("journal", format!("{events} events, unbroken")),
        Ok((Some(found), _)) => Finding::fault(
            "journal",
            format!("its chain is broken at event {}: it was changed from outside", found.seq),
            remedy,
        ),
        Err(error) => Finding::fault("journal", causes::chain(error.as_ref()), remedy),
    })
}

fn people(policy: &Policy, report: &mut Report) -> Result<()> {
    let me = PersonId(format!("console:{}", rustix::process::getuid().as_raw()));
    let owners: Vec<&str> =
        policy.people.iter().filter(|(_, role)| **role == Role::Owner).map(|(person, _)| person.0.as_str()).collect();
    report.add(match owners.as_slice() {
        [] => Finding::fault(
            "people",
            "there is no owner: nobody may decide",
            format!("`borg-host init --yes --owner {me}`"),
        ),
        owners => Finding::good("people", format!("owned by {}", owners.join(", "))),
    })?;
    for (detail, remedy) in maybe_one_human(policy, &me) {
        report.add(Finding::warning("people", detail, remedy))?;
    }
    let without_role: Vec<&str> = policy
        .same
        .iter()
        .flatten()
        .filter(|person| policy.role(person).is_none())
        .map(|person| person.0.as_str())
        .collect();
    if !without_role.is_empty() {
        let names = without_role.join(", ");
        report.add(Finding::good("people", format!("without a role, in `same` only: {names}")))?;
    }
    if policy.role(&me).is_none() {
        let remedy = format!("add \"{me}\" to policies/people.toml");
        report.add(Finding::warning(
            "people",
            format!("you ({me}) are a stranger: commands of yours are refused"),
            remedy,
        ))?;
    }
    Ok(())
}

/// Who may decide and may be a human that policy knows by another name already, with the line that says so: whoever has two names that are
/// not joined approves their own changes. `me` is whoever runs the host.
fn maybe_one_human(policy: &Policy, me: &PersonId) -> Vec<(String, String)> {
    if policy.own_changes == OwnChanges::Allow {
        return Vec::new();
    }
    let is_console = |person: &PersonId| person.0.starts_with("console:");
    let deciders = policy.people.iter().filter(|(_, role)| **role >= Role::Admin).map(|(person, _)| person);
    let (console, elsewhere): (Vec<&PersonId>, Vec<&PersonId>) = deciders.partition(|person| is_console(person));
    let is_joined = |person: &PersonId| policy.same.iter().any(|human| human.len() > 1 && human.contains(person));
    let mut found = Vec::new();
    for person in console {
        if person != me && policy.human(person) != policy.human(me) {
            let detail = format!(
                "{person} may decide, and nobody but the user that runs the host ({me}) is heard at the console: to policy they are two humans"
            );
            let remedy = format!(
                "if both are you, add `{}` to [people] in policies/people.toml; else take the role of {person} away there",
                line(me, person)
            );
            found.push((detail, remedy));
        }
        if let [first, others @ ..] = elsewhere.as_slice()
            && !is_joined(person)
        {
            let names: Vec<&str> = elsewhere.iter().map(|other| other.0.as_str()).collect();
            let detail = format!(
                "{person} and {} are different humans to policy: neither approves what they asked for, each what the other did",
                names.join(", ")
            );
            let line = line(person, first);
            let remedy = match others {
                [] => format!("if both are you, add `{line}` to [people] in policies/people.toml"),
                _ => format!(
                    "if one of {} is you, add `{line}`, or the same with that one, to [people] in policies/people.toml",
                    names.join(", ")
                ),
            };
            found.push((detail, remedy));
        }
    }
    found
}

/// The line that makes two names one human.
fn line(one: &PersonId, other: &PersonId) -> String {
    format!("same = [[\"{one}\", \"{other}\"]]")
}

/// Loads every plugin as a host would, in a cache of its own: a running host's is not ours to prune.
async fn plugins(settings: &Settings, policy: &Policy, report: &mut Report) -> Result<Plugins> {
    let cache = tempfile::tempdir()?;
    let compiler = match (host::init_binary(), std::env::current_exe()) {
        (Ok(init), Ok(program)) => compiler::confined(Spawner::start()?, init.path, program, Waiting::begin()),
        (Err(_), _) | (_, Err(_)) => Compiler::InProcess,
    };
    let folders = settings.plugin_folders();
    let options = Options {
        shipped: folders.shipped,
        folders: folders.own,
        cache: cache.path().join("plugins"),
        compiler,
        limits: Limits::default(),
        now_ms,
    };
    let permits = Permits { policy: policy.plugins.clone(), keep: BTreeSet::new() };
    let (plugins, errors) = Plugins::load(options, &permits).await?;
    let names: Vec<String> = plugins.list().into_iter().map(|plugin| plugin.name).collect();
    report.add(match names.as_slice() {
        [] => Finding::fault(
            "plugins",
            "none is loaded",
            "`cargo xtask build` makes the shipped ones; BORG_PLUGINS names their folder",
        ),
        names => Finding::good("plugins", names.join(", ")),
    })?;
    for error in errors {
        report.add(Finding::fault("plugins", error.to_string(), "mend or remove that folder"))?;
    }
    for (kind, name) in named(policy) {
        if plugins.manifest(kind, name).is_none() {
            let remedy = "put its folder with plugin.toml into plugins/ beside borg.toml, or take it out of policy";
            report.add(Finding::fault(
                "plugins",
                format!("policy names the {kind} `{name}`, which is not loaded"),
                remedy,
            ))?;
        }
    }
    Ok(plugins)
}

/// Plugins that policy relies on.
fn named(policy: &Policy) -> Vec<(Kind, &str)> {
    let personas = policy.personas.keys().map(|name| (Kind::Persona, name.as_str()));
    let executors = used_executors(policy).into_keys().map(|name| (Kind::Executor, name));
    let rules = policy.rules.iter().filter(|(_, rule)| rule.enabled).map(|(name, _)| (Kind::Rule, name.as_str()));
    let chats = policy.chats.iter().filter(|(_, chat)| chat.enabled).map(|(name, _)| (Kind::Chat, name.as_str()));
    personas.chain(executors).chain(rules).chain(chats).collect()
}

/// Executors that a persona uses, each with one such persona.
fn used_executors(policy: &Policy) -> BTreeMap<&str, &str> {
    policy.personas.iter().map(|(name, persona)| (persona.executor.as_str(), name.as_str())).collect()
}

async fn executors(settings: &Settings, policy: &Policy, plugins: &Plugins, report: &mut Report) -> Result<()> {
    let mut secrets = BTreeSet::new();
    for name in used_executors(policy).into_keys() {
        agent(settings, policy, plugins, name, report).await?;
        let egress = policy.executors.get(name).map(|executor| executor.egress.as_slice()).unwrap_or_default();
        let models = egress.iter().filter_map(|name| policy.egress.get(name)?.model());
        secrets.extend(models.map(|model| model.secret.clone()));
    }
    for row in secret::rows(settings).await?.into_iter().filter(|row| secrets.contains(&row.name)) {
        let from = row.from.unwrap_or_default();
        report.add(match row.why {
            None => Finding::good("credentials", format!("{} ({from})", row.name)),
            // What to do stands below, and only there.
            Some(why) => Finding::fault(
                "credentials",
                format!("{} ({from}): {}", row.name, why.split("; `borg-host").next().unwrap_or(&why)),
                credential_remedy(&row.name, &from),
            ),
        })?;
    }
    Ok(())
}

/// The programs of an executor's agent, where it needs any.
async fn agent(settings: &Settings, policy: &Policy, plugins: &Plugins, name: &str, report: &mut Report) -> Result<()> {
    let Some(brought) = plugins.brought(name) else { return Ok(()) };
    let pin = policy.executors.get(name).and_then(|executor| executor.bundle);
    let permitted = Agents::new(&settings.data_dir()).permitted(&brought.executor, pin, Some(&brought)).await;
    report.add(match (permitted, pin) {
        (Ok(found), None) => Finding::warning(
            "agents",
            format!("{name} {}; policy does not say that it is this one which may run", found.version),
            format!(
                "`borg-host agent install {name}` writes the line: [executor.{name}] bundle = \"{}\"",
                spell_pin(&found.digest)
            ),
        ),
        (Ok(found), Some(_)) if found.version != brought.recipe.version => Finding::warning(
            "agents",
            format!("{name} {} is what policy pins; its executor brings {}", found.version, brought.recipe.version),
            format!("`borg-host agent install {name}` changes to that one"),
        ),
        (Ok(found), Some(_)) => Finding::good("agents", format!("{name} {} ({})", found.version, found.digest.short())),
        (Err(refusal), _) => Finding::fault("agents", refusal.to_string(), refusal.remedy()),
    })
}

/// Models that policy names or agents asked for lately, and what they are paid by.
async fn prices(settings: &Settings, policy: &Policy, report: &mut Report) -> Result<()> {
    let mut models = models::named(policy);
    let data = settings.data_dir();
    if Store::file(&data).exists()
        && let Ok(journal) = Store::open_read_only(&data)
        && let Ok(asked) = journal.models(REQUESTS).await
    {
        models.extend(asked);
    }
    for (egress, entry) in policy.egress.iter().filter_map(|(name, entry)| Some((name, entry.model()?))) {
        for (family, model) in tariff::too_cheap(&entry.prices) {
            let detail = format!("a model without a row of its own pays {family}, which is cheaper than {model}");
            let remedy = format!("give [egress.{egress}.price.\"{family}\"] the dearest prices of the family");
            report.add(Finding::warning("prices", detail, remedy))?;
        }
    }
    for unlisted in models::unlisted(policy, &models) {
        let detail = match &unlisted.family {
            Some((family, _)) => {
                format!("{} has no row of its own: it is paid by that of its family, {family}", unlisted.model)
            }
            None => format!("{} has no price: its requests are refused", unlisted.model),
        };
        let remedy = format!("look its prices up, then in policies/executors.toml:\n{}", unlisted.lines());
        let remedy = remedy.replace('\n', "\n         ");
        report.add(Finding::warning("prices", detail, remedy))?;
    }
    Ok(())
}

fn credential_remedy(name: &str, from: &str) -> String {
    match from.split_once(':') {
        Some(("stored", stored)) => format!("`borg-host secret set {stored}`"),
        Some(("env", variable)) => format!("set {variable} in the environment or in .env"),
        Some(_) | None => {
            format!("log in with `claude`, or change `from` of [secret.{name}] in policies/executors.toml")
        }
    }
}

async fn images(settings: &Settings, policy: &Policy, report: &mut Report) -> Result<()> {
    if policy.host.sandbox != SandboxChoice::Docker {
        return Ok(());
    }
    let used = used_executors(policy).into_keys().filter_map(|name| policy.executors.get(name));
    let mut wanted: BTreeSet<&str> = used.map(|executor| executor.image.as_str()).collect();
    wanted.insert(&policy.checks.image);
    for name in wanted {
        // Without an engine the sandbox is a fault already.
        if let Ok(is_present) = image::is_present(settings.docker_host().as_deref(), name).await {
            let remedy = if name == image::BASE_TAG {
                "`borg-host image build`".to_owned()
            } else {
                format!("`docker pull {name}`")
            };
            report.add(match is_present {
                true => Finding::good("images", name),
                false => Finding::fault("images", format!("{name} is not here"), remedy),
            })?;
        }
    }
    Ok(())
}

async fn repositories(settings: &Settings, policy: &Policy, report: &mut Report) -> Result<()> {
    if policy.repos.is_empty() {
        return report.add(Finding::fault("repositories", "there is none", "`borg-host repo add owner/name PATH`"));
    }
    for (name, repository) in &policy.repos {
        let looked = repo::report(name, repository, policy, settings).await;
        report.add(match looked.faults.as_slice() {
            [] => Finding::good("repositories", name),
            faults => Finding::fault(
                "repositories",
                format!("{name}: {}", faults.join("; ")),
                format!("`borg-host repo check {name}`"),
            ),
        })?;
    }
    match &policy.host.repository {
        None if policy.repos.len() > 1 => {
            let remedy = "set `pipeline-repo` in borg.toml, or name one with each task";
            report.add(Finding::warning("repositories", "none is the default", remedy))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::policy::{parse, source::SourceFile};

    fn told(people: &str, verdict: &str) -> Vec<(String, String)> {
        let text = format!("[people]\n{people}\n[verdict]\n{verdict}\n");
        let policy = parse::parse(&[SourceFile { name: "policies/a.toml".into(), text }]).unwrap();
        maybe_one_human(&policy, &PersonId("console:1".into()))
    }

    #[test]
    fn deciders_that_may_be_one_human_are_asked_about() {
        let (joined, service) = ("same = [[\"console:1\", \"telegram:1\"]]", "same = [[\"console:1\", \"console:2\"]]");
        let of_service = "same = [[\"console:2\", \"telegram:1\"]]";
        for (people, verdict, want) in [
            ("owner = [\"console:1\", \"telegram:1\"]", "", &[joined][..]),
            ("owner = [\"console:1\", \"telegram:1\"]\nmember = [\"telegram:2\"]", "", &[joined]),
            ("owner = [\"console:1\", \"telegram:1\", \"telegram:2\"]", "", &[joined]),
            ("owner = [\"console:1\"]\nadmin = [\"telegram:1\"]", "", &[joined]),
            ("admin = [\"console:1\"]\nowner = [\"telegram:1\"]", "", &[joined]),
            ("owner = [\"console:1\", \"telegram:1\"]", "own = \"allow\"", &[]),
            ("owner = [\"console:1\", \"telegram:1\"]\nsame = [[\"telegram:1\", \"console:1\"]]", "", &[]),
            // Another user's name at the console, which nobody can use.
            ("owner = [\"console:1\", \"console:2\"]", "", &[service]),
            ("owner = [\"console:1\"]\nadmin = [\"console:2\"]", "", &[service]),
            ("owner = [\"console:1\"]\nmember = [\"console:2\"]", "", &[]),
            ("owner = [\"console:1\", \"console:2\"]\nsame = [[\"console:2\", \"console:1\"]]", "", &[]),
            ("owner = [\"console:2\", \"telegram:1\"]", "", &[service, of_service]),
            ("owner = [\"console:1\"]", "", &[]),
            ("owner = [\"telegram:1\", \"telegram:2\"]", "", &[]),
        ] {
            let told = told(people, verdict);
            assert_eq!(told.len(), want.len(), "{people}: {told:?}");
            for ((_, remedy), line) in told.iter().zip(want) {
                assert!(remedy.contains(line), "{people}: {remedy}");
            }
        }
        let two = told("owner = [\"console:1\", \"telegram:1\", \"telegram:2\"]", "");
        assert!(two[0].1.contains("if one of telegram:1, telegram:2 is you"), "{two:?}");
    }
}
