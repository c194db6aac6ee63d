//! How busy the machine is. A promise of two seconds is made for one that has a processor to spare; where work that could run outnumbers
//! processors, each step waits for its turn, and the same promise takes as many times longer. On a quiet machine limits are what they are.

use std::{fs, thread, time::Duration};

/// A limit as it stands on this machine now: longer by as much as what wants to run outnumbers processors.
///
/// # Panics
/// Where the kernel does not tell.
pub fn allowing(limit: Duration) -> Duration {
    let told = fs::read_to_string("/proc/loadavg").expect("the kernel tells its load");
    let processors = thread::available_parallelism().map_or(1, usize::from);
    limit.mul_f64((wanting(&told).expect("proc_loadavg(5)") / processors as f64).max(1.0))
}

/// What wants to run, now or over the last minute, whichever is more (`proc_loadavg(5)`).
fn wanting(told: &str) -> Option<f64> {
    let mut fields = told.split(' ');
    let minute: f64 = fields.next()?.parse().ok()?;
    let now: f64 = fields.nth(2)?.split('/').next()?.parse().ok()?;
    Some(minute.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_read_as_the_kernel_writes_it() {
        assert_eq!(wanting("0.20 0.18 0.12 1/80 11206\n"), Some(1.0));
        assert_eq!(wanting("9.15 8.34 7.56 5/480 17795\n"), Some(9.15));
        assert_eq!(wanting("0.00 0.01 0.05 12/480 2\n"), Some(12.0));
        assert_eq!(wanting(""), None);
        assert!(allowing(Duration::from_secs(2)) >= Duration::from_secs(2));
    }
}
