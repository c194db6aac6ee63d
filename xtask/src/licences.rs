//! Licences of what we build on: each dependency must let us ship it under ours. Which crates a target pulls in is Cargo's to say.

use crate::sh;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;

/// Licences that ask for no more than attribution, by their SPDX names. Anything else, copyleft by file (MPL) included, is a decision to
/// take in a commit of its own.
const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// What every crate of this workspace says.
const OURS: &str = "MIT OR Apache-2.0";

/// Names each package, of ours or of others, whose licence is not as it should be, for what we build for these platforms.
pub fn check(platforms: &[String]) -> Result<Vec<String>> {
    let mut findings = BTreeSet::new();
    for platform in platforms {
        let metadata = sh::output(sh::cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            platform,
            "--locked",
            "--quiet",
        ]))?;
        let metadata: Value = serde_json::from_str(&metadata).context("reading what `cargo metadata` printed")?;
        let packages = metadata["packages"].as_array().context("`cargo metadata` told no packages")?;
        findings.extend(packages.iter().filter_map(judge));
    }
    Ok(findings.into_iter().collect())
}

fn judge(package: &Value) -> Option<String> {
    let name = format!(
        "{} {}",
        package["name"].as_str().unwrap_or("a package without a name"),
        package["version"].as_str().unwrap_or_default()
    );
    let licence = package["license"].as_str();
    if package["source"].is_null() {
        return (licence != Some(OURS))
            .then(|| format!("{name}: is ours but not under {OURS}: write `license.workspace = true`"));
    }
    match licence {
        None => Some(format!("{name}: names no licence: read what it ships and take another crate if in doubt")),
        Some(licence) if is_allowed(licence) => None,
        Some(licence) => Some(format!("{name}: is under {licence}, which xtask/src/licences.rs does not allow")),
    }
}

/// Whether an SPDX expression leaves a choice that is allowed; `/` stands for `OR` in old manifests. Fails closed on what is no expression.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = Words { words: spaced.split_whitespace().collect(), at: 0 };
    let allowed = words.either();
    allowed == Some(true) && words.peek().is_none()
}

/// The words of an expression and how far they were read. None from a method: it is no expression.
struct Words<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    fn take_if(&mut self, wanted: &str) -> bool {
        let is_it = self.peek() == Some(wanted);
        self.at += usize::from(is_it);
        is_it
    }

    fn either(&mut self) -> Option<bool> {
        let mut allowed = self.both()?;
        while self.take_if("OR") {
            allowed |= self.both()?;
        }
        Some(allowed)
    }

    fn both(&mut self) -> Option<bool> {
        let mut allowed = self.one()?;
        while self.take_if("AND") {
            allowed &= self.one()?;
        }
        Some(allowed)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take_if("(") {
            let allowed = self.either()?;
            return self.take_if(")").then_some(allowed);
        }
        let name = self.take().filter(|word| !matches!(*word, ")" | "OR" | "AND" | "WITH"))?;
        if self.take_if("WITH") {
            let exception = self.take()?;
            return Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()));
        }
        Some(ALLOWED.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_expression_is_allowed_when_a_choice_of_it_is() {
        let rows = [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("Apache-2.0 / MIT", true),
            ("GPL-3.0-only", false),
            ("MPL-2.0", false),
            ("MIT OR Apache-2.0 OR LGPL-2.1-or-later", true),
            ("MIT AND GPL-2.0-only", false),
            ("(MIT OR GPL-2.0-only) AND Unicode-3.0", true),
            ("MIT OR GPL-2.0-only AND MPL-2.0", true),
            ("(MIT OR Apache-2.0) AND MPL-2.0", false),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("GPL-2.0-only WITH Classpath-exception-2.0", false),
            ("MIT WITH", false),
            ("MIT Apache-2.0", false),
            ("(MIT", false),
            ("MIT)", false),
            ("OR MIT", false),
            ("", false),
        ];
        for (expression, wanted) in rows {
            assert_eq!(is_allowed(expression), wanted, "{expression}");
        }
    }

    #[test]
    fn a_package_is_judged_by_whose_it_is() {
        let registry = "registry+somewhere";
        let rows = [
            (json!({"name": "a", "version": "1.0.0", "source": registry, "license": "MIT"}), None),
            (json!({"name": "a", "version": "1.0.0", "source": registry, "license": "AGPL-3.0"}), Some("AGPL-3.0")),
            (json!({"name": "a", "version": "1.0.0", "source": registry, "license": null}), Some("no licence")),
            (json!({"name": "a", "version": "1.0.0", "source": null, "license": OURS}), None),
            (json!({"name": "a", "version": "1.0.0", "source": null, "license": "MIT"}), Some("is ours")),
        ];
        for (package, wanted) in rows {
            let found = judge(&package);
            match wanted {
                None => assert_eq!(found, None),
                Some(words) => assert!(found.as_ref().is_some_and(|found| found.contains(words)), "{found:?}"),
            }
        }
    }
}
