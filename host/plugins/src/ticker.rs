//! The thread that advances an engine's epoch every 10 ms while a call runs, and sleeps while none does.

use crate::limits::TICK;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use wasmtime::Engine;

/// Owns the thread; dropping it ends the thread.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: usize,
    stopped: bool,
}

/// Keeps the epoch moving while it lives.
pub(crate) struct Ticking {
    shared: Arc<Shared>,
}

impl Ticker {
    /// Starts the thread for `engine`.
    pub(crate) fn start(engine: Engine) -> std::io::Result<Ticker> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("borg-epoch".to_owned()).spawn(move || theirs.run(&engine))?;
        Ok(Ticker { shared })
    }

    /// Announces a call.
    pub(crate) fn tick(&self) -> Ticking {
        self.shared.update(|state| state.calls += 1);
        Ticking { shared: Arc::clone(&self.shared) }
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !state.stopped {
            if state.calls == 0 {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // The lock is free for all of the tick, so that calls come and go meanwhile.
            drop(state);
            std::thread::sleep(TICK);
            engine.increment_epoch();
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.shared.update(|state| state.calls -= 1);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.update(|state| state.stopped = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// Waits for something another thread does.
    fn until(what: &str, done: impl Fn() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(started.elapsed() < Duration::from_secs(10), "{what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_thread_ends_with_its_owner_whether_or_not_a_call_runs() {
        for busy in [false, true] {
            let ticker = Ticker::start(Engine::default()).unwrap();
            let shared = Arc::downgrade(&ticker.shared);
            let call = busy.then(|| ticker.tick());
            drop(ticker);
            until("the thread lets go", || shared.strong_count() == usize::from(busy));
            drop(call);
            assert_eq!(shared.strong_count(), 0);
        }
    }
}
