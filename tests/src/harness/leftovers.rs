//! The containers of an installation: those that mount something of its directory, and no other. What a killed host left is removed.

use crate::process;
use std::{path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);
const FORMAT: &str = "{{.Id}}{{range .Mounts}} {{.Source}}{{end}}";

/// Best effort: without an engine there is nothing to remove.
pub fn remove(dir: &Path) {
    for id in containers(dir) {
        docker(&["rm", "--force", "--volumes", &id]);
    }
}

/// Ids of the containers, running or not, that mount something of this directory; none without an engine.
pub fn containers(dir: &Path) -> Vec<String> {
    let all = docker(&["ps", "--all", "--quiet", "--no-trunc"]).unwrap_or_default();
    let ids: Vec<&str> = all.lines().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    // One of them may vanish in between: what is told of the others counts.
    let mounts = docker(&[&["inspect", "--format", FORMAT], &ids[..]].concat()).unwrap_or_default();
    mounts.lines().filter_map(|line| owner(line, dir)).map(str::to_owned).collect()
}

/// What the engine tells of each of them, by one of its formats.
pub fn told(dir: &Path, format: &str) -> Vec<String> {
    let ask = |id: String| docker(&["inspect", "--format", format, &id]);
    containers(dir).into_iter().filter_map(ask).map(|told| told.trim_end().to_owned()).collect()
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
