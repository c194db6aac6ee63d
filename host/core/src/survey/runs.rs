//! Files that run without being called: somebody's program obeys them as soon as they lie in the tree.
//!
//! One table for all of them (`table.rs`). A new kind is a row there, a path in the test, and nothing else. What runs only because somebody starts a build
//! is told as a note; what runs at a commit, at a push, as a folder is opened or entered, or when dependencies are installed is for a
//! person. Files of CI have a class of their own ([`super::classify`]), which policy protects as well; its rows are for those that lie
//! elsewhere than a vendor looks by default.

pub(crate) mod cause;
mod table;

pub use cause::{Cause, Runs};

use crate::spelling::{fold, is_short_for};
use table::CAUSES;

/// Why a file of this path runs; nothing for most.
pub fn cause(path: &str) -> Option<&'static Cause> {
    let names: Vec<String> = path.split(['/', '\\']).map(fold).collect();
    CAUSES.iter().find(|cause| cause.files.iter().any(|pattern| fits(pattern, &names)))
}

/// True when the pattern names the path, or a folder in whose place the path stands.
fn fits(pattern: &str, names: &[String]) -> bool {
    let (rooted, pattern) = match pattern.strip_prefix('/') {
        Some(pattern) => (true, pattern),
        None => (false, pattern),
    };
    let last = if rooted { 0 } else { names.len() - 1 };
    (0..=last).any(|at| fits_here(pattern, &names[at..]))
}

fn fits_here(pattern: &str, names: &[String]) -> bool {
    let mut parts = pattern.split('/').enumerate().peekable();
    let mut names = names.iter().peekable();
    while let Some((depth, part)) = parts.next() {
        if part == "**" {
            return true;
        }
        let Some(name) = names.next() else { return false };
        if !is_like(part, name) {
            return false;
        }
        // A file or a link where a folder is meant: what it leads to is not known here.
        if names.peek().is_none() && parts.peek().is_some() {
            return depth > 0 || part.starts_with('.') && !matches!(part, ".config" | ".github");
        }
    }
    names.peek().is_none()
}

/// True when a folded name is what a pattern of one name means; `*` stands for any part of it, at most twice.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == name || name.contains('~') && is_short_for(name, pattern);
    };
    let Some(rest) = name.strip_prefix(head) else { return false };
    match tail.split_once('*') {
        None => rest.ends_with(tail),
        Some((middle, end)) => rest.strip_suffix(end).is_some_and(|rest| rest.contains(middle)),
    }
}

#[cfg(test)]
mod tests;
