//! Manifests and settings are outside data: whatever is in them, there is an answer and no panic.

use borg_plugins::Manifest;
use proptest::prelude::*;
use serde_json::{Value, json};

const GOOD: &str = "name = \"worker\"\nkind = \"persona\"\nworld = \"0.2.0\"\nversion = \"1.2.3\"\nsummary = \"ü\"\n\
    [asks]\ntools = [\"Read\"]\nlog = true\n[settings.n]\ntype = \"integer\"\ndefault = 3\nmin = 0\ndoc = \"How many.\"\n";

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC*") {
        let _ = Manifest::parse(&text);
    }

    /// Pieces of a good manifest replaced by others: past the syntax, into the checks.
    #[test]
    fn a_damaged_manifest_is_parsed_or_refused(at in 0..GOOD.len(), len in 0..20usize, piece in "[a-z\"=\\[\\]{}.0-9\n'ü-]{0,12}") {
        let start = GOOD.floor_char_boundary(at);
        let end = GOOD.floor_char_boundary((at + len).min(GOOD.len())).max(start);
        let text = format!("{}{piece}{}", &GOOD[..start], &GOOD[end..]);
        if let Err(faults) = Manifest::parse(&text) {
            let lines = text.lines().count() as u32 + 1;
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|fault| fault.line.is_none_or(|line| (1..=lines).contains(&line))), "{faults:?}");
        }
    }

    /// What is accepted is complete and is accepted again.
    #[test]
    fn accepted_settings_are_stable(n in any::<i64>(), other in "[a-z]{1,3}") {
        let manifest = Manifest::parse(GOOD).expect("it is good");
        for given in [json!({"n": n}), json!({other: n}), json!(n), Value::Null] {
            if let Ok(all) = manifest.validate_settings(&given) {
                prop_assert_eq!(manifest.validate_settings(&all), Ok(all.clone()));
                prop_assert!(all["n"].as_i64().is_some_and(|n| n >= 0));
            }
        }
    }
}
