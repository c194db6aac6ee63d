//! Surveys that were made lately: the same is not made again.

use borg_core::{
    collect::CommitId,
    survey::{self, Survey},
};
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

/// Surveys that are kept, and bytes of text in all of them together.
const SURVEYS: usize = 8;
const SURVEYS_BYTES: usize = 64 << 20;

/// The latest surveys: a change is surveyed when it is checked, when that is done again, and when it is judged, and two commits always differ
/// by the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Surveys(Arc<Mutex<VecDeque<Kept>>>);

impl Surveys {
    pub(super) fn get(&self, which: &Which) -> Option<Arc<Survey>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(known, _)| known == which).map(|(_, survey)| survey.clone())
    }

    /// Lets go of the oldest until there is room.
    pub(super) fn keep(&self, which: Which, survey: &Arc<Survey>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((which, survey.clone()));
        while kept.iter().map(|(_, survey)| survey.bytes()).sum::<usize>() > SURVEYS_BYTES || kept.len() > SURVEYS {
            kept.pop_front();
        }
    }
}

type Kept = (Which, Arc<Survey>);

/// What a survey is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Which {
    pub(super) mirror: PathBuf,
    pub(super) base: CommitId,
    pub(super) head: CommitId,
    pub(super) limits: survey::Limits,
}
