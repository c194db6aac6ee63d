//! Files of named commands (recipes, tasks, sessions, environments, scripts) and what one of their names runs. A reader for each kind of
//! file makes [`Recipes`] of it; what is in them is looked through by [`super::runs`].

mod ini;
mod make;
mod nox;
mod table;
mod taskfile;

pub(super) use ini::{pytest_paths, substituted, tox};
pub(super) use make::makefile;
pub(super) use nox::nox;
pub(super) use table::{hatch, tox_table, under};
pub(super) use taskfile::taskfile;

use super::steps::Steps;
use std::collections::{BTreeMap, BTreeSet};

/// What is in one file.
#[derive(Debug, Default)]
pub(super) struct Recipes {
    names: BTreeMap<String, Vec<usize>>,
    recipes: Vec<Recipe>,
    /// Those of the names that have a `%`, which stands for any part of one.
    patterns: Vec<String>,
    /// Those that are run where none is named.
    pub first: Vec<String>,
    /// What the file sets `PYTHONPATH` to, where that is made of its variables.
    pub path: String,
}

/// Commands that are run together.
#[derive(Debug, Default)]
pub(super) struct Recipe {
    /// Names of others that are run with them, as far as there are such.
    pub needs: Vec<String>,
    /// A command a line.
    pub text: String,
    /// Where they are run, from where the file lies.
    pub folder: String,
}

impl Recipe {
    pub fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

impl Recipes {
    pub fn add(&mut self, names: impl IntoIterator<Item = String>, recipe: Recipe) {
        for name in names {
            if name.contains('%') {
                self.patterns.push(name.clone());
            }
            self.names.entry(name).or_default().push(self.recipes.len());
        }
        self.recipes.push(recipe);
    }

    pub fn has(&self, name: &str) -> bool {
        self.found(name, Sought::Named).is_some()
    }

    /// Recipes under a name, and what of it stands for the `%` of theirs.
    fn found<'a>(&self, name: &'a str, sought: Sought) -> Option<(&[usize], &'a str)> {
        if let Some(own) = self.names.get(name) {
            return Some((own, ""));
        }
        let fits = |pattern: &&String| -> Option<&'a str> {
            let (start, end) = pattern.split_once('%')?;
            name.strip_prefix(start)?.strip_suffix(end).filter(|stem| !stem.is_empty())
        };
        let patterns = self.patterns.iter().filter(|_| sought != Sought::ByPattern).take(PATTERNS);
        let pattern = patterns.filter_map(|pattern| Some((self.names.get(pattern)?, fits(&pattern)?))).next();
        let other = || Some((self.names.get(".DEFAULT").filter(|_| sought == Sought::Named)?, name));
        pattern.or_else(other).map(|(own, stem)| (own.as_slice(), stem))
    }

    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// What runs under some names, each recipe once: texts by the folder they are run in.
    pub fn reach(&self, names: &[String], steps: &mut Steps) -> BTreeMap<&str, String> {
        let mut open: Vec<(&str, Sought)> = names.iter().map(|name| (name.as_str(), Sought::Named)).collect();
        let (mut seen, mut done) = (BTreeSet::new(), BTreeSet::new());
        let mut texts: BTreeMap<&str, String> = BTreeMap::new();
        while let Some((name, sought)) = open.pop() {
            if !seen.insert(name) || !steps.take(self.patterns.len().min(PATTERNS)) {
                continue;
            }
            let Some((own, stem)) = self.found(name, sought) else { continue };
            let next = if stem.is_empty() { Sought::Needed } else { Sought::ByPattern };
            // One of a pattern is another for each name.
            for at in own.iter().filter(|at| done.insert((**at, stem))) {
                let recipe = &self.recipes[*at];
                if !steps.take(recipe.text.len() + recipe.needs.len()) {
                    return texts;
                }
                let text = texts.entry(&recipe.folder).or_default();
                // What Make calls the name, and what stood for the `%`.
                let stands = [("$@", name), ("$*", stem)];
                match stands.iter().any(|(sign, _)| recipe.text.contains(sign)) && name.len() < LONGEST {
                    true if steps.take(recipe.text.matches('$').count() * name.len()) => {
                        let filled =
                            stands.iter().fold(recipe.text.clone(), |text, (sign, name)| text.replace(sign, name));
                        text.push_str(&filled);
                    }
                    _ => text.push_str(&recipe.text),
                }
                open.extend(recipe.needs.iter().map(|need| (need.as_str(), next)));
            }
        }
        texts
    }
}

/// How a name came up: rules with a `%` are for those that are not by one already, and that for all others for what was called.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sought {
    Named,
    Needed,
    ByPattern,
}

/// Names with a `%` that another is held against; a Makefile that somebody reads has fewer.
const PATTERNS: usize = 64;

/// Longest name that is put into a recipe, in bytes.
const LONGEST: usize = 255;

/// Reads other files of the base, by their paths from the top.
pub(super) type Look<'a> = dyn FnMut(&str) -> Option<String> + 'a;

/// Files that one file may take in, and they others; who has more of them has no recipe that somebody reads.
const INCLUDED: usize = 32;
