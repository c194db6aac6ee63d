//! No two files of a crate import each other, straight or round about: what both need stands in a file below them.
//!
//! Read as text, the way rustfmt lays it out, tests left out. An arrow runs from a file to the one that defines a name it uses, whoever hands
//! that name on; to declare a module, import one, or hand a name on with `pub use` draws none. Globs are not followed to names.

use anyhow::Result;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Names of modules, from the root of the crate down.
type Module = Vec<String>;
type Modules = BTreeMap<Module, Code>;

/// How often a name is handed on at most.
const HANDED_ON: usize = 8;

/// What one file says of others.
#[derive(Default)]
struct Code {
    file: String,
    children: Vec<String>,
    /// Paths it imports, by the name they have here.
    imports: BTreeMap<String, Module>,
    /// Paths it uses; with those it hands on, the name they have here.
    paths: Vec<(Module, Option<String>)>,
    /// Names it uses itself.
    used: BTreeSet<String>,
}

/// A finding for each circle of the crate whose first file is `root`, a path below `tree`.
pub fn check(tree: &Path, root: &str) -> Result<Vec<String>> {
    let mut modules = Modules::new();
    let folder = root.rsplit_once('/').map_or("", |(folder, _)| folder);
    read(tree, root.to_owned(), folder, Module::new(), &mut modules)?;
    Ok(circles(&modules))
}

/// All paths in code without comments, imported ones and others; groups are taken apart.
pub fn paths_of(code: &str) -> Vec<Vec<String>> {
    Code::of("", code).paths.into_iter().map(|(path, _)| path).collect()
}

/// Reads a file and the modules it declares, which lie in `folder`.
fn read(tree: &Path, file: String, folder: &str, module: Module, modules: &mut Modules) -> Result<()> {
    let code = Code::of(&file, &production(&fs::read_to_string(tree.join(&file))?));
    for child in &code.children {
        let (flat, folder) = (format!("{folder}/{child}.rs"), format!("{folder}/{child}"));
        let file = if tree.join(&flat).exists() { flat } else { format!("{folder}/mod.rs") };
        read(tree, file, &folder, below(&module, child), modules)?;
    }
    modules.insert(module, code);
    Ok(())
}

fn below(module: &Module, name: &str) -> Module {
    [&module[..], &[name.to_owned()]].concat()
}

/// The text without tests and comments. What an inline module says of its parent, its file says of itself.
fn production(text: &str) -> String {
    let (mut kept, mut inline) = (String::new(), Vec::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("#[cfg(") && code.contains("test)") && !code.contains("not(test)") {
            let mut item = lines.by_ref().skip_while(|line| line.trim_start().starts_with(['#', '/']));
            let first = item.next().unwrap_or_default();
            if indent == 0 && first.contains("mod ") && first.ends_with('{') {
                // Clippy lets nothing stand behind a module of tests.
                break;
            }
            let ends = |line: &str| line.ends_with(['}', ';', ',']) && !line[indent..].starts_with(' ');
            if !ends(first) {
                item.find(|line| line.len() > indent && ends(line));
            }
            continue;
        }
        if code.starts_with('}') && inline.last() == Some(&indent) {
            inline.pop();
        }
        let code = code.split("//").next().unwrap_or_default();
        kept.extend([&code.replacen("super::", "self::", inline.len()), "\n"]);
        if code.ends_with('{') && code.split(' ').take(2).any(|word| word == "mod") {
            inline.push(indent);
        }
    }
    kept
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Words, `::`, and every other character alone.
fn tokens(mut code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    while let Some(first) = code.trim_start().chars().next() {
        code = code.trim_start();
        let word = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        let (token, rest) = code.split_at(if code.starts_with("::") { 2 } else { word.max(first.len_utf8()) });
        tokens.push(token);
        code = rest;
    }
    tokens
}

/// Paths of the tree that begins at a token, each with the name it brings in; `at` is behind it then.
fn paths(tokens: &[&str], at: &mut usize, mut path: Module, found: &mut Vec<(Module, String)>) {
    let token = |at: usize| tokens.get(at).copied().unwrap_or_default();
    while is_word(token(*at)) {
        if token(*at) != "self" || path.is_empty() {
            path.push(token(*at).to_owned());
        }
        *at += 1;
        if token(*at) != "::" || !(is_word(token(*at + 1)) || token(*at + 1) == "{") {
            break;
        }
        *at += 1;
    }
    if token(*at) == "{" && token(at.saturating_sub(1)) == "::" {
        while !["}", ""].contains(&token(*at)) {
            *at += 1;
            paths(tokens, at, path.clone(), found);
            while !["}", ",", ""].contains(&token(*at)) {
                *at += 1;
            }
        }
        *at += 1;
    } else if let Some(last) = path.last().cloned() {
        let is_renamed = token(*at) == "as";
        found.push((path, if is_renamed { token(*at + 1).to_owned() } else { last }));
    }
}

impl Code {
    fn of(file: &str, text: &str) -> Self {
        let mut code = Code { file: file.to_owned(), ..Code::default() };
        let tokens = tokens(text);
        let token = |at: usize| tokens.get(at).copied().unwrap_or_default();
        let mut at = 0;
        while at < tokens.len() {
            let before = at.checked_sub(1).map(token).unwrap_or_default();
            let (start, mut found) = (at, Vec::new());
            at += 1;
            if token(start) == "mod" && token(start + 2) == ";" {
                code.children.push(token(start + 1).to_owned());
                at += 2;
            } else if token(start) == "use" {
                paths(&tokens, &mut at, Module::new(), &mut found);
                for (path, name) in found {
                    code.imports.insert(name.clone(), path.clone());
                    code.paths.push((path, ["pub", ")"].contains(&before).then_some(name)));
                }
            } else if is_word(token(start)) {
                at = start;
                paths(&tokens, &mut at, Module::new(), &mut found);
                for (path, _) in found {
                    // A field or a variable may have a function's name; it is not called.
                    let is_called =
                        path.len() > 1 || ["(", "::"].contains(&token(at)) && ![".", "fn"].contains(&before);
                    if is_called || path[0].starts_with(char::is_uppercase) {
                        code.used.insert(path[0].clone());
                    }
                    code.paths.extend((path.len() > 1 && before != "::").then_some((path, None)));
                }
            }
        }
        code
    }
}

/// The module that defines what a path of `from` means, and its name there unless it is a module. None for what other crates define.
fn resolve(modules: &Modules, from: &Module, path: &[String], left: usize) -> Option<(Module, Option<String>)> {
    let mut at = from.clone();
    for (n, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            name if modules.contains_key(&below(&at, name)) => at.push(name.to_owned()),
            name => match modules[&at].imports.get(name) {
                Some(import) => match resolve(modules, &at, import, left.checked_sub(1)?)? {
                    (module, None) => at = module,
                    found => return Some(found),
                },
                None => return (n > 0).then(|| (at, Some(name.to_owned()))),
            },
        }
    }
    Some((at, None))
}

/// One finding for each set of files that reach each other: who takes which names from whom in it.
fn circles(modules: &Modules) -> Vec<String> {
    let mut arrows: BTreeMap<(&Module, &Module), BTreeSet<String>> = BTreeMap::new();
    for (from, code) in modules {
        for (path, handed_on) in &code.paths {
            let Some((to, Some(name))) = resolve(modules, from, path, HANDED_ON) else { continue };
            let (to, _) = modules.get_key_value(&to).expect("a path is resolved to one of them");
            if to != from && handed_on.as_ref().is_none_or(|name| code.used.contains(name)) {
                arrows.entry((from, to)).or_default().insert(name);
            }
        }
    }
    let reached = |from: &Module| {
        let (mut reached, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(at) = left.pop() {
            left.extend(arrows.keys().filter(|(from, to)| *from == at && reached.insert(*to)).map(|(_, to)| *to));
        }
        reached
    };
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = modules.keys().map(|module| (module, reached(module))).collect();
    let circle = |module: &Module| reach[module].iter().copied().filter(|to| reach[to].contains(module)).collect();
    let sets: BTreeSet<BTreeSet<&Module>> = modules.keys().map(circle).collect();
    let tell = |set: BTreeSet<&Module>| {
        let inside = arrows.iter().filter(|((from, to), _)| set.contains(from) && set.contains(to));
        let takes = inside.map(|((from, to), names)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            format!("\n    {} takes {} from {}", modules[*from].file, names.join(", "), modules[*to].file)
        });
        format!("files import each other; move what they share below them:{}", takes.collect::<String>())
    };
    sets.into_iter().filter(|set| !set.is_empty()).map(tell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Findings on a crate of these files.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let tree = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = tree.path().join("src").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        check(tree.path(), "src/lib.rs").unwrap()
    }

    #[test]
    fn a_circle_is_found_with_its_files_and_names() {
        let lib = ("lib.rs", "mod a;\nmod b;\nmod c;\n");
        let a = ("a.rs", "use crate::{\n    b::{B, other as another},\n    c,\n};\npub struct A(B);\n");
        let b = ("b/mod.rs", "pub mod inner;\npub struct B;\npub fn other() {}\n");
        let inner = ("b/inner.rs", "fn f() -> crate::c::C {}\nfn g() {\n    super::super::c::c();\n}\n");
        let c = ("c.rs", "pub use super::a::A as Renamed;\npub struct C(Renamed);\n");
        let back = ("b/mod.rs", "pub mod inner;\nuse inner::f;\npub struct B;\npub fn other() {\n    f()\n}\n");
        assert_eq!(found(&[lib, a, b, inner, c]), Vec::<String>::new());
        let all = found(&[lib, a, back, inner, c]);
        let rows = [
            "src/a.rs takes B, other from src/b/mod.rs",
            "src/b/inner.rs takes C, c from src/c.rs",
            "src/b/mod.rs takes f from src/b/inner.rs",
            "src/c.rs takes A from src/a.rs",
        ];
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(rows.iter().all(|row| all[0].contains(row)) && all[0].lines().count() == 5, "{all:?}");
    }

    #[test]
    fn a_parent_may_declare_its_children_and_hand_their_names_on() {
        let child = ("a.rs", "use super::{Parent, b::B};\npub struct A(Parent, B);\npub fn parse() {}\n");
        let other = ("b.rs", "pub struct B;\n");
        let parent = "mod a;\nmod b;\npub use a::{A, parse};\npub struct Parent {\n    parse: bool,\n}\n";
        assert_eq!(found(&[("lib.rs", parent), child, other]), Vec::<String>::new());
        for uses in ["fn f() {\n    parse();\n}\n", "fn f() {\n    a::parse();\n}\n", "fn f(_: A) {}\n"] {
            assert_eq!(found(&[("lib.rs", &format!("{parent}{uses}")), child, other]).len(), 1, "{uses}");
        }
    }

    #[test]
    fn tests_comments_and_inline_modules_draw_nothing() {
        let b = ("b.rs", "use crate::a::A;\npub struct B(A);\n");
        let lib = ("lib.rs", "mod a;\nmod b;\n");
        for a in [
            "#[cfg(test)]\nuse crate::{\n    b::B,\n};\npub struct A;\n",
            "pub struct A {\n    #[cfg(test)]\n    b: crate::b::B,\n    c: u8,\n}\n",
            "pub struct A;\n\n#[cfg(test)]\nmod tests {\n    const TEXT: &str = r\"\n}\n\";\n    use crate::b::B;\n}\n",
            "pub struct A;\n\n#[cfg(test)]\nmod tests;\n",
            "/// See [`crate::b::B`].\npub struct A; // crate::b::B\n",
            "pub struct A;\nstruct B;\npub mod c {\n    use super::B;\n    pub mod d {\n        use super::super::B;\n    }\n}\n",
        ] {
            assert_eq!(found(&[lib, ("a.rs", a), b]), Vec::<String>::new(), "{a}");
        }
        assert_eq!(found(&[lib, ("a.rs", "use super::b::B;\npub struct A(B);\n"), b]).len(), 1);
    }
}
