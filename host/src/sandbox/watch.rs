//! Watches a running process against its limits of time, silence, output and disk, and of memory where no kernel limit holds it. Processes
//! and CPU are the kernel's to hold.

use super::{disk, memory};
use borg_core::{executor::EndCause, run::Limits};
use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// Shortest and longest time between two looks at the disk; between them, twenty times what a look costs.
const DISK_INTERVAL: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// Looks at the disk that may fail in a row before the run is ended: a limit that cannot be checked does not hold.
const DISK_FAILURES: u32 = 3;

/// The same for looks at the memory.
const MEMORY_INTERVAL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What the reader of a run's output tells its watcher.
pub(super) struct Progress {
    last: Mutex<Instant>,
    paused: AtomicUsize,
    capped: Notify,
}

impl Progress {
    pub(super) fn new() -> Self {
        Progress { last: Mutex::new(Instant::now()), paused: AtomicUsize::new(0), capped: Notify::new() }
    }

    /// The process printed something.
    pub(super) fn beat(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// The output cap was reached.
    pub(super) fn cap_output(&self) {
        self.capped.notify_one();
    }

    /// Silence does not count until the value is dropped.
    pub(super) fn pause(&self) -> Pause<'_> {
        self.paused.fetch_add(1, Ordering::SeqCst);
        Pause(self)
    }

    /// When the process last printed, as far as the reader could see.
    fn last(&self) -> Instant {
        if self.paused.load(Ordering::SeqCst) > 0 {
            return Instant::now();
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Progress::pause`].
pub(super) struct Pause<'a>(&'a Progress);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.beat();
        self.0.paused.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One run's limits and where it writes.
pub(super) struct Watch {
    pub limits: Limits,
    /// Trees that count as its disk.
    pub disk: Vec<PathBuf>,
    /// Bytes that should stay free where the first tree is. Below it, what its file system lost meanwhile counts as well, because files that
    /// were removed while they are open are in no tree.
    pub floor: u64,
    /// Its first process, if what that and all its descendants take is to be held to the memory limit.
    pub memory_of: Option<i32>,
    /// How long it has been running.
    pub age: Duration,
    pub progress: Arc<Progress>,
}

impl Watch {
    /// Resolves when a limit is broken, with the cause; never otherwise.
    pub(super) async fn breach(self) -> EndCause {
        let Watch { limits, disk, floor, memory_of, age, progress } = self;
        let left = Duration::from_millis(limits.wall_ms).saturating_sub(age);
        tokio::select! {
            () = tokio::time::sleep(left) => EndCause::TimedOut,
            () = silence(&progress, Duration::from_millis(limits.idle_ms)) => EndCause::Silent,
            () = progress.capped.notified() => EndCause::OutputCap,
            () = full(disk, floor, limits) => EndCause::DiskCap,
            () = overgrown(memory_of, limits.memory_bytes) => EndCause::OutOfMemory,
        }
    }
}

/// Resolves when nothing was printed for `idle`; zero is for ever.
async fn silence(progress: &Progress, idle: Duration) {
    if idle.is_zero() {
        return std::future::pending().await;
    }
    loop {
        let until = progress.last() + idle;
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

/// Resolves when a process and its descendants take more than `limit`.
async fn overgrown(root: Option<i32>, limit: u64) {
    let Some(root) = root else { return std::future::pending().await };
    loop {
        let started = Instant::now();
        let used = tokio::task::spawn_blocking(move || memory::used(root, limit));
        match used.await.expect("reading of processes does not panic") {
            Ok(used) if used > limit => return,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot measure a run's memory"),
        }
        tokio::time::sleep((started.elapsed() * 20).clamp(MEMORY_INTERVAL.0, MEMORY_INTERVAL.1)).await;
    }
}

/// Resolves when the trees are over the limits.
async fn full(trees: Vec<PathBuf>, floor: u64, limits: Limits) {
    let Some(first) = trees.first().cloned() else { return std::future::pending().await };
    let trees = Arc::new(trees);
    let before = disk::space(&first).map_or(u64::MAX, |space| space.used);
    let mut failures = 0;
    loop {
        let (trees, first) = (trees.clone(), first.clone());
        let started = Instant::now();
        let look = move || -> std::io::Result<bool> {
            let usage = disk::usage(&trees, limits.disk_bytes, limits.disk_files)?;
            let over = usage.bytes > limits.disk_bytes || usage.files > limits.disk_files || usage.too_deep;
            // What cannot be seen is judged by what the whole file system lost meanwhile.
            let space = disk::space(&first)?;
            let lost = space.used.saturating_sub(before) > limits.disk_bytes;
            Ok(over || (lost && (usage.unreadable > 0 || space.free < floor)))
        };
        match tokio::task::spawn_blocking(look).await.expect("walking a tree does not panic") {
            Ok(true) => return,
            Ok(false) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "cannot measure a run's disk");
                if failures >= DISK_FAILURES {
                    return;
                }
            }
        }
        tokio::time::sleep((started.elapsed() * 20).clamp(DISK_INTERVAL.0, DISK_INTERVAL.1)).await;
    }
}

/// How long a process has been running, by the kernel's own record, which no change of the wall clock touches. Zero when it is gone.
pub(super) fn age(pid: i32) -> Duration {
    let started = || -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Field 22 of proc_pid_stat(5); the name in field 2 may hold spaces and parentheses.
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
    };
    let Some(ticks) = started() else { return Duration::ZERO };
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    let started = Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1));
    now.saturating_sub(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            memory_bytes: 0,
            cpu_millis: 0,
            pids: 0,
            disk_bytes: 1 << 20,
            disk_files: 100,
            output_bytes: 0,
            wall_ms: 60_000,
            idle_ms: 0,
        }
    }

    fn watch(limits: Limits, disk: Vec<PathBuf>) -> (Watch, Arc<Progress>) {
        let progress = Arc::new(Progress::new());
        (Watch { limits, disk, floor: 0, memory_of: None, age: Duration::ZERO, progress: progress.clone() }, progress)
    }

    #[tokio::test(start_paused = true)]
    async fn time_and_silence_end_a_run() {
        let start = Instant::now();
        assert_eq!(watch(limits(), vec![]).0.breach().await, EndCause::TimedOut);
        assert!(start.elapsed() >= Duration::from_secs(60));
        let (watch, progress) = watch(Limits { idle_ms: 10_000, ..limits() }, vec![]);
        let start = Instant::now();
        let beats = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(8)).await;
                progress.beat();
            }
            std::future::pending::<EndCause>().await
        };
        let cause = tokio::select! { cause = watch.breach() => cause, cause = beats => cause };
        assert_eq!((cause, start.elapsed().as_secs()), (EndCause::Silent, 34));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_not_the_process_s_silence() {
        let (watch, progress) = watch(Limits { idle_ms: 10_000, ..limits() }, vec![]);
        let start = Instant::now();
        let slow = async {
            let paused = progress.pause();
            tokio::time::sleep(Duration::from_secs(35)).await;
            drop(paused);
            std::future::pending::<EndCause>().await
        };
        let cause = tokio::select! { cause = watch.breach() => cause, cause = slow => cause };
        assert_eq!((cause, start.elapsed().as_secs()), (EndCause::Silent, 45));
    }

    #[tokio::test]
    async fn bytes_files_and_output_end_a_run() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("big"), vec![1; 2 << 20]).unwrap();
        let trees = vec![dir.path().to_owned()];
        assert_eq!(watch(limits(), trees.clone()).0.breach().await, EndCause::DiskCap);
        let many = Limits { disk_bytes: u64::MAX, disk_files: 0, ..limits() };
        assert_eq!(watch(many, trees).0.breach().await, EndCause::DiskCap);
        let (watch, progress) = watch(limits(), vec![]);
        progress.cap_output();
        assert_eq!(watch.breach().await, EndCause::OutputCap);
    }

    #[tokio::test]
    async fn files_that_were_removed_while_open_do_not_fill_the_disk() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile_in(dir.path()).unwrap();
        // Anybody may use this file system meanwhile, so only a large loss tells.
        let limits = Limits { disk_bytes: 64 << 20, disk_files: 100, wall_ms: 10_000, ..limits() };
        let watch = Watch { floor: u64::MAX, ..watch(limits, vec![dir.path().to_owned()]).0 };
        let fill = async {
            tokio::time::sleep(DISK_INTERVAL.0).await;
            for _ in 0..128 {
                file.write_all(&vec![1; 1 << 20]).unwrap();
            }
            std::future::pending::<EndCause>().await
        };
        let cause = tokio::select! { cause = watch.breach() => cause, cause = fill => cause };
        assert_eq!(cause, EndCause::DiskCap);
    }

    #[tokio::test]
    async fn memory_ends_a_run() {
        let own = std::process::id().cast_signed();
        let little = Limits { memory_bytes: 1 << 20, ..limits() };
        let (watch, _) = watch(little, vec![]);
        assert_eq!(Watch { memory_of: Some(own), ..watch }.breach().await, EndCause::OutOfMemory);
    }

    #[test]
    fn age_is_the_kernel_s() {
        let own = age(std::process::id().cast_signed());
        assert!(own < Duration::from_secs(3600));
        assert!(age(1) >= own);
        assert_eq!(age(-1), Duration::ZERO);
    }
}
