//! Removes containers that a killed host left behind: those that mount something of its directory, and no other.

use crate::process;
use std::{path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);
const FORMAT: &str = "{{.Id}}{{range .Mounts}} {{.Source}}{{end}}";

/// Best effort: without an engine there is nothing to remove.
pub fn remove(dir: &Path) {
    let Some(all) = docker(&["ps", "--all", "--quiet", "--no-trunc"]) else { return };
    let ids: Vec<&str> = all.lines().collect();
    if ids.is_empty() {
        return;
    }
    // One of them may vanish in between: what is told of the others counts.
    let Some(mounts) = docker(&[&["inspect", "--format", FORMAT], &ids[..]].concat()) else { return };
    for line in mounts.lines() {
        if let Some(id) = owner(line, dir) {
            docker(&["rm", "--force", "--volumes", id]);
        }
    }
}

/// The container's id, if one of its mounts lies below `dir`.
fn owner<'a>(line: &'a str, dir: &Path) -> Option<&'a str> {
    let mut words = line.split(' ');
    let id = words.next()?;
    words.any(|source| Path::new(source).starts_with(dir)).then_some(id)
}

fn docker(args: &[&str]) -> Option<String> {
    let mut docker = process::command("docker");
    docker.args(args);
    process::run(docker, "", LIMIT).ok().map(|output| output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_containers_of_this_directory_are_ours() {
        let dir = Path::new("/tmp/borg-test-1");
        assert_eq!(owner("abc /tmp/other /tmp/borg-test-1/data/runs/1", dir), Some("abc"));
        assert_eq!(owner("abc /tmp/borg-test-12/data", dir), None);
        assert_eq!(owner("abc", dir), None);
    }
}
