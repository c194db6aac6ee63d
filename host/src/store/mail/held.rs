//! Requests of people nobody knows, where policy has them held.

use crate::{
    journal::JournalError,
    mail::{Held, Taken},
    store::{
        rows,
        sqlite::{Sqlite, put_meta},
    },
};
use borg_core::people::PersonId;

/// Where they are kept.
const META: &str = "held-requests";

impl Sqlite {
    pub fn hold(
        &mut self,
        person: &PersonId,
        key: &str,
        now_ms: u64,
        known: &[PersonId],
    ) -> Result<bool, JournalError> {
        let mut held = self.meta(META)?.map_or_else(|| Ok(Held::default()), |kept| rows::parse(&kept))?;
        match held.take(person, key, now_ms, known) {
            Taken::New => put_meta(&self.db, META, &rows::json(&held)?).map(|()| true),
            Taken::Again => Ok(true),
            Taken::No => Ok(false),
        }
    }
}
