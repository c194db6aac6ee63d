//! Makefiles and justfiles: rules with what they need and what they run, variables, and files that are included
//! (gnu.org/software/make/manual, just.systems/man).

use super::{INCLUDED, Look, Recipe, Recipes};
use crate::check::harness::{commands::joined, steps::Steps, variables::Variables};
use std::collections::BTreeSet;

/// Rules of a file that lies, and is run, in `folder`; `files` takes what it includes.
pub(in super::super) fn makefile(
    text: &str,
    folder: &str,
    files: &mut BTreeSet<String>,
    look: &mut Look<'_>,
    steps: &mut Steps,
) -> Recipes {
    let mut read =
        Reader { folder, files, included: BTreeSet::new(), variables: Variables::default(), lines: Vec::new() };
    read.take(text, look, steps);
    let (variables, lines) = (read.variables, read.lines);
    let mut recipes = Recipes::default();
    let mut now: Option<(Vec<String>, Recipe)> = None;
    for line in lines {
        if !steps.take(line.len()) {
            break;
        }
        if line.starts_with(['\t', ' ']) {
            if let Some((_, recipe)) = &mut now {
                recipe.line(&variables.filled(line.trim(), steps));
            }
            continue;
        }
        let is_condition = ["if", "else", "endif"].iter().any(|word| line.starts_with(word)) && !line.contains(": ");
        if line.trim().is_empty() || line.starts_with('#') || is_condition {
            continue;
        }
        if let Some((names, recipe)) = now.take() {
            recipes.add(names, recipe);
        }
        let line = variables.filled(&line, steps);
        let Some((names, needs)) = line.split_once(':').filter(|(names, _)| !names.contains('#')) else { continue };
        let (needs, inline) = needs.split_once(';').unwrap_or((needs, ""));
        let names: Vec<String> = words(names).collect();
        if recipes.first.is_empty() {
            recipes.first.extend(names.iter().find(|name| !name.starts_with('.')).cloned());
        }
        let mut recipe = Recipe { needs: words(needs.trim_start_matches(':')).collect(), ..Recipe::default() };
        recipe.line(inline);
        now = Some((names, recipe));
    }
    if let Some((names, recipe)) = now {
        recipes.add(names, recipe);
    }
    recipes.first.extend(variables.get(".DEFAULT_GOAL").map(str::to_owned));
    recipes.path = variables.filled("$(PYTHONPATH)", steps);
    recipes
}

/// Names in a rule; those of a recipe with arguments stand in parentheses.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace()
        .map(|word| word.trim_matches(['(', ')', '@', '&']))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}

struct Reader<'a> {
    folder: &'a str,
    /// Takes what is included.
    files: &'a mut BTreeSet<String>,
    included: BTreeSet<String>,
    variables: Variables,
    /// All but assignments, with what is included in its place.
    lines: Vec<String>,
}

impl Reader<'_> {
    fn take(&mut self, text: &str, look: &mut Look<'_>, steps: &mut Steps) {
        let mut open: Vec<String> = vec![text.to_owned()];
        while let Some(text) = open.pop() {
            let text = interpolated(&text.replace("\\\n", " "));
            let mut defines: Option<(String, String)> = None;
            for line in text.lines() {
                if !steps.take(line.len()) {
                    return;
                }
                if let Some((name, value)) = &mut defines {
                    if line.trim_start().starts_with("endef") {
                        self.variables.set(name, value, steps);
                        defines = None;
                    } else {
                        value.push_str(line);
                        value.push('\n');
                    }
                    continue;
                }
                if let Some(name) = line.strip_prefix("define ") {
                    defines = name.split_whitespace().next().map(|name| (name.to_owned(), String::new()));
                    continue;
                }
                if line.starts_with('\t') {
                    self.lines.push(line.to_owned());
                    continue;
                }
                // One that is indented may be that of a condition, or a command of a justfile.
                if self.assigns(line, steps) && !line.starts_with(' ') {
                    continue;
                }
                for path in includes(line) {
                    let path = self.variables.filled(path.trim_matches(['"', '\'']), steps);
                    for path in path.split_whitespace().filter_map(|path| joined(self.folder, path)) {
                        if self.included.len() < INCLUDED && self.included.insert(path.clone()) {
                            self.files.insert(path.clone());
                            open.extend(look(&path));
                        }
                    }
                }
                self.lines.push(line.to_owned());
            }
        }
    }

    /// Notes a variable that a line sets, for all rules or for one.
    fn assigns(&mut self, line: &str, steps: &mut Steps) -> bool {
        if self.assigned(line, steps) {
            return true;
        }
        // Of one rule: its name stays, without needs.
        let of_rule = line.split_once(':').filter(|(names, _)| !names.contains(['=', '#']));
        of_rule.is_some_and(|(_, rest)| self.assigned(rest.trim_start_matches(':'), steps))
    }

    fn assigned(&mut self, line: &str, steps: &mut Steps) -> bool {
        let line = line.trim_start();
        let words = ["export ", "override ", "private "];
        let line = words.iter().fold(line, |line, word| line.strip_prefix(word).unwrap_or(line).trim_start());
        let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(0);
        let (name, rest) = line.split_at(end);
        let rest = rest.trim_start();
        let operators = ["=", ":=", "::=", ":::=", "?=", "+=", "!="];
        let value = operators.iter().find_map(|operator| Some((*operator, rest.strip_prefix(operator)?)));
        let Some((operator, value)) = value.filter(|_| !name.is_empty()) else { return false };
        let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'', '`']);
        match operator {
            "+=" => self.variables.add(name, value),
            _ => self.variables.set(name, value, steps),
        }
        true
    }
}

/// What a line includes.
fn includes(line: &str) -> impl Iterator<Item = &str> {
    let words = ["include ", "-include ", "sinclude ", "import ", "import? "];
    let rest = words.iter().find_map(|word| line.trim_start().strip_prefix(word));
    rest.into_iter().flat_map(|rest| rest.split_whitespace()).take_while(|word| !word.starts_with('#'))
}

/// `{{name}}` of a justfile as Make writes it.
fn interpolated(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        out.push_str(&rest[..at]);
        rest = &rest[at + 2..];
        let name = rest.trim_start();
        let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(name.len());
        match name[end..].trim_start().strip_prefix("}}") {
            Some(after) if end > 0 => {
                out.push_str(&format!("$({})", &name[..end]));
                rest = after;
            }
            _ => out.push_str("{{"),
        }
    }
    out.push_str(rest);
    out
}
