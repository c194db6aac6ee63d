//! Rules of the house that neither the compiler nor a lint holds; `cargo test` runs them too. Each finding names a file and what to do.

use crate::{build, circles, licences, sh};
use anyhow::{Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// At this length a file has more than one reason to change.
const LONGEST: usize = 600;

/// Folders of `host/src` that each wrap one neighbour of the host. They know the core and what is shared at the top, never each other.
const ADAPTERS: [&str; 7] = ["agents", "chats", "control", "forge", "sandbox", "store", "workspace"];

/// Rooms of `host/src` on which others stand, and what of the crate each may name: what is agreed on knows neither who keeps it nor who asks.
/// `fixture` is there in tests only.
const BELOW: [(&str, &[&str]); 3] =
    [("journal", &[]), ("mail", &["causes", "clock", "fixture", "journal"]), ("store", &["clock", "journal", "mail"])];

/// Who opens the store. Everybody else is handed the traits it keeps, so that another can take its place.
const OPENS_STORE: [&str; 4] = ["host/src/cli/", "host/src/fixture.rs", "host/src/host.rs", "host/src/store/"];

/// Crates that would bring I/O, a clock or a plugin engine into the core.
const NOT_IN_CORE: [&str; 8] = ["tokio", "wasmtime", "hyper", "mio", "rusqlite", "bollard", "nix", "rustix"];

/// The one crate that knows the plugin engine.
const PLUGINS: &str = "host/plugins/Cargo.toml";

/// Words by which one vendor's API is told: its name, its header, its keys.
const VENDOR: [&str; 3] = ["anthropic", "x-api-key", "sk-ant"];

/// The host's own code, that serves all vendors alike.
const VENDORLESS: [&str; 4] = ["host/core/src/", "host/gateway/src/", "host/plugins/src/", "host/src/"];

/// What may name a vendor all the same: the vendor's own folder in the gateway, the name policy calls it by, and what people type:
/// settings and commands.
const VENDORS_OWN: [&str; 4] =
    ["host/core/src/policy/", "host/gateway/src/provider/", "host/src/cli/", "host/src/settings"];

/// Folders that hold other people's code, made up or recorded: data, not ours to keep tidy.
const DATA: [&str; 6] = ["corpus", "scenarios", "fixtures", "captures", "recorded", "golden"];

pub fn run() -> Result<()> {
    let findings = check(&sh::root())?;
    if findings.is_empty() {
        return Ok(());
    }
    bail!("the tree is not tidy:\n  {}", findings.join("\n  "))
}

fn check(root: &Path) -> Result<Vec<String>> {
    let mut findings = core_is_pure()?;
    findings.extend(licences::check(&build::platforms())?);
    let mut files = Vec::new();
    walk(root, &mut files)?;
    files.sort();
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root).expect("found below the root").to_string_lossy().into_owned();
        findings.extend(judge(&name, &text).into_iter().map(|finding| format!("{name}: {finding}")));
        if ["src/lib.rs", "src/main.rs"].iter().any(|first| name.ends_with(first)) && !name.starts_with("tests/") {
            findings.extend(circles::check(root, &name)?);
        }
    }
    Ok(findings)
}

fn core_is_pure() -> Result<Vec<String>> {
    let tree = sh::output(sh::cargo().args([
        "tree",
        "--package",
        "borg-core",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]))?;
    let crates = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = crates.filter(|name| NOT_IN_CORE.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found
        .into_iter()
        .map(|name| format!("host/core: depends on {name}; the core does no I/O: take the dependency out"))
        .collect())
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() && name != "target" && name != ".git" && name != "data" {
            walk(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

/// What is wrong with one file, given its path from the root.
fn judge(name: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if name.split('/').any(|part| DATA.contains(&part)) {
        return findings;
    }
    for (n, line) in text.lines().enumerate().filter(|(_, line)| names_a_machine(line)) {
        findings.push(format!("line {} names a path of somebody's machine: {}", n + 1, line.trim()));
    }
    if name.ends_with("/Cargo.toml") && name != PLUGINS {
        for (n, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("wasmtime")) {
            findings.push(format!(
                "line {} depends on {}: ask `borg-plugins`, so that the engine stays behind one door",
                n + 1,
                line.split(['.', ' ', '=']).next().unwrap_or(line)
            ));
        }
    }
    if !name.ends_with(".rs") {
        return findings;
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        findings.push(format!("has {lines} lines, more than {LONGEST}: split it where its reasons to change part"));
    }
    let first = text.lines().next().unwrap_or_default();
    if !first.starts_with("//! ") {
        findings.push("does not open with `//! `: say what it is for and what it leaves to others".into());
    }
    for (n, line) in text.lines().enumerate() {
        let code = line.trim_start();
        // Rules have such lines in the code they are tested on.
        if code.starts_with("#[ignore") && !name.starts_with("plugins/rules/") {
            findings.push(format!(
                "line {}: a test that never runs is no test: let it say what it lacks (`require`)",
                n + 1
            ));
        }
        if [concat!("to", "do!("), concat!("unimpl", "emented!(")].iter().any(|word| code.starts_with(word)) {
            findings.push(format!("line {}: write it or leave it out", n + 1));
        }
    }
    findings.extend(vendors(name, text));
    findings.extend(neighbours(name, text));
    findings.extend(floors(name, text));
    findings
}

/// Lines that know a vendor where none should.
fn vendors(name: &str, text: &str) -> Vec<String> {
    let is_own = VENDORS_OWN.iter().any(|own| name.starts_with(own));
    if is_own || !VENDORLESS.iter().any(|folder| name.starts_with(folder)) {
        return Vec::new();
    }
    let named = text.lines().enumerate().filter_map(|(n, line)| {
        let line = line.to_ascii_lowercase();
        let word = VENDOR.iter().find(|word| line.contains(*word))?;
        Some(format!(
            "line {} names `{word}`: what is known of a vendor's API stands below `host/gateway/src/provider/`",
            n + 1
        ))
    });
    named.collect()
}

fn names_a_machine(line: &str) -> bool {
    // Put together here, so that this file does not find itself.
    let paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/tmp/", "lab")];
    // Only where a path begins: `/proc/1/…` goes on from something else.
    let begins = |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-/}".contains(before));
    paths.iter().any(|path| line.match_indices(path).any(|(at, _)| begins(at)))
}

/// Adapters that a file in an adapter's folder reaches for.
fn neighbours(name: &str, text: &str) -> Vec<String> {
    let Some(own) = name.strip_prefix("host/src/").and_then(|rest| rest.split_once('/')).map(|(folder, _)| folder)
    else {
        return Vec::new();
    };
    if !ADAPTERS.contains(&own) {
        return Vec::new();
    }
    let mut others: Vec<String> =
        crate_modules(text).into_iter().filter(|module| module != own && ADAPTERS.contains(&module.as_str())).collect();
    others.sort();
    others.dedup();
    let tell = |other| {
        format!("the adapter `{own}` imports the adapter `{other}`: let the one who wires them carry the value")
    };
    others.into_iter().map(tell).collect()
}

/// What a file reaches for that stands above it, or behind a trait.
fn floors(name: &str, text: &str) -> Vec<String> {
    let Some(rest) = name.strip_prefix("host/src/") else { return Vec::new() };
    let own = rest.split_once('/').map_or(rest, |(folder, _)| folder);
    let mut named = crate_modules(text);
    named.sort();
    named.dedup();
    let mut findings = Vec::new();
    if let Some((_, may)) = BELOW.iter().find(|(room, _)| *room == own) {
        let above = named.iter().filter(|module| *module != own && !may.contains(&module.as_str()));
        findings.extend(above.map(|module| format!("the room `{own}` names `{module}`, which stands above it")));
    }
    if named.iter().any(|module| module == "store") && !OPENS_STORE.iter().any(|opens| name.starts_with(opens)) {
        findings
            .push("names the store: take a trait of `journal` or `mail`, and let the one who wires hand it in".into());
    }
    findings
}

/// First segments of all paths that start with `crate::`, in groups too; comments do not count.
fn crate_modules(text: &str) -> Vec<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    circles::paths_of(&code)
        .into_iter()
        .filter(|path| path[0] == "crate")
        .filter_map(|path| path.into_iter().nth(1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        assert_eq!(check(&sh::root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn each_rule_finds_what_it_is_for() {
        let rows = [
            ("a.rs", "fn main() {}\n".to_owned(), "does not open with"),
            ("a.rs", format!("//! x\n{}", "\n".repeat(LONGEST)), "601 lines"),
            ("a.rs", "//! x\n    #[ignore]\n".to_owned(), "never runs"),
            ("a.rs", format!("//! x\n    {}do!()\n", "to"), "write it or leave it out"),
            ("a.md", format!("see {}home\n", concat!("/ro", "ot/")), "line 1 names a path"),
            (
                "host/src/forge/mod.rs",
                "//! x\nuse crate::{\n    spawn::Child,\n    sandbox::{Docker, A},\n};\n".to_owned(),
                "adapter `sandbox`",
            ),
            ("host/src/forge/mod.rs", "//! x\nfn a() { crate::chats::open() }\n".to_owned(), "adapter `chats`"),
            (
                "host/src/mail/mod.rs",
                "//! x\nuse crate::engine::Handle;\n".to_owned(),
                "names `engine`, which stands above",
            ),
            ("host/src/journal/mod.rs", "//! x\nuse crate::clock::now_ms;\n".to_owned(), "names `clock`, which stands"),
            ("host/src/engine/desk.rs", "//! x\nuse crate::{clock, store::Store};\n".to_owned(), "names the store"),
            ("host/gateway/src/door.rs", "//! x\n// see ANTHROPIC_BASE_URL\n".to_owned(), "line 2 names `anthropic`"),
            ("host/src/engine/a.rs", "//! x\nconst A: &str = \"sk-ant-x\";\n".to_owned(), "names `sk-ant`"),
            ("host/Cargo.toml", "[dependencies]\nwasmtime-wasi.workspace = true\n".to_owned(), "on wasmtime-wasi: ask"),
        ];
        for (name, text, wanted) in rows {
            let findings = judge(name, &text);
            assert!(findings.len() == 1 && findings[0].contains(wanted), "{wanted}: {findings:?}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_found() {
        let rows = [
            (
                "host/src/forge/mod.rs",
                "//! x\n// like crate::sandbox\nuse crate::forge::b;\nuse crate::spawn::{sandbox, store};\n",
            ),
            ("host/plugins/Cargo.toml", "[dependencies]\nwasmtime.workspace = true\n"),
            ("Cargo.toml", "[workspace.dependencies]\nwasmtime = \"48\"\n"),
            ("host/src/main.rs", "//! x\nuse crate::{forge, sandbox};\n"),
            ("host/src/host.rs", "//! x\nuse crate::{mail::Mail, store::Store};\n"),
            ("host/src/mail/mailbox.rs", "//! x\nuse crate::journal::Answer;\n"),
            ("host/gateway/src/provider/anthropic/mod.rs", "//! x\nconst A: &str = \"x-api-key\";\n"),
            ("host/gateway/tests/gateway/heads.rs", "//! x\nconst A: &str = \"x-api-key\";\n"),
            ("host/src/settings.rs", "//! x\nconst A: &str = \"ANTHROPIC_BASE_URL\";\n"),
            ("tests/corpus/a/base/lib.rs", "#[ignore]\nfn a() {}\n"),
            ("plugins/rules/x/src/lib.rs", "//! x\n#[ignore]\n"),
            ("a.sh", concat!("cd /workspace/x; ls /proc/1/ro", "ot/\n")),
        ];
        for (name, text) in rows {
            assert_eq!(judge(name, text), Vec::<String>::new(), "{name}");
        }
    }
}
