//! The ways that lead out of a run. A way knows where it goes and in which words its clients are told no; what is asked of it, and what then
//! happens, is the business of its own exchange.

use crate::{access::Egress, provider::Provider, say::Said, upstream::Upstream};
use hyper::Response;
use std::sync::Arc;

/// One way out.
#[derive(Clone)]
pub(crate) enum Way {
    /// To the API of a model provider: [`crate::prompt`], then [`crate::exchange`].
    Model(Arc<Model>),
}

/// A model provider, as this run may use it.
pub(crate) struct Model {
    pub provider: &'static dyn Provider,
    pub upstream: Arc<Upstream>,
    /// In the order of policy: the first that lets a model through serves it.
    pub egress: Vec<Egress>,
}

impl Way {
    /// Host it leads to.
    pub fn host(&self) -> &str {
        match self {
            Way::Model(model) => &model.upstream.host,
        }
    }

    /// Paths that can be asked for on it.
    pub fn routes(&self) -> &'static [&'static str] {
        match self {
            Way::Model(model) => model.provider.routes(),
        }
    }

    /// Environment variable in which a client finds the address of the door.
    pub fn address(&self) -> &'static str {
        match self {
            Way::Model(model) => model.provider.address(),
        }
    }

    pub fn say(&self, said: &Said<'_>) -> Response<String> {
        match self {
            Way::Model(model) => model.provider.say(said),
        }
    }
}
