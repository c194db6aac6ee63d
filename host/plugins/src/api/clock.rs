//! `borg:plugin/clock`: the time of day, for plugins that were granted it. A component that imports it ungranted is not loaded.

/// Reads the host's clock, or stands still.
#[derive(Clone)]
pub(crate) struct Clock {
    now_ms: Option<fn() -> u64>,
}

impl Clock {
    /// A clock that follows `now_ms` if granted, and always says 0 if not.
    pub(crate) fn new(now_ms: fn() -> u64, granted: bool) -> Clock {
        Clock { now_ms: granted.then_some(now_ms) }
    }

    /// Milliseconds since 1970-01-01 00:00 UTC.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms.map_or(0, |now_ms| now_ms())
    }
}
