//! What a test command runs, as far as its words and the base's recipes and scripts tell: files that somebody could change under it.

use super::package;
use std::collections::{BTreeMap, BTreeSet};

/// Files that are looked into at most; who hides a script deeper than that has to be found otherwise.
const LOOKED_INTO: usize = 40;

/// What a command runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Paths that may be files it runs or loads, as they are written.
    pub files: BTreeSet<String>,
    /// Files of the base that would tell more and were not given.
    pub unread: BTreeSet<String>,
}

/// Looks through recipes and scripts from a command on; `texts` are files of the base, none for one that is not there.
pub fn runs(command: &str, texts: &BTreeMap<String, Option<String>>) -> Runs {
    let mut runs = Runs::default();
    let mut open = vec![command.to_owned()];
    let mut seen = BTreeSet::new();
    while let Some(text) = open.pop() {
        if seen.len() > LOOKED_INTO || !seen.insert(text.clone()) {
            continue;
        }
        let mut look = |path: &str| -> Option<String> {
            match texts.get(path) {
                Some(text) => text.clone(),
                None => {
                    runs.unread.insert(path.to_owned());
                    None
                }
            }
        };
        let mut included = Vec::new();
        for call in calls(&text) {
            for target in &call.made {
                for file in ["Makefile", "makefile", "GNUmakefile", "justfile", "Justfile"] {
                    if let Some(text) = look(file) {
                        included.extend(text.lines().flat_map(includes).map(plain));
                        open.extend(recipe(&text, target));
                    }
                }
            }
            if call.packaged {
                let scripts =
                    look("package.json").and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
                if let Some(scripts) = scripts.as_ref().and_then(|value| value.get("scripts")?.as_object()) {
                    let names = package::steering(&text, scripts, scripts);
                    open.extend(names.iter().filter_map(|name| scripts.get(name)?.as_str().map(str::to_owned)));
                }
            }
            for file in call.files {
                // A program of the machine has no such text; a script has.
                if file.contains(['/', '.']) && !runs.files.contains(&file) && is_shell(&file) {
                    open.extend(look(&file));
                }
                runs.files.insert(file);
            }
        }
        runs.files.extend(included);
    }
    runs
}

/// What a line of a Makefile or justfile includes.
fn includes(line: &str) -> impl Iterator<Item = &str> {
    let words = ["include ", "-include ", "sinclude ", "import ", "import? "];
    let rest = words.iter().find_map(|word| line.trim_start().strip_prefix(word));
    rest.into_iter().flat_map(|rest| rest.split_whitespace()).take_while(|word| !word.starts_with('#'))
}

fn is_shell(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.contains('.') || name.ends_with(".sh") || name.ends_with(".bash")
}

/// One simple command of a shell.
#[derive(Default)]
struct Call {
    files: Vec<String>,
    /// Targets of `make` or `just`.
    made: Vec<String>,
    /// A package manager runs scripts of `package.json`.
    packaged: bool,
}

/// Options whose value is a file or module that is loaded.
pub(super) const LOADERS: [&str; 18] = [
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "--env-file",
    "-c",
    "--config",
    "--config-file",
    "--rcfile",
    "--setupFiles",
    "--globalSetup",
    "--setup",
    "--preload",
    "--test-reporter",
    "--test-global-setup",
    "-p",
    "-m",
];

fn calls(text: &str) -> Vec<Call> {
    let joined = text.replace("\\\n", " ");
    joined.split(['\n', ';', '|', '&', '(', ')', '`', '{', '}']).map(call).collect()
}

fn call(text: &str) -> Call {
    let mut call = Call::default();
    let mut words = text.split_whitespace().map(|word| word.trim_matches(['"', '\'', '@', '$'])).peekable();
    // Assignments, and what Make and shells put before a command.
    while words
        .next_if(|word| {
            word.is_empty()
                || matches!(*word, "-" | "+" | "!" | "then" | "do" | "else" | "if" | "while")
                || is_assignment(word)
        })
        .is_some()
    {}
    let Some(first) = words.next() else { return call };
    let program = first.rsplit('/').next().unwrap_or(first);
    call.files.push(plain(first));
    let rest: Vec<&str> = words.collect();
    match program {
        "make" | "gmake" | "just" | "(MAKE)" | "{MAKE}" => {
            let named = rest
                .iter()
                .filter(|word| !word.starts_with('-') && !is_assignment(word))
                .map(|word| (*word).to_owned());
            call.made = named.collect();
            if call.made.is_empty() {
                call.made.push(String::new());
            }
        }
        "npm" | "pnpm" | "yarn" | "bun" | "npx" => call.packaged = true,
        _ => {}
    }
    let mut loads: Option<&str> = None;
    let mut takes_tests = is_runner(program);
    for word in &rest {
        let (option, value) = word.split_once('=').map_or((*word, None), |(option, value)| (option, Some(value)));
        if word.starts_with('-') {
            takes_tests |= *word == "--test" && matches!(program, "node" | "tsx");
            loads = LOADERS.contains(&option).then_some(option);
            if let Some(value) = value.filter(|_| loads.take().is_some()) {
                call.files.extend(loaded(value));
            }
        } else if let Some(option) = loads.take() {
            call.files.extend(loaded(word));
            // What follows are the module's own arguments.
            if option == "-m" && !is_wrapper(word) {
                break;
            }
        } else {
            // What stands there may be an argument; it counts only where it is a file that runs. A test that a runner is told to run
            // is a test by itself.
            let path = plain(word);
            takes_tests |= is_runner(&path);
            if !(takes_tests && is_test_file(&path)) {
                call.files.push(path);
            }
            if !is_wrapper(program) {
                break;
            }
        }
    }
    call
}

/// Programs whose arguments are tests, which they run as such.
fn is_runner(program: &str) -> bool {
    matches!(
        program,
        "pytest" | "py.test" | "nose2" | "jest" | "vitest" | "mocha" | "ava" | "tap" | "tape" | "jasmine" | "uvu"
    )
}

/// A file by whose name a runner knows a test.
pub(super) fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || name.contains(".test.")
        || name.contains(".spec.")
}

/// Programs that run another one that stands behind them.
fn is_wrapper(program: &str) -> bool {
    matches!(
        program,
        "env"
            | "exec"
            | "time"
            | "timeout"
            | "nice"
            | "xvfb-run"
            | "uv"
            | "poetry"
            | "pipenv"
            | "hatch"
            | "pdm"
            | "rye"
            | "npx"
            | "coverage"
            | "cross-env"
            | "dotenv"
            | "command"
            | "sudo"
            | "bundle"
            | "nohup"
            | "stdbuf"
    )
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && !name.starts_with('-') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

pub(super) fn plain(word: &str) -> String {
    word.trim_start_matches("./").trim_matches(['"', '\'']).to_owned()
}

/// Paths that a module or file could be at.
fn loaded(word: &str) -> Vec<String> {
    let word = plain(word);
    let module = word.replace('.', "/");
    let mut paths: Vec<String> = [".py", "/__main__.py", "/__init__.py"].map(|end| format!("{module}{end}")).to_vec();
    paths.extend([".js", ".cjs", ".mjs", ".ts"].map(|end| format!("{word}{end}")));
    paths.push(word);
    paths
}

/// Commands of a target of a Makefile and of all it needs; without a name, of the first one.
fn recipe(text: &str, target: &str) -> Option<String> {
    let mut rules: BTreeMap<&str, (Vec<&str>, String)> = BTreeMap::new();
    let mut first = None;
    let mut now: Vec<&str> = Vec::new();
    for line in text.lines() {
        if line.starts_with(['\t', ' ']) {
            for name in &now {
                let rule = rules.entry(name).or_default();
                rule.1.push_str(line.trim());
                rule.1.push('\n');
            }
        } else if let Some((names, needs)) = line.split_once(':').filter(|(names, _)| !names.contains(['=', '#'])) {
            now = names.split_whitespace().collect();
            let (needs, inline) = needs.split_once(';').unwrap_or((needs, ""));
            for name in &now {
                if !name.starts_with('.') {
                    first.get_or_insert(*name);
                }
                let rule = rules.entry(name).or_default();
                rule.0.extend(needs.trim_start_matches(':').split_whitespace().filter(|word| *word != "|"));
                rule.1.push_str(inline);
                rule.1.push('\n');
            }
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            now.clear();
        }
    }
    let mut open = vec![if target.is_empty() { first? } else { target }];
    let mut done = BTreeSet::new();
    let mut commands = String::new();
    while let Some(name) = open.pop() {
        if done.insert(name)
            && let Some((needs, recipe)) = rules.get(name)
        {
            commands.push_str(recipe);
            open.extend(needs);
        }
    }
    (!commands.is_empty()).then_some(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_runs_is_found_through_recipes_and_scripts() {
        let texts: BTreeMap<String, Option<String>> = [
            ("Makefile", Some("PY = python3\n\nrun:\n\t$(PY) app.py\n\ntest: lint\n\t@$(PY) tools/check.py --all\n\t./ci/test.sh\nlint:\n\tsh tools/lint.sh\n")),
            ("ci/test.sh", Some("set -e\nexec python3 -m tools.harness tests\n")),
            ("tools/lint.sh", Some("true\n")),
            ("package.json", Some(r#"{"scripts":{"test":"node -r ./hooks/pre.js runner.mjs && npm run unit","unit":"node unit.js","start":"node app.js"}}"#)),
            ("makefile", None),
            ("GNUmakefile", None),
            ("justfile", None),
            ("Justfile", None),
        ]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.map(str::to_owned)))
        .collect();
        #[rustfmt::skip]
        let rows: [(&str, &[&str], &[&str]); 7] = [
            ("make test", &["tools/check.py", "ci/test.sh", "tools/harness.py", "tools/lint.sh"], &["app.py"]),
            ("npm test", &["hooks/pre.js", "runner.mjs", "unit.js"], &["app.js"]),
            ("python3 tools/run.py -v", &["tools/run.py"], &[]),
            ("python3 -m pytest -q", &["pytest.py"], &["shop.py"]),
            ("python3 -m py_compile shop.py", &[], &["app.py"]),
            ("PYTHONPATH=. timeout 60 python3 tools/run.py", &["tools/run.py"], &[]),
            ("pytest -p tests.plugin", &["tests/plugin.py"], &[]),
        ];
        for (command, has, lacks) in rows {
            let got = runs(command, &texts);
            assert!(has.iter().all(|path| got.files.contains(*path)), "{command}: {got:?}");
            assert!(!lacks.iter().any(|path| got.files.contains(*path)), "{command}: {got:?}");
        }
        assert!(runs("make test", &BTreeMap::new()).unread.contains("Makefile"));
        assert_eq!(runs("make test", &texts).unread, BTreeSet::new());
    }
}
