//! Scripts for the scripted agent, put together in Rust: what each persona of the shipped `feature` pipeline does.

/// A specification that the Manager's persona accepts.
const SPEC: &str = "
# Prices can be discounted

The shop takes a percentage off a price.

## Requirements
1. `discounted(cents, percent)` returns `cents` less `percent` percent, rounded down to a whole cent.

## Files to touch
- the library (existing): the function.
- its tests (new).

## Acceptance criteria
- AC1: a quarter off 1000 is 750.

## Edge cases
- A percentage of 0 changes nothing.
";

/// A step in which a persona writes files, and no more.
pub fn writes(persona: &str, files: &[(&str, &str)]) -> String {
    let mut step = format!("[[step]]\npersona = \"{persona}\"\n");
    for (path, text) in files {
        step += &format!("\n[[step.do]]\nwrite = \"{path}\"\ntext = '''\n{text}'''\nmust = true\n");
    }
    step + "\n[[step.do]]\nsay = \"Written.\"\n\n"
}

/// The Manager's step.
pub fn manager() -> String {
    writes("manager", &[("/out/spec.md", SPEC)])
}

/// All three steps of a feature.
pub fn feature(tests: &[(&str, &str)], work: &[(&str, &str)]) -> String {
    manager() + &writes("qa", tests) + &writes("worker", work)
}
