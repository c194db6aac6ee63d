//! `noxfile.py`: what its sessions run (nox.thea.codes, "Configuration & API"). Code that makes commands of variables is not followed.

use super::{Recipe, Recipes};
use crate::check::harness::steps::Steps;

/// Methods of a session that run the words they are given.
const RUNS: [&str; 3] = ["run", "run_always", "run_install"];

/// Longest call that is read, in bytes.
const LONGEST: usize = 4096;

pub(in super::super) fn nox(text: &str, steps: &mut Steps) -> Recipes {
    let mut recipes = Recipes::default();
    // Functions that are no sessions may be called by any.
    let mut shared = Recipe::default();
    let (mut names, mut is_session, mut body) = (Vec::new(), false, String::new());
    let mut sessions: Vec<(Vec<String>, Recipe)> = Vec::new();
    let mut end = |names: &mut Vec<String>, is_session: bool, body: &mut String, steps: &mut Steps| {
        let recipe = session(&std::mem::take(body), steps);
        match is_session {
            true => sessions.push((std::mem::take(names), recipe)),
            false => shared.text.push_str(&recipe.text),
        }
        names.clear();
    };
    for line in text.lines() {
        if !steps.take(line.len()) {
            break;
        }
        if line.starts_with('@') {
            if !body.is_empty() {
                end(&mut names, is_session, &mut body, steps);
                is_session = false;
            }
            is_session |= line.contains("session");
            names.extend(line.split("name=").nth(1).and_then(|rest| literals(rest).into_iter().next()));
        } else if let Some(rest) = line.strip_prefix("def ") {
            if !body.is_empty() {
                end(&mut names, is_session, &mut body, steps);
                is_session = false;
            }
            names.extend(rest.split('(').next().map(str::to_owned));
            body.push('\n');
        } else if line.starts_with("nox.options.sessions") {
            recipes.first.extend(literals(line));
        } else if line.starts_with([' ', '\t', ')']) || line.is_empty() {
            body.push_str(line);
            body.push('\n');
        } else {
            end(&mut names, is_session, &mut body, steps);
            is_session = false;
        }
    }
    end(&mut names, is_session, &mut body, steps);
    for (names, mut recipe) in sessions {
        recipe.needs.push(String::new());
        recipes.add(names, recipe);
    }
    recipes.add([String::new()], shared);
    if recipes.first.is_empty() {
        recipes.first = recipes.names().cloned().collect();
    }
    recipes
}

/// What the body of a function runs.
fn session(body: &str, steps: &mut Steps) -> Recipe {
    let mut recipe = Recipe::default();
    for (at, _) in body.match_indices('.') {
        let rest = &body[at + 1..];
        let name = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        let Some(inside) = rest[name.len()..].strip_prefix('(') else { continue };
        let is_folder = matches!(name, "chdir" | "cd");
        if !(is_folder || RUNS.contains(&name) || name == "notify") {
            continue;
        }
        let words = literals(inside);
        if !steps.take(words.iter().map(String::len).sum::<usize>()) {
            break;
        }
        match name {
            "notify" => recipe.needs.extend(words),
            _ if is_folder => recipe.line(&format!("cd {}", words.join(" "))),
            _ => recipe.line(&words.join(" ")),
        }
    }
    recipe
}

/// Strings up to where what is open is closed, or an argument with a name begins.
fn literals(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut depth, mut quote, mut word) = (0_usize, None, String::new());
    let mut before = ' ';
    for c in text.chars().take(LONGEST) {
        match quote {
            Some(mark) if c == mark => {
                found.push(std::mem::take(&mut word));
                quote = None;
            }
            Some(_) => word.push(c),
            None => match c {
                '"' | '\'' => quote = Some(c),
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                '=' if depth == 0 && before.is_ascii_alphanumeric() => break,
                _ => {}
            },
        }
        before = c;
    }
    found
}
