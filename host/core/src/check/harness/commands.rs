//! Commands of a shell, taken apart: which program is called where, and which of its words are files that it runs or loads.

use super::{
    steps::Steps,
    variables::{SOMEWHERE, Variables, cut, python_path},
};

/// One simple command.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Its name without folders.
    pub program: String,
    /// Where it is called, from the top; empty there.
    pub folder: String,
    /// What stands behind it.
    pub words: Vec<String>,
    /// Paths that may be files it runs or loads, as they are written.
    pub files: Vec<String>,
    /// What is put on Python's path before it, as it is written.
    pub path: Vec<String>,
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

/// Words that shells and Make put before a command.
const BEFORE: [&str; 15] = [
    "-", "+", "!", "then", "do", "else", "if", "elif", "while", "until", "export", "local", "readonly", "shell", "eval",
];

/// Longest path, in bytes; where a folder would have a longer one, it is not followed.
const LONGEST: usize = 255;

/// Subshells within subshells whose folder is kept.
const DEEPEST: usize = 64;

/// Commands of a text that is run in `folder`; `beside` is where the text itself lies. Lines of a recipe are each a shell of their own.
pub(super) fn calls(text: &str, (folder, beside): (&str, &str), is_recipe: bool, steps: &mut Steps) -> Vec<Call> {
    let joined = text.replace("\\\n", " ");
    let mut variables = Variables::default();
    for part in joined.split(['\n', ';']) {
        set(part, &mut variables, steps);
    }
    let filled = variables.filled(&joined, steps);
    let mut calls = Vec::new();
    let mut open = vec![(filled, folder.to_owned())];
    while let Some((text, at)) = open.pop() {
        let (text, quoted) = unquoted(&text, steps);
        let (mut here, mut outside) = (at.clone(), Vec::new());
        for part in text.split_inclusive(DIVIDING) {
            if !steps.take(part.len()) {
                return calls;
            }
            let end = part.chars().next_back().filter(|c| DIVIDING.contains(c));
            let words: Vec<&str> =
                part.split_whitespace().map(|word| word.trim_matches(|c| "\"'@$\n;|&()`{}".contains(c))).collect();
            if let Some(folder) = changed_folder(&words, &here, beside) {
                here = folder;
            } else {
                let before = calls.len();
                read(&words, &here, &mut calls);
                let is_read = calls[before..].last().is_some_and(|call| reads_quoted(&call.program));
                let texts = part
                    .matches(|c| QUOTED.contains(&c))
                    .filter_map(|c| quoted.get(c.chars().next()? as usize - START));
                open.extend(texts.filter(|_| !is_read).map(|text| (text.clone(), here.clone())));
                let path: Vec<String> = python_path(part).map(str::to_owned).collect();
                if !path.is_empty() {
                    calls.push(Call { folder: here.clone(), path, ..Call::default() });
                }
            }
            match end {
                Some('(') if outside.len() < DEEPEST => outside.push(here.clone()),
                Some(')') => here = outside.pop().unwrap_or(here),
                Some('\n') if is_recipe => {
                    here.clone_from(&at);
                    outside.clear();
                }
                _ => {}
            }
        }
    }
    calls
}

/// Signs that stand for texts in quotes, from the first of a plane that nobody writes in.
const QUOTED: std::ops::RangeInclusive<char> = '\u{f0000}'..='\u{ffffd}';
const START: usize = 0xf0000;

/// Signs that divide commands, unless they stand in quotes.
const DIVIDING: [char; 9] = ['\n', ';', '|', '&', '(', ')', '`', '{', '}'];

/// A text with a sign of [`QUOTED`] for each part in quotes that is of more than one command, if it is one; and those parts. What a
/// shell puts in, it does where it stands.
fn unquoted(text: &str, steps: &mut Steps) -> (String, Vec<String>) {
    let (mut out, mut parts) = (String::with_capacity(text.len()), Vec::new());
    let mut signs = QUOTED;
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '\\', '#']) {
        out.push_str(&rest[..at]);
        let sign = &rest[at..=at];
        let behind = &rest[at + 1..];
        let line = cut(behind).split('\n').next().unwrap_or_default();
        if !steps.take(line.len()) {
            break;
        }
        rest = behind;
        match sign {
            // What is escaped is none of these; a comment ends with its line.
            "\\" => {
                out.push_str(sign);
                let next = behind.chars().next().map_or(0, char::len_utf8);
                out.push_str(&behind[..next]);
                rest = &behind[next..];
            }
            "#" if out.is_empty() || out.ends_with(char::is_whitespace) => {
                rest = &behind[line.len()..];
            }
            "#" => out.push_str(sign),
            _ => {
                let inside = line.find(sign).map(|end| &line[..end]);
                let is_put_in = |inside: &str| inside.contains("$(") || sign == "\"" && inside.contains(['`', '\\']);
                match inside.filter(|inside| inside.contains(DIVIDING) && !is_put_in(inside)).zip(signs.next()) {
                    Some((inside, mark)) => {
                        out.push(mark);
                        parts.push(inside.to_owned());
                        rest = &behind[inside.len() + 1..];
                    }
                    None => {
                        // Up to where it is closed, quotes of the other kind open nothing.
                        let end = inside.filter(|inside| !is_put_in(inside)).map_or(0, |inside| inside.len() + 1);
                        out.push_str(sign);
                        out.push_str(&behind[..end]);
                        rest = &behind[end..];
                    }
                }
            }
        }
    }
    out.push_str(rest);
    (out, parts)
}

/// Programs to which a text in quotes is no command of a shell.
fn reads_quoted(program: &str) -> bool {
    kind(program) == Some(Kind::Reads) || matches!(program, "awk" | "gawk" | "mawk" | "jq" | "yq")
}

/// A line of a script that sets a variable.
fn set(line: &str, variables: &mut Variables, steps: &mut Steps) {
    let line = line.trim();
    let line = ["export ", "local ", "readonly "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line);
    let Some((name, value)) = line.split_once('=').filter(|_| is_assignment(line)) else { return };
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let is_printed = value.trim_start_matches('"').starts_with("$(");
    let value = match quote {
        _ if is_printed => value.trim_matches('"'),
        Some(quote) => value[1..].split(quote).next().unwrap_or_default(),
        None => value.split_whitespace().next().unwrap_or_default(),
    };
    if is_printed {
        // What a command prints is known where it is a folder.
        let folder = variables.filled(value, steps);
        if !folder.contains('(') {
            variables.set(name, &folder, steps);
        }
    } else {
        // What it holds is not taken apart once more.
        variables.set(name, if value.contains(DIVIDING) { "" } else { value }, steps);
    }
}

/// Where the commands after a `cd` are run; one to a place that is not known leads to the top.
fn changed_folder(words: &[&str], here: &str, beside: &str) -> Option<String> {
    let is_before = |word: &&&str| word.is_empty() || BEFORE.contains(*word);
    let (first, rest) = words[words.iter().take_while(is_before).count()..].split_first()?;
    let is_there = matches!(*first, "cd" | "pushd");
    let to = rest.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
    is_there.then(|| match to.strip_prefix(SOMEWHERE) {
        Some(below) => joined(beside, below).unwrap_or_default(),
        None if to.is_empty() || to.starts_with(['/', '~']) => String::new(),
        None => joined(here, to).unwrap_or_default(),
    })
}

/// A path as it is from the top, given the folder that it is written in; none for one that leaves the tree.
pub(super) fn joined(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    (path.len() <= LONGEST).then_some(path)
}

/// How the words behind a program are to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It runs the first of them.
    Runs,
    /// They are tests, which it runs as such; another file may hold tests as well.
    Tests,
    /// They are a command of their own.
    Wraps,
    /// They are a command of their own behind `-c`.
    Shell,
    /// It looks at them and runs none.
    Reads,
    /// They are names of what a file of recipes has.
    Recipes,
}

fn kind(program: &str) -> Option<Kind> {
    Some(match program {
        _ if is_shell(program) => Kind::Shell,
        "node" | "nodejs" | "deno" | "tsx" | "ts-node" | "perl" | "ruby" | "php" | "." | "source" => Kind::Runs,
        "pytest" | "py.test" | "nose2" | "jest" | "vitest" | "mocha" | "ava" | "tap" | "tape" | "jasmine" | "uvu" => {
            Kind::Tests
        }
        "env" | "exec" | "time" | "timeout" | "nice" | "xvfb-run" | "uv" | "poetry" | "pipenv" | "hatch" | "pdm"
        | "rye" | "pixi" | "mise" | "npx" | "uvx" | "coverage" | "cross-env" | "dotenv" | "command" | "sudo"
        | "bundle" | "nohup" | "stdbuf" => Kind::Wraps,
        "make" | "gmake" | "just" | "task" | "go-task" | "tox" | "nox" | "poe" | "poethepoet" | "npm" | "pnpm"
        | "yarn" => Kind::Recipes,
        "ruff" | "flake8" | "pylint" | "pyflakes" | "pycodestyle" | "pydocstyle" | "mypy" | "pyright" | "pyre"
        | "pytype" | "black" | "isort" | "autopep8" | "yapf" | "bandit" | "vulture" | "radon" | "interrogate"
        | "codespell" | "eslint" | "prettier" | "stylelint" | "standard" | "xo" | "biome" | "jshint" | "tsc"
        | "shellcheck" | "shfmt" | "yamllint" | "markdownlint" | "gofmt" | "golangci-lint" | "rustfmt" | "echo"
        | "printf" | "grep" | "egrep" | "fgrep" | "sed" | "head" | "tail" | "cut" | "diff" | "cmp" | "sort"
        | "uniq" | "wc" | "find" | "test" | "[" | "[[" | "ls" | "mkdir" | "rm" | "touch" | "chmod" | "git" => {
            Kind::Reads
        }
        _ if program.starts_with("python") || program.starts_with("pypy") => Kind::Runs,
        _ => return None,
    })
}

/// Commands that are run by commands, each in the words of the one before, that are read.
const INNERMOST: usize = 8;

/// Reads one command, and those that it runs.
fn read(words: &[&str], folder: &str, calls: &mut Vec<Call>) {
    let mut words = words;
    for _ in 0..INNERMOST {
        let is_before = |word: &&&str| word.is_empty() || BEFORE.contains(*word) || is_assignment(word);
        let Some((first, rest)) = words[words.iter().take_while(is_before).count()..].split_first() else { return };
        let (call, inner) = one(first, rest, folder);
        calls.push(call);
        let Some(at) = inner else { return };
        words = rest.get(at..).unwrap_or_default();
    }
}

/// Reads one command; where another begins in its words, that place as well.
fn one(first: &str, rest: &[&str], folder: &str) -> (Call, Option<usize>) {
    let program = first.rsplit('/').next().unwrap_or(first);
    let kind = kind(program);
    let mut call = Call { program: program.to_owned(), folder: folder.to_owned(), ..Call::default() };
    call.words = rest.iter().map(|word| (*word).to_owned()).collect();
    call.files.push(first.trim_matches(['"', '\'']).to_owned());
    let mut loads: Option<&str> = None;
    let mut takes_tests = kind == Some(Kind::Tests);
    for (at, word) in rest.iter().enumerate().filter(|(_, word)| !word.is_empty()) {
        let (option, value) = word.split_once('=').map_or((*word, None), |(option, value)| (option, Some(value)));
        if word.starts_with('-') {
            if kind == Some(Kind::Shell) && !word.starts_with("--") && word.ends_with('c') {
                return (call, Some(at + 1));
            }
            takes_tests |= *word == "--test" && matches!(program, "node" | "tsx");
            // What a file of recipes is called by stands behind options of its own.
            loads = LOADERS.contains(&option).then_some(option).filter(|_| kind != Some(Kind::Recipes));
            if let Some(value) = value.filter(|_| loads.take().is_some()) {
                call.files.extend(loaded(value));
            }
        } else if let Some(option) = loads.take() {
            call.files.extend(loaded(word));
            if option == "-m" {
                // What follows are the module's own arguments; where it runs something, they are read as that.
                let runs = matches!(kind_of(word), Some(Kind::Wraps | Kind::Recipes));
                return (call, runs.then_some(at));
            }
        } else if kind == Some(Kind::Wraps) && kind_of(word).is_some() || is_packaged(program) && is_runner(word) {
            return (call, Some(at));
        } else if matches!(kind, Some(Kind::Reads | Kind::Recipes))
            || program == "coverage" && call.files.len() == 1 && *word != "run"
        {
            break;
        } else {
            // What stands there may be an argument; it counts only where it is a file that runs. A test that a runner is told to run
            // is a test by itself.
            let path = plain(word);
            if !(takes_tests && is_test_file(&path)) {
                call.files.push(path);
            }
            if kind != Some(Kind::Wraps) {
                break;
            }
        }
    }
    (call, None)
}

pub(super) fn is_shell(program: &str) -> bool {
    matches!(program, "sh" | "bash" | "dash" | "zsh" | "ksh" | "ash")
}

/// Package managers of JavaScript, which run scripts of a `package.json`.
pub(super) fn is_packaged(program: &str) -> bool {
    matches!(program, "npm" | "pnpm" | "yarn" | "bun" | "npx")
}

/// A program that runs what is named behind it.
fn is_runner(word: &str) -> bool {
    matches!(kind_of(word), Some(Kind::Runs | Kind::Tests | Kind::Wraps | Kind::Shell))
}

/// How the words behind a word are to be read if it is a program.
fn kind_of(word: &str) -> Option<Kind> {
    kind(word.rsplit('/').next().unwrap_or(word))
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
