//! Reads `git diff-tree -p` (format: git-diff(1), "Generating patch text with -p").
//!
//! Hunks are read by the lengths in their `@@` line, never by what their lines look like: a removed line `-- a/x` reads
//! `--- a/x` in a patch and is no header.

use super::quote::{show, unquote};
use super::raw::RawEntry;
use crate::facts::Hunk;

/// What a patch says about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePatch {
    /// The rest of the `diff --git` line: both paths, ambiguous where one has a space.
    header: String,
    /// Paths named by lines that name one only; they decide when present.
    old_path: Option<String>,
    new_path: Option<String>,
    pub binary: bool,
    pub hunks: Vec<Hunk>,
}

impl FilePatch {
    /// True when this is the part of the patch for that file.
    pub fn is_about(&self, entry: &RawEntry) -> bool {
        let old = entry.old_path.as_deref().unwrap_or(&entry.path);
        let matches = |named: &Option<String>, path: &str| named.as_deref().is_none_or(|named| named == path);
        if self.old_path.is_some() || self.new_path.is_some() {
            return matches(&self.old_path, old) && matches(&self.new_path, &entry.path);
        }
        self.header == format!("a/{old} b/{}", entry.path)
    }
}

/// All files of a patch, and why it could not be read whole.
///
/// A line longer than `line_bytes` is replaced by a note of its length; its prefix stays.
pub fn read_patch(bytes: &[u8], line_bytes: usize) -> (Vec<FilePatch>, Vec<String>) {
    let mut reader = Reader { rest: bytes, line_bytes, files: Vec::new(), faults: Vec::new() };
    reader.run();
    (reader.files, reader.faults)
}

struct Reader<'a> {
    rest: &'a [u8],
    line_bytes: usize,
    files: Vec<FilePatch>,
    faults: Vec<String>,
}

impl<'a> Reader<'a> {
    fn run(&mut self) {
        while let Some(line) = self.line() {
            if let Some(paths) = line.strip_prefix(b"diff --git ") {
                let header = header_paths(paths);
                self.files.push(FilePatch { header, ..FilePatch::default() });
                continue;
            }
            let Some(file) = self.files.last_mut() else {
                if !line.is_empty() {
                    self.faults.push("the diff does not start with a file".into());
                    return;
                }
                continue;
            };
            if let Some(range) = line.strip_prefix(b"@@ -") {
                match hunk_range(range) {
                    Some(range) => self.hunk(range),
                    None => return self.stop(line),
                }
            } else if !header_line(file, line) {
                return self.stop(line);
            }
        }
    }

    fn stop(&mut self, line: &[u8]) {
        let at = self.files.last().map_or("", |file| file.header.as_str());
        let line = show(&line[..line.len().min(80)]);
        self.faults.push(format!("the diff could not be read from `{line}` on, after {at}"));
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &self.rest[self.rest.len()..]),
        };
        self.rest = rest;
        Some(line)
    }

    fn hunk(&mut self, range: Range) {
        let (mut old, mut new) = (range.old_lines, range.new_lines);
        let mut text = String::new();
        while old > 0 || new > 0 {
            let before = self.rest;
            let Some(line) = self.line() else {
                self.faults.push("the diff ends in the middle of a hunk".into());
                break;
            };
            let fits = match line.first() {
                Some(b' ') | None => old > 0 && new > 0,
                Some(b'-') => old > 0,
                Some(b'+') => new > 0,
                Some(b'\\') => true,
                Some(_) => false,
            };
            if !fits {
                self.rest = before;
                self.faults.push(format!("a hunk of {} is shorter than it says", self.name()));
                break;
            }
            match line.first() {
                Some(b'-') => old -= 1,
                Some(b'+') => new -= 1,
                Some(b'\\') => {}
                _ => (old, new) = (old - 1, new - 1),
            }
            self.push_line(&mut text, line);
        }
        if self.rest.starts_with(b"\\") {
            let line = self.line().expect("rest is not empty");
            self.push_line(&mut text, line);
        }
        let hunk = Hunk { old_start: range.old_start, new_start: range.new_start, text };
        if let Some(file) = self.files.last_mut() {
            file.hunks.push(hunk);
        }
    }

    fn push_line(&mut self, text: &mut String, line: &[u8]) {
        if !text.is_empty() {
            text.push('\n');
        }
        if line.len() > self.line_bytes {
            self.faults.push(format!("{} has a line of {} bytes, which was left out", self.name(), line.len()));
            text.push_str(&show(&line[..1]));
            text.push_str(&format!("(a line of {} bytes)", line.len() - 1));
            return;
        }
        match std::str::from_utf8(line) {
            // An empty line is a context line whose blank was eaten by some mailer; Git writes none.
            Ok("") => text.push(' '),
            Ok(line) => text.push_str(line),
            Err(_) => text.push_str(&String::from_utf8_lossy(line)),
        }
    }

    fn name(&self) -> &str {
        let Some(file) = self.files.last() else { return "the diff" };
        file.new_path.as_deref().or(file.old_path.as_deref()).unwrap_or(&file.header)
    }
}

/// Both paths of a `diff --git` line, unquoted where they are quoted.
fn header_paths(paths: &[u8]) -> String {
    let quoted_end = |bytes: &[u8]| {
        let mut escaped = false;
        bytes.iter().skip(1).position(|byte| {
            let end = *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && !escaped;
            end
        })
    };
    let first = match paths.first() {
        Some(b'"') => quoted_end(paths).map(|end| end + 2),
        _ => paths.windows(2).position(|pair| pair == b" \"").filter(|_| paths.ends_with(b"\"")),
    };
    let Some((old, new)) = first.and_then(|end| Some((paths.get(..end)?, paths.get(end + 1..)?))) else {
        return show(paths);
    };
    match (unquote(old), unquote(new)) {
        (Some(old), Some(new)) => format!("{} {}", show(&old), show(&new)),
        _ => show(paths),
    }
}

/// Takes a line between `diff --git` and the first hunk; false when it is none Git writes there.
fn header_line(file: &mut FilePatch, line: &[u8]) -> bool {
    let strip = |prefix: &str| line.strip_prefix(prefix.as_bytes());
    let path = |quoted: &[u8], prefix: &str| -> Option<String> {
        // Git ends a path that holds a blank with a tab here.
        let quoted = quoted.strip_suffix(b"\t").unwrap_or(quoted);
        let bytes = unquote(quoted)?;
        bytes.strip_prefix(prefix.as_bytes()).map(show)
    };
    if let Some(rest) = strip("--- ") {
        file.old_path = path(rest, "a/");
        return file.old_path.is_some() || rest == b"/dev/null";
    }
    if let Some(rest) = strip("+++ ") {
        file.new_path = path(rest, "b/");
        return file.new_path.is_some() || rest == b"/dev/null";
    }
    if let Some(rest) = strip("rename from ") {
        file.old_path = path(rest, "");
        return file.old_path.is_some();
    }
    if let Some(rest) = strip("rename to ") {
        file.new_path = path(rest, "");
        return file.new_path.is_some();
    }
    if line.starts_with(b"Binary files ") || line.starts_with(b"GIT binary patch") {
        file.binary = true;
        return true;
    }
    const KNOWN: [&str; 7] = [
        "index ",
        "old mode ",
        "new mode ",
        "new file mode ",
        "deleted file mode ",
        "similarity index ",
        "dissimilarity index ",
    ];
    KNOWN.iter().any(|known| line.starts_with(known.as_bytes()))
}

struct Range {
    old_start: u32,
    old_lines: u32,
    new_start: u32,
    new_lines: u32,
}

/// Reads what follows `@@ -`: `1,2 +3,4 @@ heading`.
fn hunk_range(text: &[u8]) -> Option<Range> {
    let end = text.windows(3).position(|window| window == b" @@")?;
    let text = std::str::from_utf8(&text[..end]).ok()?;
    let (old, new) = text.split_once(" +")?;
    let side = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((start, lines)) => Some((start.parse().ok()?, lines.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let ((old_start, old_lines), (new_start, new_lines)) = (side(old)?, side(new)?);
    Some(Range { old_start, old_lines, new_start, new_lines })
}
