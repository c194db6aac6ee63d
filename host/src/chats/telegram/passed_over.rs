//! Updates that nobody here understands are noted in the journal, so many in an hour: a flood of them is Telegram's, or somebody's, to make.

/// Time in which so many are noted, in milliseconds.
const HOUR_MS: u64 = 3_600_000;
/// Updates noted in that time; of the others the next one tells the number.
const NOTED: u32 = 100;

/// What was passed over lately.
#[derive(Debug, Default)]
pub struct PassedOver {
    since_ms: u64,
    noted: u32,
    untold: u64,
}

impl PassedOver {
    /// Takes one of a kind: none where it is only counted, else what is to be noted.
    pub fn note(&mut self, kind: &str, now_ms: u64) -> Option<String> {
        if now_ms.saturating_sub(self.since_ms) >= HOUR_MS {
            (self.since_ms, self.noted) = (now_ms, 0);
        }
        if self.noted >= NOTED {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.noted += 1;
        Some(match std::mem::take(&mut self.untold) {
            0 => kind.to_owned(),
            more => format!("{kind} ({more} more since the last that was noted)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let mut passed = PassedOver::default();
        let noted = (0..10_000).filter(|_| passed.note("poll", HOUR_MS).is_some()).count();
        assert_eq!(noted, NOTED as usize);
        assert_eq!(passed.note("poll", 2 * HOUR_MS).unwrap(), "poll (9900 more since the last that was noted)");
        assert_eq!(passed.note("poll", 2 * HOUR_MS).unwrap(), "poll");
    }
}
