//! The stand-in's clock: runs as fast as told and can be set forward. Limits, expiry and the dates on messages read it; answers that are
//! slow on order do not.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// Unix time at the start.
    epoch: Duration,
    speed: f64,
    skipped: Duration,
}

impl Clock {
    pub fn new(speed: f64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "messages carry the date a person would see")]
        let now = SystemTime::now();
        let epoch = now.duration_since(UNIX_EPOCH).expect("the machine's clock is past 1970");
        Self { started: Instant::now(), epoch, speed, skipped: Duration::ZERO }
    }

    /// Time on this clock since the start.
    pub fn now(&self) -> Duration {
        self.started.elapsed().mul_f64(self.speed) + self.skipped
    }

    /// Seconds since 1970 on this clock.
    pub fn unix(&self) -> i64 {
        (self.epoch + self.now()).as_secs().cast_signed()
    }

    pub fn advance(&mut self, by: Duration) {
        self.skipped += by;
    }

    /// How long a time on this clock takes outside.
    pub fn outside(&self, time: Duration) -> Duration {
        time.div_f64(self.speed)
    }

    /// Time outside since the start, for records.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
