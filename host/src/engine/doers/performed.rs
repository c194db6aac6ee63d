//! What came of an effect.

use borg_core::event::{Answer, Body};
use borg_plugins::CallError;

/// What came of an effect.
pub(in crate::engine) enum Performed {
    /// The event that settles it.
    Settled(Box<Body>),
    /// What an earlier process had begun of it is lost: it is to be done again, from the beginning.
    Lost,
}

/// Of one that needed a plugin which does not do what it is asked.
pub(super) fn plugin_failed(error: &CallError) -> Body {
    Body::Answer(Answer::PluginFailed { plugin: error.plugin.clone(), reason: error.to_string() })
}
