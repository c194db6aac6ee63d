//! Which source wins, that every name does something, and that no secret is told.

use super::*;
use crate::policies;
use borg_core::policy::SecretSource;

/// A folder with `borg.toml` and `.env`.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(toml: &str, dotenv: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("borg.toml"), toml).unwrap();
        if !dotenv.is_empty() {
            fs::write(dir.path().join(".env"), dotenv).unwrap();
        }
        Folder(dir)
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        self.load_with(variables, None)
    }

    fn load_with(&self, variables: &[(&str, &str)], data: Option<&Path>) -> Result<Settings, SettingsError> {
        let environment =
            variables.iter().map(|(name, value)| ((*name).to_owned(), Zeroizing::new((*value).to_owned()))).collect();
        let installation = Installation::named(&self.0.path().join("borg.toml")).unwrap();
        Settings::load(&installation, data, environment)
    }
}

/// An error with everything that is ever shown of it.
fn whole(error: Result<Settings, SettingsError>) -> String {
    let Err(error) = error else { panic!("it was taken") };
    format!("{error} {error:?} {:?}", std::error::Error::source(&error))
}

#[test]
fn the_nearer_source_wins() {
    let all = Folder::new("data-dir = 'toml'", "DATA_DIR=dotenv\n");
    let toml = Folder::new("data-dir = 'toml'", "OTHER=1\n");
    let none = Folder::new("", "");
    let rows = [
        (&all, Some("env"), Some("/flag"), "/flag", "--data"),
        (&all, Some("env"), None, "env", "the environment"),
        (&all, Some(""), None, "dotenv", ".env"),
        (&all, None, None, "dotenv", ".env"),
        (&toml, None, None, "toml", "borg.toml"),
        (&none, None, None, "data", "default"),
    ];
    for (folder, variable, flag, value, source) in rows {
        let variables: Vec<(&str, &str)> = variable.map(|text| ("DATA_DIR", text)).into_iter().collect();
        let settings = folder.load_with(&variables, flag.map(Path::new)).unwrap();
        let shown = settings.show().into_iter().find(|shown| shown.name == "DATA_DIR").unwrap();
        assert_eq!((shown.value.as_str(), shown.source.as_str()), (value, source));
        assert_eq!(settings.data_dir(), folder.0.path().canonicalize().unwrap().join(value));
    }
}

#[test]
fn every_name_changes_something() {
    fn seen(settings: &Settings) -> String {
        let defaults = settings.defaults().unwrap();
        let (data, policies, plugins) = (settings.data_dir(), settings.policies(), settings.plugin_folders());
        let provider = ProviderName::ALL.map(|name| settings.provider(provider::named(name).settings()));
        let telegram = (settings.telegram_token(), settings.telegram_api());
        let operators = (settings.admin_chat().unwrap(), settings.digest_minute().unwrap());
        format!("{defaults:?} {data:?} {policies:?} {plugins:?} {provider:?} {telegram:?} {operators:?}")
    }
    let plain = Folder::new("", "");
    fs::create_dir_all(plain.0.path().join("more/rules")).unwrap();
    let before = seen(&plain.load(&[]).unwrap());
    for known in &KNOWN {
        let value = match known.variable {
            "DATA_DIR" | "BORG_POLICIES" | "BORG_PLUGINS" => "more",
            "PIPELINE_REPO" => "acme/shop",
            "PIPELINE_TEST_CMD" => "make test",
            "CONTAINER_IMAGE" => "acme/dev:1",
            "CLAUDE_MODEL" => "claude-opus-4",
            "CLAUDE_CODE_OAUTH_TOKEN" => "sk-ant-oat01-x",
            "TASK_TIMEOUT" => "300000",
            "ANTHROPIC_BASE_URL" => "http://127.0.0.1:1",
            "ANTHROPIC_CA_FILE" => "ca.pem",
            "TELEGRAM_BOT_TOKEN" => "7:x",
            "TELEGRAM_API_URL" => "http://127.0.0.1:2",
            "PIPELINE_ADMIN_CHAT" => "telegram:-100",
            "DIGEST_TIME_UTC" => "off",
            other => panic!("what does {other} change?"),
        };
        assert_ne!(seen(&plain.load(&[(known.variable, value)]).unwrap()), before, "{} (environment)", known.variable);
        fs::write(plain.0.path().join("borg.toml"), format!("{} = '{value}'", known.key)).unwrap();
        let settings = plain.load(&[]).unwrap();
        assert_ne!(seen(&settings), before, "{} (borg.toml)", known.key);
        let shown = settings.show().into_iter().find(|shown| shown.name == known.variable).unwrap();
        assert_eq!(shown.value == value, !known.secret, "{}", known.variable);
        fs::write(plain.0.path().join("borg.toml"), "").unwrap();
    }
}

#[test]
fn every_provider_is_reached_where_its_settings_say() {
    for provider in ProviderName::ALL.map(provider::named) {
        let names = provider.settings();
        for name in [names.base, names.ca_file] {
            assert!(KNOWN.iter().any(|known| known.variable == name), "{name} of {} is no setting", provider.name());
        }
        assert_eq!(default(names.base), provider.base());
    }
}

#[test]
fn defaults_reach_the_policy() {
    let folder = Folder::new("", "");
    let variables = [
        ("PIPELINE_REPO", "acme/shop"),
        ("PIPELINE_TEST_CMD", "make test"),
        ("CONTAINER_IMAGE", "acme/dev:1"),
        ("CLAUDE_MODEL", "claude-opus-4"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-x"),
        ("TASK_TIMEOUT", "1500"),
    ];
    let defaults = folder.load(&variables).unwrap().defaults().unwrap();
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    let plain = policies::load(&policies, &Defaults::default()).unwrap().0;
    let with = policies::load(&policies, &defaults).unwrap().0;
    assert_ne!(with.digest, plain.digest);
    assert_eq!(with.host.repository.as_deref(), Some("acme/shop"));
    assert_eq!(with.secrets["claude"], SecretSource::Env("CLAUDE_CODE_OAUTH_TOKEN".into()));
    for executor in with.executors.values() {
        assert_eq!((executor.image.as_str(), executor.limits.wall_ms), ("acme/dev:1", 1500));
        assert_eq!(executor.model.as_deref(), Some("claude-opus-4"));
    }
}

#[test]
fn names_of_later_say_that_they_do_nothing_yet() {
    for name in NOT_YET {
        let key = name.to_lowercase().replace('_', "-");
        for (folder, variables) in [
            (Folder::new("", ""), vec![(name, "x")]),
            (Folder::new("", &format!("{name}=x\n")), Vec::new()),
            (Folder::new(&format!("{key} = 'x'"), ""), Vec::new()),
        ] {
            let warnings = folder.load(&variables).unwrap().warnings;
            assert!(
                matches!(&warnings[..], [one] if one.contains(name) && one.contains("nothing yet")),
                "{warnings:?}"
            );
        }
    }
}

#[test]
fn an_unknown_key_is_an_error_with_the_nearest_right_one() {
    let error = whole(Folder::new("data-dri = 'x'", "").load(&[]));
    assert!(error.contains("data-dri") && error.contains("`data-dir`"), "{error}");
    assert!(whole(Folder::new("data-dir = true", "").load(&[])).contains("must be a string"));
}

#[test]
fn a_broken_file_names_the_line_and_never_what_is_in_it() {
    let secret = "sk-ant-oat01-hush";
    for (toml, dotenv, line) in [
        (format!("data-dir = 'x'\nclaude-code-oauth-token = \"{secret}\n"), String::new(), "line 2"),
        (format!("claude-code-oauth-token = {secret}\n"), String::new(), "line 1"),
        (format!("claude-code-oauth-token = ['{secret}']\n"), String::new(), "must be a string"),
        (String::new(), format!("A=1\nCLAUDE_CODE_OAUTH_TOKEN={secret} and more\n"), "line 2"),
        (String::new(), format!("CLAUDE_CODE_OAUTH_TOKEN=\"{secret}\n"), "line 1"),
        (String::new(), format!("export {secret}\n"), "line 1"),
    ] {
        let error = whole(Folder::new(&toml, &dotenv).load(&[]));
        assert!(!error.contains("hush"), "{error}");
        assert!(error.contains(line), "{error}");
    }
}

#[test]
fn a_secret_is_masked_where_settings_are_shown() {
    let settings = Folder::new("", "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-hush\n").load(&[]).unwrap();
    let shown = serde_json::to_string(&settings.show()).unwrap();
    assert!(!shown.contains("hush") && shown.contains("•"), "{shown}");
    // It is there for `from = "env:NAME"` all the same.
    assert_eq!(settings.environment["CLAUDE_CODE_OAUTH_TOKEN"].as_str(), "sk-ant-oat01-hush");
}

#[tokio::test]
async fn the_token_reaches_the_secret_wherever_it_is_written() {
    use borg_gateway::{Credential, Secrets};
    const NAME: &str = "CLAUDE_CODE_OAUTH_TOKEN";
    let (toml, dotenv) =
        ("claude-code-oauth-token = 'sk-ant-oat01-toml'", "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-dotenv\n");
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
    for (toml, dotenv, variable, token) in [
        (toml, "", None, "toml"),
        (toml, dotenv, None, "dotenv"),
        (toml, dotenv, Some("sk-ant-oat01-env"), "env"),
        (toml, dotenv, Some(""), "dotenv"),
        ("", dotenv, Some(""), "dotenv"),
        (toml, "", Some(""), "toml"),
    ] {
        let variables: Vec<(&str, &str)> = variable.map(|value| (NAME, value)).into_iter().collect();
        let settings = Folder::new(toml, dotenv).load(&variables).unwrap();
        let policy = policies::load(&policies, &settings.defaults().unwrap()).unwrap().0;
        let store = crate::secrets::SecretStore::new(&settings.data_dir(), None, settings.environment.clone(), &policy);
        let Ok(Credential::Plain(secret)) = store.get("claude").await else { panic!("{toml} {dotenv} {variable:?}") };
        assert_eq!(secret.expose(), format!("sk-ant-oat01-{token}"), "{variable:?}");
    }
    // So does what is no setting of ours, but named by policy.
    let settings = Folder::new("", "MY_KEY=x\n").load(&[("MY_KEY", "")]).unwrap();
    assert_eq!(settings.environment["MY_KEY"].as_str(), "x");
}

#[test]
fn values_that_cannot_be_are_refused_with_what_could() {
    for wrong in ["0", "-1", "5min", ""] {
        let settings = Folder::new(&format!("task-timeout = '{wrong}'"), "").load(&[]).unwrap();
        match (settings.defaults(), wrong) {
            (Ok(defaults), "") => assert_eq!(defaults.wall_ms, None),
            (Ok(defaults), _) => panic!("{wrong}: {defaults:?}"),
            (Err(error), _) => assert!(error.to_string().contains("300000"), "{error}"),
        }
    }
}

#[test]
fn the_chat_and_the_hour_of_operators_are_read_as_people_write_them() {
    let told = |name: &str, value: &str| {
        let settings = Folder::new("", "").load(&[(name, value)]).unwrap();
        (settings.admin_chat(), settings.digest_minute())
    };
    for (value, chat) in [
        ("-1001234567890", "telegram:-1001234567890"),
        ("telegram:-100", "telegram:-100"),
        ("7", "telegram:7"),
        ("telegram:-100/12", "telegram:-100/12"),
        ("console:terminal", "console:terminal"),
    ] {
        assert_eq!(told("PIPELINE_ADMIN_CHAT", value).0.unwrap().as_deref(), Some(chat));
    }
    for wrong in ["ops", "telegram:", "telegram:ops", ":7", "-", "7/", "@ops", "telegram:--7"] {
        let error = told("PIPELINE_ADMIN_CHAT", wrong).0.unwrap_err().to_string();
        assert!(error.contains("/chatid") && error.contains(wrong), "{error}");
    }
    assert_eq!(told("OTHER", "x").0.unwrap(), None);
    assert_eq!(told("OTHER", "x").1.unwrap(), Some(17 * 60 + 30));
    for (value, minute) in [("00:00", Some(0)), ("7:05", Some(425)), ("23:59", Some(1439)), ("Off", None)] {
        assert_eq!(told("DIGEST_TIME_UTC", value).1.unwrap(), minute, "{value}");
    }
    for wrong in ["24:00", "17:60", "17", "17:3", "17:030", "1730", "-1:30", "+1:30", "5 pm", "17:30Z", ":30"] {
        let error = told("DIGEST_TIME_UTC", wrong).1.unwrap_err().to_string();
        let all = Folder::new("", "").load(&[("DIGEST_TIME_UTC", wrong)]).unwrap().check();
        assert_eq!(all.unwrap_err().to_string(), error);
        assert!(error.contains("17:30, or off") && error.contains(wrong), "{error}");
    }
}

#[test]
fn paths_count_from_where_they_are_written() {
    let folder = Folder::new("policies = 'rules/here'", "");
    let root = folder.0.path().canonicalize().unwrap();
    let settings = folder.load_with(&[], Some(Path::new("typed"))).unwrap();
    assert_eq!(settings.policies(), root.join("rules/here"));
    assert_eq!(settings.data_dir(), std::env::current_dir().unwrap().join("typed"));
}

#[test]
fn what_counts_as_shipped_is_the_first_folder_that_is_named_and_nothing_else_of_the_operators() {
    let folder = Folder::new("", "");
    let root = folder.0.path().canonicalize().unwrap();
    let of = |named: &[(&str, &str)]| folder.load(named).unwrap().plugin_folders();
    for (named, shipped, own) in [
        ("a:b", vec![root.join("a")], vec![root.join("b"), root.join("plugins")]),
        ("plugins", vec![root.join("plugins")], vec![root.join("plugins")]),
        (":", vec![], vec![root.join("plugins")]),
    ] {
        let found = of(&[("BORG_PLUGINS", named)]);
        let below = |roots: &[PathBuf]| roots.iter().flat_map(|root| by_kind(root)).collect::<Vec<_>>();
        assert_eq!((found.shipped, found.own), (below(&shipped), below(&own)), "{named}");
    }
    let unnamed = of(&[]);
    assert!(unnamed.shipped.iter().all(|folder| !folder.starts_with(&root)), "{unnamed:?}");
    assert_eq!(unnamed.own, by_kind(&root.join("plugins")));
}

#[test]
fn without_an_installation_only_what_the_operator_says_counts() {
    let folder = Folder::new("task-timeout = 5\n", "CLAUDE_MODEL=from-dotenv\nDOCKER_HOST=unix:///evil\n");
    let before = std::env::current_dir().unwrap();
    assert_ne!(before, folder.0.path());
    let variables = [("CLAUDE_MODEL", "mine")];
    let environment = variables.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
    let settings = Settings::of_environment(Some(Path::new("/typed")), environment.into()).unwrap();
    assert_eq!(settings.data_dir(), Path::new("/typed"));
    let set: Vec<_> = settings.show().into_iter().filter(|shown| shown.source != "default").collect();
    let told: Vec<_> = set.iter().map(|shown| (shown.name.as_str(), shown.value.as_str())).collect();
    assert_eq!(told, [("DATA_DIR", "/typed"), ("CLAUDE_MODEL", "mine")]);
    assert_eq!(settings.docker_host(), None);
    assert!(
        !settings.policies().exists()
            && settings.plugin_folders().own.iter().all(|folder| !folder.starts_with(&before))
    );
}

#[test]
fn a_preview_tells_what_is_set_and_no_secret() {
    let folder = Folder::new(
        "telegram-api-url = 'http://evil.example'\ntelegram-bot-token = '7:hush'\ntask-timeout = 5\n",
        "MY_KEY=hush\nDOCKER_HOST=unix:///evil\nTASK_TIMEOUT=6\n",
    );
    let preview = Preview::of(folder.0.path()).unwrap();
    let rows: Vec<_> =
        preview.settings.iter().map(|row| (row.name.as_str(), row.value.as_str(), row.source.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("TASK_TIMEOUT", "6", ".env"),
            ("TELEGRAM_BOT_TOKEN", "••••••", "borg.toml"),
            ("TELEGRAM_API_URL", "http://evil.example", "borg.toml"),
        ]
    );
    assert_eq!(
        preview.variables,
        [("DOCKER_HOST".to_owned(), Some("unix:///evil".to_owned())), ("MY_KEY".into(), None)]
    );
    assert_eq!(preview.defaults.wall_ms, Some(6));
    let none = tempfile::tempdir().unwrap();
    assert!(Preview::of(none.path()).unwrap().settings.is_empty());
}

#[test]
fn what_is_no_file_of_settings_is_refused_and_nothing_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    nix::unistd::mkfifo(&dir.path().join(".env"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(matches!(Preview::of(dir.path()), Err(SettingsError::Read { .. })));
}
