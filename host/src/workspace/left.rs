//! Paths that were left behind, folded to their folders so that a report stays short whatever an agent wrote.

use super::names::show;
use borg_core::collect::{LeftBehind, LeftReason};
use std::collections::BTreeMap;

/// Rows of one report; more are folded into parent folders.
const ROWS: usize = 256;

/// Index of the reason, and the folder (empty or ending in `/`).
type Key = (u8, Vec<u8>);
/// How many paths, and the path itself while there is only one.
type Row = (u64, Option<Vec<u8>>);

#[derive(Default)]
pub(super) struct Left {
    rows: BTreeMap<Key, Row>,
    /// Count and first path of what makes a collection incomplete, by reason.
    faults: BTreeMap<u8, (u64, Vec<u8>)>,
}

const REASONS: [LeftReason; 8] = [
    LeftReason::NotGranted,
    LeftReason::Pinned,
    LeftReason::Protected,
    LeftReason::GitLookalike,
    LeftReason::NotAFile,
    LeftReason::Unreadable,
    LeftReason::OverLimit,
    LeftReason::BadName,
];

/// What to tell when a reason makes the collection incomplete; nothing when it is a plain finding.
fn fault(reason: &LeftReason) -> Option<&'static str> {
    match reason {
        LeftReason::NotGranted | LeftReason::Pinned | LeftReason::Protected | LeftReason::GitLookalike => None,
        LeftReason::NotAFile => Some("neither files nor links"),
        LeftReason::Unreadable => Some("not readable by their mode bits"),
        LeftReason::OverLimit => Some("over a limit of size, count or depth"),
        LeftReason::BadName => Some("named in a way that cannot be kept"),
    }
}

impl Left {
    pub fn add(&mut self, path: &[u8], reason: LeftReason) {
        let index = REASONS.iter().position(|known| *known == reason).expect("all reasons are listed") as u8;
        if fault(&reason).is_some() {
            self.faults.entry(index).or_insert_with(|| (0, path.to_vec())).0 += 1;
        }
        let row = self.rows.entry((index, parent(path).to_vec())).or_insert((0, None));
        row.0 += 1;
        row.1 = if row.0 == 1 { Some(path.to_vec()) } else { None };
        if self.rows.len() > 2 * ROWS {
            self.fold();
        }
    }

    /// Folds the deepest folders into their parents until the rows fit.
    fn fold(&mut self) {
        let depth = |folder: &[u8]| folder.iter().filter(|byte| **byte == b'/').count();
        while self.rows.len() > ROWS {
            let deepest = self.rows.keys().map(|(_, folder)| depth(folder)).max().unwrap_or(0);
            if deepest == 0 {
                return;
            }
            let keys: Vec<_> = self.rows.keys().filter(|(_, folder)| depth(folder) == deepest).cloned().collect();
            for (reason, folder) in keys {
                let (count, single) = self.rows.remove(&(reason, folder.clone())).expect("just listed");
                let above = parent(folder.strip_suffix(b"/").unwrap_or(&folder)).to_vec();
                let row = self.rows.entry((reason, above)).or_insert((0, None));
                row.0 += count;
                row.1 = if row.0 == 1 { single } else { None };
            }
        }
    }

    /// The rows by path, and why the collection is not whole.
    pub fn finish(mut self) -> (Vec<LeftBehind>, Vec<String>) {
        self.fold();
        let row = |((reason, folder), (count, single)): (Key, Row)| {
            let path = match single {
                Some(path) => show(&path),
                None if folder.is_empty() => "./".to_owned(),
                None => show(&folder),
            };
            LeftBehind { path, reason: REASONS[usize::from(reason)].clone(), count }
        };
        let mut rows: Vec<_> = self.rows.into_iter().map(row).collect();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let told = |(reason, (count, first)): (u8, (u64, Vec<u8>))| {
            let why = fault(&REASONS[usize::from(reason)]).expect("only faults are counted");
            format!("{count} left behind because they are {why}; first: {}", show(&first))
        };
        (rows, self.faults.into_iter().map(told).collect())
    }
}

/// The folder of a path with its slash; empty at the top.
fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |slash| &path[..=slash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_by_folder_and_keeps_every_count() {
        let mut left = Left::default();
        left.add(b"a/x", LeftReason::NotGranted);
        left.add(b"a/y", LeftReason::NotGranted);
        left.add(b"a/t", LeftReason::Pinned);
        left.add(b"fifo", LeftReason::NotAFile);
        let (rows, faults) = left.finish();
        let shown: Vec<_> = rows.iter().map(|row| (row.path.as_str(), row.count)).collect();
        assert_eq!(shown, [("a/", 2), ("a/t", 1), ("fifo", 1)]);
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn a_flood_stays_short() {
        let mut left = Left::default();
        for n in 0..100_000 {
            left.add(format!("d{}/e{n}/f", n % 7).as_bytes(), LeftReason::NotGranted);
        }
        let (rows, _) = left.finish();
        assert!(rows.len() <= ROWS);
        assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 100_000);
    }
}
