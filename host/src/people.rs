//! Who is known: edits `[people]` in the policy files, and leaves everything else in them as it is.

use anyhow::{Context, Result, bail};
use borg_core::{
    permit::role_word,
    policy::{PersonId, Role},
};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use toml_edit::{Array, DocumentMut, Item, Value};

/// One edit at a time.
static EDITING: Mutex<()> = Mutex::new(());

const ROLES: [Role; 4] = [Role::Guest, Role::Member, Role::Admin, Role::Owner];

/// Gives somebody a role, in place of any they had.
///
/// # Errors
/// When no policy file can be read or written, or `[people]` does not hold lists.
pub fn add(policies: &Path, person: &PersonId, role: Role) -> Result<()> {
    let _editing = EDITING.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, mut policy) = people_in(policies)?;
    let people = policy["people"].or_insert(toml_edit::table());
    for other in ROLES {
        let word = role_word(other);
        if other != role && people.get(word).is_none() {
            continue;
        }
        let listed = people[word].or_insert(Item::Value(Value::Array(Array::new())));
        let Some(listed) = listed.as_array_mut() else { bail!("`{word}` in {} is no list", path.display()) };
        let is_listed = |value: &Value| value.as_str() == Some(&person.0);
        if other == role {
            if !listed.iter().any(is_listed) {
                listed.push(person.0.as_str());
            }
        } else {
            listed.retain(|value| !is_listed(value));
        }
    }
    let fresh = path.with_extension("toml.new");
    let written = fs::File::create(&fresh).and_then(|mut file| {
        file.write_all(policy.to_string().as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&fresh, &path)).with_context(|| format!("writing {}", path.display()))
}

/// The policy file with `[people]`; one of its own where no file has that.
fn people_in(policies: &Path) -> Result<(PathBuf, DocumentMut)> {
    let entries = fs::read_dir(policies).with_context(|| format!("reading {}", policies.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    for path in files {
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let policy: DocumentMut = text.parse().with_context(|| format!("reading {}", path.display()))?;
        if policy.contains_key("people") {
            return Ok((path, policy));
        }
    }
    Ok((policies.join("people.toml"), DocumentMut::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        fs::write(dir.path().join("host.toml"), "[host]\n").unwrap();
        let text = add_all(dir.path(), &[("telegram:7", Role::Member), ("telegram:7", Role::Member)]);
        let want = PEOPLE.replace("[\"telegram:7\", \"telegram:8\"]", "[ \"telegram:8\"]");
        assert_eq!(text, format!("{want}member = [\"telegram:7\"]\n"));
        assert_eq!(fs::read_to_string(dir.path().join("host.toml")).unwrap(), "[host]\n");
    }

    #[test]
    fn where_nobody_is_known_a_file_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let text = add_all(dir.path(), &[("telegram:1", Role::Owner)]);
        assert_eq!(text, "[people]\nowner = [\"telegram:1\"]\n");
        fs::write(dir.path().join("people.toml"), "[people]\nowner = 7\n").unwrap();
        let error = add(dir.path(), &PersonId("telegram:1".into()), Role::Owner).unwrap_err();
        assert!(error.to_string().contains("`owner` in"), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("people.toml")).unwrap(), "[people]\nowner = 7\n");
    }
}
