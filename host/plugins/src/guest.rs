//! One call: a fresh store, its limits, and what a failure is called. Which function is called is the worlds' matter.

use crate::{
    api::{self, clock::Clock, log::Log},
    engine,
    error::{CallError, Cause, StartError},
    limits::{Denied, HANDLES, Limits},
    manifest::Kind,
    state::State,
    text::clip,
    ticker::{Ticker, Ticking},
};
use borg_core::id::Digest;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::error::Elapsed,
};
use wasmtime::{Engine, Store, Trap, UpdateDeadline, component::Linker};
use wasmtime_wasi::I32Exit;

/// What all plugins share.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    ticker: Ticker,
    places: Arc<Semaphore>,
    linkers: [(Kind, Linker<State>); 4],
    now_ms: fn() -> u64,
}

impl Runtime {
    pub(crate) fn start(limits: Limits, now_ms: fn() -> u64) -> Result<Runtime, StartError> {
        let engine = engine::running(&limits)?;
        let linker = |kind| {
            let linker = api::linker(&engine, kind).map_err(|error| StartError::Engine(format!("{error:#}")))?;
            Ok((kind, linker))
        };
        Ok(Runtime {
            ticker: Ticker::start(engine.clone()).map_err(|error| StartError::Engine(error.to_string()))?,
            places: Arc::new(Semaphore::new(limits.concurrent as usize)),
            linkers: [linker(Kind::Persona)?, linker(Kind::Rule)?, linker(Kind::Executor)?, linker(Kind::Chat)?],
            engine,
            limits,
            now_ms,
        })
    }

    pub(crate) fn linker(&self, kind: Kind) -> &Linker<State> {
        let entry = self.linkers.iter().find(|(of, _)| *of == kind);
        &entry.expect("there is a linker for every kind").1
    }
}

/// Who is called, and what policy grants it.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// SHA-256 of the component.
    pub(crate) digest: Digest,
    pub(crate) log: bool,
    pub(crate) clock: bool,
}

impl Guest {
    /// What went wrong in a call, in words of a length that may be kept: a bad answer quotes the guest.
    pub(crate) fn error(&self, function: &'static str, cause: Cause) -> CallError {
        let cause = match cause {
            Cause::BadAnswer(why) => Cause::BadAnswer(clip(why)),
            cause => cause,
        };
        CallError { plugin: self.name.to_string(), kind: self.kind, function, cause, stderr: String::new() }
    }

    /// Waits for a place and opens a call; its wall clock starts now.
    pub(crate) async fn open(&self, function: &'static str) -> Result<Call<'_>, CallError> {
        let runtime = &*self.runtime;
        let place = Arc::clone(&runtime.places).acquire_owned().await;
        let place = place.map_err(|closed| self.error(function, Cause::Engine(closed.to_string())))?;
        let limit = match self.kind {
            Kind::Persona => runtime.limits.persona,
            Kind::Rule => runtime.limits.rule,
            Kind::Executor => runtime.limits.executor,
            Kind::Chat => runtime.limits.chat,
        };
        let log = Log::new(Arc::clone(&self.name), self.log);
        let clock = Clock::new(runtime.now_ms, self.clock);
        let mut store = Store::new(&runtime.engine, State::new(&self.digest, runtime.limits.memory, log, clock));
        store.limiter(|state| &mut state.guard);
        store.set_hostcall_fuel(runtime.limits.output);
        store.set_max_component_handles(HANDLES);
        let deadline = Instant::now() + limit;
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if Instant::now() >= deadline { Err(wasmtime::Error::new(Overdue)) } else { Ok(UpdateDeadline::Yield(1)) }
        });
        Ok(Call { store, limit, guest: self, function, _ticking: runtime.ticker.tick(), _place: place })
    }
}

/// The epoch found the deadline passed, before the timer did.
#[derive(Debug, thiserror::Error)]
#[error("overdue")]
struct Overdue;

/// An open call. The store is dropped with it and never used again, whatever came of the call.
pub(crate) struct Call<'a> {
    pub(crate) store: Store<State>,
    /// For `tokio::time::timeout` around everything done with the store: the epoch does not move while a host function waits.
    pub(crate) limit: Duration,
    guest: &'a Guest,
    function: &'static str,
    _ticking: Ticking,
    // Last: the place is free when the instance is gone.
    _place: OwnedSemaphorePermit,
}

impl Call<'_> {
    /// Ends the call and names what went wrong, if anything did.
    pub(crate) fn close<T>(self, outcome: Result<wasmtime::Result<T>, Elapsed>) -> Result<T, CallError> {
        let cause = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.cause(&error),
            Err(Elapsed { .. }) => Cause::TimedOut(self.limit),
        };
        let mut error = self.guest.error(self.function, cause);
        error.stderr = self.store.data().stderr.text();
        Err(error)
    }

    fn cause(&self, error: &wasmtime::Error) -> Cause {
        if let Some(denied) = error.downcast_ref::<Denied>() {
            return match *denied {
                Denied::Memory { asked, limit } => Cause::Memory { asked: asked as u64, limit: limit as u64 },
                Denied::Table { asked, limit } => Cause::Table { asked: asked as u64, limit: limit as u64 },
            };
        }
        if error.is::<Overdue>() {
            return Cause::TimedOut(self.limit);
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Cause::Exited(*code);
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return if *trap == Trap::StackOverflow { Cause::Stack } else { Cause::Trap(trap.to_string()) };
        }
        // The engine's type for this is private; a test pins the words.
        let text = format!("{error:#}");
        if text.contains("fuel allocated for hostcalls has been exhausted") {
            return Cause::OutputTooLarge { limit: self.guest.runtime.limits.output as u64 };
        }
        Cause::Engine(text)
    }
}
