//! Who is known: edits `[people]` in the policy files, and leaves everything else in them as it is.

use crate::policies::Folder;
use anyhow::{Result, bail};
use borg_core::{
    permit::role_word,
    policy::{PersonId, Role},
};
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};
use toml_edit::{Array, DocumentMut, Item, Value};

/// One edit at a time.
static EDITING: Mutex<()> = Mutex::new(());

/// Where people stand when no file has any.
const FILE: &str = "people.toml";

const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Admin, Role::Owner];

/// Gives somebody a role, in place of any they had.
///
/// # Errors
/// When the policy files are not in order, before or after, or cannot be read or written.
pub fn add(policies: &Path, person: &PersonId, role: Role) -> Result<()> {
    let _editing = EDITING.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, _) = Folder::read(policies)?;
    let file = folder.find(|document| document.contains_key("people"));
    folder.edit(file.as_deref().unwrap_or(FILE), |document| change(document, person, role))?;
    Ok(())
}

fn change(document: &mut DocumentMut, person: &PersonId, role: Role) -> Result<()> {
    let people = document["people"].or_insert(toml_edit::table());
    for other in ROLES {
        let word = role_word(other);
        if other != role && people.get(word).is_none() {
            continue;
        }
        let listed = people[word].or_insert(Item::Value(Value::Array(Array::new())));
        let Some(listed) = listed.as_array_mut() else { bail!("`{word}` of [people] is no list") };
        let is_person = |value: &Value| value.as_str() == Some(&person.0);
        if other != role {
            listed.retain(|value| !is_person(value));
        } else if !listed.iter().any(is_person) {
            listed.push(person.0.as_str());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PEOPLE: &str =
        "# who may do what\n[people]\nowner = [\"console:1000\"] # us\nguest = [\"telegram:7\", \"telegram:8\"]\n";

    fn add_all(policies: &Path, people: &[(&str, Role)]) -> String {
        for (person, role) in people {
            add(policies, &PersonId((*person).to_owned()), *role).unwrap();
        }
        fs::read_to_string(policies.join("people.toml")).unwrap()
    }

    #[test]
    fn a_person_has_one_role_and_everything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("people.toml"), PEOPLE).unwrap();
        fs::write(dir.path().join("host.toml"), "[verdict]\n").unwrap();
        let text = add_all(dir.path(), &[("telegram:7", Role::Member), ("telegram:7", Role::Member)]);
        let want = PEOPLE.replace("[\"telegram:7\", \"telegram:8\"]", "[ \"telegram:8\"]");
        assert_eq!(text, format!("{want}member = [\"telegram:7\"]\n"));
        assert_eq!(fs::read_to_string(dir.path().join("host.toml")).unwrap(), "[verdict]\n");
    }

    #[test]
    fn where_nobody_is_known_a_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let text = add_all(dir.path(), &[("telegram:1", Role::Owner)]);
        assert_eq!(text, "[people]\nowner = [\"telegram:1\"]\n");
    }

    #[test]
    fn only_files_that_policy_looks_at_are_edited_and_only_if_it_takes_them() {
        let dir = tempfile::tempdir().unwrap();
        let hidden = dir.path().join(".people.toml");
        fs::write(&hidden, PEOPLE).unwrap();
        let text = add_all(dir.path(), &[("telegram:1", Role::Owner)]);
        assert_eq!(text, "[people]\nowner = [\"telegram:1\"]\n");
        assert_eq!(fs::read_to_string(&hidden).unwrap(), PEOPLE, "what starts with a dot is an editor's");
        for (file, wrong) in [("people.toml", "[people]\nowner = 7\n"), ("host.toml", "[hsot]\n")] {
            let path = dir.path().join(file);
            fs::write(&path, wrong).unwrap();
            let error = format!("{:#}", add(dir.path(), &PersonId("telegram:2".into()), Role::Owner).unwrap_err());
            assert!(error.contains(file), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), wrong);
            fs::remove_file(path).unwrap();
        }
    }
}
