//! The command line: granted tools and paths become Claude Code's own flags.
//!
//! - `--tools` decides which tools exist; `--allowedTools` only approves. Together with `--permission-mode dontAsk` what is not approved is
//!   refused at once instead of waiting for somebody to be asked.
//! - `--setting-sources user --strict-mcp-config` keeps a repository's settings, hooks, skills, `CLAUDE.md` and MCP servers out; the user's
//!   are in a fresh home, so there are none.
//! - Without `--include-partial-messages` nothing is printed while a message streams, and a long answer would look like silence.

use borg_sdk::executor::{Command, Job, Tool};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Settings {
    max_retries: u8,
    system_prompt: SystemPrompt,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { max_retries: 2, system_prompt: SystemPrompt::Append }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SystemPrompt {
    Append,
    Replace,
}

/// Whose API it asks, as policy calls it.
const PROVIDER: &str = "anthropic";

/// Linux refuses a single argument of 128 KiB.
const SYSTEM_PROMPT_LIMIT_BYTES: usize = 120 * 1024;

/// How many patterns one pattern with braces may become.
const BRACES_LIMIT: usize = 64;

pub fn launch(job: &Job) -> Result<Command, String> {
    let settings: Settings = borg_sdk::settings(&job.settings)?;
    if job.prompt.trim().is_empty() {
        // It would end with exit code 0 and print nothing at all.
        return Err("the prompt is blank; the persona has to say what is to be done".into());
    }
    if let Some(Tool { name, .. }) = job.tools.iter().find(|tool| !is_plain(&tool.name)) {
        return Err(format!("`{name}` is no name of a tool; mend `tools` of the persona in policy"));
    }
    let way = job.way_out(PROVIDER).ok_or_else(|| {
        format!("it has no way out to `{PROVIDER}`; name an `[egress.NAME]` of that provider in `egress` of the executor in policy")
    })?;
    let system_prompt = system_prompt(job);
    if system_prompt.len() > SYSTEM_PROMPT_LIMIT_BYTES {
        return Err("the system prompt is longer than 120 KiB; the persona has to move text into the prompt".into());
    }
    let mut argv: Vec<String> =
        ["claude", "--print", "--output-format", "stream-json", "--verbose"].map(Into::into).into();
    argv.extend(["--include-partial-messages", "--setting-sources", "user", "--strict-mcp-config"].map(Into::into));
    argv.extend(["--disable-slash-commands", "--permission-mode", "dontAsk"].map(Into::into));
    let tools: Vec<&str> = job.tools.iter().map(|tool| tool.name.as_str()).collect();
    argv.extend(["--tools".into(), tools.join(",")]);
    let rules = rules(job);
    if !rules.is_empty() {
        argv.push("--allowedTools".into());
        argv.extend(rules);
    }
    let flag = match settings.system_prompt {
        SystemPrompt::Append => "--append-system-prompt",
        SystemPrompt::Replace => "--system-prompt",
    };
    argv.extend([flag.into(), system_prompt]);
    for (flag, value) in [
        ("--model", job.model.clone()),
        ("--max-turns", job.max_turns.map(|turns| turns.max(1).to_string())),
        ("--resume", job.resume.clone()),
    ] {
        match value {
            Some(value) if value.is_empty() || value.starts_with('-') => {
                return Err(format!("`{value}` cannot be given to `{flag}`"));
            }
            Some(value) => argv.extend([flag.into(), value]),
            None => {}
        }
    }
    let mut command = Command::new(argv)
        .env("ANTHROPIC_BASE_URL", &way.url)
        .env("ANTHROPIC_API_KEY", &way.placeholder)
        .env("NO_PROXY", "127.0.0.1,localhost")
        .env("CLAUDE_CODE_MAX_RETRIES", settings.max_retries.to_string());
    for quiet in [
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_AUTOUPDATER",
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
    ] {
        command = command.env(quiet, "1");
    }
    command.stdin = stdin(&job.prompt);
    Ok(command)
}

fn is_plain(tool: &str) -> bool {
    !tool.is_empty() && tool.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A prompt that begins with a slash would be taken for one of its commands.
fn stdin(prompt: &str) -> Vec<u8> {
    let opening = if prompt.trim_start().starts_with('/') { "Task: " } else { "" };
    format!("{opening}{prompt}").into_bytes()
}

/// Prompts speak of `/workspace`, `/in` and `/out`; a sandbox without a file system of its own has them elsewhere.
fn system_prompt(job: &Job) -> String {
    let mut text = job.system_prompt.clone();
    for (usual, here) in [("/workspace", &job.workspace), ("/in", &job.in_dir), ("/out", &job.out_dir)] {
        if usual != here {
            text.push_str(&format!("\n\nIn this sandbox `{usual}` is `{here}`: use that path instead."));
        }
    }
    text
}

/// Approvals. Reading is not narrowed to folders: the sandbox holds nothing that the agent may not read. `Write` and `Edit` are both governed by
/// rules called `Edit`; `//` begins an absolute path.
fn rules(job: &Job) -> Vec<String> {
    let mut rules: Vec<String> = job.tools.iter().filter(|tool| !tool.writes).map(|tool| tool.name.clone()).collect();
    if job.tools.iter().any(|tool| tool.writes) {
        rules.push(format!("Edit(/{}/**)", job.out_dir));
        for glob in job.write.iter().flat_map(|glob| without_braces(glob)) {
            rules.push(format!("Edit(/{}/{})", job.workspace, glob.trim_start_matches('/')));
        }
    }
    rules
}

/// Its patterns are those of `.gitignore`, which know no braces: `*.{ts,js}` becomes two. A parenthesis would end the rule: `?` stands in for it.
fn without_braces(glob: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut open = vec![glob.replace(['(', ')', '\n'], "?")];
    while let Some(pattern) = open.pop() {
        let inner = pattern.find('{').and_then(|start| Some((start, start + pattern[start..].find('}')?)));
        match inner {
            Some((start, end)) if done.len() + open.len() < BRACES_LIMIT => {
                let (before, after) = (&pattern[..start], &pattern[end + 1..]);
                open.extend(pattern[start + 1..end].split(',').rev().map(|choice| format!("{before}{choice}{after}")));
            }
            Some(_) | None => done.push(pattern),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_sdk::executor::WayOut;

    fn tool(name: &str) -> Tool {
        Tool { name: name.into(), writes: matches!(name, "Write" | "Edit"), executes: name == "Bash" }
    }

    fn way(provider: &str, url: &str) -> WayOut {
        WayOut { provider: provider.into(), url: url.into(), placeholder: "placeholder".into(), ..WayOut::default() }
    }

    fn job(tools: &[&str], write: &[&str]) -> Job {
        Job {
            prompt: "do it".into(),
            system_prompt: "you are".into(),
            tools: tools.iter().map(|name| tool(name)).collect(),
            write: write.iter().map(|glob| glob.to_string()).collect(),
            ways_out: vec![way("other", "http://127.0.0.1:1"), way(PROVIDER, "http://127.0.0.1:8377")],
            workspace: "/workspace".into(),
            in_dir: "/in".into(),
            out_dir: "/out".into(),
            ..Job::default()
        }
    }

    fn after<'a>(argv: &'a [String], flag: &str) -> Vec<&'a str> {
        let values = argv.iter().skip_while(|arg| *arg != flag).skip(1);
        values.take_while(|arg| !arg.starts_with("--")).map(String::as_str).collect()
    }

    #[test]
    fn a_manager_may_write_out_only() {
        let argv = launch(&job(&["Read", "Glob", "Grep", "Write"], &[])).unwrap().argv;
        assert_eq!(argv[0], "claude");
        assert_eq!(after(&argv, "--tools"), ["Read,Glob,Grep,Write"]);
        assert_eq!(after(&argv, "--allowedTools"), ["Read", "Glob", "Grep", "Edit(//out/**)"]);
        assert_eq!(after(&argv, "--setting-sources"), ["user"]);
        assert_eq!(after(&argv, "--permission-mode"), ["dontAsk"]);
        assert!(
            argv.contains(&"--strict-mcp-config".into()) && !argv.iter().any(|arg| arg.contains("skip-permissions"))
        );
    }

    #[test]
    fn a_worker_may_write_its_workspace_and_run_commands() {
        let argv = launch(&job(&["Read", "Edit", "Bash"], &["**", "**/*.{ts,js}", "a (b)/**"])).unwrap().argv;
        let expected = [
            "Read",
            "Bash",
            "Edit(//out/**)",
            "Edit(//workspace/**)",
            "Edit(//workspace/**/*.ts)",
            "Edit(//workspace/**/*.js)",
            "Edit(//workspace/a ?b?/**)",
        ];
        assert_eq!(after(&argv, "--allowedTools"), expected);
    }

    #[test]
    fn nothing_granted_is_nothing_there() {
        let argv = launch(&job(&[], &["**"])).unwrap().argv;
        assert_eq!(after(&argv, "--tools"), [""]);
        assert!(!argv.contains(&"--allowedTools".into()));
    }

    #[test]
    fn environment_holds_the_placeholder_and_nothing_that_calls_home() {
        let command = launch(&job(&["Read"], &[])).unwrap();
        let value = |name: &str| command.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(value("ANTHROPIC_API_KEY"), Some("placeholder"));
        assert_eq!(value("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:8377"));
        assert_eq!(value("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"), Some("1"));
        assert_eq!(value("CLAUDE_CODE_MAX_RETRIES"), Some("2"));
        assert_eq!(value("NO_PROXY"), Some("127.0.0.1,localhost"));
        assert_eq!(command.stdin, b"do it");
    }

    #[test]
    fn model_turns_session_and_settings_become_flags() {
        let mut job = job(&["Read"], &[]);
        (job.model, job.max_turns, job.resume) = (Some("claude-opus-4-8".into()), Some(0), Some("5b134470".into()));
        job.settings = r#"{"max-retries": 0, "system-prompt": "replace"}"#.into();
        let command = launch(&job).unwrap();
        assert_eq!(after(&command.argv, "--model"), ["claude-opus-4-8"]);
        assert_eq!(after(&command.argv, "--max-turns"), ["1"]);
        assert_eq!(after(&command.argv, "--resume"), ["5b134470"]);
        assert_eq!(after(&command.argv, "--system-prompt"), ["you are"]);
        assert!(command.env.contains(&("CLAUDE_CODE_MAX_RETRIES".into(), "0".into())));
    }

    #[test]
    fn what_would_become_another_flag_or_nothing_is_refused() {
        let refused = |change: &dyn Fn(&mut Job)| {
            let mut job = job(&["Read"], &[]);
            change(&mut job);
            launch(&job).unwrap_err()
        };
        assert!(refused(&|job| job.ways_out.truncate(1)).contains("no way out to `anthropic`"));
        assert!(refused(&|job| job.prompt = " \n".into()).contains("blank"));
        assert!(refused(&|job| job.resume = Some("--dangerously-skip-permissions".into())).contains("--resume"));
        assert!(refused(&|job| job.tools.push(tool("Bash(rm *)"))).contains("no name of a tool"));
        assert!(refused(&|job| job.settings = r#"{"max-retries": "x"}"#.into()).contains("settings do not fit"));
        assert!(refused(&|job| job.system_prompt = "x".repeat(200_000)).contains("120 KiB"));
    }

    #[test]
    fn a_prompt_is_never_a_command_and_paths_are_told_where_they_differ() {
        let mut job = job(&["Write"], &["src/**"]);
        (job.prompt, job.workspace, job.out_dir) = ("/help".into(), "/srv/run/w".into(), "/srv/run/out".into());
        let command = launch(&job).unwrap();
        assert_eq!(command.stdin, b"Task: /help");
        assert_eq!(after(&command.argv, "--allowedTools"), ["Edit(//srv/run/out/**)", "Edit(//srv/run/w/src/**)"]);
        let system = after(&command.argv, "--append-system-prompt")[0];
        assert!(system.contains("`/workspace` is `/srv/run/w`") && !system.contains("`/in` is"));
    }
}
