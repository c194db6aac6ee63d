//! What the list of a user's folders takes for the same folder, and who is kept from writing to it.

use super::*;
use crate::environment::Environment;
use zeroize::Zeroizing;

fn environment(variables: &[(&str, &Path)]) -> Environment {
    let variable = |(name, value): &(&str, &Path)| ((*name).to_owned(), Zeroizing::new(value.display().to_string()));
    variables.iter().map(variable).collect()
}

#[test]
fn the_list_lies_where_the_user_keeps_state() {
    let (home, state) = (Path::new("/home/ann"), Path::new("/srv/state"));
    let file = |variables: &[(&str, &Path)]| Registry::of_user(&environment(variables)).unwrap().file();
    assert_eq!(file(&[("HOME", home), ("XDG_STATE_HOME", state)]), Path::new("/srv/state/borg/installations.json"));
    let below_home = Path::new("/home/ann/.local/state/borg/installations.json");
    assert_eq!(file(&[("HOME", home)]), below_home);
    for relative in ["", ".", "state", "../state"] {
        assert_eq!(file(&[("HOME", home), ("XDG_STATE_HOME", Path::new(relative))]), below_home);
        // Never below the folder somebody stands in.
        assert!(file(&[("HOME", Path::new(relative))]).is_absolute());
    }
}

#[test]
fn folders_are_told_apart_and_each_stays_when_another_comes() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let registry = Registry::of_user(&environment(&[("XDG_STATE_HOME", &top)])).unwrap();
    let folders = ["one", "two", "three"].map(|name| top.join(name));
    for folder in &folders {
        fs::create_dir(folder).unwrap();
        assert!(!registry.holds(folder).unwrap());
        registry.add(folder).unwrap();
    }
    assert!(folders.iter().all(|folder| registry.holds(folder).unwrap()));
    let text = fs::read_to_string(registry.file()).unwrap();
    // One that was there before another of its name, as if inodes were never given twice.
    let aged = text.replacen("\"inode\": ", "\"inode\": 9", 1);
    fs::write(registry.file(), aged).unwrap();
    assert!(matches!(Installation::registered(&folders[0], &registry), Err(InstallationError::Another { .. })));
    assert!(Installation::registered(&folders[1], &registry).is_ok());
    // And one whose inode was given anew: the time it was made tells.
    if text.contains("\"born_ns\": null") {
        return;
    }
    fs::write(registry.file(), text.replacen("\"born_ns\": ", "\"born_ns\": 1", 1)).unwrap();
    assert!(matches!(Installation::registered(&folders[0], &registry), Err(InstallationError::Another { .. })));
    registry.add(&folders[0]).unwrap();
    assert!(folders.iter().all(|folder| registry.holds(folder).unwrap()));
}

#[test]
fn two_that_register_at_once_are_both_there() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().canonicalize().unwrap();
    let registry = Registry::of_user(&environment(&[("XDG_STATE_HOME", &top)])).unwrap();
    let folders: Vec<PathBuf> = (0..8).map(|n| top.join(n.to_string())).collect();
    folders.iter().for_each(|folder| fs::create_dir(folder).unwrap());
    std::thread::scope(|threads| {
        for folder in &folders {
            threads.spawn(|| registry.add(folder).unwrap());
        }
    });
    assert!(folders.iter().all(|folder| registry.holds(folder).unwrap()));
}

#[test]
fn what_can_be_written_by_a_group_counts_unless_it_is_the_users_own() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("borg.toml");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let found = fs::metadata(&file).unwrap();
    let taken = Installation::named(&file);
    assert_eq!(taken.is_ok(), found.gid() == rustix::process::geteuid().as_raw(), "{taken:?}");
    if rustix::process::geteuid().is_root() {
        rustix::fs::chown(&file, None, Some(rustix::fs::Gid::from_raw(65534))).unwrap();
        assert!(matches!(Installation::named(&file), Err(InstallationError::Open { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        Installation::named(&file).unwrap();
    }
}
