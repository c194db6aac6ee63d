//! Variables of Makefiles, justfiles and shell scripts, as far as the text that sets them tells what is in them.

use super::steps::Steps;
use std::collections::BTreeMap;

/// Stands at the start of a path for a folder that is not known: that of the script, or the one it is run in.
pub(super) const SOMEWHERE: char = '\u{1}';

/// Longest value, and longest line with all its variables filled in, in bytes; a command that somebody reads is shorter.
const LONGEST: usize = 4096;

/// Variables within variables that are followed.
const DEEPEST: usize = 8;

/// Names that Make, shells, tox and Task give to the folder they work in.
const HERE: [&str; 7] = ["CURDIR", "PWD", "toxinidir", "tox_root", "TASKFILE_DIR", "ROOT_DIR", "MISE_PROJECT_ROOT"];

#[derive(Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Notes a value. Which of several is the one depends on conditions, so it is each of them, on lines of their own.
    pub fn set(&mut self, name: &str, value: &str, steps: &mut Steps) {
        let is_own = [format!("${name}"), format!("$({name})"), format!("${{{name}}}")];
        let value = cut(value.trim());
        if is_own.iter().any(|reference| value.contains(reference.as_str())) {
            let whole = self.filled(value, steps);
            self.0.insert(name.to_owned(), whole);
            return;
        }
        let held = self.0.entry(name.to_owned()).or_default();
        let is_there = held.lines().any(|line| line == value);
        if !is_there && steps.take(held.len()) && held.len() + value.len() <= LONGEST {
            held.push_str(if held.is_empty() { "" } else { "\n" });
            held.push_str(value);
        }
    }

    /// Notes more of a value (`+=`).
    pub fn add(&mut self, name: &str, value: &str) {
        let held = self.0.entry(name.to_owned()).or_default();
        let value = cut(value.trim());
        if held.len() + value.len() <= LONGEST {
            held.push(' ');
            held.push_str(value);
        }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A text with what its variables hold in their place; nothing stands for one that is not known, and [`SOMEWHERE`] if a path goes on
    /// behind it.
    pub fn filled(&self, text: &str, steps: &mut Steps) -> String {
        let mut out = String::new();
        for (at, line) in text.split('\n').enumerate() {
            out.push_str(if at == 0 { "" } else { "\n" });
            let start = out.len();
            self.fill(line, 0, start, &mut out, steps);
        }
        out
    }

    fn fill(&self, text: &str, depth: usize, start: usize, out: &mut String, steps: &mut Steps) {
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            // The line itself may be long; what variables make of it may not.
            if !steps.take(at) || depth > 0 && out.len() - start > LONGEST {
                return;
            }
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let Some((reference, after)) = reference(rest, steps) else {
                out.push('$');
                // `$$` is the shell's `$` in a recipe.
                rest = rest.strip_prefix('$').unwrap_or(rest);
                continue;
            };
            let goes_on = after.trim_start_matches('"').starts_with('/');
            match reference {
                Reference::Folder => out.push(SOMEWHERE),
                Reference::Variable { name, default } => match (self.0.get(name), default) {
                    (Some(value), _) if depth < DEEPEST && out.len() - start <= LONGEST => {
                        self.fill(value, depth + 1, start, out, steps);
                    }
                    (Some(_), _) => {}
                    (None, _) if name == "MAKE" => out.push_str("make"),
                    (None, _) if HERE.contains(&name) => out.push('.'),
                    (None, Some(default)) if depth < DEEPEST => self.fill(default, depth + 1, start, out, steps),
                    (None, _) if goes_on => out.push(SOMEWHERE),
                    (None, _) => {}
                },
            }
            rest = if goes_on { after.trim_start_matches('"') } else { after };
        }
        if steps.take(rest.len()) {
            out.push_str(rest);
        }
    }
}

/// What stands behind a `$`.
enum Reference<'a> {
    Variable {
        name: &'a str,
        default: Option<&'a str>,
    },
    /// A command that prints a folder, which is that of the script or the one it is run in.
    Folder,
}

fn reference<'a>(rest: &'a str, steps: &mut Steps) -> Option<(Reference<'a>, &'a str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let closing = match rest.chars().next()? {
        '(' => ')',
        '{' => '}',
        c if c.is_ascii_alphabetic() || c == '_' => {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            return Some((Reference::Variable { name: &rest[..end], default: None }, &rest[end..]));
        }
        _ => return None,
    };
    let inner = &rest[1..];
    // The dash of `${NAME-default}` is none of a shell's name, which has none.
    let end = inner.find(|c: char| !is_name(c) || closing == '}' && c == '-').unwrap_or(inner.len());
    let (name, after) = inner.split_at(end);
    if let Some(after) = after.strip_prefix(closing).filter(|_| !name.is_empty()) {
        return Some((Reference::Variable { name, default: None }, after));
    }
    let close = closed(inner, closing, steps)?;
    let (inside, after) = (&inner[..close], &inner[close + 1..]);
    let operation = &inside[end.min(close)..];
    if !name.is_empty() && (closing == '}' || operation.starts_with(':')) {
        let default = [":-", ":=", "-"].iter().find_map(|operator| operation.strip_prefix(operator));
        return Some((Reference::Variable { name, default: default.filter(|_| closing == '}') }, after));
    }
    let is_folder = ["dirname", "pwd", "--show-toplevel", "MAKEFILE_LIST"].iter().any(|word| inside.contains(word));
    is_folder.then_some((Reference::Folder, after))
}

/// Where what was opened is closed, within the length of a command.
fn closed(text: &str, closing: char, steps: &mut Steps) -> Option<usize> {
    let opening = if closing == ')' { '(' } else { '{' };
    let mut depth = 0_usize;
    for (at, c) in text.char_indices().take(LONGEST / 8) {
        if !steps.take(0) {
            return None;
        }
        if c == opening {
            depth += 1;
        } else if c == closing {
            if depth == 0 {
                return Some(at);
            }
            depth -= 1;
        }
    }
    None
}

/// As much of a text as somebody reads.
pub(super) fn cut(text: &str) -> &str {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Folders that `PYTHONPATH` is set to anywhere in a text (docs.python.org/3/using/cmdline.html), as they are written there.
pub(super) fn python_path(text: &str) -> impl Iterator<Item = &str> {
    const NAME: &str = "PYTHONPATH";
    let values = text.match_indices(NAME).filter_map(|(at, _)| {
        // What only reads it is no setting.
        if ["$", "${", "$(", "_"].iter().any(|start| text[..at].ends_with(start)) {
            return None;
        }
        let rest = text[at + NAME.len()..].trim_start_matches(['"', '\'', ']', ' ']);
        let operators = ["=", ":=", "::=", "?=", "+=", ":", ","];
        let rest =
            operators.iter().find_map(|operator| rest.strip_prefix(operator).filter(|rest| !rest.starts_with('=')))?;
        let line = cut(rest.split('\n').next().unwrap_or_default()).trim_start();
        let quote = line.chars().next().filter(|c| matches!(c, '"' | '\''));
        Some(match quote {
            Some(quote) => line[1..].split(quote).next().unwrap_or_default(),
            None => {
                let word = line.split(|c: char| c.is_whitespace() || "&|,".contains(c)).next().unwrap_or_default();
                let is_open = word.contains(['(', '{']);
                if is_open { word } else { word.trim_end_matches([')', '}']) }
            }
        })
    });
    values.flat_map(|value| value.split([':', ';'])).map(str::trim).filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_variable_holds_stands_in_its_place() {
        let mut steps = Steps::new();
        let mut variables = Variables::default();
        for (name, value) in [("PY", "python3"), ("RUN", "$(PY) scripts/run.py"), ("SELF", "a"), ("SELF", "$SELF b")] {
            variables.set(name, value, &mut steps);
        }
        variables.add("RUN", "--all");
        for (text, filled) in [
            ("$(RUN) x", "python3 scripts/run.py --all x"),
            ("${PY} $PY $$PY", "python3 python3 $PY"),
            ("$(SELF)", "a b"),
            ("$(MAKE) -C sub", "make -C sub"),
            ("$(UNKNOWN) tools/a.py", " tools/a.py"),
            ("$(CURDIR)/bin", "./bin"),
            ("$DIR/lib.sh", "\u{1}/lib.sh"),
            ("\"$(dirname \"$0\")\"/lib.sh", "\"\u{1}/lib.sh"),
            ("${DIR:-scripts}/lib.sh", "scripts/lib.sh"),
            ("$(SRC:.c=.o)", ""),
            ("$(shell sh a.sh) $@ $", "$(shell sh a.sh) $@ $"),
        ] {
            assert_eq!(variables.filled(text, &mut steps), filled, "{text}");
        }
        variables.set("PY", "python3.12", &mut steps);
        assert_eq!(variables.filled("$(PY) a.py", &mut steps), "python3\npython3.12 a.py");
    }

    #[test]
    fn a_path_of_python_is_found_wherever_it_is_set() {
        for (text, paths) in [
            ("PYTHONPATH=src:lib pytest", &["src", "lib"][..]),
            ("export PYTHONPATH := ./lib", &["./lib"]),
            ("  PYTHONPATH = ./src\n", &["./src"]),
            ("{\"PYTHONPATH\": \"a/b\"}", &["a/b"]),
            ("env:\n  PYTHONPATH: src\n", &["src"]),
            ("PYTHONPATH=\"src:$PYTHONPATH\" x", &["src", "$PYTHONPATH"]),
            ("export PYTHONPATH := $(CURDIR)/lib", &["$(CURDIR)/lib"]),
            ("{PYTHONPATH: src}", &["src"]),
            ("echo $PYTHONPATH", &[]),
            ("echo ${PYTHONPATH}", &[]),
            ("os.environ[\"PYTHONPATH\"] = \"src\"", &["src"]),
        ] {
            assert_eq!(python_path(text).collect::<Vec<_>>(), paths, "{text}");
        }
    }
}
