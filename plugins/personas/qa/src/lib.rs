//! QA: writes tests from the specification before there is an implementation. They must fail then; that is found out by the host.
//! The orders are in `system.md` and `prompt.md`.

use borg_sdk::persona::{Acceptance, Assignment, Persona, PersonaInfo, Report, Work};

/// Files that are tests in common languages; the same list as in `plugin.toml`, which a test holds it to.
const TEST_FILES: [&str; 34] = [
    "**/tests/**",
    "**/test/**",
    "**/__tests__/**",
    "**/spec/**",
    "**/Tests/**",
    "**/testdata/**",
    "**/test_*.py",
    "**/*_test.py",
    "**/*_test.go",
    "**/*.test.js",
    "**/*.test.jsx",
    "**/*.test.mjs",
    "**/*.test.cjs",
    "**/*.test.ts",
    "**/*.test.tsx",
    "**/*.spec.js",
    "**/*.spec.jsx",
    "**/*.spec.mjs",
    "**/*.spec.cjs",
    "**/*.spec.ts",
    "**/*.spec.tsx",
    "**/*_test.rs",
    "**/*_spec.rb",
    "**/*_test.rb",
    "**/*Test.java",
    "**/*Test.kt",
    "**/*Tests.cs",
    "**/*Test.php",
    "**/*_test.exs",
    "**/*_test.dart",
    "**/*_test.c",
    "**/*_test.cc",
    "**/*_test.cpp",
    "**/*Tests.swift",
];

pub struct Qa;

borg_sdk::persona!(Qa);

impl Persona for Qa {
    fn describe() -> PersonaInfo {
        PersonaInfo::new("qa", "Writes tests that fail until the specification is implemented")
    }

    fn brief(work: Work) -> Result<Assignment, String> {
        let source = if work.handoff("spec.md").is_some() {
            "The specification is `/in/spec.md`. It counts, not the request. Write at least one test for each of its acceptance \
             criteria, with the number (`AC1`) in the test's name or in a comment, and one for each edge case that a test can reach."
        } else {
            "There is no specification. List for yourself what the request must make true, and write at least one test for each."
        };
        let prompt = borg_sdk::fill(include_str!("prompt.md"), &[("source", source)]);
        Ok(Assignment::new(work.fill(include_str!("system.md")), work.fill(&prompt))
            .tools(&["Read", "Glob", "Grep", "Write"])
            .write(&TEST_FILES))
    }

    fn accept(work: Work, report: Report) -> Acceptance {
        if !report.changed.is_empty() {
            return work.missing_artefact(&report).map_or(Acceptance::Accept, Acceptance::Retry);
        }
        let mut why =
            "no test file was added or changed; write the tests into files that are recognised as tests, such as \
                       `tests/test_NAME.py`, `NAME_test.go` or `NAME.test.ts`"
                .to_owned();
        if !report.left_behind.is_empty() {
            let paths: Vec<_> = report.left_behind.iter().take(10).map(|path| format!("`{path}`")).collect();
            why.push_str(&format!(". These were left behind because they are none: {}", paths.join(", ")));
        }
        Acceptance::Retry(why)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn golden_cases() {
        borg_sdk::golden::check::<super::Qa>(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
    }

    #[test]
    fn no_pattern_takes_everything() {
        for pattern in super::TEST_FILES {
            let letters = pattern.chars().filter(|c| c.is_ascii_alphabetic()).count();
            assert!(letters >= 4, "{pattern} says too little");
        }
    }
}
