//! Whether a platform takes what a transport brings: served, or refused until somebody does something. A network that fails for a while is neither.

use std::sync::{Arc, Mutex, PoisonError};

/// Told by a transport, read by whoever watches over the host. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reach(Arc<Mutex<Option<&'static str>>>);

impl Reach {
    /// The platform refuses us; `remedy` is what a person can do.
    pub fn refused(&self, remedy: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(remedy);
    }

    /// The platform answers as it should.
    pub fn served(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What a person can do, where we are refused.
    pub fn remedy(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
