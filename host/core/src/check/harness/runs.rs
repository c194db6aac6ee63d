//! What a test command runs, as far as its words and the base's recipes and scripts tell: files that somebody could change under it.
//!
//! From the command on, each text of commands is taken apart ([`calls`]); a script is looked through where it is called, and a program
//! that has a file of recipes runs what its words name there ([`Tool`]). Only what is reached like this counts: tox.ini does where tox is
//! called, and of a Makefile the targets that are made.

use super::{
    commands::{Call, calls, is_packaged, is_shell, joined},
    is_whole,
    manifest::Manifest,
    package,
    recipes::{self, Recipes},
    steps::Steps,
    tables::plain,
    variables::{SOMEWHERE, Variables, python_path},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

/// What a command runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Paths that may be files it runs or loads.
    pub files: BTreeSet<String>,
    /// Folders that it, or what it runs, puts on the path that Python looks for modules in.
    pub searched: BTreeSet<String>,
    /// Files of the base that would tell more and were not given.
    pub unread: BTreeSet<String>,
    /// There was more than is looked at for one change.
    pub is_cut: bool,
}

/// Looks through recipes and scripts from a command on; `texts` are files of the base, none for one that is not there.
pub fn runs(command: &str, texts: &BTreeMap<String, Option<String>>) -> Runs {
    let walk = walk(command, texts);
    Runs { is_cut: walk.steps.is_short(), ..walk.runs }
}

fn walk<'a>(command: &str, texts: &'a BTreeMap<String, Option<String>>) -> Walk<'a> {
    let mut walk = Walk { texts, runs: Runs::default(), steps: Steps::new(), read: BTreeMap::new(), open: Vec::new() };
    walk.open.push(Text { folder: String::new(), beside: String::new(), text: command.to_owned(), is_recipe: false });
    let mut seen = BTreeSet::new();
    while let Some(text) = walk.open.pop() {
        if walk.steps.take(text.text.len()) && seen.insert(text.clone()) {
            walk.look_through(&text);
        }
    }
    walk
}

/// Steps that following one command costs, whatever it is.
const CALL: usize = 100;

/// Commands that are run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Text {
    /// Where they are run.
    folder: String,
    /// Where the script lies.
    beside: String,
    text: String,
    /// Each line is run by a shell of its own.
    is_recipe: bool,
}

/// A program that runs what a file of recipes has under the names it is given.
struct Tool {
    programs: &'static [&'static str],
    /// Options that name the folder it works in.
    folders: &'static [&'static str],
    /// Options that name the file.
    file: &'static [&'static str],
    /// Files that it reads where none is named.
    files: &'static [&'static str],
    read: fn(&mut Walk<'_>, &str, &str) -> Recipes,
}

const TOOLS: [Tool; 10] = [
    Tool {
        programs: &["make", "gmake"],
        folders: &["-C", "--directory"],
        file: &["-f", "--file", "--makefile"],
        files: &["GNUmakefile", "makefile", "Makefile"],
        read: makefile,
    },
    Tool {
        programs: &["just"],
        folders: &["-d", "--working-directory"],
        file: &["-f", "--justfile"],
        files: &["justfile", "Justfile", ".justfile"],
        read: makefile,
    },
    Tool {
        programs: &["task", "go-task"],
        folders: &["-d", "--dir"],
        file: &["-t", "--taskfile"],
        files: &["Taskfile.yml", "Taskfile.yaml", "taskfile.yml", "taskfile.yaml", "Taskfile.dist.yml"],
        read: taskfile,
    },
    Tool {
        programs: &["tox"],
        folders: &["--root"],
        file: &["-c", "--conf"],
        files: &["tox.ini", "setup.cfg", "pyproject.toml", "tox.toml"],
        read: |walk, path, text| match plain(text) {
            Ok(table) if path.ends_with("pyproject.toml") => {
                let own = super::tables::find(&table, &["tool", "tox"]).and_then(toml::Value::as_table);
                own.map(|table| recipes::tox_table(table, &mut walk.steps)).unwrap_or_default()
            }
            Ok(table) if path.ends_with(".toml") => recipes::tox_table(&table, &mut walk.steps),
            Ok(_) | Err(_) => recipes::tox(text, &mut walk.steps),
        },
    },
    Tool {
        programs: &["nox"],
        folders: &[],
        file: &["-f", "--noxfile"],
        files: &["noxfile.py"],
        read: |walk, _, text| recipes::nox(text, &mut walk.steps),
    },
    Tool {
        programs: &["mise"],
        folders: &["-C", "--cd"],
        file: &[],
        files: &["mise.toml", ".mise.toml", ".config/mise.toml"],
        read: |walk, _, text| walk.scripts(text, &[&["tasks"]]),
    },
    Tool {
        programs: &["poe", "poethepoet"],
        folders: &["-C", "--directory"],
        file: &[],
        files: &["pyproject.toml", "poe_tasks.toml"],
        read: |walk, _, text| walk.scripts(text, &[&["tool", "poe", "tasks"], &["tasks"]]),
    },
    Tool {
        programs: &["hatch"],
        folders: &[],
        file: &[],
        files: &["pyproject.toml", "hatch.toml"],
        read: |walk, path, text| {
            let Ok(table) = plain(text) else { return Recipes::default() };
            let below: &[&str] = if path.ends_with("hatch.toml") { &["envs"] } else { &["tool", "hatch", "envs"] };
            recipes::hatch(&table, below, &mut walk.steps)
        },
    },
    Tool {
        programs: &["pdm"],
        folders: &["-p", "--project"],
        file: &[],
        files: &["pyproject.toml"],
        read: |walk, _, text| walk.scripts(text, &[&["tool", "pdm", "scripts"]]),
    },
    Tool {
        // That of taskipy is called as Task is.
        programs: &["rye", "pixi", "task"],
        folders: &[],
        file: &["--manifest-path"],
        files: &["pyproject.toml", "pixi.toml"],
        read: |walk, _, text| {
            let tables: [&[&str]; 4] =
                [&["tool", "rye", "scripts"], &["tool", "pixi", "tasks"], &["tool", "taskipy", "tasks"], &["tasks"]];
            walk.scripts(text, &tables)
        },
    },
];

/// Where package managers of JavaScript are told to work.
const PACKAGES: [&str; 4] = ["--prefix", "-C", "--dir", "--cwd"];

fn makefile(walk: &mut Walk<'_>, path: &str, text: &str) -> Recipes {
    let Walk { texts, runs, steps, .. } = walk;
    let mut look = |path: &str| look(texts, &mut runs.unread, path);
    recipes::makefile(text, above(path), &mut runs.files, &mut look, steps)
}

fn taskfile(walk: &mut Walk<'_>, path: &str, text: &str) -> Recipes {
    let Walk { texts, runs, steps, .. } = walk;
    let mut look = |path: &str| look(texts, &mut runs.unread, path);
    recipes::taskfile(text, above(path), &mut runs.files, &mut look, steps)
}

/// The folder that a path lies in.
fn above(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

struct Walk<'a> {
    texts: &'a BTreeMap<String, Option<String>>,
    runs: Runs,
    steps: Steps,
    /// Files of recipes, by their paths.
    read: BTreeMap<(usize, String), Option<Rc<Recipes>>>,
    open: Vec<Text>,
}

impl Walk<'_> {
    fn look_through(&mut self, text: &Text) {
        for call in calls(&text.text, (&text.folder, &text.beside), text.is_recipe, &mut self.steps) {
            // Each looks for some files.
            if !self.steps.take(CALL) {
                return;
            }
            for (index, tool) in TOOLS.iter().enumerate() {
                if tool.programs.contains(&call.program.as_str()) {
                    self.follow(index, tool, &call);
                }
            }
            call.path.iter().for_each(|entry| self.searched(&call.folder, entry));
            if is_packaged(&call.program) {
                self.packaged(&call);
            }
            self.scripts_of(call, &text.beside);
        }
    }

    /// Files that a call runs or loads, and scripts among them.
    fn scripts_of(&mut self, call: Call, beside: &str) {
        for (at, file) in call.files.into_iter().enumerate() {
            // Looked for where programs are, not in the folder; a name with an ending may have been the value of a variable behind one.
            if at == 0 && !file.contains('/') {
                self.runs.files.insert(file.clone());
                if !file.contains('.') {
                    continue;
                }
            }
            // A program of the machine has no text here; a script has.
            let is_script = file.contains(['/', '.']) || is_shell(&call.program);
            for path in places(&file, &call.folder, beside) {
                if is_script
                    && !self.runs.files.contains(&path)
                    && is_shell_script(&path)
                    && let Some(text) = self.look(&path)
                {
                    let beside = above(&path).to_owned();
                    self.open.push(Text { folder: call.folder.clone(), beside, text, is_recipe: false });
                }
                self.runs.files.insert(path);
            }
        }
    }

    /// What a call names of a file of recipes.
    fn follow(&mut self, index: usize, tool: &Tool, call: &Call) {
        let (folder, words) = told(&call.folder, &call.words, tool.folders);
        let (named, words) = values(&words, tool.file);
        let own: Vec<&str> = if named.is_empty() { tool.files.to_vec() } else { named };
        for path in own.iter().filter_map(|name| joined(&folder, name)) {
            let key = (index, path.clone());
            if !self.read.contains_key(&key) {
                let read = self.look(&path).map(|text| {
                    self.search(above(&path), &text);
                    let recipes = (tool.read)(self, &path, &text);
                    self.searched(above(&path), &recipes.path);
                    Rc::new(recipes)
                });
                self.read.insert(key.clone(), read);
            }
            // That of the base is taken, or what of it steers.
            if !is_whole(&path) && Manifest::of(&path).is_none() {
                self.runs.files.insert(path);
            }
            let Some(recipes) = self.read.get(&key).cloned().flatten() else { continue };
            let names = names(&recipes, &words, &call.program);
            for (below, text) in recipes.reach(&names, &mut self.steps) {
                let Some(folder) = joined(&folder, below) else { continue };
                self.open.push(Text { folder: folder.clone(), beside: folder, text, is_recipe: true });
            }
            // A task of mise may be a file with its name.
            if call.program == "mise" {
                let tasks = words.iter().flat_map(|word| {
                    ["mise-tasks", ".mise/tasks", "mise/tasks", ".mise-tasks", ".config/mise/tasks"]
                        .map(|tasks| format!("{tasks}/{}", word.replace(':', "/")))
                });
                self.runs.files.extend(tasks.filter_map(|path| joined(&folder, &path)));
            }
        }
    }

    /// Scripts of a `package.json` that run when a package manager is called.
    fn packaged(&mut self, call: &Call) {
        let (folder, words) = told(&call.folder, &call.words, &PACKAGES);
        let Some(path) = joined(&folder, "package.json") else { return };
        let Some(text) = self.look(&path) else { return };
        if !self.steps.take(text.len()) {
            return;
        }
        let package = serde_json::from_str::<serde_json::Value>(&text).ok();
        let Some(scripts) = package.as_ref().and_then(|value| value.get("scripts")?.as_object()) else { return };
        let names = package::steering(&format!("{} {}", call.program, words.join(" ")), scripts, scripts);
        for text in names.iter().filter_map(|name| scripts.get(name)?.as_str()) {
            let text = text.to_owned();
            self.open.push(Text { folder: folder.clone(), beside: folder.clone(), text, is_recipe: false });
        }
    }

    /// Notes what a text puts on Python's path.
    fn search(&mut self, folder: &str, text: &str) {
        if self.steps.take(text.len()) {
            python_path(text).for_each(|entry| self.searched(folder, entry));
        }
    }

    /// Notes folders of Python's path, as they are written with colons between them.
    fn searched(&mut self, folder: &str, path: &str) {
        for entry in path.split([':', ';']).map(str::trim) {
            let entry = recipes::substituted(&Variables::default().filled(entry, &mut self.steps));
            let entry = entry.trim_start_matches([SOMEWHERE, '/']);
            if !entry.is_empty() {
                self.runs.searched.extend(joined(folder, entry));
            }
        }
    }

    fn scripts(&mut self, text: &str, tables: &[&[&str]]) -> Recipes {
        let Ok(table) = plain(text) else { return Recipes::default() };
        let found = tables.iter().find(|path| super::tables::find(&table, path).is_some());
        found.map(|path| recipes::under(&table, path, &mut self.steps)).unwrap_or_default()
    }

    fn look(&mut self, path: &str) -> Option<String> {
        look(self.texts, &mut self.runs.unread, path)
    }
}

fn look(texts: &BTreeMap<String, Option<String>>, unread: &mut BTreeSet<String>, path: &str) -> Option<String> {
    match texts.get(path) {
        Some(text) => text.clone(),
        None => {
            unread.insert(path.to_owned());
            None
        }
    }
}

/// Recipes that words name; of an option with a value, of a list with commas, or with a version behind its name as well. Where none is
/// named, those that run then.
fn names(recipes: &Recipes, words: &[&str], program: &str) -> Vec<String> {
    let parts = words.iter().flat_map(|word| word.split(['=', ',']));
    let known = |word: &str| {
        let short = || word.split(['-', '(']).next().filter(|_| program == "nox");
        std::iter::once(word).chain(short()).find(|name| !name.is_empty() && recipes.has(name)).map(str::to_owned)
    };
    let mut found: Vec<String> = parts.filter_map(known).collect();
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = |word: &&&str| !word.starts_with('-') && !word.contains('=') && !is_number(word);
    match program {
        // An environment that is not described has the commands of all.
        "tox" if words.iter().any(|word| word.starts_with("-e")) => found.push(String::new()),
        "tox" | "nox" if found.is_empty() => found.clone_from(&recipes.first),
        _ if found.is_empty() && words.iter().find(is_plain).is_none() => found.clone_from(&recipes.first),
        _ => {}
    }
    found
}

/// The folder that a program works in, and the words that do not say so.
fn told<'a>(folder: &str, words: &'a [String], options: &[&str]) -> (String, Vec<&'a str>) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (folders, words) = values(&words, options);
    let folder = folders.iter().fold(folder.to_owned(), |folder, below| joined(&folder, below).unwrap_or_default());
    (folder, words)
}

/// Values of some options, and the other words.
fn values<'a>(words: &[&'a str], options: &[&str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        let option = options.iter().find(|option| word.starts_with(**option));
        match option.map(|option| (option.starts_with("--"), &word[option.len()..])) {
            Some((_, "")) => found.extend(words.next()),
            Some((true, value)) if value.starts_with('=') => found.push(&value[1..]),
            // `-Cfolder`.
            Some((false, value)) => found.push(value),
            Some(_) | None => rest.push(word),
        }
    }
    (found, rest)
}

/// Where a file may lie that a call names: from where it is run, and beside the script where a variable says whose folder it is.
fn places(file: &str, folder: &str, beside: &str) -> Vec<String> {
    match file.strip_prefix(SOMEWHERE) {
        Some(below) => [folder, beside].iter().filter_map(|folder| joined(folder, below)).collect(),
        None if file.starts_with('/') => Vec::new(),
        None => joined(folder, file).into_iter().collect(),
    }
}

fn is_shell_script(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    !name.contains('.') || name.ends_with(".sh") || name.ends_with(".bash")
}

#[cfg(test)]
mod tests;
