//! Settings of policy (`[persona.NAME.settings]` and the like), as a plugin's own type. The host has validated them against the manifest.

use serde::de::DeserializeOwned;

/// Reads the JSON object every call receives; the empty string counts as an empty object.
///
/// # Errors
/// Tells which field does not fit, for a refusal or a failed judgement.
pub fn settings<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let json = if json.trim().is_empty() { "{}" } else { json };
    serde_json::from_str(json)
        .map_err(|error| format!("settings do not fit this plugin: {error}; see `settings` in its plugin.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
    struct Mine {
        most_lines: u32,
    }

    impl Default for Mine {
        fn default() -> Self {
            Mine { most_lines: 7 }
        }
    }

    #[test]
    fn absent_settings_are_the_defaults_and_wrong_ones_are_named() {
        assert_eq!(settings::<Mine>(""), Ok(Mine { most_lines: 7 }));
        assert_eq!(settings::<Mine>(r#"{"most-lines": 3}"#), Ok(Mine { most_lines: 3 }));
        assert!(settings::<Mine>(r#"{"most-line": 3}"#).unwrap_err().contains("most-line"));
    }
}
