//! INI files: environments of tox (tox.wiki, "Configuration"), and the folders that pytest puts on its path.

use super::{Recipe, Recipes};
use crate::check::harness::steps::Steps;
use std::collections::BTreeMap;

/// Keys of a section with their lines.
type Section = BTreeMap<String, Vec<String>>;

/// Sections by their names; one that is there twice has the keys of both.
fn sections(text: &str) -> BTreeMap<String, Section> {
    let mut sections: BTreeMap<String, Section> = BTreeMap::new();
    let (mut section, mut key) = (String::new(), String::new());
    for line in text.lines().filter(|line| !line.trim_start().starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.split(']').next().unwrap_or_default().trim().to_owned();
            key.clear();
        } else if line.starts_with(char::is_whitespace) {
            if let Some(lines) = sections.get_mut(&section).and_then(|section| section.get_mut(&key)) {
                lines.push(line.trim().to_owned());
            }
        } else if let Some((name, value)) = line.split_once(['=', ':']) {
            key = name.trim().trim_end_matches('+').to_ascii_lowercase();
            sections.entry(section.clone()).or_default().entry(key.clone()).or_default().push(value.trim().to_owned());
        }
    }
    sections
}

/// Environments of a `tox.ini` or `setup.cfg`, by their names; that of all is the empty one.
pub(in super::super) fn tox(text: &str, steps: &mut Steps) -> Recipes {
    let mut recipes = Recipes::default();
    if !steps.take(text.len()) {
        return recipes;
    }
    let sections = sections(text);
    let listed: String = ["tox", "tox:tox"]
        .iter()
        .filter_map(|name| sections.get(*name))
        .flat_map(|section| ["envlist", "env_list"].iter().filter_map(|key| section.get(*key)))
        .flatten()
        .flat_map(|line| [line.as_str(), " "])
        .collect();
    recipes.first.push(String::new());
    for (name, section) in &sections {
        let Some(name) = name.strip_prefix("testenv") else { continue };
        let name = name.trim_start_matches(':');
        let mut recipe = Recipe::default();
        for (key, lines) in section {
            let lines: Vec<String> = lines.iter().map(|line| substituted(line)).collect();
            match key.as_str() {
                "changedir" | "change_dir" => recipe.folder = lines.concat(),
                "allowlist_externals" | "whitelist_externals" => {
                    // Programs of the machine have no path.
                    let own = lines.iter().flat_map(|line| line.split([' ', ','])).filter(|word| word.contains('/'));
                    own.for_each(|word| recipe.line(word));
                }
                key if key.starts_with("commands") => {
                    for line in lines.iter().flat_map(|line| without_factors(line)) {
                        recipe.line(line);
                    }
                }
                _ => {}
            }
        }
        // A list with braces stands for names made of its parts.
        if !name.is_empty() && name.split('-').all(|part| listed.contains(part)) {
            recipes.first.push(name.to_owned());
        }
        recipes.add([name.to_owned()], recipe);
    }
    recipes
}

/// A line of commands without the factors it is for, and the marks that say what becomes of a failure.
fn without_factors(line: &str) -> Option<&str> {
    let is_factor = |c: char| c.is_ascii_alphanumeric() || "!-_.,{}".contains(c);
    let line = match line.split_once(": ") {
        Some((factors, rest)) if factors.chars().all(is_factor) => rest,
        _ => line,
    };
    Some(line.trim_start_matches(['-', '!', ' '])).filter(|line| !line.is_empty())
}

/// What stands in braces as far as it is known.
pub(in super::super) fn substituted(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((inside, after)) = rest.split_once('}') else { break };
        let (name, value) = inside.split_once(':').unwrap_or((inside, ""));
        match name {
            "toxinidir" | "tox_root" | "/" => out.push_str(if name == "/" { "/" } else { "." }),
            "posargs" => out.push_str(value),
            "envpython" | "env_python" => out.push_str("python"),
            _ => {}
        }
        rest = after;
    }
    out + rest
}

/// What `pythonpath` of pytest lists in a file of sections, as it is written there (docs.pytest.org, "Configuration Options").
pub(in super::super) fn pytest_paths(text: &str) -> Vec<String> {
    let sections = sections(text);
    let own = ["pytest", "tool:pytest"].iter().filter_map(|name| sections.get(*name));
    let lines = own.flat_map(|section| ["pythonpath", "python_paths"].iter().filter_map(|key| section.get(*key)));
    lines.flatten().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect()
}
