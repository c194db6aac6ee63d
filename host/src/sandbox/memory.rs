//! How much memory a process and all that come from it take, where no kernel limit holds them together. What follows is `watch.rs`.

use std::{collections::HashMap, fs, path::Path};

/// What one process says of itself in proc_pid_stat(5).
struct Process {
    parent: i32,
    resident_bytes: u64,
}

/// Bytes that `root` and its descendants take. Above `limit` it is counted anew with what several of them share counted once, which costs
/// more: an answer of at most `limit` may be too large, one above it is not. Blocks.
pub(super) fn used(root: i32, limit: u64) -> std::io::Result<u64> {
    let mut all = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        // One that has ended meanwhile takes nothing.
        let stat = pid.and_then(|pid: i32| Some((pid, parse(&fs::read_to_string(entry.path().join("stat")).ok()?)?)));
        all.extend(stat);
    }
    let ours: Vec<i32> = all.keys().copied().filter(|pid| descends(*pid, root, &all)).collect();
    let resident = ours.iter().map(|pid| all[pid].resident_bytes).sum();
    if resident <= limit {
        return Ok(resident);
    }
    Ok(ours.iter().map(|pid| share(*pid).unwrap_or(all[pid].resident_bytes)).sum())
}

fn descends(mut pid: i32, root: i32, all: &HashMap<i32, Process>) -> bool {
    // The processes were not read at one moment, so that numbers used again might even make a circle.
    for _ in 0..all.len() {
        if pid == root {
            return true;
        }
        match all.get(&pid) {
            Some(process) => pid = process.parent,
            None => return false,
        }
    }
    false
}

fn parse(stat: &str) -> Option<Process> {
    // The name in field 2 may hold spaces and parentheses; after it come the fields from 3 on.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let pages: u64 = fields.nth(19)?.parse().ok()?;
    Some(Process { parent, resident_bytes: pages * rustix::param::page_size() as u64 })
}

/// Bytes of a process with its part of what it shares; none where the kernel does not tell.
fn share(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("smaps_rollup")).ok()?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some((kib("Pss:")? + kib("SwapPss:").unwrap_or(0)) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        process::{Command, Stdio},
    };

    #[test]
    fn a_process_is_found_with_its_memory() {
        // Another process: this one is shared by many tests.
        let script = "echo; read start; ballast=$(head -c 67108864 /dev/zero | tr '\\0' x); echo; read end";
        #[expect(clippy::disallowed_methods, reason = "a process to measure, not one of the host's")]
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let (mut stdin, mut stdout) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let pid = shell.id().cast_signed();
        stdout.read_exact(&mut [0]).unwrap();
        let before = used(pid, 0).unwrap();
        stdin.write_all(b"\n").unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        for limit in [0, u64::MAX] {
            let now = used(pid, limit).unwrap();
            assert!((before + (60 << 20)..before + (512 << 20)).contains(&now), "{before} -> {now}");
        }
        assert!(used(1, u64::MAX).unwrap() > before);
        drop(stdin);
        shell.wait().unwrap();
        assert_eq!(used(i32::MAX, 0).unwrap(), 0);
    }

    #[test]
    fn names_with_parentheses_are_read() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 100 2000 25 18446744073709551615";
        let process = parse(stat).unwrap();
        assert_eq!((process.parent, process.resident_bytes), (3, 25 * rustix::param::page_size() as u64));
        assert!(parse("7 (a").is_none());
    }
}
