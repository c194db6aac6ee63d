//! Looks for a secret where it must not be: in files, in what the kernel tells of processes, in what containers hold.
//!
//! `forms.rs` knows what the secret may look like; here is where it is looked for. Every search tells how much it saw: a hunt that saw
//! nothing proves nothing.

mod forms;

use forms::Forms;

use crate::process;
use anyhow::{Context, Result};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(30);
/// Memory is read in pieces of this size, in bytes.
const PIECE: usize = 4 << 20;
/// Longer than any form of a secret, in bytes.
const OVERLAP: usize = 512;
const PAGE: u64 = 4096;

/// One secret being looked for.
pub struct Hunt {
    forms: Forms,
    /// Things looked at so far: files, processes, texts.
    pub seen: usize,
    /// Where it was found, and in which form.
    pub found: Vec<String>,
}

impl Hunt {
    pub fn new(secret: &str) -> Self {
        Self { forms: Forms::of(secret), seen: 0, found: Vec::new() }
    }

    /// Looks at bytes that came from `place`.
    pub fn bytes(&mut self, place: &str, bytes: &[u8]) {
        self.seen += 1;
        if let Some(form) = self.forms.find(bytes) {
            self.found.push(format!("{place}: {form}"));
        }
    }

    /// Looks at every name, link and regular file below a folder, but not below `but`. What vanishes meanwhile is gone.
    pub fn folder(&mut self, folder: &Path, but: &[PathBuf]) -> Result<()> {
        if but.iter().any(|other| folder.starts_with(other)) {
            return Ok(());
        }
        let entries = match fs::read_dir(folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
                return Ok(());
            }
            entries => entries.with_context(|| format!("reading {}", folder.display()))?,
        };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let path = entry.path();
            if but.contains(&path) {
                continue;
            }
            let name = path.display().to_string();
            self.bytes(&format!("name {name}"), name.as_bytes());
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                self.folder(&path, but)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap_or_default();
                self.bytes(&name, target.display().to_string().as_bytes());
            } else if kind.is_file() {
                self.file(&path);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) {
        if let Ok(bytes) = fs::read(path) {
            self.bytes(&path.display().to_string(), &bytes);
        }
    }

    /// Looks at the environment and the arguments of every process that this user may look at.
    pub fn processes(&mut self) {
        for pid in processes() {
            for file in ["environ", "cmdline"] {
                self.file(Path::new(&format!("/proc/{pid}/{file}")));
            }
        }
    }

    /// Looks at the memory of a process, as far as the kernel shows it; true when it showed any.
    pub fn memory(&mut self, pid: u32) -> bool {
        let of = |file: &str| File::open(format!("/proc/{pid}/{file}"));
        let Ok(maps) = fs::read_to_string(format!("/proc/{pid}/maps")) else { return false };
        let (Ok(memory), Ok(pages)) = (of("mem"), of("pagemap")) else { return false };
        let mut any = false;
        for (from, to) in maps.lines().filter_map(writable).flat_map(|(from, to)| present(&pages, from, to)) {
            // Pieces overlap, so that nothing hides on a border.
            for at in (from..to).step_by(PIECE - OVERLAP) {
                let mut piece = vec![0; PIECE.min(usize::try_from(to - at).unwrap_or(PIECE))];
                // What is not there any more cannot be read.
                let Ok(got) = memory.read_at(&mut piece, at) else { break };
                any |= got > 0;
                if let Some(form) = self.forms.find(&piece[..got]) {
                    self.found.push(format!("memory of process {pid}: {form}"));
                }
            }
        }
        self.seen += usize::from(any);
        any
    }

    /// Looks at what the engine tells of a container, and at what it printed.
    pub fn container(&mut self, id: &str) -> Result<()> {
        for args in [&["inspect", id][..], &["logs", id], &["diff", id]] {
            let mut docker = process::command("docker");
            docker.args(args);
            let output = process::run(docker, "", LIMIT)?;
            let place = format!("docker {} of {id}", args[0]);
            self.bytes(&place, output.stdout.as_bytes());
            self.bytes(&place, output.stderr.as_bytes());
        }
        Ok(())
    }
}

/// Start and end of a mapping that may hold what a process wrote. (proc_pid_maps(5))
fn writable(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
    words.next()?.starts_with("rw").then_some((from, to))
}

/// The stretches of a mapping that are in memory or swapped out; the rest is mere address space. (proc_pid_pagemap(5))
fn present(pages: &File, from: u64, to: u64) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = Vec::new();
    for at in (from..to).step_by(PIECE * 512) {
        let count = (to - at).div_ceil(PAGE).min(PIECE as u64 / 8);
        let mut bits = vec![0; usize::try_from(count * 8).expect("a piece fits into memory")];
        let Ok(got) = pages.read_at(&mut bits, at / PAGE * 8) else { return found };
        for (n, entry) in bits[..got].chunks_exact(8).enumerate() {
            // Bits 62 and 63 of a little-endian word.
            if entry[7] & 0xc0 == 0 {
                continue;
            }
            let page = at + n as u64 * PAGE;
            match found.last_mut() {
                Some((_, end)) if *end == page => *end += PAGE,
                _ => found.push((page, page + PAGE)),
            }
        }
    }
    found
}

/// Ids of all processes.
pub fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, os::unix::fs::symlink, process::Stdio};

    const SECRET: &str = "sk-ant-api03-9fQx2/LmV7+tR4c=Wz8~Hb1yKd6Ns3Pg";

    #[test]
    fn files_names_and_links_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/plain"), format!("x{SECRET}y")).unwrap();
        fs::write(at("a/honest"), "nothing").unwrap();
        symlink(SECRET, at("link")).unwrap();
        fs::write(at(&SECRET.replace('/', "_")), "").unwrap();
        fs::write(at("meant"), SECRET).unwrap();
        let mut hunt = Hunt::new(SECRET);
        hunt.folder(dir.path(), &[at("meant")]).unwrap();
        assert_eq!(hunt.found.len(), 3, "{:?}", hunt.found);
    }

    #[test]
    fn processes_are_looked_at() {
        let mut sleep = process::command("/bin/sh");
        sleep.args(["-c", "echo ready; read line"]).env("SOME_KEY", SECRET);
        let mut child = sleep.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // Its environment can be read once it runs its own program, which is later than it is there.
        let mut ready = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        let mut hunt = Hunt::new(SECRET);
        hunt.processes();
        let memory = hunt.memory(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        let environ = format!("/proc/{}/environ: plain", child.id());
        assert!(hunt.found.contains(&environ), "{:?}", hunt.found);
        let in_memory = format!("memory of process {}: plain", child.id());
        assert!(!memory || hunt.found.contains(&in_memory), "{:?}", hunt.found);
    }
}
