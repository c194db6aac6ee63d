//! Who is known: edits `[people]` in the policy files, and leaves everything else in them as it is.

use crate::policies::Folder;
use anyhow::{Result, bail};
use borg_core::people::{PersonId, Role, role_word};
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

/// Notes that two identities are one human, in `[people] same`, beside those that are noted already. Both have a role.
///
/// # Errors
/// As of [`add`]; also when a list of `same` is written in a way that cannot be added to.
pub fn join(policies: &Path, one: &PersonId, other: &PersonId) -> Result<()> {
    let _editing = EDITING.lock().unwrap_or_else(PoisonError::into_inner);
    let (folder, policy) = Folder::read(policies)?;
    if policy.human(one) == policy.human(other) {
        return Ok(());
    }
    // Policy takes it, for the sake of those who lost their role; nobody else is written there.
    if let Some(stranger) = [one, other].into_iter().find(|person| policy.role(person).is_none()) {
        bail!("`{stranger}` has no role: give it one before it is joined with another");
    }
    let file = folder.find(|document| document.contains_key("people"));
    folder.edit(file.as_deref().unwrap_or(FILE), |document| put_together(document, one, other))?;
    Ok(())
}

fn is_in(group: &Value, person: &PersonId) -> bool {
    group.as_array().is_some_and(|group| group.iter().any(|known| known.as_str() == Some(&person.0)))
}

/// Adds one to the other's list, makes of two lists one, or makes a new one.
fn put_together(document: &mut DocumentMut, one: &PersonId, other: &PersonId) -> Result<()> {
    let people = document["people"].or_insert(toml_edit::table());
    let same = people["same"].or_insert(Item::Value(Value::Array(Array::new())));
    let Some(same) = same.as_array_mut() else { bail!("`same` of [people] is no list") };
    let places: Vec<usize> = (0..same.len())
        .filter(|at| same.get(*at).is_some_and(|group| is_in(group, one) || is_in(group, other)))
        .collect();
    let mut names: Vec<String> = Vec::new();
    for at in places.iter().skip(1).rev() {
        let gone = same.remove(*at);
        names
            .extend(gone.as_array().iter().flat_map(|group| group.iter()).filter_map(Value::as_str).map(str::to_owned));
    }
    let at = match places.first() {
        Some(at) => *at,
        None => {
            same.push(Array::new());
            same.len() - 1
        }
    };
    let Some(group) = same.get_mut(at).and_then(Value::as_array_mut) else {
        bail!("`same` of [people] is no list of lists")
    };
    names.extend([one, other].map(|person| person.0.clone()));
    for name in names {
        if !group.iter().any(|known| known.as_str() == Some(&name)) {
            group.push(name);
        }
    }
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
    fn identities_are_joined_beside_those_that_are_and_everything_else_stays() {
        for (before, after) in [
            ("", "same = [[\"a:1\", \"b:1\"]]\n"),
            ("same = [] # one human each\n", "same = [[\"a:1\", \"b:1\"]] # one human each\n"),
            ("same = [[\"a:1\"]]\n", "same = [[\"a:1\", \"b:1\"]]\n"),
            // The other's list, among others.
            (
                "same = [\n  [\"c:1\", \"c:2\"], # Cy\n  [\"b:1\"], # Bo\n]\n",
                "same = [\n  [\"c:1\", \"c:2\"], # Cy\n  [\"b:1\", \"a:1\"], # Bo\n]\n",
            ),
            // Two lists become one.
            ("same = [[\"a:1\", \"c:1\"], [\"b:1\", \"c:2\"]]\n", "same = [[\"a:1\", \"c:1\", \"b:1\", \"c:2\"]]\n"),
            ("same = [[\"a:1\", \"b:1\"]]\n", "same = [[\"a:1\", \"b:1\"]]\n"),
        ] {
            let people = "# ours\n[people]\nowner = [\"a:1\", \"c:1\", \"c:2\"]\nguest = [\"b:1\"] # may look\n";
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("people.toml");
            fs::write(&file, format!("{people}{before}")).unwrap();
            let (one, other) = (PersonId("a:1".into()), PersonId("b:1".into()));
            for _ in 0..2 {
                join(dir.path(), &one, &other).unwrap();
                assert_eq!(fs::read_to_string(&file).unwrap(), format!("{people}{after}"));
            }
            let (_, policy) = Folder::read(dir.path()).unwrap();
            assert_eq!(policy.human(&one), policy.human(&other));
        }
    }

    #[test]
    fn nobody_is_joined_whom_policy_does_not_know() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("people.toml");
        fs::write(&file, PEOPLE).unwrap();
        let error = join(dir.path(), &PersonId("telegram:7".into()), &PersonId("console:2".into())).unwrap_err();
        assert!(format!("{error:#}").contains("has no role"), "{error:#}");
        assert_eq!(fs::read_to_string(&file).unwrap(), PEOPLE);
    }

    #[test]
    fn who_loses_the_role_is_a_stranger_though_they_were_joined() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("people.toml");
        let (here, phone) = (PersonId("console:1000".into()), PersonId("telegram:9".into()));
        fs::write(&file, PEOPLE).unwrap();
        add(dir.path(), &phone, Role::Owner).unwrap();
        join(dir.path(), &here, &phone).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let revoked = text.replacen(", \"telegram:9\"]", "]", 1);
        assert!(revoked != text && revoked.contains("same = [[\"console:1000\", \"telegram:9\"]]"), "{revoked}");
        fs::write(&file, revoked).unwrap();
        let (_, policy) = Folder::read(dir.path()).unwrap();
        assert_eq!((policy.role(&phone), policy.role(&here)), (None, Some(Role::Owner)));
        // The next phone is the same human's, too.
        let next = PersonId("telegram:10".into());
        add(dir.path(), &next, Role::Owner).unwrap();
        join(dir.path(), &here, &next).unwrap();
        let (_, policy) = Folder::read(dir.path()).unwrap();
        assert_eq!((policy.human(&next), policy.human(&phone)), (&here, &here));
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
