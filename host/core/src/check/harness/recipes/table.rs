//! Tables of scripts in TOML: those of poe, pdm, rye, pixi, taskipy, hatch and mise, and the environments of tox. They say in much the
//! same words what runs, so one rule reads all of them.

use super::{Recipe, Recipes, ini};
use crate::check::harness::{steps::Steps, tables::find};
use toml::{Table, Value};

/// Keys below which commands and names of other scripts stand.
const RUNS: [&str; 17] = [
    "cmd",
    "cmds",
    "shell",
    "run",
    "sequence",
    "parallel",
    "composite",
    "chain",
    "ref",
    "deps",
    "uses",
    "depends",
    "depends-on",
    "depends_on",
    "depends_post",
    "pre",
    "post",
];

/// Scripts of the table at a path.
pub(in super::super) fn under(table: &Table, path: &[&str], steps: &mut Steps) -> Recipes {
    let mut recipes = Recipes::default();
    if let Some(scripts) = find(table, path).and_then(Value::as_table) {
        scripts.iter().for_each(|(name, value)| recipes.add([name.clone()], script(value, steps)));
    }
    recipes
}

/// Scripts of all environments of hatch (hatch.pypa.io, "Environment configuration"), by their names alone and behind that of theirs.
pub(in super::super) fn hatch(table: &Table, path: &[&str], steps: &mut Steps) -> Recipes {
    let mut recipes = Recipes::default();
    for (env, value) in find(table, path).and_then(Value::as_table).into_iter().flatten() {
        for (name, value) in value.get("scripts").and_then(Value::as_table).into_iter().flatten() {
            recipes.add([name.clone(), format!("{env}:{name}")], script(value, steps));
        }
    }
    recipes
}

fn script(value: &Value, steps: &mut Steps) -> Recipe {
    let mut recipe = Recipe::default();
    run(value, &mut recipe, steps);
    recipe
}

fn run(value: &Value, recipe: &mut Recipe, steps: &mut Steps) {
    match value {
        Value::String(text) if steps.take(text.len()) => {
            // It may be the name of another.
            recipe.needs.extend(text.split_whitespace().next().map(str::to_owned));
            recipe.line(text);
        }
        Value::Array(list) => list.iter().for_each(|value| run(value, recipe, steps)),
        Value::Table(table) => {
            for (key, value) in table {
                let words = value.as_array().map(|list| list.iter().filter_map(Value::as_str).collect::<Vec<_>>());
                match (key.as_str(), value, words) {
                    // One command in its words.
                    ("cmd", Value::Array(_), Some(words)) => recipe.line(&words.join(" ")),
                    ("script" | "call", Value::String(text), _) => {
                        recipe.line(&format!("python -m {}", text.split([':', '(']).next().unwrap_or_default()));
                    }
                    ("file", Value::String(text), _) => recipe.line(&format!("sh {text}")),
                    ("dir" | "cwd", Value::String(text), _) => recipe.folder.clone_from(text),
                    (key, value, _) if RUNS.contains(&key) => run(value, recipe, steps),
                    _ => {}
                }
            }
        }
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

/// Environments of a `tox.toml`, or of `[tool.tox]`; that of all is the empty one.
pub(in super::super) fn tox_table(table: &Table, steps: &mut Steps) -> Recipes {
    if let Some(text) = table.get("legacy_tox_ini").and_then(Value::as_str) {
        return ini::tox(text, steps);
    }
    let mut recipes = Recipes::default();
    let envs = table.get("env").and_then(Value::as_table).into_iter().flatten();
    let base = table.get("env_run_base").map(|base| (String::new(), base));
    let listed = table.get("env_list").and_then(Value::as_array).into_iter().flatten();
    recipes.first.push(String::new());
    recipes.first.extend(listed.filter_map(Value::as_str).map(str::to_owned));
    for (name, env) in envs.map(|(name, env)| (name.clone(), env)).chain(base) {
        let mut recipe = Recipe::default();
        for (key, value) in env.as_table().into_iter().flatten() {
            let list = || value.as_array().into_iter().flatten();
            match key.as_str() {
                "change_dir" => recipe.folder = ini::substituted(value.as_str().unwrap_or_default()),
                "allowlist_externals" => {
                    let own = list().filter_map(Value::as_str).filter(|word| word.contains('/'));
                    own.for_each(|word| recipe.line(&ini::substituted(word)));
                }
                key if key.starts_with("commands") => {
                    for words in list().filter_map(Value::as_array) {
                        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                        recipe.line(&ini::substituted(&words.join(" ")));
                    }
                }
                _ => {}
            }
        }
        if !steps.take(recipe.text.len()) {
            break;
        }
        recipes.add([name], recipe);
    }
    recipes
}
