//! What the documents say is so: each command in README.md is one, its paths are there, its TOML is TOML, and each test that
//! docs/security.md names exists.

use borg_tests::{process, require};
use std::{fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(20);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies below the checkout")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Contents of the fenced blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let open = format!("```{language}\n");
    let starts = text.match_indices(&open).map(|(at, _)| &text[at + open.len()..]);
    starts.map(|rest| rest.split("\n```").next().unwrap_or_default()).collect()
}

/// The words of a line as a shell takes them, without its comment; quotes are double and hold no others.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '#' if !quoted && word.is_none() => break,
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Runs a program's help on a command line, which tells whether the line can be understood.
fn explain(program: &Path, args: &[String]) {
    let mut command = process::command(program);
    // Comes last, so that everything before it must be known.
    command.args(args).arg("--help");
    let output = process::run(command, "", LIMIT).expect("it ends");
    assert_eq!(output.code, Some(0), "{} {}: {}", program.display(), args.join(" "), output.stderr);
}

#[test]
fn every_command_of_the_readme_is_one() {
    let Some(host) = require::host() else { return };
    let xtask = host.with_file_name("xtask");
    let text = read("README.md");
    let mut tried = 0;
    for line in blocks(&text, "sh").into_iter().flat_map(str::lines) {
        let words = words(line);
        let texts: Vec<&str> = words.iter().map(String::as_str).collect();
        match texts[..] {
            [] | ["mkdir", ..] | ["export", "PATH=$PWD/target/debug:$PATH"] => {}
            ["borg-host", ..] => {
                explain(&host, &words[1..]);
                tried += 1;
            }
            ["cargo", "xtask", ..] if xtask.is_file() => {
                explain(&xtask, &words[2..]);
                tried += 1;
            }
            ["cargo", "xtask", ..] => require::skip("xtask is not built where borg-host is"),
            ["cp", "-r", from, _] => {
                let built = from.strip_prefix("target/plugins-examples/").expect("only examples are copied");
                let folder = require::plugin_examples().join(built);
                assert!(folder.join("plugin.toml").is_file(), "{}", folder.display());
            }
            _ => panic!("README.md has a command nobody tries: {line}"),
        }
    }
    assert!(tried > 10, "only {tried} commands were found");
}

#[test]
fn the_two_commands_are_what_ci_and_xtask_run() {
    let text = read("README.md");
    let two = blocks(text.split_once("## Two commands").expect("the section").1, "sh")[0];
    let commands: Vec<Vec<String>> = two.lines().map(words).collect();
    assert_eq!(commands, [["cargo", "xtask", "demo"], ["cargo", "xtask", "test"]]);
    let alias = read(".cargo/config.toml").parse::<toml::Table>().expect("TOML");
    assert!(alias["alias"]["xtask"].as_str().is_some_and(|to| to.contains("--package xtask")), "{alias}");
    let ci = read(".ci/run");
    assert_eq!(ci.lines().last(), Some("cargo xtask test --require-all"));
}

#[test]
fn toml_of_the_documents_is_toml_and_names_what_is_there() {
    for name in ["README.md", "plugins/README.md"] {
        for block in blocks(&read(name), "toml") {
            block.parse::<toml::Table>().unwrap_or_else(|error| panic!("{name}: {error}\n{block}"));
        }
    }
    let example = read("plugins/examples/security-review/plugin.toml").parse::<toml::Table>().expect("TOML");
    let granted = "[persona.security-review]\ntools = [\"Read\", \"Glob\", \"Grep\", \"Write\"]";
    assert!(
        read("README.md").contains(granted) && example["asks"]["tools"].as_array().is_some_and(|asks| asks.len() == 4)
    );
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    for name in ["README.md", "plugins/README.md", "host/ARCHITECTURE.md", "docs/security.md", "docs/performance.md"] {
        let folder = root().join(name).parent().expect("a file has a folder").to_owned();
        let text = read(name);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
            assert!(folder.join(file).exists(), "{name} links to {link}");
            let Some(heading) = heading else { continue };
            let there = read(folder.join(file).strip_prefix(root()).expect("below the root").to_str().expect("UTF-8"));
            assert!(there.lines().any(|line| anchor(line).as_deref() == Some(heading)), "{name} links to {link}");
        }
    }
}

/// What a heading is linked to by: its words in lower case, with hyphens between them.
fn anchor(line: &str) -> Option<String> {
    let words = line.trim_start_matches('#');
    let is_word = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    line.starts_with('#')
        .then(|| words.trim().to_lowercase().chars().filter(is_word).collect::<String>().replace(' ', "-"))
}

#[test]
fn every_test_that_security_names_exists() {
    let text = read("docs/security.md");
    let named: Vec<(&str, &str)> = text.split('`').filter_map(|word| word.split_once(".rs::")).collect();
    assert!(named.len() > 40, "only {} tests are named", named.len());
    for (file, test) in named {
        let source = read(&format!("{file}.rs"));
        let is_there = ["(", "<"].iter().any(|next| source.contains(&format!("fn {test}{next}")));
        assert!(is_there, "{file}.rs has no {test}");
    }
}

#[test]
fn the_example_environment_is_the_one_init_writes() {
    assert_eq!(read(".env.example"), read("host/src/cli/init/env.example"));
}

#[test]
fn no_test_may_run_for_ever() {
    let config = read(".config/nextest.toml").parse::<toml::Table>().expect("TOML");
    let default = config["profile"]["default"].as_table().expect("the profile that counts where none is named");
    let overrides = default["overrides"].as_array().expect("tests that take longer").iter();
    for rule in overrides.filter_map(toml::Value::as_table).chain([default]) {
        let limit = &rule["slow-timeout"];
        assert!(limit["terminate-after"].as_integer().is_some_and(|periods| periods > 0), "{rule:?}");
    }
    // `cargo xtask test` runs that profile, and no other file may change it unseen.
    assert!(!config["profile"].as_table().expect("profiles").keys().any(|name| name != "default"));
}
