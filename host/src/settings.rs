//! Where the host finds things: `borg.toml`, the environment, `.env`. Reading the environment itself is `environment.rs`.
//!
//! A command-line flag beats the environment, the environment beats `.env`, `.env` beats `borg.toml`, that beats the default. Which folder's
//! files are read at all is `installation`'s to say.

mod preview;

pub use preview::Preview;

use crate::{
    environment::Environment,
    installation::{DOTENV, Installation, Standing},
};
use borg_gateway::provider::{self, ProviderName};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Largest file of settings or variables, in bytes.
const FILE_LIMIT: u64 = 1 << 20;

/// Folders of plugin folders, by whose they are.
#[derive(Clone, Debug)]
pub struct PluginFolders {
    /// Of what came with the program.
    pub shipped: Vec<PathBuf>,
    /// The operator's, in the order in which they stand in for what lies before them.
    pub own: Vec<PathBuf>,
}

/// One thing that can be set, by either name.
struct Known {
    /// Name in the environment and `.env`.
    variable: &'static str,
    /// Name in `borg.toml`.
    key: &'static str,
    summary: &'static str,
    secret: bool,
}

const KNOWN: [Known; 15] = [
    Known { variable: "DATA_DIR", key: "data-dir", summary: "where everything the host knows is kept", secret: false },
    Known { variable: "BORG_POLICIES", key: "policies", summary: "folder of policy files", secret: false },
    Known { variable: "BORG_PLUGINS", key: "plugins", summary: "folders of plugins, separated by `:`", secret: false },
    Known {
        variable: "PIPELINE_REPO",
        key: "pipeline-repo",
        summary: "repository of tasks that name none",
        secret: false,
    },
    Known {
        variable: "PIPELINE_TEST_CMD",
        key: "pipeline-test-cmd",
        summary: "test command of repositories that have none",
        secret: false,
    },
    Known {
        variable: "CONTAINER_IMAGE",
        key: "container-image",
        summary: "image of agents, instead of those policy names",
        secret: false,
    },
    Known {
        variable: "CLAUDE_MODEL",
        key: "claude-model",
        summary: "model agents ask for where policy names none",
        secret: false,
    },
    Known {
        variable: "CLAUDE_CODE_OAUTH_TOKEN",
        key: "claude-code-oauth-token",
        summary: "token for the secret `claude`",
        secret: true,
    },
    Known {
        variable: "TASK_TIMEOUT",
        key: "task-timeout",
        summary: "longest run of an agent, in milliseconds",
        secret: false,
    },
    Known {
        variable: "ANTHROPIC_BASE_URL",
        key: "anthropic-base-url",
        summary: "where the gateway finds the Messages API",
        secret: false,
    },
    Known {
        variable: "ANTHROPIC_CA_FILE",
        key: "anthropic-ca-file",
        summary: "certificate authorities to trust there (PEM), instead of the system's",
        secret: false,
    },
    Known {
        variable: "TELEGRAM_BOT_TOKEN",
        key: "telegram-bot-token",
        summary: "token of the Telegram bot people talk to; without one there is no Telegram",
        secret: true,
    },
    Known {
        variable: "TELEGRAM_API_URL",
        key: "telegram-api-url",
        summary: "where the Bot API is, such as a Bot API server of one's own",
        secret: false,
    },
    Known {
        variable: "PIPELINE_ADMIN_CHAT",
        key: "pipeline-admin-chat",
        summary: "chat that hears of what concerns the host itself, instead of every owner",
        secret: false,
    },
    Known {
        variable: "DIGEST_TIME_UTC",
        key: "digest-time-utc",
        summary: "when the daily digest is sent; `off` for never",
        secret: false,
    },
];

/// Names that are promised but not built: they warn instead of doing nothing in silence.
const NOT_YET: [&str; 8] = [
    "ASSISTANT_NAME",
    "TRIGGER_PATTERN",
    "PIPELINE_LINT_CMD",
    "RELEASE_INTERVAL_HOURS",
    "CLAUDE_CODE_PATH",
    "WORKSPACES_DIR",
    "EGRESS_EXTRA",
    "HUB_URL",
];

/// How a chat is written.
const CHAT: &str = "write a chat as /chatid shows it, as in telegram:-1001234567890";

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{path} cannot be read: check that it exists and that you may read it")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path}: {message}")]
    Form { path: PathBuf, message: String },
    #[error("{name} is `{value}`: {message}")]
    Value { name: String, value: String, message: String },
}

/// A value and where it came from. No `Debug`: it may be a secret.
struct Set {
    value: Zeroizing<String>,
    /// `the environment`, `.env`, `borg.toml`, `--data`.
    source: &'static str,
}

/// One line of `borg-host config`.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    pub name: String,
    pub value: String,
    pub source: String,
    pub summary: String,
}

/// All settings, read once.
pub struct Settings {
    /// Folder of `borg.toml`: other relative paths start here.
    pub root: PathBuf,
    /// Whose word it is that this folder may be read; none where none is.
    pub standing: Option<Standing>,
    values: BTreeMap<&'static str, Set>,
    pub warnings: Vec<String>,
    /// The whole environment, for `[secret.*] from = "env:NAME"`.
    pub environment: Environment,
}

impl Settings {
    /// Reads an installation's `borg.toml` (which may be absent), `.env` beside it, and what is given of the environment.
    pub fn load(
        installation: &Installation,
        data: Option<&Path>,
        environment: Environment,
    ) -> Result<Settings, SettingsError> {
        let mut settings = Settings::new(installation.root(), environment);
        settings.standing = Some(installation.standing());
        if installation.settings().exists() {
            settings.read_toml(installation.settings())?;
        }
        // Taken before `.env` adds to it: what is told of a value's source must be so.
        let variables = settings.environment.clone();
        settings.read_dotenv(&installation.root().join(DOTENV))?;
        settings.read_variables(&variables, "the environment");
        settings.take_data(data)?;
        // Policy finds secrets by the name of a variable, wherever they were written.
        for known in KNOWN.iter().filter(|known| known.secret) {
            if let Some(set) = settings.values.get(known.variable) {
                settings.environment.insert(known.variable.to_owned(), set.value.clone());
            }
        }
        Ok(settings)
    }

    /// Settings where there is no installation: what the environment and the command line say, and nothing of any folder.
    pub fn of_environment(data: Option<&Path>, environment: Environment) -> Result<Settings, SettingsError> {
        let variables = environment.clone();
        let mut settings = Settings::new(Path::new("/nonexistent"), environment);
        settings.read_variables(&variables, "the environment");
        settings.take_data(data)?;
        Ok(settings)
    }

    fn new(root: &Path, environment: Environment) -> Settings {
        Settings { root: root.to_owned(), standing: None, values: BTreeMap::new(), warnings: Vec::new(), environment }
    }

    fn take_data(&mut self, data: Option<&Path>) -> Result<(), SettingsError> {
        if let Some(data) = data {
            // What is typed counts from where it is typed, not from where `borg.toml` lies.
            let data =
                std::path::absolute(data).map_err(|source| SettingsError::Read { path: data.to_owned(), source })?;
            let value = data.into_os_string().into_string().map_err(|path| SettingsError::Value {
                name: "--data".into(),
                value: path.to_string_lossy().into_owned(),
                message: "the path must be UTF-8".into(),
            });
            let value = Zeroizing::new(value?);
            self.values.insert("DATA_DIR", Set { value, source: "--data" });
        }
        Ok(())
    }

    fn read_toml(&mut self, path: &Path) -> Result<(), SettingsError> {
        let form = |message: String| SettingsError::Form { path: path.to_owned(), message };
        let text = read_text(path)?;
        // The parser's own words show the line, and a line may hold a secret.
        let wrong = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(&text, span.start));
            form(format!("line {line}: {}", error.message().lines().next().unwrap_or("it is no TOML")))
        };
        let table: toml::Table = text.parse().map_err(wrong)?;
        for (key, value) in table {
            let later = NOT_YET.iter().find(|name| name.to_lowercase().replace('_', "-") == key);
            if let Some(name) = later {
                self.warnings.push(format!("{}: `{key}` ({name}) does nothing yet", path.display()));
                continue;
            }
            let Some(known) = KNOWN.iter().find(|known| known.key == key) else {
                let hint = borg_core::policy::source::nearest(&key, KNOWN.iter().map(|known| known.key));
                return Err(form(format!("unknown key `{key}`. {hint}")));
            };
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                other => return Err(form(format!("`{key}` must be a string, not {}", other.type_str()))),
            };
            if value.is_empty() {
                continue;
            }
            self.values.insert(known.variable, Set { value: Zeroizing::new(value), source: "borg.toml" });
        }
        Ok(())
    }

    fn read_dotenv(&mut self, path: &Path) -> Result<(), SettingsError> {
        if !path.exists() {
            return Ok(());
        }
        let text = read_text(path)?;
        let mut variables = Environment::new();
        for pair in dotenvy::from_read_iter(text.as_bytes()) {
            // The parser's own words show the line, and a line may hold a secret.
            let (name, value) = pair.map_err(|error| SettingsError::Form {
                path: path.to_owned(),
                message: match &error {
                    dotenvy::Error::LineParse(line, _) => format!(
                        "{} is not NAME=value (quote a value with spaces, `#` or `$` in single quotes)",
                        text.find(line.trim_end())
                            .map_or_else(|| "a line".to_owned(), |start| format!("line {}", line_of(&text, start)))
                    ),
                    _ => "it cannot be read as lines of NAME=value".to_owned(),
                },
            })?;
            variables.insert(name, Zeroizing::new(value));
        }
        self.read_variables(&variables, ".env");
        for (name, value) in variables {
            // As with settings, a variable that is set to nothing is not set.
            if self.environment.get(&name).is_none_or(|before| before.is_empty()) {
                self.environment.insert(name, value);
            }
        }
        Ok(())
    }

    fn read_variables(&mut self, variables: &Environment, source: &'static str) {
        for known in &KNOWN {
            if let Some(value) = variables.get(known.variable).filter(|value| !value.is_empty()) {
                self.values.insert(known.variable, Set { value: value.clone(), source });
            }
        }
        for name in NOT_YET {
            if variables.contains_key(name) {
                self.warnings.push(format!("{name} (from {source}) does nothing yet"));
            }
        }
    }

    fn value(&self, variable: &str) -> Option<&str> {
        self.values.get(variable).map(|set| set.value.as_str())
    }

    fn path(&self, variable: &str) -> PathBuf {
        self.root.join(self.value(variable).unwrap_or(default(variable)))
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("DATA_DIR")
    }

    pub fn policies(&self) -> PathBuf {
        self.path("BORG_POLICIES")
    }

    /// Folders that hold plugin folders: the program's own, then the operator's (`plugins/` beside `borg.toml`), which stand in for
    /// those where policy pins them. Those that are not there may come while the host runs. Where BORG_PLUGINS names folders, its first
    /// is that of what came with the program.
    pub fn plugin_folders(&self) -> PluginFolders {
        let mut own = self.own_plugin_roots();
        let shipped = match self.value("BORG_PLUGINS") {
            // The last is `plugins/`, which nobody named.
            Some(_) if own.len() > 1 => Some(own.remove(0)),
            Some(_) => None,
            None => shipped_plugins(),
        };
        let below = |roots: &[PathBuf]| roots.iter().flat_map(|root| by_kind(root)).collect();
        PluginFolders { shipped: below(shipped.as_slice()), own: below(&own) }
    }

    /// Roots of plugins that settings name, and the operator's `plugins/`.
    fn own_plugin_roots(&self) -> Vec<PathBuf> {
        let named = self.value("BORG_PLUGINS").unwrap_or_default().split(':').filter(|part| !part.is_empty());
        named.map(|part| self.root.join(part)).chain([self.root.join("plugins")]).collect()
    }

    /// The operator's home, whose secrets are never mounted.
    pub fn home(&self) -> Option<PathBuf> {
        self.environment.get("HOME").map(|home| PathBuf::from(home.as_str()))
    }

    /// `PATH` of the operator, for their own npm client only.
    pub fn search_path(&self) -> String {
        self.environment.get("PATH").map(|path| path.to_string()).unwrap_or_default()
    }

    pub fn docker_host(&self) -> Option<String> {
        self.environment.get("DOCKER_HOST").map(|host| host.to_string())
    }

    /// Where a provider is, and whom to trust there, as far as somebody set it.
    pub fn provider(&self, names: provider::Settings) -> (Option<&str>, Option<PathBuf>) {
        (self.value(names.base), self.value(names.ca_file).map(|path| self.root.join(path)))
    }

    /// Token of the Telegram bot, as set here; it may be among the stored secrets instead.
    pub fn telegram_token(&self) -> Option<Zeroizing<String>> {
        self.value("TELEGRAM_BOT_TOKEN").map(|token| Zeroizing::new(token.to_owned()))
    }

    pub fn telegram_api(&self) -> Option<&str> {
        self.value("TELEGRAM_API_URL")
    }

    /// The chat that hears of what concerns the host itself, `transport:chat`.
    pub fn admin_chat(&self) -> Result<Option<String>, SettingsError> {
        let Some(text) = self.value("PIPELINE_ADMIN_CHAT") else { return Ok(None) };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A chat of Telegram is a number, and a topic in it another.
        let is_bare = |text: &str| text.strip_prefix('-').unwrap_or(text).split('/').all(is_number);
        match text.split_once(':') {
            None if is_bare(text) => Ok(Some(format!("telegram:{text}"))),
            Some(("telegram", chat)) if !is_bare(chat) => Err(self.wrong("PIPELINE_ADMIN_CHAT", CHAT)),
            Some((transport, chat)) if !transport.is_empty() && !chat.is_empty() => Ok(Some(text.to_owned())),
            None | Some(_) => Err(self.wrong("PIPELINE_ADMIN_CHAT", CHAT)),
        }
    }

    /// When the daily digest is due, in minutes since midnight UTC; none where nobody wants one.
    pub fn digest_minute(&self) -> Result<Option<u64>, SettingsError> {
        let text = self.value("DIGEST_TIME_UTC").unwrap_or(default("DIGEST_TIME_UTC"));
        if text.eq_ignore_ascii_case("off") {
            return Ok(None);
        }
        let below = |text: &str, limit: u64| {
            let is_written_so = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|number| is_written_so && *number < limit)
        };
        let minute = text.split_once(':').filter(|(_, minutes)| minutes.len() == 2);
        let minute = minute.and_then(|(hours, minutes)| Some(below(hours, 24)? * 60 + below(minutes, 60)?));
        minute.map(Some).ok_or_else(|| self.wrong("DIGEST_TIME_UTC", "write hours and minutes, as in 17:30, or off"))
    }

    fn wrong(&self, name: &str, message: &str) -> SettingsError {
        let value = self.value(name).unwrap_or_default().to_owned();
        SettingsError::Value { name: name.into(), value, message: message.into() }
    }

    /// Reads every value that can be wrong, for whoever wants to know before something needs it.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.defaults()?;
        self.admin_chat()?;
        self.digest_minute().map(drop)
    }

    /// What applies where policy says nothing.
    pub fn defaults(&self) -> Result<Defaults, SettingsError> {
        let timeout = self.value("TASK_TIMEOUT").map(|text| {
            let wrong = || self.wrong("TASK_TIMEOUT", "write milliseconds, as in 300000");
            text.parse::<u64>().ok().filter(|ms| *ms > 0).ok_or_else(wrong)
        });
        Ok(Defaults {
            repository: self.value("PIPELINE_REPO").map(str::to_owned),
            check: self.value("PIPELINE_TEST_CMD").map(str::to_owned),
            image: self.value("CONTAINER_IMAGE").map(str::to_owned),
            model: self.value("CLAUDE_MODEL").map(str::to_owned),
            wall_ms: timeout.transpose()?,
            claude_token: self.value("CLAUDE_CODE_OAUTH_TOKEN").is_some(),
        })
    }

    /// Every setting with its value and source, secrets masked.
    pub fn show(&self) -> Vec<Shown> {
        let show = |known: &Known| {
            let set = self.values.get(known.variable);
            let value = match set {
                Some(_) if known.secret => "••••••".to_owned(),
                Some(set) => set.value.to_string(),
                None => default(known.variable).to_owned(),
            };
            Shown {
                name: known.variable.to_owned(),
                value,
                source: set.map_or_else(|| "default".to_owned(), |set| set.source.to_owned()),
                summary: known.summary.to_owned(),
            }
        };
        KNOWN.iter().map(show).collect()
    }
}

/// Settings that stand in where policy is silent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Defaults {
    pub repository: Option<String>,
    pub check: Option<String>,
    pub image: Option<String>,
    pub model: Option<String>,
    pub wall_ms: Option<u64>,
    /// True when `CLAUDE_CODE_OAUTH_TOKEN` is set: the secret `claude` is taken from there.
    pub claude_token: bool,
}

/// What holds where nobody says anything; empty where policy has the say then.
fn default(variable: &str) -> &'static str {
    let mut providers = ProviderName::ALL.into_iter().map(provider::named);
    if let Some(provider) = providers.find(|provider| provider.settings().base == variable) {
        return provider.base();
    }
    match variable {
        "DATA_DIR" => "data",
        "BORG_POLICIES" => "policies",
        "BORG_PLUGINS" => "plugins/ beside the program",
        "DIGEST_TIME_UTC" => "17:30",
        _ => "",
    }
}

/// Where plugins lie below a folder: by their kinds, and in itself.
fn by_kind(root: &Path) -> Vec<PathBuf> {
    let kinds = ["personas", "rules", "executors", "chats"];
    kinds.iter().map(|kind| root.join(kind)).chain([root.to_owned()]).collect()
}

/// The text of a regular file of bounded size: nothing here waits for whoever writes a pipe.
fn read_text(path: &Path) -> Result<Zeroizing<String>, SettingsError> {
    let failed = |source| SettingsError::Read { path: path.to_owned(), source };
    let file = fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() || found.len() > FILE_LIMIT {
        return Err(failed(io::Error::other(format!("it is no file of at most {FILE_LIMIT} bytes"))));
    }
    // As large as it gets: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(FILE_LIMIT.min(found.len() + 1) as usize));
    file.take(FILE_LIMIT).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// Number of the line an offset is in, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Plugins installed beside the program: `plugins/` in its folder or the one above.
fn shipped_plugins() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = program.parent()?;
    [folder.join("plugins"), folder.parent()?.join("plugins"), folder.parent()?.join("lib/borg/plugins")]
        .into_iter()
        .find(|path| path.is_dir())
}

#[cfg(test)]
mod tests;
