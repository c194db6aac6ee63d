//! `Taskfile.yml` (taskfile.dev): its tasks by their lines. Nothing of YAML but indentation, keys and dashes is read, which is how people
//! write one; commands in a flow (`cmds: [a, b]`) are read as a line.

use super::{INCLUDED, Look, Recipe, Recipes};
use crate::check::harness::{commands::joined, steps::Steps, variables::Variables};
use std::collections::BTreeSet;

/// Keys of a task that hold commands.
const COMMANDS: [&str; 5] = ["cmd", "cmds", "sh", "defer", "cmd_all"];

/// Tasks of a file that lies in `folder`, and of those it includes.
pub(in super::super) fn taskfile(
    text: &str,
    folder: &str,
    files: &mut BTreeSet<String>,
    look: &mut Look<'_>,
    steps: &mut Steps,
) -> Recipes {
    let mut recipes = Recipes { first: vec!["default".to_owned()], ..Recipes::default() };
    let mut open =
        vec![Open { text: text.to_owned(), at: folder.to_owned(), space: String::new(), dir: String::new() }];
    let mut included = BTreeSet::new();
    while let Some(file) = open.pop() {
        if !steps.take(file.text.len()) {
            break;
        }
        for (path, space, dir) in read(&file, &mut recipes, steps) {
            let Some(path) = joined(&file.at, &path) else { continue };
            let is_file = path.ends_with(".yml") || path.ends_with(".yaml");
            let paths = if is_file {
                vec![path]
            } else {
                ["Taskfile.yml", "Taskfile.yaml"].map(|name| format!("{path}/{name}")).to_vec()
            };
            for path in paths {
                if included.len() >= INCLUDED || !included.insert(path.clone()) {
                    continue;
                }
                files.insert(path.clone());
                if let Some(text) = look(&path) {
                    let at = path.rsplit_once('/').map_or("", |(at, _)| at).to_owned();
                    open.push(Open { text, at, space: format!("{}{space}:", file.space), dir: dir.clone() });
                }
            }
        }
    }
    recipes
}

struct Open {
    text: String,
    /// Where the file lies.
    at: String,
    /// What stands before the names of its tasks.
    space: String,
    /// Where its tasks run, from where the first file lies.
    dir: String,
}

/// Notes the tasks of one file; what it includes: path, name, and folder.
fn read(file: &Open, recipes: &mut Recipes, steps: &mut Steps) -> Vec<(String, String, String)> {
    let mut includes: Vec<(String, String, String)> = Vec::new();
    let mut variables = Variables::default();
    let (mut top, mut depth) = (String::new(), None);
    let mut task: Option<(String, Vec<(usize, String)>)> = None;
    let mut tasks = Vec::new();
    for line in file.text.lines() {
        let plain = line.trim();
        let indent = line.len() - line.trim_start().len();
        if plain.is_empty() || plain.starts_with('#') {
            continue;
        }
        if indent == 0 {
            (top, depth) = (key(plain).map(|(key, _)| key.to_owned()).unwrap_or_default(), None);
            tasks.extend(task.take());
            continue;
        }
        let level = *depth.get_or_insert(indent);
        let pair = key(plain);
        match (top.as_str(), pair) {
            ("vars" | "env", Some((name, value))) if indent == level => variables.set(name, value, steps),
            ("includes", Some((name, value))) if indent == level => {
                includes.push((value.to_owned(), name.to_owned(), file.dir.clone()));
            }
            ("includes", Some((name, value))) => {
                if let Some(last) = includes.last_mut() {
                    match name {
                        "taskfile" => last.0 = value.to_owned(),
                        "dir" => last.2 = value.to_owned(),
                        _ => {}
                    }
                }
            }
            ("tasks", Some((name, value))) if indent == level => {
                tasks.extend(task.take());
                let lines = if value.is_empty() { Vec::new() } else { vec![(indent + 1, format!("cmd: {value}"))] };
                task = Some((name.to_owned(), lines));
            }
            ("tasks", _) => {
                if let Some((_, lines)) = &mut task {
                    lines.push((indent, plain.to_owned()));
                }
            }
            _ => {}
        }
    }
    tasks.extend(task);
    for (name, lines) in tasks {
        let mut recipe = commands(&lines, &file.space, &variables, steps);
        recipe.folder = joined(&file.dir, &recipe.folder).unwrap_or_default();
        let short = name == "default" && !file.space.is_empty();
        let own = [format!("{}{name}", file.space)];
        recipes.add(own.into_iter().chain(short.then(|| file.space.trim_end_matches(':').to_owned())), recipe);
    }
    includes.retain(|(path, _, _)| !path.is_empty() && !path.contains("://"));
    includes
}

/// What the lines of one task run.
fn commands(lines: &[(usize, String)], space: &str, variables: &Variables, steps: &mut Steps) -> Recipe {
    let mut recipe = Recipe::default();
    // The key of the task that the lines belong to, and how deep it stands.
    let mut under = (usize::MAX, String::new());
    for (indent, line) in lines {
        let item = line.strip_prefix("- ").map(str::trim);
        let is_below = *indent > under.0 || item.is_some() && *indent == under.0;
        let pair = key(item.unwrap_or(line));
        let filled = |text: &str, steps: &mut Steps| variables.filled(&interpolated(text), steps);
        match pair {
            Some(("task", name)) => recipe.needs.extend(named(space, name)),
            Some(("dir", folder)) if !is_below => recipe.folder = filled(folder, steps),
            Some((key, value)) if COMMANDS.contains(&key) || key == "deps" => {
                if item.is_none() {
                    under = (*indent, key.to_owned());
                }
                match key {
                    "deps" => value.split([',', '[', ']']).for_each(|name| recipe.needs.extend(named(space, name))),
                    _ => recipe.line(&filled(value.trim_start_matches(['|', '>', '[']), steps)),
                }
            }
            _ if is_below && under.1 == "deps" => recipe.needs.extend(named(space, item.unwrap_or(line))),
            _ if is_below && !under.1.is_empty() => {
                recipe.line(&filled(item.unwrap_or(line).trim_matches(['"', '\'']), steps));
            }
            Some(_) => under = (*indent, String::new()),
            None => {}
        }
    }
    recipe
}

/// A task as the first file calls it.
fn named(space: &str, name: &str) -> Option<String> {
    let name = name.trim().trim_matches(['"', '\'']);
    let name = name.strip_prefix(':').map_or_else(|| format!("{space}{name}"), str::to_owned);
    (!name.is_empty()).then_some(name)
}

/// A key and what stands behind it, without quotes. A command may have a colon, but no key has a blank.
fn key(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
    let key = key.trim_matches(['"', '\'']);
    (!key.contains(char::is_whitespace)).then_some((key, value.trim().trim_matches(['"', '\''])))
}

/// `{{.NAME}}` as a shell writes it.
fn interpolated(text: &str) -> String {
    let mut parts = text.split("{{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, after) = part.split_once("}}").unwrap_or(("", part));
        let name = inside.trim().trim_start_matches('.');
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            out.push_str(&format!("${{{name}}}"));
        }
        out.push_str(after);
    }
    out
}
