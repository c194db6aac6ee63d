//! `[[example]]`: what policy should allow or deny, said by its author and checked at load.

use super::Policy;
use crate::{
    grant::{self, Ceiling},
    spelling::Forbidden,
};

/// Checks one example such as `persona "manager" writes "src/lib.rs"`; the error is a message and a hint.
pub(super) fn check(text: &str, allow: bool, policy: &Policy) -> Result<(), (String, String)> {
    let form = "write: persona \"NAME\" writes \"PATH\", or: persona \"NAME\" uses \"TOOL\"";
    let bad = || (format!("`{text}` is no example"), form.to_owned());
    let mut quoted = text.split('"');
    let words: Vec<&str> = quoted.by_ref().collect();
    let [persona_word, name, verb, object, end] = words[..] else { return Err(bad()) };
    if persona_word.trim() != "persona" || !end.trim().is_empty() {
        return Err(bad());
    }
    let persona = policy
        .personas
        .get(name)
        .ok_or_else(|| (format!("the example names a persona that is not there: `{name}`"), String::new()))?;
    let allowed = match verb.trim() {
        "uses" => persona.tools.iter().any(|tool| tool == object),
        "writes" => {
            let all = Ceiling { tools: Vec::new(), write: vec!["**".into()] };
            let granted = grant::grant(name, &[], &persona.write, &all, persona, &[], false);
            matches(&granted.write().allow, object) && !is_forbidden(&granted.write().deny, object)
        }
        _ => return Err(bad()),
    };
    match (allow, allowed) {
        (true, true) | (false, false) => Ok(()),
        (true, false) => Err((format!("policy does not allow: {text}"), "grant it, or take the example out".into())),
        (false, true) => Err((
            format!("policy allows what an example denies: {text}"),
            "narrow the grant, or take the example out".into(),
        )),
    }
}

/// Protection counts in every spelling, as it does at collection.
fn is_forbidden(globs: &[String], path: &str) -> bool {
    globs
        .iter()
        .any(|glob| Forbidden::patterns(std::slice::from_ref(glob)).is_ok_and(|glob| glob.matches(path.as_bytes())))
}

fn matches(globs: &[String], path: &str) -> bool {
    globs.iter().any(|glob| {
        let glob = globset::GlobBuilder::new(glob).literal_separator(true).build();
        glob.is_ok_and(|glob| glob.compile_matcher().is_match(path))
    })
}
