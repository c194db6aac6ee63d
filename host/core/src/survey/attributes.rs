//! Tells Git which files are text whatever is in them: a single NUL makes it call a file binary and show nothing of it.

use super::classify::{CI_FOLDERS, SOURCE_ENDINGS};

/// Endings of source in known languages, and of text that programs obey.
const TEXT_ENDINGS: [&str; 31] = [
    "rs", "py", "pyi", "js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts", "go", "java", "kt", "kts", "toml", "yml",
    "yaml", "json", "jsonc", "json5", "cfg", "ini", "mk", "cmake", "gradle", "xml", "md", "rst", "txt", "el",
];

/// Names of text that programs obey.
const TEXT_NAMES: [&str; 16] = [
    "makefile",
    "gnumakefile",
    "dockerfile",
    "containerfile",
    "jenkinsfile",
    "justfile",
    "procfile",
    "rakefile",
    "gemfile",
    "codeowners",
    ".envrc",
    ".npmrc",
    ".gitattributes",
    ".gitmodules",
    ".gitconfig",
    ".editorconfig",
];

/// Text of an attributes file (gitattributes(5), "diff": set, a path is text even with bytes that text never has).
pub fn attributes() -> String {
    let mut text = String::from("# Written by borg-host; edits are lost.\n");
    let any_case = |name: &str| -> String {
        let letter = |c: char| match c.is_ascii_alphabetic() {
            true => format!("[{}{}]", c.to_ascii_lowercase(), c.to_ascii_uppercase()),
            false => c.to_string(),
        };
        name.chars().map(letter).collect()
    };
    for ending in TEXT_ENDINGS.iter().chain(&SOURCE_ENDINGS) {
        text.push_str(&format!("*.{} diff\n", any_case(ending)));
    }
    for name in TEXT_NAMES {
        text.push_str(&format!("{} diff\n", any_case(name)));
    }
    for folder in CI_FOLDERS.iter().chain([&".github"]) {
        text.push_str(&format!("/{}/** diff\n", any_case(folder)));
    }
    text
}
