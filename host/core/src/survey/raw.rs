//! Reads `git diff-tree --raw -z` (format: git-diff-tree(1), "Raw output format"). What changed inside the files is `patch.rs`.

use super::quote::show;

/// How a file changed, by Git's letter. Copies are never asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawStatus {
    Added,
    Deleted,
    Modified,
    Renamed,
    TypeChanged,
}

/// One changed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEntry {
    /// Git's mode bits, such as `0o100644`; 0 where that side does not exist.
    pub old_mode: u32,
    pub new_mode: u32,
    /// Full object ids; all zeros where that side does not exist.
    pub old_id: String,
    pub new_id: String,
    pub status: RawStatus,
    /// Path at head, or at base for a deletion; bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    /// Path at base, for renames.
    pub old_path: Option<String>,
}

/// All entries up to the first that cannot be read, and what was wrong with that one.
pub fn read_raw(bytes: &[u8]) -> (Vec<RawEntry>, Option<String>) {
    let mut entries = Vec::new();
    let Some(body) = bytes.strip_suffix(b"\0") else {
        let fault = (!bytes.is_empty()).then(|| "it ends in the middle of an entry".to_owned());
        return (entries, fault);
    };
    let mut fields = body.split(|byte| *byte == 0);
    while let Some(head) = fields.next() {
        match entry(head, &mut fields) {
            Some(entry) => entries.push(entry),
            None => return (entries, Some(format!("entry `{}` has an unknown form", show(head)))),
        }
    }
    (entries, None)
}

fn entry<'a>(head: &[u8], fields: &mut impl Iterator<Item = &'a [u8]>) -> Option<RawEntry> {
    let head = std::str::from_utf8(head.strip_prefix(b":")?).ok()?;
    let mut parts = head.split(' ');
    let mut mode = || u32::from_str_radix(parts.next()?, 8).ok();
    let (old_mode, new_mode) = (mode()?, mode()?);
    let mut id = || parts.next().filter(|id| id.len() >= 40 && id.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let (old_id, new_id) = (id()?.to_owned(), id()?.to_owned());
    let letter = parts.next()?;
    let status = match letter.as_bytes().first()? {
        b'A' => RawStatus::Added,
        b'D' => RawStatus::Deleted,
        b'M' => RawStatus::Modified,
        b'R' => RawStatus::Renamed,
        b'T' => RawStatus::TypeChanged,
        _ => return None,
    };
    let mut path = || fields.next().filter(|path| !path.is_empty()).map(show);
    let first = path()?;
    let (path, old_path) = match status {
        RawStatus::Renamed => (path()?, Some(first)),
        RawStatus::Added | RawStatus::Deleted | RawStatus::Modified | RawStatus::TypeChanged => (first, None),
    };
    Some(RawEntry { old_mode, new_mode, old_id, new_id, status, path, old_path })
}
